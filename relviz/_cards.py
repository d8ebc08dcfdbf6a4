"""What a file of weights says of itself, checked before anything is made of it.

A safetensors file begins with its header: eight bytes for its length, then JSON with every
tensor's type, shape and place, and our fields, each JSON again. From that alone one can tell
whether the file holds a network of ours, and how large it is; nothing but the header is read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from relviz._errors import ParameterError
from relviz._text import printable
from relviz.audio import SAMPLE_RATE
from relviz.networks import Architecture, geometry
from relviz.signals import Normalise

__all__ = ["LARGEST", "LONGEST", "STUDIES", "CardError", "Contents", "contents"]

STUDIES = ("phones", "speakers", "cues")
"""What a network may have learnt."""

LARGEST = 50_000_000
"""Parameters of a network: 60 times the phone network's, and 200 MB."""

LONGEST = 60 * SAMPLE_RATE
"""Samples of a window."""

_HEADER = 4 << 20
"""Bytes; the shipped networks take 7,000, and 10,000 speakers would take a million."""

_BYTES = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8}


class CardError(ParameterError):
    """The reason, for the middle of a sentence."""


class Contents(NamedTuple):
    """What a file's header says, checked: its network and our fields."""

    architecture: Architecture
    fields: dict[str, Any]


def contents(path: Path) -> Contents:
    """Return what the header of a safetensors file says; raise CardError if any of it cannot be."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise CardError("it is no safetensors file, or was cut off")
        if length > _HEADER:
            raise CardError(f"its header has {length} bytes, more than {_HEADER}")
        header = _mapping(_parsed(file.read(length), "its header"), "its header")
    texts = _mapping(header.pop("__metadata__", {}), "its metadata")
    fields = {name: _parsed(_text(text, name), _named(name)) for name, text in texts.items()}
    architecture = _check(fields)
    _tensors(header, architecture, len(fields["classes"]), size - 8 - length)
    return Contents(architecture, fields)


def _parsed(text: str | bytes, name: str) -> Any:
    """JSON; a name that stands twice would mean one thing here and another elsewhere."""
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, name))
    except CardError:
        raise
    except (ValueError, RecursionError) as error:
        raise CardError(f"{name} is no JSON") from error


def _once(pairs: Sequence[tuple[str, Any]], name: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise CardError(f"{name} says something twice")
    return found


def _check(fields: Mapping[str, Any]) -> Architecture:
    """Hold our fields against what each may be: the one schema of them."""
    for name in ("architecture", "study", "classes"):
        if name not in fields:
            raise CardError(f"{name} is missing")
    architecture = _architecture(fields["architecture"], "architecture")
    for name, value in fields.items():
        if name not in _SCHEMA:
            raise CardError(f"{_named(name)} is no field of this version")
        _SCHEMA[name](value, name)
    recipe = fields.get("recipe", {})
    for name in ("study", "normalise", "architecture"):
        if name in recipe and recipe[name] != fields.get(name, recipe[name]):
            raise CardError(f"{name} is not the recipe's")
    return architecture


def _architecture(value: Any, name: str) -> Architecture:
    said = _mapping(value, name)
    convs = said.get("convs")
    if not isinstance(convs, list) or not 1 <= len(convs) <= 32:
        raise CardError(f"{name}.convs is not a list of 1 to 32 convolutions")
    for i, conv in enumerate(convs):
        at = f"{name}.convs[{i}]"
        _exactly(_mapping(conv, at), ("filters", "kernel_size", "stride"), at)
        for key, number in conv.items():
            _whole(number, f"{at}.{key}", 1, LARGEST)
    _exactly(said, ("convs", "hidden", "window"), name, ("pool",))
    _whole(said["hidden"], f"{name}.hidden", 1, LARGEST)
    _whole(said["window"], f"{name}.window", 1, LONGEST)
    _whole(said.get("pool", 3), f"{name}.pool", 1, LONGEST)
    return Architecture.from_dict(said)


def _classes(value: Any, name: str) -> None:
    _texts(value, name)
    if not value:
        raise CardError(f"{name} is empty")
    for each in value:
        if not each.strip() or each != printable(each):
            raise CardError(f"{name} has {_named(each)!r}, which is no name")
    if len(set(value)) < len(value):
        twice = next(each for each in value if value.count(each) > 1)
        raise CardError(f"{name} has {_named(twice)} twice")


def _sample_rate(value: Any, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value != SAMPLE_RATE:
        raise CardError(f"{name} is {_named(json.dumps(value))}, not {SAMPLE_RATE}")


def _recipe(value: Any, name: str) -> None:
    said = _mapping(value, name)
    for key, each in said.items():
        at = f"{name}.{_named(key)}"
        if key == "architecture":
            _architecture(each, at)
        elif key == "seed":
            _whole(each, at, 0)
        elif key == "shuffle_labels":
            if not isinstance(each, bool):
                raise CardError(f"{at} is neither true nor false")
        elif key in _SCHEMA:
            _SCHEMA[key](each, at)
        elif isinstance(each, (dict, list)):
            raise CardError(f"{at} is not one value")


def _about(value: Any, name: str) -> None:
    for key, each in _mapping(value, name).items():
        at = f"{name}.{_named(key)}"
        if isinstance(each, dict) and "utterances" in each:
            _whole(each["utterances"], f"{at}.utterances", 0)
            _texts(each.get("speakers"), f"{at}.speakers")
        elif key == "skipped":
            for why, count in _mapping(each, at).items():
                _whole(count, f"{at}.{_named(why)}", 0)
        elif key in ("recordings", "rule", "command", "credit"):
            _text(each, at)
        elif key == "cues":
            _texts(each, at)
        elif key == "tone":
            if not isinstance(each, bool):
                raise CardError(f"{at} is neither true nor false")
        elif key == "corpora" or (key == "parts" and each is not None):
            _texts(each, at)
            for part in each:  # they become folders' names
                if not re.fullmatch(r"[A-Za-z0-9_-]+", part):
                    raise CardError(f"{at} has {_named(part)!r}, which is no name")
        elif key == "vowels":
            _whole(each, at, 1)
        elif key == "every" and each is not None:
            _whole(each, at, 2)
        elif key == "fold":
            _whole(each, at, 0)


def _scores(value: Any, name: str) -> None:
    for test, values in _mapping(value, name).items():
        at = f"{name}.{_named(test)}"
        _measures(values, at)
        for who, measured in _mapping(values.get("by_speaker", {}), f"{at}.by_speaker").items():
            _measures(measured, f"{at}.by_speaker.{_named(who)}")
    if "training" in value:
        _training(value["training"], f"{name}.training")


def _measures(value: Any, name: str) -> None:
    for key, each in _mapping(value, name).items():
        if isinstance(each, dict) and "trials" in each:
            _whole(each["trials"], f"{name}.{_named(key)}.trials", 0)
            for part in ("value", "low", "high"):
                _number(each.get(part), f"{name}.{_named(key)}.{part}")


def _training(said: Mapping[str, Any], name: str) -> None:
    for key in ("steps", "seconds", "best_step", "valid_accuracy"):
        _number(said.get(key), f"{name}.{key}")
    log = _mapping(said.get("log", {}), f"{name}.log")
    for key, column in log.items():
        if not isinstance(column, list):
            raise CardError(f"{name}.log.{_named(key)} is no list")
        for each in column:
            _number(each, f"{name}.log.{_named(key)}")
    if len({len(column) for column in log.values()}) > 1:
        raise CardError(f"{name}.log has columns of several lengths")


def _one_of(allowed: Sequence[str]) -> Callable[[Any, str], None]:
    def check(value: Any, name: str) -> None:
        if value not in allowed:
            said = _named(json.dumps(value))
            raise CardError(f"{name} is {said}, none of {', '.join(allowed)}")

    return check


_SCHEMA: Mapping[str, Callable[[Any, str], Any]] = {
    "architecture": _architecture,
    "study": _one_of(STUDIES),
    "classes": _classes,
    "normalise": _one_of(get_args(Normalise)),
    "sample_rate": _sample_rate,
    "recipe": _recipe,
    "about": _about,
    "scores": _scores,
}
"""Field -> what refuses a wrong value of it."""


def _tensors(
    header: Mapping[str, Any], architecture: Architecture, classes: int, data: int
) -> None:
    """Hold the tensors that the header lists against those of the network, and the file's size."""
    wanted = _shapes(architecture, classes)
    count = sum(map(math.prod, wanted.values()))
    if count > LARGEST:
        raise CardError(f"its network has {count} parameters, more than {LARGEST}")
    for name in header:
        if name not in wanted:
            raise CardError(f"{_named(name)} is no tensor of its network")
    taken = 0
    for name, shape in wanted.items():
        if name not in header:
            raise CardError(f"the tensor {name} is missing")
        said = _mapping(header[name], name)
        if said.get("shape") != list(shape):
            found = _named(json.dumps(said.get("shape")))
            raise CardError(f"{name} has the shape {found}, not {list(shape)}")
        if not isinstance(said.get("dtype"), str) or said["dtype"] not in _BYTES:
            raise CardError(f"{name} has numbers of type {_named(json.dumps(said.get('dtype')))}")
        taken += math.prod(shape) * _BYTES[said["dtype"]]
    if taken != data:
        raise CardError(f"it has {data} bytes of weights, not {taken}")


def _shapes(architecture: Architecture, classes: int) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor of `relviz.networks.RawWaveformCNN`, which is not built."""
    try:
        positions = geometry(architecture)[-1].length
    except ParameterError as error:
        raise CardError(f"in its architecture, {str(error).partition(':')[0]}") from error
    shapes: dict[str, tuple[int, ...]] = {}
    channels = 1
    for i, conv in enumerate(architecture.convs):
        shapes |= _pair(f"features.{3 * i}", conv.filters, channels, conv.kernel_size)
        channels = conv.filters
    shapes |= _pair("classifier.0", architecture.hidden, channels * positions)
    return shapes | _pair("classifier.2", classes, architecture.hidden)


def _pair(layer: str, outputs: int, *inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{layer}.weight": (outputs, *inputs), f"{layer}.bias": (outputs,)}


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CardError(f"{_named(name)} is no mapping")
    return value


def _exactly(
    said: Mapping[str, Any], wanted: Iterable[str], name: str, also: Sequence[str] = ()
) -> None:
    for key in wanted:
        if key not in said:
            raise CardError(f"{name}.{key} is missing")
    for key in said:
        if key not in (*wanted, *also):
            raise CardError(f"{name}.{_named(key)} is no field of this version")


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise CardError(f"{_named(name)} is no text")
    return value


def _texts(value: Any, name: str) -> None:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise CardError(f"{name} is no list of texts")


def _number(value: Any, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise CardError(f"{name} is no number")
    if isinstance(value, int) and abs(value) > 1 << 53:
        raise CardError(f"{name} is too large")


def _whole(value: Any, name: str, least: int, most: int = 1 << 53) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise CardError(f"{name} is no whole number")
    if not least <= value <= most:
        raise CardError(f"{name} is not from {least} to {most}")


def _named(text: str) -> str:
    """Words of the file, short enough for a sentence."""
    return text if len(text) <= 60 else f"{text[:57]}..."
