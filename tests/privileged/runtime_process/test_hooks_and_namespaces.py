"""Hooks at every stage, namespaces of others, and filters with an agent."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lodge.errors import StartFailed
from lodge.kernel import sockets
from lodge.runtime.contract import StdioRequest
from tests.privileged.runtime_process.conftest import Box, finish

STAGES = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def shell(script: str) -> dict[str, Any]:
    return {"path": "/bin/sh", "args": ["sh", "-c", script]}


def test_each_stage_in_its_time_and_place(box: Box, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    log.chmod(0o666)
    # startContainer runs inside: it reaches the log by a mount.
    box.mount("/log", log, "bind")
    status = "sed 's/.*status.:.\\([a-z]*\\).*/\\1/'"
    script = f"echo {{}} $(readlink /proc/self/ns/uts) $(cat | {status}) >> {{}}"
    places = dict.fromkeys(STAGES, str(log)) | {"startContainer": "/log"}
    box.config["hooks"] = {stage: [shell(script.format(stage, place))] for stage, place in places.items()}
    init = box.start("sleep", "60")
    inside = os.readlink(f"/proc/{init.pid}/ns/uts")
    outside = os.readlink("/proc/self/ns/uts")
    box.remove()
    rows = [line.split() for line in log.read_text().splitlines()]
    assert rows == [
        ["prestart", outside, "creating"],
        ["createRuntime", outside, "creating"],
        ["createContainer", inside, "creating"],
        ["startContainer", inside, "created"],
        ["poststart", outside, "running"],
        ["poststop", outside, "stopped"],
    ]


@pytest.mark.parametrize("stage", STAGES[:3])
def test_a_hook_that_fails_ends_the_create(box: Box, stage: str, tmp_path: Path) -> None:
    box.config["hooks"] = {
        stage: [shell("echo no way; exit 4")],
        "poststop": [shell(f"touch {tmp_path}/stopped")],
    }
    with pytest.raises(StartFailed, match=r"hook #0: exit status 4, output: no way"):
        box.make("true").create(StdioRequest())
    assert (tmp_path / "stopped").exists()


def test_a_hook_that_fails_ends_the_start(box: Box) -> None:
    box.config["hooks"] = {"startContainer": [shell("exit 4")]}
    with pytest.raises(StartFailed, match="start_container hook #0: exit status 4"):
        box.start("true")


def test_hooks_that_come_too_late_to_matter(box: Box) -> None:
    box.config["hooks"] = {stage: [shell("exit 4")] for stage in ("poststart", "poststop")}
    assert box.run("true").code == 0
    box.remove()
    assert box.made is not None
    assert box.made.remarks == [
        "error running poststart hook #0: exit status 4",
        "error running poststop hook #0: exit status 4",
    ]


def test_a_hook_inside_has_the_programs_rights(box: Box) -> None:
    box.process["user"] = {"uid": 1000, "gid": 1000}
    box.mount("/out", "tmpfs", "mode=1777", kind="tmpfs")
    box.config["hooks"] = {"startContainer": [shell("id -u > /out/id; echo $A >> /out/id")]}
    box.process["env"].append("A=from the program")
    assert box.run("cat", "/out/id").out == "1000\nfrom the program\n"


@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "pid", "cgroup", "time"])
def test_joining_a_namespace_of_another(make_box: Callable[..., Box], kind: str) -> None:
    first, second = make_box(), make_box()
    if kind == "time":
        first.linux["namespaces"].append({"type": "time"})
    init = first.start("sleep", "60")
    name = {"network": "net"}.get(kind, kind)
    second.join(kind, f"/proc/{init.pid}/ns/{name}")
    if kind == "uts":
        second.config["hostname"] = ""
    other = second.start("sleep", "60")
    assert os.readlink(f"/proc/{other.pid}/ns/{name}") == os.readlink(f"/proc/{init.pid}/ns/{name}")
    assert finish(second.made.execute(second.exec_process("true"), StdioRequest())).code == 0  # type: ignore[union-attr]
    second.remove()
    first.remove()


def test_joining_the_user_namespace_of_another(make_box: Callable[..., Box], tmp_path: Path) -> None:
    """As the containers of a pod do: the new namespaces belong to the joined one."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_mode & 0o7777 == 0o700:
            directory.chmod(0o711)
    first, second = make_box(), make_box()
    first.remap()
    init = first.start("sleep", "60")
    second.join("user", f"/proc/{init.pid}/ns/user")
    second.config["mounts"] = [m for m in second.config["mounts"] if "cgroup" not in m["type"]]
    dwelling = second.make("sh", "-c", "cat /proc/self/uid_map; mount -t tmpfs x /tmp || echo refused")
    dwelling._root_mounts = ()
    second.directory.chmod(0o755)
    second.init = dwelling.create(StdioRequest())
    dwelling.start()
    result = finish(second.init)
    second.init = None
    assert result.out.split()[:3] == ["0", "100000", "65536"]
    first.remove()


def test_the_hosts_namespaces(box: Box) -> None:
    box.without("network", "ipc", "uts", "pid", "cgroup")
    box.config["hostname"] = ""
    result = box.sh("hostname; readlink /proc/self/ns/net; readlink /proc/self/ns/pid")
    assert result.out.split() == [
        socket.gethostname(),
        os.readlink("/proc/self/ns/net"),
        os.readlink("/proc/self/ns/pid"),
    ]


def test_the_hosts_pids_are_killed_with_it(box: Box) -> None:
    box.without("pid")
    box.start("sh", "-c", "sleep 61 & sleep 61 & wait")
    assert box.made is not None
    while len(box.made.processes()) < 3:
        pass
    box.made.remove()
    assert not box.made.cgroup.exists()


def profile(action: str, *names: str, **more: Any) -> dict[str, Any]:
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": list(names), "action": action}], **more}


@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("uid", [0, 1000])
def test_a_filter(box: Box, no_new_privileges: bool, uid: int) -> None:
    box.process.update(noNewPrivileges=no_new_privileges, user={"uid": uid})
    box.linux["seccomp"] = profile("SCMP_ACT_ERRNO", "mkdir", "mkdirat")
    result = box.sh("mkdir /tmp/x || grep Seccomp: /proc/self/status; grep CapEff /proc/self/status")
    assert "Operation not permitted" in result.err
    assert "Seccomp:\t2" in result.out
    expected = "00000000a80425fb" if uid == 0 else "0" * 16
    assert f"CapEff:\t{expected}" in result.out
    assert box.exec is not None


def test_a_filter_that_kills(box: Box) -> None:
    box.linux["seccomp"] = profile("SCMP_ACT_KILL_PROCESS", "mkdir", "mkdirat")
    assert box.run("mkdir", "/tmp/x").code == 128 + signal.SIGSYS


def test_a_filter_holds_for_execs(box: Box) -> None:
    box.linux["seccomp"] = profile("SCMP_ACT_ERRNO", "mkdir", "mkdirat")
    box.start("sleep", "60")
    assert "Operation not permitted" in box.exec("mkdir", "/tmp/x").err


def test_a_filter_with_an_agent(box: Box, tmp_path: Path) -> None:
    """The agent gets the state, the listener and a pidfd before the program can make its first call."""
    path = str(tmp_path / "agent.sock")
    box.process["noNewPrivileges"] = True
    box.linux["seccomp"] = profile(
        "SCMP_ACT_NOTIFY", "mkdir", "mkdirat", listenerPath=path, listenerMetadata="for me"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(path)
        server.listen()
        program = box.make("mkdir", "/tmp/x").create(StdioRequest())
        box.init = program
        connection, _ = server.accept()
        with connection:
            text, fds = sockets.receive(connection)
    message = json.loads(text)
    assert message["fds"] == ["seccompFd", "pidFd"]
    assert (message["pid"], message["metadata"]) == (program.pid, "for me")
    assert message["state"]["id"] == box.directory.name
    assert os.readlink(f"/proc/self/fd/{fds[0]}") == "anon_inode:seccomp notify"
    assert box.made is not None
    box.made.start()
    for fd in fds:  # nobody listens any more: the call fails
        os.close(fd)
    assert program.reap() == 1


def test_an_agent_that_is_missing(box: Box, tmp_path: Path) -> None:
    box.linux["seccomp"] = profile("SCMP_ACT_NOTIFY", "mkdir", listenerPath=str(tmp_path / "nobody"))
    with pytest.raises(StartFailed, match="listenerPath"):
        box.make("true").create(StdioRequest())
