"""A page as one HTML file: style, script, data and pictures are in it; it loads nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("page.js", "charts.js", "slider.js", "tables.js")  # of every page, in this order
STYLES = ("style.css",)


def render(
    template: str,
    *,
    data: Mapping[str, object],
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    **context: object,
) -> str:
    """Returns a page, in which all that is not the template's own is escaped.

    The page may load nothing and run no script but its own: its policy holds the browser to it.

    Args:
        template: a file of `templates/` that extends `base.html`.
        data: what its scripts read, as `DATA`: what JSON can hold; a number that JSON cannot
            hold becomes null.
        scripts, styles: files of `templates/` besides those of every page.
        context: the variables of the template.
    """
    script = "\n".join(['"use strict";', *map(source, (*SCRIPTS, *scripts))])
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        environment()
        .get_template(template)
        .render(
            context,
            data=as_json(data),
            script=script,
            style="\n".join(map(source, (*STYLES, *styles))),
            policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
            f"script-src 'sha256-{digest}'",
        )
    )


@cache
def environment() -> Environment:
    """Returns Jinja2 with the templates; a name that a template lacks is an error."""
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["percent"] = percent
    templates.filters["short"] = short
    return templates


def source(name: str) -> str:
    """Returns the text of a script or style of `templates/`."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def as_json(value: object) -> str:
    """Returns JSON that may stand in a page's `<script>`: it cannot end it, nor start another.

    >>> as_json({"name": "</script>", "loss": [float("nan")]})
    '{"name":"\\\\u003c/script>","loss":[null]}'
    """
    text = json.dumps(finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def finite(value: object) -> object:
    """Returns `value` with None for each number in it that JSON cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def percent(fraction: float | None, digits: int = 1) -> str:
    """Returns a fraction, 0–1, as percent, and a dash for none.

    >>> percent(0.97777), percent(1.0), percent(None)
    ('97.8 %', '100 %', '–')
    """
    if fraction is None or not math.isfinite(fraction):
        return "–"
    if abs(fraction) >= 100:  # no fraction, whatever was logged under the name of one
        return f"{100 * fraction:.3g} %"
    text = f"{100 * fraction:.{digits}f}"
    return f"{'100' if float(text) == 100 else text} %"


def short(value: float | None, digits: int = 4) -> str:
    """Returns a number to so many significant digits, and a dash for none.

    >>> short(0.123456), short(12_345_678.0), short(3.0), short(None)
    ('0.1235', '1.235e+07', '3', '–')
    """
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}g}"


def duration(seconds: float) -> str:
    """Returns a length of time in its two largest units.

    >>> duration(4.26), duration(75), duration(7_380), duration(200_000)
    ('4.3 s', '1 min 15 s', '2 h 3 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    scales = [(86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")]
    length, unit, smaller, name = next(scale for scale in scales if seconds >= scale[0])
    return f"{seconds // length:.0f} {unit} {seconds % length // smaller:.0f} {name}"
