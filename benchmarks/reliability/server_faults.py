"""Faults of MLflow's server, and of the way to it."""

from __future__ import annotations

import signal
import time
from dataclasses import replace

from benchmarks.reliability.proxy import proxy_to
from benchmarks.reliability.stage import LATE, MIDDLE, Outcome, Stage
from benchmarks.reliability.stores import can_ask_for_passwords, in_address, served
from benchmarks.slow_network import free_port

USER, PASSWORD = "ann", "pa55/of@ann:bee"  # with what means something in an address


def absent(stage: Stage) -> Outcome:
    """A server that is not there when the run starts."""
    training = stage.train(f"http://127.0.0.1:{free_port()}")
    code = training.end()
    wrong = [] if code == 2 else [f"exit code {code}, not 2"]
    if any(stage.home.glob("runs/*")):
        wrong.append("a run was opened")
    return Outcome(code, training.lines(), wrong=wrong)


def refuses(stage: Stage) -> Outcome:
    """A server that is down for 30 s in the middle."""
    with served(stage.folder / "server", stage.store) as server:
        training = stage.train(server.address)
        run_id = training.reach(MIDDLE)
        server.kill()
        training.go_on(MIDDLE)
        stage.sleep(30)
        server.start()
        return stage.outcome(training, server.address, run_id, training.end())


def hangs(stage: Stage) -> Outcome:
    """A server that takes connections and says nothing for 60 s in the middle."""
    with served(stage.folder / "server", stage.store) as server:
        training = stage.train(server.address)
        run_id = training.reach(MIDDLE)
        server.signal(signal.SIGSTOP)
        training.go_on(MIDDLE)
        stage.sleep(60)
        server.signal(signal.SIGCONT)
        return stage.outcome(training, server.address, run_id, training.end())


def hangs_at_the_end(stage: Stage) -> Outcome:
    """A server that says nothing from late on until after the end of the run; sync."""
    with served(stage.folder / "server", stage.store) as server:
        training = stage.train(server.address, "--sync-wait", str(stage.scale.sync_wait))
        run_id = training.reach(MIDDLE)
        training.go_on(MIDDLE)
        training.reach(LATE)
        server.signal(signal.SIGSTOP)
        since = time.monotonic()
        code = training.end()
        took = time.monotonic() - since
        server.signal(signal.SIGCONT)
        outcome = stage.synced(training, server.address, run_id, code)
        if took > stage.scale.sync_wait + 60:
            return replace(outcome, wrong=[*outcome.wrong, f"it took {took:.0f} s to end"])
        return outcome


def answers_500(stage: Stage) -> Outcome:
    """A server that answers 500 to everything for 90 s in the middle."""
    return behind_proxy(stage, 500, "", 90, MIDDLE)


def rejects_put(stage: Stage) -> Outcome:
    """A server that answers 403 to every file for 30 s."""
    return behind_proxy(stage, 403, "PUT", 30, MIDDLE, LATE)


def slow(stage: Stage) -> Outcome:
    """A server to which each request takes 2 s."""
    with served(stage.folder / "server", stage.store) as server, proxy_to(server.port) as proxy:
        proxy.delay = 2 * stage.scale.seconds
        training = stage.train(f"http://127.0.0.1:{proxy.port}")
        run_id = training.reach(MIDDLE)
        code = training.end()
        return stage.outcome(training, server.address, run_id, code)


def killed_before_the_end(stage: Stage) -> Outcome:
    """A server that is killed in the middle, and started again while training lasts."""
    with served(stage.folder / "server", stage.store) as server:
        training = stage.train(server.address)
        run_id = training.reach(MIDDLE)
        server.kill()
        training.go_on(MIDDLE)
        training.reach(LATE)
        server.start()
        return stage.outcome(training, server.address, run_id, training.end())


def killed_at_the_end(stage: Stage) -> Outcome:
    """A server that is killed late, and started again while the run waits for it at its end."""
    with served(stage.folder / "server", stage.store) as server:
        training = stage.train(server.address, "--sync-wait", "300")
        run_id = training.reach(MIDDLE)
        training.go_on(MIDDLE)
        training.reach(LATE)
        server.kill()
        training.go_on(LATE)
        journal = stage.home / "runs" / run_id / "journal.jsonl"
        stage.wait_for(lambda: '"kind":"end"' in journal.read_text())
        server.start()
        return stage.outcome(training, server.address, run_id, training.end())


def killed_for_long(stage: Stage) -> Outcome:
    """A server that is killed in the middle, and started two minutes after the end; sync."""
    with served(stage.folder / "server", stage.store) as server:
        training = stage.train(server.address, "--sync-wait", str(stage.scale.sync_wait))
        run_id = training.reach(MIDDLE)
        server.kill()
        code = training.end()
        stage.sleep(120)
        server.start()
        return stage.synced(training, server.address, run_id, code)


def emptied(stage: Stage) -> Outcome:
    """A server that comes back with an empty database, and gets its own again; sync."""
    with served(stage.folder / "server", stage.store) as server:
        training = stage.train(server.address, "--sync-wait", str(stage.scale.sync_wait))
        run_id = training.reach(MIDDLE)
        server.kill()
        server.forget()
        server.start()
        code = training.end()
        in_vain = stage.sync(server.address, "--wait", "5")
        server.kill()
        server.remember()
        server.start()
        outcome = stage.synced(training, server.address, run_id, code)
        if in_vain.returncode != 1 or len(in_vain.stderr.splitlines()) != 1:
            lines = f"{in_vain.returncode}: {in_vain.stdout}{in_vain.stderr}"
            return replace(outcome, wrong=[*outcome.wrong, f"sync with the empty one: {lines}"])
        return replace(outcome, said=[*outcome.said, f"(sync) {in_vain.stderr.strip()}"])


def password_by_variables(stage: Stage) -> Outcome:
    """A server that asks for user and password, by variables; down at the end, sync."""
    variables = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    return with_password(stage, "", variables)


def password_by_address(stage: Stage) -> Outcome:
    """A server that asks for user and password, in its address; down at the end, sync."""
    return with_password(stage, in_address(USER, PASSWORD), {})


def with_password(stage: Stage, user: str, variables: dict[str, str]) -> Outcome:
    """Runs behind a password; the way to the server fails from the middle on, and sync sends.

    MLflow's own server asks for it (`--app-name basic-auth`), or the proxy where that cannot.
    """
    asks = (USER, PASSWORD) if can_ask_for_passwords() else ("", "")
    folder = stage.folder / "server"
    with served(folder, stage.store, *asks) as server, proxy_to(server.port) as proxy:
        proxy.password = "" if any(asks) else f"{USER}:{PASSWORD}"
        address = f"http://{user}127.0.0.1:{proxy.port}"
        training = stage.train(address, "--sync-wait", "5", **variables)
        run_id = training.reach(MIDDLE)
        proxy.status = 503
        code = training.end()
        told = passwords(stage)
        proxy.status = 0
        outcome = stage.synced(training, server.address, run_id, code, address, **variables)
        told += passwords(stage)
        if not variables:
            return replace(outcome, wrong=[*outcome.wrong, *sorted(set(told))])
        refused = stage.train(address, MLFLOW_TRACKING_USERNAME=USER, MLFLOW_TRACKING_PASSWORD="x")
        if refused.end() != 2 or len(refused.lines()) != 1:
            told.append(f"with a wrong password: {refused.lines()}")
        return replace(outcome, wrong=[*outcome.wrong, *sorted(set(told))])


def passwords(stage: Stage) -> list[str]:
    """Returns the files below a stage that have the password in them, as it is or in an address."""
    forms = PASSWORD.encode(), in_address(USER, PASSWORD).encode()
    found = []
    for path in stage.folder.rglob("*"):
        if path.is_file() and any(form in path.read_bytes() for form in forms):
            found.append(f"the password is in {path.relative_to(stage.folder)}")
    return found


def behind_proxy(stage: Stage, status: int, method: str, seconds: float, *gates: int) -> Outcome:
    """Runs with a proxy before the server, which fails from the middle on, for so many seconds.

    Args:
        stage: of the run.
        status: of the answers to what is failed.
        method: of the requests that are failed; empty for all.
        seconds: how long, from the first that is.
        gates: that are opened meanwhile.
    """
    with served(stage.folder / "server", stage.store) as server, proxy_to(server.port) as proxy:
        training = stage.train(f"http://127.0.0.1:{proxy.port}", "--sync-wait", "300")
        run_id = training.reach(MIDDLE)
        proxy.status, proxy.method = status, method
        training.go_on(*gates)
        stage.wait_for(lambda: proxy.failed)
        stage.sleep(seconds)
        proxy.status = 0
        return stage.outcome(training, server.address, run_id, training.end())
