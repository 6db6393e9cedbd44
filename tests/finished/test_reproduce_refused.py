"""What mlrun reproduce refuses, or takes only where it is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from reproduced import ONE_LAYER, in_artifact, runs_of_store
from runs import QUICK, artifacts_of, logged, plugin

import mlrun
from mlrun.finished.reproduce import compared, reproduce
from mlrun.record.logged import find_run

Command = Callable[..., tuple[int, str, str]]
NUMBERED = """
def numbered(root):
    import torch
    count = int((root / "count.txt").read_text())
    images = (torch.arange(60 * 64) % count).to(torch.uint8).view(60, 1, 8, 8)
    part = mlrun.Part(images, torch.arange(60) % 3)
    return mlrun.ImageData(part, ("a", "b", "c"))

@mlrun.hookimpl
def register_datasets(register):
    register(numbered)
"""


def test_data_that_changed_are_named_and_those_that_are_gone_refused(
    store: str, tmp_path: Path, command: Command
) -> None:
    settings = {**QUICK, "plugin": plugin(tmp_path, NUMBERED), "dataset": "numbered"}
    folder = tmp_path / "numbers"
    folder.mkdir()
    (folder / "count.txt").write_text("97")
    first = mlrun.train({**settings, "data_dir": str(folder)}).run_id
    code, stdout, _ = command("reproduce", first, "--quiet")
    assert (code, "identical: " in stdout, "val predictions: all" in stdout) == (0, True, True)
    (folder / "count.txt").write_text("31")
    code, stdout, stderr = command("reproduce", first, "--quiet")
    assert (code, "differs, because data numbered/train changed: " in stdout) == (1, True)
    assert "data numbered/train: sha256:" in stderr
    before = runs_of_store()
    (folder / "count.txt").unlink()
    code, _, stderr = command("reproduce", first, "--quiet")
    assert (code, len(stderr.splitlines()), runs_of_store()) == (2, 1, before)


def test_a_plugin_file_is_taken_as_it_was_run_here_or_when_it_is_named(
    store: str, tmp_path: Path, command: Command
) -> None:
    path = plugin(tmp_path, ONE_LAYER)
    seen = {"model": "one-layer", "epochs": 1, "visualisers": "none", "log_model": False}
    first = mlrun.train({**seen, "plugin": path}).run_id
    assert command("reproduce", first, "--quiet")[0] == 0
    marker = tmp_path / "executed"
    Path(path).write_text(
        f"import mlrun, pathlib\npathlib.Path({str(marker)!r}).touch()\n"
        f"{ONE_LAYER.replace('nn.Flatten()', 'nn.Flatten(), nn.Dropout(0.9)')}"
    )
    before = runs_of_store()
    code, _, stderr = command("reproduce", first, "--quiet")
    assert (code, marker.exists(), runs_of_store()) == (2, False, before)
    assert f"if you trust the file, name it: --plugin {path}" in stderr
    code, stdout, stderr = command("reproduce", first, "--quiet", "--plugin", path)
    assert (code, marker.exists()) == (1, True)
    assert "differs, because plugin mine.py changed: sha256 " in stdout
    assert "plugin mine.py: sha256 " in stderr


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("KILLED", "it is KILLED: a reason; go on with: mlrun resume "),
        ("FAILED", "it is FAILED: a reason; go on with: mlrun resume "),
        ("RUNNING", "it is still running elsewhere, or was killed"),
    ],
)
def test_a_run_that_is_not_finished_is_refused(
    finished: str, command: Command, status: str, told: str
) -> None:
    client = MlflowClient()
    client.update_run(finished, status)
    client.set_tag(finished, "mlrun.status", status)
    client.set_tag(finished, "mlrun.reason", "a reason")
    client.set_tag(finished, "mlrun.host", "")
    code, stdout, stderr = command("reproduce", finished)
    assert (code, stdout, len(stderr.splitlines()), runs_of_store()) == (2, "", 1, 1)
    assert f"run {finished} is not finished, so it cannot be reproduced ({told}" in stderr


def test_a_run_that_went_on_for_longer_is_made_again_from_where_it_began(
    store: str, command: Command
) -> None:
    short = mlrun.train({**QUICK, "steps": 60, "keep": 1}).run_id
    longer = mlrun.resume(short, longer={"epochs": 3}).run_id
    again = reproduce(longer)
    assert (again.agreement.word, again.changed) == ("identical", ())
    tags = logged(again.run.run_id).data.tags
    assert tags["mlrun.continues"] == short
    third = reproduce(again.run.run_id)
    assert third.agreement.word == "identical"

    def refused(why: str) -> None:
        before = runs_of_store()
        code, _, stderr = command("reproduce", longer, "--quiet")
        assert (code, len(stderr.splitlines()), runs_of_store()) == (2, 1, before)
        assert f"run {longer} went on from the last state of run {short}, which {why}" in stderr

    client, then = MlflowClient(), tags["mlrun.continues_weights_sha256"]
    client.set_tag(longer, "mlrun.continues_weights_sha256", "0" * 64)
    refused(f"is another now: its weights were sha256 00000000…, and are {then[:8]}…")
    client.set_tag(longer, "mlrun.continues_weights_sha256", then)
    (artifacts_of(short) / "checkpoints" / "last.pt").write_bytes(b"damaged")
    refused(f"cannot be had: run {short} cannot go on: the state ")
    client.delete_run(short)
    refused(f"cannot be had: run {short} was deleted")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("^lr: .*", "lr: fast", "lr: expected a number, got 'fast'"),
        ("^lr: .*\n", "", "lr: it is not there"),
        ("^lr: .*", "rate: 0.01", "rate: there is no such setting"),
        ("^settings_version: .*", "settings_version: 99", "made by a later mlrun"),
        ("^model: .*", "model: gone", "unknown model gone"),
        ("^model.channels: ", "model.canals: ", "unknown option of model cnn: canals"),
        ("^seed: .*", "seed: [", "settings.yaml"),
    ],
)
def test_settings_that_are_not_understood_are_refused_in_a_line(
    finished: str, command: Command, old: str, new: str, told: str
) -> None:
    in_artifact(finished, "settings.yaml", old, new)
    code, stdout, stderr = command("reproduce", finished)
    assert (code, stdout, len(stderr.splitlines()), runs_of_store()) == (2, "", 1, 1)
    assert f"run {finished}" in stderr
    assert told in stderr


def test_what_lies_elsewhere_is_not_opened_unless_it_is_named(
    finished: str, tmp_path: Path, command: Command
) -> None:
    in_artifact(finished, "settings.yaml", "^dataset: .*", "dataset: csv")
    in_artifact(finished, "settings.yaml", "^dataset.size: .*", "dataset.train: /etc/passwd")
    code, _, stderr = command("reproduce", finished)
    assert code == 2
    assert "names dataset.train /etc/passwd, which is not opened" in stderr
    code, _, stderr = command("reproduce", finished, "--dataset.train", str(tmp_path / "no.csv"))
    assert (code, "passwd" in stderr, "no.csv" in stderr) == (2, False, True)


def test_a_probe_image_that_is_gone_is_left_out(
    finished: str, tmp_path: Path, command: Command
) -> None:
    in_artifact(finished, "settings.yaml", "^probe: .*", f"probe: {tmp_path / 'secret.png'}")
    code, stdout, stderr = command("reproduce", finished, "--quiet")
    assert (code, "identical: " in stdout) == (0, True)
    assert "secret.png is left out: the run was not started here" in stderr


def test_a_plugin_s_version_that_changed_is_named_and_one_that_is_gone(
    store: str, install: Callable[..., Path], command: Command
) -> None:
    file = install("layers", f"import mlrun\n{ONE_LAYER}")
    seen = {"model": "one-layer", "epochs": 1, "visualisers": "none", "log_model": False}
    first = mlrun.train(seen).run_id
    changed = ONE_LAYER.replace("nn.Flatten()", "nn.Flatten(), nn.Dropout(0.9)")
    (file.parent / "layers-1.0.dist-info" / "METADATA").unlink()
    (file.parent / "layers-1.0.dist-info" / "entry_points.txt").unlink()
    install("layers", f"import mlrun\n{changed}", version="1.1")
    code, stdout, stderr = command("reproduce", first, "--quiet")
    assert code == 1
    told = "differs, because plugin model changed: layers/one-layer from layers (layers 1.0), now "
    assert told in stdout
    (file.parent / "layers-1.1.dist-info" / "entry_points.txt").unlink()
    code, _, stderr = command("reproduce", first, "--quiet")
    assert code == 2
    assert f"run {first}: unknown model one-layer; " in stderr
    assert "; the run had layers/one-layer from layers (layers 1.0)" in stderr


def test_a_run_that_is_not_in_the_store_as_a_whole_is_not_compared(finished: str) -> None:
    run = replace(reproduce(finished).run, unsent=3)
    with pytest.raises(mlrun.RunFailed, match=f"3 events of it .* mlrun sync {run.run_id}"):
        compared(find_run(finished), run)
