"""Put trained networks into the package: in half precision, scored again as they are shipped.

python tools/ship.py RUN=phones-0 RUN=phones-1 ... writes relviz/weights/NAME.safetensors. The
recordings that the runs were trained on must be here: run with RELVIZ_DATA set.
"""

import argparse
import json
from dataclasses import fields, replace
from pathlib import Path

from relviz.pretrained import WEIGHTS, TrainedCNN, load
from relviz.training import STANDARD, sets, weights
from relviz.training.data import Data
from relviz.training.score import score_phones, score_speakers

RECORDINGS = {
    "phones": "LibriSpeech: mini LibriSpeech's train-clean-5, and speakers 26 and 27 of "
    "train-clean-100 (68 utterances).",
    "speakers": "LibriSpeech: mini LibriSpeech's train-clean-5 (24 speakers), speakers 26 and 27 "
    "of train-clean-100, ten speakers of test-other with ten utterances each, and 15 utterances of "
    "train-clean-100 for the test across sessions.",
}


def command(net: TrainedCNN) -> str:
    """Write down the command that trains this network: what differs from the standard recipe."""
    study, recipe = net.metadata.study, net.metadata.recipe
    words = [f"relviz train {study}"]
    words += [f"--part {part}" for part in parts(study) or ()]
    for field in fields(STANDARD[study]):
        value = recipe[field.name]
        if field.name in ("study", "architecture") or value == getattr(STANDARD[study], field.name):
            continue
        option = "--" + field.name.replace("_", "-")
        words.append(option if value is True else f"{option} {value}")
    return " ".join([*words, "--out RUN"])


def parts(study: str) -> tuple[str, ...] | None:
    """Name the parts of LibriSpeech that a study's shipped networks are trained on; None, all."""
    return ("train-clean-5", "train-clean-100") if study == "phones" else None


def data(study: str) -> Data:
    """Gather what the shipped networks of a study were trained and are scored on."""
    if study == "phones":
        return sets.phones(parts=parts(study), progress=True)
    return sets.speakers(parts=parts(study), progress=True)


def main() -> None:
    """Round, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+", metavar="RUN=NAME")
    held: dict[str, Data] = {}
    WEIGHTS.mkdir(exist_ok=True)
    for word in parser.parse_args().networks:
        run, _, name = word.rpartition("=")
        net = load(Path(run))
        study = net.metadata.study
        held.setdefault(study, data(study))
        net.half().float()
        score = score_phones if study == "phones" else score_speakers
        scores = score(net, held[study], net.metadata.normalise, progress=True)
        scores["training"] = net.metadata.scores["training"]
        metadata = replace(
            net.metadata,
            scores=scores,
            about={
                **net.metadata.about,
                "recordings": RECORDINGS[study],
                "command": command(net),
            },
        )
        weights.save(net.half(), metadata, WEIGHTS / f"{name}.safetensors")
        print(name, json.dumps({k: v for k, v in scores.items() if k != "training"})[:300])


if __name__ == "__main__":
    main()
