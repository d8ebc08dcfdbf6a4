"""One file over HTTP, from a server that may do anything: bounded in bytes, and in time.

A timeout of a socket is not enough: it begins again with every byte, so that a server that sends
one a second holds a download for days, and one whose body never ends fills the disk.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from relviz._extras import require

require("requests")

import requests
from requests.adapters import HTTPAdapter

__all__ = ["TransferError", "transfer"]

_CHUNK = 1 << 13
_TIMEOUT = 60
"""Seconds without a byte after which a download counts as broken."""

_PATIENCE, _SLOWEST = 60.0, 1000.0
"""Seconds, each of which must bring so many bytes on the average."""


class TransferError(requests.RequestException):
    """A server that answers, but not with the file; the message says what it does.

    Examples
    --------
    >>> TransferError("sends a web page for the file, such as a network's login")
    TransferError("sends a web page for the file, such as a network's login")
    """


def transfer(
    url: str,
    path: Path,
    most: int,
    resume: bool = False,
    arrived: Callable[[int, int, int | None], object] = lambda begun, more, total: None,
) -> None:
    """Download one file.

    Parameters
    ----------
    url : str
        Where it lies.
    path : Path
        Where to; what has arrived stays there after a failure.
    most : int
        Bytes: the server is cut short when it sends more.
    resume : bool
        Go on behind the bytes that are there.
    arrived : callable
        Told of every piece: the bytes that were there before, those that came now, and how many
        there will be, if that is known.

    Raises
    ------
    requests.RequestException
        If it breaks off; `TransferError` for a server that sends too much, too slowly, or a web
        page.
    OSError
        Where the disk says no.

    Examples
    --------
    >>> transfer("nowhere:/x", Path("x.part"), 1)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    requests.exceptions.InvalidSchema: No connection adapters were found
    """
    begun = path.stat().st_size if resume and path.exists() else 0
    if begun > most:
        begun = 0  # whatever this is, it is not the beginning of the file
    asked = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begun}-"} if begun else {})
    with (
        _watched() as (session, brought),
        session.get(url, headers=asked, stream=True, timeout=_TIMEOUT) as answer,
    ):
        if begun and answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is left to send
        answer.raise_for_status()
        if not _goes_on(answer, begun):
            begun = 0
        _write(answer, path, begun, most, lambda *said: (brought(said[1]), arrived(*said)))


def _goes_on(answer: requests.Response, begun: int) -> bool:
    """Whether a server sends what it was asked for, from that byte on."""
    said = answer.headers.get("Content-Range", f"bytes {begun}-")
    return answer.status_code == requests.codes.partial_content and said.startswith(
        f"bytes {begun}-"
    )


def _write(
    answer: requests.Response,
    path: Path,
    begun: int,
    most: int,
    arrived: Callable[[int, int, int | None], object],
) -> None:
    promised = answer.headers.get("Content-Length", "")
    total = begun + int(promised) if promised.isdecimal() else None
    if total is not None and total > most:
        raise TransferError(f"has {total} bytes, where the file has at most {most}")
    pieces = answer.iter_content(_CHUNK)
    first = next(pieces, b"")
    if not begun and _is_page(first):
        raise TransferError("sends a web page for the file, such as a network's login")
    held = begun
    with path.open("ab" if begun else "wb") as file:
        while first:
            if held + len(first) > most:
                raise TransferError(f"goes on beyond the {most} bytes that the file can have")
            file.write(first)
            held += len(first)
            arrived(begun, len(first), total)
            first = next(pieces, b"")


def _is_page(start: bytes) -> bool:
    """Whether this is HTML, such as the login page that a hotel's network puts before all else."""
    return start.lstrip(b"\xef\xbb\xbf \t\r\n")[:9].lower().startswith((b"<!doctype", b"<html"))


@contextmanager
def _watched() -> Iterator[tuple[requests.Session, Callable[[int], None]]]:
    """Give a session that is cut off when it brings too little, and whom to tell what it brought.

    That holds for the head of an answer, too: before it is there, only its socket can be closed.
    """
    adapter, ended, slow = _Adapter(), threading.Event(), threading.Event()
    counts = [0]

    def watch() -> None:
        while not ended.wait(_PATIENCE):
            if counts[0] < _SLOWEST * _PATIENCE:
                slow.set()
                adapter.cut()
            counts[0] = 0

    def brought(count: int) -> None:
        counts[0] += count

    threading.Thread(target=watch, daemon=True).start()
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter)
    try:
        with session:
            yield session, brought
    except OSError as error:  # requests' exceptions are
        if slow.is_set():
            raise _too_slow() from error
        raise
    finally:
        ended.set()
    if slow.is_set():  # the end of a body whose length was not said, as far as requests knows
        raise _too_slow()


def _too_slow() -> TransferError:
    return TransferError(f"sends less than {_SLOWEST / 1000:g} kB a second")


class _Adapter(HTTPAdapter):
    """Knows the sockets of its connections."""

    def __init__(self) -> None:
        super().__init__()
        self._sockets: list[socket.socket] = []

    def get_connection_with_tls_context(self, *given: Any, **how: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*given, **how)
        sockets = self._sockets

        class Connection(type(pool).ConnectionCls):  # type: ignore[misc]
            def connect(self) -> None:
                super().connect()
                sockets.append(self.sock)

        pool.ConnectionCls = Connection
        return pool

    def cut(self) -> None:
        """End all connections at once."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
