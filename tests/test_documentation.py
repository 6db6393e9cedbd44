"""What the documentation says is what the code does."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import mlrun

MODULES = [
    m.name for m in pkgutil.walk_packages(mlrun.__path__, "mlrun.") if "__main__" not in m.name
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_give_what_they_show(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
