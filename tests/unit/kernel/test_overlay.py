"""Overlay options: syntax that can't be broken out of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.kernel import overlay


def test_layers_are_given_top_first() -> None:
    text = overlay.options(["/l2", "/l1"], "/u", "/w", extra=["userxattr"])
    assert text == "lowerdir=/l2:/l1,upperdir=/u,workdir=/w,userxattr"


def test_without_an_upper_it_is_read_only() -> None:
    assert overlay.options(["/b", "/a"]) == "lowerdir=/b:/a"


def test_no_layer_is_an_error() -> None:
    with pytest.raises(ValueError, match="lower"):
        overlay.options([])


def test_odd_names_are_escaped() -> None:
    assert overlay.options(["/a:b,c\\d"], "/u:v,w", "/x") == (
        "lowerdir=/a\\:b\\,c\\\\d,upperdir=/u:v\\,w,workdir=/x"
    )


def split(text: str, separator: str) -> list[str]:
    """Split as the kernel does: not at a separator behind a backslash."""
    parts, current, index = [], "", 0
    while index < len(text):
        if text[index] == "\\" and index + 1 < len(text):
            current += text[index : index + 2]
            index += 2
        elif text[index] == separator:
            parts.append(current)
            current, index = "", index + 1
        else:
            current += text[index]
            index += 1
    return [*parts, current]


def unescape(text: str) -> str:
    result, index = "", 0
    while index < len(text):
        index += text[index] == "\\"
        result += text[index : index + 1]
        index += 1
    return result


NAME = st.text("ab:,\\=/ ", min_size=1, max_size=12)


@given(st.lists(NAME, min_size=1, max_size=4), NAME, NAME)
def test_any_name_is_read_back(lower: list[str], upper: str, work: str) -> None:
    words = split(overlay.options(lower, upper, work), ",")
    assert [unescape(layer) for layer in split(words[0].removeprefix("lowerdir="), ":")] == lower
    assert unescape(words[1].removeprefix("upperdir=")) == upper
    assert unescape(words[2].removeprefix("workdir=")) == work
    assert len(words) == 3
