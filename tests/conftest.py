"""A real browser for the tests that need one. Without one they fail, unless told otherwise."""

import os
from collections.abc import Iterator

import pytest
from selenium import webdriver

from tools import browser


@pytest.fixture(scope="session")
def chrome() -> Iterator[webdriver.Chrome]:
    """A headless Chromium that reaches this machine only."""
    if os.environ.get("RELVIZ_NO_BROWSER") == "1":
        pytest.skip("RELVIZ_NO_BROWSER=1: tests in a browser were not asked for")
    if browser.find() is None:
        pytest.fail(browser.MISSING, pytrace=False)
    driver = browser.start(
        flags=("use-fake-device-for-media-stream", "use-fake-ui-for-media-stream")
    )
    yield driver
    driver.quit()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a browser shows does not hang on which recordings there are, so once is enough."""
    for item in items:
        if "chrome" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
