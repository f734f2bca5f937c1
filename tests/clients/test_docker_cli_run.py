"""docker run, exec, attach, logs: what people do all day."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import threading
import time

import pytest

from tests.clients.daemon import Lodged, docker_command

RUN = ("run", "--rm", "--network", "none")


def test_output_and_exit_codes(lodged: Lodged) -> None:
    done = lodged.docker(*RUN, "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 7)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["busybox", "nosuchprogram"], 127, b"executable file not found in $PATH"),
        (["busybox", "/etc"], 126, b""),
        (["nosuchimage"], 125, b""),
        (["--memory", "1m", "busybox", "true"], 125, b"Minimum memory limit allowed is 6MB"),
        (["--user", "nobodyhere", "busybox", "true"], 125, b"unable to find user nobodyhere"),
        (["--workdir", "relative", "busybox", "true"], 125, b""),
    ],
)
def test_failures(lodged: Lodged, words: list[str], code: int, text: bytes) -> None:
    done = lodged.docker(*RUN, "--pull", "never", *words, check=False)
    assert done.returncode == code, done.stderr
    assert text in done.stderr


def test_killed_by_a_signal(lodged: Lodged) -> None:
    program = "sh -c 'kill -9 $$'; exit $?"
    assert lodged.docker(*RUN, "busybox", "sh", "-c", program, check=False).returncode == 137


def test_stdin_through_a_pipe(lodged: Lodged) -> None:
    data = os.urandom(3 << 20)
    assert lodged.docker(*RUN, "-i", "busybox", "cat", input=data).stdout == data
    assert lodged.docker(*RUN, "-i", "busybox", "wc", "-c", input=b"").stdout == b"0\n"


def test_settings_reach_the_program(lodged: Lodged) -> None:
    text = lodged.out(
        *RUN, "-e", "A=b", "-w", "/tmp", "-u", "1000:1001", "--hostname", "inside", "--label", "x=y",
        "busybox", "sh", "-c", "echo $A $PWD $(id -u):$(id -g) $(hostname)",
    )  # fmt: skip
    assert text == "b /tmp 1000:1001 inside"


def test_terminal(lodged: Lodged) -> None:
    master, slave = pty.openpty()
    command = [str(docker_command()), *RUN, "-it", "busybox", "sh", "-c", "stty size; read x; echo got $x"]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=lodged.environment)
    os.close(slave)
    try:
        seen = b""
        sent = False
        end = time.monotonic() + 20
        while time.monotonic() < end and b"got hello" not in seen:
            if select.select([master], [], [], 0.1)[0]:
                seen += os.read(master, 1000)
            if not sent and b"\n" in seen:
                os.write(master, b"hello\r")
                sent = True
        assert b"got hello\r\n" in seen
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_detached_logs_exec_and_stop(lodged: Lodged, name: str) -> None:
    program = "echo one; echo two >&2; trap 'echo bye; exit 3' TERM; while :; do sleep 0.1; done"
    lodged.docker("run", "-d", "--name", name, "--network", "none", "busybox", "sh", "-c", program)
    time.sleep(0.3)
    logs = lodged.docker("logs", name)
    assert (logs.stdout, logs.stderr) == (b"one\n", b"two\n")
    stamped = lodged.out("logs", "-t", "--tail", "1", name)
    assert stamped == "" or stamped[:4].isdecimal()
    assert lodged.out("exec", name, "echo", "in") == "in"
    assert lodged.docker("exec", name, "sh", "-c", "exit 5", check=False).returncode == 5
    assert lodged.docker("exec", name, "nosuch", check=False).returncode == 127
    assert lodged.docker("exec", "-i", name, "cat", input="abc").stdout == b"abc"
    assert lodged.out(
        "exec", "-e", "X=1", "-w", "/tmp", "-u", "5", name, "sh", "-c", "echo $X $PWD $(id -u)"
    ) == ("1 /tmp 5")
    lodged.docker("exec", "-d", name, "touch", "/made")
    assert lodged.out("exec", name, "ls", "/made") == "/made"
    assert lodged.out("stop", "-t", "5", name) == name
    assert lodged.out("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name) == "exited 3"
    assert lodged.docker("exec", name, "true", check=False).returncode == 1
    assert lodged.docker("logs", name).stdout == b"one\nbye\n"


def test_logs_follow_to_the_end(lodged: Lodged, name: str) -> None:
    program = "for i in $(seq 200); do echo line $i; [ $((i % 50)) = 0 ] && sleep 0.1; done"
    lodged.docker("run", "-d", "--name", name, "--network", "none", "busybox", "sh", "-c", program)
    assert lodged.out("logs", "-f", name) == "\n".join(f"line {i}" for i in range(1, 201))
    assert lodged.out("logs", "--tail", "2", name) == "line 199\nline 200"


def test_attach_sees_what_comes_and_detaches(lodged: Lodged, name: str) -> None:
    lodged.docker("run", "-dit", "--name", name, "--network", "none", "busybox", "sh")
    master, slave = pty.openpty()
    command = [str(docker_command()), "attach", name]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=lodged.environment)
    os.close(slave)
    try:
        time.sleep(0.5)
        os.write(master, b"echo a$((1+1))b\r")
        seen = b""
        end = time.monotonic() + 10
        while b"a2b" not in seen and time.monotonic() < end:
            if select.select([master], [], [], 0.1)[0]:
                seen += os.read(master, 1000)
        assert b"a2b" in seen
        os.write(master, b"\x10\x11")  # ctrl-p ctrl-q
        assert process.wait(10) in (0, 1)  # newer commands call it a failure
        assert lodged.out("inspect", "-f", "{{.State.Running}}", name) == "true"
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_attach_to_a_quick_program_loses_nothing(lodged: Lodged) -> None:
    for _ in range(10):
        assert lodged.out(*RUN, "busybox", "echo", "quick") == "quick"


def test_wait_and_auto_remove(lodged: Lodged, name: str) -> None:
    lodged.docker(
        "run", "-d", "--rm", "--name", name, "--network", "none", "busybox", "sh", "-c", "sleep 0.5; exit 4"
    )
    assert lodged.out("wait", name) == "4"
    time.sleep(0.3)
    assert name not in lodged.out("ps", "-a", "--format", "{{.Names}}")


def test_life_of_a_container(lodged: Lodged, name: str) -> None:
    container = lodged.out("create", "--name", name, "--network", "none", "busybox", "sleep", "100")
    assert len(container) == 64
    status = ("inspect", "-f", "{{.State.Status}}", name)
    assert lodged.out(*status) == "created"
    assert lodged.out("start", name) == name
    assert lodged.out("pause", name) == name
    assert lodged.out(*status) == "paused"
    assert "(Paused)" in lodged.out("ps", "--filter", f"name={name}", "--format", "{{.Status}}")
    lodged.docker("unpause", name)
    lodged.docker("restart", "-t", "0", name)
    assert lodged.out(*status) == "running"
    assert "sleep 100" in lodged.out("top", name)
    lodged.docker("rename", name, name + "x")
    lodged.docker("rename", name + "x", name)
    lodged.docker("update", "--memory", "64m", "--memory-swap", "64m", "--restart", "no", name)
    assert lodged.out("inspect", "-f", "{{.HostConfig.Memory}}", name) == str(64 << 20)
    lodged.docker("kill", "-s", "KILL", name)
    assert lodged.out("wait", name) == "137"
    failed = lodged.docker("kill", name, check=False)
    assert b"is not running" in failed.stderr
    assert lodged.docker("rm", name).stdout.decode().strip() == name
    missing = lodged.docker("inspect", name, check=False)
    assert b"No such object" in missing.stderr


def test_name_conflict(lodged: Lodged, name: str) -> None:
    lodged.docker("create", "--name", name, "--network", "none", "busybox")
    failed = lodged.docker("create", "--name", name, "--network", "none", "busybox", check=False)
    assert b'Conflict. The container name "/' in failed.stderr
    assert b"You have to remove (or rename) that container to be able to reuse that name." in failed.stderr


def test_stats(lodged: Lodged, name: str) -> None:
    lodged.docker(
        "run",
        "-d",
        "--name",
        name,
        "--network",
        "none",
        "-m",
        "64m",
        "busybox",
        "sh",
        "-c",
        "while :; do :; done",
    )
    line = json.loads(lodged.out("stats", "--no-stream", "--format", "{{json .}}", name))
    assert line["Name"] == name
    assert float(line["CPUPerc"].rstrip("%")) > 10
    assert "64MiB" in line["MemUsage"]
    assert int(line["PIDs"]) >= 1


def test_events(lodged: Lodged, name: str) -> None:
    since = str(time.time())
    lodged.docker("run", "--name", name, "--network", "none", "busybox", "true")
    lodged.docker("rm", name)
    found = lodged.out(
        "events", "--since", since, "--until", str(time.time() + 0.1), "--filter", f"container={name}",
        "--filter", "type=container", "--format", "{{.Action}} {{.Actor.Attributes.exitCode}}",
    ).splitlines()  # fmt: skip
    actions = [line.split()[0] for line in found]
    assert [action for action in actions if action != "attach"] == ["create", "start", "die", "destroy"]
    assert "die 0" in found


def test_events_live(lodged: Lodged, name: str) -> None:
    command = [str(docker_command()), "events", "--filter", f"container={name}", "--format", "{{.Action}}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=lodged.environment)
    assert process.stdout
    try:
        time.sleep(0.3)
        lodged.docker("create", "--name", name, "--network", "none", "busybox", "true")
        assert process.stdout.readline() == b"create\n"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_many_at_once(lodged: Lodged) -> None:
    outputs: list[str] = []

    def run(number: int) -> None:
        outputs.append(lodged.out(*RUN, "busybox", "echo", str(number)))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, outputs)) == list(range(24))
