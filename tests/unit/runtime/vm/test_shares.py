"""The file server: FUSE messages in, FUSE messages out, on real directories, without a machine."""

import errno
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lodge.kernel.paths import renameat2
from lodge.runtime.vm.shares import words as w
from lodge.runtime.vm.shares.server import Server
from lodge.runtime.vm.shares.words import Opcode


class Guest:
    """Speaks as a machine's kernel."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def ask(self, opcode: int, node: int, body: bytes = b"") -> bytes:
        """The body of the answer; OSError with the errno that was answered."""
        length = w.IN_HEADER.size + len(body)
        header = w.IN_HEADER.pack(length, opcode, 7, node, os.getuid(), os.getgid(), 1, 0, 0)
        answer = self._server.answer(header + body)
        size, error, unique = w.OUT_HEADER.unpack_from(answer)
        assert (size, unique) == (len(answer), 7)
        if error:
            raise OSError(-error, os.strerror(-error))
        return answer[w.OUT_HEADER.size :]

    def look_up(self, name: str, parent: int = w.ROOT) -> int:
        number: int = w.ENTRY.unpack_from(self.ask(Opcode.LOOKUP, parent, name.encode() + b"\0"))[0]
        return number

    def open(self, node: int, flags: int) -> int:
        handle: int = w.OPEN_OUT.unpack_from(self.ask(Opcode.OPEN, node, w.OPEN_IN.pack(flags, 0)))[0]
        return handle

    def create(self, parent: int, name: str, mode: int = 0o644) -> tuple[int, int]:
        body = w.CREATE_IN.pack(os.O_RDWR, stat.S_IFREG | mode, 0, 0) + name.encode() + b"\0"
        answer = self.ask(Opcode.CREATE, parent, body)
        return w.ENTRY.unpack_from(answer)[0], w.OPEN_OUT.unpack_from(answer, 128)[0]


@pytest.fixture
def share(tmp_path: Path) -> Path:
    place = tmp_path / "share"
    place.mkdir()
    return place


@pytest.fixture(params=[True, False], ids=["own", "shared"])
def guest(request: pytest.FixtureRequest, share: Path) -> Iterator[Guest]:
    fd = os.open(share, os.O_PATH)
    server = Server(
        {b"s": (fd, True), b"r": (fd, False)}, rename=renameat2, exclusive=request.param, devices=False
    )
    yield Guest(server)
    server.close()
    os.close(fd)


def test_a_file_is_written_and_read(guest: Guest, share: Path) -> None:
    root = guest.look_up("s")
    node, handle = guest.create(root, "f", 0o640)
    guest.ask(Opcode.WRITE, node, w.WRITE_IN.pack(handle, 2, 3, 0, 0, 0, 0) + b"abc")
    guest.ask(Opcode.FSYNC, node, w.FSYNC_IN.pack(handle, 0, 0))
    assert (share / "f").read_bytes() == b"\0\0abc"
    assert stat.S_IMODE((share / "f").stat().st_mode) == 0o640
    reading = guest.open(guest.look_up("f", root), os.O_RDONLY)
    assert guest.ask(Opcode.READ, node, w.READ_IN.pack(reading, 1, 100, 0, 0, 0, 0)) == b"\0abc"
    guest.ask(Opcode.RELEASE, node, w.RELEASE_IN.pack(handle, 0, 0, 0))


def test_directories_links_and_moves(guest: Guest, share: Path) -> None:
    root = guest.look_up("s")
    guest.ask(Opcode.MKDIR, root, w.MKDIR_IN.pack(0o755, 0) + b"d\0")
    guest.ask(Opcode.SYMLINK, root, b"l\0/etc/passwd\0")
    assert guest.ask(Opcode.READLINK, guest.look_up("l", root)) == b"/etc/passwd"
    inner = guest.look_up("d", root)
    guest.ask(Opcode.RENAME2, root, w.RENAME2_IN.pack(inner, 0, 0) + b"l\0m\0")
    assert (share / "d" / "m").is_symlink()
    with pytest.raises(OSError, match="Directory not empty"):
        guest.ask(Opcode.RMDIR, root, b"d\0")
    guest.ask(Opcode.UNLINK, inner, b"m\0")
    guest.ask(Opcode.RMDIR, root, b"d\0")
    assert not list(share.iterdir())


def test_nothing_leads_out_of_a_share(guest: Guest, share: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("no")
    (share / "way").symlink_to("../secret")
    root = guest.look_up("s")
    for name in ("..", ".", "a/b", "../secret", ""):
        with pytest.raises(OSError, match="Invalid argument"):
            guest.look_up(name, root)
    with pytest.raises(PermissionError):
        guest.open(guest.look_up("way", root), os.O_RDONLY)
    with pytest.raises(FileNotFoundError) if not guest._server._exclusive else pytest.raises(AssertionError):
        assert guest.look_up("elsewhere") != 0


def test_a_read_only_share_is_read_only(guest: Guest, share: Path) -> None:
    (share / "f").write_text("x")
    root = guest.look_up("r")
    for action in (
        lambda: guest.create(root, "g"),
        lambda: guest.open(guest.look_up("f", root), os.O_RDWR),
        lambda: guest.ask(Opcode.UNLINK, root, b"f\0"),
    ):
        with pytest.raises(OSError, match="Read-only"):
            action()
    assert guest.open(guest.look_up("f", root), os.O_RDONLY) > 0


def test_fifos_are_not_opened_and_devices_not_made(guest: Guest, share: Path) -> None:
    os.mkfifo(share / "p")
    root = guest.look_up("s")
    with pytest.raises(PermissionError):
        guest.open(guest.look_up("p", root), os.O_RDONLY)
    with pytest.raises(PermissionError):
        guest.ask(Opcode.MKNOD, root, w.MKNOD_IN.pack(stat.S_IFBLK | 0o600, 8 << 8, 0, 0) + b"sda\0")


def test_a_directory_is_listed_completely(guest: Guest, share: Path) -> None:
    names = {f"file-{number}" for number in range(300)}
    for name in names:
        (share / name).touch()
    root = guest.look_up("s")
    handle = w.OPEN_OUT.unpack_from(guest.ask(Opcode.OPENDIR, root, w.OPEN_IN.pack(0, 0)))[0]
    found: set[str] = set()
    offset = 0
    while answer := guest.ask(Opcode.READDIR, root, w.READ_IN.pack(handle, offset, 4096, 0, 0, 0, 0)):
        at = 0
        while at < len(answer):
            _, offset, length, _ = w.DIRECTORY_ENTRY.unpack_from(answer, at)
            found.add(answer[at + 24 : at + 24 + length].decode())
            at += 24 + length + -length % 8
    assert found == names | {".", ".."}


def test_what_the_kernel_forgot_is_not_known(guest: Guest, share: Path) -> None:
    (share / "f").touch()
    node = guest.look_up("f", guest.look_up("s"))
    header = w.IN_HEADER.pack(48, Opcode.FORGET, 1, node, 0, 0, 0, 0, 0)
    assert guest._server.answer(header + w.FORGET_IN.pack(1)) == b""
    with pytest.raises(OSError, match="Stale"):
        guest.ask(Opcode.GETATTR, node, bytes(16))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from([*Opcode, 0, 99]), st.integers(0, 4), st.binary(max_size=120))
def test_hostile_messages_are_answered_by_an_errno(guest: Guest, opcode: int, node: int, body: bytes) -> None:
    header = w.IN_HEADER.pack(w.IN_HEADER.size + len(body), opcode, 7, node, 0, 0, 1, 0, 0)
    answer = guest._server.answer(header + body)
    if answer:
        size, error, unique = w.OUT_HEADER.unpack_from(answer)
        assert (size, unique) == (len(answer), 7)
        assert error <= 0


def test_a_cut_off_message_is_dropped_and_a_wrong_length_refused(guest: Guest) -> None:
    assert guest._server.answer(b"short") == b""
    wrong = struct.pack("<II", 999, Opcode.GETATTR) + bytes(w.IN_HEADER.size - 8)
    assert w.OUT_HEADER.unpack_from(guest._server.answer(wrong))[1] == -errno.EINVAL


def test_files_beyond_the_limit_are_let_go_and_found_again(share: Path) -> None:
    for number in range(40):
        (share / f"f{number}").write_text(str(number))
    fd = os.open(share, os.O_PATH)
    server = Server({b"s": (fd, True)}, rename=renameat2, exclusive=True, devices=False, most=5)
    guest = Guest(server)
    before = len(os.listdir("/proc/self/fd"))
    root = guest.look_up("s")
    nodes = [guest.look_up(f"f{number}", root) for number in range(40)]
    assert len(os.listdir("/proc/self/fd")) - before <= 7
    guest.ask(Opcode.RENAME2, root, w.RENAME2_IN.pack(root, 0, 0) + b"f3\0moved\0")
    for number, node in enumerate(nodes):
        handle = guest.open(node, os.O_RDONLY)
        assert guest.ask(Opcode.READ, node, w.READ_IN.pack(handle, 0, 9, 0, 0, 0, 0)) == str(number).encode()
        guest.ask(Opcode.RELEASE, node, w.RELEASE_IN.pack(handle, 0, 0, 0))
    (share / "another").touch()
    (share / "another").rename(share / "f7")
    guest.look_up("f8", root)
    for number in range(20, 30):
        guest.look_up(f"f{number}", root)
    with pytest.raises(OSError, match="Stale"):
        guest.open(nodes[7], os.O_RDONLY)
    guest.ask(Opcode.UNLINK, root, b"f9\0")
    assert guest.open(nodes[9], os.O_RDONLY) > 0
    server.close()
    os.close(fd)
