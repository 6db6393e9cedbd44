"""What is written down about a run besides its figures and data sets: tags and files."""

from __future__ import annotations

import hashlib
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import torch

from mlrun.inside.layers import layer_table
from mlrun.machine import devices
from mlrun.preparing.prepared import Prepared
from mlrun.record.beginning import SETTINGS_TAG, digest
from mlrun.record.pictures import encode
from mlrun.running.code import code_digests, git_tags
from mlrun.seam.files import at_home
from mlrun.seam.sources import name_and_version
from mlrun.settings.plan import Plan
from mlrun.version import __version__

PROCESSES_TAG = "mlrun.processes"  # how many train the run, since it was last taken up


@dataclass(frozen=True)
class Description:
    """Tags, and files by their path in the run."""

    tags: dict[str, str]
    files: dict[str, str | bytes]


def describe_run(plan: Plan, prepared: Prepared) -> Description:
    """Returns what is known of a run before it starts."""
    settings = plan.recipe()
    files: dict[str, str | bytes] = {
        "settings.yaml": settings,
        "model-summary.txt": layer_table(prepared.model, prepared.data.shape, prepared.device),
        "environment.txt": environment(plan, prepared.device),
    }
    if prepared.probe is not None:
        files["probe.png"] = encode(prepared.probe.image[0].permute(1, 2, 0).numpy(), "PNG")
    tags = {**tags_of(plan, prepared), SETTINGS_TAG: digest(settings)}
    for name in plan.settings.plugin:
        text = at_home(name).read_bytes()
        tags[f"mlrun.plugin_file.{Path(name).name}"] = hashlib.sha256(text).hexdigest()
        files[f"plugins/{Path(name).name}"] = text.decode(errors="replace")
    return Description(tags, files)


def tags_of(plan: Plan, prepared: Prepared) -> dict[str, str]:
    """Returns the user's tags and those that say which code and device made the run."""
    tags = {
        **plan.settings.tags,
        "mlrun.version": __version__,
        "mlrun.device": str(prepared.device),
        "mlrun.device_name": devices.device_name(prepared.device),
        "mlrun.precision": prepared.precision.name,
        PROCESSES_TAG: str(prepared.group.size),
        "mlrun.threads": str(torch.get_num_threads()),
        "mlrun.torch": torch.__version__,
        "mlrun.python": platform.python_version(),
    }
    if prepared.data.value_range:
        low, high = prepared.data.value_range
        tags["mlrun.value_range"] = f"{low:.9g},{high:.9g}"
    if plan.recipe_name:
        tags["mlrun.recipe"] = plan.recipe_name
    for configured in plan.components:
        component, prefix = configured.component, configured.prefix
        key = f"visualiser.{prefix}" if component.kind == "visualiser" else component.kind
        tags[f"mlrun.{key.replace('/', '.')}"] = f"{component.qualified} from {component.origin}"
    return tags | git_tags()


def environment(plan: Plan, device: torch.device) -> str:
    """Returns what a run is made with: a line for each of its parts, then the installed packages.

    The parts are the interpreter, the platform, the processor, the device, the threads, and the
    code of mlrun and of the plugins that take part, each with a digest.
    """
    head = [
        f"python {sys.version.split()[0]}",
        f"platform {platform.platform()}",
        f"processor {devices.processor_name()}",
        f"device {device} ({devices.device_name(device)})",
        f"threads {torch.get_num_threads()}",
        *(f"code {name} {digest}" for name, digest in code_digests(plan).items()),
    ]
    return "\n".join([*head, "", *packages(), ""])


def packages() -> list[str]:
    """Returns every installed package with its version, `name==version`, by name."""
    installed = filter(None, map(name_and_version, distributions()))
    return sorted({f"{name}=={version}" for name, version in installed}, key=str.lower)
