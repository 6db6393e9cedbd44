"""Files that somebody names: a pipe, a device, a broken link is refused before it is opened."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_files import load, write_table, write_tree

from mlrun import MlrunError
from mlrun.cli.pages import check_output
from mlrun.data.probe import load_probe
from mlrun.plugin import at_home, decode, fault_of_file
from mlrun.record import store
from mlrun.seam.registry import discover
from mlrun.seam.sources import source_of_file
from mlrun.settings import recipes

Command = Callable[..., tuple[int, str, str]]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def itself(path: Path) -> None:
    path.symlink_to(path)


def nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


KINDS: dict[Callable[[Path], None], str] = {
    pipe: "it is a pipe",
    device: "it is a device",
    folder: "it is a folder",
    itself: "it is a link that leads to itself",
    nowhere: r"it is a link to .*gone, which is not there",
}


def weights(path: Path) -> None:
    model = discover().find("model", "torchvision")
    model.function((3, 32, 32), 2, weights=str(path))


READERS: dict[str, Callable[[Path], object]] = {
    "image.png": lambda path: decode(path, channels=3),
    "probe.png": lambda path: load_probe(str(path), 3),
    "table.csv": lambda path: load("csv", path.parent, train=path.name),
    "recipe.yaml": lambda path: recipes.load(str(path)),
    "plugin.py": source_of_file,
    "weights.pth": weights,
}


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_refused_unopened_on_one_line(
    name: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / name)
    with pytest.raises(MlrunError, match=KINDS[make]) as caught:
        READERS[name](tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_fault_of_a_path_is_told_whatever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fine").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "fine")
    assert fault_of_file(tmp_path / "fine") == fault_of_file(tmp_path / "link") == ""
    assert fault_of_file(tmp_path) == "it is a folder"
    assert fault_of_file(tmp_path, folder=True) == ""
    assert fault_of_file(tmp_path / "gone") == fault_of_file(tmp_path / "fine" / "x")
    assert fault_of_file(tmp_path / "gone") == "no such file"
    assert fault_of_file(tmp_path / "gone", folder=True) == "no such file or folder"
    assert fault_of_file(tmp_path / ("x" * 300)) == "file name too long"
    assert fault_of_file(tmp_path / "a\0b") == "embedded null byte"
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("end")
        assert fault_of_file(Path("end")) == "it is a socket"


NOBODY = "~no-such-user/x"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("--plugin", f"--plugin {NOBODY}: no such file"),
        ("--probe", f"probe {NOBODY}: no such file"),
        ("--dataset.path", f"--dataset.path {NOBODY}: no "),
    ],
)
def test_the_home_of_nobody_is_a_path_that_is_not_there(
    home: Path, command: Command, setting: str, message: str
) -> None:
    dataset = ["--dataset", "image-folder"] if setting == "--dataset.path" else []
    code, stdout, stderr = command("train", *dataset, setting, NOBODY, "--dry-run")
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert message in stderr
    assert at_home(NOBODY) == Path(NOBODY)
    assert at_home("~") == Path.home()


@pytest.mark.parametrize("args", [["runs"], ["sync"], ["doctor"]])
def test_a_state_folder_in_the_home_of_nobody_is_refused(
    store: str, home: Path, command: Command, monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    monkeypatch.setenv("MLRUN_HOME", NOBODY)
    code, _, stderr = command(*args)
    assert (code, stderr) == (
        2, f"Error: MLRUN_HOME={NOBODY}: there is no such user; set it to another folder\n",
    )  # fmt: skip
    assert not list(home.glob("~*"))


@pytest.mark.parametrize("make", [pipe, device, itself])
def test_a_page_is_not_written_into_what_is_no_file(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "page.html")
    with pytest.raises(MlrunError, match=rf"page.html cannot be written: {KINDS[make]}; give"):
        check_output(tmp_path / "page.html", force=True)
    with pytest.raises(MlrunError, match=r"x cannot be written: file name too long; give another"):
        check_output(tmp_path / ("x" * 300), force=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("")
    (tmp_path / "secret").chmod(0)
    assert fault_of_file(tmp_path / "secret") == "permission denied"


@pytest.mark.parametrize("make", [pipe, itself, folder])
def test_a_store_that_is_no_file_is_refused_at_once(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / "mlflow.db")
    with pytest.raises(MlrunError, match=rf"mlflow.db: cannot be written \({KINDS[make]}\); go to"):
        store.check(f"sqlite:///{tmp_path / 'mlflow.db'}")


def test_a_store_may_be_a_link_to_a_file_that_is_to_be_made(tmp_path: Path) -> None:
    nowhere(tmp_path / "mlflow.db")
    store.check(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (tmp_path / "far.db").symlink_to(tmp_path / "gone" / "far.db")
    with pytest.raises(MlrunError, match=r"far.db: cannot be written \(FileNotFoundError"):
        store.check(f"sqlite:///{tmp_path / 'far.db'}")


def test_a_folder_of_images_may_be_no_link_to_itself(tmp_path: Path) -> None:
    itself(tmp_path / "tree")
    with pytest.raises(MlrunError, match=r"^--dataset.path tree: cannot read .*/tree: it is a lin"):
        load("image-folder", tmp_path, path="tree")


@pytest.mark.usefixtures("home")
def test_a_pipe_among_the_images_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    pipe(write_tree(tmp_path / "tree") / "a" / "0.jpg")
    with pytest.raises(MlrunError, match=r"1 of 9 images .* cannot read .*a/0.jpg: it is a pipe; "):
        load("image-folder", tmp_path, path="tree")
    data = load("image-folder", tmp_path, path="tree", skip_unreadable=True)
    assert len(data.train.labels) == 8


def test_a_part_of_a_table_may_be_no_pipe_either(tmp_path: Path) -> None:
    write_table(tmp_path / "train.csv", [0, 1], np.zeros((2, 4), np.uint8))
    pipe(tmp_path / "test.csv")
    with pytest.raises(MlrunError, match=r"cannot read .*test.csv: it is a pipe"):
        load("csv", tmp_path, train="train.csv", test="test.csv")


def test_a_plugin_is_what_its_file_says_now_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "linear.py"
    for name in ("first", "other"):  # of one size, at one time
        path.write_text(f"""
import mlrun

def {name}(shape, classes):
    from torch import nn

    return nn.Flatten()

@mlrun.hookimpl
def register_models(register):
    register({name})
""")
        os.utime(path, (1_700_000_000, 1_700_000_000))
        _, module = source_of_file(path)
        assert hasattr(module, name)
    assert [each.name for each in tmp_path.iterdir()] == ["linear.py"]
