"""Weights by name, as torchvision publishes them: fetched if asked, kept, and checked."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from mlrun_models import torchvision as build
from networks import COLOUR, saved
from torch import nn
from torchvision import models

from mlrun import MlrunError

ARCHITECTURES = models.list_models(module=models)


def test_unknown_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MlrunError, match=r"unknown weights of resnet18 IMAGENET; .*IMAGENET1K_V1"):
        build(COLOUR, 10, weights="IMAGENET")
    with pytest.raises(MlrunError, match=r"weights .*nothing\.pth: no such file"):
        build(COLOUR, 10, weights=str(tmp_path / "nothing.pth"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where torch keeps downloaded weights, absent yet."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and writes no log."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[nn.Module, Path]]:
    """A network of 4 classes whose weights a server near by has as resnet18's; and their file."""
    folder = tmp_path / "served"
    folder.mkdir()
    own, path = saved(folder, "resnet18", num_classes=4)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path = path.rename(folder / f"resnet18-{digest[:8]}.pth")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        weights = models.ResNet18_Weights.IMAGENET1K_V1.value
        url = f"http://127.0.0.1:{server.server_port}/{path.name}"
        monkeypatch.setattr(weights, "url", url)
        yield own, path
        server.shutdown()


def test_named_weights_are_not_fetched_unless_asked(
    cache: Path, published: tuple[nn.Module, Path]
) -> None:
    name = published[1].name
    with pytest.raises(
        MlrunError, match=rf"weights DEFAULT: no {name} in {cache}; add --model.download true, or"
    ):
        build(COLOUR, 4, weights="DEFAULT")
    assert not cache.exists()


def test_named_weights_are_fetched_if_asked_and_then_kept(
    cache: Path, published: tuple[nn.Module, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    own, path = published
    images = torch.randn(2, *COLOUR)
    model = build(COLOUR, 4, weights="imagenet1k_v1", download=True).eval()
    torch.testing.assert_close(model(images), own(images), rtol=0, atol=0)
    assert [kept.name for kept in cache.iterdir()] == [path.name]
    path.unlink()
    again = build(COLOUR, 4, weights="DEFAULT").eval()
    torch.testing.assert_close(again(images), own(images), rtol=0, atol=0)
    assert capfd.readouterr().out == ""


def test_a_damaged_file_is_refused_wherever_it_comes_from(
    cache: Path, published: tuple[nn.Module, Path]
) -> None:
    path = published[1]
    cache.mkdir(parents=True)
    damaged = Path(shutil.copy(path, cache))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    with pytest.raises(MlrunError, match=rf"{damaged} is damaged: its SHA-256 starts with \w{{8}}"):
        build(COLOUR, 4, weights="DEFAULT", download=True)
    path.write_bytes(damaged.read_bytes())
    damaged.unlink()
    with pytest.raises(MlrunError, match=r"cannot be fetched \(RuntimeError: invalid hash value"):
        build(COLOUR, 4, weights="DEFAULT", download=True)
    assert list(cache.iterdir()) == []


def test_where_the_network_fails_it_is_said_where_to_put_the_file(
    cache: Path, published: tuple[nn.Module, Path]
) -> None:
    published[1].unlink()
    with pytest.raises(MlrunError, match=rf"http\S+ cannot be fetched .*404.*into {cache}$"):
        build(COLOUR, 4, weights="DEFAULT", download=True)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_names_of_torchvision_s_files_hold_a_checksum(arch: str) -> None:
    for weights in models.get_model_weights(arch):
        digits = weights.url.rpartition(".")[0].rpartition("-")[2]
        assert len(digits) >= 8
        assert int(digits, 16) >= 0
