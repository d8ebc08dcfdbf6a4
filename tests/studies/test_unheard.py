"""People whom training did not hear: means over them, and each scored by networks new to them."""

import numpy as np
import pandas as pd
import pytest

from relviz import corpora, pretrained
from relviz._errors import ParameterError
from relviz.corpora import PHONES, CorpusError, librispeech, locate
from relviz.networks import PHONE_CNN, build
from relviz.pretrained import Metadata, TrainedCNN
from relviz.studies import unheard
from relviz.training import score, sets

VOICES = ("Female1", "Female2", "Female3", "Male1", "Male2")


def network(train, valid, study="phones", classes=PHONES):
    about = {"train": {"speakers": list(train)}, "valid": {"speakers": list(valid)}}
    net = TrainedCNN(PHONE_CNN, Metadata(study, tuple(classes), about=about))
    net.load_state_dict(build(PHONE_CNN, len(classes), seed=0).state_dict())
    return net


@pytest.fixture
def spoken(monkeypatch, tmp_path):
    texts = ("Go now.", "My shoe.")
    made = corpora.spoken(VOICES, texts)
    monkeypatch.setattr(sets.corpora, "spoken", lambda: made)
    return made


@pytest.mark.slow
def test_all_who_neither_trained_nor_validated_are_scored(spoken, tmp_path):
    networks = {
        "one": network(VOICES[:2], VOICES[2:3]),
        "two": network(VOICES[2:4], VOICES[4:]),
    }
    table = unheard.by_speaker(networks, "synthetic", cache=tmp_path)
    assert list(zip(table["network"], table["speaker"], strict=True)) == [
        ("one", "Male1"),
        ("one", "Male2"),
        ("two", "Female1"),
        ("two", "Female2"),
    ]
    assert (table["utterances"] == 2).all()
    # against posteriors of the frames themselves
    data = sets.phones("synthetic", cache=tmp_path, division=networks["two"].metadata.about)
    assert data.about["test"]["speakers"] == ["Female1", "Female2"]
    test = data.tests[sets.HELD_OUT]
    found = score.log_posteriors(networks["two"], test).argmax(axis=1)
    who = np.array([data.speakers[test.audio.names[n]] for n in test.utterances])
    for speaker, accuracy in zip(table["speaker"][2:], table["accuracy"][2:], strict=True):
        assert accuracy == pytest.approx((found == test.labels)[who == speaker].mean())


def test_means_over_speakers_and_all_in_turn():
    rows = [("a", "1", 0.5, 0.6), ("a", "2", 0.7, 0.4), ("b", "2", 0.5, 0.2), ("b", "3", 0.6, 0.1)]
    columns = ["network", "speaker", "accuracy", "error"]
    table = pd.DataFrame(rows, columns=columns).assign(control=False)
    found = unheard.over_speakers(table).set_index(["network", "score"])
    turn = found.loc[(unheard.IN_TURN, "error")]
    assert turn["speakers"] == 3 and turn["mean"].value == pytest.approx((0.6 + 0.3 + 0.1) / 3)
    assert (turn["lowest"], turn["highest"]) == (0.1, 0.6)
    assert turn["mean"].low < turn["mean"].value < turn["mean"].high
    assert found.loc[("a", "accuracy"), "mean"].value == pytest.approx(0.6)
    # a control that left somebody else out changes nothing of it
    control = table[:1].assign(network="shuffled", speaker="4", error=0.9, control=True)
    more = unheard.over_speakers(pd.concat([table, control])).set_index(["network", "score"])
    assert more.loc[(unheard.IN_TURN, "error"), "mean"] == turn["mean"]
    # the same speakers in all: there is nobody more to be had together
    same = unheard.over_speakers(table.assign(speaker=["1", "2", "2", "1"]))
    assert unheard.IN_TURN not in set(same["network"])


def test_refusals(spoken, tmp_path):
    for net, words in (
        (network("a", "b", "speakers"), "mine tells no phones apart: name a phone network"),
        (network([], VOICES), "does not say which speakers are its 'train'"),
        (
            network(VOICES[:1], VOICES[1:2], classes=PHONES[:-1]),
            "mine tells 39 other classes apart than the 40 phones of synthetic",
        ),
    ):
        with pytest.raises(ParameterError, match=words):
            unheard.by_speaker({"mine": net}, "synthetic", cache=tmp_path)
    for net, words in (
        (network(VOICES[:1], ["Nobody"]), "None of the speakers of the division's 'valid' is here"),
        (network(VOICES[:3], VOICES[3:]), "Training has heard all speakers that are here"),
    ):
        with pytest.raises(CorpusError, match=words):
            unheard.by_speaker({"mine": net}, "synthetic", cache=tmp_path)


@pytest.mark.slow
@pytest.mark.realdata
def test_a_shipped_fold_scores_a_stranger_as_its_file_says(tmp_path):
    """The speaker who said least; and frames, which need no decoder.

    To align everybody takes minutes: here are one, and of who trained and of who validated those
    with the least to align.
    """
    networks = {name: pretrained.load(name) for name in pretrained.FOLDS[1:]}
    table = unheard.on_cards(networks)
    said = table.loc[table["utterances"].idxmin()]
    net = networks[said["network"]]
    about = net.metadata.about
    source = locate(librispeech.CORPUS)
    if source is None:
        pytest.skip("no LibriSpeech: set RELVIZ_DATA or run `relviz data fetch mini-librispeech`")

    def recorded(speaker: str) -> int:
        folders = source.folder.glob(f"*/{speaker}")
        return sum(each.stat().st_size for one in folders for each in one.rglob("*.flac"))

    least = (min(about[part]["speakers"], key=recorded) for part in ("train", "valid"))
    who = [said["speaker"], *least]
    for there in (*source.folder.glob("*.TXT"), *source.folder.glob("*/*")):
        if there.suffix or there.name in who:
            here = tmp_path / "LibriSpeech" / there.relative_to(source.folder)
            here.parent.mkdir(parents=True, exist_ok=True)
            here.symlink_to(there)
    data = sets.phones(root=tmp_path, division=about)
    test = data.tests[sets.HELD_OUT]
    who = np.array([data.speakers.get(name, "") for name in test.audio.names])
    some = test.take(who[test.utterances] == said["speaker"])
    assert len(np.unique(some.utterances)) == said["utterances"]
    found = score.log_posteriors(net, some).argmax(axis=1)
    # other processors round otherwise, which moves a few frames in a thousand
    assert (found == some.labels).mean() == pytest.approx(said["accuracy"], abs=5e-3)
