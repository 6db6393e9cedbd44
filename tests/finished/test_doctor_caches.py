"""mlrun doctor: the caches of data sets, and which of them it removes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from lost import journal_of, opened
from PIL import Image

import mlrun
from mlrun.record.caches import caches
from mlrun.record.folders import cache_folder

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of torch's cache of weights, with one of them."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "net.pth").write_bytes(b"x" * 1500)
    return folder


def cache(name: str, *sources: Path) -> Path:
    """A cache of 2000 bytes and a manifest."""
    folder = cache_folder() / "image-folder" / name
    folder.mkdir(parents=True)
    (folder / "images").write_bytes(b"x" * 2000)
    (folder / "manifest.json").write_text(json.dumps({"sources": [str(path) for path in sources]}))
    return folder


def test_a_cache_whose_source_is_gone_is_removed_where_it_is_asked_for(
    store: str, home: Path, weights: Path, command: Command
) -> None:
    there, gone = cache("there", home), cache("gone", home / "no", home / "none")
    unknown = cache("unknown")
    (unknown / "manifest.json").write_text('{"sources": 3}')
    code, stdout, _ = command("doctor")
    assert code == 1
    lines = stdout.splitlines()
    assert lines[0].startswith(f"cache {gone} (2.")
    assert lines[0].endswith(
        f" kB): of {home / 'no'}, {home / 'none'}, gone; remove it with: mlrun doctor --clean"
    )
    assert lines[1].endswith(f" kB): of {home}")
    assert lines[2].endswith(" kB): of what is not known")
    assert lines[3] == f"weights {weights} (1.5 kB): torch's, for every program; never removed"
    code, stdout, stderr = command("doctor", "--clean")
    assert code == 0
    assert f"cache {gone}: removed, 2." in stdout
    assert "kB freed" in stderr
    assert [path.exists() for path in (there, gone, unknown, weights)] == [True, False, True, True]


def test_no_cache_is_removed_while_a_run_lasts(
    store: str, home: Path, weights: Path, command: Command
) -> None:
    gone = cache("gone", home / "no")
    journal = journal_of(opened(), store)
    code, stdout, _ = command("doctor", "--clean")
    assert code == 0
    assert f"of {home / 'no'}, gone; kept while runs last here" in stdout
    assert gone.exists()
    journal.settle()


def test_what_a_killed_build_left_is_removed_and_what_is_being_built_is_not(
    store: str, weights: Path, command: Command
) -> None:
    left, building = cache("left.unfinished"), cache("building.unfinished")
    with FileLock(building.with_suffix(".lock")):
        code, stdout, _ = command("doctor", "--clean")
    assert code == 0
    assert f"cache {left}: removed, 2." in stdout
    assert "kB): being made to its end" in stdout
    assert (left.exists(), building.exists()) == (False, True)


def test_the_cache_of_an_image_folder_names_its_source(
    store: str, home: Path, weights: Path, command: Command
) -> None:
    for name in ("cat", "dog"):
        (home / "pets" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (4, 4), number).save(home / "pets" / name / f"{number}.png")
    mlrun.train(
        {
            **{"dataset": "image-folder", "dataset.path": str(home / "pets")},
            **{"dataset.size": "4,4", "dataset.channels": 1, "dataset.workers": 1},
            **{"model": "logistic", "visualisers": "none", "log_model": False, "epochs": 0},
        }
    )
    (found,) = caches()
    assert found.sources == (home / "pets",)
    assert command("doctor")[0] == 0
    shutil.rmtree(home / "pets")
    assert command("doctor", "--clean")[0] == 0
    assert not found.path.exists()
