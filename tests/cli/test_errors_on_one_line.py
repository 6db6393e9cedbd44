"""Errors on the command line: one line, an exit code, and a traceback where it is a bug."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import QUICK, Here, mlrun, runs
from mlflow import MlflowClient


@pytest.fixture
def here(command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch) -> Here:
    """The same in this process, which need not import torch and MLflow again."""

    def here(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return subprocess.CompletedProcess(args, *command(*args))

    return here


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train", "--visualisers", "weights,"], "visualisers: expected different names"),
        (["trian"], "mlrun: unknown command trian; did you mean train?"),
        (
            ["train", "--epohcs", "3"],
            "mlrun train: unknown option --epohcs; did you mean --epochs?",
        ),
        (["train", "--epochs"], "mlrun: Option '--epochs' requires an argument."),
        (["train", "surplus"], "mlrun train: Got unexpected extra argument (surplus)"),
        (["train", "--epochs", "many"], "epochs: expected a whole number, got 'many'"),
        (["train", "--lr=-1"], "lr: expected a value greater than 0, got '-1.0'"),
        (["train", "--model", "lent"], "unknown model lent; did you mean lenet?"),
        (["train", "--model.widht", "3", "--model", "mlp"], "unknown option of model mlp: widht;"),
        (["train", "--weights.cmap"], "data set"),
        (
            ["train", "--visualisers", "robustness", "--robustness.images", "0"],
            "robustness.images: expected a whole number of at least 1, got '0'",
        ),
        (["train", "--wieghts.cmap", "magma"], "wieghts.cmap: unknown component of this run"),
        (["train", "--recipe", "digit"], "unknown recipe digit; did you mean digits?"),
        (["train", "--dry-run", "perhaps"], "mlrun train: dry-run: expected true or false"),
        (["train", "--dataset", "mnist"], "data set mnist: no train-images-idx3-ubyte in data/MNI"),
        (["train", "--device", "tpu"], "device tpu is not here; there are: "),
        (["train", "--plugin", "no.py"], "--plugin no.py: no such file"),
        (["plugins", "lent"], "unknown component lent; did you mean lenet?"),
        (["recipes", "digit"], "unknown recipe digit; did you mean digits?"),
        (["ui", "--port", "0"], "mlrun ui: Invalid value for '--port'"),
        (["ui", "--experiment", "Defalt"], "unknown experiment Defalt; did you mean Default?"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    here: Here, store: str, args: list[str], message: str
) -> None:
    if args == ["train", "--weights.cmap"]:
        args = ["train", "--weights.columns"]  # an option without a value is `true`
        message = "weights.columns: expected int≥1|none, got 'true'"
    done = here(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("mlrun 0.1.0 (")]
    assert line.startswith(f"Error: {message}")
    assert runs() == []


def test_a_tracking_server_that_does_not_answer_is_exit_code_2_without_password(
    home: Path,
) -> None:
    done = mlrun("train", *QUICK, MLFLOW_TRACKING_URI="http://ann:secret@127.0.0.1:9")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        "Error: tracking server http://***@127.0.0.1:9: it does not answer; start it, or unset"
    )
    assert "secret" not in done.stderr


@pytest.mark.parametrize("strict", [False, True])
def test_a_failed_picture_is_named_at_the_end_and_strict_makes_it_count(
    here: Here, store: str, strict: bool
) -> None:
    Path("bad.py").write_text(
        "import mlrun\n"
        "def bad(view):\n"
        "    raise RuntimeError('oh')\n"
        "@mlrun.hookimpl\n"
        "def register_visualisers(register):\n"
        "    register(bad)\n"
    )
    args = [*QUICK, "--plugin", "bad.py", "--visualisers", "bad"]
    done = here("train", *args, *(["--strict"] if strict else []))
    assert done.returncode == int(strict)
    (run_id,) = runs()
    assert done.stdout == f"{run_id}\n"
    assert "Warning: visualiser bad failed: at epoch 1: RuntimeError: oh" in done.stderr
    assert MlflowClient().get_run(run_id).info.status == "FINISHED"


def test_a_bug_in_a_model_keeps_its_traceback_and_is_exit_code_1(here: Here, store: str) -> None:
    Path("buggy.py").write_text(
        "import mlrun\n"
        "def buggy(shape, classes):\n"
        "    import torch\n"
        "    class Buggy(torch.nn.Linear):\n"
        "        def forward(self, images):\n"
        "            return super().forward(images.flatten(1)) / (0 if self.training else 1)[0]\n"
        "    return Buggy(64, classes)\n"
        "@mlrun.hookimpl\n"
        "def register_models(register):\n"
        "    register(buggy)\n".replace("(0 if self.training else 1)[0]", "self.scale()").replace(
            "    return Buggy",
            "        def scale(self):\n"
            "            return {}['missing'] if self.training else 1\n"
            "    return Buggy",
        )
    )
    done = here("train", "--plugin", "buggy.py", "--model", "buggy", *QUICK[2:])
    assert done.returncode == 1
    (run_id,) = runs()
    assert "in scale" in done.stderr
    assert done.stderr.splitlines()[-1] == f"Error: run {run_id} failed: KeyError: 'missing'"


def test_a_plugin_s_bug_keeps_its_traceback_and_is_exit_code_2(here: Here, store: str) -> None:
    Path("buggy.py").write_text(
        "import mlrun\n"
        "def buggy(shape, classes):\n"
        "    return shape.nonsense\n"
        "@mlrun.hookimpl\n"
        "def register_models(register):\n"
        "    register(buggy)\n"
    )
    done = here("train", "--plugin", "buggy.py", "--model", "buggy", *QUICK[2:])
    assert done.returncode == 2
    assert 'buggy.py", line 3, in buggy' in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: model buggy: cannot be built for images")
    assert runs() == []


def test_usage_errors_under_mlflow_run_are_told_to_its_run(here: Here, store: str) -> None:
    waiting = MlflowClient().create_run("0").info.run_id
    done = here("train", "--epohcs", "3", MLFLOW_RUN_ID=waiting)
    assert done.returncode == 2
    run = MlflowClient().get_run(waiting)
    assert run.info.status == "FAILED"
    assert run.data.tags["mlrun.reason"].startswith("mlrun train: unknown option --epohcs; did you")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MLFLOW_TRACKING_URI", "sqlite:////proc/no.db", "tracking store sqlite:////proc/no.db: "),
        ("MLFLOW_TRACKING_URI", "foo://bar", "tracking store foo://bar: "),
        ("MLRUN_HOME", "/etc/passwd", "cannot make /etc/passwd/locks (NotADirectoryError"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(
    here: Here, store: str, name: str, value: str, message: str
) -> None:
    done = here("train", *QUICK, **{name: value})
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"Error: {message}")
