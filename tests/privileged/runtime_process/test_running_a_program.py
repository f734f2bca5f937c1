"""What a user sees of a program in a container: its world, its end, its errors."""

import os
import select
import signal
import stat
import time
from pathlib import Path

import pytest

from lodge.errors import Conflict, StartFailed
from lodge.runtime.contract import StdioRequest
from lodge.runtime.process import CopyUp, Extras
from tests.privileged.runtime_process.conftest import Box, finish


def test_it_runs_alone_with_its_own_names(box: Box) -> None:
    result = box.sh(
        "echo $$; hostname; ip -o link | wc -l; ip -o addr show lo; id -u; ls /proc | grep -c '^[0-9]'"
    )
    pid, name, links, *address, uid, processes = result.out.splitlines()
    assert (pid, name, links, uid) == ("1", "box", "1", "0")
    assert "127.0.0.1/8" in "".join(address)
    assert int(processes) < 8
    assert result.err == ""


def test_its_root_is_an_overlay_that_the_host_does_not_see(box: Box) -> None:
    result = box.sh("echo new > /etc/new; rm /etc/group; grep ' / ' /proc/mounts; ls /")
    assert result.out.startswith("overlay / overlay rw")
    assert (box.upper / "etc/new").read_text() == "new\n"
    assert stat.S_ISCHR((box.upper / "etc/group").lstat().st_mode)
    assert (box.root / "etc/group").exists()


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_its_exit_code(box: Box, code: int) -> None:
    assert box.sh(f"exit {code}").code == code


def test_its_end_by_a_signal(box: Box) -> None:
    init = box.start("sleep", "60")
    init.signal(signal.SIGKILL)
    assert init.reap() == 128 + signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        init.signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (("nope",), 127, 'exec: "nope": executable file not found in $PATH'),
        (("/nope",), 127, 'exec: "/nope": stat /nope: no such file or directory'),
        (("/etc",), 126, 'exec: "/etc": is a directory: permission denied'),
        (("/etc/passwd",), 126, 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_programs_that_are_none(box: Box, args: tuple[str, ...], code: int, text: str) -> None:
    with pytest.raises(StartFailed) as caught:
        box.make(*args).create(StdioRequest())
    assert (caught.value.message, caught.value.exit_code) == (text, code)
    assert not box.made or not box.made.cgroup.exists()


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [("no program", 126, "exec format error"), ("#!/none\n", 127, "no such file or directory")],
)
def test_what_execve_refuses_comes_back_at_start(box: Box, content: str, code: int, text: str) -> None:
    (box.upper / "program").write_text(content)
    (box.upper / "program").chmod(0o755)
    with pytest.raises(StartFailed) as caught:
        box.start("/program")
    assert (caught.value.message, caught.value.exit_code) == (f"exec /program: {text}", code)


def test_input_and_output(box: Box) -> None:
    program = box.start("sh", "-c", "cat; echo end >&2", stdio=StdioRequest(stdin=True))
    assert program.streams.stdin is not None
    os.write(program.streams.stdin, b"hello")
    os.close(program.streams.stdin)
    program.streams.stdin = None
    assert finish(program).out == "hello"


def test_without_input_it_reads_nothing(box: Box) -> None:
    assert box.sh("cat; readlink /proc/self/fd/0").out == "/dev/null\n"


def test_it_can_write_to_its_streams_by_name(box: Box) -> None:
    box.process["user"] = {"uid": 1000, "gid": 1000}
    result = box.sh("echo out > /dev/stdout; echo err > /dev/stderr; echo fd > /proc/self/fd/1")
    assert (result.out, result.err) == ("out\nfd\n", "err\n")


def test_a_terminal(box: Box) -> None:
    request = StdioRequest(terminal=True, window=(33, 77))
    program = box.start("sh", "-c", "tty; stty size; test -c /dev/console && echo yes; read x", stdio=request)
    assert program.streams.terminal is not None
    program.resize(11, 22)
    text = b""
    while text.count(b"\n") < 3:
        text += os.read(program.streams.terminal, 999)
    assert text.split()[0] == b"/dev/pts/0"
    assert text.split()[-1] == b"yes"
    os.write(program.streams.terminal, b"\n")
    assert program.reap() == 0


def test_control_c_reaches_the_program(box: Box) -> None:
    program = box.start(
        "sh",
        "-c",
        "trap 'exit 9' INT; echo ready; while :; do sleep 0.01; done",
        stdio=StdioRequest(terminal=True),
    )
    master = program.streams.terminal
    assert master is not None
    while b"ready" not in os.read(master, 99):
        pass
    os.write(master, b"\x03")
    assert program.reap() == 9


def test_only_its_three_descriptors_are_open(box: Box) -> None:
    with open("/etc/hostname") as leaked:
        os.set_inheritable(leaked.fileno(), True)
        box.start("sleep", "60")
        assert box.exec("ls", "/proc/1/fd").out.split() == ["0", "1", "2"]


def test_signals_are_as_every_program_expects(box: Box) -> None:
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        out = box.run("grep", "-E", "Sig(Blk|Ign|Cgt)", "/proc/self/status").out
    finally:
        signal.signal(signal.SIGTERM, previous)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    assert {line.split()[1] for line in out.splitlines()} == {"0" * 16}


def test_users(box: Box) -> None:
    box.process["user"] = {"uid": 1000, "gid": 10, "additionalGids": [20, 30], "umask": 0o27}
    out = box.sh("id -u; id -g; grep Groups /proc/self/status; umask; echo $HOME").out.split()
    assert out == ["1000", "10", "Groups:", "20", "30", "0027", "/home/bob"]


def test_users_by_name(box: Box) -> None:
    box.extras = Extras(user="bob", groups=("77",))
    out = box.sh("id -u; id -g; id -G; echo $HOME").out.splitlines()
    assert out == ["1000", "1001", "1001 10 77", "/home/bob"]


def test_a_user_that_is_none(box: Box) -> None:
    box.extras = Extras(user="alice")
    with pytest.raises(StartFailed, match="unable to find user alice: no matching entries in passwd file"):
        box.make().create(StdioRequest())


def test_the_working_directory_is_made(box: Box) -> None:
    box.process["cwd"] = "/srv/deep/down"
    assert box.run("pwd").out == "/srv/deep/down\n"


def test_a_working_directory_that_only_the_user_may_enter(box: Box) -> None:
    (box.upper / "home").mkdir()
    (box.upper / "home").chmod(0o700)
    os.chown(box.upper / "home", 1000, 1000)
    box.process.update(cwd="/home", user={"uid": 1000, "gid": 1000})
    assert box.run("pwd").out == "/home\n"


def test_capabilities_are_exactly_those(box: Box) -> None:
    out = box.run("grep", "Cap", "/proc/self/status").out
    values = {line.split(":")[0]: int(line.split()[1], 16) for line in out.splitlines()}
    assert values["CapEff"] == values["CapPrm"] == values["CapBnd"] == 0xA80425FB
    assert values["CapInh"] == values["CapAmb"] == 0


def test_ambient_capabilities_reach_a_user(box: Box) -> None:
    names = ["CAP_NET_BIND_SERVICE"]
    sets = ("bounding", "effective", "permitted", "inheritable", "ambient")
    box.process["capabilities"] = dict.fromkeys(sets, names)
    box.process["user"] = {"uid": 5, "gid": 5}
    assert "CapEff:\t0000000000000400" in box.run("cat", "/proc/self/status").out


def test_no_capabilities_at_all(box: Box) -> None:
    del box.process["capabilities"]
    out = box.run("grep", "Cap", "/proc/self/status").out
    assert {line.split()[1] for line in out.splitlines()} == {"0" * 16}


def test_no_new_privileges(box: Box) -> None:
    box.process["noNewPrivileges"] = True
    assert "NoNewPrivs:\t1" in box.run("cat", "/proc/self/status").out


def test_limits(box: Box) -> None:
    box.process["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 99, "hard": 100},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
    ]
    box.process["user"] = {"uid": 1000, "gid": 1000}
    assert box.sh("ulimit -n; ulimit -Hn; ulimit -c").out.split() == ["99", "100", "0"]


def test_priorities(box: Box) -> None:
    box.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 7}
    box.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    box.process["oomScoreAdj"] = 500
    out = box.sh("cat /proc/1/oom_score_adj; ionice -p 1; cut -d' ' -f19,41 /proc/1/stat").out
    assert out.splitlines() == ["500", "idle: prio 7", "7 3"] or out.splitlines()[0] == "500"
    assert out.splitlines()[-1] == "7 3"


def test_personality(box: Box) -> None:
    box.linux["personality"] = {"domain": "LINUX32"}
    assert box.run("uname", "-m").out.strip() in ("i686", "armv8l")


def test_a_time_namespace(box: Box) -> None:
    box.linux["namespaces"].append({"type": "time"})
    box.linux["timeOffsets"] = {"boottime": {"secs": 1_000_000}, "monotonic": {"secs": 5}}
    before = os.readlink("/proc/self/ns/time_for_children")
    assert float(box.run("cut", "-d ", "-f1", "/proc/uptime").out) > 1_000_000
    assert os.readlink("/proc/self/ns/time_for_children") == before


def test_sysctls(box: Box) -> None:
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmax": "12345", "fs.mqueue.msg_max": "7"}
    out = box.sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax /proc/sys/fs/mqueue/msg_max").out
    assert out.split() == ["1", "12345", "7"]


def test_process_1_can_be_ours(box: Box) -> None:
    box.extras = Extras(reaper=True)
    zombies = "cat /proc/[0-9]*/status | grep -c 'State:.Z'"
    out = box.sh(f"echo $$; cat /proc/1/comm; (sleep 0.01 & ); sleep 0.2; {zombies}; exit 5")
    assert out.code == 5
    assert out.out.split() == ["2", "docker-init", "0"]


def test_process_1_of_ours_passes_signals_on(box: Box) -> None:
    box.extras = Extras(reaper=True)
    init = box.start("sh", "-c", "trap 'exit 3' TERM; echo; while :; do sleep 0.01; done")
    assert init.streams.stdout is not None
    os.read(init.streams.stdout, 1)
    init.signal(signal.SIGTERM)
    assert init.reap() == 3


def test_a_fresh_volume_gets_the_images_content(box: Box, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (box.upper / "data").mkdir(mode=0o750)
    (box.upper / "data/file").write_text("from the image")
    os.chown(box.upper / "data", 1000, 1001)
    box.mount("/data", volume, "rbind", "rprivate")
    box.extras = Extras(copy_up=(CopyUp("/data", str(volume)),))
    assert box.run("cat", "/data/file").out == "from the image"
    assert (volume.stat().st_uid, volume.stat().st_gid) == (1000, 1001)
    assert stat.S_IMODE(volume.stat().st_mode) == 0o750


def test_a_volume_that_has_content_keeps_it(box: Box, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/mine").touch()
    box.mount("/etc", tmp_path / "volume", "rbind")
    box.extras = Extras(copy_up=(CopyUp("/etc", str(tmp_path / "volume")),))
    assert box.run("ls", "/etc").out == "mine\n"


def test_each_thing_at_its_time(box: Box) -> None:
    dwelling = box.make("sleep", "60")
    with pytest.raises(Conflict):
        dwelling.start()
    program = dwelling.create(StdioRequest())
    box.init = program
    with pytest.raises(Conflict):
        dwelling.create(StdioRequest())
    dwelling.start()
    with pytest.raises(Conflict):
        dwelling.start()
    dwelling.remove()
    dwelling.remove()
    assert program.reap() == 137


def test_an_init_that_is_killed_before_it_starts(box: Box) -> None:
    dwelling = box.make("true")
    box.init = dwelling.create(StdioRequest())
    box.init.signal(signal.SIGKILL)
    box.init.reap()
    with pytest.raises(StartFailed):
        dwelling.start()


def test_a_keeper_that_is_killed_at_any_moment(box: Box) -> None:
    """Whatever the keeper was doing: init and execs end by themselves, and what is left can be taken away."""
    group = box.hierarchy.group(box.linux["cgroupsPath"])
    for moment in range(30):
        keeper = os.fork()
        if keeper == 0:
            try:
                box.start("sleep", "60")
                while box.made is not None:
                    box.made.execute(box.exec_process("sleep", "60"), StdioRequest())
            finally:
                os._exit(0)
        time.sleep(moment * 0.002)
        os.kill(keeper, signal.SIGKILL)
        os.waitpid(keeper, 0)
        deadline = time.monotonic() + 5
        while group.exists() and group.pids():
            assert time.monotonic() < deadline
        group.remove()


def test_it_dies_with_its_keeper(box: Box) -> None:
    reader, writer = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        try:
            program = box.start("sleep", "60")
            os.write(writer, b"%d" % program.pid)
            time.sleep(60)
        finally:
            os._exit(0)
    pid = int(os.read(reader, 20))
    pidfd = os.pidfd_open(pid)
    os.kill(keeper, signal.SIGKILL)
    os.waitpid(keeper, 0)
    assert select.select([pidfd], [], [], 5)[0]
    for fd in (pidfd, reader, writer):
        os.close(fd)
    box.hierarchy.group(box.linux["cgroupsPath"]).remove()
