"""Keys of pictures: distinct names stay distinct, in a run and where it is read back."""

from __future__ import annotations

import io
import itertools
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import QUICK, artifacts, plugin, read

import mlrun
from mlrun.finished.read import read_account
from mlrun.record.keys import Keys
from mlrun.record.logged import find_run

NAMES = [
    "猫", "狗", "layer1.conv-2", "a/b", "a_b", "a b", "Conv", "conv", "हिन्दी", "שלום", "Ärger",
    unicodedata.normalize("NFD", "Ärger"), "🐈", "🐕", "x" * 300, "x" * 301, "猫" * 90, "猫" * 91,
    "\udcff", "\udcfe", "two\nlines", "a+b%2F", "..", "",
]  # fmt: skip


def test_names_have_keys_of_their_own_that_files_can_be_called() -> None:
    keys = Keys()
    found = {name: keys.of("mine", name) for name in NAMES}
    assert {name: keys.of("mine", name) for name in reversed(NAMES)} == found  # and keep them
    folded = [unicodedata.normalize("NFD", key).casefold() for key in found.values()]
    assert len(set(folded)) == len(NAMES)
    for key in found.values():
        assert not set(key) & set('/+%\\:*?"<>|#, \n')
        assert len(key.encode()) < 150
    readable = ["猫", "狗", "layer1.conv-2", "a_b", "Conv", "हिन्दी", "שלום", "Ärger", "..", ""]
    assert [found[name.replace("a_b", "a/b")] for name in readable] == [
        f"mine-{name}" if name else "mine" for name in readable
    ]
    assert found["a_b"] == "mine-a_b-648fa9"


def test_keys_tell_visualisers_apart_too() -> None:
    keys = Keys()
    pairs = [("embedding", "by-epoch"), ("embedding-by-epoch", ""), ("embedding-by", "epoch")]
    assert len({keys.of(*pair) for pair in pairs}) == 3
    for pair, again in itertools.product(pairs, range(2)):
        assert keys.of(*pair) == keys.of(*pair), again


NET = """
def net(shape, classes):
    import torch
    from collections import OrderedDict
    from torch import nn

    return nn.Sequential(OrderedDict({
        "猫": nn.Conv2d(1, 2, 3), "狗": nn.Conv2d(2, 2, 3), "Conv": nn.Conv2d(2, 2, 3),
        "conv": nn.Flatten(), "a/b": nn.Linear(8, 8), "a_b": nn.Linear(8, classes),
    }))

def words(view):
    import numpy as np

    grey = np.full((8, 8, 3), 99, np.uint8)
    for place, name in enumerate(["猫", "狗", "a b", "a_b"]):
        yield name, mlrun.Picture(grey, {"a/b": np.array([place]), "a_b": np.array([-place])})
    for kept in view.kept.values():
        assert [kept[n]["a/b"].item() for n in ("猫", "狗", "a b", "a_b")] == [0, 1, 2, 3]

@mlrun.hookimpl
def register_models(register):
    register(net)

@mlrun.hookimpl
def register_visualisers(register):
    register(words, when="epoch")
"""


def test_pictures_of_layers_of_any_name_are_logged_and_read_back(
    store: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        **{name: value for name, value in QUICK.items() if not name.startswith("model.")},
        "model": "net",
        "plugin": plugin(tmp_path, NET),
        "visualisers": "words,weights,feature-maps,weight-statistics",
        "part_lrs": "猫=1e-4",
        "dataset.size": "8",
    }
    run = mlrun.train(settings)
    assert run.failures == {}
    drawn = read_account(find_run(run.run_id), tmp_path).pictures
    for name, visualiser in itertools.product(("猫", "狗", "Conv"), ("weights", "feature-maps")):
        assert f"{visualiser}-{name}" in drawn
    words = [key for key in drawn if key.startswith("words")]
    assert words == ["words-猫", "words-狗", "words-a_b", "words-a_b-648fa9"]
    assert all(list(drawn[key]) == [0, 1] for key in words)
    assert "lr/猫" in run.metrics
    assert artifacts(run.run_id, "values") == ["epoch-0000.npz", "epoch-0001.npz"]
    assert "猫.weight-gradients" in member_names(run.run_id, "values/epoch-0001.npz")


def member_names(run_id: str, path: str) -> set[str]:
    with np.load(io.BytesIO(read(run_id, path))) as archive:
        return {name.partition("/")[2] for name in archive.files}


@pytest.mark.parametrize("name", ["a", "猫"])
def test_one_name_twice_in_one_call_is_refused(name: str, store: str, tmp_path: Path) -> None:
    code = f"""
def twice(view):
    import numpy as np
    for _ in range(2):
        yield {name!r}, np.zeros((4, 4, 3), np.uint8)

@mlrun.hookimpl
def register_visualisers(register):
    register(twice)
"""
    settings = {**QUICK, "plugin": plugin(tmp_path, code), "visualisers": "twice"}
    why = mlrun.train(settings).failures["visualiser twice"]
    assert why.endswith(f"it drew two pictures named {name!r}")
