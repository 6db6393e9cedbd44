"""The search space: specifications parsed by what the setting is, and drawn where they apply."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click import UsageError

from mlrun.cli.sweep import searched
from mlrun.errors import MlrunError
from mlrun.settings import recipes
from mlrun.sweeps.dimensions import space_of
from mlrun.sweeps.request import Request, request_of
from mlrun.sweeps.specs import Choices, Range, split

EXPECTED = "expected LOW..HIGH, LOW..HIGH:STEP or log:LOW..HIGH, or at least two values"


def values(search: dict[str, object], **fixed: object) -> dict[str, Range | Choices]:
    return {each.name: each.values for each in space_of(search, fixed).dimensions}


@pytest.mark.parametrize(
    ("name", "spec", "wanted"),
    [
        ("lr", "log:1e-4..1e-1", Range(1e-4, 0.1, log=True)),
        ("learning-rate", " 0.1 .. 1 ", Range(0.1, 1.0)),
        ("epochs", "2..20", Range(2, 20)),
        ("batch-size", "log:8..256", Range(8, 256, log=True)),
        ("epochs", "2..21:6", Range(2, 20, step=6)),
        ("rotate", "0..30:7.5", Range(0.0, 30.0, step=7.5)),
        ("model.dropout", "0..0.5", Range(0.0, 0.5)),
        ("validation", "0.1..0.3", Range(0.1, 0.3)),
        ("validation", "own,0.2", Choices(("own", "0.2"))),
        ("subset", "100,random:50", Choices(("100", "random:50"))),
        ("shuffle", "true,no", Choices(("true", "no"))),
        ("model", "lenet, cnn", Choices(("lenet", "cnn"))),
        ("scale", "'0.9,1.1',\"0.8,1.2\"", Choices(("0.9,1.1", "0.8,1.2"))),
        ("lr", [0.1, 1e-3], Choices(("0.1", "0.001"))),
        ("data_dir", "../a,../b", Choices(("../a", "../b"))),
        ("weights.cmap", "magma,viridis", Choices(("magma", "viridis"))),
    ],
)
def test_a_specification_is_read_as_the_type_of_its_setting(
    name: str, spec: object, wanted: object
) -> None:
    (found,) = values({name: spec}).values()
    assert found == wanted


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("lr", "0..1", "search lr: expected a value greater than 0, got '0.0'"),
        ("lr", "1..x", "search lr: expected a number, got 'x'"),
        ("lr", "0.1", f"search lr: {EXPECTED}"),
        ("lr", "..1", f"search lr: {EXPECTED}"),
        ("lr", "log:1,2", f"search lr: {EXPECTED}"),
        ("lr", "'1", f"search lr: {EXPECTED}"),
        ("lr", "1,,2", f"search lr: {EXPECTED}"),
        ("lr", "1e-3..inf", "search lr: expected a finite number, got 'inf'"),
        ("momentum", "0..0.9", "search momentum: it is an option of optimiser sgd and rmsprop"),
        ("rotate", "log:0..9", "search rotate: a logarithmic range begins above 0"),
        ("lr", "log:0.1..1:0.1", "search lr: expected a step above 0, within a range that is not"),
        ("epochs", "2..20.5", "search epochs: expected a whole number, got '20.5'"),
        ("epochs", "20..2", "search epochs: expected the lower end first, got '20..2'"),
        ("epochs", "2..20:x", "search epochs: expected a step that is a number, got 'x'"),
        ("batch_size", "8,8.0", "search batch_size: expected a whole number, got '8.0'"),
        ("batch_size", "8,08", "search batch_size: expected different values, got '8,08'"),
        ("subset", "10..20", "search subset: it takes no range, but values with commas between"),
        ("optimiser", "sgd,adm", "search optimiser: expected sgd, adam, adamw or rmsprop"),
        ("model", "lent,cnn", "unknown model lent; did you mean lenet? There are: cnn, lenet"),
        ("epoch", "1,2", "unknown setting to search: epoch; did you mean epochs?"),
        ("dropout", "0..1", "unknown setting to search: dropout; did you mean model.dropout?"),
        ("model.drop", "0..1", "unknown option of model cnn: drop; did you mean dropout?"),
        ("modle.dropout", "0..1", "unknown component of this sweep modle; did you mean model?"),
        ("model.batch_norm", "true,maybe", "search model.batch_norm: expected true or false"),
        ("monitor", "val/loss,val/accuracy", "search monitor: it is the same in all trials"),
    ],
)
def test_what_is_wrong_is_said_on_one_line(name: str, spec: str, message: str) -> None:
    with pytest.raises(MlrunError, match=re.escape(message)) as raised:
        space_of({name: spec}, {})
    assert "\n" not in str(raised.value)


def test_an_option_is_asked_for_only_where_its_component_is_drawn() -> None:
    space = space_of({"model.dropout": "0,0.5", "model": "logistic,mlp", "lr": "0.1,1"}, {})
    assert {tuple(point) for point in space.grid()} == {
        ("model", "lr"),
        ("model", "lr", "model.dropout"),
    }
    assert all(("model.dropout" in p) == (p["model"] == "mlp") for p in space.grid())
    assert len(list(space.grid())) == 2 + 4


def test_a_setting_is_asked_for_only_beside_the_value_that_it_is_an_option_of() -> None:
    space = space_of({"momentum": "0,0.9", "optimiser": "sgd,adam"}, {})
    assert [set(point) for point in space.grid()].count({"optimiser"}) == 1
    assert space_of({"momentum": "0,0.9"}, {"optimiser": "sgd"}).dimensions[0].condition is None


def test_options_that_models_take_differently_are_checked_with_each() -> None:
    with pytest.raises(MlrunError, match=r"search model\.padding: .*, of cnn"):
        space_of({"model": "logistic,cnn", "model.padding": "same,valid"}, {})


def test_a_grid_needs_steps() -> None:
    with pytest.raises(MlrunError, match="sampler grid: lr is a range without steps"):
        request_of({}, {"lr": "0.1..1"}, sampler="grid")
    request = request_of({}, {"lr": "0.1..0.5:0.2", "epochs": "1..3"}, sampler="grid")
    assert len(list(request.space.grid())) == 9


def test_a_value_is_either_given_or_searched() -> None:
    with pytest.raises(MlrunError, match="lr is searched and given"):
        request_of({"learning-rate": 0.1}, {"lr": "1,2"})
    with pytest.raises(MlrunError, match="there is nothing to search; give --search NAME=SPEC"):
        request_of({"lr": 0.1}, {})


def test_a_recipe_may_have_a_search_over_which_the_command_line_goes(home: Path) -> None:
    (home / "base.yaml").write_text(
        "model: mlp\nlr: 0.5\nsearch:\n  lr: log:1e-3..1\n  epochs: 1..3\n"
    )
    (home / "mine.yaml").write_text(
        "base: base.yaml\nsearch: {epochs: [1, 2], model.dropout: 0..0.5}\n"
    )
    request = request_of({"recipe": "mine.yaml", "batch_size": "16"}, {"model.dropout": "0,0.1"})
    assert [str(dimension) for dimension in request.space.dimensions] == [
        "lr: numbers 0.001 to 1, logarithmic",
        "epochs: one of 1, 2",
        "model.dropout: one of 0, 0.1",
    ]
    assert "lr" not in request_of({"recipe": "mine.yaml", "lr": 0.1}, {}).search
    plan = request.plan({"lr": 0.25, "epochs": "2", "model.dropout": "0.1"})
    assert (plan.settings.lr, plan.settings.epochs, plan.settings.batch_size) == (0.25, 2, 16)
    assert (plan.model.component.name, plan.model.options["dropout"]) == ("mlp", 0.1)
    assert recipes.load("mine.yaml").text().endswith("model.dropout: 0..0.5\n")


def test_a_recipe_with_a_search_is_none_for_one_run(home: Path) -> None:
    from mlrun.settings.plan import plan_of

    (home / "mine.yaml").write_text("search:\n  lr: 1,2\n")
    with pytest.raises(MlrunError, match=r"recipe mine\.yaml: it is one of a sweep: mlrun sweep"):
        plan_of({"recipe": "mine.yaml"})
    (home / "ill.yaml").write_text("search: [lr]\n")
    with pytest.raises(MlrunError, match=r"recipe ill\.yaml: search: expected lines"):
        recipes.load("ill.yaml")


def test_an_option_that_is_given_reaches_the_models_that_have_it() -> None:
    request = request_of({"model.dropout": "0.3"}, {"model": "logistic,mlp"})
    assert request.plan({"model": "mlp"}).model.options["dropout"] == 0.3
    assert "dropout" not in request.plan({"model": "logistic"}).model.options
    with pytest.raises(MlrunError, match="unknown option of model logistic: nothing"):
        request_of({"model.nothing": "0.3"}, {"model": "logistic,mlp"})


def test_a_request_comes_back_from_json_and_its_study_is_named_by_what_matters() -> None:
    request = request_of({"epochs": "2", "data_dir": "a"}, {"lr": "1,2", "model": "mlp,cnn"})
    assert Request.from_json(request.to_json()) == request
    moved = request_of({"epochs": "2", "data_dir": "b"}, {"lr": "1,2", "model": "mlp,cnn"})
    longer = request_of({"epochs": "3"}, {"lr": "1,2", "model": "mlp,cnn"})
    names = [each.study_name("here") for each in (request, moved, longer)]
    assert names[0] == names[1] != names[2]
    assert request.study_name("elsewhere") != names[0]


def test_the_direction_is_that_of_the_monitored_metric() -> None:
    search: dict[str, object] = {"lr": "1,2"}
    assert not request_of({}, search).maximised
    assert request_of({"monitor": "val/accuracy"}, search).maximised
    assert request_of({}, search, direction="maximise").maximised


def test_the_first_draws_are_the_same_each_time_and_differ_by_seed() -> None:
    from mlrun.sweeps.samplers import first_draws

    def drawn(**given: object) -> list[object]:
        return list(first_draws(request_of(given, {"lr": "log:1e-4..1", "epochs": "1..9"}), 4))

    assert drawn() == drawn() != drawn(seed="1")


def test_a_name_is_searched_once() -> None:
    with pytest.raises(UsageError, match="search: lr is given twice"):
        searched(["lr=0.1,0.2", "lr=0.3,0.4"])
    with pytest.raises(UsageError, match="search: expected NAME=SPEC, such as"):
        searched(["lr"])
    with pytest.raises(MlrunError, match="lr and learning-rate are one setting"):
        space_of(searched(["lr=0.1,0.2", "learning-rate=0.3,0.4"]), {})


def test_commas_in_quotes_part_nothing() -> None:
    assert split("'a,b', c ,\"d\"") == ("a,b", "c", "d")
