"""The house keeps its order: imports run one way, and plugins use what is exported."""

from __future__ import annotations

import subprocess
import sys

from conftest import ROOT


def test_imports_run_one_way_and_plugins_import_what_is_exported() -> None:
    """The contracts stand in pyproject.toml, under `tool.importlinter`."""
    code = (
        "import sys; sys.path[:0] = ['.', 'plugins']; "
        "from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
