"""What importing and listing may load: seconds that every command would pay."""

from __future__ import annotations

from pathlib import Path

import pytest
from loading import HEAVY, loaded_by
from runs import QUICK

import mlrun


def command(*args: str) -> str:
    return f"from mlrun.cli.main import main\nmain({list(args)!r})"


def test_a_plugin_author_s_import_loads_nothing_heavy() -> None:
    loaded = loaded_by("import mlrun; mlrun.hookimpl, mlrun.ImageData, mlrun.View")
    assert not loaded & (HEAVY | {"click", "pydantic", "rich", "yaml"})


@pytest.mark.parametrize("args", [["--help"], ["--version"]])
def test_help_loads_no_plugin_and_nothing_heavy(args: list[str]) -> None:
    loaded = loaded_by(command(*args))
    others = {"mlrun_models", "mlrun.seam", "mlrun.data", "pydantic", "rich", "yaml"}
    assert not loaded & (HEAVY | others)


@pytest.mark.parametrize(
    "args",
    [
        ["plugins"],
        ["plugins", "lenet"],
        ["plugins", "--json"],
        ["recipes"],
        ["train", "--help"],
        ["evaluate", "--help"],
        ["predict", "--help"],
        ["runs", "--help"],
        ["compare", "--help"],
        ["report", "--help"],
    ],
)
def test_listing_and_resolving_load_nothing_heavy(args: list[str]) -> None:
    assert not loaded_by(command(*args)) & HEAVY


def test_checking_settings_loads_nothing_heavy() -> None:
    values = {"recipe": "digits", "test_variants": "rotate=25", "tags": "a=b"}
    assert not loaded_by(f"from mlrun.settings.plan import plan_of; plan_of({values})") & HEAVY


def test_a_dry_run_does_not_load_mlflow() -> None:
    assert "mlflow" not in loaded_by(command("train", "--recipe", "digits", "--dry-run"))


def test_a_run_on_a_server_does_not_load_sqlalchemy() -> None:
    loaded = loaded_by(
        "from mlrun.record.store import first_use\n"
        "from mlrun.record.waiting import check_free\n"
        "address = 'http://127.0.0.1:9'\n"
        "check_free(address)\n"
        "assert not first_use(address)\n"
    )
    assert "sqlalchemy" not in loaded


def test_a_run_without_pictures_loads_no_matplotlib_nor_torch_s_compiler(store: str) -> None:
    """A second and two, at the start of every run."""
    loaded = loaded_by(
        command("train", "--epochs=1", "--visualisers=none", "--log-model=false", "--quiet")
    )
    assert {"torch", "mlflow"} <= loaded
    assert not loaded & {"matplotlib", "sklearn", "jinja2", "torch._dynamo", "torch._inductor"}


def test_a_comparison_of_runs_does_not_load_torch(finished: str, tmp_path: Path) -> None:
    """Two seconds, for figures that NumPy has at once."""
    other = mlrun.train(QUICK).run_id
    page = tmp_path / "comparison.html"
    loaded = loaded_by(command("compare", finished, other, "--output", str(page)))
    assert page.exists()
    assert "torch" not in loaded


def test_the_package_hands_out_what_it_says() -> None:
    for name in mlrun.__all__:
        assert getattr(mlrun, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        mlrun.trian  # noqa: B018


def test_the_core_names_no_plugin_package() -> None:
    for path in Path(mlrun.__file__).parent.rglob("*.py"):
        assert "mlrun_" not in path.read_text().replace("mlrun_seam", "").replace(
            "mlrun_plugin_", ""
        ), path
