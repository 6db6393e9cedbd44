"""mlrun.machine.place: what torchrun and others put into the environment, read and checked."""

from __future__ import annotations

import os

import pytest

from mlrun.errors import AskedOfOne, MlrunError
from mlrun.machine.place import ALONE_HERE, Place, number_of_processes, place_here, unaware

SECOND_OF_TWO = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "7",
    "TORCHELASTIC_RESTART_COUNT": "3",
}


def test_torchrun_says_which_of_how_many_this_process_is() -> None:
    assert place_here(SECOND_OF_TWO) == Place(1, 2, 1, 2, "7", 3)


@pytest.mark.parametrize("given", [{}, {"WORLD_SIZE": ""}, {"MASTER_ADDR": "localhost"}])
def test_a_process_that_nobody_placed_is_alone(given: dict[str, str]) -> None:
    assert place_here(given) == ALONE_HERE


def test_one_that_torchrun_started_alone_knows_by_what() -> None:
    place = place_here({**SECOND_OF_TWO, "RANK": "0", "WORLD_SIZE": "1"})
    assert (place.size, place.launch, place.restarts) == (1, "7", 3)


def test_a_start_without_an_id_is_known_by_the_process_that_started_this_one() -> None:
    place = place_here({**SECOND_OF_TWO, "TORCHELASTIC_RUN_ID": "none"})
    assert place.launch.startswith(f"{os.getppid()}-")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"RANK": "2"}, "RANK is 2; expected 0 to 1, as torchrun sets it"),
        ({"RANK": "-1"}, "RANK is -1; expected 0 to 1"),
        ({"RANK": "first"}, "RANK is first; expected 0 to 1"),
        ({"LOCAL_RANK": "2"}, "LOCAL_RANK is 2; expected 0 to 1"),
        ({"LOCAL_WORLD_SIZE": "3"}, "LOCAL_WORLD_SIZE is 3; expected 1 to 2"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is two; expected 1 to"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is 0; expected 1 to"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE is not set; expected 1 to"),
        ({"RANK": ""}, "WORLD_SIZE is 2, but RANK not set; start it with torchrun"),
        ({"MASTER_ADDR": "", "MASTER_PORT": ""}, "but MASTER_ADDR, MASTER_PORT not set"),
        ({"TORCHELASTIC_RESTART_COUNT": "x"}, "TORCHELASTIC_RESTART_COUNT is x"),
    ],
)
def test_variables_that_say_no_place_are_refused(wrong: dict[str, str], told: str) -> None:
    with pytest.raises(MlrunError) as raised:
        place_here({**SECOND_OF_TWO, **wrong})
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("asked", "place", "count"),
    [(1, ALONE_HERE, 1), (1, Place(1, 2), 2), (2, Place(1, 2), 2), (1, Place(launch="7"), 1)],
)
def test_as_many_processes_train_as_were_started(asked: int, place: Place, count: int) -> None:
    assert number_of_processes(asked, "cpu", place) == count


def test_several_that_nobody_started_are_for_the_command_to_start() -> None:
    with pytest.raises(AskedOfOne, match="torchrun --nproc-per-node 3 SCRIPT") as raised:
        number_of_processes(3, "cuda", ALONE_HERE)
    assert (raised.value.processes, raised.value.device) == (3, "cuda")


@pytest.mark.parametrize("place", [Place(0, 2), Place(launch="7")])
def test_another_number_than_torchrun_started_is_refused(place: Place) -> None:
    with pytest.raises(MlrunError, match=f"processes 3, but WORLD_SIZE is {place.size}") as raised:
        number_of_processes(3, "cpu", place)
    assert not isinstance(raised.value, AskedOfOne)


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        ({"SLURM_NTASKS": "2", "SLURM_PROCID": "0"}, True),
        ({"SLURM_NTASKS": "2", "SLURM_PROCID": "1"}, False),  # the first one says it
        ({"SLURM_NTASKS": "2"}, False),  # the script of a job, which srun did not start
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, False),
        ({"SLURM_NTASKS": "2", "SLURM_PROCID": "0", "WORLD_SIZE": "2"}, False),
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "0"}, True),
    ],
)
def test_copies_that_do_not_know_of_each_other_are_told_once(
    given: dict[str, str], warned: bool
) -> None:
    text = unaware(given)
    assert bool(text) == warned
    assert not warned or "each of these processes trains a run of its own" in text
