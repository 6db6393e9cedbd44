"""Fills the marked places of the documentation from the code that the tests run.

`python docs/generate.py` writes the pages; the tests fail while one differs.
"""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("plugins.md", "architecture.md")


def filled(text: str) -> str:
    """Returns a page with every marked place filled anew."""

    def code(match: re.Match[str]) -> str:
        content = (ROOT / match[1]).read_text().strip()
        return f"<!-- {match[1]} -->\n```{match[2]}\n{content}\n```"

    text = re.sub(r"<!-- (tests/\S+) -->\n```(\w+)\n.*?```", code, text, flags=re.DOTALL)
    for marker, content in CONTENTS.items():
        if f"<!-- {marker} -->" in text:
            place = f"<!-- {marker} -->\n{content()}\n<!-- end -->\n"
            pattern = rf"<!-- {marker} -->\n(.*?<!-- end -->\n)?"
            text = re.sub(pattern, lambda _, p=place: p, text, flags=re.DOTALL)
    return text


def view_table() -> str:
    """Returns what a View offers, one line each, from its docstrings."""
    from mlrun import View

    documented = inspect.getdoc(View) or ""
    rows = re.findall(r"^(\w+): ((?:.+\n?)(?:    .+\n?)*)", documented, re.MULTILINE)
    lines = [f"- `view.{name}`: {' '.join(about.split())}" for name, about in rows]
    for name, member in vars(View).items():
        if name.startswith("_") or not (inspect.isfunction(member) or isinstance(member, property)):
            continue
        function = member.fget if isinstance(member, property) else member
        arguments = ""
        if inspect.isfunction(member):
            arguments = f"({', '.join(list(inspect.signature(member).parameters)[1:])})"
        lines.append(f"- `view.{name}{arguments}`: {first_line(function)}")
    return "\n".join(lines)


def hooks_section() -> str:
    """Returns each hook with its exact signature and docstring."""
    from mlrun.seam import hookspecs

    parts = []
    for name, function in vars(hookspecs).items():
        if name.startswith("register_"):
            parameters = ", ".join(inspect.signature(function).parameters)
            parts.append(f"### `{name}({parameters})`\n\n{inspect.getdoc(function)}")
    return "\n\n".join(parts)


def exports_table() -> str:
    """Returns what `mlrun.plugin` exports, one line each, with the first line of its docstring."""
    from mlrun import plugin

    return "\n".join(
        f"- `{called(name, member)}`: {about_export(name, member)}"
        for name, member in ((name, getattr(plugin, name)) for name in sorted(plugin.__all__))
    )


def called(name: str, member: object) -> str:
    """Returns a function or class with the parameters it is called with; a constant as it is."""
    if not callable(member):
        return name
    parameters = inspect.signature(member).parameters.values()
    bare = [parameter.replace(annotation=parameter.empty) for parameter in parameters]
    return f"{name}{inspect.Signature(bare)}"


def about_export(name: str, member: object) -> str:
    """Returns what an export is: from its docstring, or the comment above a constant."""
    if callable(member):
        return first_line(member)
    from mlrun import plugin

    source = (ROOT / Path(*plugin.PLACES[name].split("."))).with_suffix(".py").read_text()
    found = re.search(rf"^# (.+)\n{name} = ", source, re.MULTILINE)
    return found[1] if found else ""


def first_line(member: object) -> str:
    """Returns the first line of a docstring."""
    return (inspect.getdoc(member) or "").partition("\n")[0]


def layers() -> list[list[str]]:
    """Returns the layers of the house from the contract in pyproject.toml, the highest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = (
        contract
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    return [layer.split(" | ") for layer in contract["layers"]]


def layers_picture() -> str:
    """Returns the layers as a picture of text, a line for each of their modules and folders."""
    drawn = [
        [
            f"{name}{'/' if is_folder(name) else '.py'}".ljust(14) + summary(module_path(name))
            for name in layer
        ]
        for layer in layers()
    ]
    lines = "\n  ↓\n".join("\n".join(layer) for layer in drawn)
    return f"```\n{lines}\n```"


def is_folder(name: str) -> bool:
    """Whether a part of mlrun is a folder."""
    return (ROOT / "mlrun" / name).is_dir()


def module_path(name: str) -> Path:
    """Returns the file of a part of mlrun: its `__init__.py`, or the module."""
    folder = ROOT / "mlrun" / name
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def summary(path: Path) -> str:
    """Returns the first line of a module's docstring, without its full stop."""
    about = ast.get_docstring(ast.parse(path.read_text())) or ""
    return about.partition("\n")[0].removesuffix(".")


def tree() -> str:
    """Returns every module of the core and the first-party plugins with what it is."""
    roots = [ROOT / "mlrun", *sorted((ROOT / "plugins").glob("mlrun_*"))]
    return "\n".join(["```", *(line for root in roots for line in branch(root, 0)), "```"])


def branch(folder: Path, depth: int) -> Iterator[str]:
    """Yields a line for a package and for each module in it."""
    yield entry(f"{folder.name}/", folder / "__init__.py", depth)
    for path in sorted(folder.iterdir()):
        if (path / "__init__.py").is_file():
            yield from branch(path, depth + 1)
        elif path.suffix == ".py" and path.name != "__init__.py":
            yield entry(path.name, path, depth + 1)


def entry(name: str, path: Path, depth: int) -> str:
    """Returns one line of the tree."""
    return f"{'  ' * depth}{name}".ljust(34) + summary(path)


CONTENTS: dict[str, Callable[[], str]] = {
    "view": view_table,
    "hooks": hooks_section,
    "exports": exports_table,
    "layers": layers_picture,
    "tree": tree,
}

if __name__ == "__main__":
    for name in PAGES:
        page = ROOT / "docs" / name
        page.write_text(filled(page.read_text()))
