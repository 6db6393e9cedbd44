"""The page on clusters: its commands resolve, and its script for SLURM stops and goes on."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import ROOT
from mlflow import MlflowClient
from runs import logged
from waiting import until

from mlrun.cli import train
from mlrun.settings.plan import plan_of

PAGE = (ROOT / "docs" / "clusters.md").read_text()
STAND_INS = {
    "srun": 'exec "$@"',
    "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
    "scontrol": 'if [ "$1" = show ]; then echo localhost; else echo "$*" >> requeued; fi',
}
SETTINGS = ["--model=mlp", "--subset=200", "--visualisers=none", "--log-model=false"]

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")


def script() -> str:
    """The script that is shown."""
    found = re.search(r"<!-- slurm -->\n```bash\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def torchruns() -> list[list[str]]:
    """The arguments of each torchrun that is shown, the script's without its variables."""
    joined = re.sub(r"\\\n *", "", PAGE)
    lines = re.findall(r"^(?:srun )?torchrun (.+ train .*?)(?:\"\$@\" &)?$", joined, re.MULTILINE)
    return [shlex.split(re.sub(r'"\$SLURM_\w+"', "2", line)) for line in lines]


def test_every_torchrun_that_is_shown_starts_a_run_that_resolves() -> None:
    from torch.distributed.run import get_args_parser

    assert len(torchruns()) == 4
    for line in torchruns():
        parsed = get_args_parser().parse_args(line)
        assert parsed.module, line
        assert parsed.training_script == "mlrun"
        assert parsed.training_script_args[0] == "train"
        context = train.command.make_context("train", parsed.training_script_args[1:])
        assert plan_of(train.values_of(context)).components


@needs_bash
def test_the_script_for_slurm_is_one_of_bash(tmp_path: Path) -> None:
    (tmp_path / "train.sh").write_text(script())
    done = subprocess.run(["bash", "-n", str(tmp_path / "train.sh")], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert all(line.startswith("#SBATCH --") for line in script().splitlines() if "SBATCH" in line)


def job(home: Path, *options: str) -> subprocess.Popen[bytes]:
    """The script at work in two processes, as SLURM starts it."""
    stand_ins = home / "bin"
    stand_ins.mkdir(exist_ok=True)
    for name, line in STAND_INS.items():
        (stand_ins / name).write_text(f"#!/bin/sh\n{line}\n")
        (stand_ins / name).chmod(0o755)
    (home / "train.sh").write_text(script())
    environment = {
        "PATH": f"{stand_ins}:{os.environ['PATH']}",
        "SLURM_SUBMIT_DIR": str(home),
        "SLURM_JOB_ID": "77",
        "SLURM_JOB_NODELIST": "localhost",
        "SLURM_NNODES": "1",
        "SLURM_GPUS_ON_NODE": "2",
        "PYTHONUNBUFFERED": "1",
    }
    with (home / "job.out").open("wb") as output:
        return subprocess.Popen(
            ["bash", "train.sh", *SETTINGS, *options],
            cwd=home,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@pytest.mark.slow
@needs_bash
def test_a_job_that_is_told_to_end_queues_itself_and_goes_on(store: str, home: Path) -> None:
    output, requeued = home / "job.out", home / "requeued"
    for number in (1, 2):
        with job(home, "--epochs=150") as process:
            try:
                if number == 1:
                    until(lambda: "epoch 2/150" in output.read_text())
                    process.send_signal(signal.SIGTERM)  # as SLURM does, of the script alone
                code = process.wait(200)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        (found,) = MlflowClient().search_runs(["0"])
        run = logged(found.info.run_id)
        said = output.read_text()
        if number == 1:
            assert (run.info.status, code != 0) == ("KILLED", True), said
            assert requeued.read_text() == "requeue 77\n"
    assert (run.info.status, code) == ("FINISHED", 0), said
    assert "epoch 1/150" not in said
    assert requeued.read_text() == "requeue 77\n", "a job that has finished is not queued again"
