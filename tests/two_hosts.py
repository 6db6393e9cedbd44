"""Two hosts as two network namespaces of this machine, joined by a virtual cable."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

LIMIT = 300.0  # seconds, of what is run on both
NETWORK = "10.213.7"


class Host(NamedTuple):
    """One of two hosts.

    name: of the host, which the other one finds it by, too. address: of it.
    interface: its end of the cable. folder: where commands run, and where its state lies.
    names: a file with the addresses of both, which it has for `/etc/hosts`.
    """

    name: str
    address: str
    interface: str
    folder: Path
    names: Path

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command that runs another one on this host."""
        mount = shlex.join(["mount", "--bind", str(self.names), "/etc/hosts"])
        inside = f"{mount} && hostname {self.name} && exec {shlex.join(arguments)}"
        return [*in_namespace(self.name), "unshare", "--uts", "sh", "-c", inside]


class Ended(NamedTuple):
    """What a command came to on one of the hosts."""

    code: int
    out: str
    err: str


def in_namespace(name: str) -> list[str]:
    """The beginning of a command that runs in a network namespace, with mounts of its own."""
    return ["ip", "netns", "exec", name]


def why_not() -> str:
    """Why there can be no two hosts on this machine; empty where there can."""
    if sys.platform != "linux":
        return "network namespaces are of Linux"
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("ip", "unshare") if shutil.which(name) is None]
    if missing:
        return f"no command {missing[0]}: install Debian's iproute2 and util-linux"
    name = f"mlrun-{os.getpid()}-try"
    try:
        tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
        if tried.returncode:
            return f"this machine makes no network namespace: {tried.stderr.strip()}"
        veth = ["ip", "-n", name, "link", "add", "one", "type", "veth", "peer", "name", "other"]
        tried = subprocess.run(veth, capture_output=True, text=True)
        return f"no virtual cable: {tried.stderr.strip()}" if tried.returncode else ""
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True)


@contextmanager
def two_hosts(folder: Path) -> Iterator[tuple[Host, Host]]:
    """Makes two hosts that reach each other and nothing else; afterwards they are gone."""
    names = folder / "hosts"
    hosts = tuple(
        Host(
            f"mlrun-{os.getpid()}-{which}",
            f"{NETWORK}.{number}",
            f"mlrun{which}",
            folder / which,
            names,
        )
        for number, which in enumerate("ab", 1)
    )
    lines = ["127.0.0.1 localhost", *(f"{host.address} {host.name}" for host in hosts)]
    names.write_text("\n".join(lines) + "\n")
    first, second = hosts
    with ExitStack() as stack:
        for host in hosts:
            host.folder.mkdir()
            stack.callback(ip, "netns", "delete", host.name, check=False)
            ip("netns", "add", host.name)
        cable = ["type", "veth", "peer", "name", second.interface, "netns", second.name]
        ip("-n", first.name, "link", "add", first.interface, *cable)
        for host in hosts:
            ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", host.interface)
            for interface in (host.interface, "lo"):
                ip("-n", host.name, "link", "set", interface, "up")
        yield first, second


def ip(*arguments: str, check: bool = True) -> None:
    """Changes the network."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert not check or not done.returncode, done.stderr


def torchrun(host: Host, first: Host, processes: int, *command: str) -> list[str]:
    """The command line with which torchrun starts its share of two hosts' processes on one.

    Args:
        host: on which it is started.
        first: where the hosts meet.
        processes: on each of them.
        command: what each runs, behind `python -m`.
    """
    start = ["--nnodes=2", f"--nproc-per-node={processes}", "--rdzv-backend=c10d"]
    place = [f"--rdzv-endpoint={first.address}:29400", "--rdzv-id=mlrun"]
    run = [sys.executable, "-m", "torch.distributed.run", *start, *place, "-m", *command]
    return host.command(run)


def run_on(
    hosts: Sequence[Host],
    commands: Sequence[Sequence[str]],
    environments: Sequence[Mapping[str, str]],
) -> list[Ended]:
    """What a command on each host came to; all that they started has ended then."""
    with ExitStack() as stack:
        running = []
        for host, command, environment in zip(hosts, commands, environments, strict=True):
            own = {
                "MLRUN_HOME": str(host.folder / "state"),
                "GLOO_SOCKET_IFNAME": host.interface,
                **environment,
            }
            process = subprocess.Popen(
                command,
                cwd=host.folder,
                env={**os.environ, **own},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            running.append(stack.enter_context(process))
            stack.callback(end, process, host)
        ended = [process.communicate(timeout=LIMIT) for process in running]
    return [Ended(one.returncode, *texts) for one, texts in zip(running, ended, strict=True)]


def end(process: subprocess.Popen[str], host: Host) -> None:
    """Ends a command on a host, and whatever is still at work there."""
    if process.poll() is None:
        process.kill()
    pids = subprocess.run(["ip", "netns", "pids", host.name], capture_output=True, text=True)
    for pid in pids.stdout.split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue
