"""relviz.training.sets: who trains, validates and tests; and the whole way on the command line."""

import itertools
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from relviz import cli
from relviz._errors import ParameterError
from relviz.corpora import CorpusError, Utterance, librispeech
from relviz.training import STANDARD, load, sets
from tests.training.conftest import utterance


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No recordings, a cache of its own, two voices that say little."""
    monkeypatch.delenv("RELVIZ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    texts = ("Go now.", "We see you.", "A thin fox.", "Two by four.", "My shoe.", "He may.")
    voices = ("Female1", "Female2", "Female3", "Male1", "Male2", "Male3")
    spoken = sets.corpora.spoken
    monkeypatch.setattr(sets.corpora, "spoken", lambda: spoken(voices * 1, texts))
    # six voices are too few for one of nine to be held out twice
    split = sets.corpora.split_speakers
    monkeypatch.setattr(
        sets.corpora, "split_speakers", lambda them, every=3, fold=0: split(them, every, fold)
    )


def names(data, frames):
    return {data.train.audio.names[number] for number in np.unique(frames.utterances)}


def disjoint(*groups):
    return all(not a & b for a, b in itertools.combinations(groups, 2))


@pytest.mark.slow
def test_phones_hear_no_test_speaker(alone, tmp_path):
    data = sets.phones("synthetic", cache=tmp_path)
    groups = [names(data, frames) for frames in (data.train, data.valid, *data.tests.values())]
    assert all(groups) and disjoint(*groups)
    assert disjoint(*({data.speakers[name] for name in group} for group in groups))
    assert data.classes[-1] == "SIL" and len(data.classes) == 40
    assert data.about["test"]["speakers"] == sorted({data.speakers[n] for n in groups[2]})
    json.dumps(data.about)
    name = min(groups[0])
    assert data.classes[data.references[name][0]] == "SIL"


@pytest.mark.slow
def test_the_folds_of_phones_test_everybody_once(alone, tmp_path):
    data = [sets.phones("synthetic", cache=tmp_path, fold=fold) for fold in range(sets.FOLDS)]
    tested = [speaker for each in data for speaker in each.about["test"]["speakers"]]
    assert len(tested) == len(set(tested)) == 6
    assert data[3].about["rule"].startswith("fold 3 of 5 of the speakers of a part")
    with pytest.raises(ParameterError, match="fold is 5: give 0 to 4"):
        sets.phones("synthetic", cache=tmp_path, fold=5)
    with pytest.raises(ParameterError, match="fold and division both say who tests: give one"):
        sets.phones("synthetic", cache=tmp_path, fold=0, division=data[0].about)
    with pytest.raises(ParameterError, match="TIMIT has lists of its own and no folds"):
        sets.phones("timit", fold=0)


def test_speakers_are_known_and_utterances_are_new(alone, tmp_path):
    data = sets.speakers("synthetic", cache=tmp_path)
    assert set(data.tests) == {sets.WITHIN} and len(data.classes) == 6
    groups = [names(data, frames) for frames in (data.train, data.valid, data.tests[sets.WITHIN])]
    assert disjoint(*groups) and [len(group) for group in groups] == [24, 6, 6]
    for group in groups:
        assert len({data.speakers[name] for name in group}) == 6


def test_one_utterance_of_each_speaker_tests_and_one_validates(alone, tmp_path):
    """The protocol of the paper, whoever has how many."""
    data = sets.speakers("synthetic", cache=tmp_path, every=None)
    groups = [names(data, frames) for frames in (data.train, data.valid, data.tests[sets.WITHIN])]
    assert disjoint(*groups) and [len(group) for group in groups] == [24, 6, 6]
    assert data.about["rule"].startswith("of all utterances of a speaker, by name, one tests")
    for every in (1, 0, -3):
        with pytest.raises(ParameterError, match=f"every is {every}: give 2 or more, or None"):
            sets.speakers("synthetic", cache=tmp_path, every=every)


def test_speakers_of_several_corpora_are_told_apart_together(monkeypatch, tmp_path):
    """Though both have a speaker of the same name, who says utterances of the same names."""

    said = {
        "mini-librispeech": ((1, 10, 4), (2, 20, 5), (2, 21, 1)),
        "timit": ((1, 10, 3), (2, 20, 3)),
    }

    def loaded(name, parts, root):
        made = [
            Utterance(f"{s}-{c}-{n:04d}", str(s), str(c), samples=utterance("", "", n).samples)
            for s, c, count in said[name]
            for n in range(count)
        ]
        source = sets.corpora.Source("given", tmp_path, librispeech.CORPUS)
        return sets.corpora.SpeechCorpus(tuple(made), source)

    monkeypatch.setattr(sets.corpora, "load", loaded)
    data = sets.speakers(("librispeech", "timit"), cache=tmp_path, every=None)
    assert data.classes == ("librispeech:1", "librispeech:2", "timit:1", "timit:2")
    assert list(data.tests) == [
        "within session",
        "across sessions",
        "within session, librispeech",
        "within session, timit",
    ]
    whole = names(data, data.tests["within session"])
    parts = [
        names(data, data.tests[f"within session, {name}"]) for name in ("librispeech", "timit")
    ]
    assert disjoint(*parts) and set.union(*parts) == whole and len(whole) == 4
    assert {data.speakers[name] for name in whole} == set(data.classes)
    assert data.about["recordings"].count("LibriSpeech") == 2
    with pytest.raises(ParameterError, match="parts are of one corpus"):
        sets.speakers(("librispeech", "timit"), parts=("train",), cache=tmp_path)


@pytest.mark.realdata
def test_timits_sample_is_learnt_from_as_timit_is(tmp_path):
    """By hand labels, of 39 classes; the folds test its sixteen speakers once each."""
    if sets.corpora.load("timit-sample").source.origin == "synthetic":
        pytest.skip("no sample of TIMIT: set RELVIZ_DATA or run `relviz data fetch timit-sample`")
    data = sets.phones("timit-sample", None, cache=tmp_path)
    assert data.classes == sets.timit.PHONES_39
    sizes = {name: len(data.about[name]["speakers"]) for name in ("train", "valid", "test")}
    assert sizes == {"train": 12, "valid": 2, "test": 2}
    folds = [sets.phones("timit-sample", None, cache=tmp_path, fold=n).about for n in range(5)]
    assert len({who for each in folds for who in each["test"]["speakers"]}) == 16
    known = sets.speakers("timit-sample", cache=tmp_path, every=None)
    assert len(known.classes) == 16 and known.about["train"]["utterances"] == 6 * 16


def test_other_sessions_are_a_test_of_their_own(monkeypatch, tmp_path):
    made = [
        Utterance(f"{s}-{c}-{n:04d}", str(s), str(c), samples=utterance("", "", n).samples)
        for s, c, count in ((1, 10, 8), (1, 11, 1), (2, 20, 8), (3, 30, 1))
        for n in range(count)
    ]
    source = sets.corpora.Source("given", tmp_path, librispeech.CORPUS)
    loaded = sets.corpora.SpeechCorpus(tuple(made), source)
    monkeypatch.setattr(sets.corpora, "load", lambda name, parts, root: loaded)
    data = sets.speakers(cache=tmp_path)
    assert data.classes == ("1", "2")  # of speaker 3 there is one utterance alone
    assert names(data, data.tests[sets.ACROSS]) == {"1-11-0000"}
    per_speaker = Counter(name[0] for name in names(data, data.train))
    assert per_speaker == {"1": 6, "2": 6}
    with pytest.raises(CorpusError, match=r"^No utterance has a transcript: choose parts"):
        sets.phones(cache=tmp_path)
    # and where they have one, nobody says that they have none
    texts = ("Twas brillig", "The slithy toves", "...", None)
    said = [replace(each, text=texts[n % 4]) for n, each in enumerate(made)]
    loaded = sets.corpora.SpeechCorpus(tuple(said), source)
    monkeypatch.setattr(sets.corpora, "load", lambda name, parts, root: loaded)
    with pytest.raises(CorpusError) as refused:
        sets.phones(cache=tmp_path)
    assert str(refused.value) == (
        "None of the 18 utterances can be aligned (4 no words, 4 no transcript, 10 with words that "
        "are not in the dictionary (brillig, slithy, toves)): give a dictionary that has "
        "their words."
    )


@pytest.mark.slow
def test_what_is_left_out_is_said_before_training(alone, monkeypatch, tmp_path, capsys):
    spoken = sets.corpora.spoken()
    texts = {1: "Jabberwock", 4: None}
    said = [replace(each, spoken=None) for each in spoken]
    said = [replace(each, text=texts.get(n, each.text)) for n, each in enumerate(said)]
    monkeypatch.setattr(sets.corpora, "spoken", lambda: tuple(said))
    seen = {}

    def train(recipe, data, out, minutes, device, **options):
        seen.update(data.about["skipped"], printed=capsys.readouterr().err)
        return {}

    monkeypatch.setattr("relviz.cli.train.training.train", train)
    line = ["train", "phones", "--corpus", "synthetic", "--out", str(tmp_path / "run")]
    assert cli.main(line) == 0
    left = "Left out: 1 no transcript, 1 with words that are not in the dictionary (jabberwock).\n"
    assert seen["printed"].endswith(left)
    own = tmp_path / "own.dict"
    own.write_text("JABBERWOCK  G OW1 N AW1\n")
    assert cli.main([*line, "--dictionary", str(own)]) == 0
    assert seen["printed"].endswith("Left out: 1 no transcript.\n")


def test_refusals(tmp_path):
    with pytest.raises(CorpusError, match="needs a licence"):
        sets.phones("timit")
    with pytest.raises(CorpusError, match="needs a licence"):
        sets.speakers("timit")
    with pytest.raises(ValueError, match="corpus 'radio' is unknown"):
        sets.speakers("radio")


@pytest.mark.slow
@pytest.mark.parametrize("study", ["phones", "speakers"])
def test_train_on_the_command_line(study, alone, tmp_path, capsys):
    threads = torch.get_num_threads()
    out = tmp_path / "run"
    line = ["train", study, "--corpus", "synthetic", "--out", str(out), "--batch-size", "16"]
    assert cli.main([*line, "--steps", "3", "--snapshots", "2"]) == 0
    printed = capsys.readouterr()
    assert "Synthetic speech" in printed.err and "model.safetensors" in printed.err
    wanted = "phone error rate" if study == "phones" else "within session: utterance accuracy"
    assert wanted in printed.out and "%" in printed.out
    net = load(out)
    assert net.metadata.study == study and net.architecture == STANDARD[study].architecture
    scores = json.loads((out / "scores.json").read_text())
    assert net.metadata.scores == scores and scores["training"]["steps"] == 3
    assert net(torch.zeros(net.window)).shape == (len(net.metadata.classes),)
    assert (out / "step-000002.safetensors").is_file()
    assert cli.main([*line, "--steps", "4"]) == 1
    refusal = capsys.readouterr().err.splitlines()[-1]
    assert refusal.startswith(f"relviz: {out} holds a run with steps 3, not 4")
    assert cli.main([*line, "--minutes", "0.0001", "--restart"]) == 0
    assert json.loads((out / "recipe.json").read_text())["recipe"]["steps"] == 1
    assert cli.main([*line, "--minutes", "1"]) == 0  # what was measured once stays
    assert torch.get_num_threads() == threads
