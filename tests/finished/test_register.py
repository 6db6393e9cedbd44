"""`mlrun register`: a run's servable model as a version of a registered one."""

from __future__ import annotations

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from runs import QUICK

import mlrun
from mlrun import MlrunError
from mlrun.finished.register import register


def test_a_run_is_one_version_and_the_alias_goes_to_the_last_that_was_named(store: str) -> None:
    first, second = (
        mlrun.train({**QUICK, "log_model": True, "report": False, "seed": seed}).run_id
        for seed in (0, 1)
    )
    made = register(first[:8], "it's digits", "champion")
    assert (made.run_id, made.version, made.is_new) == (first, "1", True)
    assert made.address == "models:/it's digits@champion"
    again = register(first, "it's digits")
    assert (again.version, again.is_new, again.address) == ("1", False, "models:/it's digits/1")
    assert register(second, "it's digits", "champion").version == "2"
    champion = MlflowClient().get_model_version_by_alias("it's digits", "champion")
    assert (str(champion.version), champion.run_id) == ("2", second)

    pixels = np.arange(128, dtype=np.uint8).reshape(2, 1, 8, 8)
    served = mlflow.pyfunc.load_model("models:/it's digits@champion").predict(pixels)
    own = mlflow.pyfunc.load_model(f"runs:/{second}/model").predict(pixels)
    np.testing.assert_array_equal(served, own)


@pytest.mark.parametrize(
    ("name", "alias", "message"),
    [
        ("a/b", "", "name 'a/b': expected a name without / : @"),
        ("a:b", "", "name 'a:b': expected"),
        (" ", "", "name ' ': expected"),
        ("digits", "latest", "alias 'latest': expected letters"),
        ("digits", "v3", "alias 'v3': expected letters"),
        ("digits", "the best", "alias 'the best': expected letters"),
        ("digits", "", "has no servable model; train with --log-model true"),
    ],
)
def test_what_cannot_be_registered_is_refused(
    finished: str, name: str, alias: str, message: str
) -> None:
    with pytest.raises(MlrunError) as caught:
        register(finished, name, alias)
    assert message in str(caught.value)
    assert not MlflowClient().search_registered_models()


def test_the_model_of_a_run_that_is_not_finished_is_not_registered(store: str) -> None:
    run = MlflowClient().create_run("0", tags={"mlrun.version": "0.1.0"})
    with pytest.raises(MlrunError, match="is RUNNING, not FINISHED; its best weights may not be"):
        register(run.info.run_id, "digits")
