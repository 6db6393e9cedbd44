"""The callback that logs the use of CPU, memory, disk, network and GPU while a run trains."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Thread
from typing import Any

import psutil
from mlflow.environment_variables import MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

from mlrun.machine.helpers import has_ended, start_threads
from mlrun.machine.interrupts import interruptible
from mlrun.record.tracking import Tracker
from mlrun.training.callbacks import Callback, Length
from mlrun.training.evaluation import Evaluation
from mlrun.training.state import TrainingState

LONGEST = 10.0  # seconds for the last sample: a disk that is away does not answer
INTERVAL = 10.0  # seconds between two samples, unless MLflow's own variable says otherwise


class LogSystemMetrics(Callback):
    """Logs MLflow's system metrics (psutil) under `system/`, a sample every 10 seconds.

    MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL sets another interval, in seconds. The metrics'
    step is the number of the sample, from 0, which goes on where a run is resumed; the last is
    taken when the test is done.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._interval = float(MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or INTERVAL)
        self._monitors: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
        with suppress(Exception):  # no NVIDIA GPU, or no nvidia-ml-py
            self._monitors.append(GPUMonitor())
        self._samples = 1 + max(
            (step for name, step in tracker.rows if name.startswith("system/")), default=-1
        )
        self._ended = Event()
        self._threads: list[Thread] = []

    def on_train_begin(self, state: TrainingState, length: Length) -> None:
        """Begins to take samples; where no thread can be had, there is but the last one."""
        thread = Thread(target=self._run, name="mlrun-system-metrics", daemon=True)
        self._threads = start_threads([thread])

    def on_test_end(self, state: TrainingState, best_epoch: int, tested: Evaluation) -> None:
        """Takes the last sample."""
        self.close()

    def close(self) -> None:
        """Takes the last sample, if that was not done."""
        if not self._threads and not self._ended.is_set():
            self._sample()
        self._ended.set()
        for thread in self._threads:
            with interruptible():
                has_ended(thread, LONGEST)

    def _run(self) -> None:
        """Takes samples until it is closed."""
        psutil.cpu_percent()  # what it returns is the use since this thread's call before
        while not self._ended.wait(self._interval):
            self._sample()
        self._sample()

    def _sample(self) -> None:
        """Takes and logs one sample; a monitor that fails is left out of it."""
        for monitor in self._monitors:
            with suppress(Exception):
                monitor.collect_metrics()
                figures = monitor.aggregate_metrics()
                monitor.clear_metrics()
                self._tracker.metrics({f"system/{k}": v for k, v in figures.items()}, self._samples)
        self._samples += 1
