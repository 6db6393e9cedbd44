"""Links to the pages of MLflow's UI."""

from __future__ import annotations

from urllib.parse import urlsplit

LOCAL_UI = "http://127.0.0.1:5000"


def ui_base(uri: str) -> str:
    """Returns the address of the UI: the server's own, or where `mlrun ui` puts it."""
    if not uri.startswith(("http://", "https://")):
        return LOCAL_UI
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")


def run_link(base: str, experiment_id: str, run_id: str) -> str:
    """Returns the address of a run's page."""
    return f"{base}/#/experiments/{experiment_id}/runs/{run_id}"


def comparison_link(base: str, experiment_id: str, view_key: str = "") -> str:
    """Returns the address of the page that compares an experiment's runs in charts.

    `view_key` names a view that is kept with the experiment; see `appearance`.
    """
    query = "workflowType=machine_learning&compareRunsMode=CHART"
    if view_key:
        query += f"&viewStateShareKey={view_key}"
    return f"{base}/#/experiments/{experiment_id}/runs?{query}"
