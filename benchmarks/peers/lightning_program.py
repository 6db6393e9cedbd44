"""Lightning, logging to MLflow: `python -m benchmarks.peers.lightning_program DATA EPOCHS`.

The same network, batches, optimiser and validation as mlrun's, the 2 best checkpoints, loss and
accuracy every 50 steps and for each epoch. No progress bar and no summary, which would take
time. No workers either: for images as small as these they take longer than they save.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings

import lightning
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import MLFlowLogger
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST

from benchmarks.networks import MEAN, STD, network, optimiser

Batch = tuple[Tensor, Tensor]


class Perceptron(lightning.LightningModule):
    """The network and what is logged of it."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network("perceptron")

    def told(self, batch: Batch, part: str, **how: bool) -> Tensor:
        """Returns the loss of a batch; logs it and the accuracy."""
        images, labels = batch
        logits = self.network(images)
        loss = F.cross_entropy(logits, labels)
        accuracy = (logits.argmax(1) == labels).float().mean()
        self.log_dict({f"{part}_loss": loss, f"{part}_accuracy": accuracy}, **how)
        return loss

    def training_step(self, batch: Batch) -> Tensor:
        """Returns the loss of a step."""
        return self.told(batch, "train", on_step=True, on_epoch=True)

    def validation_step(self, batch: Batch) -> None:
        """Logs a batch of the validation part."""
        self.told(batch, "val")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Returns the optimiser."""
        return optimiser("perceptron", self.network)


class Ends(Callback):
    """Notes when each epoch ended, validation and checkpoints included."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_epoch_start(self, trainer: object, module: object) -> None:
        """Takes the time: an epoch ends where the next one starts."""
        self.ends.append(time.perf_counter())


def main(root: str, epochs: int) -> None:
    """Trains and prints the seconds of an epoch."""
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    change = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
    train = DataLoader(MNIST(root, transform=change), batch_size=64, shuffle=True)
    val = DataLoader(MNIST(root, train=False, transform=change), batch_size=256)
    ends = Ends()
    trainer = lightning.Trainer(
        max_epochs=epochs,
        logger=MLFlowLogger(tracking_uri=os.environ["MLFLOW_TRACKING_URI"]),
        callbacks=[ends, ModelCheckpoint("checkpoints", monitor="val_loss", save_top_k=2)],
        log_every_n_steps=50,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    trainer.fit(Perceptron(), train, val)
    ends.ends.append(time.perf_counter())
    print(json.dumps({"epoch": (ends.ends[-1] - ends.ends[1]) / (epochs - 1)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
