"""The pictures of a run stay in the order in which they were drawn, whoever renders them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from mlflow import MlflowClient

from mlrun.inside.drawing.rendering import packed
from mlrun.record.opening import open_run
from mlrun.running.picture_log import Job, PictureLog


def fail(error: BaseException) -> None:
    raise error


def test_pictures_are_in_the_order_drawn_though_some_are_rendered_late(
    store: str, tmp_path: Path
) -> None:
    tracker = open_run("mine", None, {})
    log = PictureLog(tracker, tmp_path, torch.device("cpu"))
    content = packed(np.zeros((8, 8, 3), dtype=np.uint8))
    late = [Job("weights", content, epoch, fail) for epoch in (0, 1)]
    for job in (*late, Job("maps", content, 0, fail), Job("loss", content, None, fail)):
        log.add(job)
    log.index.pictures.clear()  # as if the process beside had not rendered the first two
    for number, job in reversed(list(enumerate(late))):
        log._take(number, job, None)
    log.log_order()
    log.close()
    assert {key: list(paths) for key, paths in log.index.pictures.items()} == {
        "weights": [0, 1],
        "maps": [0],
    }
    assert list(log.index.pictures) == ["weights", "maps"]
    tracker.close("FINISHED")
    assert MlflowClient().get_run(tracker.run_id).data.tags["mlrun.pictures"] == "weights,maps"
