"""The table of docs/reliability.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import ROOT, machine
from benchmarks.reliability.catalogue import FAULTS, about
from benchmarks.reliability.contents import LEFT_OUT
from benchmarks.reliability.stage import Outcome
from benchmarks.reliability.tries import Tries

PAGE = ROOT / "docs/reliability.md"


HEAD = ("fault", "times", "lost", "doubled", "exit code", "what the user sees on stderr")


def table(all_tries: Sequence[Tries], before: str = "") -> str:
    """Returns a row for each fault, as Markdown; `before` has the rows of those not tried now."""
    rows = {line.split(" | ")[0]: line for line in before.splitlines()}
    for tries in all_tries:
        line = row(tries)
        rows[line.split(" | ")[0]] = line
    ordered = [rows[f"| {about(name)}"] for name in FAULTS if f"| {about(name)}" in rows]
    return "\n".join([f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|", *ordered])


def row(tries: Tries) -> str:
    """Returns the row of a fault."""
    if not tries.done:
        cells = ["0", "", "", "", f"not tried: {tries.outcomes[0]}"]
    else:
        codes = sorted({outcome.code for outcome in tries.done})
        wrong = "".join(f" **{text}**" for outcome in tries.done for text in outcome.wrong)
        cells = [
            str(len(tries.done)),
            str(tries.lost),
            str(tries.doubled),
            ", ".join(map(str, codes)),
            (said(tries.done[-1]) or "nothing") + wrong,
        ]
    return f"| {' | '.join([about(tries.name), *cells])} |"


def said(outcome: Outcome) -> str:
    """Returns the lines that a user sees, without what differs each time."""
    lines = [line.replace("|", "\\|") for line in outcome.said]
    short = [re.sub(r"[0-9a-f]{32}", "RUN_ID", line) for line in lines]
    short = [re.sub(r"(/[\w.+-]+){3,}", "…", line) for line in short]
    short = [re.sub(r"127\.0\.0\.1:\d+|port=\d+", "HOST", line) for line in short]
    short = [re.sub(r"\b(port |matplotlib-)[\d_a-z]+", r"\1…", line) for line in short]
    short = [line if len(line) <= 300 else line[:300] + "…" for line in short]
    return "<br>".join(f"`{line}`" for line in dict.fromkeys(short))


def fill(all_tries: Sequence[Tries]) -> None:
    """Puts the table, and the machine that it is of, into the page."""
    told = "; ".join(f"{name} {value}" for name, value in machine().items())
    left_out = "; ".join(LEFT_OUT)
    page = Path(PAGE).read_text(encoding="utf-8")
    found = re.search(r"<!-- tried -->\n(.*)<!-- end -->", page, flags=re.DOTALL)
    rows = table(all_tries, found[1] if found else "")
    text = f"<!-- tried -->\n{told}\n\n{rows}\n\nNot compared: {left_out}.\n<!-- end -->"
    new = re.sub(r"<!-- tried -->\n.*<!-- end -->", lambda _: text, page, flags=re.DOTALL)
    Path(PAGE).write_text(new, encoding="utf-8")
