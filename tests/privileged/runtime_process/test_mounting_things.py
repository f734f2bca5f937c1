"""Mounts with their options and propagation, the root's own, and who owns what is seen."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lodge.errors import StartFailed, Unsupported
from lodge.runtime.contract import StdioRequest
from lodge.runtime.process import CopyUp, Extras
from tests.privileged.runtime_process.conftest import Box


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    (directory / "sub").mkdir(parents=True)
    (directory / "file").write_text("content")
    directory.chmod(0o755)
    return directory


def options(box: Box, script: str, place: str) -> set[str]:
    out = box.sh(f"{script}; grep ' {place} ' /proc/mounts").out
    return set(out.splitlines()[-1].split()[3].split(","))


def test_a_bind_is_writable_and_sees_the_source(box: Box, source: Path) -> None:
    box.mount("/data", source, "rbind", "rprivate")
    assert box.sh("cat /data/file; echo new > /data/new").out == "content"
    assert (source / "new").read_text() == "new\n"


def test_a_read_only_bind(box: Box, source: Path) -> None:
    box.mount("/data", source, "rbind", "ro", "nosuid", "noexec")
    assert {"ro", "nosuid", "noexec"} <= options(box, "touch /data/x", "/data")
    assert not (source / "x").exists()


def test_a_bind_of_a_file(box: Box, source: Path) -> None:
    box.mount("/etc/deep/name", source / "file", "bind", "ro")
    assert box.sh("cat /etc/deep/name; echo x > /etc/deep/name").out == "content"


def test_missing_sources_are_named(box: Box) -> None:
    box.mount("/data", "/nonexistent/source", "bind")
    with pytest.raises(StartFailed) as caught:
        box.run("true")
    assert caught.value.message == (
        'error mounting "/nonexistent/source" to rootfs at "/data": no such file or directory'
    )
    assert caught.value.exit_code == 127


@pytest.mark.parametrize(("place", "name"), [("/etc/passwd", "sub"), ("/etc", "file")])
def test_a_directory_onto_a_file_and_back(box: Box, source: Path, place: str, name: str) -> None:
    box.mount(place, source / name, "bind")
    with pytest.raises(
        StartFailed, match=r"not a directory: Are you trying to mount a directory onto a file"
    ) as caught:
        box.run("true")
    assert caught.value.exit_code == 126


def test_flags_of_the_whole_tree(box: Box, source: Path) -> None:
    box.mount("/data", source, "rbind", "rro")
    box.mount("/data/sub", "tmpfs", kind="tmpfs")
    result = box.sh("touch /data/a; touch /data/sub/b && echo new mounts are their own")
    assert result.out == "new mounts are their own\n"


def test_recursion_over_mounts_of_the_host(box: Box, source: Path) -> None:
    """A read-only bind leaves mounts below writable, one with rro does not."""
    box.config["hooks"] = {}
    box.mount("/a", "/sys", "rbind", "ro")
    box.mount("/b", "/sys", "rbind", "rro")
    out = box.sh("grep -E ' /(a|b)/fs/cgroup/[a-z]+ ' /proc/mounts").out
    states = {line.split()[1][:2]: line.split()[3].split(",")[0] for line in out.splitlines()}
    assert states == {"/a": "rw", "/b": "ro"}


@pytest.mark.parametrize(
    ("word", "expected"), [("rprivate", ""), ("rslave", "master:"), ("rshared", "shared:")]
)
def test_propagation(box: Box, source: Path, word: str, expected: str) -> None:
    box.mount("/data", source, "rbind", word)
    out = box.sh("grep ' /data ' /proc/self/mountinfo").out
    fields = out.partition(" - ")[0].split()[6:]
    if word == "rslave" and not fields:
        pytest.skip("the host shares no mounts that one could be a slave of")
    assert any(field.startswith(expected) for field in fields) if expected else fields == []


def test_tmpfs(box: Box) -> None:
    (box.upper / "x").mkdir()
    (box.upper / "x").chmod(0o1711)
    box.mount("/x", "tmpfs", "size=1m", "noexec", kind="tmpfs")
    box.mount("/y", "tmpfs", "mode=0700", "ro", kind="tmpfs")
    box.mount("/made/z", "tmpfs", kind="tmpfs")
    out = box.sh(
        "stat -c %a /x /y /made/z; df -k /x | tail -1; touch /y/z 2>/dev/null || echo ro"
    ).out.split()
    assert out[:3] == ["1711", "700", "1777"]
    assert "1024" in out
    assert out[-1] == "ro"


def test_tmpfs_with_what_it_covers(box: Box) -> None:
    box.mount("/etc", "tmpfs", "tmpcopyup", kind="tmpfs")
    assert box.sh("cat /etc/passwd | head -1; touch /etc/new").out.startswith("root:")
    assert not (box.upper / "etc/new").exists()


def test_a_read_only_root(box: Box, source: Path) -> None:
    box.config["root"]["readonly"] = True
    box.mount("/tmp", "tmpfs", kind="tmpfs")
    result = box.sh("touch /x; touch /tmp/y && echo yes")
    assert (result.out, "Read-only file system" in result.err) == ("yes\n", True)


def test_a_root_that_is_a_directory(make_box: Callable[..., Box], busybox: Path, tmp_path: Path) -> None:
    box = make_box()
    dwelling = box.make("sh", "-c", "ls /bin/sh; grep -c ' / ' /proc/mounts")
    dwelling._root_mounts = ()
    program = dwelling.create(StdioRequest())
    dwelling.start()
    box.init = program
    assert program.reap() == 0


def test_a_root_shared_with_the_host(box: Box) -> None:
    box.linux["rootfsPropagation"] = "rshared"
    assert "shared:" in box.sh("grep ' / / ' /proc/self/mountinfo").out.partition(" - ")[0]


def test_idmapped_binds(box: Box, source: Path) -> None:
    os.chown(source / "file", 1000, 1000)
    mapping = [{"containerID": 1000, "hostID": 5000, "size": 10}]
    box.mount("/data", source, "bind", "idmap")
    box.config["mounts"][-1].update(uidMappings=mapping, gidMappings=mapping)
    assert box.run("stat", "-c", "%u:%g", "/data/file").out == "5000:5000\n"


def test_idmapped_binds_of_what_can_not_be(box: Box) -> None:
    mapping = [{"containerID": 0, "hostID": 5000, "size": 10}]
    box.mount("/data", "/proc", "bind", "idmap")
    box.config["mounts"][-1].update(uidMappings=mapping, gidMappings=mapping)
    with pytest.raises(Unsupported, match="can't be idmapped"):
        box.run("true")


def test_a_user_namespace_over_an_image_of_the_host(box: Box, source: Path) -> None:
    """The image's files are seen as they are on disk, and what is written belongs on disk to whom it says."""
    box.remap()
    box.mount("/data", source, "bind", "idmap")
    (box.upper / "mine").write_text("x")
    os.chown(box.upper / "mine", 1000, 1001)
    script = (
        "cat /proc/self/uid_map; stat -c %u:%g /etc/passwd /mine /data/file; id -u; echo x > /new;"
        "echo y > /data/y; chown 5:6 /new; echo named > /dev/stdout; mknod /node c 1 3 || echo no nodes"
    )
    result = box.sh(script)
    first, *rest = result.out.splitlines()
    assert first.split() == ["0", "100000", "65536"]
    assert rest == ["0:0", "1000:1001", "0:0", "0", "named", "no nodes"]
    info = (box.upper / "new").stat()
    assert (info.st_uid, info.st_gid, (source / "y").stat().st_uid) == (5, 6, 0)


def test_a_fresh_volume_in_a_user_namespace(box: Box, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (box.upper / "data").mkdir()
    (box.upper / "data/file").write_text("x")
    os.chown(box.upper / "data/file", 1000, 1001)
    box.remap()
    box.mount("/data", volume, "bind", "idmap")
    box.extras = Extras(copy_up=(CopyUp("/data", str(volume)),))
    assert box.run("stat", "-c", "%u:%g", "/data/file").out == "1000:1001\n"
    info = (volume / "file").stat()
    assert (info.st_uid, info.st_gid) == (1000, 1001)


def test_a_user_namespace_is_nobody_on_the_host(box: Box, source: Path) -> None:
    box.remap(host=200_000)
    source.chmod(0o700)
    box.mount("/data", source, "bind")
    init = box.start("sleep", "60")
    status = Path(f"/proc/{init.pid}/status").read_text()
    assert "Uid:\t200000\t" in status
    result = box.exec("sh", "-c", "id -u; cat /proc/self/uid_map; ls /data; hostname -F /etc/passwd")
    assert result.out.split()[:2] == ["0", "0"]
    assert "Permission denied" in result.err


def test_an_exec_and_a_terminal_in_a_user_namespace(box: Box) -> None:
    box.remap()
    box.start("sleep", "60")
    assert box.made is not None
    program = box.made.execute(box.exec_process("tty", terminal=True), StdioRequest(terminal=True))
    assert program.reap() == 0
    assert os.read(program.streams.terminal or -1, 99).strip() == b"/dev/pts/0"
    program.streams.close()
    program.close()
