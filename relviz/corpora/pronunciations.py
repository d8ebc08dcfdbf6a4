"""A pronouncing dictionary of one's own, for words that the aligner's lacks or says otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from relviz import audio
from relviz.corpora.corpus import CorpusError
from relviz.corpora.speech import PHONES, read_text

__all__ = ["Pronunciations", "read"]

Pronunciations = Mapping[str, tuple[str, ...]]
"""Word in lower case -> one way to say it or several, each of them phones with spaces between."""


def read(path: Path | str) -> dict[str, tuple[str, ...]]:
    r"""Read a dictionary in the format of CMUdict.

    Parameters
    ----------
    path : Path or str
        A word and its phones a line, "JABBERWOCK  JH AE1 B ER0 W AA2 K"; more ways to say it as
        "JABBERWOCK(2)", in the order of the file. Stress may be marked. Lines that begin with ";;;"
        and what follows " #" are comments.

    Returns
    -------
    dict of str to tuple of str
        Word -> its pronunciations, without stress.

    Raises
    ------
    CorpusError
        By file and line: for a line without phones, an unknown phone, another encoding than UTF-8;
        and for a file that is not there or has no word.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "own.dict"
    >>> _ = path.write_text(";;; mine\nBORO  B ER1 OW0\nBORO(2)  B AH1 R OW0\n")
    >>> read(path)
    {'boro': ('B ER OW', 'B AH R OW')}
    """
    path = Path(path).expanduser()
    name = audio.shown(path)
    if not path.is_file():
        raise CorpusError(f"{name} is not a file: give a dictionary in the format of CMUdict.")
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.startswith(";;;"):
            continue
        word, *phones = re.split(r"(?:^|\s)#", line)[0].split() or [""]
        if not word:
            continue
        plain = [re.sub(r"[012]$", "", phone.upper()) for phone in phones]
        wrong = [
            said for said, phone in zip(phones, plain, strict=True) if phone not in PHONES[:-1]
        ]
        if wrong or not phones:
            what = f"{wrong[0]!r} is no phone of CMUdict" if wrong else f"{word!r} has no phones"
            raise CorpusError(f"{name}, line {number}: {what}; write as in WORD  W ER1 D.")
        key = re.sub(r"\(\d+\)$", "", word).lower()
        found[key] = tuple(dict.fromkeys((*found.get(key, ()), " ".join(plain))))
    if not found:
        raise CorpusError(f"{name} has no word: give a dictionary in the format of CMUdict.")
    return found
