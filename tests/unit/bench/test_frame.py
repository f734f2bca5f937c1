"""Tests of `bench.frame`: turns are taken, medians are told, targets are judged."""

import time

import pytest

from bench.__main__ import ORDER
from bench.frame import Measured, Target, interleave, milliseconds, number, row, table


def test_subjects_take_turns_and_the_warm_up_does_not_count() -> None:
    order: list[str] = []

    def action(name: str) -> float:
        order.append(name)
        return len(order)

    samples = interleave({"a": lambda: action("a"), "b": lambda: action("b")}, 2, warm_up=1)
    assert order == ["a", "b"] * 3
    assert samples == {"a": [3, 5], "b": [4, 6]}


def test_time_is_told_in_milliseconds() -> None:
    assert 10 <= milliseconds(time.sleep, 0.01) < 1000


@pytest.mark.parametrize(
    ("target", "ours", "theirs", "met"),
    [
        (Target(ratio=0.5), 5, 10, True),
        (Target(ratio=0.5), 6, 10, False),
        (Target(value=6), 6, None, True),
        (Target(ratio=0.1, value=6), 7, 100, False),
        (Target(ratio=0.1, value=6), 5, 10, False),
        (Target(ratio=3, more_is_better=True), 30, 10, True),
        (Target(ratio=3, more_is_better=True), 29, 10, False),
        (Target(), 1000, 1, True),
    ],
)
def test_a_target_is_reached_or_not(target: Target, ours: float, theirs: float | None, met: bool) -> None:
    assert target.met(ours, theirs) is met


def test_a_line_tells_medians_and_their_ratio() -> None:
    line = Measured("start", "ms", Target(ratio=1.0), "crun", {"lodge": [1, 9, 5], "crun": [10, 10, 40]})
    assert line.cells() == ["start (ms)", "at most 1.00 x", "crun 10.0", "5.00", "0.50", "yes"]


def test_who_was_not_measured_is_a_dash() -> None:
    line = Measured("start", "ms", Target(ratio=1.0), "crun", {"crun": [10]})
    assert line.cells()[3:] == ["-", "-", "-"]
    assert line.met is None


def test_what_has_no_target_is_neither_met_nor_missed() -> None:
    line = Measured("start", "ms", Target(), "crun", {"lodge": [1], "crun": [10]})
    assert line.cells()[-1] == "-"


def test_every_row_has_its_place_in_the_order() -> None:
    assert set(ORDER) == set(row.rows)


def test_the_table_is_markdown_with_equal_columns() -> None:
    text = table([Measured("start", "ms", Target(), "docker", {"lodge": [1], "docker": [2]})])
    lines = text.splitlines()
    assert lines[0].startswith("| what")
    assert set(lines[1]) == {"|", "-", " "}
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "0.12"), (5, "5.00"), (12.345, "12.3"), (12345.6, "12,346")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text
