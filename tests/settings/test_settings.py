from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mlrun.errors import MlrunError
from mlrun.settings import Settings, recipes
from mlrun.settings.plan import make_plan


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epohcs": 3}, "unknown setting epohcs; did you mean epochs?"),
        ({"epochs": "3.5"}, "epochs: expected a whole number, got '3.5'"),
        ({"epochs": -1}, "epochs: expected a value greater than or equal to 0, got '-1'"),
        ({"lr": "fast"}, "lr: expected a number, got 'fast'"),
        ({"lr": 0}, "lr: expected a value greater than 0, got '0.0'"),
        ({"lr": "inf"}, "lr: expected a finite number, got 'inf'"),
        ({"batch_size": 0}, "batch_size: expected a value greater than or equal to 1"),
        ({"optimiser": "adamm"}, "optimiser: expected sgd, adam, adamw or rmsprop, got 'adamm'"),
        ({"shuffle": "perhaps"}, "shuffle: expected true or false, got 'perhaps'"),
        ({"momentum": 0.9}, "momentum is an option of optimiser sgd and rmsprop, not of adam"),
        ({"schedule_every": 2}, "schedule_every is an option of schedule step, not of constant"),
        (
            {"schedule": "cosine", "schedule_factor": 0.5},
            "schedule_factor is an option of schedule step and plateau, not of cosine",
        ),
        ({"optimiser": "sgd", "nesterov": True}, "nesterov needs a momentum above 0"),
        ({"validation": 1.5}, "validation: expected auto, own, test, a fraction between 0 and 1"),
        ({"validation": "0"}, "validation: expected auto, own, test, a fraction between 0 and 1"),
        (
            {"validation": "last:0"},
            "validation: expected auto, own, test, a fraction between 0 and 1, last:NUMBER, or "
            "fold:NUMBER/FOLDS, got 'last:0'",
        ),
        ({"validation": "fold:3/2"}, "validation: expected auto, own, test, a fraction"),
        ({"validation": "fold:0/2"}, "validation: expected auto, own, test, a fraction"),
        ({"validation": "fold:1/1"}, "validation: expected auto, own, test, a fraction"),
        ({"validation": "last:0.5"}, "validation: expected auto, own, test, a fraction"),
        ({"subset": "random"}, "subset: expected all, a number of images, or random:NUMBER"),
        ({"subset": 0}, "subset: expected all, a number of images, or random:NUMBER"),
        ({"normalisation": "0.1"}, "normalisation: expected none, dataset, computed or MEAN/STD"),
        ({"normalisation": "0.1/0"}, "normalisation: expected standard deviations above 0"),
        ({"tags": "team"}, "tags: expected name=value"),
        ({"part_lrs": "0.1"}, "part_lrs: expected name=value, with commas between, got '0.1'"),
        ({"part_lrs": "out=fast"}, "part_lrs: expected rates of 0 (frozen) or above, got out=f"),
        ({"part_lrs": "a=1,a=2"}, "part_lrs: expected different names, each with a rate, got 'a="),
        ({"part_lrs": "=1"}, "part_lrs: expected different names, each with a rate, got '=1'"),
        ({"part_lrs": "a=1,b=-2"}, "part_lrs: expected rates of 0 (frozen) or above, got b=-2"),
        ({"part_lrs": "a=inf"}, "part_lrs: expected rates of 0 (frozen) or above, got a=inf"),
        ({"visualisers": "weights,weights"}, "visualisers: expected different names"),
        ({"rotate": 181}, "rotate: expected a value less than or equal to 180, got '181.0'"),
        ({"rotate": "nan"}, "rotate: expected a number, got 'nan'"),
        ({"translate": -0.1}, "translate: expected a value greater than or equal to 0, got"),
        ({"scale": (0, 1)}, "scale: expected the lowest and the highest factor, such as 0.9,1.1"),
        ({"scale": "2,1"}, "scale: expected the lowest and the highest factor, such as 0.9,1.1"),
        ({"shear": 90}, "shear: expected a value less than 90, got '90.0'"),
        ({"flip": "left"}, "flip: expected none, horizontal, vertical or both, got 'left'"),
        ({"crop": -1}, "crop: expected a value greater than or equal to 0, got '-1'"),
        ({"erase": 1.5}, "erase: expected a value less than or equal to 1, got '1.5'"),
        ({"noise": "inf"}, "noise: expected a finite number, got 'inf'"),
        ({"mixup": -1}, "mixup: expected a value greater than or equal to 0, got '-1.0'"),
        ({"cutmix": "nan"}, "cutmix: expected a number, got 'nan'"),
        ({"keep": 0}, "keep: expected a value greater than or equal to 1"),
        ({"monitor": "loss"}, "monitor: expected val/loss"),
        ({"seed": 2**64}, "seed: expected a value less than"),
        (
            {"optimizer": "sgd", "optimiser": "adam"},
            "optimizer and optimiser are one setting; give it once",
        ),
        ({"lr": 1, "batch-size": 2, "batch_size": 3}, "batch-size and batch_size are one setting"),
    ],
)
def test_a_wrong_setting_is_one_line_that_says_what_was_expected(
    given: dict[str, object], message: str
) -> None:
    with pytest.raises(MlrunError) as caught:
        Settings.parse(given)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("american", "british", "value"),
    [
        ("visualizers", "visualisers", "weights"),
        ("optimizer", "optimiser", "sgd"),
        ("normalization", "normalisation", "none"),
        ("initialization", "initialisation", "normal"),
    ],
)
def test_american_spellings_are_the_same_settings(
    american: str, british: str, value: str, tmp_path: Path
) -> None:
    wanted = Settings.parse({british: value})
    assert Settings.parse({american: value}) == wanted != Settings()
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"{american}: {value}")
    assert Settings.parse(recipes.load(str(recipe)).values) == wanted
    recipe.write_text(f"{american}: {value}\n{british}: {value}")
    with pytest.raises(MlrunError, match=f"mine.yaml: {american} and {british} are one setting"):
        recipes.load(str(recipe))


def test_text_and_python_values_make_the_same_settings() -> None:
    text = {
        "batch-size": "32",
        "learning-rate": "1e-3",
        "optimizer": "sgd",
        "momentum": "0.9",
        "nesterov": "true",
        "validation": "0.2",
        "visualisers": "none",
        "tags": "team=a,note=b=c",
        "part_lrs": "conv1=1e-4,out=0",
        "run_name": "none",
        "model.batch-norm": "true",
        "subset": "100",
    }
    python = {
        "batch_size": 32,
        "lr": 0.001,
        "optimiser": "sgd",
        "momentum": 0.9,
        "nesterov": True,
        "validation": 0.2,
        "visualisers": [],
        "tags": {"team": "a", "note": "b=c"},
        "part_lrs": {"conv1": 1e-4, "out": 0},
        "run_name": None,
        "model.batch_norm": "true",
        "subset": 100,
    }
    assert Settings.parse(text) == Settings.parse(python)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "lent"}, "unknown model lent; did you mean lenet?"),
        ({"dataset": "digit"}, "unknown dataset digit; did you mean digits?"),
        ({"visualisers": "wieghts"}, "unknown visualiser wieghts; did you mean weights?"),
        (
            {"model.dropot": 1},
            "unknown option of model cnn: dropot; did you mean dropout? There are: activation,",
        ),
        ({"model.kernel": "x"}, "model.kernel: expected a whole number, got 'x'"),
        (
            {"visualisers": "none", "weights.cmap": "magma"},
            "weights.cmap: unknown component of this run weights; there are: dataset, model",
        ),
        (
            {"visualisers": "weights,mlrun-visualisers/weights"},
            "visualisers names mlrun-visualisers/weights twice",
        ),
    ],
)
def test_a_wrong_component_or_option_is_one_line(given: dict[str, object], message: str) -> None:
    with pytest.raises(MlrunError) as caught:
        make_plan(Settings.parse(given))
    assert str(caught.value).startswith(message)


def test_every_setting_and_option_is_a_param_that_is_read_back() -> None:
    plan = make_plan(
        Settings.parse(
            {
                "model": "mlp",
                "model.widths": "20,20",
                "visualisers": "weights,feature-maps",
                "feature-maps.images": "2",
                "tags": "a=b",
                "lr": "1e-5",
                "validation": "last:050",
                "part_lrs": "fc*=1e-5, out=0",
                "reduction": "sum",
            }
        )
    )
    params = plan.params()
    assert params["model.widths"] == "20,20"
    assert params["model.batch_norm"] == "false"
    assert params["feature_maps.images"] == "2"
    assert params["visualisers"] == "weights,feature-maps"
    assert params["plugin"] == "none"
    assert params["validation"] == "last:50"
    assert params["part_lrs"] == "fc*=1e-05,out=0"
    assert yaml.safe_load(plan.recipe())["part_lrs"] == {"fc*": 1e-5, "out": 0.0}
    assert make_plan(Settings()).params()["part_lrs"] == "none"
    assert set(Settings.model_fields) - {"options"} < set(params)
    assert make_plan(Settings.parse(params)).params() == params
    assert make_plan(Settings.parse(yaml.safe_load(plan.recipe()))).params() == params


def test_an_option_without_default_must_be_given(tmp_path: Path) -> None:
    path = tmp_path / "needy.py"
    path.write_text(
        "import mlrun\n"
        "def needy(shape, classes, *, arch: str):\n"
        "    '''Needs.\n\n    Args:\n        arch: which.\n    '''\n"
        "@mlrun.hookimpl\n"
        "def register_models(register):\n"
        "    register(needy)\n"
    )
    given = {"model": "needy", "plugin": str(path)}
    with pytest.raises(MlrunError, match=r"model needy needs --model.arch \(str\): which."):
        make_plan(Settings.parse(given))
    assert make_plan(Settings.parse({**given, "model.arch": "x"})).params()["model.arch"] == "x"


def test_a_run_is_named_after_what_it_is_unless_a_name_is_given() -> None:
    settings = {"model": "lenet", "dataset": "mnist", "lr": "1e-3"}
    assert make_plan(Settings.parse(settings)).run_name == "lenet · mnist · lr 0.001"
    wide = {"model": "mlp", "model.widths": "20,20", "model.bias": "true", "lr": 0.1}
    assert make_plan(Settings.parse(wide)).run_name == "mlp widths=20,20 · digits · lr 0.1"
    trained = {"schedule": "cosine", "rotate": 10, "seed": 1, "epochs": 9, "flip": "none"}
    name = make_plan(Settings.parse(trained)).run_name
    assert name == "cnn · digits · lr 0.001 rotate=10 schedule=cosine"
    start = {"initialisation": "xavier-uniform"}
    name = make_plan(Settings.parse(start)).run_name
    assert name == "cnn · digits · lr 0.001 initialisation=xavier-uniform"
    parts = {"validation": "last:50", "reduction": "sum", "part_lrs": {"conv1": 1e-4, "out": 0}}
    name = make_plan(Settings.parse(parts)).run_name
    assert name.endswith("lr 0.001 validation=last:50 reduction=sum part_lrs=conv1=0.0001,out=0")
    long = {"model": "mlp", "model.widths": ",".join(["1000"] * 30)}
    model, _, _ = make_plan(Settings.parse(long)).run_name.split(" · ")
    assert len(model) == 80
    assert make_plan(Settings.parse({**settings, "run-name": "mine"})).run_name == "mine"


def test_the_shipped_recipes_resolve() -> None:
    assert "digits" in recipes.names()
    for name in recipes.names():
        recipe = recipes.load(name)
        assert recipe.about["description"]
        make_plan(Settings.parse(recipe.values))


def test_what_is_given_goes_before_the_recipe() -> None:
    recipe = {
        "model": "cnn",
        "model.kernel": 5,
        "dataset": "digits",
        "dataset.x": 1,
        "epochs": 9,
        "visualisers": ["weights", "feature-maps"],
        "weights.cmap": "magma",
        "feature_maps.images": 3,
    }
    assert recipes.merge(recipe, {"epochs": "2"}) == {**recipe, "epochs": "2"}
    assert "model.kernel" not in recipes.merge(recipe, {"model": "lenet"})
    assert "model.kernel" in recipes.merge(recipe, {"model": "cnn"})
    drawn = recipes.merge(recipe, {"visualisers": "feature-maps"})
    assert "weights.cmap" not in drawn
    assert drawn["feature_maps.images"] == 3
    assert drawn["dataset.x"] == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("digit", None, "unknown recipe digit; did you mean digits?"),
        ("absent.yaml", None, "recipe absent.yaml: no such file"),
        ("list.yaml", "- 1\n", "recipe list.yaml: expected lines `name: value`"),
        ("bad.yaml", "a: [", "recipe bad.yaml: line 1, column 5: while parsing a flow node"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_one_line(
    home: Path, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        Path(name).write_text(content)
    with pytest.raises(MlrunError) as caught:
        recipes.load(name)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
