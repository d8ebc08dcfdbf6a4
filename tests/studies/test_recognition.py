"""relviz.studies.recognition: phones and their errors, counted by hand."""

import sys

import numpy as np
import pandas as pd
import pytest

from relviz._errors import MissingExtraError
from relviz.corpora import Span, sentence
from relviz.studies import recognition as study

RATE = 16000


def white(seconds, seed=0):
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE))


class TestPhonesBetween:
    spans = (
        Span(0.0, 0.2, "SIL"),
        Span(0.2, 0.3, "K"),
        Span(0.3, 0.5, "AE"),
        Span(0.5, 0.6, "T"),
        Span(0.6, 1.0, "SIL"),
    )

    def test_whole_phones(self):
        assert study.phones_between(self.spans, 0.1, 0.55) == (0.2, 0.5, ["K", "AE"])
        assert study.phones_between(self.spans, 0.0, 1.0) == (0.0, 1.0, ["K", "AE", "T"])

    def test_none(self):
        with pytest.raises(ValueError, match=r"no phone lies within 0\.25 to 0\.4 s"):
            study.phones_between(self.spans, 0.25, 0.4)


class TestPhoneLoop:
    @pytest.mark.slow
    def test_hears_a_sentence(self):
        spoken = sentence("Now and then a loud bird sings above our yellow house.", "Male1")
        said = [label for _, _, label in spoken.phones if label != "SIL"]
        heard = study.phone_loop(spoken.wave)
        table = study.error_rates(
            study.recognition({"speech": [spoken.wave] * 2}, [said, said]), "speech"
        )
        assert table["error_rate"][0] < 0.85
        assert heard == study.phone_loop(0.01 * spoken.wave)  # scale, and no memory of before

    def test_hears_nothing_in_noise(self):
        assert len(study.phone_loop(white(1))) < 5

    def test_without_pocketsphinx(self, monkeypatch):
        study._recogniser.cache_clear()
        monkeypatch.setitem(sys.modules, "pocketsphinx", None)
        with pytest.raises(MissingExtraError, match=r"^pocketsphinx is not installed: pip install"):
            study.phone_loop(white(1))


@pytest.fixture
def read_out(monkeypatch):
    """Signals are what a recogniser would hear in them."""
    monkeypatch.setattr(study, "phone_loop", lambda signal: list(signal))


class TestRecognition:
    said = (["A", "B"], ["B", "C", "D"])

    def test_counts_errors(self, read_out):
        table = study.recognition(
            {"right": list(self.said), "wrong": [["A", "X"], ["B", "C", "D", "E"]]}, self.said
        )
        assert table["signal"].tolist() == ["right"] * 2 + ["wrong"] * 2 + [study.BACKWARDS] * 2
        assert table["errors"].tolist() == [0, 0, 1, 1, 2, 2]
        assert table["phones"].tolist() == [2, 3, 2, 3, 2, 3]

    @pytest.mark.parametrize("said", [(["A"],), (["A"], ["B"], ["C"])])
    def test_refuses(self, read_out, said):
        with pytest.raises(ValueError, match="give two stretches or more, and every signal"):
            study.recognition({"right": [["A"], ["B"]]}, said)

    def test_rates_and_differences(self):
        rng = np.random.default_rng(0)
        rows = [
            (name, stretch, errors + more, 20)
            for stretch, errors in enumerate(rng.integers(2, 16, size=40))
            for name, more in (("a", 0), ("b", 2))
        ]
        table = pd.DataFrame(rows, columns=["signal", "stretch", "errors", "phones"])
        rates = study.error_rates(table).set_index("signal")
        mean = table[table["signal"] == "a"]["errors"].mean() / 20
        assert rates.loc["a", "error_rate"] == pytest.approx(mean)
        assert rates.loc["a", ["more", "more_low", "more_high"]].tolist() == [0, 0, 0]
        # b makes two errors more in every stretch: certain, though both rates are not
        assert rates.loc["b", ["more", "more_low", "more_high"]].to_numpy() == pytest.approx(0.1)
        assert rates.loc["b", "high"] - rates.loc["b", "low"] > 0.05
        other = study.error_rates(table, "b").set_index("signal")
        assert other.loc["a", "more"] == pytest.approx(-0.1)
