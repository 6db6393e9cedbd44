"""What a run records of the code that makes it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from checkouts import checkout, environment

from mlrun.running.code import code_digests
from mlrun.settings.plan import plan_of

MODEL = """
import mlrun

def one_layer(shape, classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))

@mlrun.hookimpl
def register_models(register):
    register(one_layer)
"""
READ = "import json; from mlrun.running.code import git_tags; print(json.dumps(git_tags()))"


def git(project: Path, *arguments: str) -> str:
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(project), *name, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def tags(project: Path) -> str:
    command = [sys.executable, "-c", READ]
    done = subprocess.run(
        command, cwd=project, env=environment(), check=True, capture_output=True, text=True
    )
    return done.stdout


def test_a_run_records_the_commit_and_whether_the_tree_is_dirty(tmp_path: Path) -> None:
    project = checkout(tmp_path / "project")
    (project / ".gitignore").write_text("__pycache__/\n")
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "first")
    assert f'"mlflow.source.git.commit": "{git(project, "rev-parse", "HEAD")}"' in tags(project)
    assert '"mlrun.git_dirty": "false"' in tags(project)
    (project / "plugins" / "new.py").write_text("")
    assert '"mlrun.git_dirty": "true"' in tags(project)
    (project / "plugins" / "new.py").unlink()
    with (project / "mlrun" / "version.py").open("a") as file:
        file.write("# changed\n")
    assert '"mlrun.git_dirty": "true"' in tags(project)


def test_code_that_is_no_checkout_of_git_has_no_commit(tmp_path: Path) -> None:
    assert tags(checkout(tmp_path / "project")) == "{}\n"


def test_code_is_known_by_digests_of_mlrun_and_of_the_plugins_in_use(
    install: Callable[..., Path], home: Path
) -> None:
    file = install("layers", MODEL)
    plan = plan_of({"model": "one-layer", "visualisers": "none"})
    before = code_digests(plan)
    assert set(before) == {"mlrun", file.stem, "mlrun_datasets"}
    file.write_text(f"{MODEL}\n# changed\n")  # its version stays
    after = code_digests(plan)
    assert {name for name in before if before[name] != after[name]} == {file.stem}


def test_a_plugin_file_is_left_to_its_own_digest(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MODEL)
    plan = plan_of({"model": "one-layer", "plugin": str(path), "visualisers": "none"})
    assert set(code_digests(plan)) == {"mlrun", "mlrun_datasets"}
