"""The benchmarks: what they say of wrong input, how they judge, and that they run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from checkouts import ROOT

pytest.importorskip("benchmarks", reason="the benchmarks are in a checkout only")

from benchmarks.__main__ import NAMES
from benchmarks.harness import Row, missed, table


def benchmarks(*arguments: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def test_a_bound_is_held_by_the_median() -> None:
    rows = [
        Row("x", "slow enough", [1.0, 1.2, 9.0], most=1.25),
        Row("x", "too slow", [1.0, 1.3, 1.3], most=1.25),
        Row("x", "fast enough", [12.0, 15.0], least=12),
        Row("x", "not fast enough", [11.0, 11.9], least=12),
        Row("x", "only told", [7.0]),
    ]
    assert [row.what for row in missed(rows)] == ["too slow", "not fast enough"]
    lines = table(rows).splitlines()
    assert len(lines) == 7
    assert "| met " in lines[2]
    assert "| MISSED |" in lines[3]
    assert "1.3 ×" in lines[3]
    assert "≥ 12 ×" in lines[4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["epok"], "unknown benchmark epok; did you mean epoch?"),
        (["start", "--data-dir", "nowhere"], "no train-images-idx3-ubyte in nowhere/MNIST/raw"),
        (["start", "--quick", "--json", "nowhere/x.json"], "there is no folder nowhere"),
    ],
)
def test_wrong_input_is_one_line_before_anything_is_measured(
    arguments: list[str], message: str
) -> None:
    done = benchmarks(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_every_benchmark_runs(tmp_path: Path) -> None:
    if find_spec("lightning") is None:
        pytest.skip('lightning is not installed: pip install -e ".[benchmarks]"')
    output = tmp_path / "figures.json"
    done = benchmarks("all", "--quick", "--json", str(output))
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    assert found["quick"] is True
    assert found["machine"]["torch"]
    with_rows = {row["benchmark"] for row in found["rows"]}
    assert with_rows >= set(NAMES) - {"gpu"}
    passes = [row for row in found["rows"] if row["benchmark"] == "evaluation"]
    assert passes[0]["median"] == 1
