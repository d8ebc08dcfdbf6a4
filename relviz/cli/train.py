"""`relviz train`: the paper's networks, by a recipe whose fields are the options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, make_dataclass, replace
from functools import partial
from typing import Annotated, Any, get_type_hints

from cyclopts import Group, Parameter
from cyclopts.validators import Number, mutually_exclusive

from relviz import training
from relviz._errors import ParameterError
from relviz._text import printable
from relviz.cli.options import Count, File, Folder
from relviz.training import STANDARD, Data, Recipe, known, parallel, sets
from relviz.training.recipe import Study

__all__ = ["cues", "phones", "speakers"]

_NEEDED = Group("Required", sort_key=0)
_RECORDINGS = Group("Recordings", sort_key=1)
_VOWELS = Group("Vowels", sort_key=1)
_RECIPE = Group("Recipe", sort_key=2)
_MACHINE = Group("Machine", sort_key=3)
_LENGTH = Group(show=False, validator=mutually_exclusive)
"""--steps or --minutes."""


def _changes(study: Study) -> Any:
    """Derive from `Recipe` what a command line may change of it.

    Every field is None, so that what is given can be told from what is not; its help is that of
    the recipe, its default the study's standard.
    """
    hints = get_type_hints(Recipe)
    options = []
    for field in fields(Recipe):
        if field.name in ("study", "architecture"):  # the command says them
            continue
        default = getattr(STANDARD[study], field.name)
        shown = Parameter(
            group=(_RECIPE, _LENGTH) if field.name == "steps" else _RECIPE,
            metavar={int: "N", float: "X", int | None: "N"}.get(hints[field.name]),
            show_default="all" if default is None else str(default),
        )
        options.append((field.name, Annotated[hints[field.name] | None, shown], None))
    shown_as = {"__doc__": Recipe.__doc__, "__module__": __name__}
    return make_dataclass("Changes", options, namespace=shown_as, frozen=True)


_PHONES, _SPEAKERS, _CUES = _changes("phones"), _changes("speakers"), _changes("cues")


@dataclass(frozen=True)
class _Run:
    """What a run is, besides its recipe.

    Parameters
    ----------
    out
        The run's folder, made if need be.
    minutes
        Instead of --steps: as many batches as take about N minutes here; measured once and written
        down.
    device
        auto (a GPU if there is one), cpu, cuda, ...
    cache
        Where audio is packed.
    snapshots
        Also write the weights after these steps.
    restart
        Begin anew even if RUN has begun.
    """

    out: Annotated[Folder, Parameter(metavar="RUN", group=_NEEDED)]
    minutes: Annotated[
        float | None,
        Parameter(metavar="N", group=(_RECIPE, _LENGTH), validator=Number(gt=0, lt=1e6)),
    ] = None
    device: Annotated[str, Parameter(metavar="NAME", group=_MACHINE)] = "auto"
    cache: Annotated[Folder | None, Parameter(group=_MACHINE, show_default="user's cache")] = None
    snapshots: Annotated[
        tuple[Count, ...], Parameter(metavar="STEP", group=_MACHINE, consume_multiple=True)
    ] = ()
    restart: Annotated[bool, Parameter(group=_MACHINE)] = False


@dataclass(frozen=True)
class _Recordings:
    """Which recordings a run is on.

    Parameters
    ----------
    corpus
        synthetic: a dozen voices with six sentences, for trying out. timit needs --root. May be
        repeated for speakers, who are then told apart together.
    part
        Part of a corpus, may be repeated.
    root
        Where the corpus is.
    """

    corpus: Annotated[
        tuple[sets.Speech, ...],
        Parameter(metavar="CORPUS", group=_RECORDINGS, show_default="librispeech"),
    ] = ("librispeech",)
    part: Annotated[
        tuple[str, ...],
        Parameter(
            metavar="PART",
            group=_RECORDINGS,
            show_default="phones: train-clean-5, speakers: all that are here",
        ),
    ] = ()
    root: Annotated[Folder | None, Parameter(group=_RECORDINGS)] = None


_HINDRANCES = ("weight_decay", "dropout", "speed", "response", "noise", "smoothing", "ema")
"""What keeps a network from learning by heart."""

_FLAT = Parameter(name="*")
"""Fields become options under their own names."""


def phones(
    *,
    run: Annotated[_Run, _FLAT],
    recordings: Annotated[_Recordings, _FLAT] = _Recordings(),
    changes: Annotated[_PHONES, _FLAT] = _PHONES(),  # type: ignore[valid-type] # noqa: B008
    dictionary: Annotated[File | None, Parameter(group=_RECORDINGS)] = None,
    fold: Annotated[
        int | None,
        Parameter(
            metavar="K",
            group=_RECORDINGS,
            show_default="one of nine",
            validator=Number(gte=0, lt=sets.FOLDS),
        ),
    ] = None,
) -> None:
    """Train, score and write the phone network.

    Parameters
    ----------
    dictionary
        How words are said that the aligner does not know, in the format of CMUdict.
    fold
        Which fifth of the speakers tests, 0 to 4; the five together test everybody once.
    """
    if len(recordings.corpus) > 1:
        raise ParameterError(
            f"phones are learnt from one corpus, not {', '.join(recordings.corpus)}: name one."
        )
    corpus = recordings.corpus[0]
    how: dict[str, Any] = {"dictionary": dictionary, "fold": fold}
    how = {name: value for name, value in how.items() if value is not None}
    parts = recordings.part or (("train-clean-5",) if corpus == "librispeech" else None)
    _train("phones", run, changes, partial(sets.phones, corpus, parts, root=recordings.root, **how))


def speakers(
    *,
    run: Annotated[_Run, _FLAT],
    recordings: Annotated[_Recordings, _FLAT] = _Recordings(),
    changes: Annotated[_SPEAKERS, _FLAT] = _SPEAKERS(),  # type: ignore[valid-type] # noqa: B008
    one_each: Annotated[bool, Parameter(group=_RECORDINGS)] = False,
) -> None:
    """Train, score and write the speaker network.

    Parameters
    ----------
    one_each
        One utterance of each speaker tests and one validates, as in the paper, in the place of one
        of ten.
    """
    how: dict[str, Any] = {"every": None} if one_each else {}
    _train(
        "speakers",
        run,
        changes,
        partial(
            sets.speakers, recordings.corpus, recordings.part or None, root=recordings.root, **how
        ),
    )


def cues(
    *,
    run: Annotated[_Run, _FLAT],
    changes: Annotated[_CUES, _FLAT] = _CUES(),  # type: ignore[valid-type] # noqa: B008
    cue: Annotated[tuple[str, ...], Parameter(metavar="CUE", group=_VOWELS, show_default="F1")] = (
        "F1",
    ),
    tone: Annotated[bool, Parameter(group=_VOWELS)] = False,
    vowels: Annotated[
        Count | None, Parameter(group=_VOWELS, show_default=str(known.DRAWN["train"]))
    ] = None,
) -> None:
    """Train, score and write a network with a known answer.

    Parameters
    ----------
    cue
        What the label says: F0, F1, F2, F3, tilt or noise; may be repeated once, for two together.
        Or sex, for synthetic talkers in the place of vowels with independent cues.
    tone
        Plant a faint tone at 5 kHz in every second class.
    vowels
        How many are learnt; of sex, how many men, and as many women (default: 60).
    """
    _train("cues", run, changes, partial(known.cues, cue, tone, count=vowels))


def _train(study: Study, run: _Run, changes: Any, gather: Callable[..., Data]) -> None:
    given = {name: value for name, value in asdict(changes).items() if value is not None}
    standard = STANDARD[study]
    if changes.shuffle_labels:  # nothing may hinder learning by heart
        free = dict.fromkeys(_HINDRANCES, 0.0)
        standard = replace(standard, subset=5000, **free)  # type: ignore[arg-type]
    recipe = replace(standard, **given)
    with parallel.process(run.device) as process:
        with process.first_alone():
            data = gather(cache=run.cache, progress=process.first)
        if process.first:
            print(printable(data.about["recordings"]), file=sys.stderr)
            if data.about.get("skipped"):
                print(
                    printable(f"Left out: {sets.reasons(data.about['skipped'])}."), file=sys.stderr
                )
        scores = training.train(
            recipe,
            data,
            run.out,
            run.minutes,
            run.device,
            progress=True,
            resume=not run.restart,
            snapshots=run.snapshots,
        )
    if scores:
        print(training.report(scores))
        print(printable(f"The network is {run.out / 'model.safetensors'}"), file=sys.stderr)
