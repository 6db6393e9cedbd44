"""An image of its own size in place of the data set's: read, looked into, kept with the run."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mlflow import MlflowClient
from PIL import Image
from runs import QUICK, artifacts, logged, read
from sklearn.datasets import load_sample_image
from torch import Tensor, nn
from views import convolutional, make_view

import mlrun
from mlrun import MlrunError
from mlrun.cli.main import main
from mlrun.data.decoding import decode
from mlrun.data.probe import Probe, load_probe


def larger(channels: int = 1) -> Probe:
    drawn = torch.Generator().manual_seed(0)
    size = (1, channels, 9, 11)
    return Probe("larger", torch.randint(0, 256, size, dtype=torch.uint8, generator=drawn))


@pytest.mark.parametrize("name", ["china", "flower"])
def test_the_photographs_are_scikit_learn_s(name: str) -> None:
    probe = load_probe(name, 3)
    assert probe.name == name
    assert probe.image.dtype == torch.uint8
    theirs = load_sample_image(f"{name}.jpg")
    assert theirs.shape == (427, 640, 3)
    assert np.array_equal(probe.image[0].permute(1, 2, 0).numpy(), theirs)
    grey = np.asarray(Image.fromarray(theirs).convert("L"))
    assert np.array_equal(load_probe(name, 1).image[0, 0].numpy(), grey)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_keeps_its_size_and_takes_the_channels_of_the_data(
    tmp_path: Path, channels: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 12, 3), dtype=np.uint8)
    path = tmp_path / "mine.png"
    Image.fromarray(pixels).save(path)
    probe = load_probe(str(path), channels)
    assert probe.name == "mine.png"
    assert probe.image.shape == (1, channels, 7, 12)
    assert np.array_equal(probe.image[0].numpy(), decode(path, channels=channels))


def test_what_cannot_be_a_probe_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MlrunError, match="probe chnia: no such file; expected china, flower or an"):
        load_probe("chnia", 1)
    with pytest.raises(MlrunError, match=f"probe {tmp_path}: it is a folder; expected china, flo"):
        load_probe(str(tmp_path), 1)
    with pytest.raises(MlrunError, match=r"probe ~nobody-here/a.png: no such file; expected china"):
        load_probe("~nobody-here/a.png", 1)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(MlrunError, match=r"probe: cannot read .*text.png: it is not an image"):
        load_probe(str(tmp_path / "text.png"), 1)
    with pytest.raises(MlrunError, match="probe china: an image gives 1 or 3 channels, those of"):
        load_probe("china", 2)


def test_a_wrong_probe_is_found_before_a_run_is_opened(store: str) -> None:
    with pytest.raises(MlrunError, match=r"probe absent.png: no such file"):
        mlrun.train({**QUICK, "probe": "absent.png"})
    assert MlflowClient().search_runs(["0"]) == []


def test_a_view_hands_the_probe_out_in_its_own_size() -> None:
    probe = larger()
    view = make_view(convolutional(), probe=probe)
    assert view.probe_name == "larger"
    assert torch.equal(view.probes, probe.image)
    assert (view.probe_labels.dtype, view.probe_labels.tolist()) == (torch.int64, [-1])
    view.probes.zero_()
    assert view.probes.any()
    assert make_view(convolutional()).probe_name is None


def test_layers_before_a_failure_are_those_of_a_pass_written_by_hand() -> None:
    model = convolutional()
    view = make_view(model, probe=larger())
    found = view.activations(["0", "1"], view.probes)
    inputs = (view.probes.float() / 255 - 0.5) / 0.25
    convolved = F.conv2d(inputs, model[0].weight, model[0].bias, padding=1)
    torch.testing.assert_close(found, {"0": [convolved], "1": [convolved.relu()]})
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_layer_that_is_not_reached_is_an_error_or_is_left_out_and_told() -> None:
    view = make_view(convolutional(), probe=larger())
    reason = "the model takes 6 × 6 pixels and fails on 9 × 11 in layer 3 (RuntimeError: "
    with pytest.raises(MlrunError) as caught:
        view.activations(["0", "3"], view.probes)
    assert str(caught.value).startswith(f"layer 3 is not reached: {reason}")
    assert view.notes == []
    assert list(view.activations(["0", "3"], view.probes, required=False)) == ["0"]
    assert [note.startswith(f"left out 3: {reason}") for note in view.notes] == [True]


def test_a_failure_at_the_data_set_s_own_size_is_raised_as_it_is() -> None:
    class Broken(nn.Sequential):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).nonsense

    view = make_view(Broken(*convolutional()))
    for required in (True, False):
        with pytest.raises(AttributeError, match="nonsense"):
            view.activations(["0"], view.probes, required=required)


def test_a_layer_that_is_used_again_has_the_calls_before_the_failure() -> None:
    class Thrice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act, self.out = nn.ReLU(), nn.Linear(36, 3)

        def forward(self, x: Tensor) -> Tensor:
            try:
                self.out(x[..., :5])
            except RuntimeError:  # a model may cope with a layer that fails
                x = self.act(self.act(x) - 1)
            return self.act(self.out(x.flatten(1)))

    view = make_view(Thrice(), probe=larger())
    first, second = view.activations(["act"], view.probes)["act"]
    torch.testing.assert_close(second, (first - 1).relu())
    with pytest.raises(MlrunError, match=r"layer out is not reached: .* in layer out "):
        view.activations(["out"], view.probes)


def test_a_run_keeps_the_probe_and_is_evaluated_without_the_file(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.png")
    given = {"model": "cnn", "model.channels": "2", "epochs": 0, "log_model": False}
    run = mlrun.train({**given, "visualisers": "feature-maps", "probe": "photo.png"})
    assert run.failures == {}
    assert run.name == "cnn channels=2 · digits · lr 0.001"
    assert logged(run.run_id).data.params["probe"] == "photo.png"
    assert "probe: photo.png" in read(run.run_id, "settings.yaml").decode()
    kept = Image.open(io.BytesIO(read(run.run_id, "probe.png")))
    assert np.array_equal(np.asarray(kept), pixels)
    keys = {name.partition("+")[0] for name in artifacts(run.run_id, "images")}
    assert keys == {"feature-maps-conv1", "feature-maps-act1"}
    Path("photo.png").unlink()
    with pytest.raises(SystemExit) as done:
        main(["evaluate", run.run_id, "--part", "val"])
    assert done.value.code == 0
    assert "val: loss" in capsys.readouterr().out


def test_without_a_probe_none_is_kept(store: str) -> None:
    assert "probe.png" not in artifacts(mlrun.train({**QUICK, "epochs": 0}).run_id)
