"""Tests of `lodge.distribution.debian`: the plan as text, tags, and the ways mmdebstrap can end."""

import io
import os
from pathlib import Path

import pytest

from lodge.distribution import apt, debian
from lodge.errors import InvalidArgument, NotFound, Unavailable
from lodge.spec.platform import Platform

AMD64 = Platform.parse("linux/amd64")


@pytest.mark.parametrize(
    ("tag", "suite", "slim"),
    [
        ("bookworm", "bookworm", False),
        ("bookworm-slim", "bookworm", True),
        ("12", "bookworm", False),
        ("13-slim", "trixie", True),
        ("latest", "trixie", False),
        ("sid", "sid", False),
        ("experimental", "experimental", False),
    ],
)
def test_a_tag_names_a_suite(tag: str, suite: str, slim: bool) -> None:
    assert debian.parse_tag("debian", tag) == (suite, slim)


@pytest.mark.parametrize("tag", ["", "-slim", "../x", "a b", "Bookworm", "99", "book_worm", "x" * 60])
def test_a_tag_that_is_no_release_is_refused(tag: str) -> None:
    with pytest.raises(InvalidArgument):
        debian.parse_tag("debian", tag)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], int]:
    """A mirror's suites with their dates, instead of the network."""
    dates = {
        ("http://m/debian", "bookworm"): 100,
        ("http://m/debian", "bookworm-updates"): 300,
        ("http://m/debian-security", "bookworm-security"): 200,
        ("http://m/debian", "sid"): 400,
        ("http://m/ubuntu", "noble"): 50,
        ("http://m/ubuntu", "noble-security"): 60,
    }

    def release_date(address: str, suite: str, options: object) -> int:
        if (address, suite) not in dates:
            raise NotFound(f"{address} {suite}")
        return dates[address, suite]

    monkeypatch.setattr(apt, "release_date", release_date)
    monkeypatch.setattr(apt, "options", lambda: {"Acquire::http::Proxy": "http://p:3128"})
    return dates


def test_a_stable_release_comes_with_its_updates_and_security_fixes(mirror: object) -> None:
    recipe = debian.plan("debian", "bookworm", AMD64, mirror="http://m/debian/")
    assert recipe.sources == (
        "deb http://m/debian bookworm main",
        "deb http://m/debian bookworm-updates main",
        "deb http://m/debian-security bookworm-security main",
    )
    assert recipe.released == 300


def test_suites_that_a_mirror_lacks_are_left_out(mirror: object) -> None:
    assert debian.plan("debian", "sid", AMD64, mirror="http://m/debian").sources == (
        "deb http://m/debian sid main",
    )
    assert debian.plan("ubuntu", "24.04", AMD64, mirror="http://m/ubuntu").sources == (
        "deb http://m/ubuntu noble main universe",
        "deb http://m/ubuntu noble-security main universe",
    )


def test_a_suite_that_does_not_exist_is_not_found(mirror: object) -> None:
    with pytest.raises(NotFound):
        debian.plan("debian", "hamm", AMD64, mirror="http://m/debian")


def test_the_command_is_the_whole_recipe(mirror: object) -> None:
    command = debian.plan("debian", "bookworm-slim", AMD64, mirror="http://m/debian").command()
    assert command[:2] == ["mmdebstrap", "--variant=minbase"]
    assert '--aptopt=Acquire::http::Proxy "http://p:3128"' in command
    assert "--dpkgopt=path-exclude=/usr/share/man/*" in command
    assert command[-5:] == [
        "bookworm",
        "-",
        "deb http://m/debian bookworm main",
        "deb http://m/debian bookworm-updates main",
        "deb http://m/debian-security bookworm-security main",
    ]


def test_families_tell_slim_from_full_and_machines_apart() -> None:
    assert debian.family("debian", "bookworm", True, AMD64) == "debian-bookworm-slim-amd64"
    assert (
        debian.family("debian", "bookworm", False, Platform.parse("linux/arm64")) == "debian-bookworm-arm64"
    )


RECIPE = debian.Recipe("debian", "bookworm", False, "amd64", ("deb http://m/debian bookworm main",), 300)


def mmdebstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let a shell script stand for mmdebstrap."""
    program = tmp_path / "bin" / "mmdebstrap"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    environment = debian._environment
    monkeypatch.setattr(
        debian, "_environment", lambda *args: {**environment(*args), "PATH": f"{program.parent}:{os.defpath}"}
    )
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_the_tar_and_the_words_of_mmdebstrap_are_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mmdebstrap(
        tmp_path,
        monkeypatch,
        'echo "I: downloading packages..." >&2; echo "I: using /x as tempdir" >&2;'
        ' printf "%s %s" "$SOURCE_DATE_EPOCH" "$LC_ALL"',
    )
    sink, heard = io.BytesIO(), list[str]()
    debian.write_layer(RECIPE, sink, work=tmp_path / "work", progress=heard.append)
    assert sink.getvalue() == b"300 C.UTF-8"
    assert heard == ["Downloading packages"]
    assert list((tmp_path / "work").iterdir()) == []


def test_a_failure_is_told_in_mmdebstraps_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mmdebstrap(tmp_path, monkeypatch, 'echo "I: start" >&2; echo "E: no signature" >&2; exit 25')
    with pytest.raises(Unavailable, match=r"\(exit 25\): E: no signature") as caught:
        debian.write_layer(RECIPE, io.BytesIO(), work=tmp_path / "work", progress=lambda _: None)
    assert "mmdebstrap --variant=minbase" in (caught.value.hint or "")


def test_a_full_disk_ends_mmdebstrap_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mmdebstrap(tmp_path, monkeypatch, f"echo $$ > {tmp_path}/pid; printf x; exec sleep 60")

    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        debian.write_layer(RECIPE, Full(), work=tmp_path / "work", progress=lambda _: None)
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()
    assert list((tmp_path / "work").iterdir()) == []


def test_the_package_is_named_when_mmdebstrap_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian.shutil, "which", lambda *_: None)
    with pytest.raises(Unavailable) as caught:
        debian.check_tools("debian")
    assert "apt-get install mmdebstrap" in (caught.value.hint or "")
