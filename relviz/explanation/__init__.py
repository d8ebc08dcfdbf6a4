"""Recordings to reports and datasets: what a network hears, beside what could refute it.

One recording needs the extra `speech`; its page also `book`, and a folder `cluster`.
"""

from typing import TYPE_CHECKING, Any

from relviz._extras import require

require("pandas", "joblib", "matplotlib", "parselmouth")

from relviz.asking import Asked, asked
from relviz.explanation.recording import Explanation, explain

if TYPE_CHECKING:  # what `__getattr__` brings
    from relviz.explanation.corpus import Done, explain_folder

__all__ = ["Asked", "Done", "Explanation", "asked", "explain", "explain_folder"]


def __getattr__(name: str) -> Any:
    """Load what only a folder needs when it is first named."""
    if name in ("Done", "explain_folder"):
        from relviz.explanation import corpus

        return getattr(corpus, name)
    raise AttributeError(f"module 'relviz.explanation' has no attribute {name!r}")
