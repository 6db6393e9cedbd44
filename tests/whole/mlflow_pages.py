"""MLflow's own pages, as tests find their way in them: it rests on how a release draws them."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from packaging.version import Version

SEEN_WITH = "3.17.2"  # the newest release of MLflow whose pages the tests were seen to pass with


def skip_reason(installed: str) -> str:
    """Returns why tests of the pages of this release of MLflow skip; '' where they run."""
    if Version(installed) <= Version(SEEN_WITH):
        return ""
    return f"MLflow {installed} is newer than {SEEN_WITH}, the last whose pages were tested"


REASON = skip_reason(version("mlflow"))
known_pages = pytest.mark.skipif(bool(REASON), reason=REASON)
