"""The cache of an image folder while it is made: by several processes, broken off, or disk full."""

from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import torch
from cache_folders import cache_of, caches
from checkouts import ROOT
from data_files import load, write_tree
from filelock import FileLock
from waiting import until

from mlrun import MlrunError

pytestmark = pytest.mark.usefixtures("home")


SCRIPT = """
import logging
logging.basicConfig(level="INFO", format="%(message)s")
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from data_files import load
data = load("image-folder", Path({root!r}), path="tree", workers=2, **{options!r})
print(len(data.train.labels), int(data.train.images.sum()))
"""


def script(root: Path, **options: object) -> str:
    return SCRIPT.format(tests=str(ROOT / "tests"), root=str(root), options=options)


@contextmanager
def decoding(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that decodes the tree, stopped (SIGSTOP) once it has begun; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", script(root)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            assert "decoding" in process.stderr.readline()
            process.send_signal(signal.SIGSTOP)
            yield process
        finally:
            process.kill()


def test_any_number_of_processes_makes_the_same_copy(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", count=150)
    (tree / "a" / "77.png").write_text("no image")
    made = []
    for workers in (1, 2, 3):
        options = {"workers": workers, "cache": str(tmp_path / f"cache-{workers}")}
        data = load("image-folder", tmp_path, path="tree", skip_unreadable=True, **options)
        made.append(data.train)
    assert len(made[0].labels) == 299
    for other in made[1:]:
        assert torch.equal(made[0].images, other.images)
        assert torch.equal(made[0].labels, other.labels)


@pytest.mark.slow
def test_a_script_may_load_without_a_guard(tmp_path: Path) -> None:
    """No process runs the user's script again, and it need not even be a file."""
    write_tree(tmp_path / "tree", count=100)
    (tmp_path / "script.py").write_text(script(tmp_path))
    said = []
    for name, text in ((str(tmp_path / "script.py"), None), ("-", script(tmp_path, size=9))):
        done = subprocess.run(
            [sys.executable, name], input=text, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.split()[0])
    assert said == ["200", "200"]


def test_who_comes_second_waits_for_the_copy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_tree(tmp_path / "tree", count=600)
    caplog.set_level("INFO", "mlrun")
    with decoding(tmp_path) as process, ThreadPoolExecutor(1) as pool:
        second = pool.submit(load, "image-folder", tmp_path, path="tree")
        try:
            until(lambda: caplog.messages or second.done())
        finally:
            process.send_signal(signal.SIGCONT)
        said, _ = process.communicate(timeout=60)
        total = int(second.result(timeout=60).train.images.sum())
    waiting = "image-folder: waiting for another process, which decodes the same images"
    assert caplog.messages == [waiting]
    assert said.split() == ["1200", str(total)]


@pytest.mark.slow
def test_a_killed_build_leaves_nothing_behind(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree", count=600)
    with decoding(tmp_path) as process:

        def workers() -> list[psutil.Process]:
            """Lets it go on for a moment; its workers start within the first."""
            process.send_signal(signal.SIGCONT)
            time.sleep(0.005)
            process.send_signal(signal.SIGSTOP)
            return psutil.Process(process.pid).children()

        children = until(workers)
        process.kill()
        process.communicate(timeout=60)
    (unfinished,) = [path for path in caches(tmp_path) if path.is_dir()]
    assert unfinished.suffix == ".unfinished"
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert len(load("image-folder", tmp_path, path="tree").train.labels) == 1200
    assert cache_of(tmp_path).suffix != ".unfinished"


def test_what_a_killed_build_left_is_removed_by_any_other(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree")
    load("image-folder", tmp_path, path="tree")
    base = cache_of(tmp_path).parent
    killed, building = base / "other.d-0123.unfinished", base / "tree-4567.unfinished"
    for folder in (killed, building):
        folder.mkdir()
        (folder / "images").write_bytes(bytes(100))
    with FileLock(f"{building.with_suffix('')}.lock"):
        load("image-folder", tmp_path, path="tree")
        assert (killed.exists(), building.exists()) == (False, True)
    load("image-folder", tmp_path, path="tree")
    assert not building.exists()


def test_a_full_disk_is_an_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """A limit on the length of files stands for the disk."""
    write_tree(tmp_path / "tree", count=100)
    done = subprocess.run(
        [sys.executable, "-c", script(tmp_path)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20)),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot write the cache" in done.stderr
    assert "File too large; make room, or name another folder with --dataset.cache" in done.stderr
    assert not [path for path in caches(tmp_path) if path.is_dir()]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree")
    (tmp_path / "file").write_text("")
    with pytest.raises(MlrunError, match=r"cannot write the cache .*file/tree-\w+: "):
        load("image-folder", tmp_path, path="tree", cache=str(tmp_path / "file"))


def test_a_decoding_process_that_dies_is_an_error(tmp_path: Path) -> None:
    from mlrun_datasets.decoders import Crew, Rule

    write_tree(tmp_path / "tree", count=1)
    tasks = [[str(tmp_path / "tree" / "a" / "0.png")]] * 50
    with Crew(2, Rule(3, (8, 8), (3, 8, 8))) as crew:
        chunks = crew.decode(tasks)
        assert len(next(chunks).pixels) == 192
        crew.workers[0].process.kill()
        with pytest.raises(MlrunError, match=r"a decoding process ended \(status -9\) in or after"):
            list(chunks)
    assert all(worker.process.poll() is not None for worker in crew.workers)


def test_where_no_process_can_be_had_files_are_decoded_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlrun_datasets.decoders import Rule, decode_all

    def none(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", none)
    write_tree(tmp_path / "tree", count=1)
    paths = [str(tmp_path / "tree" / "a" / "0.png")] * 200
    chunks = decode_all(paths, Rule(3, (8, 8), (3, 8, 8)), 2)
    assert sum(len(chunk.pixels) for chunk in chunks) == 200 * 192
