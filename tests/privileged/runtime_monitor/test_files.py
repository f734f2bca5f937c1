"""Files in and out of containers, running and stopped, with a container that does its worst."""

import gzip
import io
import os
import select
import socket
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lodge.runtime.exit_record import ProcessIdentity, read_monitor_record
from lodge.runtime.files.orders import ArchiveIn, ArchiveOut, Export, FileOrder, PathIs, Site, StatPath
from lodge.runtime.messages import Done, Failed, Signal, Start
from lodge.spec.mount import Mount as RootMount
from lodge.spec.runtime import IdMapping, Mount
from tests.contract.runtime.conftest import House
from tests.contract.runtime.talk import PATIENCE


def do(house: House, order: FileOrder, sent: bytes | None = None) -> tuple[list[Any], bytes]:
    """Have a job done: the messages that came, and the archive."""
    assert house.launcher is not None
    ours, theirs = socket.socketpair()
    link = house.launcher.files(order, [] if isinstance(order, StatPath) else [theirs.fileno()])
    theirs.close()
    out = bytearray()
    try:
        with ours:
            if sent is not None:
                sender = threading.Thread(target=_send, args=(ours, sent))
                sender.start()
            while data := (b"" if isinstance(order, StatPath) else _receive(ours)):
                out += data
            if sent is not None:
                sender.join()
        messages: list[Any] = []
        deadline = time.monotonic() + PATIENCE
        while not (messages and isinstance(messages[-1], Done | Failed)):
            assert select.select([link], [], [], max(0, deadline - time.monotonic()))[0], messages
            messages += [message for message, _ in link.receive()]
            assert messages or not link.ended
    finally:
        link.close()
    return messages, bytes(out)


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1 << 20)
    except ConnectionResetError:
        # The worker left without having read everything.
        return b""


def _send(sock: socket.socket, data: bytes) -> None:
    try:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def names_in(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getnames()


def archive_of(files: dict[str, bytes | None]) -> bytes:
    """A tar: contents by name, None for a directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.uid = member.gid = 12
            if content is None:
                member.type = tarfile.DIRTYPE
                member.mode = 0o755
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class Running:
    """A container with some files of its own, over an overlay."""

    def __init__(self, house: House, tmp_path: Path, script: str) -> None:
        self.upper, work = tmp_path / "upper", tmp_path / "work"
        self.upper.mkdir()
        work.mkdir()
        self.place = tmp_path / "place"
        self.place.mkdir()
        options = (f"lowerdir={house.rootfs}", f"upperdir={self.upper}", f"workdir={work}")
        self.mounts = [RootMount(type="overlay", source="overlay", options=options)]
        self.order = house.order(f"{script}; echo ready; sleep 1000", root_mounts=self.mounts, log=None)
        self.talk = house.talk(self.order)
        client = self.talk.attach(framed=False)
        self.talk.done(Start)
        client.read_until(b"ready")

    @property
    def site(self) -> Site:
        """Of the running container."""
        record = read_monitor_record(self.order["state_dir"])
        assert record is not None
        return Site(init=record.init)

    def stop(self) -> Site:
        """End it; the site of the stopped container."""
        self.talk.done(Signal, number=9)
        self.talk.ended()
        return Site(root_mounts=self.mounts, place=str(self.place))


SCRIPT = "mkdir -p /d/sub; echo hi > /d/f; ln -s /d /lnk; ln -s f /d/lf; ln -s nowhere /dang"


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize(
    ("path", "name", "target", "members"),
    [
        ("/d", "d", "", {"d", "d/f", "d/lf", "d/sub"}),
        ("/d/.", ".", "", {".", "./f", "./lf", "./sub"}),
        ("/lnk", "lnk", "/d", {"lnk"}),
        ("/lnk/", "lnk", "", {"lnk", "lnk/f", "lnk/lf", "lnk/sub"}),
        ("/d/lf", "lf", "/d/f", {"lf"}),
        ("/dang", "dang", "/nowhere", {"dang"}),
        ("d/f", "f", "", {"f"}),
    ],
)
def test_paths_are_named_as_docker_names_them(
    house: House, tmp_path: Path, stopped: bool, path: str, name: str, target: str, members: set[str]
) -> None:
    container = Running(house, tmp_path, SCRIPT)
    site = container.stop() if stopped else container.site
    [found, done], _ = do(house, StatPath(request=1, site=site, path=path))
    assert isinstance(found, PathIs)
    assert isinstance(done, Done)
    assert (found.name, found.link_target) == (name, target)
    messages, archive = do(house, ArchiveOut(request=1, site=site, path=path))
    assert messages[0] == found
    assert set(names_in(archive)) == members


def test_what_is_missing(house: House, tmp_path: Path) -> None:
    site = Running(house, tmp_path, SCRIPT).site
    for path in ("/nope", "/d/f/x", "/d/f/"):
        [failed], archive = do(house, ArchiveOut(request=1, site=site, path=path))
        assert failed.kind == "NotFound"
        assert archive == b""
    [failed], _ = do(house, ArchiveIn(request=1, site=site, path="/d/f"), archive_of({"x": b""}))
    assert (failed.kind, failed.message) == ("InvalidArgument", "extraction point is not a directory")


@pytest.mark.parametrize("stopped", [False, True])
def test_files_come_in(house: House, tmp_path: Path, stopped: bool) -> None:
    container = Running(house, tmp_path, SCRIPT)
    site = container.stop() if stopped else container.site
    data = os.urandom(3_000_000)
    archive = archive_of({"new": None, "new/data": data, "f": b"replaced"})
    [done], _ = do(house, ArchiveIn(request=1, site=site, path="/lnk/"), archive)
    assert isinstance(done, Done)
    assert (container.upper / "d/new/data").read_bytes() == data
    assert (container.upper / "d/f").read_bytes() == b"replaced"
    assert (container.upper / "d/new/data").stat().st_uid == 12
    [done], _ = do(house, ArchiveIn(request=1, site=site, path="/d", owner="root"), gzip.compress(archive))
    assert isinstance(done, Done)
    assert (container.upper / "d/new/data").stat().st_uid == 0
    [failed], _ = do(house, ArchiveIn(request=1, site=site, path="/d", owner="nobody-here"), archive)
    assert failed.kind == "InvalidArgument"
    [failed], _ = do(
        house, ArchiveIn(request=1, site=site, path="/d", keep_kinds=True), archive_of({"f": None})
    )
    assert failed.kind in ("Conflict", "InvalidArgument")
    [failed], _ = do(house, ArchiveIn(request=1, site=site, path="/d"), archive[:-2_000_000])
    assert failed.kind == "Corrupt"


def test_export_is_the_root_without_its_mounts(house: House, tmp_path: Path) -> None:
    container = Running(house, tmp_path, "echo x > /tmp/in-a-tmpfs; echo y > /etc/mine")
    for get_site in (lambda: container.site, container.stop):
        site = get_site()
        messages, archive = do(house, Export(request=1, site=site))
        assert isinstance(messages[-1], Done)
        names = set(names_in(archive))
        assert {"bin/busybox", "etc/mine", "proc", "tmp"} <= names
        assert not any(name.startswith(("proc/", "tmp/", "dev/")) for name in names)


def test_whole_root_can_be_copied_while_it_runs(house: House, tmp_path: Path) -> None:
    container = Running(house, tmp_path, "echo x > /tmp/in-a-tmpfs")
    messages, archive = do(house, ArchiveOut(request=1, site=container.site, path="/"))
    assert isinstance(messages[-1], Done)
    names = set(names_in(archive))
    assert "/tmp/in-a-tmpfs" in names
    assert not any(name.startswith("/proc/") for name in names)


def test_volumes_of_a_stopped_container(house: House, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "kept").write_text("kept")
    container = Running(house, tmp_path, "ln -s /somewhere /trap")
    site = container.stop()
    site.mounts = [
        Mount(destination="/trap/vol", type="bind", source=str(volume), options=["rbind"]),
        Mount(destination="/ro", type="bind", source=str(volume), options=["rbind", "ro"]),
    ]
    _, archive = do(house, ArchiveOut(request=1, site=site, path="/somewhere/vol"))
    assert names_in(archive) == ["vol", "vol/kept"]
    [done], _ = do(house, ArchiveIn(request=1, site=site, path="/trap/vol"), archive_of({"new": b"1"}))
    assert isinstance(done, Done)
    assert (volume / "new").read_bytes() == b"1"
    [failed], _ = do(house, ArchiveIn(request=1, site=site, path="/ro"), archive_of({"no": b"1"}))
    assert "read-only" in failed.message
    assert not os.path.exists("/somewhere")


def test_owners_are_those_inside_the_user_namespace(house: House, tmp_path: Path) -> None:
    site = Running(house, tmp_path, SCRIPT).stop()
    site.uid_mappings = site.gid_mappings = [IdMapping(container_id=0, host_id=100000, size=65536)]
    [done], _ = do(house, ArchiveIn(request=1, site=site, path="/d"), archive_of({"mine": b"1"}))
    assert isinstance(done, Done)
    assert (tmp_path / "upper/d/mine").stat().st_uid == 100012
    _, archive = do(house, ArchiveOut(request=1, site=site, path="/d"))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert tar.getmember("d/mine").uid == 12
        assert tar.getmember("d/f").uid == 65534


def test_container_that_has_ended(house: House, tmp_path: Path) -> None:
    container = Running(house, tmp_path, SCRIPT)
    site = container.site
    container.stop()
    [failed], _ = do(house, StatPath(request=1, site=site, path="/d"))
    assert failed.kind == "Conflict"
    mine = ProcessIdentity.of(os.getpid())
    site = Site(init=ProcessIdentity(pid=mine.pid, start=mine.start - 1))
    [failed], _ = do(house, StatPath(request=1, site=site, path="/"))
    assert failed.kind == "Conflict"


def test_swapping_links_lead_nowhere(house: House, tmp_path: Path) -> None:
    """CVE-2018-15664: the container swaps a directory for a link to the host while files are copied."""
    canary = tmp_path / "host"
    canary.mkdir()
    (canary / "secret").write_text("secret")
    swap = f"mkdir -p /real /x; ln -s {canary} /link; ln -s /../../../../..{canary} /link2"
    loop = "(while true; do mv /x /y; mv /link /x; mv /x /link; mv /y /x; done) >/dev/null 2>&1 &"
    container = Running(house, tmp_path, f"{swap}; {loop} true")
    site = container.site
    for _ in range(25):
        _, archive = do(house, ArchiveOut(request=1, site=site, path="/x/"))
        assert b"secret" not in archive
        do(house, ArchiveIn(request=1, site=site, path="/x"), archive_of({"planted": b"1"}))
    for path in ("/link/", "/link2/", f"/link2{canary}"):
        _, archive = do(house, ArchiveOut(request=1, site=site, path=path))
        assert b"secret" not in archive
    assert sorted(os.listdir(canary)) == ["secret"]


def test_programs_and_libraries_of_the_container_are_never_used(house: House, tmp_path: Path) -> None:
    """CVE-2019-14271, CVE-2026-41567: no decompressor is looked up in it, nothing is imported from it."""
    trap = "for p in xz gzip unpigz igzip zstd bzip2; do rm -f /bin/$p; echo '#!/bin/sh' > /bin/$p;"
    trap += " echo 'touch /trapped' >> /bin/$p; chmod +x /bin/$p; done"
    container = Running(house, tmp_path, trap)
    import bz2
    import lzma

    plain = archive_of({"x": b"1"})
    for packed in (gzip.compress(plain), bz2.compress(plain), lzma.compress(plain)):
        [done], _ = do(house, ArchiveIn(request=1, site=container.site, path="/tmp"), packed)
        assert isinstance(done, Done)
    assert not (container.upper / "trapped").exists()


def test_procfs_of_the_host_can_not_be_reached(house: House, tmp_path: Path) -> None:
    script = "ln -s /proc/1/root /root1; ln -s /proc/self/cwd /cwd; ln -s /proc/1/environ /env"
    site = Running(house, tmp_path, script).site
    for path in ("/root1/", "/cwd/", "/env/", "/proc/1/environ"):
        [failed], _ = do(house, ArchiveOut(request=1, site=site, path=path))
        assert isinstance(failed, Failed)


def test_reader_that_leaves_ends_the_worker(house: House, tmp_path: Path) -> None:
    assert house.launcher is not None
    site = Running(house, tmp_path, "head -c 20000000 /dev/zero > /big").site
    ours, theirs = socket.socketpair()
    link = house.launcher.files(ArchiveOut(request=1, site=site, path="/big"), [theirs.fileno()])
    theirs.close()
    ours.recv(1000)
    ours.close()
    messages: list[Any] = []
    while not (messages and isinstance(messages[-1], Failed)):
        assert select.select([link], [], [], PATIENCE)[0]
        messages += [message for message, _ in link.receive()]
    link.close()


def test_many_files_at_speed(house: House, tmp_path: Path) -> None:
    site = Running(house, tmp_path, "mkdir /many").site
    archive = archive_of({f"f{number}": b"x" * 100 for number in range(2000)})
    start = time.perf_counter()
    do(house, ArchiveIn(request=1, site=site, path="/many"), archive)
    middle = time.perf_counter()
    _, out = do(house, ArchiveOut(request=1, site=site, path="/many"))
    end = time.perf_counter()
    assert len(names_in(out)) == 2001
    print(f"2000 files in: {(middle - start) * 1000:.0f} ms, out: {(end - middle) * 1000:.0f} ms")
    assert end - start < 10
