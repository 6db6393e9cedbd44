"""Each run has a colour of its own on MLflow's chart page."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from mlflow import MlflowClient
from waiting import until

from mlrun.record import opening
from mlrun.record.colours import COLOUR_TAG, UNLIKE, free_colour, next_colour
from mlrun.record.tracking import Tracker


def colour_of(run_id: str) -> str:
    colour: str = MlflowClient().get_run(run_id).data.tags[COLOUR_TAG]
    return colour


def wait_for(tracker: Tracker) -> None:
    """Until the store has all that was logged."""
    until(lambda: not tracker.journal.left())


def test_runs_that_start_together_and_those_after_them_differ_in_colour(store: str) -> None:
    together = threading.Barrier(8)

    def start(number: int) -> str:
        together.wait()
        tracker = opening.open_run(f"run {number}", None, {})
        wait_for(tracker)  # its colour is sent while the others' are
        together.wait()
        tracker.close("FINISHED")
        return tracker.run_id

    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(start, range(8)))
    for number in (8, 9):
        later = opening.open_run(f"run {number}", None, {})
        later.close("FINISHED")
        runs.append(later.run_id)
    assert len({colour_of(run) for run in runs}) == 10


def test_a_colour_that_is_sent_again_is_no_other_run_s(store: str) -> None:
    trackers = [opening.open_run(f"run {number}", None, {}) for number in range(2)]
    for tracker in (*trackers, *trackers):
        tracker.settle_in()
        wait_for(tracker)
    for tracker in trackers:
        tracker.close("FINISHED")
        assert (tracker.left, tracker.refused) == (0, {})
    assert colour_of(trackers[0].run_id) != colour_of(trackers[1].run_id)


def test_as_many_runs_as_can_be_told_apart_differ_in_colour() -> None:
    colours: list[str] = []
    for _ in range(10 * UNLIKE):
        colours.insert(0, free_colour(colours[:UNLIKE]))
    for start in range(len(colours) - UNLIKE):
        assert len(set(colours[start : start + UNLIKE + 1])) == UNLIKE + 1


def test_a_colour_that_a_user_wrote_is_one_like_any_other() -> None:
    assert next_colour("nonsense") == next_colour(None) == free_colour(["red"])
    assert free_colour(["#zzzzzz", next_colour(None)]) not in ("#zzzzzz", next_colour(None))
