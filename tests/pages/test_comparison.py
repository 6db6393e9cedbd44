"""What the comparison of several runs computes and shows, from accounts made here."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from accounts import account, result
from comparison_data import answers, data_of
from PIL import Image

from mlrun.pages import album
from mlrun.pages.comparison import comparison
from mlrun.pages.scale import scale_over


def test_metrics_that_change_are_curves_the_validation_first() -> None:
    history = {
        "train/loss": [(0, 1.0), (1, 2.0)],
        "lr": [(1, 0.1), (2, 0.1)],
        "test/accuracy": [(2, 0.5)],
        "step/loss": [(1, 1.0), (9, 2.0)],
        "val/accuracy": [(0, 0.1), (1, 0.2)],
    }
    runs = [account(n, {"lr": str(n)}, history=history) for n in range(2)]
    data = data_of(comparison(runs))
    assert list(data["charts"]) == ["val/accuracy", "train/loss"]
    assert data["charts"]["val/accuracy"]["percent"]
    assert [line["name"] for line in data["charts"]["train/loss"]["series"]] == ["lr 0", "lr 1"]


@pytest.fixture
def files(tmp_path: Path) -> list[dict[str, dict[int, Path]]]:
    """Pictures of three runs, of which the second ended earlier and the third has another layer."""

    def picture(run: int, key: str, epoch: int) -> Path:
        path = tmp_path / f"{run}-{key}-{epoch}.png"
        pixels = np.random.default_rng(epoch).integers(0, 256, (20, 30 + run, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return [
        {key: {epoch: picture(run, key, epoch) for epoch in range(last + 1)} for key in keys}
        for run, (keys, last) in enumerate([(("a", "b"), 8), (("a",), 5), (("a", "c"), 8)])
    ]


def test_pictures_that_two_runs_have_stand_side_by_side(
    files: list[dict[str, dict[int, Path]]],
) -> None:
    found = album.of_runs(files)
    assert found.epochs == tuple(range(9))
    assert [row.key for row in found.rows] == ["a"]
    assert found.alone == ("b", "c")
    stills = [still for still in found.rows[0].stills if still is not None]
    assert [(name, still.width) for name, still in stills] == [
        ("0/a", 30),
        ("1/a", 31),
        ("2/a", 32),
    ]
    assert [epoch for epoch, _ in found.frames["1/a"]] == [0, 1, 2, 3, 4, 5]
    assert found.notes == ()


def test_epochs_are_thinned_to_the_budget_and_the_last_of_each_run_is_kept(
    files: list[dict[str, dict[int, Path]]],
) -> None:
    whole = album.size({f"{run}/a": held["a"] for run, held in enumerate(files)})
    found = album.of_runs(files, int(0.4 * whole))
    assert found.epochs == (0, 4, 5, 8)  # three of the longer runs, and where the other ended
    assert [epoch for epoch, _ in found.frames["1/a"]] == [0, 4, 5]
    assert [found.frames[name][-1][0] for name in ("0/a", "1/a", "2/a")] == [8, 5, 8]
    (note,) = found.notes
    assert note.endswith("the pictures are of 3 of 9 epochs, spread evenly.")

    least = album.of_runs(files, whole // 8)
    assert [len(held) for held in least.frames.values()] == [1, 1, 1]
    assert "last epoch alone" in least.notes[0]

    none = album.of_runs(files, 10)
    assert (none.rows, none.frames) == ((), {})
    assert none.notes[1] == "Left out for the same reason: a."


@pytest.mark.parametrize(
    ("low", "high"), [(0.1, 0.99), (0.85, 1.0), (0.9991, 0.9993), (0.5, 0.5), (1.0, 1.0), (0, 0)]
)
def test_the_axis_holds_what_is_on_it_with_few_ticks(low: float, high: float) -> None:
    scale = scale_over(low, high, most=1.0)
    assert 2 <= len(scale.ticks) <= 6
    assert scale.low <= low + 1e-9
    assert scale.high >= high - 1e-9
    assert scale.at(scale.low) == 0
    assert scale.at(scale.high) == 100


def test_the_page_tells_what_differs_groups_pairs_and_trouble() -> None:
    right = answers(6)
    runs = [
        account(
            n,
            {"model": "cnn" if n % 2 else "mlp", "seed": str(n // 2)},
            predictions=None if n == 5 else result(right[n]),
        )
        for n in range(6)
    ]
    page = comparison(runs)
    text = " ".join(re.sub(r"<[^>]*>", " ", page.partition("<body>")[2]).split())
    assert "Comparison of 6 runs" in text
    assert "mean ± standard deviation" in text
    accuracies = [one.mean() for one in right[0:5:2]]
    assert f"{100 * np.mean(accuracies):.2f} % ± {100 * np.std(accuracies, ddof=1):.2f}" in text
    assert "mean of 3 (seeds 0, 1, 2)" in text
    assert "corrected for 10 pairs (Holm)" in text
    assert "cnn, seed 2 was not tested (finished)" in text
    assert "cannot be compared: cnn, seed 2 was not tested" in text
    assert "No two of these runs have pictures of the same layers by epoch" in text
    assert "kept no small copies" in text
    data = data_of(page)
    assert len(data["pairs"]) == 15
    assert set(data["lines"]) == {"deviation", "range", "single"}
    assert [run["colour"] for run in data["runs"]] == [0, 1, 0, 1, 0, 1]


def test_names_from_outside_are_escaped() -> None:
    runs = [account(n, {"lr": f"<b>{n}</b>"}, name="</script><script>alert(1)") for n in range(2)]
    page = comparison(runs)
    assert "<b>0" not in page
    assert "<script>alert" not in page


def test_colours_come_again_with_broken_lines_after_ten() -> None:
    data = data_of(comparison([account(n, {"lr": str(n)}) for n in range(12)]))
    assert [(run["colour"], run["dash"]) for run in data["runs"][9:]] == [
        (9, False),
        (0, True),
        (1, True),
    ]
    assert data["charts"]["val/loss"]["series"][10]["dash"]
