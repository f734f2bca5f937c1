import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.build.dockerfile.problems import DockerfileError
from lodge.build.dockerfile.words import Lexer

VALUES = {"HOME": "/home/me", "EMPTY": "", "PATHS": "/usr/local/lib.tar.gz", "A1": "one"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$HOME/x", "/home/me/x"),
        ("${HOME}x", "/home/mex"),
        ("$NOTHING-", "-"),
        ("${NOTHING:-word}", "word"),
        ("${EMPTY:-word}", "word"),
        ("${EMPTY-word}", ""),
        ("${HOME:+yes}", "yes"),
        ("${EMPTY:+yes}", ""),
        ("${EMPTY+yes}", "yes"),
        ("${NOTHING+yes}", ""),
        ("${NOTHING:-${HOME}/deep}", "/home/me/deep"),
        ("${PATHS#*/}", "usr/local/lib.tar.gz"),
        ("${PATHS##*/}", "lib.tar.gz"),
        ("${PATHS%.*}", "/usr/local/lib.tar"),
        ("${PATHS%%.*}", "/usr/local/lib"),
        ("${PATHS/l/L}", "/usr/Local/lib.tar.gz"),
        ("${PATHS//l/L}", "/usr/LocaL/Lib.tar.gz"),
        ("${PATHS/local\\/lib/x}", "/usr/x.tar.gz"),
        ("\\$HOME", "$HOME"),
        ("'$HOME'", "$HOME"),
        ('"$HOME"', "/home/me"),
        ("a\\ b", "a b"),
        ("$", "$"),
        ("$1x", "x"),
        ("${A1}", "one"),
        ("<<EOF", "<<EOF"),
    ],
)
def test_every_form_of_a_variable(text: str, expected: str) -> None:
    assert Lexer().word(text, VALUES) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NOTHING:?said so}", "NOTHING: said so"),
        ("${NOTHING?}", "NOTHING: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${HOME", "unsupported modifier () in substitution"),
        ("${HOME:=x}", "unsupported modifier (:=) in substitution"),
        ("${HOME:-x", "syntax error: missing '}'"),
        ("'open", "unexpected end of statement while looking for matching single-quote"),
        ('"open', "unexpected end of statement while looking for matching double-quote"),
    ],
)
def test_what_is_no_form_is_named(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        Lexer().word(text, VALUES)
    assert caught.value.message == f'failed to process "{text}": {message}'


def test_words_are_cut_after_expansion_and_quotes_hold_together() -> None:
    values = {"LIST": "a b"}
    assert Lexer().words("$LIST \"$LIST\" 'c d' e\\ f", values) == ["a", "b", "a b", "c d", "e f"]


def test_names_that_were_asked_for_are_told() -> None:
    found = Lexer().expand("$HOME ${NOTHING:-x} $OTHER", VALUES)
    assert list(found.used) == ["HOME"]
    assert list(found.unknown) == ["NOTHING", "OTHER"]


def test_another_escape_leaves_backslashes_alone() -> None:
    assert Lexer("`").word("C:\\dir`$x", {}) == "C:\\dir$x"


def test_endless_nesting_is_refused() -> None:
    with pytest.raises(DockerfileError, match="nested too deeply"):
        Lexer().word("${a:-" * 500 + "}" * 500, {})


@given(st.text(max_size=60), st.dictionaries(st.sampled_from("abc"), st.text(max_size=5), max_size=3))
def test_any_text_expands_or_is_refused(text: str, values: dict[str, str]) -> None:
    try:
        found = Lexer().expand(text, values)
    except DockerfileError:
        return
    assert all(word and not word.isspace() for word in found.words)


@given(st.text(alphabet=st.characters(exclude_characters="$\\'\"<", exclude_categories=("Cs",)), max_size=40))
def test_text_without_signs_means_itself(text: str) -> None:
    assert Lexer().word(text, {}) == text
