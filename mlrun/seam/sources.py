"""Sources of plugins: installed distributions, the running checkout, single files."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
import tomllib
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import CodeType, ModuleType

from mlrun.errors import MlrunError, contained, one_line
from mlrun.seam.files import fault_of_file
from mlrun.version import __version__

GROUP = "mlrun"
DISTRIBUTION = "mlrun-vision"
FILE_MODULE = "mlrun_plugin_"  # the module of a single file is called so, and as the file
FIELD = re.compile(r"^(Name|Version):[ \t]*(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """An entry point that names a plugin, and its distribution."""

    name: str
    distribution: str
    version: str
    entry_point: EntryPoint

    def load(self) -> ModuleType:
        """Imports the plugin and returns its module."""
        module: ModuleType = self.entry_point.load()
        return module


def checkout() -> Path | None:
    """Returns the root of the checkout whose core is running, or None when it is installed."""
    root = Path(__file__).resolve().parents[2]
    project = root / "pyproject.toml"
    if not project.is_file():
        return None
    name = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {}).get("name", "")
    return root if normalised(name) == DISTRIBUTION else None


def sources() -> list[Source]:
    """Returns every plugin that an entry point names, the running checkout's own first.

    A core that runs from a checkout takes the first-party plugins of that same checkout,
    whatever distribution of the same name is installed.
    """
    root = checkout()
    own = [] if root is None else checkout_sources(root)
    others = []
    for entry in entry_points(group=GROUP):  # of two distributions of a name, the first on the path
        identity = entry.dist and name_and_version(entry.dist)
        if not identity:
            continue
        name, version = normalised(identity[0]), identity[1]
        if root is None or name != DISTRIBUTION:
            others.append(Source(entry.name, name, version, entry))
    return own + sorted(others, key=lambda s: (s.distribution != DISTRIBUTION, s.distribution))


def checkout_sources(root: Path) -> list[Source]:
    """Returns the entry points that the checkout's `pyproject.toml` declares, importable."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entries = project.get("entry-points", {}).get(GROUP, {})
    folder = str(root / "plugins")
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    for value in entries.values():
        forget_foreign(value.partition(":")[0].partition(".")[0], root)
    return [
        Source(name, DISTRIBUTION, __version__, EntryPoint(name, value, GROUP))
        for name, value in entries.items()
    ]


def forget_foreign(package: str, root: Path) -> None:
    """Drops `package` from the imported modules if it was imported from outside `root`."""
    module = sys.modules.get(package)
    place = getattr(module, "__file__", None)
    if module is None or (place and Path(place).resolve().is_relative_to(root)):
        return
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
        del sys.modules[name]


class FromSource(SourceFileLoader):
    """Loads a module from its source alone.

    Python would keep what it compiled beside the file, and run that again where the file's time
    and size are the same, whatever it says by then.
    """

    def get_code(self, fullname: str) -> CodeType:
        """Returns the module's code, compiled from the source that is there now."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def source_of_file(path: Path) -> tuple[Source, ModuleType]:
    """Imports the plugin in the file `path`; its version is the start of the file's SHA-256.

    Raises:
        MlrunError: there is no such file, or importing it failed.
    """
    if fault := fault_of_file(path):
        raise MlrunError(f"--plugin {path}: {fault}; give the path of a Python file")
    name = path.stem.replace("_", "-").lower()
    module_name = f"{FILE_MODULE}{path.stem}"
    if path.suffix != ".py":
        raise MlrunError(f"--plugin {path}: not a Python file; its name must end in .py")
    loader = FromSource(module_name, str(path))
    spec = importlib.util.spec_from_file_location(module_name, path, loader=loader)
    assert spec is not None  # which it is where a loader is given
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        with contained(interrupts=True):
            loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise MlrunError(f"--plugin {path}: {one_line(error)}") from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Source(name, path.name, digest[:12], EntryPoint(name, module_name, GROUP)), module


def loaded_files() -> list[Path]:
    """Returns the single files that were imported as plugins in this process and are there."""
    modules = [module for name, module in sys.modules.items() if name.startswith(FILE_MODULE)]
    files = [Path(str(module.__file__)) for module in modules]
    return [path for path in files if path.is_file()]


def normalised(name: str) -> str:
    """Returns a distribution's name as packaging compares it: `Mlrun_Vision` is `mlrun-vision`."""
    return name.replace("_", "-").replace(".", "-").lower()


def name_and_version(distribution: Distribution) -> tuple[str, str] | None:
    """Returns a distribution's name and version; None where its metadata lack one of them.

    `distribution.metadata` would parse all of the file, and again for each field: a second for
    an environment of a hundred and fifty packages.
    """
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    fields = dict(FIELD.findall(text.partition("\n\n")[0]))
    return (fields["Name"], fields["Version"]) if len(fields) == 2 else None
