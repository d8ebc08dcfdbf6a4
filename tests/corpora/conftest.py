from pathlib import Path

import pytest

from relviz.corpora import SpeechCorpus, locate
from relviz.corpora.librispeech import utterances


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without recordings; returns the folder that the user's cache will be in."""
    monkeypatch.delenv("RELVIZ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "relviz"


@pytest.fixture
def recordings() -> Path:
    """The folder of the American English Vowels on this machine; skips where there is none."""
    source = locate("aev")
    if source is None or source.folder is None:
        pytest.skip("no recordings: set RELVIZ_DATA or run `relviz data fetch aev`")
    return source.folder


@pytest.fixture
def librispeech() -> SpeechCorpus:
    """LibriSpeech as far as it is on this machine; skips where there is none."""
    if locate("mini-librispeech") is None:
        pytest.skip("no recordings: set RELVIZ_DATA or run `relviz data fetch mini-librispeech`")
    return utterances(None)
