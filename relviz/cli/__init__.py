"""`relviz` on the command line: a thin skin over studies, training and corpora.

The commands are functions in the modules beside this one, named here by their place, so that the
pages of `relviz`, `relviz train` ... load nothing but this file. Options come from the functions'
signatures and from the `Recipe` of a training, their help from the docstrings of both.

cyclopts derives them, since it loads a command only when that is chosen, has plain pages with
examples below, and writes completions for bash, zsh and fish. tyro, which brings less along, draws
boxes even into pipes and has neither examples below the options nor `--version`.
"""

from __future__ import annotations

import re
import signal
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from types import FrameType
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError, Group, Parameter, UnusedCliTokensError

from relviz import __version__
from relviz._errors import RelvizError

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions, RenderableType

__all__ = ["app", "main"]

_ABOUT = "See what a network that hears raw speech listens to."

_EXAMPLES = """\
Examples:
  relviz explain speech.wav                 what a network hears in it
  relviz data status                        what recordings are here
  relviz data fetch aev                     the American English Vowels (22 MB)
  relviz evaluate vowels --network phones   Table 2 with its controls, minutes
  relviz evaluate vowels --talkers 10       a quick look: ten men and ten women
  relviz evaluate vowels -o table2.csv      every cell, with intervals
  relviz train phones --out runs/phones     train, score and write the network
  relviz completion bash                    let the tab key know all of this

Every command explains itself: relviz train phones --help
"""

_EXPLAIN = """\
See what a network hears in a recording.

A page of one file, which opens from disk and asks nobody for anything: players
of the recording and its relevance, waveforms, spectrogram and spectral
relevance, F0 and formants of both, the decision over time and what would move
it; beside each the plain gradient, and a network that learnt nothing. Of a
folder, a dataset in Parquet that relviz.results opens.
"""

_EXPLAIN_EXAMPLES = """\
Examples:
  relviz explain speech.wav                 speech.html, by the phone network
  relviz explain speech.wav --network runs/a --method gradient -o a.html
  relviz explain long.flac --start 60 --seconds 20
  relviz explain *.wav --out pages          a page each, and an index
  relviz explain speech.wav --network mine:net --rate 8000 --window 2000
                                            a network of yours, in mine.py
  relviz explain word.wav --network mine:net --method gradient --pad
                                            a word shorter than its window
  relviz explain corpus/ --out heard        a dataset; stopped, it goes on
  relviz explain corpus/ --out heard --scheduler tcp://10.0.0.1:8786
                                            on a Dask cluster
"""

_EVALUATE = "Score relevance signals and networks against known answers."

_EVALUATE_HAND = """\
Phone networks and forced alignment against labels by hand.

On TIMIT's free sample (relviz data fetch timit-sample): the share of frames
in which a network names the phone that a person heard, beside the alignment
that taught it and the phone that is most often right; and how far the
alignment is from boundaries by hand, in milliseconds. The closures of stops
count both ways, with their stops and as silence.
"""

_EVALUATE_VOWELS = """\
Table 2: F0 and formants on the American English Vowels.

Table 2 of Muckenhirn et al. (2019): how often F0, F1 and F2 of a signal lie
within one standard deviation of what was measured by hand. Every row stands
beside its ceiling (the original recording) and its controls (untrained
networks, the plain gradient). Cells read: mean accuracy in percent
[95 % interval over talkers] (lowest-highest over seeds).
"""

_EVALUATE_PHONES = """\
Phone networks on speakers whom their training did not hear.

Frame accuracy and phone error rate of every such speaker, then their means
[95 % interval over speakers], lowest and highest. Networks that left different
speakers out, as the shipped ones and those of relviz train phones --fold do,
are also taken together: all speakers in turn, each by the networks that did
not hear them.
Where TIMIT's sample is at hand, frames against its labels by hand follow, with
the closures of stops both ways.
"""

_EVALUATE_CUES = """\
What does a network listen to? One cue is changed, the rest is held.

On the American English Vowels, or on read speech: F0, one formant or all, the spectral tilt, a
band replaced by noise; then what should not matter, resynthesis with nothing
changed, 3 ms later, another level, other phases; and another vowel of the same
talker. Columns: nats, how far the posteriors move (Kullback-Leibler) [95 %
interval over talkers]; share, of what another vowel moves them; changed,
recordings whose class is another; noise, the nats of noise that has the energy
and the spectrum of the change.
"""

_EVALUATE_LEAGUE = """\
Which measure can tell what a network listens to?

Every measure of the book, and those that audio explanations are commonly scored
by, on networks of which it is known what they use: each tells one cue of
generated vowels, or two, which nothing else tells; beside them untrained ones
and some that learnt shuffled labels. A measure is right about a cue if it is
higher for networks that use it. No recordings are needed; half an hour of a core.
Stopped halfway, the same command with the same -o FILE goes on.
"""

_EVALUATE_SPEAKERS = """\
Is it the voice that a speaker network tells, or how it was recorded?

The utterances that no training heard, within the sessions trained on and
across sessions: as recorded; with one long-term spectrum for all, as if they
had one microphone and room; and through a telephone. Each with how often a
speaker is named rightly [95 % interval over utterances], and how often a
mistake names somebody of the same sex, which voices are mistaken for.
"""

_EVALUATE_EXAMPLES = """\
Examples:
  relviz evaluate vowels                    controls alone
  relviz evaluate vowels --network phones   beside three trained networks and
                                            three that learnt shuffled labels
  relviz evaluate vowels --network runs/a --network runs/b --full
                                            two runs of yours, vowel by vowel
  relviz evaluate vowels --talkers 10 --seeds 1 -o quick.parquet
  relviz evaluate phones --network runs/fold-0 --network runs/fold-1
                                            two folds of yours
  relviz evaluate speakers --answers a.csv  every answer, with its margin
  relviz evaluate hand --network runs/a     a run of yours, by hand labels
  relviz evaluate cues --network phones-1 --talkers 5
                                            what one network listens to
  relviz evaluate cues --network mine:net --rate 8000 --window 16000
                                            a network of yours, in mine.py
  relviz evaluate league --family counterfactual
                                            one way to tell, where it is known
"""

_TRAIN = """\
Train one of the paper's two networks (Table 1) and score it on recordings it
never heard; or a network of which it is known what it listens to.
"""

_TRAIN_PHONES = """\
The network that tells phones apart.

250 ms of waveform to one of 40 classes (39 phones and silence; for TIMIT 39).
Labels come from forced alignment, which is done once and kept. Scores: frame
accuracy and phone error rate on held-out speakers. Speakers that test and
speakers that validate follow from their numbers, before any training. The
shipped networks, three seeds of them, are those of
  relviz train phones --part train-clean-5 --part train-clean-100 --fold 0 \\
                      --out RUN
and phones-fold-1 to phones-fold-4 those of the same with --fold 1 to 4.
"""

_TRAIN_SPEAKERS = """\
The network that tells speakers apart.

500 ms of waveform to one of the speakers. Scores: utterance accuracy within
session (one utterance of ten is held out) and across sessions (other chapters
of known speakers). The shipped networks know 164 people:
  relviz train speakers --corpus librispeech --corpus speechocean762 \\
                        --one-each --out RUN
"""

_TRAIN_CUES = """\
A network of which it is known what it listens to.

250 ms of a generated vowel, whose F0, formants, tilt and band of noise were
drawn independently, to the part of the range in which one of them lies, or two.
Nothing else tells it. With a tone in every second class it can cheat, and is
also scored on vowels that have the tone in the others. No recordings are
needed. The shipped networks, three seeds each, are those of
  relviz train cues --cue F1 --out RUN
  relviz train cues --cue F1 --cue F2 --out RUN
  relviz train cues --cue F3 --tone --out RUN
"""

_TRAIN_EXAMPLES = """\
Examples:
  relviz train {study} --out runs/{study}
      all defaults
  relviz train {study} --minutes 10 --out runs/quick
      as many steps as fit into ten minutes
  relviz train {study} --optimiser sgd --learning-rate 0.01 --out runs/sgd
      a recipe of your own
  relviz train {study} --shuffle-labels --out runs/shuffled
      the control that can only learn by heart: of 5000 frames, without weight
      decay, dropout and variations, unless you give them
  torchrun --nproc-per-node 2 -m relviz.cli train {study} --out runs/two
      each process takes half of every batch

Killed or stopped, the same command goes on from the last checkpoint and ends
with the same weights. RUN then holds model.safetensors, scores.json, log.csv
and recipe.json.
"""

_DATA = "Recordings: what is here, fetching, checking, aligning and making them."

_DATA_STATUS = "Say for each corpus where it was found and whether its files are right."

_DATA_FETCH = """\
Download a corpus, checked by SHA-256; its licence is shown first.

What is missing or wrong of it goes into the user's cache. Stopped halfway, the
same command goes on with what is left. Files without a known SHA-256, as most
of speechocean762's, come unchecked, and that is said.
"""

_DATA_CHECK = """\
Read a corpus once and list what of it can be used.

Durations, sample rates, levels and clipping; files that are missing; words
that no dictionary has, and what the training of phones would leave out for
them; and what cannot be used, and why. The exit status is 1 where something
that is here cannot be used, 0 where it is only missing or left out.
"""

_DATA_ALIGN = """\
Find when each phone is spoken, and write it as TextGrids for Praat.

By forced alignment, which is done once and kept. What has no transcript, or
words that no dictionary has, is left out and named.
"""

_DATA_SYNTHESISE = """\
Write a data set of a lesson's size that may be shared: synthetic vowels.

WAV files with tables of what each is made from, and a card that says which
columns there are: 240 vowels whose cues are independent, and 72 American ones
by six talkers. The same wherever it is made; no recording is needed.
"""

_DATA_EXAMPLES = """\
Examples:
  relviz data status
  relviz data fetch aev
  relviz data fetch mini-librispeech --folder ~/speech/LibriSpeech
  relviz data fetch timit-sample
  relviz data check mini-librispeech --dictionary own.dict
  relviz data align timit-sample --out textgrids
  relviz data synthesise --out lesson

relviz looks for recordings in the folder that the environment variable
RELVIZ_DATA names, then in the user's cache. Without any, synthetic speech
stands in, and every result says so.
"""

_COMPLETION = """\
Print a script with which a shell completes commands and options.

It goes where the shell looks for it, once:
  bash  relviz completion bash > \\
            ~/.local/share/bash-completion/completions/relviz
  zsh   relviz completion zsh > ~/.zfunc/_relviz
            with "fpath+=~/.zfunc" before "compinit" in ~/.zshrc
  fish  relviz completion fish > ~/.config/fish/completions/relviz.fish
New shells know it. bash needs its package bash-completion; without it, add
the script to ~/.bashrc.
"""


_LABEL = 26
"""Letters of an option that leave its help a place beside it."""


class _Plain:
    """Help as columns of text: the same at a terminal, in a pipe and for a screen reader."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        if not panel.entries:
            return
        rows = [(_label(entry), _explained(entry)) for entry in panel.entries]
        column = max([len(label) for label, _ in rows if len(label) <= _LABEL], default=_LABEL) + 4
        console.print(f"\n[bold]{panel.title}:[/bold]", highlight=False)
        for label, text in rows:
            lines = textwrap.wrap(
                text, min(console.width, 100) - column, break_on_hyphens=False
            ) or [""]
            if len(label) > _LABEL:  # it leaves the help no place beside it
                lines.insert(0, "")
            for head, line in zip_longest([label], lines, fillvalue=""):
                out = f"  {head:<{column - 2}}{line}".rstrip()
                console.print(out, markup=False, highlight=False, soft_wrap=True)

    def render_usage(self, console: Console, options: ConsoleOptions, usage: object) -> None:
        console.print(f"Usage: {str(usage).strip()}", markup=False, highlight=False)

    def render_description(
        self, console: Console, options: ConsoleOptions, about: RenderableType
    ) -> None:
        text = "".join(part.text for part in console.render(about))
        lines = [line.rstrip() for line in text.strip().splitlines()]
        console.print("", *lines, sep="\n", markup=False, highlight=False)


def _label(entry: HelpEntry) -> str:
    """Return what is typed: `-o, --output FILE`, `--seeds N`, `CORPUS`."""
    options = ", ".join([*entry.positive_shorts, *entry.positive_names])
    return f"{options} {entry.metavar or ''}".strip() if options else str(entry.positional_label)


def _explained(entry: HelpEntry) -> str:
    """Return an option's help, choices and default as one paragraph."""
    about = str(getattr(entry.description, "primary_renderable", entry.description) or "")
    about = re.sub(r" \[\d+\]_|`", "", about)  # what only the reference page can show
    parts = [" ".join(about.split())]
    if entry.choices:
        parts.append(f"[{', '.join(entry.choices)}]")
    if entry.required:
        parts.append("(required)")
    elif entry.default not in (None, "False", "()"):
        parts.append(f"(default: {entry.default})")
    return " ".join(parts)


def _build() -> App:
    """Name every command, and where it is; nothing of them is loaded."""
    commands = Group("Commands", sort_key=0)
    top = App(
        "relviz",
        help=_ABOUT,
        version=f"relviz {__version__}",
        help_epilogue=_EXAMPLES,
        help_format="plaintext",
        help_formatter=_Plain(),
        group_commands=commands,
        default_parameter=Parameter(negative=()),
        print_error=False,
        exit_on_error=False,
    )

    def group(name: str, about: str, examples: str) -> App:
        made = App(name, help=about, help_epilogue=examples)
        top.command(made)
        return made

    top.command("relviz.cli.explain:explain", help=_EXPLAIN, help_epilogue=_EXPLAIN_EXAMPLES)
    evaluate = group("evaluate", _EVALUATE, _EVALUATE_EXAMPLES)
    evaluate.command("relviz.cli.evaluate:vowels", help=_EVALUATE_VOWELS)
    evaluate.command("relviz.cli.evaluate:cues", help=_EVALUATE_CUES)
    evaluate.command("relviz.cli.evaluate:hand", help=_EVALUATE_HAND)
    evaluate.command("relviz.cli.evaluate:league", help=_EVALUATE_LEAGUE)
    evaluate.command("relviz.cli.evaluate:phones", help=_EVALUATE_PHONES)
    evaluate.command("relviz.cli.evaluate:speakers", help=_EVALUATE_SPEAKERS)
    train = group("train", _TRAIN, _TRAIN_EXAMPLES.format(study="phones"))
    for study, about in (
        ("phones", _TRAIN_PHONES),
        ("speakers", _TRAIN_SPEAKERS),
        ("cues", _TRAIN_CUES),
    ):
        examples = _TRAIN_EXAMPLES.format(study=study)
        train.command(f"relviz.cli.train:{study}", help=about, help_epilogue=examples)
    data = group("data", _DATA, _DATA_EXAMPLES)
    data.command("relviz.cli.data:status", help=_DATA_STATUS)
    data.command("relviz.cli.data:fetch", help=_DATA_FETCH)
    data.command("relviz.cli.data:check", help=_DATA_CHECK)
    data.command("relviz.cli.data:align", help=_DATA_ALIGN)
    data.command("relviz.cli.data:synthesise", help=_DATA_SYNTHESISE)
    top.command("relviz.cli.shells:completion", help=_COMPLETION, help_epilogue="")
    return top


app = _build()
"""All commands, as cyclopts has them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        What a user would type after ``relviz``; by default, what this process was given.

    Returns
    -------
    int
        The exit status: 0; 1 for a refusal, which is one sentence on stderr; 2 for a line that
        cannot be read; 130 for Ctrl-C, 143 for
        SIGTERM, 129 for SIGHUP. A bug comes out as the exception that it is.

    Examples
    --------
    >>> main(["--version"]) == 0
    relviz ...
    True
    """
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command, bound, _ = app.parse_args(tokens)
        with _stopped_softly():
            command(*bound.args, **bound.kwargs)
    except CycloptsError as error:
        print(f"relviz: {_unread(error)}", file=sys.stderr)
        return 2
    except (RelvizError, OSError) as error:
        print(f"relviz: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(f"relviz: {str(stop) or 'stopped.'}", file=sys.stderr)
        return 128 + getattr(stop, "signal", signal.SIGINT)
    # a group alone, as in `relviz data`, is no command, though its page is what helps
    return 2 if command == app.help_print and not {"-h", "--help"} & set(tokens) else 0


class _Stopped(KeyboardInterrupt):
    """The end that a system or a closed terminal asks for, as if it were Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = number


@contextmanager
def _stopped_softly() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does: drafts are removed, workers ended."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stopped(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler == signal.SIG_DFL:  # a handler of somebody's own stays, and so does nohup's
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _unread(error: CycloptsError) -> str:
    """Say in one line what of a command line cannot be read, and which page helps."""
    text = str(error)
    if isinstance(error, UnusedCliTokensError):
        text = f"{' '.join(error.unused_tokens or [])!r} is more than this command takes"
    page = " ".join(["relviz", *(error.command_chain or [])])
    return f"{text.strip().removesuffix('.')}; see {page} --help."
