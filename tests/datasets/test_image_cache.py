"""The decoded copy of an image folder: made once, noticed when stale, never half there."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import torch
from checkouts import ROOT
from data_files import drawn, load, write_image, write_tree
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


def cache_of(root: Path) -> Path:
    """The only cache there is."""
    (found,) = [path for path in caches(root) if path.is_dir()]
    return found


def caches(root: Path) -> list[Path]:
    return list((root / "state" / "cache" / "image-folder").iterdir())


def test_images_are_decoded_once(tmp_path: Path, told: Callable[[], str]) -> None:
    write_tree(tmp_path / "tree")
    first = load("image-folder", tmp_path, path="tree")
    assert "decoding 8 images into" in told()
    made = (cache_of(tmp_path) / "images").stat()
    second = load("image-folder", tmp_path, path="tree", workers=2, skip_unreadable=True)
    assert told() == ""
    assert (cache_of(tmp_path) / "images").stat().st_ino == made.st_ino
    assert torch.equal(first.train.images, second.train.images)
    assert made.st_size == first.train.images.numel()


def test_the_images_are_a_map_of_the_file_and_not_in_memory(tmp_path: Path) -> None:
    write_tree(tmp_path / "tree")
    data = load("image-folder", tmp_path, path="tree")
    path, start = str(cache_of(tmp_path) / "images"), data.train.images.data_ptr()
    ranges = [
        [int(end, 16) for end in mapping.addr.split("-")]
        for mapping in psutil.Process().memory_maps(grouped=False)
        if mapping.path == path
    ]
    assert any(low <= start < high for low, high in ranges)


def grow(tree: Path) -> None:
    write_image(tree / "b" / "new.png", drawn(5, 5, 3))


def shrink(tree: Path) -> None:
    (tree / "a" / "2.png").unlink()


def repaint(tree: Path) -> None:
    write_image(tree / "a" / "2.png", drawn(5, 5, 3))


def touch(tree: Path) -> None:
    """Other pixels in a file of the same length."""
    path = tree / "a" / "2.bmp"
    (length,) = {path.stat().st_size}
    write_image(path, 255 - drawn(8, 8, 3))
    os.utime(path, ns=(0, 12345))
    assert path.stat().st_size == length


def rename(tree: Path) -> None:
    (tree / "b").rename(tree / "c")


@pytest.mark.parametrize("change", [grow, shrink, repaint, touch, rename])
def test_a_stale_copy_is_noticed(
    change: Callable[[Path], None], tmp_path: Path, told: Callable[[], str]
) -> None:
    tree = write_tree(tmp_path / "tree")
    write_image(tree / "a" / "2.bmp", drawn(8, 8, 3))
    before = load("image-folder", tmp_path, path="tree")
    told()
    change(tree)
    after = load("image-folder", tmp_path, path="tree")
    fresh = load("image-folder", tmp_path, path="tree", cache=str(tmp_path / "other"))
    assert told().count("decoding") == 2
    assert torch.equal(after.train.images, fresh.train.images)
    assert after.classes == fresh.classes
    assert before.classes != after.classes or not torch.equal(
        before.train.images, after.train.images
    )


def test_other_options_have_a_copy_of_their_own(tmp_path: Path, told: Callable[[], str]) -> None:
    write_tree(tmp_path / "tree")
    write_tree(tmp_path / "other" / "tree")
    for _ in range(2):
        for options in ({}, {"size": 8}, {"size": (8, 9)}, {"channels": 1}):
            load("image-folder", tmp_path, path="tree", **options)
        load("image-folder", tmp_path, path="other/tree")
    assert told().count("decoding") == 5


def cut(cache: Path) -> None:
    with (cache / "images").open("r+b") as file:
        file.truncate(100)


def flip(cache: Path) -> None:
    content = bytearray((cache / "images").read_bytes())
    content[-1] ^= 1
    (cache / "images").write_bytes(content)


def misdescribe(cache: Path) -> None:
    path = cache / "manifest.json"
    path.write_text(path.read_text().replace('"shape": [3, 64, 64]', '"shape": [3, 64, 60]'))


def garble(cache: Path) -> None:
    (cache / "manifest.json").write_text("{")


def empty(cache: Path) -> None:
    (cache / "manifest.json").write_text("{}")


def lose(cache: Path) -> None:
    (cache / "images").unlink()


def age(cache: Path) -> None:
    """As another version of mlrun has written it."""
    path = cache / "manifest.json"
    path.write_text(path.read_text().replace('"rule": 2', '"rule": 1'))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (cache / "manifest.sha256").write_text(digest)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "it has 100 of 98,304 bytes"),
        (flip, "block 0 of its pixels is not as it was written"),
        (misdescribe, "its manifest is damaged"),
        (garble, "its manifest is damaged"),
        (empty, "its manifest is damaged"),
        (lose, ""),
        (age, ""),
    ],
)
def test_a_damaged_or_outdated_copy_is_made_again(
    damage: Callable[[Path], None], said: str, tmp_path: Path, told: Callable[[], str]
) -> None:
    write_tree(tmp_path / "tree")
    expected = load("image-folder", tmp_path, path="tree").train.images.clone()
    cache = cache_of(tmp_path)
    told()
    damage(cache)
    assert torch.equal(load("image-folder", tmp_path, path="tree").train.images, expected)
    *warned, decoding = told().splitlines()
    assert decoding.startswith("image-folder: decoding 8 images into ")
    assert warned == ([f"image-folder: the cache {cache} is made again: {said}"] if said else [])


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
