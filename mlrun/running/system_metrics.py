"""System metrics: the use of CPU, memory, disk, network and GPU while a run lasts."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any, Self

import psutil
from mlflow.environment_variables import MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

from mlrun.record.tracking import Tracker

INTERVAL = 10.0  # seconds between two samples, unless MLflow's own variable says otherwise


class SystemMetrics:
    """Logs MLflow's system metrics (psutil) under `system/`, a sample every 10 seconds.

    MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL sets another interval, in seconds. The metrics'
    step is the number of the sample, from 0; the last is taken when the context is left.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.interval = float(MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or INTERVAL)
        self.monitors: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
        with suppress(Exception):  # no NVIDIA GPU, or no nvidia-ml-py
            self.monitors.append(GPUMonitor())
        psutil.cpu_percent()  # what it returns is the use since the call before
        self.samples = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, name="mlrun-system-metrics", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.thread.join()

    def run(self) -> None:
        """Takes samples until the context is left."""
        while not self.ended.wait(self.interval):
            self.sample()
        self.sample()

    def sample(self) -> None:
        """Takes and logs one sample; a monitor that fails is left out of it."""
        for monitor in self.monitors:
            with suppress(Exception):
                monitor.collect_metrics()
                found = monitor.aggregate_metrics()
                monitor.clear_metrics()
                self.tracker.metrics({f"system/{k}": v for k, v in found.items()}, self.samples)
        self.samples += 1
