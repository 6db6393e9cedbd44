"""Discovery: each plugin by itself, whatever is wrong with another."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlrun.errors import MlrunError
from mlrun.seam.registry import Broken, discover

Install = Callable[..., Path]

GOOD = """
    import mlrun

    def tiny_cnn(shape, classes, *, width: int = 4):
        '''A tiny model.'''

    @mlrun.hookimpl
    def register_models(register):
        register(tiny_cnn)
"""


def reason(name: str) -> str:
    (found,) = [b for b in discover().broken if b.plugin == name]
    return found.reason


def test_a_registered_function_is_a_component_with_its_provenance(install: Install) -> None:
    install("good", GOOD, distribution="good-dist", version="2.5")
    found = discover().find("model", "tiny_cnn")
    assert (found.name, found.qualified, found.summary) == (
        "tiny-cnn",
        "good/tiny-cnn",
        "A tiny model.",
    )
    assert (found.plugin, found.distribution, found.version) == ("good", "good-dist", "2.5")
    assert found.origin == "good (good-dist 2.5)"
    assert [option.name for option in found.options] == ["width"]


def test_the_first_party_plugins_are_plugins_like_any_other() -> None:
    registry = discover()
    assert registry.broken == []
    assert {c.distribution for c in registry.components} == {"mlrun-vision"}
    assert {c.plugin for c in registry.components} == {
        "mlrun-models",
        "mlrun-datasets",
        "mlrun-visualisers",
    }


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("x = 1", "it registers nothing"),
        (
            """
            import mlrun
            @mlrun.hookimpl
            def register_model(register): ...
            """,
            "unknown hook register_model; did you mean register_models?",
        ),
        (
            """
            import mlrun
            mlrun_seam = 99
            @mlrun.hookimpl
            def register_models(register): ...
            """,
            "it was written for seam 99, this mlrun has 1; upgrade mlrun-vision",
        ),
        (
            """
            import mlrun
            def a(shape, classes): ...
            @mlrun.hookimpl
            def register_models(register):
                register(a)
                register(a)
            """,
            "it registers the model a twice",
        ),
        (
            """
            import mlrun
            @mlrun.hookimpl
            def register_models(register):
                register(lambda shape, classes: None)
            """,
            "<lambda> cannot be a component's name",
        ),
        (
            """
            import mlrun
            def a(shape): ...
            @mlrun.hookimpl
            def register_models(register):
                register(a)
            """,
            "model a takes (shape) by position; expected (shape, classes), options after a *",
        ),
        (
            """
            import mlrun
            def a(view): ...
            @mlrun.hookimpl
            def register_visualisers(register):
                register(a, when="often")
            """,
            "when='often' for a visualiser; expected 'end', 'epoch' or both",
        ),
        (
            """
            import mlrun
            @mlrun.hookimpl
            def register_datasets(register):
                raise RuntimeError("no")
            """,
            "RuntimeError: no",
        ),
        (
            """
            import mlrun
            def model(view): ...
            @mlrun.hookimpl
            def register_visualisers(register):
                register(model)
            """,
            "model is a reserved name",
        ),
    ],
)
def test_a_broken_plugin_is_named_with_its_reason_and_stops_no_other(
    install: Install, code: str, expected: str
) -> None:
    install("bad", code)
    install("good", GOOD)
    assert expected in reason("bad")
    assert discover().find("model", "tiny-cnn").plugin == "good"


def test_what_a_broken_plugin_registered_before_it_broke_is_not_taken(install: Install) -> None:
    install("half", GOOD + "\n        raise OSError('halfway')\n")
    assert "OSError: halfway" in reason("half")
    with pytest.raises(MlrunError, match=r"unknown model tiny-cnn.*broken plugins: half"):
        discover().find("model", "tiny-cnn")


def test_a_plugin_name_of_two_distributions_is_a_clash_that_is_reported(install: Install) -> None:
    install("good", GOOD, distribution="first")
    install("good", GOOD, distribution="second")
    registry = discover()
    assert registry.find("model", "tiny-cnn").distribution == "first"
    assert registry.broken == [
        Broken(
            "good",
            "second",
            "1.0",
            "first has a plugin of the same name; uninstall one of the two",
        )
    ]


def test_a_name_of_two_plugins_is_an_error_only_when_it_is_asked_for(install: Install) -> None:
    install("one", GOOD)
    install("two", GOOD)
    registry = discover()
    assert registry.broken == []
    assert registry.find("model", "lenet").plugin == "mlrun-models"
    assert registry.find("model", "two/tiny_cnn").plugin == "two"
    with pytest.raises(MlrunError, match="several plugins; say which: one/tiny-cnn, two/tiny-cnn"):
        registry.find("model", "tiny-cnn")


def test_mlrun_plugins_restricts_what_is_loaded(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("good", GOOD)
    install("bad", "raise RuntimeError('loaded')")
    monkeypatch.setenv("MLRUN_PLUGINS", "good, typo")
    registry = discover()
    assert {c.plugin for c in registry.components} == {"good"}
    assert registry.broken == []
    (warning,) = registry.warnings
    assert warning.startswith("MLRUN_PLUGINS names typo, which is not installed; there are: bad")


def test_a_slow_import_is_named_and_not_refused(install: Install) -> None:
    install(
        "slow", "import time; time.sleep(0.6)\n" + "\n".join(line[4:] for line in GOOD.splitlines())
    )
    registry = discover()
    assert registry.find("model", "tiny-cnn").plugin == "slow"
    (warning,) = registry.warnings
    assert re.match(r"plugin slow \(slow\) took \d+\.\d", warning)


def test_a_closure_is_registered_under_a_given_name(install: Install) -> None:
    install(
        "closures",
        """
        import mlrun

        @mlrun.hookimpl
        def register_models(register):
            for depth in (2, 3):
                register(lambda shape, classes: depth, name=f"deep_{depth}")
    """,
    )
    assert discover().find("model", "deep-3").name == "deep-3"


def test_a_file_is_a_plugin(tmp_path: Path) -> None:
    import hashlib
    import textwrap

    path = tmp_path / "my_model.py"
    path.write_text(textwrap.dedent(GOOD))
    found = discover([path]).find("model", "tiny-cnn")
    assert found.qualified == "my-model/tiny-cnn"
    assert found.distribution == "my_model.py"
    assert found.version == hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    import textwrap

    paths = [tmp_path / folder / "mine.py" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(textwrap.dedent(GOOD))
    with pytest.raises(MlrunError, match=r"b.mine\.py: .*a.mine\.py is a plugin called mine too"):
        discover(paths)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (None, "no such file; give the path of a Python file"),
        ("def (", "SyntaxError"),
        ("x = 1", "it registers nothing"),
    ],
)
def test_a_broken_plugin_file_is_an_error(tmp_path: Path, code: str | None, message: str) -> None:
    path = tmp_path / "mine.py"
    if code is not None:
        path.write_text(code)
    with pytest.raises(MlrunError, match=rf"--plugin .*mine\.py: {message}"):
        discover([path])


NEEDY = """
    import mlrun

    def needy(view):
        '''Draws with what is not there.'''

    def content(view):
        '''Draws with what is there.'''

    @mlrun.hookimpl
    def register_visualisers(register):
        register(needy, when="epoch", needs={"no_such_module": "somebody's[extra]"})
        register(content, when=("end", "epoch"), needs={"numpy": "numpy"})
"""


def test_what_a_component_needs_is_missed_when_it_is_asked_for(
    install: Install, command: Callable[..., tuple[int, str, str]], store: str
) -> None:
    install("needy", NEEDY)
    content = discover().find("visualiser", "content")
    assert (content.when, content.missing) == (("epoch", "end"), {})
    line = "visualiser needy needs no_such_module, which is not installed; pip install "
    code, _, errors = command("train", "--visualisers", "weights,needy")
    assert (code, errors) == (2, f"Error: {line}'somebody's[extra]'\n")
    assert MlflowClient().search_runs(["0"]) == []
    code, text, _ = command("plugins", "needy")
    assert code == 0  # it is described all the same
    assert "It needs no_such_module, not installed: pip install 'somebody's[extra]'." in text
