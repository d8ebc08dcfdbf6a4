"""`relviz evaluate`: score relevance signals and networks against known answers."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from cyclopts import Parameter

from relviz import files
from relviz._errors import ParameterError
from relviz._extras import require
from relviz._text import printable
from relviz.cli.options import Count, File, Folder, at_home

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from relviz.asking import Asked
    from relviz.attributions import Method
    from relviz.corpora import Vowel
    from relviz.training import sets

__all__ = ["cues", "hand", "league", "phones", "speakers", "vowels"]

_LISTENERS = (
    *("phones-0", "phones-1", "phones-2", "phones-shuffled-0"),
    *("speakers-0", "speakers-1", "speakers-2", "speakers-shuffled-0"),
    *("cues-sex-0", "crepe"),
)


@dataclass(frozen=True)
class _Unsaid:
    """What networks of yours do not say themselves.

    Parameters
    ----------
    rate
        At which networks of yours hear that do not say so; recordings are resampled.
    window
        Samples that such networks hear; what is shorter stands between zeros.
    normalise
        What each of their windows goes through before.
    """

    rate: Annotated[Count | None, Parameter(metavar="HZ")] = None
    window: Annotated[Count | None, Parameter(metavar="N")] = None
    normalise: Literal["window", "utterance", "none"] | None = None


_NOTHING = _Unsaid()


def _asked(name: str, unsaid: _Unsaid) -> Asked:
    """A trained network by its name, or one of the user's, of which more must be known."""
    from relviz.asking import asked

    if ":" not in name:
        return asked(name)
    return asked(name, sample_rate=unsaid.rate, window=unsaid.window, normalise=unsaid.normalise)


def vowels(
    *,
    network: Annotated[list[str] | None, Parameter(metavar="NAME")] = None,
    unsaid: Annotated[_Unsaid, Parameter(name="*")] = _NOTHING,
    method: Annotated[
        list[str] | None, Parameter(metavar="NAME", show_default="guided and gradient")
    ] = None,
    seeds: Count = 4,
    talkers: Annotated[Count | None, Parameter(show_default="all")] = None,
    floor: Annotated[float, Parameter(metavar="HZ")] = 75.0,
    ceiling: Annotated[float, Parameter(metavar="HZ")] = 500.0,
    full: bool = False,
    output: Annotated[File | None, Parameter(alias="-o")] = None,
    jobs: Annotated[int, Parameter(metavar="N", show_default="-1, all cores")] = -1,
) -> None:
    """Print Table 2 with its controls.

    Parameters
    ----------
    network
        A trained network above its controls, may be repeated: phones or speakers (three training
        seeds, beside those of the shuffled-label control), a run's folder, or module:attribute, a
        network of yours.
    unsaid
        Of networks of yours.
    method
        How relevance is found, may be repeated: guided, gradient, deconvnet, "input x gradient",
        "integrated gradients", smoothgrad, "guided smoothgrad", occlusion, gradcam or lrp.
    seeds
        Untrained networks.
    talkers
        Only the first N men and N women.
    floor
        The lowest F0 that is searched.
    ceiling
        The highest.
    full
        Also print the paper's layout, vowel by vowel.
    output
        Write every cell to FILE, .csv or .parquet.
    jobs
        Worker processes.
    """
    require("pandas")
    import pandas as pd

    from relviz import corpora, networks, pretrained
    from relviz.studies import vowels as study

    if output:
        _writable(output)
    trained: dict[str, Any] = {}
    shapes: set[tuple[Any, int]] = set()
    for name in map(at_home, network or []):
        if name in pretrained.SEEDS:
            trained[name] = pretrained.replicates(name)
        else:
            about = _asked(name, unsaid)
            trained[name] = (about.network,)
            if not isinstance(about.net, pretrained.TrainedCNN):
                shapes.add((name, 0))
                for kind, copy in _controls(about, seeds):
                    trained[kind] = (*trained.get(kind, ()), copy)
                seeds = 0
                continue
        if (control := f"{name}-shuffled") in pretrained.SEEDS:
            trained[control] = pretrained.replicates(control)
        shapes |= {(net.architecture, len(net.metadata.classes)) for net in trained[name]}
    if len(shapes) > 1:
        raise ParameterError(
            f"{', '.join(trained)} differ in architecture or classes, so they have no untrained "
            "control in common: evaluate one at a time."
        )
    architecture, classes = next(iter(shapes), (networks.PHONE_CNN, len(corpora.PHONES)))
    methods = cast("Sequence[Method]", method or ("guided", "gradient"))
    signals = study.standard_signals(trained, seeds, architecture, classes, methods)
    corpus = corpora.vowels()
    if talkers:
        corpus = replace(corpus, tokens=_first(corpus.tokens, talkers))
    print(printable(corpus.source.describe()), file=sys.stderr)
    settings = study.Settings(f0_floor=floor, f0_ceiling=ceiling)
    table = study.table2(signals, corpus, settings=settings, jobs=jobs, progress=True)
    everything = pd.concat([study.paper(), table], ignore_index=True)
    if full:
        print(study.layout(everything).to_string(float_format="{:.1f}".format), end="\n\n")
    print(study.summary(everything).to_string())
    if output:  # last, so that a disk that is full by now takes nothing from the reader
        _write(table, output)
        print(printable(f"{len(table)} cells in {output}"), file=sys.stderr)


def cues(
    *,
    network: Annotated[
        list[str] | None,
        Parameter(metavar="NAME", show_default="phones, speakers, CREPE and controls"),
    ] = None,
    unsaid: Annotated[_Unsaid, Parameter(name="*")] = _NOTHING,
    corpus: Annotated[Literal["aev", "librispeech"], Parameter(metavar="CORPUS")] = "aev",
    talkers: Annotated[Count | None, Parameter(show_default="all")] = None,
    output: Annotated[File | None, Parameter(alias="-o")] = None,
    summary: File | None = None,
    jobs: Annotated[int, Parameter(metavar="N", show_default="-1, all cores")] = -1,
) -> None:
    """Print how far decisions move when one cue is changed.

    Parameters
    ----------
    network
        A trained network, may be repeated: phones-0, speakers-0, cues-F1, crepe, a run's folder, or
        module:attribute, a network of yours. An untrained one of its kind stands beside it.
    unsaid
        Of networks of yours.
    corpus
        aev: the American English Vowels. librispeech: read speech, of the speakers whom the
        phone networks never heard.
    talkers
        Only the first N men and N women of aev.
    output
        Write the effect on every recording to FILE, .csv or .parquet.
    summary
        Write what is printed to FILE, .csv or .parquet.
    jobs
        Worker processes.
    """
    require("pandas", "parselmouth")
    from relviz import corpora, crepe, pretrained
    from relviz.networks import build
    from relviz.studies import cues as study
    from relviz.studies import phones as speech
    from relviz.studies.speakers import flat

    for path in filter(None, (output, summary)):
        _writable(path)
    names = [at_home(name) for name in network or _LISTENERS]
    networks: dict[str, Any] = {}
    controls: dict[str, Any] = {}
    shapes = set()
    for name in names:
        if name == "crepe":
            networks[name] = crepe.load()
            continue
        about = _asked(name, unsaid)
        networks[name] = about.network
        if not isinstance(about.net, pretrained.TrainedCNN):
            for kind, copy in _controls(about, 1):
                controls[f"{kind}, as {name}"] = copy
            continue
        shape = (about.net.architecture, len(about.net.metadata.classes))
        if shape not in shapes:
            shapes.add(shape)
            controls[f"untrained, as {name}"] = build(*shape, seed=0)
    networks |= controls
    if corpus == "aev":
        found = corpora.vowels()
        source = found.source
        recordings = study.of_vowels(_first(found.tokens, talkers))
    else:
        heard = pretrained.load("phones").metadata.about["test"]["speakers"]
        said = speech.unheard(heard)
        source = said.source
        recordings = study.of_speech(said)
    print(printable(source.describe()), file=sys.stderr)
    effects = study.effects(networks, recordings, jobs=jobs, progress=True)
    table = study.table(effects)
    for heard_by, some in table.groupby("network", sort=False):
        shown = some[["change"]].assign(
            nats=[f"{each:.3f}" for each in some["nats"]],
            share=[f"{each:.2f}" for each in some["share"]],
            changed=[f"{each:.0%}" for each in some["changed"]],
            noise=[f"{each.value:.3f}" for each in some["noise nats"]],
        )
        print(f"\n{printable(str(heard_by))}\n")
        print(shown.to_string(index=False))
    if output:
        _write(effects.round(6), output)
    if summary:
        columns = flat(table).round(4)
        columns.insert(0, "corpus", corpus)
        _write(columns, summary)


def league(
    *,
    family: Annotated[
        list[str] | None, Parameter(metavar="NAME", show_default="all of them")
    ] = None,
    output: Annotated[File | None, Parameter(alias="-o")] = None,
    jobs: Annotated[int, Parameter(metavar="N", show_default="-1, all cores")] = -1,
) -> None:
    """Print which measures single out the cue that a network is known to use.

    Parameters
    ----------
    family
        Measures that are taken together, may be repeated, such as "guided, hop 97" or
        counterfactual.
    output
        Write every number to FILE, .csv or .parquet; what is there already is not done again.
    jobs
        Worker processes.
    """
    require("pandas", "parselmouth")
    import pandas as pd

    from relviz.studies import league as study

    unknown = [name for name in family or [] if name not in study.FAMILIES]
    if unknown:
        raise ParameterError(
            f"no family of measures is called {unknown[0]!r}: use one of "
            f"{'; '.join(study.FAMILIES)}."
        )
    done = None
    if output:
        _writable(output)
        if output.is_file():
            read = pd.read_csv if output.suffix == ".csv" else pd.read_parquet
            done = read(output)
    table = study.measure(
        study.known(),
        family,
        jobs=jobs,
        progress=True,
        done=done,
        write=(lambda part: _write(part.round(5), output)) if output else None,
    )
    if family:
        table = table[table["family"].isin(family)]
    print("How often a network that uses a cue scores above one that does not (chance: 50 %),")
    print("and of how many networks that use this cue alone it is above all others:", end="\n\n")
    found = study.right(table)
    found["cell"] = [
        f"{share.value:.0%} ({above}/{of})"
        for share, above, of in zip(found["right"], found["seeds"], found["of"], strict=True)
    ]
    keys = ["family", "measure"]
    shown = found.pivot(index=keys, columns="cue", values="cell")
    order = found[keys].drop_duplicates().itertuples(index=False, name=None)
    columns = [cue for cue in study.COLUMNS if cue in shown]
    print(shown.reindex(list(order))[columns].fillna("-").to_string())
    print("\nWithin one network, how often the highest number is that of its cue:", end="\n\n")
    print(study.named(table).to_string(index=False))


def hand(
    *,
    network: Annotated[
        list[str] | None, Parameter(metavar="NAME", show_default="the three shipped ones")
    ] = None,
    root: Folder | None = None,
    output: Annotated[File | None, Parameter(alias="-o")] = None,
    boundaries: File | None = None,
    jobs: Annotated[int, Parameter(metavar="N", show_default="-1, all cores")] = -1,
) -> None:
    """Print frame accuracies and boundary errors against hand labels.

    Parameters
    ----------
    network
        A trained phone network, may be repeated: phones-0, phones-shuffled-0, a run's folder.
    root
        Where the sample is.
    output
        Write the frame accuracies to FILE, .csv or .parquet.
    boundaries
        Write the boundary errors, by kind, to FILE.
    jobs
        Worker processes.
    """
    require("pandas", "pocketsphinx")
    from relviz import corpora, pretrained
    from relviz.studies import hand as study

    for path in (output, boundaries):
        if path:
            _writable(path)
    networks = {name: pretrained.load(name) for name in map(at_home, network or [])} or None
    corpus = corpora.load("timit-sample", None, root)
    late = study.spread(study.boundaries(corpus, jobs, progress=True))
    print(printable(corpus.source.describe()), file=sys.stderr)
    right = study.frames(networks, corpus, jobs, progress=True)
    wide = right.pivot(index=["labels", "closures"], columns="phones", values="accuracy")
    wide = wide.loc[list(dict.fromkeys(zip(right["labels"], right["closures"], strict=True)))]
    print("Frames whose phone is the one by hand, in percent:", end="\n\n")
    print((100 * wide[right["phones"].unique()]).to_string(float_format="{:.1f}".format))
    print("\nForced alignment, milliseconds from the boundary by hand:", end="\n\n")
    shown = late.assign(within_20=100 * late["within_20"])
    print(shown.to_string(index=False, float_format="{:.1f}".format))
    for path, table in ((output, right), (boundaries, late)):
        if path:
            _write(table.round(4), path)


def phones(
    *,
    network: Annotated[
        list[str] | None,
        Parameter(metavar="NAME", show_default="the shipped ones and a control"),
    ] = None,
    corpus: Annotated[str, Parameter(metavar="CORPUS")] = "librispeech",
    part: Annotated[
        tuple[str, ...], Parameter(metavar="PART", show_default="all with transcripts")
    ] = (),
    root: Folder | None = None,
    cache: Annotated[Folder | None, Parameter(show_default="user's cache")] = None,
    output: Annotated[File | None, Parameter(alias="-o")] = None,
    jobs: Annotated[int, Parameter(metavar="N", show_default="-1, all cores")] = -1,
) -> None:
    """Print how phone networks do on speakers whom they never heard.

    Parameters
    ----------
    network
        A trained phone network, may be repeated: phones-0, phones-fold-1, phones-shuffled-0, a
        run's folder. The shipped ones are three seeds of fold 0 and one of each other fold.
    corpus
        What it was trained on.
    part
        Part of LibriSpeech, may be repeated.
    root
        Where the corpus is.
    cache
        Where audio is packed.
    output
        Write the scores of every speaker to FILE, .csv or .parquet.
    jobs
        Worker processes for the alignment.
    """
    require("pandas")
    from relviz import corpora, pretrained
    from relviz.studies import hand
    from relviz.studies import unheard as study

    if output:
        _writable(output)
    shipped = dict.fromkeys((*pretrained.SEEDS["phones"], *pretrained.FOLDS))
    names = network or [*shipped, pretrained.SEEDS["phones-shuffled"][0]]
    networks = {name: pretrained.load(name) for name in map(at_home, names)}
    speech = cast("sets.Speech", corpus)
    table = study.by_speaker(networks, speech, part or None, root, cache, jobs, progress=True)
    print("Frames whose phone is right, and phone errors, in percent:", end="\n\n")
    shown = table.assign(accuracy=100 * table["accuracy"], error=100 * table["error"])
    print(shown.to_string(index=False, float_format="{:.1f}".format))
    found = study.over_speakers(table)
    for column in ("mean", "lowest", "highest"):
        found[column] = [f"{each:.1%}" for each in found[column]]
    print("\nMeans over speakers, with 95 % intervals:", end="\n\n")
    print(found.to_string(index=False))
    if output:
        _write(table.round(4), output)
    # the 39 of those that learnt from TIMIT are others
    phones = set(corpora.PHONES)
    common = {name: net for name, net in networks.items() if set(net.metadata.classes) == phones}
    if not common:
        return
    try:
        right = hand.frames(common, None, jobs, cache, progress=True)
    except corpora.CorpusError as missing:
        print(printable(f"Not scored against labels by hand: {missing}"), file=sys.stderr)
        return
    right = right[right["phones"] == "all"]
    print("\nFrames whose phone is the one by hand, TIMIT's sample:", end="\n\n")
    for column in ("accuracy", "low", "high"):
        right[column] = [f"{each:.1%}" for each in right[column]]
    print(right.drop(columns="phones").to_string(index=False))


def speakers(
    *,
    network: Annotated[
        list[str] | None,
        Parameter(metavar="NAME", show_default="the shipped ones and a control"),
    ] = None,
    root: Folder | None = None,
    cache: Annotated[Folder | None, Parameter(show_default="user's cache")] = None,
    output: Annotated[File | None, Parameter(alias="-o")] = None,
    answers: File | None = None,
) -> None:
    """Print whether a speaker network tells voices, or how they were recorded.

    Parameters
    ----------
    network
        A trained speaker network, may be repeated: speakers-0, a run's folder.
    root
        Where the corpus is, or the folder that holds all corpora it was trained on.
    cache
        Where audio is packed.
    output
        Write the table to FILE, .csv or .parquet.
    answers
        Write the answer to each utterance to FILE.
    """
    require("pandas")
    from relviz import pretrained
    from relviz.networks import build
    from relviz.studies import speakers as study
    from relviz.training import sets

    for path in (output, answers):
        if path:
            _writable(path)
    names = network or [*pretrained.SEEDS["speakers"], *pretrained.SEEDS["speakers-shuffled"]]
    networks: dict[str, Any] = {name: pretrained.load(name) for name in map(at_home, names)}
    first = next(iter(networks.values()))
    data = sets.speakers_of(first.metadata.about, root, cache, progress=True)
    print(printable(data.about["recordings"]), file=sys.stderr)
    networks["untrained"] = build(first.architecture, len(data.classes), seed=0)
    found = study.voices(networks, data, progress=True)
    table = study.summary(found, data)
    shown = table.copy()
    for column in shown.columns[shown.columns.str.fullmatch("right|within the .*")]:
        shown[column] = [f"{each:.1%}" if each else "" for each in shown[column]]
    print(shown.to_string(index=False, na_rep="", float_format="{:.1%}".format))
    if output:
        _write(study.flat(table).round(4), output)
    if answers:
        _write(found, answers)


def _controls(about: Asked, seeds: int) -> list[tuple[str, Any]]:
    """Copies of a network of the user's that know nothing, with their kind; or a line on stderr."""
    found = [about.control(seed) for seed in range(seeds)]
    if None in found:
        line = (
            f"{about.name} has no layers of which a copy could be made, so no control stands by it."
        )
        print(printable(line), file=sys.stderr)
    return [(each[0], each[1].network) for each in found if each is not None]


def _first(tokens: Sequence[Vowel], talkers: int | None) -> tuple[Vowel, ...]:
    """Keep the tokens of the first so many men and women."""
    kept = {
        talker
        for sex in "MF"
        for talker in sorted({t.talker for t in tokens if t.sex == sex})[:talkers]
    }
    return tuple(t for t in tokens if t.talker in kept)


def _writable(path: Path) -> None:
    """Refuse an output before the work, not after it."""
    if path.suffix not in (".csv", ".parquet"):
        raise ParameterError(f"{path} ends in neither .csv nor .parquet: choose one of the two.")
    files.probe(path)


def _write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as a whole, so that no half one is ever there."""
    with files.replacing(path) as draft:
        if path.suffix == ".csv":
            table.to_csv(draft, index=False)
        else:
            table.to_parquet(draft, index=False)
