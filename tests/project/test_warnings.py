"""Which warnings fail a test: those of our own modules, whatever else is installed may warn of."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from checkouts import ROOT

LIBRARY = """
import warnings

def deprecated():  # as libraries do: the warning points at the line that called
    warnings.warn("gone in 9.0", FutureWarning, stacklevel=2)

def obsolete():
    warnings.warn("first line\\nis deprecated", UserWarning, stacklevel=2)

def careless():
    warnings.warn("inside of the library", RuntimeWarning)
"""
OURS = """
import library, numpy as np

def deprecated(): library.deprecated()

def obsolete(): library.obsolete()

def careless(): library.careless()

def divided(): return np.ones(1) / np.zeros(1)
"""
TESTS = """
import library, mlrun_written, numpy as np, pytest, warnings

@pytest.mark.parametrize("name", ["deprecated", "obsolete", "careless", "divided"])
def test_call(name): getattr(mlrun_written, name)()

def test_own_line(): np.ones(1) / np.zeros(1)
"""


def test_warnings_of_our_modules_fail_a_test_and_those_of_others_are_shown(tmp_path: Path) -> None:
    for name, code in (("library", LIBRARY), ("mlrun_written", OURS), ("test_written", TESTS)):
        (tmp_path / f"{name}.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-n", "0", "-rA"]
    options = [f"--rootdir={tmp_path}", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True)
    found = re.findall(r"^(PASSED|FAILED) \S+::(?:test_)(\S+)", done.stdout, re.M)
    assert {name for word, name in found if word == "FAILED"} == {"call[divided]", "own_line"}
    assert {name for word, name in found if word == "PASSED"} == {
        "call[deprecated]",
        "call[obsolete]",
        "call[careless]",
    }
    for shown in ("gone in 9.0", "is deprecated", "inside of the library"):
        assert shown in done.stdout
