"""What the engine does between its products, each in one pass over memory, compiled by numba.

The same by torch takes several operations, each of which reads and writes all of it. A function is
compiled when it is first called, in half a second, and kept on disk for other processes where that
can be.

Arrays are (windows, positions, channels), C-contiguous, of float32 or float64, unless they are
described otherwise. None of this holds the interpreter's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["DISABLED", "pool", "scatter", "unpool"]

DISABLED = bool(getattr(numba.config, "DISABLE_JIT", 0))  # its stubs do not know it
"""Whether NUMBA_DISABLE_JIT is set, as for a debugger: loops of Python would take very long."""


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compile, and keep that on disk; where the disk is full or what it kept is broken, do without.

    Every function here may be called again, since it writes all that it returns.
    """
    plain: Any = numba.njit(nogil=True)(function)
    try:
        compiled: Any = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # there is no such folder
        return plain

    def call(*given: Any) -> None:
        nonlocal compiled
        used = compiled
        try:
            used(*given)
        except Exception:  # what can be wrong with a file has many names
            if used is plain:
                raise
            compiled = plain
            plain(*given)

    return call


@cache
def pool(size: int) -> Callable[..., None]:
    """Max-pooling of a size and the rectifier behind it, and where each maximum stood.

    The function that is returned takes what is pooled, and writes to what comes out and to the
    first place of each maximum, uint8. NaN stays NaN. It knows the size when it is compiled, so
    that it takes many channels at a time.
    """

    @_compiled
    def pooled(x: NDArray, rectified: NDArray, places: NDArray) -> None:
        zero = x.dtype.type(0)
        for window in range(rectified.shape[0]):
            for position in range(rectified.shape[1]):
                for channel in range(rectified.shape[2]):
                    most, place = x[window, position * size, channel], np.uint8(0)
                    for k in range(1, size):
                        value = x[window, position * size + k, channel]
                        if value > most or value != value:
                            most, place = value, np.uint8(k)
                    places[window, position, channel] = place
                    rectified[window, position, channel] = zero if most <= 0 else most

    return pooled


@_compiled
def unpool(
    g: NDArray,
    rectified: NDArray,
    places: NDArray[np.uint8],
    spread: NDArray,
    begin: int,
    size: int,
    positive: bool,
    active: bool,
) -> None:
    """The way back through a rectifier and its pooling: gradients at maxima, zeros beside them.

    g: a gradient for each maximum. rectified, places: as `pool` wrote them. spread: written to from
    position `begin` on, `size` positions for each of g's. positive: nothing of gradients of 0 or
    less. active: nothing where the rectifier said 0.
    """
    zero = g.dtype.type(0)
    for window in range(g.shape[0]):
        for position in range(g.shape[1]):
            for k in range(size):
                row = spread[window, begin + position * size + k]
                for channel in range(g.shape[2]):
                    value = g[window, position, channel]
                    closed = (
                        places[window, position, channel] != k
                        or (positive and value <= 0)
                        or (active and rectified[window, position, channel] <= 0)
                    )
                    row[channel] = zero if closed else value


@_compiled
def scatter(
    g: NDArray,
    rectified: NDArray,
    places: NDArray[np.uint8],
    below: NDArray,
    kernels: NDArray,
    size: int,
    positive: bool,
    active: bool,
) -> None:
    """The way back through a rectifier, its pooling and its convolution, for what is let through.

    Rules let few gradients through, and a convolution would multiply the zeros as well.

    g, rectified, places, size, positive, active: as in `unpool`. below: gradients of what the
    convolution hears, written to. kernels: (filters, kernel_size * channels that it hears).
    """
    step, length, total = below.shape[2], kernels.shape[1], g.shape[1] * g.shape[2]
    filters, begins = np.empty(total, np.int64), np.empty(total, np.int64)
    values = np.empty(total, g.dtype)
    for window in range(g.shape[0]):
        # first what is let through, without a branch that the processor could not foresee
        count = 0
        for position in range(g.shape[1]):
            for channel in range(g.shape[2]):
                value = g[window, position, channel]
                filters[count], values[count] = channel, value
                begins[count] = (position * size + places[window, position, channel]) * step
                shut = (positive & (value <= 0)) | (
                    active & (rectified[window, position, channel] <= 0)
                )
                count += 1 - int(shut)
        flat = below[window].reshape(-1)
        flat[:] = 0
        for i in range(count):
            part = flat[begins[i] : begins[i] + length]
            kernel, value = kernels[filters[i]], values[i]
            for k in range(length):
                part[k] += value * kernel[k]
