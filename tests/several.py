"""Runs that several processes train together, started by torchrun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping

TIMEOUT = 240.0  # seconds; one run takes some


def command(processes: int, settings: Mapping[str, object], *more: str) -> list[str]:
    """The command line with which torchrun starts a run of that many processes on this machine."""
    options = [f"--{name}={value}" for name, value in settings.items()]
    start = ["--standalone", f"--nproc-per-node={processes}", *more, "-m", "mlrun", "train"]
    return [sys.executable, "-m", "torch.distributed.run", *start, "--quiet", *options]


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
    with subprocess.Popen(
        command(processes, settings, *more),
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
