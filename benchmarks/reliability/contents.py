"""All that a tracking store has of a run, and how it differs from what another run has."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import threading
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient, artifacts
from mlflow.entities import Run

# what a clock decides, so that only its being there can be compared
TIMED_METRICS = ("examples_per_second", "epoch_seconds", "frozen_seconds_saved")
TIMED_FILES = ("report.html", "checkpoints/last.pt")
OWN_TAGS = (
    "mlflow.runColor",  # unlike the neighbours'
    "mlflow.source.git.commit",
    "mlrun.git_dirty",
    "mlrun.launch",
    "mlrun.process",
    "mlrun.settings_sha256",
    "mlrun.state_folder",
)
RESUMED = "mlrun.resumed"  # which an undisturbed run has not
OWN_PARAMS = ("sync_wait", "run_name")
LEFT_OUT = (  # of the comparison, for the page
    "the values of metrics that a clock decides (" + ", ".join(TIMED_METRICS) + ")",
    "times and ids in the names of pictures",
    "the content of the report and of `last.pt`, which have such times in them",
    "a run's colour, its process and state folder, and the commit that it is of",
    "the setting `sync_wait`",
)


_loading = threading.Lock()


@dataclass(frozen=True)
class Contents:
    """What is in a store of one run, each as a text that is the same in an undisturbed run.

    things: how often each is there: a row of a metric, a param, a tag, a part of a data set, a
        file with the digest of its content, a servable model with its status.
    status: of the run, with whether its end has a time.
    """

    things: Counter[str]
    status: str


def contents(uri: str, run_id: str) -> Contents:
    """Reads all that the store at `uri` has of a run; a servable model is loaded, too."""
    client = MlflowClient(uri)
    run = client.get_run(run_id)
    things = Counter(metric_rows(client, run))
    things.update(named("param", run.data.params, OWN_PARAMS))
    tags = {name: text for name, text in run.data.tags.items() if name != RESUMED}
    things.update(named("tag", tags, OWN_TAGS))
    for part in run.inputs.dataset_inputs:
        used = ", ".join(tag.value for tag in part.tags)
        things[f"input {part.dataset.name} {part.dataset.digest} {used}"] += 1
    with tempfile.TemporaryDirectory() as folder:
        things.update(files(uri, run, Path(folder)))
    things.update(models(client, run))
    ended = "with" if run.info.end_time else "without"
    return Contents(things, f"{run.info.status} {ended} an end")


def named(kind: str, texts: Mapping[str, str], own: Collection[str]) -> list[str]:
    """Returns each text with its name, but for a run's own, of which only the name."""
    return [f"{kind} {n}" + ("" if n in own else f" = {text}") for n, text in texts.items()]


def metric_rows(client: MlflowClient, run: Run) -> list[str]:
    """Returns each row of each metric."""
    rows = []
    for key in run.data.metrics:
        for row in client.get_metric_history(run.info.run_id, key):
            value = "" if key in TIMED_METRICS else repr(row.value)
            rows.append(f"metric {key} {row.step} {value}")
    return rows


def files(uri: str, run: Run, folder: Path) -> list[str]:
    """Returns each artifact, its name without time and id, with the digest of its content."""
    client = MlflowClient(uri)
    if not client.list_artifacts(run.info.run_id):
        return []
    artifacts.download_artifacts(
        run_id=run.info.run_id, dst_path=str(folder), tracking_uri=client.tracking_uri
    )
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            content = "" if name in TIMED_FILES else digest(path)
            if name == "settings.yaml":
                content = hashlib.sha256(without_own(path.read_text()).encode()).hexdigest()[:16]
            found.append(f"file {without_id(name)} {content}")
    return found


def without_id(name: str) -> str:
    """Returns the name of a picture without the time and the id that MLflow's pages need in it."""
    return re.sub(r"\+timestamp\+\d+\+[0-9a-f-]{36}", "", name)


def without_own(settings: str) -> str:
    """Returns a file of settings without those that a run has of its own."""
    lines = settings.splitlines()
    return "\n".join(line for line in lines if not line.startswith(OWN_PARAMS))


def digest(path: Path) -> str:
    """Returns the digest of a file; of an archive, that of the members, which have times too."""
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            parts = [archive.read(name) for name in sorted(archive.namelist())]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:16]
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def models(client: MlflowClient, run: Run) -> list[str]:
    """Returns each servable model of a run; one that cannot be loaded is told as such."""
    found = []
    for model in client.search_logged_models(
        [run.info.experiment_id], f"source_run_id = '{run.info.run_id}'"
    ):
        state = "loads" if loads(client, model.artifact_location) else "does not load"
        found.append(f"servable model {model.name}, {model.status}, {state}")
    return found


def loads(client: MlflowClient, location: str) -> bool:
    """Whether a servable model is there whole: its description, and its weights."""
    with _loading:  # which is not made for several threads
        return loads_alone(client, location)


def loads_alone(client: MlflowClient, location: str) -> bool:
    """Whether a servable model is there whole."""
    import mlflow

    try:  # from a copy, as to load it by its id would take a store of the whole process
        folder = mlflow.artifacts.download_artifacts(location, tracking_uri=client.tracking_uri)
        mlflow.pyfunc.load_model(folder)
    except Exception:
        return False
    return True


@dataclass(frozen=True)
class Difference:
    """How what was left by a disturbed run differs from what an undisturbed one left.

    lost, extra: what is missing, and what is there more often than it should.
    """

    lost: Counter[str]
    extra: Counter[str]

    def as_text(self) -> str:
        """Returns the differences as JSON."""
        return json.dumps({"lost": self.lost, "extra": self.extra}, indent=1, ensure_ascii=False)


def difference(found: Contents, undisturbed: Contents) -> Difference:
    """Returns how contents differ."""
    return Difference(undisturbed.things - found.things, found.things - undisturbed.things)
