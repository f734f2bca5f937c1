"""Images and programs that want the host: each story of the list of known failures, tried."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lodge.errors import LodgeError, StartFailed
from lodge.runtime.contract import StdioRequest
from lodge.runtime.process import Extras
from tests.privileged.runtime_process.conftest import Box

MakeBox = Callable[..., Box]


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A directory of the host that nothing may be made in."""
    directory = tmp_path / "canary"
    directory.mkdir()
    (directory / "file").write_text("untouched")
    return directory


def untouched(canary: Path) -> bool:
    return os.listdir(canary) == ["file"] and (canary / "file").read_text() == "untouched"


@pytest.mark.parametrize("name", ["dev", "proc", "sys", "etc", "run", "tmp", "data"])
@pytest.mark.parametrize("kind", ["absolute", "climbing"])
def test_mount_points_that_are_links(
    make_box: MakeBox, canary: Path, name: str, kind: str, tmp_path: Path
) -> None:
    """CVE-2026-41579: with /dev and others as links to the host, nothing is made there."""
    box = make_box()
    target = str(canary) if kind == "absolute" else "../" * 20 + str(canary)
    if name in ("etc", "tmp"):
        shutil.copytree(box.root, tmp_path / "root", symlinks=True)
        box.root = tmp_path / "root"
        shutil.rmtree(box.root / name)
    (box.upper / name).symlink_to(target)
    (tmp_path / "source").write_text("from the host")
    box.mount(f"/{name}/deep/file", tmp_path / "source", "bind")
    box.process["cwd"] = f"/{name}/work"
    box.mount(f"/{name}/volume", "tmpfs", kind="tmpfs")
    try:
        assert box.run("true").code == 0
    except LodgeError as error:
        refused = error.message
    else:
        refused = ""
    # procfs and sysfs are refused behind a link; the way of /tmp leads through itself here.
    expected = {"proc": "ordinary directory", "sys": "ordinary directory", "tmp": "symbolic links"}
    assert (expected[name] in refused) if name in expected else refused == ""
    assert untouched(canary)


def test_a_mount_over_the_root_or_into_proc(make_box: MakeBox, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for destination, message in (
        ("/", "root of the container"),
        ("/etc/../..", "root of the container"),
        ("/proc/self", "can't be trusted"),
        ("/proc", "can't be trusted"),
        ("/link", "can't be trusted"),
    ):
        box = make_box()
        (box.upper / "link").symlink_to("proc/sys")
        box.mount(destination, tmp_path / "source", "bind")
        with pytest.raises(LodgeError, match=message):
            box.run("true")


def test_what_may_cover_a_file_of_proc(box: Box, tmp_path: Path) -> None:
    (tmp_path / "uptime").write_text("1 1\n")
    box.mount("/proc/uptime", tmp_path / "uptime", "bind", "ro")
    assert box.run("cat", "/proc/uptime").out == "1 1\n"


def test_a_proc_that_is_bound_whole(box: Box) -> None:
    """Podman shares the host's /proc so, with --pid=host and no right to mount one."""
    box.config["mounts"] = [mount for mount in box.config["mounts"] if mount["destination"] != "/proc"]
    box.mount("/proc", "/proc", "rbind")
    box.without("pid")
    assert box.run("cat", "/proc/1/comm").code == 0


@pytest.mark.parametrize("number", range(3, 12))
def test_a_working_directory_behind_a_descriptor(box: Box, number: int) -> None:
    """CVE-2024-21626: WORKDIR /proc/self/fd/N must lead nowhere."""
    box.process["cwd"] = f"/proc/self/fd/{number}"
    with pytest.raises(LodgeError):
        box.run("true")


@pytest.mark.parametrize("number", [3, 5, 7, 9])
def test_a_program_behind_a_descriptor(box: Box, number: int) -> None:
    host = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        with pytest.raises(StartFailed) as caught:
            box.run(f"/proc/self/fd/{number}/../../../../bin/sh")
    finally:
        os.close(host)
    assert caught.value.exit_code in (126, 127)


@pytest.mark.parametrize("script", ["#!/proc/self/exe\n", "#!/proc/self/exe -c pass\n"])
def test_an_entry_point_that_is_the_runtime(box: Box, script: str) -> None:
    """CVE-2019-5736: the interpreter may run once more, as a program of the container without its files."""
    (box.upper / "evil").write_text(script)
    (box.upper / "evil").chmod(0o755)
    before = os.stat("/proc/self/exe").st_mtime_ns
    try:
        code = box.run("/evil").code
    except StartFailed as error:
        code = error.exit_code
    assert code != 0
    assert os.stat("/proc/self/exe").st_mtime_ns == before


def test_a_waiting_init_can_not_be_looked_into(box: Box) -> None:
    """CVE-2016-9962: an exec before start finds nothing of the host behind process 1."""
    dwelling = box.make("true")
    box.process["capabilities"] = {}
    box.init = dwelling.create(StdioRequest())
    result = box.exec(
        "sh", "-c", "ls -l /proc/1/exe /proc/1/root /proc/1/cwd /proc/1/fd/*; cat /proc/1/environ"
    )
    assert "->" not in result.out
    assert result.code != 0


def test_masked_paths_hide_by_the_true_null_device(box: Box) -> None:
    """CVE-2025-31133: /dev/null of the image is never the source of a mask."""
    (box.upper / "dev").mkdir()
    (box.upper / "dev/null").symlink_to("/proc/sys/kernel/core_pattern")
    (box.upper / "secret").write_text("x")
    box.config["mounts"] = [
        mount for mount in box.config["mounts"] if not mount["destination"].startswith("/dev")
    ]
    box.linux["maskedPaths"] = ["/secret", "/etc", "/nonexistent"]
    assert (
        box.sh("cat /secret; ls /etc; stat -c %t:%T /secret; touch /etc/x 2>/dev/null || echo ro").out
        == "1:3\nro\n"
    )


def test_read_only_paths_are_read_only_below(box: Box) -> None:
    box.linux["readonlyPaths"] = ["/etc", "/proc/sys", "/nonexistent"]
    result = box.sh("touch /etc/x; echo 1 > /proc/sys/net/ipv4/ip_forward; echo done")
    assert result.out == "done\n"
    assert result.err.count("Read-only file system") == 2


@pytest.mark.parametrize("swap", ["file", "link", "directory"])
def test_a_console_that_is_something_else(box: Box, canary: Path, swap: str) -> None:
    """CVE-2025-52565: /dev/console is our terminal or the start fails."""
    device = box.upper / "dev"
    device.mkdir()
    box.config["mounts"] = [m for m in box.config["mounts"] if m["destination"] != "/dev"]
    if swap == "file":
        (device / "console").write_text("x")
    elif swap == "link":
        (device / "console").symlink_to(canary / "file")
    else:
        (device / "console").mkdir()
    try:
        program = box.start("sh", "-c", "test -c /dev/console", stdio=StdioRequest(terminal=True))
        assert program.reap() == 0
    except StartFailed:
        assert swap != "file"
    assert untouched(canary)


def test_a_terminal_multiplexer_that_is_none(box: Box) -> None:
    device = box.upper / "dev/pts"
    device.mkdir(parents=True)
    (device / "ptmx").write_text("x")
    box.config["mounts"] = [m for m in box.config["mounts"] if not m["destination"].startswith("/dev")]
    with pytest.raises(StartFailed, match="not a terminal multiplexer"):
        box.start("true", stdio=StdioRequest(terminal=True))


def test_a_proc_of_lies(make_box: MakeBox, tmp_path: Path) -> None:
    """CVE-2025-52881: sysctls are written to the kernel, whatever /proc of the container is."""
    box = make_box()
    box.config["mounts"] = [m for m in box.config["mounts"] if m["destination"] != "/proc"]
    (box.upper / "proc/sys/net/ipv4").mkdir(parents=True)
    (box.upper / "proc/sys/net/ipv4/ip_forward").write_text("lie")
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    assert box.run("cat", "/proc/sys/net/ipv4/ip_forward").out == "lie"


def test_a_passwd_of_a_gigabyte_costs_nothing(box: Box) -> None:
    """CVE-2026-47262: the files that name users are read to a bound."""
    (box.upper / "etc").mkdir()
    with open(box.upper / "etc/passwd", "wb") as file:
        file.write(b"bob:x:7:8::/b:\n" + b"x" * (1 << 20))
        file.truncate(1 << 30)
    os.mkfifo(box.upper / "etc/group")
    box.extras = Extras(user="bob")
    assert box.run("id", "-u").out == "7\n"


def test_devices_of_the_image_are_not_changed(box: Box) -> None:
    """Mknod over a name that exists leaves it, and never follows it."""
    box.config["mounts"] = [m for m in box.config["mounts"] if not m["destination"].startswith("/dev")]
    (box.upper / "dev").mkdir()
    (box.upper / "dev/zero").symlink_to("/etc/passwd")
    out = box.sh("readlink /dev/zero; stat -c '%F %a' /etc/passwd /dev/full").out.splitlines()
    assert out == ["/etc/passwd", "regular file 644", "character special file 666"]


def test_device_nodes_are_exactly_those(box: Box) -> None:
    box.linux["devices"] = [
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 3, "gid": 4}
    ]
    out = box.sh("stat -c '%n %t:%T %a %u:%g' /dev/null /dev/fuse; ls /dev").out.splitlines()
    assert out[:2] == ["/dev/null 1:3 666 0:0", "/dev/fuse a:e5 640 3:4"]
    usual = "core fd full fuse null ptmx pts random stderr stdin stdout tty urandom zero"
    assert {*out[2:]} <= {*usual.split()}


WATCHED = """
import json, os, sys
from lodge.runtime.contract import StdioRequest
from lodge.runtime.process import Extras, ProcessDwelling
from lodge.spec.mount import Mount
from lodge.spec.runtime import decode_config, decode_process

keeper = os.getpid()

def watch(event, args):
    if event == "import" and os.getpid() != keeper:
        os._exit(99)

directory, root, config, process = sys.argv[1:]
layers = (f"lowerdir={root}", f"upperdir={directory}/upper", f"workdir={directory}/work")
sys.addaudithook(watch)
for request, extras, name in (
    (StdioRequest(terminal=True), Extras(user="bob", groups=("wheel",)), "sleep"),
    (StdioRequest(), Extras(reaper=True), "sleep"),
    (StdioRequest(), Extras(), "nope"),
):
    dwelling = ProcessDwelling(
        "watched", directory, decode_config(config.replace("sleep", name).encode()), extras=extras,
        state_dir=f"{directory}/state", root_mounts=[Mount("overlay", "overlay", layers)],
    )
    try:
        dwelling.create(request)
        dwelling.start()
        for words in ("true", "nope"):
            text = process.replace("true", words)
            try:
                program = dwelling.execute(decode_process(text.encode()), StdioRequest(), Extras(user="bob"))
                print(program.reap())
            except Exception as error:
                print(error)
    except Exception as error:
        print(error)
    finally:
        dwelling.remove()
"""


def test_nothing_is_imported_after_the_clone(box: Box) -> None:
    """CVE-2019-14271: an import in the container would find the image's files. Errors' paths included."""
    box.process["args"] = ["sleep", "60"]
    box.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW"}
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    box.linux["maskedPaths"] = ["/proc/uptime", "/tmp"]
    process = msgspec.json.encode({**box.process, "args": ["true"]}).decode()
    config = msgspec.json.encode(box.config).decode()
    line = [sys.executable, "-c", WATCHED, str(box.directory), str(box.root), config, process]
    result = subprocess.run(line, check=True, capture_output=True, text=True, timeout=60)
    missing = 'exec: "nope": executable file not found in $PATH'
    assert result.stdout.splitlines() == ["0", missing, "0", missing, missing], result.stderr


def test_names_that_are_swapped_all_the_time(make_box: MakeBox, canary: Path, tmp_path: Path) -> None:
    """CVE-2025-31133, CVE-2026-42306: a container swaps names in a shared volume, others mount there."""
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o777)
    attacker = make_box()
    attacker.mount("/shared", shared, "rbind")
    climb = "../" * 20 + str(canary)
    swap = f"ln -s {climb} x; mv x y; rm -rf y; mkdir x; rm -rf x; touch x; rm x"
    attacker.start("sh", "-c", f"cd /shared; while :; do {swap}; done")
    for _ in range(25):
        victim = make_box()
        victim.mount("/shared", shared, "rbind")
        victim.mount("/shared/x/in", "tmpfs", kind="tmpfs")
        victim.mount("/shared/x/file", "/etc/hostname", "bind")
        victim.linux["maskedPaths"] = ["/shared/x", "/shared/y"]
        victim.linux["readonlyPaths"] = ["/shared/x"]
        victim.process["cwd"] = "/shared/x/work"
        with contextlib.suppress(LodgeError):
            victim.run("true")
        victim.remove()
        assert untouched(canary)
