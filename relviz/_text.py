"""Text that came with a file, made inert: it is shown as it stands, and does nothing.

A name out of a file can hold what a terminal obeys, what a browser runs or what Markdown draws.
Each function takes any text to one that shows the same characters there, and those alone.
"""

from __future__ import annotations

import re
import unicodedata
from html import escape

__all__ = ["code", "drawn", "markdown", "printable"]

_OBEYED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode's categories of what is no visible character: controls, turns of direction, halves."""

_BEFORE_A_NAME = re.compile(r"\.(?=[^\W\d_])")
"""The dots of what may be taken for a host's name, such as x.ax."""

_DRAWS = str.maketrans({character: f"\\{character}" for character in "\\`*_[]{}|~$@"})


def printable(text: str) -> str:
    r"""Return text for a terminal: what is no visible character appears as \xNN.

    Parameters
    ----------
    text : str
        Of whatever origin.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> print(printable("AA\x1b[2J\nBB"))
    AA\x1b[2J\x0aBB
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def markdown(text: str) -> str:
    r"""Return text for a place in Markdown, a cell of a table too.

    Parameters
    ----------
    text : str
        Of whatever origin.

    Returns
    -------
    str
        No mark of it draws anything, no tag of it is one, and no address of it a link.

    Examples
    --------
    >>> print(markdown("<img src=x onerror=alert(1)> *now*"))
    &lt;img src=x onerror=alert(1)&gt; \*now\*
    """
    shown = printable(text).translate(_DRAWS).replace("://", ":\\//")
    return escape(_BEFORE_A_NAME.sub(r"\.", shown), quote=False)


def code(text: str) -> str:
    """Return text as code in Markdown, or as plain text where it would end the code.

    Parameters
    ----------
    text : str
        Of whatever origin.

    Returns
    -------
    str
        For a place in Markdown.

    Examples
    --------
    >>> code("relviz.load('phones')")
    "`relviz.load('phones')`"
    """
    plain = text and text == printable(text).strip() and not set(text) & set("`|<>&$")
    return f"`{text}`" if plain else markdown(text)


def drawn(text: str) -> str:
    r"""Return text for a figure: matplotlib sets what stands between dollars as mathematics.

    Parameters
    ----------
    text : str
        Of whatever origin.

    Returns
    -------
    str
        With dollars that are dollars.

    Examples
    --------
    >>> print(drawn("$x_1$"))
    \$x_1\$
    """
    return printable(text).replace("$", r"\$")


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _OBEYED:
        return character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
