"""Overlay options: syntax that can't be broken out of."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.kernel import overlay
from lodge.kernel.mount import mount


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


NAME = st.text("ab:,\\=/ ", min_size=1, max_size=12)


@given(st.lists(NAME, min_size=1, max_size=4), NAME, NAME)
def test_any_name_is_read_back(lower: list[str], upper: str, work: str) -> None:
    words = overlay.split(overlay.options(lower, upper, work), ",")
    layers = overlay.split(words[0].removeprefix("lowerdir="), ":")
    assert [overlay.unescape(layer) for layer in layers] == lower
    assert overlay.unescape(words[1].removeprefix("upperdir=")) == upper
    assert overlay.unescape(words[2].removeprefix("workdir=")) == work
    assert len(words) == 3


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a:b", ["a", "b"]),
        ("a\\:b:c", ["a\\:b", "c"]),
        ("a\\\\:b", ["a\\\\", "b"]),
        ("", [""]),
        (":", ["", ""]),
        ("\\", ["\\"]),
    ],
)
def test_texts_are_split_as_the_kernel_does(text: str, parts: list[str]) -> None:
    assert overlay.split(text, ":") == parts


def test_options_longer_than_a_page_are_refused_by_the_plain_call() -> None:
    """The kernel would cut them off and mount fewer layers."""
    with pytest.raises(OSError, match="do not fit into a page") as caught:
        mount("overlay", "/nowhere", "overlay", 0, overlay.options(["/layer"] * 1000))
    assert caught.value.errno == errno.E2BIG
