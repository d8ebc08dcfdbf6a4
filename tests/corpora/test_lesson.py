"""relviz.corpora.lesson: a data set that is small, the same each time, and says the truth."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import relviz
from relviz import acoustics, audio, cli, signals
from relviz._errors import WriteError
from relviz.corpora import cued, lesson, synthetic
from relviz.training import known


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return lesson.write(tmp_path_factory.mktemp("data") / "lesson")


@pytest.fixture(scope="module")
def cues(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "cues.csv")


@pytest.fixture(scope="module")
def vowels(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "vowels.csv")


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_it_is_of_a_lessons_size_and_every_sound_has_its_row(folder, cues, vowels):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 6e6
    listed = {folder / name for name in [*cues["file"], *vowels["file"]]}
    assert listed == set(folder.glob("*/*.wav")) and len(listed) == len(cues) + len(vowels)
    assert len(cues) == 240 and len(vowels) == 2 * 3 * 12
    assert not cues.isna().any(axis=None) and not vowels.isna().any(axis=None)


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(folder, tmp_path):
    code = "import sys; from relviz.corpora import lesson; lesson.write(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert digests(tmp_path) == digests(folder)


@pytest.mark.slow
def test_sounds_are_what_was_synthesised_within_a_step_of_16_bits(folder, cues, vowels):
    for name, made in (
        (cues["file"][0], lesson.independent(1)[0]),
        (vowels["file"][0], lesson.american()[0]),
    ):
        heard = audio.read(folder / name)
        assert np.abs(made.wave()).max() < 1
        np.testing.assert_allclose(heard, made.wave(), atol=1.01 / 32767)


def test_no_sound_is_clipped(folder, cues, vowels):
    for name in [*cues["file"], *vowels["file"]]:
        assert 0.1 < np.abs(audio.read(folder / name)).max() < 0.99


def test_praat_finds_the_pitch_that_the_tables_say(folder, cues, vowels):
    some = pd.concat([cues[::12], vowels[::6]])
    for row in some.itertuples():
        wave = audio.read(folder / row.file)
        span = (0.1, 0.4) if np.isnan(row.start) else (row.start, row.end)
        assert acoustics.median_f0(wave, 16000, span) == pytest.approx(row.F0, rel=0.02)


def test_no_cue_tells_another(cues):
    """Rank correlations of independent draws of 240: three deviations are 0.19."""
    rows = cues[list(cued.CUES)]
    found = rows.corr(method="spearman").to_numpy() - np.eye(len(cued.CUES))
    assert np.abs(found).max() < 3 / np.sqrt(len(cues) - 1)
    for name, cue in cued.CUES.items():
        assert rows[name].between(cue.low, cue.high).all()


@pytest.mark.parametrize("name", cued.CUES)
def test_classes_are_those_that_networks_are_trained_on(cues, name):
    assert cues[f"{name}_class"].tolist() == known.labels(lesson.independent(), [name]).tolist()
    assert cues[f"{name}_class"].value_counts().min() > len(cues) / 6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["F1", "noise"])
def test_networks_tell_from_the_sounds_the_cue_that_they_know_and_no_other(folder, cues, name):
    net = relviz.load(f"cues-{name}")
    middle = [audio.read(folder / each)[2000 : 2000 + net.window] for each in cues["file"]]
    windows = signals.standardise(torch.tensor(np.stack(middle)))
    with torch.no_grad():
        said = net(windows).argmax(-1).numpy()
    right = {cue: float(np.mean(said == cues[f"{cue}_class"])) for cue in cued.CUES}
    assert right.pop(name) > 0.85
    assert max(right.values()) < 0.5


def test_vowels_lie_around_the_published_means(vowels):
    for (sex, vowel), rows in vowels.groupby(["sex", "vowel"]):
        off = rows[["F0", "F1"]].mean() - synthetic.MEANS[sex][vowel][:2]
        assert (np.abs(off) < 2 * np.array(synthetic.DEVIATIONS[sex][vowel][:2])).all()


def test_its_seed_is_no_networks():
    assert lesson.SEED not in range(len(known.DRAWN)) and lesson.SEED != 7  # the league's


def test_the_card_says_what_there_is(folder, cues, vowels):
    card = (folder / "README.md").read_text()
    assert f"Licence: {lesson.LICENCE}, https://creativecommons.org/licenses/by/4.0/" in card
    assert f"relviz {relviz.__version__}" in card and "312 synthetic vowels" in card
    for name in [*cues.columns[:7], "F0_class", *vowels.columns]:
        assert any(name in line.split("|")[1] for line in card.splitlines() if line[:1] == "|")
    for name, cue in cued.CUES.items():
        assert f"| {name} | {cue.unit}, {cue.low:g} to {cue.high:g} |" in card


@pytest.mark.slow
def test_the_command_writes_it_and_keeps_what_else_is_there(folder, tmp_path, capsys):
    (tmp_path / "cues.csv").write_text("old")
    (tmp_path / "mine.txt").write_text("mine")
    assert cli.main(["data", "synthesise", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed == f"312 sounds, CC BY 4.0, are in {tmp_path}: see its README.md\n"
    found = digests(tmp_path)
    assert found.pop("mine.txt") and found == digests(folder)


def test_a_folder_that_takes_no_files_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"file"):
        lesson.write(tmp_path / "file")
