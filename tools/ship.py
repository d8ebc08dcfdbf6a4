"""Put trained networks into the package: in half precision, scored again as they are shipped.

python tools/ship.py RUN=phones-0 RUN=phones-1 ... writes relviz/weights/NAME.safetensors. The
recordings that the runs were trained on must be here: run with RELVIZ_DATA set.
"""

import argparse
import json
from dataclasses import fields, replace
from pathlib import Path

from relviz.corpora import registry
from relviz.pretrained import WEIGHTS, TrainedCNN, load
from relviz.training import STANDARD, known, sets, weights
from relviz.training.data import Data
from relviz.training.score import score_phones, score_utterances

RECORDINGS = {
    "phones": "LibriSpeech: mini LibriSpeech's train-clean-5, and speakers 26 and 27 of "
    "train-clean-100 (68 utterances).",
    "speakers": "LibriSpeech: mini LibriSpeech's train-clean-5 (24 speakers), speakers 26 and 27 "
    "of train-clean-100, ten speakers of test-other with ten utterances each, and 15 utterances of "
    "train-clean-100 for the test across sessions. speechocean762: six utterances of each of its "
    "128 adults.",
    "cues": "none: vowels of relviz.corpora.cued, generated.",
}

CORPORA: dict[str, tuple[sets.Speech, ...]] = {
    "phones": ("librispeech",),
    "speakers": ("librispeech", "speechocean762"),
    "cues": (),
}
"""What the shipped networks of a study are trained and scored on."""

PARTS = ("train-clean-5", "train-clean-100")
"""Of LibriSpeech, for phones: those that have transcripts."""


def command(net: TrainedCNN) -> str:
    """Write down the command that trains this network: what differs from the standard recipe."""
    study, recipe = net.metadata.study, net.metadata.recipe
    words = [f"relviz train {study}"]
    if study == "phones":
        words += [f"--part {part}" for part in PARTS]
    elif study == "cues":
        words += [f"--cue {cue}" for cue in net.metadata.about["cues"]]
        words += ["--tone"] if net.metadata.about["tone"] else []
        if (count := net.metadata.about.get("vowels", usual := known.DRAWN["train"])) != usual:
            words.append(f"--vowels {count}")
    else:
        words += [*(f"--corpus {corpus}" for corpus in CORPORA[study]), "--one-each"]
    if "fold" in net.metadata.about:
        words.append(f"--fold {net.metadata.about['fold']}")
    for field in fields(STANDARD[study]):
        value = recipe.get(field.name, field.default)
        if field.name in ("study", "architecture") or value == getattr(STANDARD[study], field.name):
            continue
        option = "--" + field.name.replace("_", "-")
        words.append(option if value is True else f"{option} {value}")
    return " ".join([*words, "--out RUN"])


def data(net: TrainedCNN) -> Data:
    """Gather what a network was trained and is scored on."""
    study, about = net.metadata.study, net.metadata.about
    if study == "phones":
        return sets.phones(parts=PARTS, progress=True, fold=about.get("fold"))
    if study == "cues":
        return known.cues(about["cues"], about["tone"], progress=True, count=about.get("vowels"))
    return sets.speakers(CORPORA[study], progress=True, every=None)


def credit(study: str) -> str:
    """Name whom the recordings are owed to, as the registry has it."""
    if study == "cues":
        return "vowels that relviz generates"
    names = ("mini-librispeech" if each == "librispeech" else each for each in CORPORA[study])
    return ", and on ".join(registry.CORPORA[name].credit for name in names)


def main() -> None:
    """Round, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+", metavar="RUN=NAME")
    WEIGHTS.mkdir(exist_ok=True)
    for word in parser.parse_args().networks:
        run, _, name = word.rpartition("=")
        net = load(Path(run))
        study, held = net.metadata.study, data(net)
        net.half().float()
        score = score_phones if study == "phones" else score_utterances
        scores = score(net, held, net.metadata.normalise, progress=True)
        scores["training"] = net.metadata.scores["training"]
        metadata = replace(
            net.metadata,
            scores=scores,
            about={
                **held.about,
                "recordings": RECORDINGS[study],
                "command": command(net),
                "credit": credit(study),
            },
        )
        weights.save(net.half(), metadata, WEIGHTS / f"{name}.safetensors")
        print(name, json.dumps({k: v for k, v in scores.items() if k != "training"})[:300])


if __name__ == "__main__":
    main()
