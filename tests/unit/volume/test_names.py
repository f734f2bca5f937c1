"""Names of volumes: Docker's rule and Docker's words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument
from lodge.volume.names import anonymous_name, check_name, is_name


@pytest.mark.parametrize("name", ["ab", "A1", "0.", "my-data_1.x", "a" * 255])
def test_good_names(name: str) -> None:
    check_name(name)
    assert is_name(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a", "too short, names should be at least two alphanumeric characters"),
        ("../x", '"../x" includes invalid characters for a local volume name'),
        (".hidden", "If you intended to pass a host directory, use absolute path"),
        ("a/b", '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'),
        ("", "includes invalid characters"),
        ("ab\n", "includes invalid characters"),
        ("äb", "includes invalid characters"),
        ("a٣", "includes invalid characters"),
        ("a" * 256, "longer"),
    ],
)
def test_bad_names(name: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_name(name)
    assert words in caught.value.message
    assert not is_name(name)


@given(st.text("ab./-_\0 ", max_size=8))
def test_a_good_name_is_one_plain_directory(name: str) -> None:
    if is_name(name):
        assert "/" not in name
        assert "\0" not in name
        assert not name.startswith(".")


def test_anonymous_names_are_all_different() -> None:
    names = {anonymous_name() for _ in range(100)}
    assert len(names) == 100
    assert all(is_name(name) and len(name) == 64 and int(name, 16) >= 0 for name in names)
