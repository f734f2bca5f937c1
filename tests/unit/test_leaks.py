"""Tests of `tests.leaks`: a run that leaves something behind fails, and says what."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent
PLAIN = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")


def run(tmp_path: Path, body: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with the check on a file of one test."""
    test = tmp_path / "test_it.py"
    test.write_text(f"import os, subprocess\n\ndef test_it():\n    {body}\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.leaks", *PLAIN, "-q", str(test)]
    outer = {name: value for name, value in os.environ.items() if not name.startswith("LODGE_")}
    outer["LODGE_LEAKS_PATIENCE"] = "0.2"
    return subprocess.run(
        command, cwd=PROJECT, env=outer | environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_clean_run_passes(tmp_path: Path) -> None:
    done = run(tmp_path, "subprocess.run(['true'])")
    assert done.returncode == 0, done.stdout
    assert "left over" not in done.stdout


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    return tmp_path / "pid"


def test_a_process_that_stays_fails_the_run(tmp_path: Path, pid_file: Path) -> None:
    script = f"sleep 60 & echo $! > {pid_file}"
    body = f"subprocess.run(['setsid', 'sh', '-c', {script!r}], stdout=subprocess.DEVNULL)"
    done = run(tmp_path, body)
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    assert done.returncode == 1, done.stdout
    assert "processes left over" in done.stdout
    assert "sleep 60" in done.stdout


def test_a_child_without_the_mark_is_found_by_its_parent(tmp_path: Path, pid_file: Path) -> None:
    """As a container's program is: its environment is its own, its monitor has the mark."""
    script = f"env -i sleep 61 & echo $! > {pid_file}; sleep 62"
    body = f"subprocess.Popen(['setsid', 'sh', '-c', {script!r}]); import time; time.sleep(0.2)"
    done = run(tmp_path, body)
    parent = int(Path(f"/proc/{pid_file.read_text().strip()}/stat").read_text().split()[3])
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    os.kill(parent, signal.SIGKILL)
    assert done.returncode == 1, done.stdout
    assert "sleep 61" in done.stdout


def test_the_check_can_be_switched_off(tmp_path: Path, pid_file: Path) -> None:
    script = f"sleep 62 & echo $! > {pid_file}"
    body = f"subprocess.run(['setsid', 'sh', '-c', {script!r}], stdout=subprocess.DEVNULL)"
    done = run(tmp_path, body, LODGE_LEAKS="off")
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    assert done.returncode == 0, done.stdout


def test_a_scope_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "pass", LODGE_LEAKS="some")
    assert done.returncode != 0
    assert "expected own, all or off" in done.stdout + done.stderr
