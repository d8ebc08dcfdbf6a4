"""How far forced alignment is off, on synthetic speech whose boundaries are known.

    python benchmarks/alignment.py

Prints, over the boundaries between two phones that espeak-ng and the dictionary pronounce alike,
the median and the 90th percentile of |error|, and the median of the error, in milliseconds; then
the share of 10 ms frames of speech that get the same label. Synthetic speech is not human speech:
it is clearer, its voices are strange to the aligner, and its boundaries are the synthesiser's own.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import numpy as np

from relviz.corpora import PHONES, align, frame_labels, spoken, voices
from relviz.corpora.alignment import boundary_errors


def main() -> None:
    """Align every sentence in every voice and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=-1, help="processes (default: all cores)")
    options = parser.parse_args()
    utterances = spoken()
    seconds = sum(len(utterance.wave()) for utterance in utterances) / 16000
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as cache:
        found = align(utterances, options.jobs, cache, progress=True)
    took = time.perf_counter() - begun
    print(
        f"{len(utterances)} utterances, {len(voices())} voices, {seconds:.0f} s of speech: "
        f"{len(found.skipped)} skipped, {took:.0f} s"
    )
    print(f"{'voices':8} {'boundaries':>10} {'median':>7} {'90 %':>7} {'late':>7} {'frames':>7}")
    for group in ("F", "M", "all"):
        errors, agree = [np.empty(0)], [np.empty(0)]
        for utterance in utterances:
            if utterance.name not in found.spans or utterance.spoken is None:
                continue
            if group not in ("all", voices()[utterance.speaker]):
                continue
            spans = found.spans[utterance.name]
            errors.append(1000 * boundary_errors(utterance.spoken, spans))
            times = np.arange(0.005, spans[-1].end, 0.01)
            known, guess = frame_labels(utterance.spoken, times), frame_labels(spans, times)
            agree.append((known == guess)[known != PHONES.index("SIL")])
        late, same = np.concatenate(errors), np.concatenate(agree)
        print(
            f"{group:8} {len(late):10d} {np.median(abs(late)):4.1f} ms "
            f"{np.percentile(abs(late), 90):4.1f} ms {np.median(late):4.1f} ms {same.mean():7.1%}"
        )


if __name__ == "__main__":
    main()
