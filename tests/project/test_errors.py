import pytest

from mlrun.errors import (
    MlrunError,
    RunFailed,
    encodable,
    first_of,
    legible,
    one_line,
    redact,
    unknown,
)


def test_an_unknown_name_is_answered_with_the_nearest_and_then_all() -> None:
    assert str(unknown("model", "lent", ["mlp", "lenet"])) == (
        "unknown model lent; did you mean lenet? There are: lenet, mlp"
    )


def test_a_name_near_nothing_is_answered_with_all() -> None:
    assert str(unknown("model", "zzz", ["mlp"])) == "unknown model zzz; there are: mlp"


def test_a_failed_run_is_an_error_of_mlrun_and_names_the_run() -> None:
    error = RunFailed("failed", "abc")
    assert isinstance(error, MlrunError)
    assert error.run_id == "abc"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ann:secret@db/mlflow",
        "https://ann:s/ec@ret@host:5000",
        "could not reach 'http://ann:secret@127.0.0.1:1/x' at all",
        "mysql+pymysql://secret@host",
        "postgresql://ann:o'sec\"ret@db/mlflow",
    ],
)
def test_no_user_or_password_is_left_of_an_address(address: str) -> None:
    assert "ann" not in redact(address)
    assert "ret" not in redact(address)
    assert "://***@" in redact(address)


def test_a_password_among_the_parameters_of_an_address_goes_too() -> None:
    assert redact("postgresql://db/x?user=a&password=secret&x=1 b") == (
        "postgresql://db/x?user=a&password=***&x=1 b"
    )


def test_an_address_without_password_and_an_at_sign_elsewhere_stay() -> None:
    assert redact("http://host:1/x mail a@b") == "http://host:1/x mail a@b"


def test_one_line_is_one_line_of_bounded_length() -> None:
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert one_line(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert one_line(MlrunError("say this")) == "say this"
    assert len(one_line(ValueError("x" * 9999))) == 500


def test_what_cannot_be_written_or_shown_is_escaped() -> None:
    name = b"caf\xe9 \n\xff".decode(errors="surrogateescape") + "\ud800猫"
    assert encodable(name) == "caf\\xe9 \n\\xff\\ud800猫"
    assert legible(name) == "caf\\xe9 \\n\\xff\\ud800猫"
    assert legible("plain, 猫 and é") == "plain, 猫 and é"


def test_the_first_of_a_chain_of_errors_that_says_something_is_told() -> None:
    def chained() -> None:
        try:
            try:
                raise KeyError
            except KeyError:
                raise ConnectionRefusedError(111, "Connection refused")  # noqa: B904  # by context alone
        except OSError as error:
            raise RuntimeError("API request failed with exception …") from error

    with pytest.raises(RuntimeError) as caught:
        chained()
    assert (
        one_line(first_of(caught.value)) == "ConnectionRefusedError: [Errno 111] Connection refused"
    )
    alone = ValueError("by itself")
    assert first_of(alone) is alone
