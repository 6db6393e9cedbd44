"""Settings as YAML: read as YAML 1.2 is meant, within limits, and what is wrong in one line."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlrun.errors import MlrunError
from mlrun.settings import Settings, recipes
from mlrun.settings.plain_yaml import LARGEST, as_yaml, parse, read_mapping
from mlrun.settings.plan import plan_of

Command = Callable[..., tuple[int, str, str]]
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("12", 12), ("-3", -3), ("0.5", 0.5), ("1e-05", 1e-05), ("true", True), ("False", False)],
        *[("null", None), ("~", None), ("", None), ("'12'", "12"), ('"true"', "true")],
        *[
            ("010", "010"),
            ("0o17", "0o17"),
            ("0x1F", "0x1F"),
            ("1_000", "1_000"),
            ("12:30", "12:30"),
        ],
        *[("yes", "yes"), ("no", "no"), ("on", "on"), ("OFF", "OFF"), ("2026-01-01", "2026-01-01")],
        *[
            ("1e-3", "1e-3"),
            ("+3", "+3"),
            ("007", "007"),
            ("1.10", "1.10"),
            ("<<", "<<"),
            ("inf", "inf"),
            ("nan", "nan"),
        ],
        *[("[1, no]", [1, "no"]), ("{a: 1, b: on}", {"a": 1, "b": "on"}), ("!!str 12", 12)],
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_plain_text_is_a_number_only_as_python_writes_it(text: str, value: object) -> None:
    (read,) = parse(f"name: {text}\n").values()
    assert (read, type(read)) == (value, type(value))


def test_the_type_of_a_setting_reads_what_is_no_number_yet() -> None:
    text = "epochs: 010\nlr: 1e-3\nshuffle: no\nflip: none\nrun_name: 007\nexperiment: no\nseed: +3"
    settings = Settings.parse(parse(text))
    assert (settings.epochs, settings.lr, settings.shuffle, settings.seed) == (10, 0.001, False, 3)
    assert (settings.run_name, settings.experiment) == ("007", "no")
    assert Settings.parse(parse("data_dir: 2026")).data_dir == Path("2026")
    for wrong in ("epochs: 0x10", "epochs: 1_000", "time_limit: 1:30", "seed: 0o17", "epochs: 1e3"):
        with pytest.raises(MlrunError, match=r": expected a (whole )?number, got "):
            Settings.parse(parse(wrong))


def test_whatever_is_written_is_read_again() -> None:
    texts = ["010", "1e-05", "inf", "no", "null", "~", "", "1:30", "a: b", "# c", "é", "- x", "1.0"]
    values = {"texts": texts, "numbers": [1, 0.1, 1e-300, float("inf")], "flags": [True, None]}
    read = parse(as_yaml(values))
    assert {**read, "texts": [str(text) for text in read["texts"]]} == values


ILL = {
    "a key twice": (
        "epochs: 1\nlr: 1\nepochs: 2\n",
        "line 3, column 1: epochs is given twice, first in line 1",
    ),
    "a key twice within": ("part_lrs: {a: 1, a: 2}", "line 1, column 18: a is given twice"),
    "one name in two spellings": (
        "batch-size: 1\nbatch_size: 2",
        "batch-size and batch_size are one setting",
    ),
    "a tag": (
        "a: !!python/object/apply:os.system ['touch x']",
        "line 1, column 4: tag tag:yaml.org,2002:py",
    ),
    "a tag of a number": (
        "epochs: !!int '010'",
        "line 1, column 9: tag tag:yaml.org,2002:int: settings are",
    ),
    "deep brackets": (
        "a: " + "[" * 3000,
        "more than 10,000 values, or more than 20 within each other",
    ),
    "deep braces": ("{" * 100_000, "or more than 20 within each other"),
    "deep lines": (
        "\n".join(" " * i + "a:" for i in range(300)),
        "or more than 20 within each other",
    ),
    "a billion laughs": (LAUGHS, "more than 10,000 values"),
    "an alias of itself": ("a: &a [*a]", "or more than 20 within each other"),
    "too many": ("a: [" + "1, " * 50_000 + "]", "more than 10,000 values"),
    "too large": ("# " + "x" * LARGEST, "it is larger than 1 MiB"),
    "NUL": ("model: \0mlp", "character 8: special characters are not allowed"),
    "unbalanced": ("a: [1", "line 1, column 6: while parsing a flow sequence: expected ',' or ']'"),
    "two documents": (
        "a: 1\n---\nb: 1",
        "line 2, column 1: expected a single document in the stream",
    ),
    "a tabulator": ("model:\tmlp\n\tlr: 1", "line 1, column 7: while scanning for the next token"),
    "empty": ("", "expected lines `name: value`"),
    "only a comment": ("# nothing\n", "expected lines `name: value`"),
    "a list": ("- 1", "expected lines `name: value`"),
    "a list as a name": ("[1]: 2", "line 1, column 1: expected a name before the colon"),
    "5,000 digits": ("epochs: " + "9" * 5000, "epochs: expected a whole number"),
    "no digits that count": ("epochs: -" + "9" * 5000, "epochs: expected a whole number"),
    "a merge": ("a: &a {epochs: 1}\n<<: *a", "unknown setting a; there are: "),
}


@pytest.mark.parametrize(("content", "message"), ILL.values(), ids=ILL)
def test_a_recipe_that_cannot_be_read_is_one_line(
    home: Path, command: Command, content: str, message: str
) -> None:
    (home / "ill.yaml").write_text(content)
    (home / "upon.yaml").write_text("base: ill.yaml\n")
    started = time.process_time()
    for name in ("ill.yaml", "upon.yaml"):
        code, _, stderr = command("train", "--recipe", name)
        assert (code, len(stderr.splitlines())) == (2, 1)
        assert stderr.startswith(f"Error: recipe {name}: ")
        assert message in stderr
        assert len(stderr) < 3000  # the list of all settings
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\x00\xff", b"model: \xe9\n", "model: mlp".encode("utf-16")]
)
def test_a_file_that_is_no_text_is_one_line(home: Path, content: bytes) -> None:
    (home / "ill.yaml").write_bytes(content)
    with pytest.raises(MlrunError, match=r"^recipe ill.yaml: it is no text in UTF-8 \(byte \d+\)$"):
        recipes.load("ill.yaml")


def test_a_byte_order_mark_and_windows_lines_are_no_part_of_it(home: Path) -> None:
    (home / "a.yaml").write_bytes(b"\xef\xbb\xbfmodel: mlp\r\nepochs: 3\r\n")
    settings = plan_of({"recipe": "a.yaml"}).settings
    assert (settings.model, settings.epochs) == ("mlp", 3)


def test_an_alias_stands_for_what_it_names(home: Path) -> None:
    (home / "a.yaml").write_text("model.channels: &some [4, 4]\nmodel.hidden: *some\n")
    assert read_mapping(home / "a.yaml")["model.hidden"] == [4, 4]
