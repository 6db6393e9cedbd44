"""What is written down of the machine."""

from __future__ import annotations

from importlib.metadata import distributions

from mlrun.running.description import packages


def test_every_installed_package_is_listed_with_its_version() -> None:
    expected = {f"{found.metadata['Name']}=={found.version}" for found in distributions()}
    assert packages() == sorted(expected, key=str.lower)
