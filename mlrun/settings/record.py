"""The settings that say what of a run is evaluated, logged and kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from mlrun.settings.fields import BESIDE, FREE, UNNAMED, SettingsGroup, setting
from mlrun.settings.intervals import CheckpointEvery, EvaluateEvery
from mlrun.settings.values import Count, Flag, Number, Pairs, Text, Variants

LONGEST_WAIT = 86_400  # seconds


class RecordSettings(SettingsGroup):
    """Evaluations, metrics, checkpoints, the report, and the run's place in MLflow."""

    evaluate_every: EvaluateEvery = setting(
        "1", "validate every N epochs, or N steps (100steps) besides every epoch", "Record", UNNAMED
    )
    evaluate_train: Flag = setting(
        False,
        "take train/loss and train/accuracy of the whole training part in evaluation mode, "
        "not of the batches as they are trained on",
        "Record",
        UNNAMED,
    )
    log_every: Count = setting(
        0,
        "steps between two entries of step/loss, step/accuracy, step/lr; 0 for none",
        "Record",
        BESIDE,
        ge=0,
    )
    system_metrics: Flag = setting(
        False,
        "log the use of CPU, memory, disk, network and GPU every 10 seconds",
        "Record",
        BESIDE,
    )
    test_variants: Variants = setting(
        (),
        "changes of the test part that the best weights are tested on besides, with commas "
        "between: rotate=25,rotate=10+noise=0.1 (of rotate, shift, blur and noise, as mlrun "
        "evaluate has them)",
        "Record",
        BESIDE,
    )
    keep: Count = setting(2, "checkpoints of the best epochs to keep", "Record", BESIDE, ge=1)
    checkpoint_every: CheckpointEvery = setting(
        "5 min",
        "how often the state of the training is saved within an epoch, for mlrun resume: every N "
        "minutes (10min) or steps (500steps), or none; it is at the ends of epochs too",
        "Record",
        replace(FREE, words=("none",)),
    )
    monitor: Literal["val/loss", "val/accuracy", "train/loss", "train/accuracy"] = setting(
        "val/loss", "metric that says which epoch is best", "Record", UNNAMED
    )
    log_model: Flag = setting(True, "log the best weights as a servable model", "Record", BESIDE)
    report: Flag = setting(
        True,
        "write report.html, all of the run in one page; with visualisers none there is none",
        "Record",
        BESIDE,
    )
    experiment: Text = setting(
        None,
        "MLflow experiment; none takes MLflow's own (MLFLOW_EXPERIMENT_NAME, else Default)",
        "Record",
        FREE,
    )
    run_name: Text = setting(
        None, "name of the run; none makes one of model, data set and lr", "Record", FREE
    )
    tags: Pairs = setting(
        {},
        "tags of the run: name=value, with commas between",
        "Record",
        replace(FREE, repeatable=True),
    )
    sync_wait: Number = setting(
        60.0,
        "seconds that a run waits at its end for a tracking store that fails; what is left is kept "
        "for mlrun sync",
        "Record",
        FREE,
        ge=0,
        le=LONGEST_WAIT,
    )
    strict: Flag = setting(
        False, "exit code 1 if a picture or the model log failed", "Record", FREE
    )

    @property
    def evaluate_steps(self) -> int:
        """Steps between two evaluations within an epoch; 0 for none."""
        count, _, unit = self.evaluate_every.partition(" ")
        return int(count) if unit else 0

    @property
    def evaluate_epochs(self) -> int:
        """Epochs between two evaluations after an epoch."""
        return 1 if self.evaluate_steps else int(self.evaluate_every)
