"""What no setting and no option takes: an empty text, numbers that nothing can hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from mlrun.cli.main import COMMANDS
from mlrun.errors import MlrunError
from mlrun.seam.components import KINDS, Component
from mlrun.seam.registry import discover
from mlrun.settings import Settings
from mlrun.settings.option_values import resolve
from mlrun.settings.plain_yaml import as_yaml
from mlrun.settings.run import setting_traits

Command = Callable[..., tuple[int, str, str]]
TOO_LARGE = ["9" * 30, "-" + "9" * 30, "9" * 5000, 10**30, 10**400, 10**5000]
ENDLESS = ["inf", "-inf", "nan", "1e400", "-1e400", math.inf, math.nan, ".inf"]
NUMBERS = [n for n, field in Settings.model_fields.items() if field.annotation in (int, float)]
COMPONENTS = [component for kind in KINDS for component in discover().of_kind(kind)]


@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_of_a_setting_is_larger_than_anything_can_hold(name: str) -> None:
    whole = Settings.model_fields[name].annotation is int
    for value in [*ENDLESS, *(TOO_LARGE if whole else ["9" * 5000, 10**5000])]:
        with pytest.raises(MlrunError) as caught:
            Settings.parse({name: value})
        message = str(caught.value)
        assert message.startswith(f"{name}: expected a")
        assert "\n" not in message
        assert len(message) < 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("epochs", 10**9 + 1), ("batch_size", 2**62), ("steps", 2**63), ("seed", 2**63)],
        *[
            ("subset", "9" * 30),
            ("subset", "random:" + "9" * 5000),
            ("validation", "last:" + "9" * 30),
        ],
        *[("evaluate_every", "9" * 30), ("evaluate_every", "9" * 5000 + " steps")],
        *[("normalisation", "1e400/1"), ("normalisation", "0/1e400"), ("class_weights", "1,1e400")],
        *[("scale", "1,1e30"), ("scale", "1,inf"), ("part_lrs", "a=1e400"), ("mixup", 1e300)],
        *[("test_variants", "blur=1e308"), ("test_variants", "shift=1e400"), ("noise", "1e400")],
        *[("test_variants", "noise=" + "9" * 5000), ("threads", "9" * 30)],
    ],
)
def test_nor_is_a_number_within_a_text(name: str, value: object) -> None:
    with pytest.raises(MlrunError) as caught:
        Settings.parse({name: value})
    assert str(caught.value).startswith(f"{name}: ")
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("name", setting_traits())
@pytest.mark.parametrize("blank", ["", "  "])
def test_no_setting_takes_an_empty_text_for_a_value(name: str, blank: str) -> None:
    with pytest.raises(
        MlrunError, match=rf"^{name}: expected a value, got an empty text; leave it"
    ):
        Settings.parse({name: blank})


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_no_setting_takes_a_text_that_cannot_be_written(
    home: Path, command: Command, text: str
) -> None:
    for name in setting_traits():
        for value in (text, [text], {"a": text}):
            with pytest.raises(
                MlrunError, match=rf"^{name}: expected a value, got a text with NUL"
            ):
                Settings.parse({name: value})
    (home / "ill.yaml").write_text(as_yaml({"plugin": text}))
    code, _, stderr = command("train", "--recipe", "ill.yaml")
    assert (code, len(stderr.splitlines())) == (2, 1)
    assert "plugin: expected a value, got a text with NUL or half a character in it" in stderr


def test_none_is_how_nothing_is_said() -> None:
    nothing = {"init_from": "none", "tags": "none", "visualisers": "none", "run_name": None}
    settings = Settings.parse(nothing)
    assert (settings.init_from, settings.tags, settings.visualisers) == (None, {}, ())


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.qualified)
def test_no_option_of_a_plugin_takes_them_either(component: Component) -> None:
    messages: list[tuple[str, str]] = []
    required = {option.name: "x" for option in component.options if option.required}
    for option in component.options:
        for value in [*TOO_LARGE, *ENDLESS, "", "  "]:
            try:
                converted = resolve(component, "it", {**required, option.name: value})[option.name]
            except MlrunError as error:
                messages.append((option.name, str(error)))
            else:
                assert isinstance(converted, str | float | tuple)  # 30 digits are a float, or text
                assert converted not in (math.inf, -math.inf, "", ())
    for name, message in messages:
        assert message.startswith(f"it.{name}: expected ")
        assert len(message) < 400


def test_an_option_takes_what_is_its_default(install: Callable[..., object]) -> None:
    install(
        "wide",
        """
        import math, mlrun
        def wide(shape, classes, *, most: float = math.inf, mark: str = "", other: float = 1.0):
            ...
        @mlrun.hookimpl
        def register_models(register):
            register(wide)
        """,
    )
    wide = discover().find("model", "wide")
    assert resolve(wide, "model", {"most": "inf", "mark": ""})["most"] == math.inf
    for given in ({"other": "inf"}, {"most": "-inf"}, {"mark": " "}, {"other": ""}):
        with pytest.raises(MlrunError, match=r"^model\.\w+: expected "):
            resolve(wide, "model", given)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_takes_an_empty_text(home: object, command: Command, name: str) -> None:
    for args in (["--output", ""], ["--output="], ["--model.kernel", " "], [""]):
        code, stdout, stderr = command(name, *args)
        assert (code, stdout) == (2, "")
        assert stderr.startswith("Error: mlrun: ")
        assert stderr.endswith(" is an empty text; give a value, or leave it out\n")


@pytest.mark.parametrize("option", ["--epochs", "--seed", "--lr", "--subset", "--model.kernel"])
def test_thousands_of_digits_on_the_command_line_are_one_line(
    home: object, command: Command, option: str
) -> None:
    code, _, stderr = command("train", option, "9" * 5000)
    assert (code, len(stderr.splitlines())) == (2, 1)
    assert len(stderr) < 300
