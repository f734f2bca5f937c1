"""Docker's command line grammar, by tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.cli.flags import (
    BOOL,
    BYTES,
    DURATION,
    FILTER,
    INT,
    LIST,
    STRING,
    UINT16,
    Flag,
    Parser,
    UsageError,
    parse_bytes,
    parse_duration,
)

TABLE = (
    Flag("all", BOOL, "", short="a"),
    Flag("interactive", BOOL, "", short="i"),
    Flag("tty", BOOL, "", short="t"),
    Flag("env", LIST, "", short="e"),
    Flag("name", STRING, "", short="n", default="none"),
    Flag("count", INT, "", short="c"),
    Flag("weight", UINT16, ""),
    Flag("memory", BYTES, "", short="m"),
    Flag("interval", DURATION, ""),
    Flag("filter", FILTER, "", short="f"),
    Flag("old-name", STRING, "", alias_of="name"),
    Flag("never", STRING, "", refuses="it cannot be"),
)

WEIGHT_PROBLEM = (
    'invalid argument "70000" for "--weight" flag: strconv.ParseUint: parsing "70000": value out of range'
)
SWITCH_PROBLEM = (
    'invalid argument "maybe" for "-a, --all" flag: strconv.ParseBool: parsing "maybe": invalid syntax'
)


def parse(*words: str, mixed: bool = True) -> tuple:
    return Parser(TABLE, mixed=mixed).parse(words)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--name", "x"], "name", "x"),
        (["--name=x"], "name", "x"),
        (["--name="], "name", ""),
        (["--name=a=b"], "name", "a=b"),
        (["-n", "x"], "name", "x"),
        (["-nx"], "name", "x"),
        (["-n=x"], "name", "x"),
        (["-n", "-x"], "name", "-x"),
        (["--old-name", "x"], "name", "x"),
        (["--name", "--"], "name", "--"),
        (["-a"], "all", True),
        (["--all"], "all", True),
        (["--all=false"], "all", False),
        (["-a=0"], "all", False),
        (["--all=T"], "all", True),
        (["-ait"], "tty", True),
        (["-itn", "x"], "name", "x"),
        (["-itnx"], "name", "x"),
        (["-e", "A", "--env=B", "-eC"], "env", ["A", "B", "C"]),
        (["-c", "-5"], "count", -5),
        (["-c", "0x10"], "count", 16),
        (["-c", "010"], "count", 8),
        (["-m", "1.5g"], "memory", 1610612736),
        (["--interval", "1m30s"], "interval", 90_000_000_000),
        (["-f", "Status=running"], "filter", [("status", "running")]),
        (["-n", "a", "-n", "b"], "name", "b"),
    ],
)
def test_a_flag_is_read_in_every_writing(words: list[str], name: str, value: object) -> None:
    values, positional = parse(*words)
    assert values[name] == value
    assert name in values
    assert positional == []


def test_what_is_not_given_has_its_default() -> None:
    values, _ = parse()
    assert (values["name"], values["all"], values["env"], values["count"]) == ("none", False, (), 0)
    assert "name" not in values


def test_flags_and_arguments_mix_or_do_not() -> None:
    values, positional = parse("one", "-a", "two", "--", "-t")
    assert positional == ["one", "two", "-t"]
    assert values["all"]
    values, positional = parse("-i", "one", "-a", "--name", mixed=False)
    assert positional == ["one", "-a", "--name"]
    assert "all" not in values
    _, positional = parse("-", "-i")
    assert positional == ["-"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--foo"], "unknown flag: --foo"),
        (["--foo=1"], "unknown flag: --foo"),
        (["-zt"], "unknown shorthand flag: 'z' in -zt"),
        (["-iz"], "unknown shorthand flag: 'z' in -z"),
        (["--name"], "flag needs an argument: --name"),
        (["-n"], "flag needs an argument: 'n' in -n"),
        (["-itn"], "flag needs an argument: 'n' in -itn"),
        (
            ["-c", "abc"],
            'invalid argument "abc" for "-c, --count" flag: strconv.ParseInt: parsing "abc": invalid syntax',
        ),
        (
            ["-c", ""],
            'invalid argument "" for "-c, --count" flag: strconv.ParseInt: parsing "": invalid syntax',
        ),
        (
            ["--weight=70000"],
            WEIGHT_PROBLEM,
        ),
        (
            ["--all=maybe"],
            SWITCH_PROBLEM,
        ),
        (["-m", "10x"], 'invalid argument "10x" for "-m, --memory" flag: invalid suffix: \'x\''),
        (["--never", "x"], "--never: it cannot be"),
    ],
)
def test_what_does_not_fit_is_said_in_dockers_words(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(*words)
    assert str(caught.value) == message


@given(st.lists(st.text(max_size=8), max_size=6))
def test_no_command_line_breaks_the_parser(words: list[str]) -> None:
    try:
        _, positional = parse(*words)
    except UsageError:
        return
    assert all(word in words for word in positional)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("100", 100),
        ("1k", 1024),
        ("1kb", 1024),
        ("1KiB", 1024),
        ("64M", 64 << 20),
        ("1.5g", 3 << 29),
        ("2t", 2 << 40),
        ("1 mb", 1 << 20),
        ("12b", 12),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "x", "k", "-1", "1x", "1kk", "1ib", "1..2", ".", " 1"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="invalid"):
        parse_bytes(text)


@given(st.integers(min_value=0, max_value=2**40), st.sampled_from(["", "b", "B"]))
def test_bytes_are_bytes(count: int, unit: str) -> None:
    assert parse_bytes(f"{count}{unit}") == count


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0", 0),
        ("1s", 10**9),
        ("1.5h", 54 * 10**11),
        ("1h2m3s", 3723 * 10**9),
        ("500ms", 5 * 10**8),
        ("-1m", -6 * 10**10),
        ("10us", 10_000),
    ],
)
def test_durations(text: str, nano: int) -> None:
    assert parse_duration(text) == nano


@pytest.mark.parametrize("text", ["", "1", "s", "1x", "1.2.3s", "+", "--1s", ".s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="time: "):
        parse_duration(text)
