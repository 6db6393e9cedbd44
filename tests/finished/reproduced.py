"""Runs to be made again, whose record is changed."""

from __future__ import annotations

import re

from mlflow import MlflowClient
from runs import artifacts_of

ONE_LAYER = """
def one_layer(shape, classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))

@mlrun.hookimpl
def register_models(register):
    register(one_layer)
"""


def in_artifact(run_id: str, path: str, old: str, new: str) -> None:
    """Puts another text into an artifact of a run."""
    file = artifacts_of(run_id) / path
    text = file.read_text()
    assert re.search(old, text, re.MULTILINE)
    file.write_text(re.sub(old, new, text, count=1, flags=re.MULTILINE))


def runs_of_store() -> int:
    return len(MlflowClient().search_runs(["0"]))
