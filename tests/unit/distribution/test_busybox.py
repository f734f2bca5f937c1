"""Tests of `lodge.distribution.busybox`, with a shell script in the place of the program."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from lodge.distribution import busybox
from lodge.errors import Unavailable, Unsupported

BUILT = 1_700_000_000


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "busybox"
    path.write_text("#!/bin/sh\nprintf '%s\\n' sh busybox ls true\n")
    path.chmod(0o755)
    os.utime(path, (BUILT, BUILT))
    return path


def layer_of(program: Path) -> bytes:
    sink = io.BytesIO()
    busybox.write_layer(program, sink)
    return sink.getvalue()


def test_every_applet_is_a_hard_link_to_the_one_program(program: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer_of(program))) as tar:
        links = {member.name: member.linkname for member in tar if member.islnk()}
        content = tar.extractfile("bin/busybox")
        assert content is not None
        assert content.read() == program.read_bytes()
    assert links == dict.fromkeys(("bin/ls", "bin/sh", "bin/true"), "bin/busybox")


def test_users_and_folders_that_programs_expect_are_there(program: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer_of(program))) as tar:
        passwd = tar.extractfile("etc/passwd")
        assert passwd is not None
        assert passwd.readline() == b"root:x:0:0:root:/root:/bin/sh\n"
        assert tar.getmember("tmp").mode == 0o1777
        assert tar.getmember("etc/shadow").mode == 0o640
        assert tar.getmember("usr/bin/env").linkname == "../../bin/env"


def test_the_tar_depends_on_the_program_alone(program: Path, tmp_path: Path) -> None:
    first = layer_of(program)
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    program.rename(copy / "busybox")
    assert layer_of(copy / "busybox") == first
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert {(member.mtime, member.uid, member.gid) for member in tar} == {(BUILT, 0, 0)}


def elf(kinds: list[int]) -> bytes:
    """A 64-bit little-endian ELF header with a program header of each kind (elf(5))."""
    head = bytearray(64)
    head[:6] = b"\x7fELF\x02\x01"
    head[0x20:0x28] = (64).to_bytes(8, "little")
    head[0x36:0x3A] = (56).to_bytes(2, "little") + len(kinds).to_bytes(2, "little")
    return bytes(head) + b"".join(kind.to_bytes(4, "little") + bytes(52) for kind in kinds)


def test_a_program_is_static_when_it_asks_for_no_interpreter() -> None:
    assert busybox.is_static(elf([1, 1, 6]))
    assert not busybox.is_static(elf([6, 3, 1]))


def test_what_is_no_program_is_refused() -> None:
    with pytest.raises(Unsupported):
        busybox.is_static(b"#!/bin/sh\n")


def test_the_package_is_named_when_busybox_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busybox.shutil, "which", lambda *_, **__: None)
    with pytest.raises(Unavailable) as caught:
        busybox.find_busybox()
    assert "busybox-static" in (caught.value.hint or "")
