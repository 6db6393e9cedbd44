"""What is declared with a setting besides its type, default, help and bounds."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from checkouts import ROOT

from mlrun.settings import Settings
from mlrun.settings.plan import make_plan
from mlrun.settings.run import component_settings, setting_traits, traits_of

VERSIONS = ROOT / "mlrun" / "settings" / "versions.py"  # which says what there was once
WITHOUT_PART = [
    *("visualisers", "probe"),  # they look on
    "data_dir",  # the data set and its options say which images
    *("cache_features", "device", "processes", "deterministic", "threads"),  # up to rounding
    *(
        "log_every",
        "system_metrics",
        "test_variants",
        "keep",
        "checkpoint_every",
        "log_model",
        "report",
    ),
    *("experiment", "run_name", "tags", "sync_wait", "strict"),
]


def test_a_setting_has_a_part_in_what_training_comes_to_unless_it_is_one_of_these() -> None:
    found = [name for name, traits in setting_traits().items() if not traits.decides]
    assert found == WITHOUT_PART


def test_a_run_is_gone_on_with_whatever_is_asked_for_of_these() -> None:
    free = [name for name, traits in setting_traits().items() if traits.free]
    assert free == [
        *("plugin", "data_dir", "device", "processes", "threads", "checkpoint_every"),
        *("experiment", "run_name", "tags", "sync_wait", "strict"),
    ]


def test_the_images_of_a_part_are_chosen_by_these() -> None:
    selecting = [name for name, traits in setting_traits().items() if traits.selects]
    assert selecting == ["subset", "validation", "stratify", "seed"]


def test_files_are_executed_of_this_setting_alone() -> None:
    assert [name for name, traits in setting_traits().items() if traits.executed] == ["plugin"]


def texts_in(node: ast.Tuple | ast.List | ast.Set | ast.Starred) -> Iterator[object]:
    """Yields the texts of a list as it is written, with those of lists that are unpacked in it."""
    for item in [node.value] if isinstance(node, ast.Starred) else node.elts:
        if isinstance(item, ast.Constant):
            yield item.value
        elif isinstance(item, ast.Tuple | ast.List | ast.Set | ast.Starred):
            yield from texts_in(item)


def test_no_list_of_settings_stands_elsewhere_than_with_their_declarations() -> None:
    lists = []
    for path in sorted(set((ROOT / "mlrun").rglob("*.py")) - {VERSIONS}):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Tuple | ast.List | ast.Set):
                texts = set(texts_in(node))
                if len(setting_traits().keys() & texts) > 3:  # parts of a state are named alike
                    lists.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert lists == []


def test_no_setting_that_decides_nothing_stands_in_a_run_s_name() -> None:
    for name, traits in setting_traits().items():
        assert traits.decides or traits.in_name == "never", name
    first = [name for name, traits in setting_traits().items() if traits.in_name == "first"]
    assert first == ["model", "dataset", "lr"]


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("batch_size", 64, True),
        ("mixup", 0.2, True),
        ("schedule", "cosine", True),
        ("epochs", 9, False),
        ("early_stopping", 3, False),
        ("seed", 1, False),
        ("monitor", "val/accuracy", False),
        ("keep", 5, False),
    ],
)
def test_a_run_is_named_after_how_it_is_trained_but_not_after_how_long(
    name: str, value: object, named: bool
) -> None:
    found = make_plan(Settings.parse({name: value})).run_name
    assert found == f"cnn · digits · lr 0.001{f' {name}={value}' if named else ''}"


def test_every_setting_has_a_group_and_a_name_without_setting_plain_traits() -> None:
    groups = list(dict.fromkeys(traits.group for traits in setting_traits().values()))
    assert groups == [
        "Components", "Data", "Augmentation", "Training", "Optimiser", "Machine", "Record"
    ]  # fmt: skip
    assert set(setting_traits()) == set(Settings.model_fields) - {"options"}
    assert traits_of("model.dropout").decides
    assert traits_of("model.dropout").in_name == "changed"


def test_the_settings_that_name_components_say_of_which_kind() -> None:
    assert component_settings() == {
        "model": "model",
        "dataset": "dataset",
        "visualisers": "visualiser",
    }


def test_an_option_of_another_setting_names_a_setting_and_values_that_it_takes() -> None:
    options = {name: traits.option_of for name, traits in setting_traits().items()}
    found = {name: option.setting for name, option in options.items() if option is not None}
    assert found == {
        "momentum": "optimiser",
        "nesterov": "optimiser",
        "schedule_every": "schedule",
        "schedule_patience": "schedule",
        "schedule_factor": "schedule",
    }
    for option in options.values():
        for value in option.values if option is not None else ():
            Settings.parse({option.setting: value})
