"""relviz.training.data: batches are the windows that one would cut by hand, in a fixed order."""

import os
import time

import numpy as np
import pytest

from relviz import audio
from relviz._errors import WriteError
from relviz.corpora import Utterance
from relviz.training.data import GAP, label_speakers, order, pack, shuffle_labels, subset
from tests.training.conftest import CLASSES, utterances


@pytest.mark.parametrize("normalise", ["window", "utterance", "none"])
@pytest.mark.parametrize("window", [1000, 4001, 16000])
def test_batches_are_windows_cut_by_hand(data, normalise, window):
    by_name = {each.name: each for each in utterances()}
    frames = data.train
    number = int(frames.utterances[-1])
    mine = np.flatnonzero(frames.utterances == number)
    wave = np.round(by_name[frames.audio.names[number]].wave() * 32768).astype(np.float32) / 32768
    if normalise == "utterance":
        wave = (wave - wave.mean()) / wave.std()
    centres = np.arange(len(mine)) * 160 + 80
    expected = audio.frame(wave, window, centres - window // 2)
    if normalise == "window":
        expected -= expected.mean(-1, keepdims=True)
        deviation = expected.std(-1, keepdims=True)
        expected /= np.where(deviation > 0, deviation, 1)
    x, labels = frames.batch(mine, window, normalise)
    np.testing.assert_allclose(x.numpy(), expected, atol=2e-5)
    spans = by_name[frames.audio.names[number]].spoken
    for centre, label in zip(centres, labels, strict=True):
        said = [s.label for s in spans if s.start <= centre / 16000 < s.end]
        assert CLASSES[label] == (said[0] if said else "SIL")


def test_a_digitally_silent_window_is_zero(tmp_path):
    wave = np.zeros(32000, dtype=np.float32)
    wave[-100:] = 0.5
    packed = pack([Utterance("quiet", "s", "0", samples=wave)], tmp_path)
    frames = label_speakers(packed, [Utterance("quiet", "s", "0", samples=wave)], ["s"])
    x, _ = frames.batch(np.array([50]), 1000, "window")
    assert (x == 0).all()


def test_audio_is_packed_once_and_mapped(tmp_path, monkeypatch):
    some = utterances(3)
    first = pack(some, tmp_path)
    assert isinstance(first.samples, np.memmap)
    assert (first.samples[:GAP] == 0).all() and (first.samples[-GAP:] == 0).all()
    monkeypatch.setattr("relviz.files.replacing", None)
    np.testing.assert_array_equal(pack(some, tmp_path).samples, first.samples)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("audio.int16", lambda content: bytes(len(content))),
        ("audio.int16", lambda content: content[: len(content) // 2]),
        ("audio.int16", lambda content: content[:50000] + b"\1" + content[50001:]),
        ("audio.int16", None),
        ("index.json", lambda content: b""),
        ("index.json", lambda content: b"null"),
        ("index.json", lambda content: b"[" * 100_000),
        ("index.json", lambda content: content[: len(content) // 2]),
        ("index.json", lambda content: content.replace(b"8000", b"8001")),
    ],
)
def test_a_damaged_pack_is_packed_again_and_said(tmp_path, name, damage):
    some = utterances(3)
    first = pack(some, tmp_path)
    (path,) = tmp_path.rglob(name)
    right = path.read_bytes()
    path.unlink()  # what is mapped stays as it is
    if damage:
        path.write_bytes(damage(right))
        assert damage(right) != right
    with pytest.warns(UserWarning, match=r"is damaged: the audio is packed again\.$"):
        again = pack(some, tmp_path)
    assert path.read_bytes() == right
    np.testing.assert_array_equal(again.samples, first.samples)
    np.testing.assert_array_equal(again.starts, first.starts)


def test_what_killed_processes_left_is_removed(tmp_path):
    some = utterances(2)
    pack(some[:1], tmp_path)
    (other,) = (path.parent for path in tmp_path.rglob("index.json"))
    for draft, age in (
        (other / ".audio.int16.1-1.part", 7200),
        (other / ".index.2-2.part", 0),
    ):
        draft.touch()
        os.utime(draft, (time.time() - age,) * 2)
    pack(some, tmp_path)
    assert [path.name for path in tmp_path.rglob("*.part")] == [".index.2-2.part"]  # in use, maybe
    pack(some[:1], tmp_path)
    assert not list(tmp_path.rglob("*.part"))


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"cannot be written \(not a directory\): choose another"):
        pack(utterances(1), tmp_path / "file")


def test_order_is_a_permutation_per_epoch_and_needs_no_history():
    batches = [order(100, 32, step, seed=3) for step in range(25)]
    everything = np.concatenate(batches)
    for epoch in range(8):
        assert sorted(everything[epoch * 100 : (epoch + 1) * 100]) == list(range(100))
    assert not np.array_equal(everything[:100], everything[100:200])
    np.testing.assert_array_equal(order(100, 32, 17, seed=3), batches[17])
    assert not np.array_equal(order(100, 32, 17, seed=4), batches[17])
    assert len(order(5, 32, 0, seed=0)) == 32  # fewer frames than a batch


def test_subset_and_shuffled_labels(data):
    some = subset(data.train, 50, seed=1)
    assert len(some) == 50 and (np.diff(some.centres) > 0).all()
    assert subset(data.train, 10**9, seed=1) is data.train
    shuffled = shuffle_labels(data.train, seed=1)
    assert sorted(shuffled.labels) == sorted(data.train.labels)
    assert (shuffled.labels == data.train.labels).mean() < 0.6
    np.testing.assert_array_equal(shuffled.centres, data.train.centres)


def test_refusals(data, tmp_path):
    with pytest.raises(ValueError, match="each utterance once"):
        pack(utterances(1) * 2, tmp_path)
    with pytest.raises(ValueError, match="is not within 1 to"):
        data.train.batch(np.array([0]), 2 * GAP + 1, "none")
    with pytest.raises(ValueError, match="speaker s1 is not among the 1 classes"):
        label_speakers(data.train.audio, utterances(2), ["s0"])
    with pytest.raises(ValueError, match="no utterances"):
        label_speakers(data.train.audio, [], ["s0"])
