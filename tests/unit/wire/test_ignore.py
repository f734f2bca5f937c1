import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument
from lodge.wire.ignore import Patterns, has_wildcards, match, read_ignore_file


@pytest.mark.parametrize(
    ("patterns", "path", "excluded"),
    [
        (["a"], "a", True),
        (["a"], "a/b/c", True),
        (["a"], "b/a", False),
        (["*.c"], "x.c", True),
        (["*.c"], "d/x.c", False),
        (["**/*.c"], "d/e/x.c", True),
        (["**/*.c"], "x.c", True),
        (["a/**"], "a/b/c", True),
        (["a/**"], "a", False),
        (["**"], "x", True),
        (["a*/b"], "ax/b/c", True),
        (["a", "!a/keep"], "a/keep", False),
        (["a", "!a/keep"], "a/keep/x", False),
        (["a", "!a/keep", "a/keep/x"], "a/keep/x", True),
        (["!a", "a"], "a", True),
        (["?.t[xy]t"], "a.txt", True),
        (["[^a]"], "a", False),
        (["[a-c]"], "b", True),
        (["\\*"], "*", True),
        (["\\*"], "x", False),
        (["docs/../x"], "x", True),
    ],
)
def test_patterns(patterns: list[str], path: str, excluded: bool) -> None:
    assert Patterns(patterns).excludes(path) is excluded


def test_a_file_is_read_as_docker_reads_it() -> None:
    text = "\ufeff# comment\n\n /abs/ \n!  kept \nwith space\n#not\n  #one\n./x/../y\r\n"
    assert read_ignore_file(text) == ["abs", "!kept", "with space", "#one", "y"]


@pytest.mark.parametrize("pattern", ["[", "[]", "[a", "a\\", "[z-a]", "[-]"])
def test_malformed_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidArgument):
        Patterns([pattern])


def test_a_lone_mark_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="illegal exclusion pattern"):
        Patterns(["!"])


_names = st.text(alphabet="ab.*?[]\\-^!", min_size=1, max_size=6)


@given(_names, st.text(alphabet="ab/.", max_size=8))
def test_any_pattern_matches_or_is_refused(pattern: str, name: str) -> None:
    try:
        found = match(pattern, name)
    except InvalidArgument:
        return
    assert found in (True, False)


@given(st.lists(st.text(alphabet="ab", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join))
def test_a_plain_path_excludes_itself_and_all_below(path: str) -> None:
    patterns = Patterns([path])
    assert patterns.excludes(path)
    assert patterns.excludes(f"{path}/below")
    assert not Patterns([path, f"!{path}"]).excludes(path)
    assert not has_wildcards(path)


@given(
    st.text(
        alphabet=st.characters(exclude_characters="/", exclude_categories=("Cs",)), min_size=1, max_size=8
    )
)
def test_an_escaped_name_matches_only_itself(name: str) -> None:
    pattern = re.sub(r"([*?\[\]\\^-])", r"\\\1", name)
    assert match(pattern, name)
    assert not match(pattern, name + "x")
