"""What every data set that is found must hold, on small files in its real format."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from data_files import MAKERS, load

from mlrun import MlrunError
from mlrun.seam.registry import discover

NAMES = [component.name for component in discover().of_kind("dataset")]
WITHOUT_FILES = ("digits", "photographs")


def test_there_are_files_for_every_data_set() -> None:
    assert set(NAMES) == set(MAKERS), "write its files in tests/data_files.py"


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_keeps_the_contract_and_cites_its_source(name: str, home: Path) -> None:
    make, options, classes = MAKERS[name]
    make(home)
    data = load(name, home, **options)
    assert len(data.classes) == classes
    for part in data.parts.values():
        assert part.images.dtype == torch.uint8
        assert part.labels.dtype == torch.int64
        assert part.images.is_contiguous()
    assert data.source
    assert data.licence
    assert (data.mean is None) == (data.std is None)
    component = discover().find("dataset", name)
    assert component.summary.endswith(".")
    assert "Source: " in component.documentation
    assert "Licence: " in component.documentation
    assert all(option.help for option in component.options)


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_what_is_read_and_the_same_each_time(name: str, home: Path) -> None:
    make, options, _ = MAKERS[name]
    make(home)
    one, two = load(name, home, **options), load(name, home, **options)
    for part, again in zip(one.parts.values(), two.parts.values(), strict=True):
        assert torch.equal(part.images, again.images)
        assert torch.equal(part.labels, again.labels)
        assert part.images.float().std() > 1


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT_FILES])
def test_a_missing_folder_is_one_line_with_its_path(name: str, home: Path) -> None:
    with pytest.raises(MlrunError) as caught:
        load(name, home / "nowhere", **MAKERS[name][1])
    message = str(caught.value)
    assert str(home / "nowhere") in message
    assert "--data-dir" in message
    assert "\n" not in message
    assert not (home / "nowhere").exists()
