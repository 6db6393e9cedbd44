"""On a release of MLflow whose pages nobody has tested yet, their tests skip and say so."""

from __future__ import annotations

import re

import pytest
from checkouts import ROOT
from mlflow_pages import SEEN_WITH, skip_reason


@pytest.mark.parametrize("installed", [SEEN_WITH, "3.9.0", f"{SEEN_WITH}rc1"])
def test_pages_that_were_seen_are_tested(installed: str) -> None:
    assert skip_reason(installed) == ""


@pytest.mark.parametrize("installed", [f"{SEEN_WITH}.1", "3.100.0", "4.0.0rc1"])
def test_pages_of_a_newer_release_are_skipped_with_the_reason(installed: str) -> None:
    assert skip_reason(installed) == (
        f"MLflow {installed} is newer than {SEEN_WITH}, the last whose pages were tested"
    )


def test_the_pages_of_the_pinned_release_are_tested() -> None:
    pinned = re.search(r"^mlflow==(.+)$", (ROOT / "requirements.txt").read_text(), re.M)
    assert pinned is not None
    assert skip_reason(pinned[1]) == ""
