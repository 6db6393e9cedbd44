"""The name and version of an installed distribution, read from the head of its metadata."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import Distribution

FIELD = re.compile(r"^(Name|Version):[ \t]*(\S+)", re.MULTILINE)


def name_and_version(distribution: Distribution) -> tuple[str, str] | None:
    """Returns what a distribution is called, or None where its metadata do not say.

    `distribution.metadata` would parse all of the file, and again for each field: a second for
    an environment of a hundred and fifty packages.
    """
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    fields = dict(FIELD.findall(text.partition("\n\n")[0]))
    return (fields["Name"], fields["Version"]) if len(fields) == 2 else None
