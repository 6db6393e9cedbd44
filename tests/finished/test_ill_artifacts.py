"""Artifacts that are not what their names say: each costs its own panel, and a line says so."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from mlrun.errors import one_line
from mlrun.finished import artifacts
from mlrun.finished.artifacts import picture_in
from mlrun.finished.read import predictions_in, read_account, table_in, thumbnails_in
from mlrun.pages.account import Account
from mlrun.pages.report import report
from mlrun.record import drivers
from mlrun.record.logged import find_run
from mlrun.record.pictures import grid_stem
from mlrun.record.tables import with_table

Command = Callable[..., tuple[int, str, str]]
PREDICTIONS, THUMBNAILS = "predictions/test.npz", "predictions/test-images.npz"
PICTURE = f"{grid_stem('0' * 32, 'weights', 1, 0)}.png"


def arrays(**named: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **named)
    return buffer.getvalue()


def predictions(count: int = 4, **changes: np.ndarray) -> bytes:
    named = {
        "logits": np.eye(4, 10, dtype=np.float32),
        "labels": np.arange(count),
        "indices": np.arange(count),
    }
    return arrays(**{**named, **changes})


def thumbnails(**changes: np.ndarray) -> bytes:
    named = {"places": np.arange(2), "images": np.zeros((2, 1, 8, 8), np.uint8)}
    return arrays(**{**named, **changes})


def table(**columns: list[object]) -> bytes:
    rows = list(zip(*columns.values(), strict=True))
    return json.dumps({"columns": list(columns), "data": rows}).encode()


def png(width: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, width), np.uint8)).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


def huge_png() -> bytes:
    """A PNG whose head says 100,000 × 100,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head
    return start + struct.pack(">I", zlib.crc32(head)) + png()[33:]


def gif() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "GIF")
    return buffer.getvalue()


POINTS: dict[str, list[object]] = {
    "change": ["noise"], "amount": [0.1], "accuracy": [0.5], "low": [0.4], "high": [0.6],
}  # fmt: skip

ILL = {
    "text": (PREDICTIONS, b"not arrays", "it is no .npz file"),
    "nothing": (PREDICTIONS, b"", "it is no .npz file"),
    "torn": (PREDICTIONS, predictions()[:-40], "it is no .npz file"),
    "an empty archive": (PREDICTIONS, arrays(), "it has no array logits"),
    "an array missing": (PREDICTIONS, arrays(logits=np.eye(4)), "it has no array labels"),
    "flat logits": (PREDICTIONS, predictions(logits=np.zeros(4)), "logits is float64 (4,)"),
    "whole logits": (PREDICTIONS, predictions(logits=np.eye(4, 10, dtype=int)), "logits is int64"),
    "no classes": (PREDICTIONS, predictions(logits=np.zeros((4, 0), np.float32)), "(4, 0)"),
    "fewer labels": (PREDICTIONS, predictions(labels=np.arange(3)), "labels is int64 (3,)"),
    "labels apart": (PREDICTIONS, predictions(labels=np.eye(4, dtype=int)), "labels is int64 (4,"),
    "a label too high": (PREDICTIONS, predictions(labels=np.arange(7, 11)), "labels are 7 to 10;"),
    "a label below 0": (PREDICTIONS, predictions(labels=np.arange(-1, 3)), "labels are -1 to 2;"),
    "fractions as places": (PREDICTIONS, predictions(indices=np.zeros(4)), "indices is float64"),
    "objects": (PREDICTIONS, predictions(labels=np.array([{}] * 4)), "Object arrays cannot be"),
    "no images": (THUMBNAILS, thumbnails(images=np.zeros((0, 1, 8, 8), np.uint8)), "images is"),
    "images of floats": (THUMBNAILS, thumbnails(images=np.zeros((2, 1, 8, 8))), "images is float"),
    "images too large": (
        THUMBNAILS, thumbnails(images=np.zeros((2, 1, 900, 8), np.uint8)), "of 48 pixels at most",
    ),
    "places too high": (THUMBNAILS, thumbnails(places=np.array([0, 360])), "at most 359"),
    "places twice": (THUMBNAILS, thumbnails(places=np.zeros(2, int)), "places do not rise"),
    "a text as a picture": (PICTURE, b"no picture", "it is no PNG file"),
    "a torn picture": (PICTURE, png(800)[:200], "runcated"),
    "a broken picture": (PICTURE, png(800)[:200] + bytes(900), "truncated"),
    "a huge picture": (PICTURE, huge_png(), "pixels"),
    "another kind of picture": ("figures/x.png", gif(), "it is no PNG file"),
    "an empty figure": ("figures/x.png", b"", "it is no PNG file"),
    "half a table": ("tables/per-class.json", b"{", "it is no table"),
    "no table": ("tables/per-class.json", b"[1]", "it is no table"),
    "a deep table": ("tables/x.json", b"[" * 100_000, "it is no table"),
    "a table in latin-1": ("tables/x.json", "{é}".encode("latin-1"), "UnicodeDecodeError"),
    "a ragged table": (
        "tables/x.json", b'{"columns": ["a"], "data": [[1], [2, 3]]}', "it is no table",
    ),
    "other columns": ("tables/robustness-table.json", table(a=[1]), "it has no column change"),
    "a text as a figure": (
        "tables/robustness-table.json", table(**{**POINTS, "low": ["x"]}), "expected numbers",
    ),
}  # fmt: skip


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str, bytes], None]:
    """Logs a file to a run."""

    def put(run_id: str, path: str, content: bytes) -> None:
        folder, _, name = path.rpartition("/")
        (tmp_path / name).write_bytes(content)
        MlflowClient().log_artifact(run_id, str(tmp_path / name), folder)

    return put


def account(run_id: str, folder: Path) -> Account:
    return read_account(find_run(run_id), folder)


READERS = {
    PREDICTIONS: partial(predictions_in, part="test"),
    THUMBNAILS: partial(thumbnails_in, tested=360),
    ".png": picture_in,
    ".json": table_in,
}


@pytest.mark.parametrize("case", ILL)
def test_what_is_not_what_its_name_says_is_refused_with_the_reason(
    tmp_path: Path, case: str
) -> None:
    path, content, reason = ILL[case]
    file = tmp_path / Path(path).name
    file.write_bytes(content)
    with pytest.raises(Exception, match=r".") as error:  # Pillow and NumPy have many kinds
        READERS.get(path, READERS.get(file.suffix))(file)
    assert reason in one_line(error.value)


def test_ill_artifacts_cost_their_panels_alone(
    finished: str, tmp_path: Path, put: Callable[..., None], told: Callable[[], str]
) -> None:
    put(finished, "figures/well.png", png())
    cases = ["objects", "a torn picture", "an empty figure", "a deep table", "other columns"]
    for path, content, _ in (ILL[case] for case in cases):
        put(finished, path, content)
    found = account(finished, tmp_path)
    lines, page = told(), report(found)
    assert set(found.unreadable) == {ILL[case][0] for case in cases}
    for path, _, reason in (ILL[case] for case in cases):
        line = f"run {finished}: its artifact {path} cannot be read ({found.unreadable[path]})"
        assert line in lines
        assert reason in line
        assert f"<b>{path}</b>" in page
    assert (list(found.figures), list(found.tables)) == (["well"], ["per-class"])
    assert "nothing was tested" in page


def test_the_commands_say_so_and_make_the_rest(
    finished: str, put: Callable[..., None], command: Command
) -> None:
    put(finished, PREDICTIONS, b"no arrays")
    put(finished, PICTURE, b"no picture")
    code, stdout, stderr = command("report", finished, "--output", "page.html")
    assert (code, stdout) == (0, "page.html\n")
    for path in (PREDICTIONS, PICTURE):
        assert f"Warning: run {finished}: its artifact {path} cannot be read (" in stderr
        assert path in Path("page.html").read_text()


def test_a_run_that_cannot_be_read_is_left_out_of_the_last_ones(
    finished: str,
    put: Callable[..., None],
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = MlflowClient()
    far = client.create_experiment("far", artifact_location="hdfs://far/away")
    ids = [
        client.create_run(experiment, tags={"mlrun.version": "0.1.0"}).info.run_id
        for experiment in (far, "0")
    ]
    put(finished, PICTURE, b"no picture")
    monkeypatch.setitem(drivers.CLIENTS, "hdfs", "a_module_that_nobody_has")
    code, _, stderr = command("compare", "--last", "3")
    assert code == 0
    assert f"Warning: run {ids[0]} is left out: artifacts at hdfs://far/away/" in stderr
    assert f"its artifact {PICTURE} cannot be read (" in Path("comparison.html").read_text()
    code, _, stderr = command("compare", *ids, "--force")
    assert (code, "artifacts at hdfs://far/away" in stderr) == (2, True)  # one that is asked for


def test_what_is_larger_than_it_may_be_is_not_unpacked(
    finished: str, tmp_path: Path, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("logits", "labels", "indices"):
            archive.writestr(f"{name}.npy", bytes(1_000_000))
    put(finished, PREDICTIONS, bomb.getvalue())
    put(finished, "tables/x.json", bytes(600_000))
    monkeypatch.setattr(artifacts, "MOST_BYTES", {".json": 500_000, ".png": 10**6, ".npz": 10**6})
    found = account(finished, tmp_path)
    assert found.unreadable[PREDICTIONS] == "it has 3,000,000 bytes unpacked; expected 1,000,000"
    assert found.unreadable["tables/x.json"] == "it has 600,000 bytes, expected at most 500,000"


def test_a_link_out_of_the_run_and_a_pipe_are_not_read(finished: str, tmp_path: Path) -> None:
    folder = Path(MlflowClient().get_run(finished).info.artifact_uri.removeprefix("file://"))
    (tmp_path / "secret.json").write_bytes(table(secret=["x"]))
    (folder / "tables" / "link.json").symlink_to(tmp_path / "secret.json")
    os.mkfifo(folder / "tables" / "pipe.json")
    (folder / "tables" / "a\x1b[31m.json").write_bytes(table(a=[1]))
    found = account(finished, tmp_path)
    assert list(found.tables) == ["per-class"]
    assert set(found.unreadable) == {
        "tables/link.json", "tables/pipe.json", "tables/a\x1b[31m.json",
    }  # fmt: skip
    assert found.unreadable["tables/a\x1b[31m.json"] == "its name is no file's name"


def test_figures_out_of_all_bounds_are_shown(finished: str, tmp_path: Path) -> None:
    client = MlflowClient()
    for number, value in enumerate([float("nan"), float("inf"), -3.0, 1e300]):
        for name in (f"test-rotated-{number}/accuracy", "val/accuracy", "val/loss", "lr"):
            for step in (-4, 7 + number, 2**53):
                client.log_metric(finished, name, value, step=step)
    page = report(account(finished, tmp_path))
    assert all(f"test-rotated-{number}" in page for number in range(4))


def test_a_folder_that_is_a_link_out_of_the_run_is_not_listed(
    finished: str, tmp_path: Path, home: Path
) -> None:
    folder = Path(MlflowClient().get_run(finished).info.artifact_uri.removeprefix("file://"))
    (folder / "tables").rename(home / "tables")
    (folder / "tables").symlink_to(home / "tables")
    found = account(finished, tmp_path)
    assert (found.tables, list(found.unreadable)) == ({}, ["tables"])
    assert "outside the artifact directory" in found.unreadable["tables"]
    assert found.predictions is not None


@pytest.mark.parametrize("tag", ["{", "{}", "3", "[" * 5000])
def test_a_tag_of_tables_that_is_no_list_is_as_good_as_none(tag: str) -> None:
    assert json.loads(with_table(tag, "x")) == [{"path": "tables/x.json", "type": "table"}]
