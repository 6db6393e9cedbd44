"""How a run that did not finish goes on: what `mlrun resume` would do with it."""

from __future__ import annotations

from collections.abc import Mapping

from mlflow import MlflowClient

from mlrun.record.beginning import settings_kept
from mlrun.record.families import ONWARD_TAG, is_parent
from mlrun.record.folders import run_folder
from mlrun.record.ledger import recorded
from mlrun.record.noise import quiet
from mlrun.record.saved import can_resume

SETTINGS = "settings.yaml"  # the artifact without which no run is made again


def onward(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> str:
    """Returns how a run that is lost, was killed or failed can go on, for the user.

    Args:
        client: of the store, which answers.
        run_id: of the run.
        tags: of the run.
    """
    if is_parent(tags):
        return f"go on with: {tags.get(ONWARD_TAG) or f'mlrun resume {run_id}'}"
    if can_resume(client, run_id):
        return f"go on with: mlrun resume {run_id}"
    if has_settings(client, run_id, tags):
        return f"no state was saved, begin it again with: mlrun resume {run_id}"
    return "nothing to go on from was saved"


def has_settings(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> bool:
    """Whether the settings of a run are known: from MLflow, its journal, or before its opening."""
    if settings_kept(tags) or any(recorded(run_folder(run_id), "artifact", SETTINGS)):
        return True
    try:
        with quiet():
            return SETTINGS in {file.path for file in client.list_artifacts(run_id)}
    except Exception:  # MLflow's own, and those of each store that it reads from
        return False
