"""Faults of a store that is a database of PostgreSQL."""

from __future__ import annotations

from benchmarks.reliability.stage import MIDDLE, Outcome, Stage
from benchmarks.reliability.stores import cluster


def starts(stage: Stage) -> Outcome:
    """PostgreSQL that is still starting up when the run starts, for 30 s."""
    with cluster(stage.folder / "cluster") as postgres:
        postgres.stop("fast")
        with postgres.starting_up():
            training = stage.train(postgres.address)
            stage.sleep(30)
        run_id = training.reach(MIDDLE)
        return stage.outcome(training, postgres.address, run_id, training.end())


def restarts(stage: Stage) -> Outcome:
    """PostgreSQL that restarts in the middle, fast."""
    return interrupted(stage, "fast", 0)


def crashes(stage: Stage) -> Outcome:
    """PostgreSQL that restarts in the middle, immediately, as after a crash."""
    return interrupted(stage, "immediate", 0)


def down(stage: Stage) -> Outcome:
    """PostgreSQL that is down for 15 s in the middle."""
    return interrupted(stage, "fast", 15)


def interrupted(stage: Stage, mode: str, seconds: float) -> Outcome:
    """Runs over a database that stops in the middle."""
    with cluster(stage.folder / "cluster") as postgres:
        training = stage.train(postgres.address)
        run_id = training.reach(MIDDLE)
        training.go_on(MIDDLE)
        postgres.stop(mode)
        stage.sleep(seconds)
        postgres.start()
        return stage.outcome(training, postgres.address, run_id, training.end())


def read_only(stage: Stage) -> Outcome:
    """PostgreSQL that can only be read for 15 s in the middle, as after a change of hosts."""
    with cluster(stage.folder / "cluster") as postgres:
        training = stage.train(postgres.address)
        run_id = training.reach(MIDDLE)
        postgres.set("default_transaction_read_only", "on")
        training.go_on(MIDDLE)
        stage.sleep(15)
        postgres.set("default_transaction_read_only", "off")
        return stage.outcome(training, postgres.address, run_id, training.end())
