"""Which modules some code loads, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {
    "torch",
    "torchvision",
    "mlflow",
    "matplotlib",
    "numpy",
    "sklearn",
    "PIL",
    "requests",
    "captum",
    "optuna",
    "jinja2",
}


def loaded_by(code: str) -> set[str]:
    listing = "import sys; print('MODULES', *sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import atexit\natexit.register(lambda: exec({listing!r}))\n{code}",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.partition("MODULES ")[2].split())
