"""Recordings and a real browser, for the tests that need them."""

import os
from collections.abc import Iterator

import hypothesis
import pytest
from selenium import webdriver

from tools import browser

GIVEN = os.environ.get("RELVIZ_DATA")

# how long an example takes is for benchmarks/ to say, not for a test
hypothesis.settings.register_profile("no clock", deadline=None)
hypothesis.settings.load_profile("no clock")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Show what RELVIZ_DATA names to the tests that are marked for recordings, and to no others.

    Before any fixture: one of a module would else be made with what its first test may see.
    """
    os.environ.pop("RELVIZ_DATA", None)
    if GIVEN is not None and item.get_closest_marker("realdata"):
        os.environ["RELVIZ_DATA"] = GIVEN


@pytest.fixture(scope="session")
def chrome() -> Iterator[webdriver.Chrome]:
    """A headless Chromium that reaches this machine only. Without one tests fail, or are skipped
    where that was asked for."""
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
    """A browser takes its time."""
    for item in items:
        if "chrome" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
