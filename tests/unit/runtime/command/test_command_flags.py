"""Command lines as engines write them."""

import pytest

from lodge.errors import InvalidArgument
from lodge.runtime.command.flags import flag, parse, usage

FLAGS = (
    flag("bundle b", "a directory", default="."),
    flag("env e", "a variable", many=True),
    flag("force f", "a switch", switch=True),
    flag("number", "a number", default="0"),
)


def test_all_spellings() -> None:
    parsed = parse(["--bundle", "/x", "-e=A=1", "-e", "B", "--force", "id", "--force"], FLAGS)
    assert parsed.text("bundle") == "/x"
    assert parsed.all("env") == ["A=1", "B"]
    assert parsed.on("force")
    assert parsed.words == ["id", "--force"]


def test_defaults() -> None:
    parsed = parse(["id"], FLAGS)
    assert (parsed.text("bundle"), parsed.all("env"), parsed.on("force")) == (".", [], False)
    assert not parsed.given("force")
    assert parsed.number("number") == 0


def test_a_switch_can_be_switched_off() -> None:
    assert not parse(["--force", "--force=false"], FLAGS).on("force")
    assert parse(["-f=true", "--", "-x"], FLAGS).words == ["-x"]


def test_a_single_dash_is_a_word() -> None:
    assert parse(["-", "id"], FLAGS).words == ["-", "id"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--wrong"], "flag provided but not defined: --wrong"),
        (["---force"], "not defined"),
        (["--bundle"], "needs an argument: --bundle"),
        (["--force=maybe"], "invalid boolean value 'maybe'"),
    ],
)
def test_mistakes(line: list[str], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        parse(line, FLAGS)


def test_a_number_that_is_none() -> None:
    with pytest.raises(InvalidArgument, match="not a number"):
        parse(["--number", "x"], FLAGS).number("number")


def test_usage_names_every_flag() -> None:
    text = usage(FLAGS)
    assert "--bundle, -b value" in text
    assert "--force, -f  " in text
