"""What external runtimes say when they fail, and what that means."""

from pathlib import Path

import pytest

from lodge.errors import StartFailed, Unsupported
from lodge.runtime.oci.command import Runtime, last_error

RUNC = b'{"level":"warning","msg":"odd"}\n{"level":"error","msg":"runc create failed: x","time":"t"}\n'
CRUN = b'{\n  "msg": "a {brace} and a \\"quote\\"",\n  "level": "error"\n}\n'


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (b"", ""),
        (b"not JSON at all {", ""),
        (RUNC, "runc create failed: x"),
        (CRUN, 'a {brace} and a "quote"'),
        (RUNC + CRUN, 'a {brace} and a "quote"'),
        (b'{"level":"info","msg":"fine"}', ""),
        (b'{"level":3}{"level":"error","msg":"kept"}', "kept"),
    ],
)
def test_last_error(log: bytes, words: str) -> None:
    assert last_error(log) == words


def runtime(tmp_path: Path, script: str) -> Runtime:
    """A runtime that is a shell script; $3 is its log file."""
    program = tmp_path / "runtime"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Runtime(str(program), ["--extra"], str(tmp_path))


@pytest.mark.parametrize(
    ("said", "message", "code"),
    [
        (
            'runc create failed: exec failed: exec: \\"x\\": executable file not found in $PATH',
            'exec: "x": executable file not found in $PATH',
            127,
        ),
        ("exec failed: unable to start container process: permission denied", "permission denied", 126),
        ("something else", "something else", 128),
    ],
)
def test_failure_has_the_cause_and_the_code(tmp_path: Path, said: str, message: str, code: int) -> None:
    line = f'{{"level":"error","msg":"{said}"}}'
    with pytest.raises(StartFailed) as failure:
        runtime(tmp_path, f"cat > $5 <<'END'\n{line}\nEND\nexit 1").run("create", "name")
    assert (failure.value.message, failure.value.exit_code) == (message, code)


def test_failure_without_words(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="runtime start failed with code 3"):
        runtime(tmp_path, "exit 3").run("start", "name")


def test_old_words_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_bytes(RUNC)
    with pytest.raises(StartFailed, match="failed with code 1"):
        runtime(tmp_path, "exit 1").run("start", "name")


def test_words_come_in_order(tmp_path: Path) -> None:
    runtime(tmp_path, f'echo "$@" > {tmp_path}/said').run("kill", "name", "9")
    said = (tmp_path / "said").read_text().split()
    assert said[:3] == ["--extra", "--root", str(tmp_path)]
    assert said[-3:] == ["kill", "name", "9"]


def test_missing_runtime_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="can't be executed"):
        Runtime(str(tmp_path / "nothing"), [], str(tmp_path)).run("start", "name")
