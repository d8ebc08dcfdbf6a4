"""What the explorers share: their scripts, their packed data, and the kernel's side of a talk.

An explorer's data travel in its state, which is in the page: so it answers without a kernel. With
one, its script may ask (`common.js`, whenKernel) and `Explorer.answer` computes.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
from numpy.typing import ArrayLike, NDArray

from relviz._errors import ParameterError

__all__ = [
    "BLOCK",
    "FOLDER",
    "Explorer",
    "pack",
    "script",
    "style",
]

FOLDER = Path(__file__).parent
"""Where the scripts lie."""

BLOCK = 256
"""Samples that share one scale where a signal travels in 8 bits."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+\.js)";$', re.MULTILINE)


def script(name: str) -> str:
    """Return an explorer's ES module as one text: what it imports from its folder put in its place.

    A widget's script comes from no address, so it cannot import its neighbours by name.

    Parameters
    ----------
    name : str
        Its file in `FOLDER`.

    Returns
    -------
    str
        A module that imports nothing.

    Examples
    --------
    >>> any(line.startswith("import ") for line in script("relu.js").splitlines())
    False
    """
    text = (FOLDER / name).read_text()
    return _IMPORT.sub(lambda match: (FOLDER / match[1]).read_text(), text)


def style() -> str:
    """Return the style sheet of all explorers.

    Returns
    -------
    str
        CSS.

    Examples
    --------
    >>> ".relviz" in style()
    True
    """
    return (FOLDER / "common.css").read_text()


def pack(
    about: Mapping[str, Any], signals: Mapping[str, ArrayLike], fine: Collection[str] = ()
) -> bytes:
    """Pack JSON and signals for `unpack` of common.js, small enough to travel in a page.

    Parameters
    ----------
    about : mapping
        What JSON can say.
    signals : mapping of str to array_like, (samples,)
        They travel in 8 bits with a scale for every `BLOCK` samples: an error of at most 1/254 of
        the block's maximum.
    fine : collection of str
        Names of those that travel in 16 bits with one scale.

    Returns
    -------
    bytes
        All together, deflated.

    Examples
    --------
    >>> import numpy as np
    >>> len(pack({"rate": 16000}, {"silence": np.zeros(16000)})) < 300
    True
    """
    layout, parts = [], []
    for name, signal in signals.items():
        samples = np.asarray(signal, dtype=np.float64)
        bits, block = (16, max(1, len(samples))) if name in fine else (8, BLOCK)
        whole, scales = _quantise(samples, bits, block)
        layout.append({"name": name, "bits": bits, "block": block, "count": len(samples)})
        parts += [scales.tobytes(), whole.tobytes()]
    head = json.dumps({"about": about, "layout": layout}, allow_nan=False).encode()
    return zlib.compress(len(head).to_bytes(4, "little") + head + b"".join(parts), 9)


def _quantise(
    samples: NDArray[np.float64], bits: int, block: int
) -> tuple[NDArray, NDArray[np.float32]]:
    """Whole numbers and the scale of each block."""
    top = 2 ** (bits - 1) - 1
    padded = np.pad(samples, (0, -len(samples) % block)).reshape(-1, block)
    scales = (np.abs(padded).max(axis=1) / top).astype(np.float32)
    steps = np.where(scales > 0, scales, 1)[:, None]
    whole = np.clip(np.round(padded / steps), -top, top).ravel()[: len(samples)]
    return whole.astype("<i1" if bits == 8 else "<i2"), scales.astype("<f4")


class Explorer(anywidget.AnyWidget):
    """A widget whose script may ask the kernel: override `answer`.

    Parameters
    ----------
    **state : Any
        The widget's traits to begin with.

    Examples
    --------
    >>> Explorer()
    Explorer()
    """

    def __init__(self, **state: Any) -> None:
        super().__init__(**state)
        self.on_msg(self._receive)

    def __repr__(self) -> str:
        # not the data: a notebook keeps this beside the picture
        return f"{type(self).__name__}()"

    def answer(self, question: dict[str, Any], buffers: list[bytes]) -> tuple[dict, list[bytes]]:
        """Return an answer that JSON can say and its buffers; raise to refuse, in one sentence."""
        raise ParameterError(f"the explorer cannot answer {question.get('ask')!r}.")

    def _receive(self, _: Any, question: dict[str, Any], buffers: list[bytes]) -> None:
        answer: dict[str, Any] = {}
        sent: list[bytes] = []
        if question.get("ask") != "hello":
            try:
                answer, sent = self.answer(question, buffers)
            except KeyboardInterrupt:
                answer = {"error": "The computation was interrupted: choose again to begin anew."}
            except Exception as error:  # the reader sees it; a kernel would only log it
                answer = {"error": str(error) or type(error).__name__}
        self.send({"id": question["id"], **answer}, sent)
