"""`python -m relviz.cli`, which `torchrun` can start too."""

import sys

from relviz.cli import main

if __name__ == "__main__":
    sys.exit(main())
