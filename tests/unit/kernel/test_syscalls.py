"""The keyhole: numbers for both machines, arguments of full width, errors with a path."""

import errno
import os
from pathlib import Path

import pytest

from lodge.kernel import syscalls


def test_the_numbers_of_both_machines_are_complete() -> None:
    assert all(len(pair) == 2 and min(pair) > 0 for pair in syscalls._NUMBERS.values())
    # One table for all machines since Linux 5.0: whoever is above that line has one number.
    assert all(a == b for a, b in syscalls._NUMBERS.values() if a >= 424)


def test_an_error_names_the_path() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        syscalls.syscall(syscalls.SYS_OPEN_TREE, -100, b"/no/such", 0, path="/no/such")
    assert caught.value.filename == "/no/such"
    assert caught.value.errno == errno.ENOENT


def test_an_unknown_number_is_enosys() -> None:
    with pytest.raises(OSError, match="not implemented") as caught:
        syscalls.syscall(-1)
    assert caught.value.errno == errno.ENOSYS


def test_integers_are_passed_in_64_bits(tmp_path: Path) -> None:
    """A bare int would reach the kernel as 32 bits: the size of struct open_how tells one from the other."""
    # Of 2**32 + 24 bytes a call with 32-bit arguments would see 24, and open the directory.
    how = bytes(24)
    with pytest.raises(OSError, match="Argument list too long") as caught:
        syscalls.syscall(syscalls.SYS_OPENAT2, -100, os.fsencode(tmp_path), how, (1 << 32) + 24)
    assert caught.value.errno == errno.E2BIG


def test_check_passes_results_on() -> None:
    assert syscalls.check(7) == 7
