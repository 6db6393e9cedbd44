"""Progress: what the caller of mlrun.train is told, and gets back as it was."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import torch
from runs import QUICK, logged, only_run

import mlrun
from mlrun.record.folders import run_folder


def test_an_epoch_is_told_once_its_weights_are_on_disk(store: str) -> None:
    seen = []

    def told(epoch: int, metrics: object) -> None:
        folder = run_folder(only_run().info.run_id)
        seen.append((epoch, sorted(path.name for path in folder.glob("*.pt"))))

    silent = SimpleNamespace(
        note=lambda _: None, warn=lambda _: None, start=lambda *_: None, step=lambda *_: None,
        epoch=told, finish=lambda: None,
    )  # fmt: skip
    mlrun.train(QUICK, progress=silent)
    assert seen == [(0, []), (1, ["epoch-1.pt", "last.pt"])]


def test_threads_and_random_states_are_the_caller_s_again(store: str) -> None:
    torch.manual_seed(7)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    run = mlrun.train({**QUICK, "threads": 1})
    assert logged(run.run_id).data.tags["mlrun.threads"] == "1"
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_progress_is_told_in_order(store: str) -> None:
    class Heard:
        def __init__(self) -> None:
            self.calls: list[Any] = []

        def note(self, text: str) -> None:
            self.calls.append("note")

        def warn(self, text: str) -> None:
            self.calls.append("warn")

        def start(self, steps: int, steps_an_epoch: int, examples: int) -> None:
            self.calls.append(("start", steps, steps_an_epoch, examples))

        def step(self, state: object, tally: object) -> None:
            self.calls.append("step")

        def epoch(self, epoch: int, metrics: object) -> None:
            self.calls.append(("epoch", epoch))

        def finish(self) -> None:
            self.calls.append("finish")

    heard = Heard()
    started = time.monotonic()
    mlrun.train({**QUICK, "batch_size": 500}, progress=heard)
    assert time.monotonic() > started
    assert [call for call in heard.calls if call != "note"] == [
        ("start", 3, 3, 1293),
        ("epoch", 0),
        "step",
        "step",
        "step",
        ("epoch", 1),
        "finish",
    ]
