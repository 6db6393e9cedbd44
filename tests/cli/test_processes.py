"""`mlrun train --processes N`, and commands that torchrun starts: one run, one voice, one end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from runs import QUICK, artifacts, heed_interrupts, logged, only_run, plugin, read
from waiting import until

import mlrun

QUIETLY = ["--visualisers=none", "--log-model=false"]
OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in QUICK.items()]
LONG = [*OPTIONS, "--epochs=100000", "--checkpoint-every=20steps"]
RANK_1_FAILS = """
import os
from torch import nn

def brittle(shape, classes, *, how: str = "", when: int = 20):
    class Brittle(nn.Sequential):
        calls = 0

        def forward(self, images):
            self.calls += self.training
            if os.environ.get("RANK") == "1" and self.calls >= when:
                fail(how)
            return super().forward(images)

    if os.environ.get("RANK") == "1" and not when:
        fail(how)
    return Brittle(nn.Flatten(), nn.Linear(64, classes))

def fail(how):
    if how == "exit":
        raise SystemExit(3)
    if how == "memory":
        raise MemoryError("so much")
    raise ValueError("not on this rank")

@mlrun.hookimpl
def register_models(register):
    register(brittle)
"""

RANK_1_STOPS = """
import os, pathlib, time
import torch
from torch import nn

later = torch.autograd.Variable._execution_engine.queue_callback

def stopping(shape, classes, *, when: int = 1, folder: str = ""):
    def stop():
        pathlib.Path(folder, "waits").touch()
        while not pathlib.Path(folder, "goes on").exists():
            time.sleep(0.05)

    class Stopping(nn.Sequential):
        calls = 0

        def forward(self, images):
            logits = super().forward(images)
            self.calls += logits.requires_grad
            if os.environ.get("RANK") == "1" and logits.requires_grad and self.calls == when:
                logits.register_hook(lambda _: later(lambda: later(stop)))  # once all is exchanged
            return logits

    return Stopping(nn.Flatten(), nn.Linear(64, classes))

@mlrun.hookimpl
def register_models(register):
    register(stopping)
"""


@contextmanager
def started(tmp_path: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`mlrun train --processes 2`, whose stderr is a file; nothing of it is left at the end."""
    command = [sys.executable, "-m", "mlrun", "train", "--processes", "2", *options]
    with (
        (tmp_path / "stderr").open("w") as stderr,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, preexec_fn=heed_interrupts
        ) as process,
    ):
        family: list[psutil.Process] = []
        try:
            with suppress(psutil.Error):
                family.append(psutil.Process(process.pid))
            yield process
        finally:
            with suppress(psutil.Error):
                family += family[0].children(recursive=True)
            for each in family:
                with suppress(psutil.Error):
                    each.kill()


def ranks(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that train, by rank."""
    children = psutil.Process(process.pid).children()
    return sorted(children, key=lambda child: int(child.environ()["RANK"]))


def have_ended(processes: list[psutil.Process]) -> bool:
    """Whether none of them is there any more; zombies are not."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return False
    return True


def trains(tmp_path: Path, process: subprocess.Popen[str]) -> bool:
    """Whether it trains, and has saved its state; fails where it ended."""
    text = (tmp_path / "stderr").read_text()
    assert process.poll() is None, text
    return "\nepoch 2/" in text


def test_a_command_starts_as_many_processes_as_it_is_asked_for(store: str, tmp_path: Path) -> None:
    with started(tmp_path, *OPTIONS) as process:
        assert process.communicate(timeout=240)[0].splitlines() == [only_run().info.run_id]
    told = (tmp_path / "stderr").read_text()
    assert process.returncode == 0, told
    run = only_run()
    assert (run.info.status, run.data.params["processes"]) == ("FINISHED", "2")
    assert told.startswith("mlrun "), told
    assert told.count("\nepoch 1/1 ") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("whom", ["command", "rank 0", "all"])
def test_a_signal_ends_the_run_once_with_its_state(
    store: str, tmp_path: Path, sent: signal.Signals, code: int, whom: str
) -> None:
    with started(tmp_path, *LONG) as process:
        until(lambda: trains(tmp_path, process))
        all_of_them = ranks(process)
        told = {"command": [process], "rank 0": all_of_them[:1], "all": [process, *all_of_them]}
        for each in told[whom]:
            each.send_signal(sent)
        out, _ = process.communicate(timeout=120)
        assert have_ended(all_of_them)
    run, lines = only_run(), (tmp_path / "stderr").read_text().splitlines()
    assert (process.returncode, out) == (code, "")
    assert run.info.status == "KILLED"
    assert run.data.tags["mlrun.reason"] == f"interrupted ({sent.name})"
    assert lines.count(f"resume it with: mlrun resume {run.info.run_id}") == 1
    assert [line for line in lines if line.startswith(("Error", "Warning"))] == [lines[-1]]
    assert "last.pt" in artifacts(run.info.run_id, "checkpoints")


@pytest.mark.slow
@pytest.mark.parametrize("when", [1, 43])  # passes: as the step is built; the last of an epoch
def test_a_signal_while_rank_0_waits_for_another_ends_the_run(
    store: str, tmp_path: Path, when: int
) -> None:
    model = ["--model=stopping", f"--model.when={when}", f"--model.folder={tmp_path}"]
    options = [*QUIETLY, *model, "--plugin", plugin(tmp_path, RANK_1_STOPS), "--epochs=1000"]
    with started(tmp_path, *options) as process:
        until(lambda: (tmp_path / "waits").exists())
        all_of_them = ranks(process)
        time.sleep(1)  # until rank 0 waits, too
        process.terminate()
        time.sleep(1)
        (tmp_path / "goes on").touch()
        out, _ = process.communicate(timeout=120)
        assert have_ended(all_of_them)
    told = (tmp_path / "stderr").read_text()
    assert (process.returncode, out, only_run().info.status) == (143, "", "KILLED"), told
    assert told.splitlines()[-1] == "Error: terminated"
    assert "terminate called" not in told  # as gloo ends a process that expects something else
    assert ("resume it with: " in told) == (when > 1)


def test_a_process_leaves_after_rank_0_whatever_signal_comes() -> None:
    follows = (
        "import signal\n"
        "from mlrun.cli.processes import leave_to_rank_0\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "print(flush=True)\n"
        "leave_to_rank_0(143, 0.0)\n"
    )
    commands = {"0": "input()", "1": follows}
    with ExitStack() as stack:
        first, second = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", code],
                    env={**os.environ, "RANK": rank},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            for rank, code in commands.items()
        ]
        stack.callback(first.kill)
        stack.callback(second.kill)
        assert second.stdout is not None
        second.stdout.readline()
        second.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(1)
        assert first.stdin is not None
        first.stdin.write(b"\n")
        first.stdin.close()
        assert second.wait(60) == 143


@pytest.mark.slow
def test_a_run_whose_launcher_is_killed_ends_with_its_state(store: str, tmp_path: Path) -> None:
    with started(tmp_path, *LONG) as process:
        until(lambda: trains(tmp_path, process))
        all_of_them = ranks(process)
        process.kill()
        until(lambda: have_ended(all_of_them))
    run = only_run()
    assert run.info.status == "KILLED"
    assert run.data.tags["mlrun.reason"] == (
        "interrupted (the launcher of its processes, which started it, has ended)"
    )
    assert "last.pt" in artifacts(run.info.run_id, "checkpoints")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_leaves_no_other(store: str, tmp_path: Path, rank: int) -> None:
    with started(tmp_path, *LONG) as process:
        until(lambda: trains(tmp_path, process))
        all_of_them = ranks(process)
        all_of_them[rank].kill()
        process.communicate(timeout=60)
        assert have_ended(all_of_them)
    run, told = only_run(), (tmp_path / "stderr").read_text()
    if rank:
        name = f"rank 1 (process {all_of_them[1].pid} on "
        assert (process.returncode, run.info.status) == (1, "FAILED")
        assert run.data.tags["mlrun.reason"].startswith(name)
        assert "was it killed?" in run.data.tags["mlrun.reason"]
    else:
        assert process.returncode == 137
        assert told.splitlines()[-1].startswith("Error: rank 0 was killed; mlrun doctor tells")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        pytest.param("error", "ValueError: not on this rank", marks=pytest.mark.slow),
        pytest.param(
            "exit", "a plugin would end the process (SystemExit: 3)", marks=pytest.mark.slow
        ),
        pytest.param("memory", "out of memory (MemoryError: so much)", marks=pytest.mark.slow),
    ],
)
def test_a_failure_of_another_rank_ends_the_run_with_its_reason(
    store: str, tmp_path: Path, how: str, reason: str
) -> None:
    model = ["--model=brittle", f"--model.how={how}", "--plugin", plugin(tmp_path, RANK_1_FAILS)]
    with started(tmp_path, *QUIETLY, *model) as process:
        assert process.communicate(timeout=240)[0] == ""
    run, told = only_run(), (tmp_path / "stderr").read_text()
    assert (process.returncode, run.info.status) == (1, "FAILED"), told
    assert run.data.tags["mlrun.reason"].endswith(f"failed: {reason}")
    assert run.data.tags["mlrun.reason"].startswith("rank 1 (process ")
    assert told.endswith(f"failed: {reason}\n")
    assert told.count(reason) == 1
    assert "in fail\n" in read(run.info.run_id, "failure.txt").decode()  # the traceback there


@pytest.mark.slow
@pytest.mark.parametrize("how", ["error", "exit"])
def test_what_is_wrong_on_another_rank_is_one_line_before_a_run_is_opened(
    store: str, tmp_path: Path, how: str
) -> None:
    model = ["--model=brittle", f"--model.how={how}", "--plugin", plugin(tmp_path, RANK_1_FAILS)]
    with started(tmp_path, "--quiet", "--model.when=0", *model) as process:
        assert process.communicate(timeout=240)[0] == ""
    (line,) = (tmp_path / "stderr").read_text().splitlines()
    assert line.startswith("Error: rank 1 (process ")
    assert "model brittle" in line
    assert process.returncode == 2
    assert not MlflowClient().search_runs(["0"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--lr", "high"], "lr: expected a number, got 'high'"),
        (["--device", "mps"], "2 processes of this host train together, and 1 mps device is here"),
    ],
)
def test_what_is_wrong_is_told_before_any_process_is_started(
    store: str,
    command: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    told: str,
) -> None:
    monkeypatch.setattr("mlrun.machine.agent.start", None)  # which cannot be called
    code, out, err = command("train", "--processes", "2", *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err


def test_a_rehearsal_of_several_processes_is_one(
    store: str, command: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, _ = command("train", "--processes", "2", "--dry-run", *OPTIONS)
    assert (code, "\nprocesses: 2\n" in out) == (0, True)
    assert command("train", "--processes", "2", "--dry-run", "--device", "mps")[0] == 2


def test_a_script_is_told_how_it_is_started(store: str) -> None:
    with pytest.raises(mlrun.MlrunError, match="torchrun --nproc-per-node 2 SCRIPT"):
        mlrun.train({**QUICK, "processes": 2})


@pytest.mark.parametrize("rank", ["0", "1"])
@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["runs"], 2, "runs is for one process, and WORLD_SIZE is 2"),
        (["no-such-command"], 2, "unknown command no-such-command"),
        (["train", "--help"], 0, ""),
        (["--version"], 0, ""),
    ],
)
def test_of_several_processes_the_first_alone_speaks(
    store: str,
    command: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    rank: str,
    args: list[str],
    code: int,
    told: str,
) -> None:
    for name in ("LOCAL_RANK", "MASTER_PORT"):
        monkeypatch.setenv(name, rank)
    for name, value in {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    done = command(*args)
    assert done[0] == code
    assert told in done[2] if rank == "0" else done[1:] == ("", "")


@pytest.mark.slow
def test_a_script_has_the_same_run_in_every_process(store: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import dataclasses, json, os, sys, mlrun\n"
        "run = mlrun.train(json.loads(sys.argv[1]))\n"
        "text = json.dumps(dataclasses.asdict(run), default=str)\n"
        "os.write(1, f\"{os.environ['RANK']} {text}\\n\".encode())\n"  # in one piece
    )
    start = ["--standalone", "--nproc-per-node=2", str(script), json.dumps(QUICK)]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *start],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert set(told) == {"0", "1"}
    first, second = (json.loads(text) for text in told.values())
    assert first == second
    assert first["run_id"] == only_run().info.run_id


@pytest.mark.slow
def test_a_run_of_several_processes_goes_on_and_is_reproduced_as_one(
    store: str, tmp_path: Path
) -> None:
    with started(tmp_path, *OPTIONS, "--epochs=100", "--checkpoint-every=10steps") as process:
        until(lambda: trains(tmp_path, process))
        process.terminate()
        process.communicate(timeout=60)
    run_id = only_run().info.run_id
    for command in ("resume", "reproduce"):
        done = subprocess.run(
            [sys.executable, "-m", "mlrun", command, run_id, "--quiet"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        last = logged(done.stdout.splitlines()[-1])
        assert (last.info.status, last.data.params["processes"]) == ("FINISHED", "2")
    assert "identical: " in done.stdout
    assert len(MlflowClient().search_runs(["0"])) == 2
