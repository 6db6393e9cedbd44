"""Runs that an older version made are read by every command: `tests/frozen_runs` has their records.

Each is put into a fresh store by plain calls of MLflow, whose own tables may change meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from PIL import Image
from runs import artifacts_of

from mlrun.pages.page import percent
from mlrun.record.logged import find_run
from mlrun.settings.plan import plan_of
from mlrun.settings.run import setting_traits

Command = Callable[..., tuple[int, str, str]]
FROZEN = Path(__file__).parents[1] / "frozen_runs"
VERSIONS = sorted(path.name for path in FROZEN.iterdir() if path.name.isdecimal())


def thawed(version: str, name: str) -> str:
    """The id of a frozen run in the store in use."""
    folder = FROZEN / version / name
    content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    client = MlflowClient()
    run = client.create_run("0", start_time=content["started"], run_name=content["name"])
    run_id: str = run.info.run_id
    client.log_batch(
        run_id,
        metrics=[Metric(*entry) for entry in content["metrics"]],
        params=[Param(*entry) for entry in content["params"].items()],
        tags=[RunTag(*entry) for entry in content["tags"].items()],
    )
    client.log_artifacts(run_id, str(folder / "artifacts"))
    client.set_terminated(run_id, content["status"], content["ended"])
    return run_id


@pytest.fixture
def picture(store: str) -> str:
    Image.new("L", (8, 8), 90).save("grey.png")
    return "grey.png"


@pytest.fixture(params=VERSIONS)
def frozen(store: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """The ids of the frozen runs of a version, by name."""
    return {name: thawed(request.param, name) for name in ("cnn", "mlp")}


def test_runs_of_older_versions_are_listed_shown_and_compared(
    frozen: dict[str, str], command: Command
) -> None:
    code, stdout, stderr = command("runs", "--json")
    assert (code, stderr) == (0, "")
    rows = {row["name"]: row for row in json.loads(stdout)["runs"]}
    for name, run_id in frozen.items():
        assert rows[name]["best_epoch"] == 2
        code, _, stderr = command("report", run_id, "--output", f"{name}.html")
        assert code == 0, stderr
        page = Path(f"{name}.html").read_text(encoding="utf-8")
        assert "momentum" in page
        assert percent(rows[name]["metrics"]["test/accuracy"], 2) in page
    code, _, stderr = command("compare", *frozen.values(), "--output", "both.html")
    assert code == 0, stderr
    assert "part_lrs" in Path("both.html").read_text(encoding="utf-8")


def test_the_weights_of_older_versions_predict_and_evaluate_to_what_they_did(
    frozen: dict[str, str], command: Command, picture: str
) -> None:
    for run_id in frozen.values():
        code, stdout, stderr = command("predict", run_id, picture)
        assert (code, stderr) == (0, "")
        assert picture in stdout
        code, again, stderr = command("evaluate", run_id, "--name", "again")
        assert (code, stderr.splitlines()[0].startswith("this run: ")) == (0, True)
        code, before, stderr = command("evaluate", run_id)
        assert (code, stderr.splitlines()[0]) == (0, "test/accuracy is there already")
        assert again.removeprefix("again") == before.removeprefix("test")
        code, part, _ = command("evaluate", run_id, "--part", "val")
        assert (code, part.startswith("val: ")) == (0, True)


def test_the_validation_part_is_split_as_it_was_then(
    frozen: dict[str, str], command: Command
) -> None:
    for run_id in frozen.values():
        logged = MlflowClient().get_run(run_id).data.metrics
        code, stdout, _ = command("evaluate", run_id, "--part", "val", "--name", "held-out")
        assert code == 0
        assert (
            stdout
            == f"held-out: loss {logged['val/loss']:.4f}, accuracy {logged['val/accuracy']:.4f}\n"
        )


def test_the_settings_of_older_versions_are_a_recipe(frozen: dict[str, str], home: Path) -> None:
    for name, run_id in frozen.items():
        (home / "settings.yaml").write_bytes((artifacts_of(run_id) / "settings.yaml").read_bytes())
        settings = plan_of({"recipe": "settings.yaml"}).settings
        assert (settings.model, settings.subset, settings.momentum) == (name, "random:200", 0.9)


def change(run_id: str, old: str, new: str) -> None:
    """Puts other lines in the place of the line `old` of a run's settings.yaml."""
    path = artifacts_of(run_id) / "settings.yaml"
    text = path.read_text(encoding="utf-8")
    assert f"{old}\n" in text
    path.write_text(text.replace(f"{old}\n", f"{new}\n", 1), encoding="utf-8")


CHANGED = [
    ("strict: false", "strict: false\nheld_back: [1, 2]", "an unknown line"),
    ("strict: false", "strictly: false", "a renamed line"),
    ("monitor: val/loss", "monitor: val/brier", "a value that is no longer allowed"),
    ("momentum: 0.9", "momentum: 90", "a value that is out of bounds now"),
    ("optimiser: sgd", "optimiser: adam", "settings that no longer go together"),
    ("weights.cmap: gray", "weights.colours: gray", "an option of a visualiser"),
    ("weights.cmap: gray", "sketches.cmap: gray", "an option of a visualiser that is gone"),
    ("model.dropout: 0.1", "model.dropout: 0.1\nmodel.drop_path: 0.1", "an option of the model"),
    ("dataset.size: null", "dataset.size: null\ndataset.mirror: x", "an option of the data set"),
    (
        "strict: false",
        "strict: false\nstratify: false\nsettings_version: 99",
        "a later version",
    ),
]


@pytest.mark.parametrize(("old", "new", "what"), CHANGED, ids=[what for *_, what in CHANGED])
def test_what_is_not_understood_stops_no_command_that_does_not_need_it(
    store: str, command: Command, picture: str, old: str, new: str, what: str
) -> None:
    run_id, other = thawed("1", "cnn"), thawed("1", "mlp")
    change(run_id, old, new)
    pages = [("runs",), ("compare", run_id, other, "--output", "both.html")]
    for args in (
        *(pages if "line" in what else ()),
        ("report", run_id, "--output", "page.html"),
        ("predict", run_id, picture),
        ("evaluate", run_id, "--part", "val", "--name", "held-out"),
    ):
        code, _, stderr = command(*args)
        assert code == 0, stderr


def test_what_is_not_understood_is_shown_as_it_is(store: str, command: Command) -> None:
    run_id, other = thawed("1", "cnn"), thawed("1", "mlp")
    change(run_id, "strict: false", "strict: false\nheld_back: [first, 2]\nmodel.drop_path: 0.125")
    change(run_id, "monitor: val/loss", "monitor: val/brier")
    MlflowClient().log_param(run_id, "later.option", "val/brier")
    assert command("report", run_id, "--output", "page.html")[0] == 0
    assert command("compare", run_id, other, "--output", "both.html")[0] == 0
    page = Path("page.html").read_text(encoding="utf-8")
    for text in ("held_back", "first,2", "model.drop_path", "0.125", "later.option", "val/brier"):
        assert text in page


def test_what_is_left_out_is_said(store: str, command: Command, picture: str) -> None:
    run_id = thawed("1", "cnn")
    change(run_id, "model.dropout: 0.1", "model.drop_path: [0.1]")
    change(run_id, "strict: false", "settings_version: 99")
    code, _, stderr = command("predict", run_id, picture)
    assert code == 0
    later, option = stderr.splitlines()
    assert later.startswith(
        f"Warning: run {run_id} was made by a later mlrun (settings_version 99;"
    )
    assert option == (
        f"Warning: run {run_id} has model.drop_path 0.1, which model cnn of mlrun-models "
        f"(mlrun-vision {find_run(run_id).tags['mlrun.version']}) does not have; it is left out"
    )
    assert find_run(run_id).recalled.unknown == {}


NEEDED = [
    ("model: cnn", "network: cnn", "model: it is not there", ("predict", "val", "evaluate")),
    ("dataset: digits", "dataset: [1, 2]", "dataset: expected", ("val", "evaluate")),
    ("seed: 0", "seed: many", "seed: expected a whole number, got 'many'", ("val", "evaluate")),
    ("subset: random:200", "subset: half", "subset: expected all, a number of images", ("val",)),
    (
        "model.activation: relu",
        "model.activation: maxout",
        "model.activation: expected one of relu|",
        ("predict", "val", "evaluate"),
    ),
]


@pytest.mark.parametrize(("old", "new", "message", "stopped"), NEEDED)
def test_what_a_command_needs_and_does_not_understand_is_one_line(
    store: str,
    command: Command,
    picture: str,
    old: str,
    new: str,
    message: str,
    stopped: tuple[str, ...],
) -> None:
    run_id = thawed("1", "cnn")
    change(run_id, old, new)
    assert command("report", run_id, "--output", "page.html")[0] == 0
    for name, args in {
        "predict": ("predict", run_id, picture),
        "evaluate": ("evaluate", run_id, "--rotate", "5"),
        "val": ("evaluate", run_id, "--part", "val", "--name", "held-out"),
    }.items():
        code, _, stderr = command(*args)
        assert code == (2 if name in stopped else 0), stderr
        if name in stopped:
            assert len(stderr.splitlines()) == 1
            assert stderr.startswith(f"Error: run {run_id}: ")
            assert message in stderr


ILL = {
    "binary": b"\x89PNG\r\n\x1a\n\x00\xff",
    "empty": b"",
    "a list": b"- 1\n",
    "a text": b"settings",
    "not UTF-8": b"model: \xe9\n",
    "unbalanced": b"model: [1",
    "a wrong version": b"settings_version: newest\n",
}


@pytest.mark.parametrize("content", ILL.values(), ids=ILL)
def test_settings_that_cannot_be_read_are_one_line(
    store: str, command: Command, picture: str, content: bytes
) -> None:
    ill = thawed("1", "mlp")
    (artifacts_of(ill) / "settings.yaml").write_bytes(content)
    for args in (("predict", ill, picture), ("evaluate", ill, "--rotate", "5")):
        code, _, stderr = command(*args)
        assert (code, len(stderr.splitlines())) == (2, 1)
        assert stderr.startswith(f"Error: run {ill}: its settings.yaml: ")


def test_settings_that_cannot_be_read_cost_only_what_needs_them(
    store: str, command: Command, picture: str
) -> None:
    ill, sound = thawed("1", "cnn"), thawed("1", "mlp")
    (artifacts_of(ill) / "settings.yaml").write_bytes(ILL["binary"])
    for args in (
        ("runs",),
        ("compare", ill, sound, "--output", "both.html"),
        ("predict", sound, picture),
        ("report", ill, "--output", "page.html"),
    ):
        code, _, stderr = command(*args)
        assert code == 0, stderr
    assert stderr.startswith(f"Warning: run {ill}: its artifact settings.yaml cannot be read (")
    assert "settings.yaml" in Path("page.html").read_text(encoding="utf-8")


def test_a_run_keeps_the_version_of_its_settings_and_every_line(frozen: dict[str, str]) -> None:
    for run_id in frozen.values():
        recalled = find_run(run_id).recalled
        assert (recalled.later, recalled.unknown) == (False, {})
        assert str(recalled.version) in VERSIONS
    text = plan_of({}).recipe()
    assert text.startswith("settings_version: ")
    assert setting_traits().keys() < yaml.safe_load(text).keys()


def test_runs_of_older_versions_are_made_again_as_they_were_then(
    frozen: dict[str, str], command: Command
) -> None:
    for run_id in frozen.values():
        code, stdout, stderr = command("reproduce", run_id, "--quiet")
        *_, verdict, new = stdout.splitlines()
        assert verdict.startswith(("identical: ", "within tolerance: ", "differs, because "))
        assert code == int(verdict.startswith("differs"))  # on this processor, with these packages
        assert "changed since" not in stderr
        tags, params = (
            MlflowClient().get_run(new).data.tags,
            MlflowClient().get_run(new).data.params,
        )
        assert (tags["mlrun.reproduces"], params["stratify"]) == (run_id, "false")
