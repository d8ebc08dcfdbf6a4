"""`relviz` on the command line: a thin skin over studies and corpora."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

from relviz import __version__

EVALUATE_VOWELS = """\
Table 2 of Muckenhirn et al. (2019): how often F0, F1 and F2 of a signal lie within one standard
deviation of what was measured by hand, on the American English Vowels. Every row stands beside
its ceiling (the original recording) and its controls (untrained networks, the plain gradient).
Cells read: mean accuracy in percent [95 % interval over talkers] (lowest-highest over seeds).
"""

EXAMPLES = """\
examples:
  relviz data status                         what recordings are here
  relviz data fetch aev                      download the American English Vowels (about 22 MB)
  relviz evaluate vowels                     Table 2 with its controls, some minutes
  relviz evaluate vowels --talkers 10        a quick look: ten men and ten women
  relviz evaluate vowels -o table2.csv       every cell, with intervals, as CSV (or .parquet)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1 for a refusal, 130 for Ctrl-C."""
    parser = _parser()
    options = parser.parse_args(arguments)
    from relviz.corpora import CorpusError

    try:
        options.run(options)
    except (CorpusError, ValueError, OSError) as error:
        print(f"relviz: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("relviz: stopped.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="relviz",
        description="See what a network that hears raw speech listens to.",
        epilog=EXAMPLES,
        formatter_class=raw,
    )
    parser.add_argument("--version", action="version", version=f"relviz {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    evaluate = commands.add_parser("evaluate", help="score relevance signals against known answers")
    studies = evaluate.add_subparsers(title="studies", required=True, metavar="STUDY")
    vowels = studies.add_parser(
        "vowels",
        help="Table 2: F0 and formants on the American English Vowels",
        description=EVALUATE_VOWELS,
        formatter_class=raw,
    )
    vowels.add_argument(
        "--seeds", type=_positive, default=4, metavar="N", help="untrained networks (default 4)"
    )
    vowels.add_argument(
        "--talkers", type=_positive, metavar="N", help="only the first N men and N women"
    )
    vowels.add_argument(
        "--full", action="store_true", help="also print the paper's layout, vowel by vowel"
    )
    vowels.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write every cell to FILE, .csv or .parquet",
    )
    vowels.add_argument(
        "--jobs", type=int, default=-1, metavar="N", help="worker processes (default: all cores)"
    )
    vowels.set_defaults(run=_evaluate_vowels)

    data = commands.add_parser("data", help="recordings: what is here, and fetching them")
    actions = data.add_subparsers(title="actions", required=True, metavar="ACTION")
    status = actions.add_parser(
        "status", help="say for each corpus where it was found and whether its files are right"
    )
    status.set_defaults(run=_data_status)
    fetch = actions.add_parser(
        "fetch",
        help="download a corpus, checked by SHA-256",
        description="Download what is missing or wrong of a corpus into the user's cache. Stopped "
        "halfway, the same command goes on with what is left.",
    )
    fetch.add_argument(
        "corpus",
        choices=["aev", "mini-librispeech"],
        help="aev: American English Vowels (22 MB); mini-librispeech: LibriSpeech's train-clean-5 "
        "(332 MB)",
    )
    fetch.add_argument("--folder", type=Path, help="put it there instead of the user's cache")
    fetch.set_defaults(run=_data_fetch)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _evaluate_vowels(options: argparse.Namespace) -> None:
    from dataclasses import replace

    import pandas as pd

    from relviz import corpora
    from relviz.studies import vowels

    if options.output:
        _writable(options.output)
    corpus = corpora.vowels()
    if options.talkers:
        kept = {
            talker
            for sex in "MF"
            for talker in sorted({t.talker for t in corpus.tokens if t.sex == sex})[
                : options.talkers
            ]
        }
        corpus = replace(corpus, tokens=tuple(t for t in corpus.tokens if t.talker in kept))
    print(corpus.source.describe(), file=sys.stderr)
    table = vowels.table2(
        vowels.standard_signals(seeds=options.seeds), corpus, jobs=options.jobs, progress=True
    )
    if options.output:
        _write(table, options.output)
    everything = pd.concat([vowels.paper(), table], ignore_index=True)
    if options.full:
        print(vowels.layout(everything).to_string(float_format="{:.1f}".format), end="\n\n")
    print(vowels.summary(everything).to_string())
    if options.output:
        print(f"{len(table)} cells in {options.output}", file=sys.stderr)


def _writable(path: Path) -> None:
    """Refuse an output before the work, not after it."""
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{path} ends in neither .csv nor .parquet: choose one of the two.")
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent} is not a folder: make it first.")


def _write(table: pd.DataFrame, path: Path) -> None:
    """Write under a temporary name, then rename, so that no half table is ever there."""
    draft = path.with_name(path.name + ".part")
    if path.suffix == ".csv":
        table.to_csv(draft, index=False)
    else:
        table.to_parquet(draft, index=False)
    draft.replace(path)


def _data_status(options: argparse.Namespace) -> None:
    from relviz import corpora

    for row in corpora.status():
        print(row)


def _data_fetch(options: argparse.Namespace) -> None:
    from relviz import corpora

    folder = corpora.fetch(options.corpus, options.folder, progress=True)
    print(f"{options.corpus} is in {folder}")
    if options.folder:
        print(f"Set RELVIZ_DATA={folder.parent} to use it.")


if __name__ == "__main__":
    sys.exit(main())
