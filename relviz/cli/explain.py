"""`relviz explain`: what a network hears in recordings, as pages or, of a corpus, as a dataset."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from relviz import files
from relviz._errors import ParameterError, RelvizError
from relviz._text import printable
from relviz.cli.options import Count, File

__all__ = ["explain"]

_NETWORK = Group("Network", sort_key=1)
_STRETCH = Group("Of a recording", sort_key=2)
_CORPUS = Group("Of a folder", sort_key=3)
_MACHINE = Group("Machine", sort_key=4)


def explain(
    recordings: Annotated[list[File], Parameter(metavar="FILE")],
    /,
    *,
    out: Annotated[File | None, Parameter(alias="-o", show_default="here, by its name")] = None,
    network: Annotated[str, Parameter(metavar="NAME", group=_NETWORK)] = "phones",
    method: Annotated[str, Parameter(metavar="NAME", group=_NETWORK)] = "guided",
    hop_length: Annotated[Count, Parameter(metavar="N", group=_NETWORK)] = 97,
    rate: Annotated[Count | None, Parameter(metavar="HZ", group=_NETWORK)] = None,
    window: Annotated[Count | None, Parameter(metavar="N", group=_NETWORK)] = None,
    normalise: Annotated[
        Literal["window", "utterance", "none"] | None, Parameter(group=_NETWORK)
    ] = None,
    start: Annotated[float, Parameter(metavar="S", validator=Number(gte=0), group=_STRETCH)] = 0.0,
    seconds: Annotated[
        float | None, Parameter(metavar="S", validator=Number(gt=0), group=_STRETCH)
    ] = None,
    no_effects: Annotated[bool, Parameter(group=_STRETCH)] = False,
    pad: Annotated[bool, Parameter(group=_STRETCH)] = False,
    signals: Annotated[bool, Parameter(group=_CORPUS)] = False,
    scheduler: Annotated[str | None, Parameter(metavar="ADDRESS", group=_CORPUS)] = None,
    prune: Annotated[bool, Parameter(group=_CORPUS)] = False,
    jobs: Annotated[int, Parameter(metavar="N", show_default="-1, all cores", group=_MACHINE)] = -1,
    memory: Annotated[
        float | None,
        Parameter(metavar="GB", show_default="its core's share", group=_MACHINE),
    ] = None,
) -> None:
    """Explain recordings.

    Parameters
    ----------
    recordings
        Recordings, each of which becomes a page; or one folder, whose recordings become a dataset.
    out
        The page; of several recordings, the folder of their pages; of a folder, that of the
        dataset, where the same command goes on after a stop.
    network
        phones, speakers or another shipped network, a run's folder, or module:attribute, a network
        of yours or a function that makes it, in a module that Python finds from here.
    method
        How relevance is found: guided, gradient, deconvnet, "input x gradient",
        "integrated gradients", smoothgrad, "guided smoothgrad", occlusion, gradcam or lrp.
    hop_length
        Samples between windows; it should share no factor with the network's stride.
    rate
        At which the network hears, where it does not say so itself; recordings are resampled.
    window
        Samples the network hears, where it does not say so itself.
    normalise
        What each window goes through before the network, where it does not say so itself.
    start
        Seconds at which the stretch to explain begins.
    seconds
        How long it is, at most 60; all of the recording by default.
    no_effects
        Do not change cues, which takes most of the time.
    pad
        Put zeros around what is shorter than the network's window, in place of refusing it.
    signals
        Also write the relevance signals, as FLAC.
    scheduler
        Of a Dask cluster, such as tcp://10.0.0.1:8786; a cluster on this machine by default.
    prune
        Remove what the dataset has of recordings that are no longer in the folder.
    jobs
        Worker processes on this machine.
    memory
        That each of these may take, in GB; one that takes more is ended. An hour at 16 kHz needs
        1.4.
    """
    from relviz.attributions import find
    from relviz.explanation import asked

    named = cast("Any", method)
    find(named)  # refuses a name that is none
    about = asked(network, sample_rate=rate, window=window, normalise=normalise)
    folders = [each for each in recordings if each.is_dir()]
    if folders:
        if len(recordings) > 1:
            raise ParameterError(
                f"{printable(str(folders[0]))} is a folder: give it alone, or recordings alone."
            )
        if out is None:
            raise ParameterError("a folder becomes a dataset: say where it goes with --out DIR.")
        from relviz.explanation import explain_folder

        done = explain_folder(
            folders[0],
            out,
            about,
            method=named,
            hop_length=hop_length,
            effects=not no_effects,
            signals=signals,
            pad=pad,
            scheduler=scheduler,
            jobs=jobs,
            memory=memory,
            prune=prune,
            say=lambda line: print(line, file=sys.stderr),
            progress=True,
        )
        print(f"{printable(str(out))}: {done.explained} recordings, {done.seconds / 3600:.2f} h")
        if done.failed:
            raise ParameterError(
                f"{done.failed} recordings were not explained: see "
                f"{printable(str(out / 'failures.parquet'))}."
            )
        return
    given: dict[str, Any] = dict(
        method=method,
        hop_length=hop_length,
        start=start,
        seconds=seconds,
        effects=not no_effects,
        pad=pad,
    )
    if len(recordings) == 1:
        target = out or Path(recordings[0].name).with_suffix(".html")
        _page(recordings[0], target, about, given)
        return
    _pages(recordings, out or Path("explained"), about, given)


def _page(recording: Path, target: Path, about: Any, given: dict[str, Any]) -> Any:
    from relviz.explanation import explain as explained

    files.probe(target)
    _say_how_long(recording, about, given)
    found = explained(recording, about, progress=None, **given)
    files.write_text(target, found.html())
    print(f"{printable(str(target))}: {target.stat().st_size / 1e6:.1f} MB")
    return found


def _say_how_long(recording: Path, about: Any, given: dict[str, Any]) -> None:
    from relviz import audio, tasks
    from relviz.explanation.recording import LONGEST, forecast_of
    from relviz.signals import LONG

    try:
        lasts = max(0.0, audio.duration(recording) - given["start"])
    except audio.AudioError:  # which reading it will say better
        return
    lasts = min(lasts, given["seconds"] or lasts, LONGEST)
    seconds = forecast_of(about, lasts, given["method"], given["hop_length"], given["effects"])
    if seconds > LONG:
        print(
            printable(f"{recording.name}: {tasks.lasting(seconds)} of {about.name}"),
            file=sys.stderr,
        )


def _pages(recordings: list[Path], out: Path, about: Any, given: dict[str, Any]) -> None:
    """A page each and an index of them; what cannot be explained is listed there and named."""
    from relviz.explanation._report import index

    files.folder(out)
    rows, failed = [], 0
    taken: set[str] = set()
    for recording in recordings:
        name = recording.stem
        while f"{name}.html" in taken | {"index.html"}:
            name += "-"
        taken.add(f"{name}.html")
        try:
            found = _page(recording, out / f"{name}.html", about, given)
            rows.append((f"{name}.html", recording.name, f"{found.seconds:.1f} s"))
        except RelvizError as error:
            failed += 1
            rows.append(("", recording.name, str(error)))
            print(f"relviz: {error}", file=sys.stderr)
    files.write_text(out / "index.html", index(f"Heard by {about.name}", rows))
    print(printable(str(out / "index.html")))
    if failed:
        raise ParameterError(f"{failed} of {len(recordings)} recordings were not explained.")
