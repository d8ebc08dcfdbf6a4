"""`relviz` on the command line, as a user would type it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from relviz import __version__, cli, networks, pretrained
from relviz._errors import ParameterError, WriteError
from relviz.attributions import METHODS
from relviz.cli import data, evaluate, train
from relviz.corpora import CORPORA, PHONES, timit
from relviz.networks import PHONE_CNN, SPEAKER_CNN
from relviz.studies import cues, hand, league, unheard
from relviz.studies import vowels as study
from relviz.training import STANDARD, Recipe

PAGES = (
    [],
    ["evaluate"],
    ["evaluate", "vowels"],
    ["evaluate", "hand"],
    ["evaluate", "phones"],
    ["evaluate", "speakers"],
    ["train"],
    ["train", "phones"],
    ["train", "speakers"],
    ["data"],
    ["data", "status"],
    ["data", "fetch"],
    ["data", "check"],
    ["data", "align"],
    ["data", "synthesise"],
    ["completion"],
)


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_help_is_plain_and_fits(page, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main([*page, "--help"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"Usage: {' '.join(['relviz', *page])}") and printed.err == ""
    assert printed.out.isascii()  # no boxes, no colours, no curly quotes
    assert not [line for line in printed.out.splitlines() if len(line) > 80 or line[-1:] == " "]


def test_help_teaches(capsys):
    for page in PAGES:
        assert cli.main([*page, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "Examples:",
        "--seeds N Untrained networks. (default: 4)",
        "-o, --output FILE Write every cell to FILE, .csv or .parquet.",
        "goes on from the last checkpoint",
        "torchrun",
        "goes on with what is left",
        f"[{', '.join(CORPORA)}] (required)",
        "relviz completion bash",
    ):
        assert words in text


def test_the_recipe_becomes_options_with_its_help_and_the_standards_as_defaults():
    studies = {"phones": train._PHONES, "speakers": train._SPEAKERS, "cues": train._CUES}
    for name, options in studies.items():
        page = cli.app["train"][name].assemble_argument_collection(parse_docstring=True)
        shown = {argument.name: argument.parameter for argument in page}
        names = {field.name for field in fields(Recipe)} - {"study", "architecture"}
        assert {field.name for field in fields(options)} == names
        for field in names:
            option = shown["--" + field.replace("_", "-")]
            assert option.help, f"the docstring of Recipe says nothing of {field}"
            standard = getattr(STANDARD[name], field)
            assert option.show_default == ("all" if standard is None else str(standard))


@pytest.fixture
def trained(monkeypatch):
    """Let nothing be trained; return what would have been."""
    seen = {}

    def gather(corpus, parts, **where):
        seen.update(corpus=corpus, parts=parts, **where)
        return SimpleNamespace(about={"recordings": "none"})

    def run(recipe, data, out, minutes, device, **options):
        seen.update(recipe=recipe, out=out, minutes=minutes, device=device, **options)
        return {}

    monkeypatch.setattr(train.sets, "phones", gather)
    monkeypatch.setattr(train.sets, "speakers", gather)
    monkeypatch.setattr(train.training, "train", run)
    return seen


def test_what_is_not_given_is_the_standard(trained, tmp_path):
    assert cli.main(["train", "phones", "--out", str(tmp_path)]) == 0
    assert trained.pop("recipe") == STANDARD["phones"]
    assert trained == {
        "corpus": "librispeech",
        "parts": ("train-clean-5",),
        "root": None,
        "cache": None,
        "out": tmp_path,
        "minutes": None,
        "device": "auto",
        "progress": True,
        "resume": True,
        "snapshots": (),
    }
    assert cli.main(["train", "speakers", "--out", str(tmp_path)]) == 0
    assert trained["recipe"] == STANDARD["speakers"] and trained["parts"] is None


def test_every_option_arrives(trained, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    line = "--out=~/run --corpus timit --root ~/TIMIT --cache=~/packed --part a --part b --seed 3"
    line += " --minutes 2.5 --optimiser sgd --learning-rate 0.01 --device cpu --restart"
    line += " --snapshots 10 20 --batch-size 8 --subset 7"
    assert cli.main(["train", "phones", *line.split()]) == 0
    assert trained.pop("recipe") == replace(
        STANDARD["phones"],
        seed=3,
        optimiser="sgd",
        learning_rate=0.01,
        batch_size=8,
        subset=7,
    )
    assert trained == {
        "corpus": "timit",
        "parts": ("a", "b"),
        "root": tmp_path / "TIMIT",
        "cache": tmp_path / "packed",
        "out": tmp_path / "run",
        "minutes": 2.5,
        "device": "cpu",
        "progress": True,
        "resume": False,
        "snapshots": (10, 20),
    }


def test_a_known_answer_is_trained_by_its_cue(trained, monkeypatch, tmp_path):
    seen = {}

    def gather(names, tone, **where):
        seen.update(names=names, tone=tone, **where)
        return SimpleNamespace(about={"recordings": "none"})

    monkeypatch.setattr(train.known, "cues", gather)
    assert cli.main(["train", "cues", "--out", str(tmp_path)]) == 0
    assert trained["recipe"] == STANDARD["cues"]
    assert seen == dict(names=("F1",), tone=False, cache=None, progress=True, count=None)
    line = [
        "train",
        "cues",
        "--cue",
        "F0",
        "--cue",
        "tilt",
        "--tone",
        "--vowels",
        "9",
        "--seed",
        "2",
    ]
    assert cli.main([*line, "--out", str(tmp_path)]) == 0
    assert trained["recipe"] == replace(STANDARD["cues"], seed=2)
    assert seen == dict(names=("F0", "tilt"), tone=True, cache=None, progress=True, count=9)


@pytest.mark.slow
def test_a_known_answer_is_trained_scored_and_loaded(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    run = tmp_path / "run"
    line = [
        "train",
        "cues",
        "--cue",
        "noise",
        "--vowels",
        "12",
        "--steps",
        "2",
        "--batch-size",
        "4",
    ]
    assert cli.main([*line, "--out", str(run)]) == 0
    assert "new vowels: utterance accuracy" in capsys.readouterr().out
    net = pretrained.load(run)
    assert net.metadata.study == "cues" and net.metadata.about["cues"] == ["noise"]
    assert "which tells a cue of a generated vowel" in pretrained.card(run)
    assert cli.main(["train", "cues", "--cue", "F9", "--out", str(tmp_path / "other")]) == 1
    assert "the cues are F9: give one or two of F0, F1" in capsys.readouterr().err


def test_the_shuffled_control_is_hindered_by_nothing_but_what_is_given(trained, tmp_path):
    line = ["train", "phones", "--out", str(tmp_path), "--shuffle-labels"]
    free = replace(
        STANDARD["phones"],
        shuffle_labels=True,
        subset=5000,
        weight_decay=0.0,
        dropout=0.0,
        speed=0.0,
    )
    assert cli.main(line) == 0
    assert trained["recipe"] == free
    standard = str(STANDARD["phones"].dropout)
    assert cli.main([*line, "--dropout", standard, "--subset", "9"]) == 0
    assert trained["recipe"] == replace(free, subset=9, dropout=STANDARD["phones"].dropout)


HEAVY = ("torch", "numpy", "pandas", "scipy", "matplotlib", "librosa", "requests", "relviz.corpora")


@pytest.mark.parametrize(
    "line",
    ["--help", "--version", "evaluate -h", "train -h", "data -h", "completion -h", "nonsense", ""],
)
def test_what_answers_at_once_loads_nothing(line):
    code = f"""import sys; from relviz.cli import main; main({line.split()!r})
print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.splitlines()[-1] == ""


@pytest.mark.slow
def test_corpora_need_no_torch():
    code = "import sys; from relviz.cli import main; main(['data', 'fetch', '-h'])"
    code += "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_as_an_installed_command():
    done = subprocess.run(
        [sys.executable, "-m", "relviz.cli", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.strip() == f"relviz {__version__}"


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_learn_commands_options_and_choices(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("evaluate", "phones", "shuffle-labels", "adamw", "mini-librispeech"):
        assert word in script


def test_bash_completes(tmp_path, capsys):
    if not shutil.which("bash"):
        pytest.skip("no bash here")
    assert cli.main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    script += "COMP_WORDS=(relviz train phones --opt) COMP_CWORD=3; _relviz; echo ${COMPREPLY[@]}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--optimiser"]


@pytest.mark.slow
def test_evaluate_vowels(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("RELVIZ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "table2.csv"
    arguments = ["evaluate", "vowels", "--talkers", "1", "--seeds", "1", "--method", "deconvnet"]
    assert cli.main([*arguments, "--jobs", "1", "--full", "-o", str(path)]) == 0
    printed = capsys.readouterr()
    assert "Synthetic speech" in printed.err and "signals x tokens" in printed.err
    assert f"cells in {path}" in printed.err
    for row in ("paper (GBP, TIMIT)", "original recording", "untrained, deconvnet, one window"):
        assert row in printed.out
    table = pd.read_csv(path)
    assert set(table["vowel"]) == {"ah", "eh", "iy", "oa", "uw", "mean"}
    assert table["accuracy"].between(0, 1).all()
    # the same table in the other form, computed once
    monkeypatch.setattr(study, "table2", lambda *_, **__: table)
    assert cli.main([*arguments, "-o", str(path.with_suffix(".parquet"))]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(path.with_suffix(".parquet")), table)
    assert list(tmp_path.glob("*.part")) == []


@pytest.mark.slow
def test_trained_networks_stand_beside_controls_of_their_own_shape(monkeypatch, tmp_path, capsys):
    seen, searched = {}, []

    def table2(signals, corpus, settings, **options):
        seen.update(signals)
        searched.append((settings.f0_floor, settings.f0_ceiling))
        return study.score(study.estimates({"original": study.original}, corpus, jobs=1))

    monkeypatch.delenv("RELVIZ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(study, "table2", table2)
    few = ["evaluate", "vowels", "--talkers", "1", "--seeds", "2", "--network"]
    assert cli.main([*few, "phones"]) == 0
    for name, count in (("phones", 3), ("phones-shuffled", 3), ("untrained", 2)):
        assert len(seen[f"{name}, GBP, hop 97"]) == len(seen[f"{name}, gradient, hop 97"]) == count
    assert seen["untrained, GBP, hop 97"][0].net.architecture == PHONE_CNN
    seen.clear()
    assert cli.main([*few, "speakers", "--floor", "60", "--ceiling", "300"]) == 0
    assert searched == [(75.0, 500.0), (60.0, 300.0)]
    assert seen["untrained, GBP, hop 97"][0].net.architecture == SPEAKER_CNN
    assert "phones-shuffled, GBP, hop 97" not in seen
    assert len(seen["speakers-shuffled, GBP, hop 97"]) == 1
    capsys.readouterr()
    assert "'lime' is unknown: use one of guided" in refused(
        [*few, "phones", "--method", "lime"], capsys
    )
    assert "one at a time" in refused([*few, "phones", "--network", "speakers"], capsys)
    assert "nowhere is not there" in refused([*few, "nowhere"], capsys)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert f"{tmp_path / 'nowhere'} is not there" in refused([*few, "~/nowhere"], capsys)


def test_the_help_names_every_method(capsys):
    assert cli.main(["evaluate", "vowels", "--help"]) == 0
    text = " ".join(re.sub(r"[│\s]+", " ", capsys.readouterr().out).split())
    for name in METHODS:
        assert name in text


def refused(arguments, capsys):
    assert cli.main(arguments) == 1
    message = capsys.readouterr().err
    assert message.startswith("relviz: ") and message.count("\n") == 1
    return message


def test_refusals_are_one_sentence(monkeypatch, tmp_path, capsys):
    vowels = ["evaluate", "vowels", "-o"]
    assert "neither .csv nor .parquet" in refused([*vowels, "table.xls"], capsys)
    assert "no is not there): choose" in refused([*vowels, str(tmp_path / "no" / "t.csv")], capsys)
    (tmp_path / "t.csv").mkdir()
    assert "(it is a folder)" in refused([*vowels, str(tmp_path / "t.csv")], capsys)
    monkeypatch.setenv("RELVIZ_DATA", str(tmp_path / "nowhere"))
    assert "nowhere" in refused(["data", "status"], capsys)
    recipe = refused(["train", "phones", "--out", str(tmp_path), "--batch-size", "0"], capsys)
    assert recipe == "relviz: batch_size is 0: give 1 or more.\n"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("dat", 'Unknown command "dat". Did you mean "data"?'),
        ("evaluate vowels --seeds 0", 'Invalid value "0" for --seeds. Must be >= 1; see'),
        ("evaluate vowels --sedes 3", "Unknown option: --sedes. Did you mean --seeds?"),
        ("evaluate vowels --no-full", "Unknown option: --no-full."),
        ("train phones", "--out requires an argument; see relviz train phones --help.\n"),
        ("train phones run", "--out requires an argument"),
        ("train phones --out x --optimiser rms", 'Choose from: "adam", "adamw", "sgd"; see'),
        ("train phones --out x --steps 3 --minutes 1", "exclusive arguments: {--minutes, --steps}"),
        ("train phones --out x --minutes nan", 'Invalid value "nan" for --minutes.'),
        ("data fetch all", ", ".join(f'"{name}"' for name in CORPORA) + "; see relviz"),
        ("data status now", "'now' is more than this command takes; see relviz data status"),
        ("completion tcsh", 'Choose from: "bash", "zsh", "fish"; see relviz completion --help.'),
    ],
)
def test_lines_that_cannot_be_read_are_told_from_refusals(line, answer, capsys):
    assert cli.main(line.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("relviz: ") and answer in printed.err
    assert printed.err.count("\n") == 1 and printed.err.endswith(" --help.\n")


@pytest.mark.parametrize("line", [[], ["evaluate"], ["train"], ["data"]])
def test_a_group_alone_shows_its_page_and_is_no_command(line, capsys):
    assert cli.main(line) == 2
    assert "Commands:" in capsys.readouterr().out


def test_a_bug_shows_itself(monkeypatch, capsys):
    def fail(error):
        def status():
            raise error

        monkeypatch.setattr(data.registry, "status", status)

    fail(ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["data", "status"])
    fail(ParameterError("This cannot be."))
    assert refused(["data", "status"], capsys) == "relviz: This cannot be.\n"
    fail(PermissionError(13, "Permission denied", "speech"))
    assert "Permission denied: 'speech'" in refused(["data", "status"], capsys)


def test_interrupt(monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(data.registry, "status", stop)
    assert cli.main(["data", "status"]) == 130
    assert capsys.readouterr().err == "relviz: stopped.\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_system_that_ends_it_is_heard(number, status, monkeypatch, capsys):
    """What the command had begun is left as after Ctrl-C."""
    left = []

    def work():
        try:
            os.kill(os.getpid(), number)
            time.sleep(60)
        finally:
            left.append("tidied")

    monkeypatch.setattr(data.registry, "status", work)
    before = signal.getsignal(number)
    assert cli.main(["data", "status"]) == status
    assert capsys.readouterr().err == "relviz: stopped.\n" and left == ["tidied"]
    assert signal.getsignal(number) == before


def test_a_table_is_printed_before_it_is_written(monkeypatch, tmp_path, capsys):
    """A disk that fills up meanwhile takes nothing from the reader."""

    def full(table, path):
        raise WriteError(f"{path} cannot be written (no space left on device): make room.")

    monkeypatch.setattr(study, "table2", lambda *_, **__: study.paper().assign(signal="ours"))
    monkeypatch.setattr(evaluate, "_write", full)
    out = tmp_path / "table.csv"
    assert cli.main(["evaluate", "vowels", "--talkers", "1", "-o", str(out)]) == 1
    printed = capsys.readouterr()
    assert "F0" in printed.out and printed.err.endswith("(no space left on device): make room.\n")


def test_an_output_that_cannot_be_written_is_named_before_the_work(tmp_path, capsys):
    (tmp_path / "file").touch()
    for output, why in (
        (tmp_path / "file" / "table.csv", "(not a directory)"),
        (tmp_path / "table.txt", "ends in neither"),
        (tmp_path / f"{'x' * 300}.csv", "cannot be written (file name too long)"),
    ):
        assert why in refused(["evaluate", "vowels", "-o", str(output)], capsys)


def test_what_needs_a_licence_is_not_fetched(capsys):
    assert refused(["data", "fetch", "timit"], capsys) == (
        "relviz: TIMIT (Garofolo et al., 1993) is not downloaded, as it needs a licence (LDC93S1, "
        "from the Linguistic Data Consortium): name the folder of your own copy.\n"
    )


def test_data_status(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("RELVIZ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cli.main(["data", "status"]) == 0
    assert "aev: no recordings, synthetic speech stands in" in capsys.readouterr().out


def test_a_failed_write_leaves_no_half_table(tmp_path, monkeypatch):
    def full(table, path, **_):
        path.write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(OSError, match="No space"):
        evaluate._write(pd.DataFrame({"a": [1]}), tmp_path / "t.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_printed_is_shown_as_it_is(monkeypatch, tmp_path, capsys):
    place = tmp_path / os.fsdecode(b"caf\xe9\x1b[2J")
    monkeypatch.setattr(data.registry, "fetch", lambda *_, **__: place)
    assert cli.main(["data", "fetch", "aev"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"aev is in {tmp_path}/caf\\udce9\\x1b[2J"


@pytest.mark.slow
def test_phone_networks_are_scored_on_whom_they_never_heard(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("RELVIZ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    few = ["--steps", "1", "--batch-size", "8", "--device", "cpu", "--corpus", "synthetic"]
    networks = []
    for fold in "02":
        run = tmp_path / fold
        assert cli.main(["train", "phones", *few, "--fold", fold, "--out", str(run)]) == 0
        networks += ["--network", str(run)]
    capsys.readouterr()
    table = tmp_path / "speakers.csv"
    line = ["evaluate", "phones", *networks, "--corpus", "synthetic", "-o", str(table)]
    assert cli.main(line) == 0
    printed = capsys.readouterr()
    assert "all in turn" in printed.out and "lowest" in printed.out
    assert "Not scored against labels by hand: TIMIT's sample is not here" in printed.err
    found = pd.read_csv(table)
    assert len(found) == found["speaker"].nunique() == 4  # of 12 voices
    assert cli.main(["train", "phones", *few, "--fold", "7", "--out", "x"]) == 2
    assert 'Invalid value "7" for --fold' in capsys.readouterr().err


def test_networks_of_other_phones_are_not_held_against_hand_labels(monkeypatch, capsys):
    """Those that learnt from TIMIT tell 39 other classes apart."""
    row = dict(network="mine", speaker="a", utterances=1, accuracy=0.5, error=0.6, control=False)
    monkeypatch.setattr(unheard, "by_speaker", lambda *_, **__: pd.DataFrame([row]))
    asked = []

    def frames(networks, *_, **__):
        asked.extend(networks)
        columns = ["labels", "closures", "phones", "frames", "accuracy", "low", "high"]
        return pd.DataFrame([["mine", "stop", "all", 9, 0.5, 0.4, 0.6]], columns=columns)

    monkeypatch.setattr(hand, "frames", frames)
    for classes, heard in ((timit.PHONES_39, []), (PHONES, ["mine"])):
        net = SimpleNamespace(metadata=SimpleNamespace(classes=classes))
        monkeypatch.setattr(pretrained, "load", lambda _, net=net: net)
        assert cli.main(["evaluate", "phones", "--network", "mine"]) == 0
        assert asked == heard
    assert "40.0%" in capsys.readouterr().out


OWN = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.top = nn.Conv1d(1, 4, 80, 40), nn.BatchNorm1d(4), nn.Linear(4, 3)
    def forward(self, x):
        assert x.shape[1:] == (1, 16000)
        return self.top(nn.functional.leaky_relu(self.norm(self.conv(x))).mean(-1))
net = Net()
def plain(x): return x[:, :3]
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A network of one's own, of two seconds at 8 kHz, which says nothing of itself."""
    (tmp_path / "evaluated_of_tests.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RELVIZ_DATA", raising=False)
    return ["--network", "evaluated_of_tests:net", "--talkers", "1", "--jobs", "1"]


def heard_of(monkeypatch, study, name):
    """What a study is asked, which then ends the command."""
    found = {}

    def taken(*args, **kwargs):
        found.update(args=args, **kwargs)
        raise ParameterError("enough.")

    monkeypatch.setattr(study, name, taken)
    return found


def test_cues_are_asked_of_a_network_of_ones_own(own, monkeypatch, capsys):
    found = heard_of(monkeypatch, cues, "effects")
    line = ["evaluate", "cues", *own, "--network", "phones-0"]
    assert "does not say how many samples it hears: give window (--window)" in refused(line, capsys)
    rated = [*line, "--rate", "8000", "--window", "16000", "--normalise", "none"]
    assert cli.main(rated) == 1
    nets = found["args"][0]
    name = "evaluated_of_tests:net"
    assert list(nets) == [name, "phones-0", f"untrained, as {name}", "untrained, as phones-0"]
    for each in (name, f"untrained, as {name}"):
        assert (nets[each].sample_rate, nets[each].window) == (8000, 16000)
        assert nets[each].normalise == "none"
        assert nets[each](torch.zeros(2, 16000)).shape == (2, 3)
    assert nets["phones-0"].metadata.sample_rate == 16000  # what it says itself stays


def test_vowels_are_asked_of_a_network_of_ones_own(own, monkeypatch, capsys):
    given = ["evaluate", "vowels", *own, "--rate", "8000", "--window", "16000", "--seeds", "2"]
    found = heard_of(monkeypatch, study, "table2")
    assert cli.main([*given, "--method", "gradient"]) == 1
    rows = found["args"][0]
    assert [each.sample_rate for each in rows["untrained, gradient, hop 97"]] == [8000, 8000]
    (mine,) = rows["evaluated_of_tests:net, gradient, one window"]
    assert (mine.sample_rate, mine.net.window) == (8000, 16000)
    plain = ["evaluate", "vowels", "--network", "evaluated_of_tests:plain", "--window", "400"]
    capsys.readouterr()
    assert cli.main(plain) == 1
    assert "has no layers of which a copy could be made" in capsys.readouterr().err
    both = [*given, "--network", "phones"]
    assert "differ in architecture or classes" in refused(both, capsys)


@pytest.mark.slow
def test_one_cue_at_a_time_is_asked_of_a_network(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("RELVIZ_DATA", raising=False)
    path = tmp_path / "effects.csv"
    line = ["evaluate", "cues", "--network", "phones-0", "--talkers", "1", "--jobs", "1"]
    assert cli.main([*line, "-o", str(path)]) == 0
    printed = capsys.readouterr()
    assert "phones-0" in printed.out and "untrained, as phones-0" in printed.out
    assert "resynthesis, nothing changed" in printed.out and cues.OTHER in printed.out
    found = pd.read_csv(path)
    assert found["talker"].nunique() == 2 and found["nats"].gt(0).any()
    assert cli.main([*line, "-o", str(tmp_path / "effects.txt")]) == 1
    assert "effects.txt ends in neither .csv nor .parquet" in capsys.readouterr().err


@pytest.mark.slow
def test_the_league_goes_on_where_it_was(monkeypatch, tmp_path, capsys):
    nets = {
        f"{kind}-0": networks.build(networks.PHONE_CNN, 4, n)
        for n, kind in enumerate(("cues-F1", "cues-F2", "untrained"))
    }
    monkeypatch.setattr(league, "known", lambda: nets)
    path = tmp_path / "league.csv"
    line = ["evaluate", "league", "--family", "bands", "--jobs", "1", "-o", str(path)]
    assert cli.main(line) == 0
    printed = capsys.readouterr().out
    assert "band taken away" in printed and ("(0/1)" in printed or "(1/1)" in printed)
    first = pd.read_csv(path)
    assert len(first) == 6
    first.assign(F1=[5.0, 5.0, 1.0, 1.0, 1.0, 1.0]).to_csv(path, index=False)
    assert cli.main(line) == 0
    assert "100% (1/1)" in capsys.readouterr().out  # of what was there
    assert cli.main([*line[:3], "nonsense"]) == 1
    assert (
        "no family of measures is called 'nonsense': use one of guided" in capsys.readouterr().err
    )


@pytest.mark.slow
def test_a_speaker_network_is_asked_again_through_other_channels(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("RELVIZ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    chosen = ["--corpus", "synthetic", "--one-each"]
    few = ["--steps", "2", "--batch-size", "8", "--device", "cpu", "--out", str(tmp_path / "run")]
    assert cli.main(["train", "speakers", *chosen, *few]) == 0
    table, every = tmp_path / "table.csv", tmp_path / "answers.csv"
    asked = ["evaluate", "speakers", "--network", str(tmp_path / "run")]
    capsys.readouterr()
    assert cli.main([*asked, "-o", str(table), "--answers", str(every)]) == 0
    printed = capsys.readouterr().out
    for words in ("as recorded", "one spectrum", "telephone", "untrained", "within the sex"):
        assert words in printed
    assert pd.read_csv(table)["right_low"].between(0, 1).all()
    answers = pd.read_csv(every)
    assert len(answers) == 12 * 3 * 2 and answers["speaker"].nunique() == 12
    several = ["--corpus", "synthetic", "--corpus", "timit", "--out", str(tmp_path / "no")]
    assert refused(["train", "phones", *several], capsys) == (
        "relviz: phones are learnt from one corpus, not synthetic, timit: name one.\n"
    )
    assert "does not say which corpora it learnt from" in refused(
        ["evaluate", "speakers", "--network", "phones"], capsys
    )
