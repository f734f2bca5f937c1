"""lodge run, exec, attach, start, logs: what people do all day, with Lodge's own command."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.clients.daemon import Lodged
from tests.clients.lodge_command import COMMAND, Terminal, lodge, out

RUN = ("run", "--rm", "--network", "none")


def test_output_and_exit_code(lodged: Lodged) -> None:
    done = lodge(lodged, *RUN, "busybox", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 7)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["busybox", "nosuchprogram"], 127, b"executable file not found in $PATH"),
        (["busybox", "/etc"], 126, b""),
        (["nosuchimage"], 125, b"No such image: nosuchimage:latest"),
        (["--user", "nobodyhere", "busybox", "true"], 125, b"unable to find user nobodyhere"),
        (["busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"], 137, b""),
    ],
)
def test_failures(lodged: Lodged, words: list[str], code: int, text: bytes) -> None:
    done = lodge(lodged, *RUN, "--pull", "never", *words, check=False)
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert code < 125 or code > 127 or done.stderr.startswith(b"lodge: ")


def test_input_of_any_size_goes_through(lodged: Lodged) -> None:
    data = os.urandom(3 << 20)
    assert lodge(lodged, *RUN, "-i", "busybox", "cat", input=data).stdout == data
    assert out(lodged, *RUN, "-i", "busybox", "wc", "-c", input=b"") == "0"


def test_settings_reach_the_program(lodged: Lodged, tmp_path: Path) -> None:
    (tmp_path / "vars").write_text("FROM_FILE=f\n")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "hello").write_text("from outside")
    text = out(
        lodged, *RUN, "-e", "A=b", "--env-file", str(tmp_path / "vars"), "-w", "/tmp", "-u", "1000:1001",
        "--hostname", "inside", "-v", f"{tmp_path}/shared:/in:ro", "--tmpfs", "/scratch:size=1m",
        "--ulimit", "nofile=100:200", "busybox", "sh", "-c",
        "echo $A $FROM_FILE $PWD $(id -u):$(id -g) $(hostname) $(cat /in/hello) $(ulimit -n);"
        " touch /in/x 2>/dev/null || echo read-only; df /scratch | tail -1 | cut -d' ' -f1",
    )  # fmt: skip
    assert text.splitlines() == ["b f /tmp 1000:1001 inside from outside 100", "read-only", "tmpfs"]


def test_the_id_file_and_a_detached_container(lodged: Lodged, name: str, tmp_path: Path) -> None:
    file = tmp_path / "cid"
    words = (
        "run",
        "-d",
        "--name",
        name,
        "--network",
        "none",
        "--cidfile",
        str(file),
        "busybox",
        "sleep",
        "60",
    )
    identifier = out(lodged, *words)
    assert file.read_text() == identifier
    assert len(identifier) == 64
    assert "container ID file found" in lodge(lodged, *words, check=False).stderr.decode()


def test_signals_reach_the_program(lodged: Lodged, name: str) -> None:
    program = "trap 'echo got; exit 9' TERM; echo up; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        [*COMMAND, "run", "--name", name, "--network", "none", "busybox", "sh", "-c", program],
        stdout=subprocess.PIPE,
        env=lodged.environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 9
    assert process.stdout.read() == b"got\n"
    process.stdout.close()


def test_a_terminal_session(lodged: Lodged) -> None:
    with Terminal(lodged, *RUN, "-it", "busybox", "sh") as terminal:
        terminal.read_until(b"/ #")
        terminal.type(b"stty size\r")
        terminal.read_until(b"20 70")
        terminal.type(b"exit 5\r")
        assert terminal.end() == 5


def test_detach_and_attach_again(lodged: Lodged, name: str) -> None:
    with Terminal(lodged, "run", "-it", "--name", name, "--network", "none", "busybox", "sh") as terminal:
        terminal.read_until(b"/ #")
        terminal.type(b"\x10\x11")
        assert terminal.end() == 0
    assert out(lodged, "inspect", "-f", "{{.State.Running}}", name) == "true"
    with Terminal(lodged, "attach", name) as terminal:
        terminal.read_until(b"/ #")  # the prompt is drawn again
        terminal.type(b"exit 4\r")
        assert terminal.end() == 4


def test_exec(lodged: Lodged, name: str) -> None:
    lodge(lodged, "run", "-d", "--name", name, "--network", "none", "busybox", "sleep", "60")
    done = lodge(lodged, "exec", name, "sh", "-c", "echo o; echo e >&2; exit 3", check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"o\n", b"e\n", 3)
    assert out(lodged, "exec", "-i", name, "cat", input="typed") == "typed"
    assert out(
        lodged, "exec", "-u", "5", "-w", "/tmp", "-e", "X=y", name, "sh", "-c", "echo $(id -u) $PWD $X"
    ) == ("5 /tmp y")
    assert lodge(lodged, "exec", name, "nosuch", check=False).returncode == 127
    assert lodge(lodged, "exec", "-d", name, "touch", "/made").stdout == b""
    with Terminal(lodged, "exec", "-it", name, "sh") as terminal:
        terminal.read_until(b"/ #")
        terminal.type(b"stty size; exit 6\r")
        terminal.read_until(b"20 70")
        assert terminal.end() == 6


def test_start_attached(lodged: Lodged, name: str) -> None:
    lodge(lodged, "create", "-i", "--name", name, "--network", "none", "busybox", "sh", "-c", "cat; exit 2")
    done = lodge(lodged, "start", "-ai", name, input="again", check=False)
    assert (done.stdout, done.returncode) == (b"again", 2)


def test_logs(lodged: Lodged, name: str) -> None:
    program = "for i in 1 2 3; do echo out $i; done; echo err >&2; sleep 0.5; echo end"
    lodge(lodged, "run", "-d", "--name", name, "--network", "none", "busybox", "sh", "-c", program)
    done = lodge(lodged, "logs", "-f", name)
    assert (done.stdout, done.stderr) == (b"out 1\nout 2\nout 3\nend\n", b"err\n")
    assert out(lodged, "logs", "-n", "1", name) == "end"
    assert out(lodged, "logs", "--since", "1h", "--until", "1h", name) == ""
    first = out(lodged, "logs", "-t", name).splitlines()[0]
    assert first[4] == "-"
    assert first.endswith("Z out 1")


def test_the_daemon_may_die_meanwhile(own_lodged: Lodged) -> None:
    """The stream goes on, and the exit code is had from the daemon that comes back."""
    process = subprocess.Popen(
        [*COMMAND, "run", "--network", "none", "busybox", "sh", "-c", "echo up; sleep 2; echo down; exit 8"],
        stdout=subprocess.PIPE,
        env=own_lodged.environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    own_lodged.stop(signal.SIGKILL)
    time.sleep(0.5)
    own_lodged.start()
    assert process.stdout.read() == b"down\n"
    assert process.wait(30) == 8
    process.stdout.close()
