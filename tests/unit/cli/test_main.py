"""The way in: global options, unknown verbs, help, and how failures end."""

import subprocess
import sys

import pytest

from lodge.cli.main import run
from lodge.cli.tree import CONTAINER, GROUPS, IMAGE, NETWORK, SYSTEM, TREE, VOLUME, aliases, load
from tests.unit.cli.conftest import Lodge
from tests.unit.fake_engine import FakeEngine, Reply, refusal

LEAVES = sorted(
    {
        leaf
        for group in (CONTAINER, IMAGE, NETWORK, SYSTEM, VOLUME, TREE)
        for leaf in group.values()
        if isinstance(leaf, str)
    }
)


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_verb_is_there_and_its_table_is_sound(leaf: str) -> None:
    command = load(leaf)
    names = [flag.name for flag in command.flags]
    shorts = [flag.short for flag in command.flags if flag.short]
    assert len(set(names)) == len(names)
    assert len(set(shorts)) == len(shorts)
    assert "help" not in names
    assert 0 <= command.minimum <= command.maximum
    assert command.summary
    for flag in command.flags:
        assert flag.help or flag.hidden or flag.refuses, flag.name
        if flag.alias_of:
            assert flag.alias_of in names


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_verb_has_help(leaf: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = aliases(leaf)[0].removeprefix("lodge ").split()
    assert run([*path, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage:  lodge {' '.join(path)}")
    assert load(leaf).summary in out


def test_groups_list_their_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(GROUPS) == {name for name, entry in TREE.items() if isinstance(entry, dict)}
    for group in GROUPS:
        assert run([group]) == 0
        assert f"Usage:  lodge {group} COMMAND" in capsys.readouterr().out
    assert run([]) == 0
    assert "Management Commands:" in capsys.readouterr().out


def test_aliases_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    run(["ps", "--help"])
    assert "lodge container list, lodge container ls, lodge container ps, lodge ps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["rnu"], "lodge: unknown command: lodge rnu\n\nDid you mean this?\n  lodge run\n"),
        (
            ["image", "lss"],
            "lodge: unknown command: lodge image lss\n\nDid you mean this?\n  lodge image ls\n",
        ),
        (["zzzzz"], "lodge: unknown command: lodge zzzzz\n\nRun 'lodge --help' for more information\n"),
    ],
)
def test_an_unknown_verb_and_what_was_perhaps_meant(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 1
    assert capsys.readouterr().err.startswith(text)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["ps", "x"], "lodge: 'lodge ps' accepts no arguments"),
        (["logs"], "lodge: 'lodge logs' requires 1 argument\n"),
        (["rename", "a"], "lodge: 'lodge rename' requires 2 arguments\n"),
        (["logs", "a", "b"], "lodge: 'lodge logs' requires 1 argument\n"),
        (["images", "a", "b"], "lodge: 'lodge images' requires at most 1 argument\n"),
    ],
)
def test_the_number_of_arguments(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 1
    assert capsys.readouterr().err.startswith(text)


def test_a_wrong_global_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--foo", "ps"]) == 125
    assert capsys.readouterr().err.startswith("unknown flag: --foo\n")
    assert run(["-H", "a", "-H", "b", "ps"]) == 1
    assert run(["-H", "foo://x", "ps"]) == 1
    assert "unable to parse docker host `foo://x`" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("Lodge version ")


def test_many_names_each_with_its_own_end(lodge: Lodge, engine: FakeEngine) -> None:
    engine.on("POST", "/containers/", Reply(status=204))
    engine.on("POST", "/containers/nope/", refusal(404, "No such container: nope"))
    result = lodge("stop", "-t", "1", "-s", "INT", "a", "nope", "b")
    assert (result.code, result.out) == (1, "a\nb\n")
    assert result.err == "Error response from daemon: No such container: nope\n"
    assert engine.requests[0].query == {"signal": "INT", "t": "1"}


def test_debug_shows_where_it_came_from(lodge: Lodge, engine: FakeEngine) -> None:
    engine.on("GET", "/containers/json", refusal(500, "broken"))
    assert "Traceback" in lodge("-D", "ps").err
    assert lodge("ps").err == "Error response from daemon: broken\n"


def test_a_reader_that_goes_away_ends_the_command_quietly(engine: FakeEngine) -> None:
    engine.on("GET", "/containers/json", Reply([{"Id": f"{n:064}"} for n in range(20_000)]))
    lodge = subprocess.Popen(
        [sys.executable, "-m", "lodge", "-H", engine.host, "ps", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert lodge.stdout is not None
    assert lodge.stderr is not None
    lodge.stdout.read(10)
    lodge.stdout.close()
    assert lodge.wait(20) == 141
    assert lodge.stderr.read() == b""
    lodge.stderr.close()
