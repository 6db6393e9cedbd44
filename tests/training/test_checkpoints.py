"""The weights of the best epochs, and the whole state, on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_training import training

from mlrun.errors import MlrunError
from mlrun.training import checkpoints as checkpoints_module
from mlrun.training.checkpoints import Checkpoints, digest
from mlrun.training.plain_files import read_plain
from mlrun.training.state_files import SavedStates, read_state


def test_the_best_k_are_kept_and_the_rest_deleted(tmp_path: Path) -> None:
    ours = training().state
    kept = Checkpoints(tmp_path / "run", keep=2, monitor="val/loss")
    for value in (0.5, float("nan"), 0.3, 0.4, 0.3):
        ours.epoch += 1
        with torch.no_grad():
            next(ours.model.parameters()).fill_(ours.epoch)
        kept.save(ours, value)
        kept.remove_others({1})  # which a state on disk names
    assert [path.name for path in kept.files()] == ["epoch-3.pt", "epoch-5.pt"]
    assert kept.on_disk == {1, 3, 5}
    kept.save(ours, 0.3)
    assert kept.ranking == [(0.3, 3), (0.3, 5)]  # said again, it is the same
    kept.remove_others(())
    assert kept.on_disk == {3, 5}
    assert kept.best_epoch == 3
    kept.load_best(ours.model)
    assert (next(ours.model.parameters()) == 3).all()
    content = read_plain(kept.path(3))
    next(iter(content["model"].values())).add_(1)
    checkpoints_module.write(kept.path(3), content)
    with pytest.raises(MlrunError, match=r"epoch-3\.pt are damaged \(their SHA-256 is an"):
        kept.load_best(ours.model)


def test_accuracy_ranks_the_highest_first(tmp_path: Path) -> None:
    ours = training().state
    kept = Checkpoints(tmp_path, keep=1, monitor="val/accuracy")
    for value in (0.5, 0.9, 0.9):
        ours.epoch += 1
        kept.save(ours, value)
    assert kept.best_epoch == 2


def test_the_last_state_on_disk_is_the_whole_state(tmp_path: Path) -> None:
    ours = training(epochs=1).run().state
    ours.record({"val/loss": 0.5})
    states = SavedStates(tmp_path)
    states.write(ours.state_dict())
    states.confirm()
    other = training().state
    other.load_state_dict(read_state(tmp_path / "last.pt"))
    assert (other.epoch, other.step) == (1, 3)
    assert {n: list(s) for n, s in other.history.items()} == {
        n: list(s) for n, s in ours.history.items()
    }
    assert list(other.history["val/loss"]) == [(1, 0.5)]
    assert digest(other.model.state_dict()) == digest(ours.model.state_dict())


def test_a_checkpoint_that_breaks_off_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    checkpoints_module.write(path, {"epoch": 1})

    class Unwritable:
        def __reduce__(self) -> str:
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        checkpoints_module.write(path, {"epoch": 2, "x": Unwritable()})
    assert read_plain(path) == {"epoch": 1}


def test_a_digest_tells_any_change_of_the_weights() -> None:
    weights = {"a": torch.zeros(2, 3), "b": torch.tensor(1)}
    assert digest(weights) == digest(dict(reversed(weights.items())))
    assert digest(weights) != digest({**weights, "b": torch.tensor(2)})
    assert digest(weights) != digest({**weights, "a": torch.zeros(3, 2)})
    assert digest(weights) != digest({**weights, "a": torch.zeros(2, 3).double()})
