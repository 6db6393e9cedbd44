"""The servable model of a run, as MLflow keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec


def save_model(
    folder: Path, module: Any, example: Any, output: Any, requirements: list[str]
) -> None:
    """Saves `module` as the servable model (pt2) of a run in `folder`, which is made.

    Args:
        folder: of the model.
        module: a torch module in evaluation mode on the CPU, which takes any number type.
        example: float32 (2, C, H, W), a batch as it is sent to the server.
        output: float32 (2, K), the module's logits for `example`.
        requirements: what pip must install to serve it.

    In its description the number type of the input is left open. The export wants a signature
    with one; kept in the model, MLflow would refuse every array of another type, such as uint8
    pixels. The exported program checks the shape itself.
    """
    shape = ", ".join(map(str, example.shape[1:]))
    model = Model(
        metadata={
            "input": f"raw pixels 0–255 of any number type, (N, {shape})",
            "output": "logits, float32 (N, K)",
        }
    )
    mlflow.pytorch.save_model(
        module,
        str(folder),
        mlflow_model=model,
        signature=ModelSignature(tensors(example), tensors(output)),
        input_example=example,
        pip_requirements=requirements,
        serialization_format="pt2",
    )
    model.signature = ModelSignature(outputs=tensors(output))
    model.save(str(folder / "MLmodel"))


def tensors(batch: Any) -> Schema:
    """Returns the schema of batches of any length like `batch`."""
    return Schema([TensorSpec(np.dtype("float32"), (-1, *batch.shape[1:]), name=None)])
