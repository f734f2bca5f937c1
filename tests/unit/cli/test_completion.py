"""Completion: candidates from the tables and the engine, and scripts that real shells accept."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lodge.cli.verbs.completion import SCRIPTS
from tests.unit.cli.conftest import Lodge
from tests.unit.fake_engine import FakeEngine, Reply

FILES = {"bash": "lodge.bash", "zsh": "_lodge", "fish": "lodge.fish"}


@pytest.fixture
def named(engine: FakeEngine) -> FakeEngine:
    engine.on("GET", "/containers/json", Reply([{"Names": ["/web"]}, {"Names": ["/db"]}]))
    engine.on("GET", "/images/json", Reply([{"RepoTags": ["busybox:latest", "app:1"]}, {"RepoTags": None}]))
    engine.on("GET", "/volumes", Reply({"Volumes": [{"Name": "data"}]}))
    return engine


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["res"], ["restart"]),
        (["image", "p"], ["prune", "pull", "push"]),
        (["run", "--volume"], ["--volume", "--volume-driver", "--volumes-from"]),
        (["run", "--rm", "b"], ["busybox:latest"]),
        (["run", "busybox", "b"], []),
        (["stop", ""], ["db", "web"]),
        (["stop", "web", ""], ["db"]),
        (["container", "rm", "-f", "w"], ["web"]),
        (["run", "--name", ""], []),
        (["volume", "rm", ""], ["data"]),
        (["network", "rm", ""], []),
        (["nope", ""], []),
        (["ps", "--no"], ["--no-trunc"]),
    ],
)
def test_candidates(lodge: Lodge, named: FakeEngine, words: list[str], names: list[str]) -> None:
    result = lodge("__complete", "--", *words)
    assert result.code == 0
    assert [line.partition("\t")[0] for line in result.out.splitlines()] == names


def test_nothing_hidden_is_offered(lodge: Lodge, named: FakeEngine) -> None:
    offered = lodge("__complete", "--", "").out + lodge("__complete", "--", "run", "--").out
    for hidden in ("__complete", "--net\t", "--cpu-count", "--use-api-socket"):
        assert hidden not in offered


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_files_of_the_package_are_what_the_verb_prints(lodge: Lodge, project: Path, shell: str) -> None:
    assert lodge("completion", shell).out == (project / "completions" / FILES[shell]).read_text()


def test_another_shell_is_refused(lodge: Lodge) -> None:
    result = lodge("completion", "tcsh")
    assert (result.code, result.err) == (1, "no completion for tcsh: choose one of bash, zsh, fish\n")


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
def test_bash_completes(tmp_path: Path, project: Path) -> None:
    (tmp_path / "lodge").write_text('#!/bin/sh\n[ "$3" = st ] && printf "start\\tx y\\nstop\\tz\\n"\n')
    (tmp_path / "lodge").chmod(0o755)
    script = (
        f"source {project}/completions/lodge.bash; COMP_WORDS=(lodge st); COMP_CWORD=1; _lodge;"
        ' echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("start stop\n", "")
