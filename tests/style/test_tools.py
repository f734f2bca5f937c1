"""Format, lint, types and layers: the checkers of pyproject.toml, each as one test."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.style.source import PROJECT

TOOLS = Path(sys.executable).parent


def run(*command: str) -> None:
    done = subprocess.run(
        [str(TOOLS / command[0]), *command[1:]], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}", pytrace=False)


def test_code_is_formatted() -> None:
    run("ruff", "format", "--check", "--quiet", ".")


def test_code_passes_the_linter() -> None:
    run("ruff", "check", "--quiet", ".")


@pytest.mark.timeout(300)
def test_types_are_complete_and_right() -> None:
    run("mypy")


def test_calls_go_down_and_siblings_never_meet() -> None:
    run("lint-imports", "--no-cache")
