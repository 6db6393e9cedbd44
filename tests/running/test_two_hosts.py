"""Two hosts train one run together, as two network namespaces of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from mlflow import MlflowClient
from runs import logged
from test_together import COMMON, DOUBLE, assert_same
from two_hosts import Ended, Host, run_on, torchrun, two_hosts, why_not

import mlrun

NOWHERE = "http://10.255.255.1:5000"  # a tracking store that nobody reaches

pytestmark = pytest.mark.slow
PIXELS = '''
import os
import mlrun

def pixels(root):
    """Images that are not the same on every host."""
    import torch

    images = torch.randint(0, 256, (80, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    images[3, 0, 2, 1] = int(os.environ["PIXEL"])
    part = mlrun.Part(images.to(torch.uint8), torch.arange(80) % 10)
    return mlrun.ImageData(part, tuple("0123456789"), test=part)

@mlrun.hookimpl
def register_datasets(register):
    register(pixels)
'''


@pytest.fixture
def hosts(store: str, tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    folder = tmp_path / "hosts"
    folder.mkdir()
    with two_hosts(folder) as both:
        yield both


def trained_on(
    hosts: tuple[Host, Host],
    plugin: str,
    settings: Mapping[str, object],
    *,
    processes: int = 1,
    environments: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
) -> list[Ended]:
    """What a run came to on each of two hosts; only the first one has the tracking store."""
    for host in hosts:
        (host.folder / "plugin.py").write_text(plugin)
    options = [f"--{name}={value}" for name, value in settings.items()]
    train = ["mlrun", "train", "--quiet", "--plugin=plugin.py", *options]
    commands = [torchrun(host, hosts[0], processes, *train) for host in hosts]
    here, there = environments
    return run_on(hosts, commands, [here, {"MLFLOW_TRACKING_URI": NOWHERE, **there}])


@pytest.mark.parametrize("processes", [1, 2])
def test_they_come_to_the_losses_of_one_process(hosts: tuple[Host, Host], processes: int) -> None:
    first, second = trained_on(hosts, DOUBLE, COMMON, processes=processes)
    assert (first.code, second.code) == (0, 0), first.err + second.err
    told = [line for line in second.err.splitlines() if line.startswith("Error")]
    assert (second.out, told) == ("", []), second.err  # its torchrun may tell of the first's end
    together = first.out.strip()
    run = logged(together)
    assert (run.info.status, run.data.params["processes"]) == ("FINISHED", str(2 * processes))
    assert run.data.tags["mlrun.host"] == hosts[0].name
    plugin = hosts[0].folder / "plugin.py"
    assert_same(together, mlrun.train({**COMMON, "plugin": str(plugin)}).run_id, 1e-9)
    assert run.data.tags["mlrun.state_folder"] == str(hosts[0].folder / "state")
    assert not (hosts[1].folder / "state/runs").exists(), "the second host records nothing"
    assert len(MlflowClient().search_runs(["0"])) == 2


def test_data_that_are_not_the_same_on_both_are_refused(hosts: tuple[Host, Host]) -> None:
    settings = {"dataset": "pixels", "epochs": 1, "model": "logistic"}
    environments = {"PIXEL": "1"}, {"PIXEL": "2"}
    first, second = trained_on(hosts, PIXELS, settings, environments=environments)
    assert first.code
    assert second.code
    assert f"on {hosts[1].name}) has other data than rank 0" in first.err
    assert MlflowClient().search_runs(["0"]) == []
