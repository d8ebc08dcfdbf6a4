"""`import relviz` is light: what it must not load, and what it offers."""

import subprocess
import sys

HEAVY = ("librosa", "parselmouth", "matplotlib", "pandas", "pyarrow", "soundfile", "sklearn")


def test_import_loads_nothing_heavy():
    code = f"import relviz, sys; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "" and done.stderr == ""


def test_public_face():
    import relviz

    assert all(callable(getattr(relviz, name)) for name in relviz.__all__)
    assert relviz.__version__
