"""Runs that several processes train together, started by torchrun."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

SCRIPT = """
import json, os, sys
import mlrun

ids = [mlrun.train(settings).run_id for settings in json.loads(sys.argv[1])]
if os.environ["RANK"] == "0":
    print(json.dumps(ids))
"""
TIMEOUT = 240.0  # seconds; one run takes some


def command(processes: int, settings: Mapping[str, object], *more: str) -> list[str]:
    """The command line with which torchrun starts a run of that many processes on this machine."""
    options = [f"--{name}={value}" for name, value in settings.items()]
    start = ["--standalone", f"--nproc-per-node={processes}", *more, "-m", "mlrun", "train"]
    return [sys.executable, "-m", "torch.distributed.run", *start, "--quiet", *options]


def carried_out(
    processes: int, arguments: Sequence[str], *more: str, code: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What torchrun came to, which has so many processes carry out a command of mlrun.

    `more`, `code` and `environment` are as `trained_together` takes them.
    """
    start = ["--standalone", f"--nproc-per-node={processes}", *more, "-m", "mlrun", *arguments]
    return ended([sys.executable, "-m", "torch.distributed.run", *start], code, environment)


def trained_together(
    processes: int, settings: Mapping[str, object], *more: str, code: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What torchrun came to, and printed; all that it started has ended.

    Args:
        processes: how many.
        settings: of the run.
        more: options of torchrun.
        code: the exit code that is expected.
        environment: variables besides those that are there.
    """
    return ended(command(processes, settings, *more), code, environment)


def trained_by_script(processes: int, settings: Sequence[Mapping[str, object]]) -> list[str]:
    """The ids of runs, one for each of the settings, that a script of so many processes trained."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.py"
        script.write_text(SCRIPT)
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        several = [*start, f"--nproc-per-node={processes}", str(script), json.dumps(settings)]
        ids: list[str] = json.loads(ended(several, 0, {}).stdout)
        return ids


def ended(
    arguments: list[str], code: int, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What a command came to and printed; fails where its exit code is another."""
    with subprocess.Popen(
        arguments,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # torchrun ends its processes then
                process.wait(60)
    assert process.returncode == code, err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
