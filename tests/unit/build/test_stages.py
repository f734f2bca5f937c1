"""Whole Dockerfiles: lines, heredocs, directives, instructions, and what is said of wrong ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodge.build.dockerfile import instructions as i
from lodge.build.dockerfile.problems import DockerfileError
from lodge.build.dockerfile.stages import parse


def body(text: str) -> tuple[i.Instruction, ...]:
    return parse(f"FROM scratch\n{text}").stages[0].body


def test_lines_are_joined_and_comments_inside_vanish() -> None:
    (run,) = body("RUN one \\\n  # a comment\n\n  && two\n")
    assert isinstance(run, i.Run)
    assert run.command.words == ("one   && two",)
    assert run.lines == (2, 5)


def test_an_empty_continuation_is_remembered_for_the_check() -> None:
    found = parse("FROM scratch\nRUN a \\\n\n b\n")
    assert found.empty_continuations == ((4, 4),)


def test_crlf_and_a_byte_order_mark_are_tolerated() -> None:
    found = parse('\ufeffFROM scratch\r\nRUN a \\\r\n  b\r\nCMD ["x"]\r\n')
    run, cmd = found.stages[0].body
    assert isinstance(run, i.Run)
    assert run.command.words == ("a   b",)
    assert isinstance(cmd, i.Cmd)
    assert cmd.command == i.Command(words=("x",), shell=False)


def test_the_escape_directive_changes_what_continues_a_line() -> None:
    found = parse("# escape=`\nFROM scratch\nRUN dir C:\\ `\n more\n")
    run = found.stages[0].body[0]
    assert isinstance(run, i.Run)
    assert run.command.words == ("dir C:\\  more",)


@pytest.mark.parametrize(
    ("text", "syntax"),
    [
        ("# syntax=docker/dockerfile:1\nFROM x", "docker/dockerfile:1"),
        ("#syntax = a/b:c \n# escape=`\nFROM x", "a/b:c"),
        ("# a comment\n# syntax=no\nFROM x", ""),
        ("FROM x\n# syntax=no", ""),
    ],
)
def test_syntax_lines_count_only_at_the_top(text: str, syntax: str) -> None:
    assert parse(text).directives.syntax == syntax


def test_checks_can_be_skipped_and_be_errors() -> None:
    directives = parse("# check=skip=JSONArgsRecommended,StageNameCasing;error=true\nFROM x").directives
    assert directives.skipped_checks == {"jsonargsrecommended", "stagenamecasing"}
    assert directives.checks_are_errors


def test_heredocs_hold_files_and_scripts() -> None:
    copy, run = body('COPY <<one <<-"two" /to/\n1 $x\none\n\t2 $x\n\ttwo\nRUN <<EOF cat\nthree\nEOF\n')
    assert isinstance(copy, i.Copy)
    assert [(text.name, text.text, text.expand) for text in copy.texts] == [
        ("one", "1 $x\n", True),
        ("two", "2 $x\n", False),
    ]
    assert copy.target == "/to/"
    assert isinstance(run, i.Run)
    assert run.command.heredocs[0].content == "three\n"


def test_a_heredoc_without_its_end_is_told() -> None:
    with pytest.raises(DockerfileError) as caught:
        body("RUN <<EOF\nnever\n")
    assert caught.value.what == "unterminated heredoc"
    assert caught.value.lines == (2, 3)


def test_json_that_is_none_is_for_the_shell() -> None:
    run, cmd = body("RUN [ -e /x ]\nCMD ['a']\n")
    assert isinstance(run, i.Run)
    assert run.command == i.Command(words=("[ -e /x ]",), shell=True)
    assert isinstance(cmd, i.Cmd)
    assert cmd.command.shell


def test_flags_and_their_kinds() -> None:
    (copy,) = body("COPY --from=base --chown=1:2 --chmod=u=rwX --link --exclude=*.a --exclude=b x y /z/")
    assert isinstance(copy, i.Copy)
    assert (copy.source_stage, copy.chown, copy.chmod, copy.link) == ("base", "1:2", "u=rwX", True)
    assert copy.excludes == ("*.a", "b")
    assert copy.sources == ("x", "y")


def test_pairs_with_quotes_and_the_legacy_spelling() -> None:
    env, legacy = body('ENV A=1 B="two words" C=x\\ y\nENV OLD some value\n')
    assert isinstance(env, i.Env)
    assert env.pairs == (("A", "1"), ("B", '"two words"'), ("C", "x\\ y"))
    assert isinstance(legacy, i.Env)
    assert legacy.legacy
    assert legacy.pairs == (("OLD", "some value"),)


def test_a_health_check() -> None:
    (health,) = body("HEALTHCHECK --interval=1m30s --timeout=500ms --retries=4 CMD curl -f x || exit 1")
    assert isinstance(health, i.Health)
    assert health.check.test == ["CMD-SHELL", "curl -f x || exit 1"]
    assert (health.check.interval, health.check.timeout, health.check.retries) == (90 * 10**9, 5 * 10**8, 4)


def test_stages_have_names_and_numbers() -> None:
    found = parse("ARG V=1\nFROM a AS One\nFROM b\nFROM One\n")
    assert [stage.name for stage in found.stages] == ["one", "", ""]
    assert found.find("ONE") is found.stages[0]
    assert found.find("1") is found.stages[1]
    assert found.find("7") is None
    assert found.arguments[0].arguments == (i.Argument("V", "1"),)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("FROM x\nRNU y", 2, "unknown instruction: RNU (did you mean RUN?)"),
        ("RUN x", 1, "no build stage in current context: RUN stands before the first FROM"),
        ("# only this\n", 1, "file with no instructions"),
        ("ARG x", 1, "dockerfile contains no stages to build"),
        ("FROM a b", 1, "FROM requires either one or three arguments"),
        (
            "FROM a AS 1x",
            1,
            'invalid name for build stage: "1x", name can\'t start with a number or contain symbols',
        ),
        (
            "FROM x\nCOPY a",
            2,
            ("COPY requires at least two arguments, but only one was provided. Destination could not be "
            "determined"),
        ),
        ("FROM x\nCOPY --form=y a b", 2, "unknown flag: --form (did you mean from?)"),
        ("FROM x\nCOPY --from=a --from=b c d", 2, "duplicate flag specified: --from"),
        ("FROM x\nCOPY --link=maybe c d", 2, "expecting boolean value for flag --link, not: maybe"),
        ("FROM x\nENV A=1 B", 2, 'Syntax error - can\'t find = in "B". Must be of the form: name=value'),
        ("FROM x\nENV A", 2, "ENV must have two arguments"),
        ("FROM x\nENV =1", 2, "ENV names can not be blank"),
        ("FROM x\nSHELL /bin/sh", 2, "SHELL requires the arguments to be in JSON form"),
        ("FROM x\nONBUILD ONBUILD RUN x", 2, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("FROM x\nONBUILD FROM y", 2, "FROM isn't allowed as an ONBUILD trigger"),
        ("FROM x\nHEALTHCHECK TRY y", 2, 'Unknown type "TRY" in HEALTHCHECK (try CMD)'),
        ("FROM x\nHEALTHCHECK --interval=1 CMD y", 2, 'time: invalid duration "1"'),
        ("FROM x\nHEALTHCHECK --interval=1us CMD y", 2, 'Interval "interval" cannot be less than 1ms'),
        ("FROM x\nVOLUME [\"\"]", 2, "VOLUME specified can not be an empty string"),
        ("FROM x\nCMD [1]", 2, "when using JSON array syntax, arrays must be comprised of strings only"),
        ("FROM x\nRUN --network=wifi y", 2, 'invalid network mode: "wifi"'),
        ("# escape=x\nFROM a", 1, "invalid escape token 'x' does not match ` or \\"),
        ("# escape=`\n# escape=`\nFROM a", 2, "only one escape parser directive can be used"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_line(text: str, line: int, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse(text, "The.Dockerfile")
    assert caught.value.what == message
    assert caught.value.lines is not None
    assert caught.value.lines[0] == line
    assert caught.value.message == f"dockerfile parse error on line {line}: {message}"
    assert caught.value.filename == "The.Dockerfile"


_WORDS = st.sampled_from(
    ["FROM", "x", "AS", "RUN", "COPY", "ENV", "--from=a", "--mount=type=cache", "<<EOF", "EOF", "\\", "#",
     "\n", "[", '"a"', "]", "a=b", "ONBUILD", "$x", "'", "HEALTHCHECK",
     "CMD", "\t", "# escape=`", "`", "=", "--"]
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(_WORDS, max_size=25).map(" ".join) | st.text(max_size=80))
def test_any_text_is_a_dockerfile_or_a_mistake_with_its_place(text: str) -> None:
    lines: tuple[int, int] | None = (1, 1)
    try:
        parse(text)
    except DockerfileError as error:
        lines = error.lines
    assert lines is not None
    assert 1 <= lines[0] <= lines[1]
