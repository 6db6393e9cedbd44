"""The order of the code: imports run one way, plugins use what is exported, modules stay small."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
from checkouts import ROOT

from mlrun import plugin

LONGEST = 300  # lines of a module


def test_imports_run_one_way_and_plugins_import_what_is_exported() -> None:
    """The contracts stand in pyproject.toml, under `tool.importlinter`."""
    code = (
        "import sys; sys.path[:0] = ['.', 'plugins']; "
        "from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_five_modules_lie_at_the_root() -> None:
    names = {path.name for path in (ROOT / "mlrun").glob("*.py")}
    assert names == {"__init__.py", "__main__.py", "errors.py", "plugin.py", "version.py"}


def test_no_module_is_longer_than_can_be_read_at_a_sitting() -> None:
    paths = [*(ROOT / "mlrun").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_no_two_modules_have_one_name_but_a_command_or_settings_and_what_they_are_for() -> None:
    counts: dict[str, list[str]] = {}
    for path in (ROOT / "mlrun").rglob("*.py"):
        folder = path.relative_to(ROOT / "mlrun").parts[0]
        if not path.name.startswith("_") and folder not in ("cli", "settings"):
            counts.setdefault(path.name, []).append(folder)
    assert {name: folders for name, folders in counts.items() if len(folders) > 1} == {}


def test_every_path_that_the_page_on_architecture_names_is_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    paths = set(re.findall(r"`((?:mlrun|plugins|tests|docs)/[\w/.]*)`", text))
    assert len(paths) > 20
    assert {path for path in paths if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("name", plugin.__all__)
def test_what_a_plugin_may_use_is_there_and_documented(name: str) -> None:
    member = getattr(plugin, name)
    assert f"`{name}" in (ROOT / "docs" / "plugins.md").read_text()
    assert not callable(member) or member.__doc__


def test_plugins_are_forbidden_all_else_of_the_core() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = (
        contract
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["id"] == "plugins"
    )
    places = [path for path in (ROOT / "mlrun").iterdir() if not path.name.startswith("_")]
    names = {
        f"mlrun.{path.stem}" for path in places if path.suffix == ".py" or any(path.glob("*.py"))
    }
    assert set(contract["forbidden_modules"]) == names - {"mlrun.plugin"}


def test_what_a_plugin_may_use_is_a_fixed_list() -> None:
    assert set(plugin.PLACES) == set(plugin.__all__)
    with pytest.raises(AttributeError, match="no attribute 'decoed'"):
        plugin.decoed  # noqa: B018
