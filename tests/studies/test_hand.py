"""Against hand labels: the foldings, what counts as right, and the book's tables on real files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from relviz import corpora, pretrained
from relviz._errors import ParameterError
from relviz.corpora import PHONES, CorpusError, Source, Span, SpeechCorpus, timit
from relviz.corpora.alignment import common_boundaries
from relviz.studies import hand

TABLES = Path(__file__).parents[2] / "book" / "appendix" / "hand"


def spans(*labels: str) -> tuple[Span, ...]:
    return tuple(Span(n / 10, (n + 1) / 10, label) for n, label in enumerate(labels))


def allowed(row: np.ndarray) -> set[str]:
    return {PHONES[number] for number in np.flatnonzero(row)}


def test_every_label_has_its_phones() -> None:
    assert set(timit.TO_CMU) == set(timit.TO_48)
    named = {phone for several in timit.TO_CMU.values() for phone in several}
    assert named == set(PHONES)
    # where both foldings name one phone they agree, but for closures, flaps and reduced vowels
    for label, phones in timit.TO_CMU.items():
        to = timit.TO_48[label]
        if to and to in {"ch", "jh", "iy", "er", "ng", "hh", "th"}:
            assert phones == (to.upper(),)


@pytest.mark.parametrize(
    ("given", "stop", "silence"),
    [
        (("tcl", "t"), [("t", 0.0, 0.2)], ["h#", "t"]),
        (("dcl", "jh"), [("jh", 0.0, 0.2)], ["h#", "jh"]),
        (("kcl", "t"), [("kcl", 0.0, 0.1), ("t", 0.1, 0.2)], ["h#", "t"]),
        (("pcl",), [("pcl", 0.0, 0.1)], ["h#"]),
        (("tcl", "tcl", "t"), [("tcl", 0.0, 0.1), ("t", 0.1, 0.3)], ["h#", "h#", "t"]),
        (("h#", "aa"), [("h#", 0.0, 0.1), ("aa", 0.1, 0.2)], ["h#", "aa"]),
    ],
)
def test_closures_are_folded_both_ways(given, stop, silence) -> None:
    folded = timit.fold_closures(spans(*given), "stop")
    assert [span.label for span in folded] == [label for label, _, _ in stop]
    assert [span.start for span in folded] == pytest.approx([start for _, start, _ in stop])
    assert [span.end for span in folded] == pytest.approx([end for _, _, end in stop])
    folded = timit.fold_closures(spans(*given), "silence")
    assert [span.label for span in folded] == silence


def test_what_is_right_at_a_time() -> None:
    given = spans("h#", "tcl", "t", "ix", "dx", "q", "kcl", "pau")
    times = np.arange(9) / 10 + 0.05
    found = [allowed(row) for row in hand.accept(given, times, "stop")]
    rest = [{"IH", "AH"}, {"D", "T"}, set(), {"K"}, {"SIL"}, {"SIL"}]
    assert found == [{"SIL"}, {"T"}, {"T"}, *rest]
    found = [allowed(row) for row in hand.accept(given, times, "silence")]
    assert found == [{"SIL"}, {"SIL"}, {"T"}, *rest[:3], {"SIL"}, {"SIL"}, {"SIL"}]


def test_boundaries_are_common_where_both_phones_follow_each_other() -> None:
    known = (Span(0, 1, "SIL"), Span(1, 2, "K"), Span(2, 3, "AE"), Span(3, 4, "T"))
    found = (Span(0, 1.5, "SIL"), Span(1.5, 2, "K"), Span(2, 3, "EH"), Span(3, 4, "T"))
    assert common_boundaries(known, found) == [("SIL", "K", 0.5)]
    assert common_boundaries(known, known) == [
        ("SIL", "K", 0),
        ("K", "AE", 0),
        ("AE", "T", 0),
    ]
    assert common_boundaries(known, ()) == []


def test_two_ways_to_write_a_sound_do_not_hide_its_boundaries() -> None:
    by_hand = spans("b", "ah", "dx", "q", "ix")
    found = spans("B", "AH", "T", "SIL", "AH")
    assert [span.label for span in hand._as_found(by_hand, found)] == ["B", "AH", "T", "AH"]
    other = spans("B", "AH", "M", "SIL", "EH")
    assert [span.label for span in hand._as_found(by_hand, other)] == ["B", "AH", "D", "IH"]


@pytest.fixture
def sample(tmp_path: Path) -> SpeechCorpus:
    """Two speakers of a sentence each, as TIMIT lays it out: 1 s of silence, vowel, t, flap."""
    rng = np.random.default_rng(0)
    for name in ("dr1-faaa0/sx1", "dr1-maaa0/sx2"):
        path = tmp_path / "timit-sample" / f"{name}.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, 0.1 * rng.standard_normal(16000), 16000)
        path.with_suffix(".phn").write_text(
            "0 4000 h#\n4000 8000 iy\n8000 10400 tcl\n10400 12000 t\n12000 14400 dx\n"
            "14400 16000 q\n"
        )
    return corpora.load("timit-sample", root=tmp_path)


def test_frames_are_counted_by_folding_and_group(sample, monkeypatch, tmp_path) -> None:
    answers = np.repeat(
        [PHONES.index(p) for p in ("SIL", "IY", "T", "T", "AA")], [25, 25, 25, 15, 10]
    )
    names = [each.name for each in sample.utterances]
    answer = {names[0]: answers, names[1]: np.full(100, PHONES.index("IY"))}
    monkeypatch.setattr(hand, "_named", lambda *_: {"ours": answer})
    monkeypatch.setattr(hand, "_aligned", lambda *_: {names[0]: answers})
    table = hand.frames({}, sample, cache=tmp_path).set_index(["labels", "closures", "phones"])
    ours = table.loc["ours"]
    # 90 frames are scored, as a glottal stop is no phone: 90 right, and 25 of the other's
    assert ours.loc[("stop", "all"), "frames"] == 180
    assert ours.loc[("stop", "all"), "accuracy"] == pytest.approx(115 / 180)
    assert ours.loc[("stop", "stops"), "frames"] == 80
    assert ours.loc[("stop", "stops"), "accuracy"] == pytest.approx(1 / 2)
    # as silence, the closure's 15 frames were named wrongly
    assert ours.loc[("silence", "all"), "accuracy"] == pytest.approx(100 / 180)
    assert ours.loc[("silence", "silence"), "frames"] == 80
    assert table.loc[(hand.ALIGNMENT, "stop", "all"), "accuracy"] == 1
    assert table.loc[(hand.ALIGNMENT, "stop", "all"), "frames"] == 90
    assert table.loc[(hand.ONE, "stop", "all"), "accuracy"] == pytest.approx(40 / 90)
    assert table["low"].le(table["accuracy"]).where(table["low"].notna(), True).all()


def test_networks_hear_the_sample(sample, tmp_path) -> None:
    networks = {"phones-0": pretrained.load("phones-0")}
    found = hand._named(networks, sample, tmp_path, False)["phones-0"]
    assert {name: rows.shape for name, rows in found.items()} == {
        "FAAA0-SX1": (100,),
        "MAAA0-SX2": (100,),
    }
    with pytest.raises(ParameterError, match="speakers tells 164 other classes apart than the 40"):
        hand.frames({"speakers": pretrained.load("speakers")}, sample, cache=tmp_path)


def test_the_spread_of_boundaries() -> None:
    row = dict(speaker="a", utterance="a-1", before="vowels", after="stops")
    late = np.array([-0.03, -0.01, 0, 0.01, 0.02])
    table = pd.DataFrame(
        [{**row, "late": each} for each in late] + [{**row, "before": "silence", "late": 0.5}]
    )
    found = hand.spread(table, least=2).set_index("boundary")
    assert list(found.index) == ["all", hand.TWO_PHONES, hand.SILENCE, "vowels to stops"]
    assert found.loc["vowels to stops"].tolist() == pytest.approx([5, 0, 10, 26, 0.8])
    assert found.loc[hand.SILENCE, "median"] == 500


def test_synthetic_speech_was_labelled_by_nobody() -> None:
    nobody = SpeechCorpus((), Source("synthetic"))
    for function in (lambda: hand.frames(corpus=nobody), lambda: hand.boundaries(nobody)):
        with pytest.raises(CorpusError, match="run `relviz data fetch timit-sample`"):
            function()


@pytest.mark.slow
@pytest.mark.realdata
def test_the_books_tables_are_what_the_recordings_give(tmp_path) -> None:
    corpus = corpora.load("timit-sample")
    if corpus.source.origin == "synthetic":
        pytest.skip("no sample of TIMIT: set RELVIZ_DATA or run `relviz data fetch timit-sample`")
    late = hand.spread(hand.boundaries(corpus, cache=tmp_path))
    kept = pd.read_csv(TABLES / "boundaries.csv")
    pd.testing.assert_frame_equal(late.round(4), kept, atol=1e-3)
    right = hand.frames({"phones-0": pretrained.load("phones-0")}, corpus, cache=tmp_path)
    kept = pd.read_csv(TABLES / "frames.csv")
    kept = kept[kept["labels"].isin(right["labels"])].reset_index(drop=True)
    # other processors round otherwise, which moves a few frames in a thousand
    pd.testing.assert_frame_equal(right, kept, rtol=0, atol=5e-3)
