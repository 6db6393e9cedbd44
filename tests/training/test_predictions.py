"""Predictions as arrays and as tensors, against torch and scikit-learn."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, confusion_matrix

from mlrun.training.evaluation import Evaluation
from mlrun.training.predictions import Predictions


@pytest.fixture
def predictions() -> Predictions:
    """Of 300 images of 7 classes, one of which is never predicted; some of them are sure."""
    drawn = np.random.default_rng(0)
    logits = (5 * drawn.normal(size=(300, 7))).astype(np.float32)
    logits[:, 6] = -100
    return Predictions("val", logits, drawn.integers(0, 7, 300), np.arange(300) + 9)


def test_probabilities_and_losses_are_torch_s(predictions: Predictions) -> None:
    logits, labels = torch.tensor(predictions.logits), torch.tensor(predictions.labels)
    expected = F.cross_entropy(logits.double(), labels, reduction="none")
    np.testing.assert_allclose(predictions.losses, expected, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(predictions.probabilities, logits.softmax(1), rtol=1e-5)
    np.testing.assert_array_equal(predictions.confidence, predictions.probabilities.max(1))


def test_what_is_right_is_what_scikit_learn_counts(predictions: Predictions) -> None:
    labels, predicted = predictions.labels, predictions.predicted
    np.testing.assert_array_equal(predicted, predictions.logits.argmax(1))
    assert predictions.accuracy == predictions.right.mean() == accuracy_score(labels, predicted)
    expected = confusion_matrix(labels, predicted, labels=range(7))
    np.testing.assert_array_equal(predictions.confusion, expected)


def test_the_tensors_of_an_evaluation_are_its_arrays(predictions: Predictions) -> None:
    evaluation = Evaluation(predictions, loss=0.5)
    assert evaluation.logits.data_ptr() == predictions.logits.ctypes.data  # not a copy
    for name in ("logits", "labels", "indices", "predicted", "confusion"):
        tensor, array = getattr(evaluation, name), getattr(predictions, name)
        assert isinstance(tensor, torch.Tensor)
        np.testing.assert_array_equal(tensor, array)
    for name in ("probabilities", "losses"):
        np.testing.assert_array_equal(getattr(evaluation, name), getattr(predictions, name))
    assert (evaluation.part, evaluation.accuracy) == ("val", predictions.accuracy)
    assert evaluation.figures() == {"val/loss": 0.5, "val/accuracy": predictions.accuracy}


def test_an_archive_holds_the_predictions(predictions: Predictions) -> None:
    with np.load(io.BytesIO(predictions.archive())) as arrays:
        assert set(arrays) == {"logits", "labels", "indices"}
        found = Predictions.of_archive("val", arrays)
    for name in ("logits", "labels", "indices"):
        np.testing.assert_array_equal(getattr(found, name), getattr(predictions, name))
