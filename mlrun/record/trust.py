"""What the user has run here: no other file that a store names is executed or opened."""

from __future__ import annotations

import hashlib
import json
import logging
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mlrun.errors import MlrunError
from mlrun.record.folders import state_folder, write_whole
from mlrun.record.logged import LoggedRun
from mlrun.seam.components import Component
from mlrun.seam.conversion import as_text
from mlrun.seam.files import at_home
from mlrun.settings import Settings
from mlrun.settings.option_values import prefixed
from mlrun.settings.plain_yaml import plain_of
from mlrun.settings.plan import Plan
from mlrun.settings.run import traits_of

LOG = logging.getLogger(__name__)
LEADS_AWAY = "/\\:~\0"  # a text without any of them names a file where its reader looks for it


def trust_file(path: Path) -> None:
    """Remembers a plugin file, by path and content, as one that the user has run here."""
    with suppress(OSError):  # of a state folder that cannot be written: it is not trusted later
        entry = entry_of(path)
        write_whole(entry, hashlib.sha256(path.read_bytes()).hexdigest().encode())


def is_trusted_file(path: Path) -> bool:
    """Whether the user has run this file here, with the content that it has now.

    A path that is not known is not opened.
    """
    try:
        return entry_of(path).read_text() == hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return False


def entry_of(path: Path) -> Path:
    """Returns where the digest of the file at `path` is kept."""
    return state_folder() / "plugins" / sha256(str(path.absolute()))


def sha256(text: str) -> str:
    """Returns the digest of a text, which is a file's name whatever the text is."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def plugin_files_of(run: LoggedRun, named: Sequence[Path]) -> list[Path]:
    """Returns the plugin files to load for a run: those that the user names, and its own.

    A run's settings come from its store, whoever wrote them: a file that they name is taken only
    if it was run here, with the content that it has now. Else the user must name it.

    Args:
        run: as it is in the store.
        named: files that the user names now; each stands for one of the run's of the same name.

    Raises:
        MlrunError: a file of the run is neither trusted nor named.
    """
    files = list(named)
    for text in run.settings("plugin").plugin:
        path = at_home(text)
        if path.name in {file.name for file in named}:
            continue
        kept = f"its text is kept in the run's artifacts as plugins/{path.name}"
        known = entry_of(path).exists()  # one that is not known is not even looked for
        if known and not path.is_file():
            raise MlrunError(
                f"run {run.run_id} used the plugin file {path}, which is not here; {kept}"
            )
        if not known or not is_trusted_file(path):
            digest = run.tags.get(f"mlrun.plugin_file.{path.name}", "not known")
            raise MlrunError(
                f"run {run.run_id} names the plugin file {path} (sha256 {digest}), which was not "
                f"run on this machine as it is now; {kept}; if you trust the file, name it: "
                f"--plugin {path}"
            )
        files.append(path)
    return files


def trust_paths(run_id: str, plan: Plan) -> None:
    """Remembers the paths and downloads that a run names, which the user starts here."""
    values = {
        name: plain_of(value)
        for name, value in plan.flat().items()
        if (is_opened(name) and leads_away(value)) or asks_for_network(name, value)
    }
    if values:
        with suppress(OSError):  # as for a plugin file
            entry = paths_entry(run_id)
            write_whole(entry, json.dumps(values).encode())


def is_opened(name: str) -> bool:
    """Whether a setting, or an option of a component, may name a file to be opened."""
    traits = traits_of(name)
    return "." in name or (traits.path is not None and not traits.executed)


def paths_entry(run_id: str) -> Path:
    """Returns where the paths of a run that was started here are kept."""
    return state_folder() / "paths" / sha256(run_id)


def leads_away(value: object) -> bool:
    """Whether a setting's value may be a path out of the folder that it is read from.

    >>> leads_away("train.csv"), leads_away("../train.csv"), leads_away(("a", Path("/b")))
    (False, True, True)
    """
    if isinstance(value, Mapping):
        return any(map(leads_away, value.values()))
    if isinstance(value, list | tuple):
        return any(map(leads_away, value))
    if not isinstance(value, str | Path):
        return False
    text = str(value)
    return text == ".." or any(character in text for character in LEADS_AWAY)


def asks_for_network(name: str, value: object) -> bool:
    """Whether an option has something fetched over the network."""
    return name.rpartition(".")[2] == "download" and as_text(value) == "true"


def without_downloads(run: LoggedRun, options: Mapping[str, object]) -> dict[str, object]:
    """Returns a run's options, by dotted names, without what the user did not ask for here.

    That is a download, which would be the doing of whoever wrote the store.
    """
    return {
        name: value
        for name, value in options.items()
        if not asks_for_network(name, value) or named_here(run, name, value)
    }


def options_of_run(
    run: LoggedRun, prefix: str, component: Component, overrides: Mapping[str, object]
) -> dict[str, object]:
    """Returns the options that a run has for a component, with those that the user gives over them.

    A path among them is taken only from a run that was started here with it, as it comes from the
    store, whoever wrote that; the user may name it. A default is the component's own.

    Args:
        run: as it is in the store.
        prefix: what stands before the dot in the options' names: `model` or `dataset`.
        component: which the options are for.
        overrides: options by name, without the prefix.

    Raises:
        MlrunError: the run names paths that are neither trusted nor given.
    """
    options = options_left(run, prefix, component)
    defaults = {option.name: option.default for option in component.options if not option.required}
    foreign = {
        name: value
        for name, value in options.items()
        if name not in overrides
        and leads_away(value)
        and (name not in defaults or plain_of(defaults[name]) != plain_of(value))
        and not named_here(run, f"{prefix}.{name}", value)
    }
    if foreign:
        names = ", ".join(f"{prefix}.{name} {as_text(value)}" for name, value in foreign.items())
        raise MlrunError(
            f"run {run.run_id} was not started on this machine and names {names}, which is not "
            f"opened; if you trust it, name it: {in_shell(prefix, foreign)}"
        )
    return {**options, **overrides}


def options_left(run: LoggedRun, prefix: str, component: Component) -> dict[str, object]:
    """Returns the options that a run has for a component, but for those that it no longer has.

    Each of these is left out with a warning.
    """
    names = [option.name for option in component.options]
    left = {}
    for name, value in prefixed(prefix, without_downloads(run, run.settings().options)).items():
        if name in names:
            left[name] = value
        else:
            LOG.warning(
                "run %s has %s.%s %s, which %s %s of %s does not have; it is left out",
                *(run.run_id, prefix, name, as_text(value), component.kind, component.name),
                component.origin,
            )
    return left


def in_shell(prefix: str, options: Mapping[str, object]) -> str:
    """Returns options as they are given on the command line."""
    names = {name: f"--{prefix}.{name.replace('_', '-')}" for name in options}
    return " ".join(f"{names[n]} {shlex.quote(as_text(value))}" for n, value in options.items())


def named_here(run: LoggedRun, name: str, value: object) -> bool:
    """Whether the run was started here, with that value of the setting `name`."""
    try:
        values = json.loads(paths_entry(run.run_id).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and name in values and values[name] == plain_of(value)


def data_folder(run: LoggedRun, override: Path | None) -> Path:
    """Returns the folder that data sets are read from: the one given, or else the run's.

    That of a run that was not started here is not opened: it is the default one in its place.
    """
    folder, default = run.settings().data_dir, Settings().data_dir
    if override is not None:
        return override
    if folder == default or not leads_away(folder) or named_here(run, "data_dir", folder):
        return folder
    LOG.warning(
        "run %s was not started on this machine: its data folder %s is not opened, but %s is; "
        "if you trust it, name it: --data-dir %s",
        run.run_id,
        folder,
        default,
        shlex.quote(str(folder)),
    )
    return default
