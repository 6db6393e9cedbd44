"""The servable model of a run, as MLflow keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec


def log_model(run_id: str, module: Any, example: Any, output: Any, requirements: list[str]) -> None:
    """Logs `module` as the servable model (pt2) of a run.

    Args:
        run_id: of the run.
        module: a torch module in evaluation mode on the CPU, which takes any number type.
        example: float32 (2, C, H, W), a batch as it is sent to the server.
        output: float32 (2, K), the module's logits for `example`.
        requirements: what pip must install to serve it.
    """
    shape = ", ".join(map(str, example.shape[1:]))
    Model.log(
        artifact_path=None,
        name="model",
        flavor=AnyNumbers,
        run_id=run_id,
        metadata={
            "input": f"raw pixels 0–255 of any number type, (N, {shape})",
            "output": "logits, float32 (N, K)",
        },
        pytorch_model=module,
        signature=ModelSignature(tensors(example), tensors(output)),
        input_example=example,
        pip_requirements=requirements,
        serialization_format="pt2",
    )


def tensors(batch: Any) -> Schema:
    """Returns the schema of batches of any length like `batch`."""
    return Schema([TensorSpec(np.dtype("float32"), (-1, *batch.shape[1:]), name=None)])


class AnyNumbers:
    """MLflow's PyTorch flavour, but for the number type of the input, which is left open.

    The export wants a signature with one. Kept in the model, MLflow would refuse every array of
    another type, such as uint8 pixels; the exported program checks the shape itself.
    """

    @staticmethod
    def save_model(path: str, mlflow_model: Model, **options: Any) -> None:
        """Saves a model as `mlflow.pytorch.save_model` does, then opens its input."""
        mlflow.pytorch.save_model(path=path, mlflow_model=mlflow_model, **options)
        mlflow_model.signature = ModelSignature(outputs=mlflow_model.signature.outputs)
        mlflow_model.save(str(Path(path) / "MLmodel"))
