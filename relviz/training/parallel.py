"""One process or several under `torchrun`: which one this is, and where it computes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from relviz._errors import ParameterError

__all__ = ["Process", "process"]


@dataclass(frozen=True)
class Process:
    """One process: number `rank` of `size`, computing on `device`.

    Parameters
    ----------
    rank : int
        From 0.
    size : int
        How many there are.
    device : torch.device
        Where this one computes.

    Examples
    --------
    >>> alone = Process(0, 1, torch.device("cpu"))
    >>> alone.first, alone.sum(torch.tensor(3))
    (True, tensor(3))
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Add up a tensor over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Let the first process do something alone, then the others what is left of it."""
        if not self.first:
            dist.barrier()
        yield
        if self.first and self.size > 1:
            dist.barrier()


@contextmanager
def process(device: str = "auto") -> Iterator[Process]:
    """Join the processes that `torchrun` started, if it did; leave them at the end.

    Uses NCCL between GPUs and gloo otherwise. May be nested.

    Parameters
    ----------
    device : str
        "auto" (a GPU if there is one, the one of this process' number if several), or what torch
        calls it.

    Yields
    ------
    Process
        This one.

    Raises
    ------
    ParameterError
        For a device that is not here.

    Examples
    --------
    >>> with process("cpu") as this:
    ...     this.size
    1
    """
    here = _device(device)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Process(0, 1, here)
        return
    joined = dist.is_initialized()
    if not joined:
        dist.init_process_group("nccl" if here.type == "cuda" else "gloo")
    try:
        yield Process(dist.get_rank(), dist.get_world_size(), here)
    finally:
        if not joined:
            dist.destroy_process_group()


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        here = torch.device(name)
        if here.type == "cuda" and here.index is None:
            here = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(here)
        torch.zeros(1, device=here).item()  # which the device "meta" can make, but not say
    except (AttributeError, AssertionError, RuntimeError) as error:  # each by another build
        cuda = ", cpu or cuda" if torch.cuda.is_available() else " or cpu"
        raise ParameterError(f"there is no device {name!r} here: use auto{cuda}.") from error
    return here
