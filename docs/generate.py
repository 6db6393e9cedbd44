"""Fills the marked places of docs/plugins.md from the code that the tests run.

`python docs/generate.py` writes the file; the tests fail while it differs.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "plugins.md"


def filled(text: str) -> str:
    """Returns the page with every marked place filled anew."""

    def code(match: re.Match[str]) -> str:
        content = (ROOT / match[1]).read_text().strip()
        return f"<!-- {match[1]} -->\n```{match[2]}\n{content}\n```"

    text = re.sub(r"<!-- (tests/\S+) -->\n```(\w+)\n.*?```", code, text, flags=re.DOTALL)
    for marker, content in (("view", view_table()), ("hooks", hooks_section())):
        text = re.sub(
            rf"<!-- {marker} -->\n(.*?<!-- end -->\n)?",
            lambda _, m=marker, c=content: f"<!-- {m} -->\n{c}\n<!-- end -->\n",
            text,
            flags=re.DOTALL,
        )
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
        about = (inspect.getdoc(function) or "").partition("\n")[0]
        arguments = ""
        if inspect.isfunction(member):
            arguments = f"({', '.join(list(inspect.signature(member).parameters)[1:])})"
        lines.append(f"- `view.{name}{arguments}`: {about}")
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


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
