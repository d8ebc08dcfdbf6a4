"""`relviz train`: the paper's networks, by a recipe whose fields are the options."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, fields, make_dataclass, replace
from typing import Annotated, Any, Literal, get_type_hints

from cyclopts import Group, Parameter
from cyclopts.validators import Number, mutually_exclusive

from relviz import training
from relviz._errors import ParameterError
from relviz._text import printable
from relviz.cli.options import Count, File, Folder
from relviz.training import STANDARD, Recipe, parallel, sets

__all__ = ["phones", "speakers"]

_NEEDED = Group("Required", sort_key=0)
_RECORDINGS = Group("Recordings", sort_key=1)
_RECIPE = Group("Recipe", sort_key=2)
_MACHINE = Group("Machine", sort_key=3)
_LENGTH = Group(show=False, validator=mutually_exclusive)
"""--steps or --minutes."""


def _changes(study: Literal["phones", "speakers"]) -> Any:
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


_PHONES, _SPEAKERS = _changes("phones"), _changes("speakers")


@dataclass(frozen=True)
class _Run:
    """What a run is, besides its recipe.

    Parameters
    ----------
    out
        The run's folder, made if need be.
    corpus
        synthetic: a dozen voices with six sentences, for trying out. timit needs --root. May be
        repeated for speakers, who are then told apart together.
    part
        Part of a corpus, may be repeated.
    root
        Where the corpus is.
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


_HINDRANCES = ("weight_decay", "dropout", "speed", "response", "noise", "smoothing", "ema")
"""What keeps a network from learning by heart."""

_FLAT = Parameter(name="*")
"""Fields become options under their own names."""


def phones(
    *,
    run: Annotated[_Run, _FLAT],
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
    how = {"dictionary": dictionary, "fold": fold}
    _train(
        "phones", run, changes, {name: value for name, value in how.items() if value is not None}
    )


def speakers(
    *,
    run: Annotated[_Run, _FLAT],
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
    _train("speakers", run, changes, {"every": None} if one_each else {})


def _train(
    study: Literal["phones", "speakers"], run: _Run, changes: Any, how: dict[str, Any]
) -> None:
    given = {name: value for name, value in asdict(changes).items() if value is not None}
    standard = STANDARD[study]
    if changes.shuffle_labels:  # nothing may hinder learning by heart
        free = dict.fromkeys(_HINDRANCES, 0.0)
        standard = replace(standard, subset=5000, **free)  # type: ignore[arg-type]
    recipe = replace(standard, **given)
    with parallel.process(run.device) as process:
        with process.first_alone():
            where = dict(root=run.root, cache=run.cache, progress=process.first) | how
            if study == "phones":
                if len(run.corpus) > 1:
                    raise ParameterError(
                        f"phones are learnt from one corpus, not {', '.join(run.corpus)}: name one."
                    )
                corpus = run.corpus[0]
                usual = ("train-clean-5",) if corpus == "librispeech" else None
                data = sets.phones(corpus, run.part or usual, **where)
            else:
                data = sets.speakers(run.corpus, run.part or None, **where)
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
