"""Inputs of two runs are compared by kind, the most telling first, as far as both recorded them."""

from __future__ import annotations

from mlrun.finished.provenance import changes, inputs_of, unrecorded

PARAMS = {
    "lr": "0.1",
    "model.widths": "8",
    "dataset.size": "8",
    "weights.cmap": "gray",
    "keep": "2",
}
TAGS = {
    "mlrun.version": "0.1.0",
    "mlrun.device": "cpu",
    "mlrun.threads": "1",
    "mlrun.init_from": "ab sha256:12",
    "mlrun.model": "models/mlp from models 1.0",
    "mlrun.plugin_file.mine.py": "12",
    "mlflow.source.git.commit": "abc",
    "mlrun.git_dirty": "false",
}
ENVIRONMENT = """python 3.11.7
platform Linux-6.1
processor Z80 (AVX2)
code mlrun 0123abcd

numpy==2.0
Rich==13.0
torch==2.15.0+cpu
"""
DATA = {"digits/train": "sha256:12", "digits/val": "sha256:34"}
FIRST = inputs_of(PARAMS, TAGS, ENVIRONMENT, DATA)


def told(second: dict[str, object]) -> list[str]:
    """What is another in a run that has some of these in place of the first's."""
    given = {"params": PARAMS, "tags": TAGS, "environment": ENVIRONMENT, "data": DATA, **second}
    return [str(change) for change in changes(FIRST, inputs_of(**given))]


def test_equal_inputs_have_not_changed() -> None:
    assert told({}) == []
    assert unrecorded(FIRST) == []


def test_the_inputs_that_changed_come_in_the_order_of_their_kinds() -> None:
    tags = {**TAGS, "mlrun.device": "cuda", "mlrun.threads": "2", "mlrun.git_dirty": "true"}
    tags |= {"mlrun.init_from": "ab sha256:34", "mlrun.plugin_file.mine.py": "34"}
    tags |= {"mlrun.model": "models/mlp from models 1.1"}
    text = ENVIRONMENT.replace("13.0", "14.0").replace("2.15.0", "2.16.0").replace("0123", "4567")
    data = {**DATA, "digits/val": "sha256:56"}
    params = {**PARAMS, "lr": "0.2"}
    assert told({"params": params, "tags": tags, "environment": text, "data": data}) == [
        "package torch: 2.15.0+cpu, now 2.16.0+cpu",
        "setting lr: 0.1, now 0.2",
        "data digits/val: sha256:34, now sha256:56",
        "start weights: ab sha256:12, now ab sha256:34",
        "plugin mine.py: sha256 12, now sha256 34",
        "plugin model: models/mlp from models 1.0, now models/mlp from models 1.1",
        "code mlrun: 0123abcd, now 4567abcd",
        "device: cpu, now cuda",
        "device threads: 1, now 2",
        "other package rich: 13.0, now 14.0",
        "git commit: abc, now abc with changes",
    ]


def test_what_decides_nothing_is_not_compared() -> None:
    params = {**PARAMS, "keep": "3", "weights.cmap": "magma", "dataset.size": "16"}
    text = ENVIRONMENT.replace("6.1", "6.2")
    assert told({"params": params, "environment": text}) == []


def test_packages_and_data_that_are_no_longer_there_have_changed() -> None:
    text = ENVIRONMENT.replace("numpy==2.0\n", "pytest==9\n")
    assert told({"environment": text, "data": {"digits/train": "sha256:12"}}) == [
        "package numpy: 2.0, now not there",
        "data digits/val: sha256:34, now not there",
        "other package pytest: not there, now 9",
    ]


def test_what_a_run_did_not_record_has_not_changed() -> None:
    older = inputs_of(PARAMS, {"mlrun.device": "cpu"}, "", {})
    assert changes(older, FIRST) == []
    assert unrecorded(older) == ["package", "data", "code"]


def test_the_commit_stands_for_the_code_where_that_has_no_digest() -> None:
    text = ENVIRONMENT.replace("code mlrun 0123abcd\n", "")
    tags = {**TAGS, "mlflow.source.git.commit": "def", "mlrun.device": "cuda"}
    older = inputs_of(PARAMS, TAGS, text, DATA)
    found = changes(older, inputs_of(PARAMS, tags, ENVIRONMENT, DATA))
    assert [change.what for change in found] == ["git commit", "device"]
