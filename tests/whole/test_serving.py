"""The logged model, served over HTTP by MLflow itself."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import numpy as np
import pytest
import requests
from sklearn.datasets import load_digits

import mlrun


@pytest.mark.slow
def test_the_served_model_gives_the_classes_that_we_computed(store: str) -> None:
    run = mlrun.train({"model": "cnn", "epochs": 3, "visualisers": "none"})
    client = mlflow.MlflowClient()
    (output,) = client.get_run(run.run_id).outputs.model_outputs
    path = mlflow.artifacts.download_artifacts(
        run_id=run.run_id, artifact_path="predictions/test.npz"
    )
    with np.load(io.BytesIO(Path(path).read_bytes())) as kept:
        computed = kept["logits"].argmax(1)
    raw = (load_digits().images[::5, None] * 255 / 16).round()

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(sys.executable).parent
    server = subprocess.Popen(
        [str(folder / "mlflow"), "models", "serve", "-m", f"models:/{output.model_id}",
         "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)],
        env={
            **os.environ,
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{base}/ping", server)
        for key in ("inputs", "instances"):
            for pixels in (raw.astype(int), raw):  # as JSON has them: ints, floats
                logits = ask(base, {key: pixels.tolist()})
                assert np.array_equal(logits.argmax(1), computed)
        fractions, nothing = (ask(base, {"inputs": x.tolist()}) for x in (raw / 255, 0 * raw))
        assert np.abs(fractions - nothing).max() > 1e-4
        wrong = {"inputs": raw[:, :, 1:].tolist()}
        answer = requests.post(f"{base}/invocations", json=wrong, timeout=60)
        assert answer.status_code == 400
        assert "Guard failed: images.size()[2] == 8" in answer.text
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(120)


def ask(base: str, request: dict[str, list[float]]) -> np.ndarray:
    """The logits that the server answers."""
    answer = requests.post(f"{base}/invocations", json=request, timeout=60)
    assert answer.status_code == 200, answer.text
    return np.array(answer.json()["predictions"])


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        assert server.poll() is None
        try:
            if requests.get(address, timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.5)
    raise TimeoutError(address)
