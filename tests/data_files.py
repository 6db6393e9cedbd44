"""Small data sets, written in the formats that the real ones come in."""

from __future__ import annotations

import functools
import http.server
import pickle
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image
from scipy.io import savemat

from mlrun import ImageData
from mlrun.seam.registry import discover


def load(name: str, root: Path, **options: object) -> ImageData:
    """The data set as `mlrun train` would get it, checked."""
    component = discover().find("dataset", name)
    defaults = {option.name: option.default for option in component.options}
    data: ImageData = component.function(root, **{**defaults, **options})
    data.check()
    return data


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def write_idx(path: Path, array: np.ndarray) -> None:
    """The IDX layout: two zero bytes, type 8 (unsigned byte), the number of axes, the sizes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes())


def write_mnist(root: Path, name: str) -> dict[str, np.ndarray]:
    arrays = {}
    for prefix, count in (("train", 30), ("t10k", 12)):
        arrays[f"{prefix}-images-idx3-ubyte"] = drawn(count, 28, 28, seed=count)
        arrays[f"{prefix}-labels-idx1-ubyte"] = np.arange(count) % 10
    for file, array in arrays.items():
        write_idx(root / name / "raw" / file, array)
    return arrays


class Python2Pickler(pickle._Pickler):
    """Writes what Python 2 wrote, as in CIFAR's files: text and bytes alike, old module names."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_string(self, value: str | bytes) -> None:
        data = value.encode("latin1") if isinstance(value, str) else value
        self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if name == "_reconstruct":
            self.write(b"cnumpy.core.multiarray\n_reconstruct\n")
            self.memoize(obj)
        else:
            self.write(f"c{obj.__module__}\n{obj.__name__}\n".encode())
            self.memoize(obj)


def write_pickle(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Python2Pickler(file, protocol=2).dump(content)


def write_cifar10(root: Path) -> dict[str, np.ndarray]:
    folder, arrays = root / "cifar-10-batches-py", {}
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    for place, name in enumerate(names):
        arrays[name] = drawn(4, 3072, seed=place)
        labels = [(place + row) % 10 for row in range(4)]
        write_pickle(folder / name, {"data": arrays[name], "labels": labels, "batch_label": name})
    words = ["airplane", "automobile", *(f"word-{number}" for number in range(8))]
    write_pickle(folder / "batches.meta", {"label_names": words, "num_cases_per_batch": 4})
    return arrays


def write_cifar100(root: Path) -> dict[str, np.ndarray]:
    folder, arrays = root / "cifar-100-python", {}
    for name, count in (("train", 8), ("test", 4)):
        arrays[name] = drawn(count, 3072, seed=count)
        fine = [(13 * row) % 100 for row in range(count)]
        write_pickle(
            folder / name,
            {"data": arrays[name], "fine_labels": fine, "coarse_labels": [f // 5 for f in fine]},
        )
    write_pickle(
        folder / "meta",
        {
            "fine_label_names": [f"fine-{number}" for number in range(100)],
            "coarse_label_names": [f"coarse-{number}" for number in range(20)],
        },
    )
    return arrays


def write_svhn(root: Path) -> dict[str, np.ndarray]:
    folder, arrays = root / "SVHN", {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", 12), ("test", 5), ("extra", 3)):
        arrays[name] = drawn(32, 32, 3, count, seed=count)
        labels = np.arange(count, dtype=np.uint8)[:, None] % 10 + 1
        savemat(folder / f"{name}_32x32.mat", {"X": arrays[name], "y": labels})
    return arrays


def write_table(path: Path, labels: list[Any], pixels: np.ndarray, label: str = "label") -> None:
    """A CSV file with a header row, the label first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [label, *(f"pixel{number}" for number in range(1, pixels.shape[1] + 1))]
    rows = [[name, *row] for name, row in zip(labels, pixels.tolist(), strict=True)]
    path.write_text("\n".join(",".join(map(str, row)) for row in [columns, *rows]) + "\n")


def write_image(path: Path, pixels: np.ndarray, **how: object) -> Path:
    """An image file of the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **how)
    return path


def write_tree(folder: Path, count: int = 4, classes: str = "ab") -> Path:
    """Folders of classes with PNG files of 10 × 12 pixels, each class of a shade of its own."""
    for place, name in enumerate(classes):
        for number in range(count):
            shade = (drawn(10, 12, 3, seed=number) // 4) + 60 * place
            write_image(folder / name / f"{number}.png", shade.astype(np.uint8))
    return folder


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serves `folder` over HTTP on a free port of 127.0.0.1."""
    handler = functools.partial(Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def write_csv_example(root: Path) -> None:
    write_table(root / "train.csv", [0, 1, 3, 1], drawn(4, 16))


MAKERS: dict[str, tuple[Callable[[Path], object], dict[str, object], int]] = {
    "digits": (lambda root: None, {}, 10),
    "photographs": (lambda root: None, {}, 2),
    "mnist": (lambda root: write_mnist(root, "MNIST"), {}, 10),
    "fashion-mnist": (lambda root: write_mnist(root, "FashionMNIST"), {}, 10),
    "kmnist": (lambda root: write_mnist(root, "KMNIST"), {}, 10),
    "cifar10": (write_cifar10, {}, 10),
    "cifar100": (write_cifar100, {}, 100),
    "svhn": (write_svhn, {}, 10),
    "csv": (write_csv_example, {"train": "train.csv"}, 4),
    "image-folder": (lambda root: write_tree(root / "tree"), {"path": "tree"}, 2),
}
