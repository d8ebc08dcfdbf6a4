"""What moves Table 2? The study `relviz.studies.trials`, step by step.

    python tools/trials.py train RUNS      21 networks, half an hour on two cores
    python tools/trials.py score RUNS      F0, F1, F2 and formant contrast of each, half an hour
    python tools/trials.py write RUNS      the two tables of the book's appendix

Needs the recordings (RELVIZ_DATA). Each step goes on where it was stopped.
"""

import argparse
from pathlib import Path

from relviz.studies import trials

TABLES = Path(__file__).parent.parent / "book" / "appendix" / "trials"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["train", "score", "write"])
    parser.add_argument("runs", type=Path)
    given = parser.parse_args()
    if given.step == "write":
        trials.write(given.runs, TABLES)
    else:
        getattr(trials, given.step)(given.runs, progress=True)
