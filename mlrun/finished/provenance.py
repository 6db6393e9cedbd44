"""The inputs of a run, as it recorded them, and which of them differ in a second run."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlrun.errors import legible
from mlrun.finished.artifacts import Artifacts
from mlrun.record.logged import LoggedRun
from mlrun.running.code import COMMIT, DIRTY
from mlrun.running.description import PROCESSES_TAG, Description
from mlrun.running.progress import Progress
from mlrun.seam.sources import normalised
from mlrun.settings.fields import Traits
from mlrun.settings.plan import Plan, text_of
from mlrun.settings.run import traits_of

ENVIRONMENT = PurePosixPath("environment.txt")
TOLD = 3  # changes of a kind that are told at the start; the others are counted
Kind = str
Inputs = Mapping[Kind, Mapping[str, str]]  # of each kind, a text for each input by its name

COMPUTING = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pillow")
OWN = "mlrun-vision"  # whose code has digests of its own
HEAD = re.compile(r"(python|processor) (.+)")
CODE = re.compile(r"code (\S+) ([0-9a-f]+)")
PACKAGE = re.compile(r"([\w.-]+)==(\S+)")
# in the order in which they are named; the last two seldom matter
KINDS = ("package", "setting", "data", "start", "plugin", "code", "device", "other package", "git")
ABSENT = ("package", "data", "other package")  # what one run has not was not there, or was removed


@dataclass(frozen=True)
class Change:
    """An input that differs in the second of two runs."""

    kind: Kind
    name: str
    before: str
    after: str

    @property
    def what(self) -> str:
        """The input's kind and name: `package torch`."""
        return self.kind if self.name == self.kind else f"{self.kind} {self.name}"

    def __str__(self) -> str:
        return f"{self.what}: {self.before}, now {self.after}"


def inputs_of(
    params: Mapping[str, str], tags: Mapping[str, str], environment: str, data: Mapping[str, str]
) -> Inputs:
    """Returns the inputs of a run by kind; what the run did not record is not there.

    Args:
        params, tags: of the run.
        environment: the content of its `environment.txt`; empty where that is not known.
        data: the digest of each part of its data set.
    """
    lines = environment.splitlines()
    head = {m[1]: m[2] for m in map(HEAD.fullmatch, lines) if m}
    packages = {normalised(m[1]): m[2] for m in map(PACKAGE.fullmatch, lines) if m}
    packages.pop(OWN, None)
    computing = {name: packages.pop(name) for name in COMPUTING if name in packages}
    code = {m[1]: m[2] for m in map(CODE.fullmatch, lines) if m}
    inputs: dict[Kind, dict[str, str | None]] = {
        "package": {"python": head.get("python"), **computing},
        "setting": dict(deciding(params)),
        "data": dict(data),
        "start": {
            "weights": tags.get("mlrun.init_from"),
            "run": tags.get("mlrun.continues"),
        },
        "plugin": dict(plugins(tags)),
        "code": {"version": tags.get("mlrun.version"), **code},
        "device": {
            "device": tags.get("mlrun.device"),
            "name": tags.get("mlrun.device_name"),
            "processor": head.get("processor"),
            "precision": tags.get("mlrun.precision"),
            "threads": tags.get("mlrun.threads"),
            "processes": tags.get(PROCESSES_TAG),
        },
        "other package": dict(packages),
        "git": {"commit": commit_of(tags)},
    }
    return {
        kind: {name: legible(text) for name, text in texts.items() if text}
        for kind, texts in inputs.items()
    }


def deciding(params: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yields the params that decide what a run comes to, but for what its digests tell better."""
    for name, text in params.items():
        prefix, dot, _ = name.partition(".")
        decides = prefix == "model" if dot else is_told(traits_of(name))
        if decides:
            yield name, text


def is_told(traits: Traits) -> bool:
    """Whether a setting is told as one; files that are executed have digests of their own."""
    return traits.decides and not traits.executed


def plugins(tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yields the digest of each plugin file, and which plugins model and data set came from."""
    start = "mlrun.plugin_file."
    for name in sorted(tags):
        if name.startswith(start):
            yield name.removeprefix(start), f"sha256 {tags[name]}"
    for kind in ("model", "dataset"):
        yield kind, tags.get(f"mlrun.{kind}", "")


def commit_of(tags: Mapping[str, str]) -> str:
    """Returns the commit that a run was made at, and whether its tree was dirty; or nothing."""
    changed = " with changes" if tags.get(DIRTY) == "true" else ""
    return f"{tags[COMMIT]}{changed}" if tags.get(COMMIT) else ""


def changes(before: Inputs, after: Inputs) -> list[Change]:
    """Returns the inputs that differ in the second run, the most telling first.

    An input that one of them did not record is left out; the commit comes before the device where
    the digests of the code are not there.
    """
    changed = [change for kind in KINDS for change in changes_in(kind, before[kind], after[kind])]
    if "mlrun" not in before["code"]:
        changed.sort(key=lambda one: KINDS.index("code" if one.kind == "git" else one.kind))
    return changed


def changes_in(kind: Kind, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    """Yields the inputs of one kind that differ."""
    if not before or not after:
        return
    for name in {**before, **after}:
        if kind not in ABSENT and (name not in before or name not in after):
            continue
        texts = before.get(name, "not there"), after.get(name, "not there")
        if texts[0] != texts[1]:
            yield Change(kind, name, *texts)


def unrecorded(before: Inputs) -> list[Kind]:
    """Returns the kinds of which a run recorded nothing, of those that each run has."""
    known = {**before, "code": "mlrun" in before["code"] or before["git"]}
    return [kind for kind in ("package", "setting", "data", "code", "device") if not known[kind]]


def recorded_inputs(run: LoggedRun, data: Mapping[str, str]) -> Inputs:
    """Returns the inputs that a run recorded; `data` are the digests of its data set's parts."""
    with tempfile.TemporaryDirectory() as folder:
        artifacts = Artifacts(run, Path(folder))
        listed = [path for path in artifacts.listed("", ".txt") if path == ENVIRONMENT]
        texts = artifacts.read(listed, lambda file: file.read_text(encoding="utf-8"))
    settings = run.recalled.settings  # its params may be as `mlflow run` wrote them: 1e-3 for 0.001
    params = {name: text_of(v) for name, v in {**settings.flat(), **settings.options}.items()}
    return inputs_of(params, run.tags, texts.get(ENVIRONMENT, ""), data)


def tell(changed: Sequence[Change], run: LoggedRun, progress: Progress) -> None:
    """Tells the user of the inputs that have changed since a run, a line for each kind."""
    for kind in dict.fromkeys(change.kind for change in changed):
        of_kind = [change for change in changed if change.kind == kind]
        others = len(of_kind) - TOLD
        more = f"; and {others} more" if others > 0 else ""
        texts = "; ".join(map(str, of_kind[:TOLD]))
        progress.warn(f"changed since run {run.run_id[:8]}: {texts}{more}")


def tell_changes(run: LoggedRun, plan: Plan, description: Description, progress: Progress) -> None:
    """Tells the user which inputs differ from when the run began; the data are compared later."""
    environment = str(description.files[str(ENVIRONMENT)])
    now = inputs_of(plan.params(), description.tags, environment, {})
    changed = changes(recorded_inputs(run, {}), now)
    tell(changed, run, progress)
    if any(change.kind not in ("git", "other package") for change in changed):
        progress.warn("with that it may come to other bits than it would have")
