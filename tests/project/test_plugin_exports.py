"""What `mlrun.plugin` exports works at the address that is promised."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from mlrun import MlrunError, plugin


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3))


def test_images_are_decoded_by_the_rule_of_training_and_prediction(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)).save(path)
    assert plugin.is_image(path)
    assert not plugin.is_image(tmp_path / "notes.txt")
    with plugin.quiet_decoding():
        warnings.warn("odd EXIF data", stacklevel=1)
        pixels = plugin.decode(path, channels=3)
    assert (pixels.shape, pixels.dtype) == ((3, 2, 3), np.uint8)
    np.testing.assert_array_equal(pixels[1], np.arange(6).reshape(2, 3))
    assert isinstance(plugin.DECODING_RULE, int)


def test_errors_are_one_line_with_the_nearest_name() -> None:
    error = plugin.unknown("layer", "con1", ["conv1", "out"])
    assert isinstance(error, MlrunError)
    assert str(error) == "unknown layer con1; did you mean conv1? There are: conv1, out"
    assert plugin.one_line(ValueError("two\nlines")) == "ValueError: two lines"


def test_the_folder_of_caches_is_where_mlrun_home_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLRUN_HOME", str(tmp_path))
    assert plugin.cache_folder() == tmp_path / "cache"


def test_the_criterion_is_the_loss_that_training_minimises() -> None:
    model, images, labels = network(), torch.randn(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])
    logits = model(images)
    expected = F.cross_entropy(logits, labels, label_smoothing=0.1)
    loss = plugin.criterion(model, label_smoothing=0.1)(logits, labels)
    torch.testing.assert_close(loss, expected)


def test_layers_and_their_parameters_are_found_by_name() -> None:
    flatten, linear = plugin.layers_of(network(), torch.zeros(1, 1, 2, 2))
    assert (flatten.kind, flatten.shape, flatten.trained) == ("Flatten", (4,), 0)
    assert (linear.name, linear.shape, linear.trained) == ("1", (3,), 15)
    assert isinstance(linear, plugin.Layer)
    assert plugin.is_named("1.weight", "1")
    assert not plugin.is_named("10.weight", "1")
    assert plugin.top_layers(network()) == "1"


def test_figures_come_with_how_sure_they_are() -> None:
    low, high = plugin.interval(8, 10)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Wilson's, by hand
    measured = plugin.calibration(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), bins=10)
    assert isinstance(measured, plugin.Calibration)
    assert measured.error == pytest.approx((0.1 + 0.8) / 2)
    assert math.isnan(measured.accuracy[0])


def test_a_variant_says_how_images_are_changed() -> None:
    assert plugin.Variant(rotate=25).name == "rotated-25"
    with pytest.raises(ValueError, match="rotate"):
        plugin.Variant(rotate=200)


def test_a_worker_calls_a_function_in_a_process_of_its_own() -> None:
    worker = plugin.Worker(math.factorial, quiet=True)
    try:
        assert worker.call(5) == 120
        worker.kill()
        with pytest.raises(plugin.WorkerEnded):
            worker.call(6)
    finally:
        worker.kill()
