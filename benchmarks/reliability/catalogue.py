"""The faults that can be tried, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from benchmarks.reliability import (
    database_faults,
    file_faults,
    kill_faults,
    limit_faults,
    own_faults,
    server_faults,
    signal_faults,
    worker_faults,
)
from benchmarks.reliability.stage import Outcome, Stage

Fault = Callable[[Stage], Outcome]

FAULTS: dict[str, Fault] = {
    "server-absent": server_faults.absent,
    "server-refuses": server_faults.refuses,
    "server-hangs": server_faults.hangs,
    "server-hangs-at-the-end": server_faults.hangs_at_the_end,
    "server-500": server_faults.answers_500,
    "server-rejects-put": server_faults.rejects_put,
    "server-slow": server_faults.slow,
    "server-killed-before-the-end": server_faults.killed_before_the_end,
    "server-killed-at-the-end": server_faults.killed_at_the_end,
    "server-killed-for-long": server_faults.killed_for_long,
    "server-emptied": server_faults.emptied,
    "password-by-variables": server_faults.password_by_variables,
    "password-by-address": server_faults.password_by_address,
    "sqlite-locked-at-the-start": file_faults.locked_at_the_start,
    "opened-by-another": file_faults.opened_by_another,
    "sqlite-locked": file_faults.locked,
    "sqlite-read-only-at-the-start": file_faults.read_only_at_the_start,
    "sqlite-read-only": file_faults.read_only,
    "sqlite-disk-full": file_faults.disk_full,
    "state-disk-full": own_faults.state_disk_full,
    "sender-dies": own_faults.sender_dies,
    "run-stopped": own_faults.stopped,
    "run-killed": own_faults.killed,
    "run-killed-and-resumed": kill_faults.killed_and_resumed,
    "worker-killed-under-torchrun": worker_faults.one_of_two,
    "worker-of-four-killed-under-torchrun": worker_faults.one_of_four,
    "run-hung-up": signal_faults.hung_up,
    "run-terminated": signal_faults.terminated,
    "run-terminated-twice": signal_faults.terminated_twice,
    "launcher-killed": signal_faults.launcher_killed,
    "renderer-stopped": signal_faults.renderer_stopped,
    "clock-jumps": own_faults.clock_jumps,
    "memory-tight": limit_faults.memory_tight,
    "threads-tight": limit_faults.threads_tight,
    "two-runs-in-a-process": own_faults.two_runs,
    "eight-starts": own_faults.eight_starts,
    "postgresql-starts": database_faults.starts,
    "postgresql-restarts": database_faults.restarts,
    "postgresql-crashes": database_faults.crashes,
    "postgresql-down": database_faults.down,
    "postgresql-read-only": database_faults.read_only,
}


def about(name: str) -> str:
    """Returns what a fault is, in a line without its full stop."""
    return (inspect.getdoc(FAULTS[name]) or "").partition("\n")[0].rstrip(".")
