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
from relviz._errors import ParameterError

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
  relviz evaluate vowels --network phones    Table 2 with its controls, some minutes
  relviz evaluate vowels --talkers 10        a quick look: ten men and ten women
  relviz evaluate vowels -o table2.csv       every cell, with intervals, as CSV (or .parquet)
  relviz train phones --out runs/phones      train, score and write the phone network
"""

TRAIN = """\
Train one of the paper's two networks (Table 1) and score it on recordings it never heard.
"""

TRAIN_PHONES = """\
The phone network: 250 ms of waveform to one of 40 classes (39 phones and silence; for TIMIT 39).
Labels come from forced alignment, which is done once and kept. Scores: frame accuracy and phone
error rate on held-out speakers. Speakers that test and speakers that validate follow from their
numbers, before any training.
"""

TRAIN_SPEAKERS = """\
The speaker network: 500 ms of waveform to one of the speakers. Scores: utterance accuracy within
session (one utterance of ten is held out) and across sessions (other chapters of known speakers).
"""

TRAIN_EXAMPLES = """\
examples:
  relviz train {study} --out runs/{study}                   all defaults
  relviz train {study} --minutes 10 --out runs/quick       as many steps as fit into ten minutes
  relviz train {study} --seed 1 --optimiser adamw --weight-decay 0.1 --out runs/regularised
  relviz train {study} --shuffle-labels --out runs/shuffled
                                             the control that can only learn by heart
  torchrun --nproc-per-node 2 -m relviz.cli train {study} --out runs/two
                                             each process takes half of every batch

Killed or stopped, the same command goes on from the last checkpoint and ends with the same
weights. RUN then holds model.safetensors, scores.json, log.csv and recipe.json.
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
    except KeyboardInterrupt as stop:
        print(f"relviz: {str(stop) or 'stopped.'}", file=sys.stderr)
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
        "--network",
        action="append",
        default=[],
        metavar="NAME",
        help="a trained network above its controls, may be repeated: phones (three training seeds, "
        "beside three of the shuffled-label control), speakers, or a run's folder",
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

    train = commands.add_parser("train", help="train a network of Table 1", description=TRAIN)
    trained = train.add_subparsers(title="networks", required=True, metavar="NETWORK")
    for study, about in (("phones", TRAIN_PHONES), ("speakers", TRAIN_SPEAKERS)):
        _train_arguments(
            trained.add_parser(
                study,
                help=f"the network that tells {study} apart",
                description=about,
                epilog=TRAIN_EXAMPLES.format(study=study),
                formatter_class=raw,
            ),
            study,
        )

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


def _train_arguments(parser: argparse.ArgumentParser, study: str) -> None:
    """Declare what `train phones` and `train speakers` understand; None takes the recipe's own."""
    from relviz.training import STANDARD

    standard = STANDARD["phones" if study == "phones" else "speakers"]
    parser.add_argument(
        "--out", type=Path, required=True, metavar="RUN", help="the run's folder, made if need be"
    )
    speech = parser.add_argument_group("recordings")
    speech.add_argument(
        "--corpus",
        choices=["librispeech", "timit", "synthetic"],
        default="librispeech",
        help="default librispeech; synthetic: a dozen voices with six sentences, for trying out",
    )
    speech.add_argument(
        "--part",
        action="append",
        metavar="PART",
        help="part of LibriSpeech, may be repeated "
        f"(default {'train-clean-5' if study == 'phones' else 'all that are here'})",
    )
    speech.add_argument("--root", type=Path, metavar="FOLDER", help="where the corpus is")
    recipe = parser.add_argument_group("recipe")
    length = recipe.add_mutually_exclusive_group()
    length.add_argument(
        "--steps", type=_positive, metavar="N", help=f"at most N batches (default {standard.steps})"
    )
    length.add_argument(
        "--minutes",
        type=float,
        metavar="N",
        help="as many batches as take about N minutes here; measured once and written down",
    )
    recipe.add_argument("--seed", type=int, metavar="N", help="default 0")
    recipe.add_argument("--batch-size", type=_positive, metavar="N", help="windows (default 256)")
    recipe.add_argument(
        "--optimiser", choices=["adam", "adamw", "sgd"], help=f"default {standard.optimiser}"
    )
    recipe.add_argument(
        "--learning-rate", type=float, metavar="X", help=f"default {standard.learning_rate:g}"
    )
    recipe.add_argument("--schedule", choices=["cosine", "constant"], help="default cosine")
    recipe.add_argument(
        "--weight-decay", type=float, metavar="X", help=f"default {standard.weight_decay:g}"
    )
    recipe.add_argument(
        "--dropout",
        type=float,
        metavar="P",
        help=f"of the hidden layer, default {standard.dropout:g}",
    )
    recipe.add_argument(
        "--speed",
        type=float,
        metavar="X",
        help=f"play batches up to X faster or slower, default {standard.speed:g}",
    )
    recipe.add_argument(
        "--normalise",
        choices=["window", "utterance", "none"],
        help="over what samples get zero mean and unit variance (default window)",
    )
    recipe.add_argument("--autocast", choices=["auto", "on", "off"], help="bfloat16 (default auto)")
    recipe.add_argument(
        "--patience",
        type=_positive,
        metavar="N",
        help=f"stop after N validations without gain, default {standard.patience}",
    )
    recipe.add_argument("--subset", type=_positive, metavar="N", help="train on N frames only")
    recipe.add_argument(
        "--shuffle-labels",
        action="store_true",
        default=None,
        help="a control: permute the labels of the subset (default 5000 frames) and memorise them",
    )
    machine = parser.add_argument_group("machine")
    machine.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default auto)")
    machine.add_argument(
        "--cache", type=Path, metavar="FOLDER", help="where audio is packed (default: user's cache)"
    )
    machine.add_argument(
        "--snapshots",
        type=_positive,
        nargs="*",
        default=[],
        metavar="STEP",
        help="also write the weights after these steps",
    )
    machine.add_argument("--restart", action="store_true", help="begin anew even if RUN has begun")
    parser.set_defaults(run=_train, study=study)


def _train(options: argparse.Namespace) -> None:
    from dataclasses import fields, replace

    from relviz import training
    from relviz.training import parallel, sets

    given = {
        field.name: getattr(options, field.name)
        for field in fields(training.Recipe)
        if getattr(options, field.name, None) is not None
    }
    standard = training.STANDARD[options.study]
    if options.shuffle_labels:  # nothing may hinder learning by heart
        standard = replace(standard, subset=5000, weight_decay=0.0, dropout=0.0, speed=0.0)
    recipe = replace(standard, **given)
    with parallel.process(options.device) as process:
        with process.first_alone():
            where = dict(root=options.root, cache=options.cache, progress=process.first)
            if options.study == "phones":
                data = sets.phones(options.corpus, options.part or ("train-clean-5",), **where)
            else:
                data = sets.speakers(options.corpus, options.part, **where)
        if process.first:
            print(data.about["recordings"], file=sys.stderr)
        scores = training.train(
            recipe,
            data,
            options.out,
            options.minutes,
            options.device,
            progress=True,
            resume=not options.restart,
            snapshots=tuple(options.snapshots),
        )
    if scores:
        print(training.report(scores))
        print(f"The network is {options.out / 'model.safetensors'}", file=sys.stderr)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _evaluate_vowels(options: argparse.Namespace) -> None:
    from dataclasses import replace

    import pandas as pd

    from relviz import corpora, networks, pretrained
    from relviz.studies import vowels

    if options.output:
        _writable(options.output)
    trained = {}
    for name in options.network:
        if name in pretrained.SEEDS:
            trained[name] = pretrained.replicates(name)
        else:
            trained[name] = (pretrained.load(name),)
        if name == "phones":
            trained["phones-shuffled"] = pretrained.replicates("phones-shuffled")
    shapes = {(net.architecture, len(net.metadata.classes)) for n in trained.values() for net in n}
    if len(shapes) > 1:
        raise ParameterError(
            f"{', '.join(trained)} differ in architecture or classes, so they have no untrained "
            "control in common: evaluate one at a time."
        )
    architecture, classes = next(iter(shapes), (networks.PHONE_CNN, len(corpora.PHONES)))
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
        vowels.standard_signals(trained, options.seeds, architecture, classes),
        corpus,
        jobs=options.jobs,
        progress=True,
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
        raise ParameterError(f"{path} ends in neither .csv nor .parquet: choose one of the two.")
    if not path.parent.is_dir():
        raise ParameterError(f"{path.parent} is not a folder: make it first.")
    if path.is_dir():
        raise ParameterError(f"{path} is a folder: name a file.")


def _write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as a whole, so that no half one is ever there."""
    from relviz import files

    with files.replacing(path) as draft:
        if path.suffix == ".csv":
            table.to_csv(draft, index=False)
        else:
            table.to_parquet(draft, index=False)


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
