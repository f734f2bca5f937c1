"""The locks hold every dependency of pyproject.toml, with hashes, and say nothing of any machine."""

import re
import tomllib

import pytest

from tests.style.source import PROJECT

NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)")
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^ ;\\]+)(?: ; [^\\]*)?\s*\\?$")

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())
WANTED = {
    "build": PYPROJECT["build-system"]["requires"],
    "runtime": PYPROJECT["project"]["dependencies"],
    **PYPROJECT["project"]["optional-dependencies"],
}


def lines(lock: str) -> list[str]:
    return (PROJECT / "requirements" / f"{lock}.lock").read_text().splitlines()


def pins(lock: str) -> dict[str, str]:
    found = (PIN.match(line) for line in lines(lock))
    return {match[1].lower(): match[2] for match in found if match}


@pytest.mark.parametrize("lock", WANTED)
def test_every_dependency_is_pinned(lock: str) -> None:
    names = (NAME.match(dependency) for dependency in WANTED[lock])
    missing = {match[1].lower() for match in names if match} - pins(lock).keys()
    assert not missing, "run `make lock`"


@pytest.mark.parametrize("lock", WANTED)
def test_every_pin_has_a_hash(lock: str) -> None:
    text = "\n".join(lines(lock))
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)
    assert len([block for block in blocks if "==" in block]) == len(pins(lock))


@pytest.mark.parametrize("lock", WANTED)
def test_no_lock_names_an_index_or_a_path(lock: str) -> None:
    named = [
        line for line in lines(lock) if re.match(r"\s*(-i|--index|--extra|--find|file:|https?:)|.* @ ", line)
    ]
    assert not named


def test_locks_agree_with_each_other() -> None:
    for name, version in pins("runtime").items():
        assert pins("test")[name] == pins("check")[name] == version
