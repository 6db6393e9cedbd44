"""The page of a run as it is read."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """What a page has: its elements, and its text by the section that it stands in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.texts: dict[str, str] = {}
        self.section = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self.section = str(dict(attrs)["id"])
        if tag == "script":
            self.section = "script"
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.section == "script":
            self.scripts[-1] += data
        self.texts[self.section] = self.texts.get(self.section, "") + data

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0])
