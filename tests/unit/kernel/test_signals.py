"""Signals as Docker spells them."""

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.kernel.process import signal_name, signal_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("KILL", 9),
        ("SIGKILL", 9),
        ("sigterm", 15),
        ("9", 9),
        ("15", 15),
        ("RTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("rtmax-1", 63),
        ("SIGRTMAX", 64),
        ("64", 64),
        ("CLD", 17),
        ("POLL", 29),
        (" HUP ", 1),
    ],
)
def test_spellings(text: str, number: int) -> None:
    assert signal_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "0", "65", "-1", "SIG", "SIGNOPE", "RTMIN+31", "RTMAX-31", "RTMIN-1", "9.0", "٩", "RTMIN+٣"]
)
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid signal"):
        signal_number(text)


@given(st.integers(1, 64))
def test_names_lead_back_to_their_numbers(number: int) -> None:
    if number in (32, 33):  # libc keeps them
        with pytest.raises(ValueError, match="no signal"):
            signal_name(number)
    else:
        assert signal_number(signal_name(number)) == number


def test_names_agree_with_the_standard_library() -> None:
    for known in signal.Signals:
        assert signal_number(known.name) == known.value
