"""What the comparison of several runs computes and shows, from accounts made here."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accounts import account, result, thumbnails
from PIL import Image
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from mlrun.pages import album
from mlrun.pages.comparison import comparison
from mlrun.pages.comparison_charts import comparison_charts
from mlrun.pages.comparison_rows import rows_of
from mlrun.pages.disagreements import SHOWN, disagreements
from mlrun.pages.groups import Group, averaged, grouped, labels, run_labels
from mlrun.pages.pairs import pairs, standing
from mlrun.pages.scale import scale_over


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def answers(runs: int, images: int = 400) -> list[np.ndarray]:
    """What each run has right: the first run most, the last one least."""
    random = np.random.default_rng(0)
    return [random.random(images) < 0.95 - 0.05 * run for run in range(runs)]


def test_runs_that_differ_in_nothing_but_the_seed_are_a_group() -> None:
    runs = [
        account(1, {"seed": "0"}),
        account(2, {"seed": "0", "model": "cnn"}),
        account(3, {"seed": "1", "experiment": "another", "visualisers": "none"}),
        account(4, {"seed": "1", "model": "cnn", "model.dropout": "0.1"}),
        account(5, {"seed": "2", "run_name": "mine"}),
    ]
    groups = grouped(runs)
    assert [group.runs for group in groups] == [(0, 2, 4), (1,), (3,)]
    assert [group.label for group in groups] == ["mlp", "cnn (00000002)", "cnn (00000004)"]
    assert run_labels(runs, groups) == [
        "mlp, seed 0", "cnn (00000002)", "mlp, seed 1", "cnn (00000004)", "mlp, seed 2"
    ]  # fmt: skip


def test_seeds_of_one_group_alone_are_called_by_the_seed_and_the_same_seed_twice_by_its_run() -> (
    None
):
    runs = [account(n, {"seed": seed}) for n, seed in enumerate(("3", "4", "4"))]
    (group,) = grouped(runs)
    assert run_labels(runs, [group]) == ["seed 3", "seed 4 (00000001)", "seed 4 (00000002)"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("keep", "5"), ("device", "cuda"), ("threads", "2"), ("deterministic", "true")],
        *[("cache_features", "false"), ("weights.cmap", "magma"), ("tags", "team=a")],
    ],
)
def test_runs_that_differ_in_what_decides_nothing_are_repetitions(name: str, value: str) -> None:
    runs = [account(1, {"seed": "0"}), account(2, {"seed": "1", name: value})]
    assert [group.runs for group in grouped(runs)] == [(0, 1)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("precision", "bf16"), ("evaluate_every", "2"), ("monitor", "val/accuracy")],
        *[("plugin", "mine.py"), ("dataset.size", "28"), ("a_setting_of_another_version", "1")],
    ],
)
def test_runs_that_differ_in_what_decides_are_apart(name: str, value: str) -> None:
    runs = [account(1, {"seed": "0"}), account(2, {"seed": "1", name: value})]
    assert [group.runs for group in grouped(runs)] == [(0,), (1,)]


def test_runs_without_params_are_never_taken_for_alike() -> None:
    runs = [replace(account(n), params={}) for n in range(2)]
    assert len(grouped(runs)) == 2
    assert len(set(labels(runs))) == 2


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ([{"lr": "0.1"}, {"lr": "0.2"}], ["lr 0.1", "lr 0.2"]),
        ([{"model": "a"}, {"model": "b", "lr": "1"}], ["a", "b"]),  # no more than it takes
        (
            [{"model": "a", "lr": "1"}, {"model": "a", "lr": "2"}, {"model": "b", "lr": "2"}],
            ["a, lr 1", "a, lr 2", "b, lr 2"],
        ),
        ([{"run_name": "one"}, {"run_name": "two"}], ["run 0", "run 1"]),  # what the user said
        (
            [{"init_from": "x" * 30}, {"init_from": "none", "weights.cmap": "grey"}],
            [f"init_from {'x' * 23}…", "init_from none"],
        ),
    ],
)
def test_labels_are_what_tells_runs_apart(
    params: list[dict[str, str]], expected: list[str]
) -> None:
    assert labels([account(n, one) for n, one in enumerate(params)]) == expected


def test_mean_and_spread_are_numpys_at_the_epochs_that_all_runs_have() -> None:
    values = np.random.default_rng(0).random((3, 6))
    curves = [list(enumerate(row.tolist())) for row in values]
    found = averaged([curves[0], curves[1], curves[2][:4], []])
    assert [average.epoch for average in found] == [0, 1, 2, 3]
    for average, column in zip(found, values.T, strict=False):
        assert average.mean == pytest.approx(column.mean())
        assert average.deviation == pytest.approx(column.std(ddof=1))
        assert (average.low, average.high) == (column.min(), column.max())
    (alone, *_) = averaged([curves[0]])
    assert (alone.mean, alone.deviation) == (values[0, 0], 0)
    assert averaged([[]]) == []


def test_a_group_is_a_line_with_a_band_or_its_runs() -> None:
    histories = [[(0, 1.0), (1, 2.0)], [(0, 3.0), (1, 6.0)], [(0, 5.0), (1, 5.0)]]
    runs = [
        account(n, {"seed": str(n), "model": "b" if n == 2 else "a"}, history={"val/loss": points})
        for n, points in enumerate(histories)
    ]
    groups = grouped(runs)
    found = comparison_charts(runs, groups, rows_of(runs, groups))
    first, second = found["deviation"]["val/loss"]["series"]
    assert (first["name"], second["name"]) == ("a (mean of 2)", "b")
    assert first["points"] == [(0, 2.0), (1, 4.0)]
    assert first["band"] == [
        pytest.approx((0, 2 - 2**0.5, 2 + 2**0.5)),
        pytest.approx((1, 4 - 8**0.5, 4 + 8**0.5)),
    ]
    assert found["range"]["val/loss"]["series"][0]["band"] == [(0, 1.0, 3.0), (1, 2.0, 6.0)]
    names = [line["name"] for line in found["single"]["val/loss"]["series"]]
    assert names == ["a, seed 0", "a, seed 1", "b"]
    assert "band" not in second


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


def test_accuracies_have_wilsons_interval() -> None:
    right = np.arange(360) >= 8
    found = standing(result(right))
    assert found is not None
    theirs = binomtest(352, 360).proportion_ci(0.95, method="wilson")
    assert (found.right, found.total, found.accuracy) == (352, 360, 352 / 360)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert standing(result(np.zeros(0, bool))) is None


def test_pairs_are_mcnemars_test_corrected_by_holm() -> None:
    right = answers(5)
    found = pairs(
        [account(n, predictions=result(one)) for n, one in enumerate(right)], list("abcde")
    )
    chances = []
    for one, other in combinations(right, 2):
        table = [[(one & other).sum(), (one & ~other).sum()], [(~one & other).sum(), 0]]
        chances.append(mcnemar(table, exact=True).pvalue)
    theirs = multipletests(chances, method="holm")[1]
    assert [pair.difference.p for pair in found] == pytest.approx(chances)
    assert [pair.difference.corrected for pair in found] == pytest.approx(theirs)
    assert found[3].sentence.startswith("a is better than e: right on ")
    assert found[0].sentence == (
        f"a and b: no difference that 400 images could show (raw p = {chances[0]:.2g})"
    )


def test_a_difference_that_the_correction_alone_takes_away_is_not_said_to_be_none() -> None:
    right = [np.ones(10_000, bool) for _ in range(8)]
    right[1][:12], right[0][12] = False, False  # p = 0.0034, of 28 pairs
    names = list("abcdefgh")
    found = pairs([account(n, predictions=result(one)) for n, one in enumerate(right)], names)
    assert found[0].sentence == (
        "a and b: a is right on 12 images that the other has wrong, the other way round 1; "
        "a difference is not shown at 5 % after correction for 28 pairs (raw p = 0.0034)"
    )
    page = comparison([account(n, predictions=result(one)) for n, one in enumerate(right)])
    assert page.count("not shown at 5 % after correction for 28 pairs (raw p = 0.0034)") >= 2


def test_runs_on_different_images_or_not_tested_are_not_compared_but_told() -> None:
    right = np.ones(8, bool)
    runs = [
        account(0, predictions=result(right)),
        account(1, predictions=result(right), evaluated_on="test of digits (digest 2)"),
        account(2),
        account(3, predictions=result(right), evaluated_on=""),
        account(4, predictions=result(right), evaluated_on=""),
        account(5, predictions=result(right[:6])),
    ]
    found = pairs(runs, list("abcdef"))
    assert all(pair.difference is None for pair in found)
    assert found[-2].sentence == "d and f cannot be compared: they were tested on different images"
    assert found[2].sentence == (
        "a and d cannot be compared: whether they were tested on the same images cannot be told"
    )
    assert found[0].sentence == ("a and b cannot be compared: they were tested on different images")
    assert found[1].sentence == "a and c cannot be compared: c was not tested"


def test_digests_of_two_versions_tell_what_they_can() -> None:
    right = np.ones(8, bool)
    texts = [f"test of digits (digest {d})" for d in ("01", "sha256:01", "sha256:02", "02")]
    runs = [account(n, predictions=result(right), evaluated_on=t) for n, t in enumerate(texts)]
    runs.append(account(4, predictions=result(right), evaluated_on="val of digits (digest 01)"))
    found = {(pair.first, pair.second): pair for pair in pairs(runs, list("abcde"))}
    alike = {place for place, pair in found.items() if pair.difference is not None}
    assert alike == {(0, 1), (2, 3)}
    untold = {place for place, pair in found.items() if "cannot be told" in pair.sentence}
    assert untold == {(0, 2), (1, 3)}
    assert all("different images" in found[place].sentence for place in set(found) - alike - untold)


def test_disagreements_are_images_that_one_has_right_and_another_wrong() -> None:
    one, other = np.ones(40, bool), np.ones(40, bool)
    one[[3, 5, 20]], other[[3, 7, 8]] = False, False
    runs = [
        account(0, predictions=result(one), thumbnails=thumbnails([3, 5])),
        account(1, {"lr": "1"}, predictions=result(other), thumbnails=thumbnails([7, 9])),
        account(2, {"lr": "2"}, predictions=result(one), evaluated_on="others"),
    ]
    found = disagreements(runs, pairs(runs, list("abc")))
    assert [(image.place, image.run) for image, _ in found] == [(5, 0), (7, 1)]
    for image, predicted in found:
        assert (image.pixels == image.place).all()
        assert set(predicted) == {0, 1}
        label = image.place % 4
        assert predicted[0].predicted == (label if image.place == 7 else (label + 1) % 4)
        logits = runs[0].predictions.logits[image.place].astype(float)
        assert predicted[0].probability == pytest.approx(
            np.exp(logits).max() / np.exp(logits).sum(), rel=1e-5
        )
    data = data_of(comparison(runs))
    assert [image["index"] for image in data["images"]] == [105, 107]
    assert data["pairs"][0]["only"] == [2, 2]  # 7 and 8, 5 and 20: not all of them are kept
    assert data["images"][1]["answers"]["1"][1] == "0"  # image 7 is a 3


def test_only_so_many_images_are_shown_of_a_pair() -> None:
    right, wrong = np.ones(200, bool), np.zeros(200, bool)
    runs = [
        account(0, predictions=result(right), thumbnails=thumbnails(range(200))),
        account(1, {"lr": "1"}, predictions=result(wrong)),
    ]
    found = disagreements(runs, pairs(runs, ["a", "b"]))
    assert [image.place for image, _ in found] == list(range(200 - SHOWN, 200))  # the surest


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


def test_one_group_alone_is_called_by_its_name() -> None:
    assert grouped([account(0), account(1, {"seed": "1"})]) == [Group("run 0", (0, 1))]
