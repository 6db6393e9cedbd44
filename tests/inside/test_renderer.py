"""Pictures are rendered beside the training, and none is lost with the process that does it."""

from __future__ import annotations

import os
import re
import signal
import threading
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from drawn import drawn_by
from matplotlib.figure import Figure
from PIL import Image
from runs import QUICK, Recorder, artifacts_of, only_run
from views import convolutional, make_view
from waiting import until

import mlrun
from mlrun.inside.drawing.renderer import MOST_WAITING, Renderer
from mlrun.inside.drawing.rendering import Rendered, packed, pixels, unpacked
from mlrun.running import session

PICTURE = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


def figure() -> Figure:
    made = Figure(figsize=(3, 2), dpi=100)
    made.add_subplot().plot([1, 3, 2])
    return made


def rendered(*contents: bytes, renderer: Renderer | None = None) -> list[Rendered | None]:
    found: list[Rendered | None] = []
    renderer = renderer or Renderer()
    for content in contents:
        renderer.submit(content, found.append)
    until(lambda: len(found) == len(contents))
    renderer.close()
    return found


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content)))


def test_the_other_process_draws_what_this_one_would() -> None:
    with matplotlib.rc_context({"lines.linewidth": 7, "axes.facecolor": "tomato"}):
        contents = [packed(figure()), packed(PICTURE)]
    first, second = rendered(*contents)
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(decoded(first.png), unpacked(contents[0]))
    np.testing.assert_array_equal(decoded(second.png), PICTURE)
    assert (unpacked(contents[0]) != pixels(figure())).any()  # its settings went with it
    assert decoded(first.small).shape == (200, 300, 3)
    assert Image.open(BytesIO(first.small)).format == "WEBP"


def test_a_figure_is_drawn_as_it_was_when_it_was_handed_over() -> None:
    made = figure()
    content, before = packed(made), pixels(figure())
    made.axes[0].plot([5, 5, 5])
    np.testing.assert_array_equal(unpacked(content), before)


def test_a_figure_that_cannot_be_pickled_is_drawn_at_once() -> None:
    made = figure()
    made.axes[0].xaxis.set_major_formatter(lambda value, place: "x")
    np.testing.assert_array_equal(unpacked(packed(made)), pixels(made))


def test_what_the_process_cannot_draw_comes_back_and_the_next_is_drawn() -> None:
    broken = figure()
    broken.axes[0].set_title(r"$\frac{1$")
    (none, some) = rendered(packed(broken), packed(PICTURE))
    assert none is None
    assert some is not None


def test_nothing_is_lost_when_the_process_is_killed() -> None:
    renderer = Renderer()
    assert renderer._worker is not None
    os.kill(renderer._worker.process.pid, signal.SIGKILL)
    assert rendered(packed(PICTURE), packed(PICTURE), renderer=renderer) == [None, None]


def without_time() -> Renderer:
    """A renderer whose process gets no time, as on a machine that is busy without end."""
    renderer = Renderer()
    assert renderer._worker is not None
    os.kill(renderer._worker.process.pid, signal.SIGSTOP)
    return renderer


def test_nobody_waits_for_a_process_that_gets_no_time() -> None:
    renderer, found, done = without_time(), [], []
    large = packed(np.zeros((1000, 1000, 3), dtype=np.uint8))  # more than a pipe holds

    def use() -> None:
        for _ in range(MOST_WAITING + 5):
            renderer.submit(large, found.append)
        renderer.after(partial(done.append, len(found)))
        renderer.close()

    user = threading.Thread(target=use, daemon=True)
    user.start()
    user.join(30)
    assert not user.is_alive()
    assert found == [None] * (MOST_WAITING + 5)
    assert done, "work that came while too many pictures waited"


def test_pictures_are_taken_back_one_at_a_time() -> None:
    renderer, found = without_time(), []
    for _ in range(4):
        renderer.submit(packed(PICTURE), found.append)
    until(lambda: renderer._waiting.qsize() == 3)  # the process has the first
    assert renderer.take_back()
    assert found == [None]
    renderer.close()
    assert found == [None] * 4
    assert not renderer.take_back()


def test_work_is_done_after_the_pictures_and_closing_again_does_nothing() -> None:
    renderer, order = Renderer(), []
    renderer.submit(packed(PICTURE), lambda _: order.append("picture"))
    renderer.after(lambda: order.append("work"))
    until(lambda: len(order) == 2)
    renderer.close()
    renderer.close()
    assert order == ["picture", "work"]
    assert renderer._worker is None
    assert "mlrun-renderer" not in {thread.name for thread in threading.enumerate()}


PLUGIN = """
import os, signal, subprocess, sys

import mlrun
import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text


class Own(Text):
    pass


def own_class(view):
    figure = Figure(figsize=(4, 3))
    figure.add_artist(Own(0.5, 0.5, "own"))
    return figure


def values(view):
    epochs = np.array(list(view.kept))
    if view.final:
        for epoch, kept in view.kept.items():
            image = np.full((4, 4, 3), kept["w"]["mean"][0], dtype=np.uint8)
            yield "all", mlrun.Picture(image, {"epochs": epochs}, epoch=epoch)
    else:
        large = np.full(2**18 + 1, view.epoch, dtype=np.float32)
        yield "w", mlrun.Picture(None, {"mean": np.array([10 + view.epoch]), "large": large})
        assert all((kept["w"]["large"] == epoch).all() for epoch, kept in view.kept.items())


def broken_figure(view):
    figure = Figure()
    figure.suptitle(r"$\\\\frac{1$")
    return figure


@mlrun.hookimpl
def register_visualisers(register):
    register(own_class, when="epoch")
    register(values, when=("end", "epoch"))
    register(broken_figure, when="epoch")
"""


def test_a_run_keeps_values_and_pictures_whatever_the_plugin(store: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    settings: dict[str, Any] = {"model": "logistic", "epochs": 2, "log_model": False}
    names = "own-class,values,broken-figure"
    run = mlrun.train({**settings, "visualisers": names, "plugin": str(path)})
    assert list(run.failures) == ["visualiser broken-figure"]
    assert "at epoch 0: " in run.failures["visualiser broken-figure"]
    folder = artifacts_of(run.run_id)
    drawn = sorted(file.name.split("+time")[0] for file in (folder / "images").glob("*.png"))
    assert drawn == [f"{key}+step+{n}" for key in ("own-class", "values-all") for n in range(3)]
    for epoch in range(3):
        with np.load(folder / f"values/epoch-{epoch:04}.npz") as arrays:
            assert sorted(arrays) == ["values-w/large", "values-w/mean"]
            assert arrays["values-w/mean"] == [10 + epoch]
        (image,) = (folder / "images").glob(f"values-all+step+{epoch}+*.png")
        assert (np.asarray(Image.open(image)) == 10 + epoch).all()
    with np.load(folder / "values/end.npz") as arrays:
        assert sorted(arrays) == [f"values-all/epoch-{n:04}/epochs" for n in range(3)]
        assert arrays["values-all/epoch-0001/epochs"].tolist() == [0, 1, 2]


STARVED = """
import mlrun
import numpy as np
import psutil


def stopping(view):
    for child in psutil.Process().children():
        if "mlrun.machine.workers" in " ".join(child.cmdline()):
            child.suspend()
    return mlrun.Picture(np.full((4, 4, 3), view.epoch, dtype=np.uint8), {"a": np.array([7])})


@mlrun.hookimpl
def register_visualisers(register):
    register(stopping, when="epoch")
"""


def test_a_run_ends_though_its_pictures_process_gets_no_time(store: str, tmp_path: Path) -> None:
    path = tmp_path / "starved.py"
    path.write_text(STARVED)
    settings: dict[str, Any] = {"model": "logistic", "epochs": 1, "log_model": False}
    run = mlrun.train({**settings, "visualisers": "stopping", "plugin": str(path)})
    assert run.failures == {}
    for epoch in range(2):
        (image,) = (artifacts_of(run.run_id) / "images").glob(f"stopping+step+{epoch}+*.png")
        assert (np.asarray(Image.open(image)) == epoch).all()
        with np.load(artifacts_of(run.run_id) / f"values/epoch-{epoch:04}.npz") as arrays:
            assert arrays["stopping/a"] == [7]


class Interrupting(Recorder):
    """Interrupts a run at the end of its first epoch."""

    def epoch(self, number: int, *_: object) -> None:
        if number:
            signal.raise_signal(signal.SIGINT)


def test_pictures_that_nobody_waits_for_are_left_out_and_it_is_said(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PATIENCE", 0.0)
    path = tmp_path / "starved.py"
    path.write_text(STARVED)
    settings: dict[str, Any] = {"model": "logistic", "epochs": 5, "log_model": False}
    settings |= {"visualisers": "stopping", "plugin": str(path)}
    with pytest.raises(KeyboardInterrupt):
        mlrun.train(settings, progress=Interrupting())
    run = only_run()
    assert run.info.status == "KILLED"
    assert re.fullmatch(
        r"at epoch \d: \d pictures? (was|were) left out as the run was ended",
        run.data.tags["mlrun.failed.stopping"],
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"a": np.array(["x"])}, "it keeps <U1 values called 'a'; expected numbers"),
        ({"a\n": np.zeros(2), "a\\n": np.zeros(2)}, r"it keeps two arrays called .a\\\\n."),
    ],
)
def test_values_that_are_no_numbers_are_refused(values: Any, message: str) -> None:
    with pytest.raises(mlrun.MlrunError, match=message):
        drawn_by(lambda view: mlrun.Picture(PICTURE, values), "x", make_view(convolutional()))


def test_values_that_are_too_large_are_left_out_and_it_is_said() -> None:
    view = make_view(convolutional())
    large = np.zeros(2**24 + 1, dtype=np.float32)
    drawn_by(lambda view: mlrun.Picture(PICTURE, {"a": large}), "x", view)
    assert view.notes == ["the values behind x are not kept: 64 MiB, at most 64 are"]


def test_without_visualisers_nothing_is_started_or_logged_for_them(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(renderer: Renderer) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(Renderer, "__init__", refuse)
    run = mlrun.train(QUICK)
    assert run.failures == {}
    folders = {path.name for path in artifacts_of(run.run_id).iterdir()}
    assert folders.isdisjoint({"images", "figures", "values", "report.html"})
