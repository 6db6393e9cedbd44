"""What the tests of pages share: predictions drawn at random, and pictures read back."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from mlrun.training.predictions import Predictions


def results(classes: int = 3, count: int = 400, seed: int = 0) -> Predictions:
    drawn = np.random.default_rng(seed)
    labels = drawn.integers(0, classes, count)
    logits = drawn.normal(size=(count, classes)).astype(np.float32)
    logits[np.arange(count), labels] += 1.5
    return Predictions("test", logits, labels, np.arange(count) + 7)


def decoded(address: str) -> np.ndarray:
    content = base64.b64decode(address.partition("base64,")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
