"""Containers of images that attack: they run harmlessly or fail plainly, and the host stays as it is."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.daemon import Lodged
from tests.images.attack import NAME, Attack
from tests.images.canary import Canary
from tests.images.hostile_images import IMAGES

LODGE = Path(sys.executable).parent / "lodge"
PATIENCE = 60


@pytest.fixture(scope="module")
def lodged() -> Iterator[Lodged]:
    with tempfile.TemporaryDirectory(prefix="lodge-hostile-", dir="/tmp") as root:
        daemon = Lodged(Path(root) / "main")
        os.environ["LODGE_TEST_SECRET"] = "a secret of the engine's own environment"
        daemon.start()
        try:
            yield daemon
        finally:
            daemon.remove()
            del os.environ["LODGE_TEST_SECRET"]


def lodge(lodged: Lodged, *words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the command; an error must be a sentence for people, never a stack of Python's."""
    environment = {**os.environ, "LODGE_HOST": lodged.host}
    done = subprocess.run(
        [LODGE, *words], input=data, capture_output=True, env=environment, timeout=PATIENCE, check=False
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert done.returncode == 0 or done.stderr or done.stdout, (
        f"{words}: exit code {done.returncode} without a word"
    )
    return done


@pytest.fixture
def attack(request: pytest.FixtureRequest, lodged: Lodged, canary: Canary) -> Iterator[Attack]:
    """The attack of this test, loaded; its containers and its image go afterwards."""
    made = IMAGES[request.param](canary.path)
    lodge(lodged, "load", data=made.archive)
    yield made
    containers = lodge(lodged, "ps", "-aq").stdout.decode().split()
    if containers:
        lodge(lodged, "rm", "-f", "-v", *containers)
    lodge(lodged, "rmi", "-f", NAME)


@pytest.mark.parametrize("attack", IMAGES, indirect=True)
def test_running_it_leaves_the_host_as_it_is(attack: Attack, lodged: Lodged, canary: Canary) -> None:
    done = lodge(lodged, "run", "--rm", "--network", "none", NAME, "true")
    if attack.starts is not None:
        assert (done.returncode == 0) == attack.starts, f"{attack.story}: {done.stderr.decode()}"
    assert canary.differences() == []
    assert lodge(lodged, "ps", "-aq").stdout == b""


@pytest.mark.parametrize("attack", IMAGES, indirect=True)
def test_entering_and_copying_leave_the_host_as_it_is(
    attack: Attack, lodged: Lodged, canary: Canary, tmp_path: Path
) -> None:
    started = lodge(lodged, "run", "-d", "--name", "victim", "--network", "none", NAME, "sleep", "600")
    mine = tmp_path / "mine"
    mine.write_text("from the host")
    if started.returncode == 0:
        lodge(lodged, "exec", "victim", "true")
        lodge(lodged, "exec", "-w", "/work", "-u", "nobody", "victim", "id")
    for place in ("/work/new", "/data/new", "/dev/new", "/etc/hosts", "/etc", "/proc/self/cwd/new"):
        lodge(lodged, "cp", str(mine), f"victim:{place}")
        lodge(lodged, "cp", f"victim:{place}", str(tmp_path / "out"))
    lodge(lodged, "diff", "victim")
    lodge(lodged, "commit", "victim", "hostile:again")
    lodge(lodged, "rmi", "-f", "hostile:again")
    lodge(lodged, "stop", "-t", "0", "victim")
    lodge(lodged, "rm", "-f", "victim")
    assert canary.differences() == []
    assert mine.read_text() == "from the host"


@pytest.mark.parametrize("attack", ["interpreter_is_the_engine"], indirect=True)
def test_the_engines_own_program_is_out_of_reach(attack: Attack, lodged: Lodged) -> None:
    """CVE-2019-5736: whoever executes the image's program must not be there to be overwritten."""
    program = Path(sys.executable).resolve()
    before = program.stat().st_mtime_ns, program.stat().st_size
    script = "for pid in self 1; do echo attack > /proc/$pid/exe; done; ls -l /proc/self/exe"
    lodge(lodged, "run", "--rm", "--network", "none", NAME)
    lodge(lodged, "run", "--rm", "--network", "none", NAME, "sh", "-c", script)
    assert (program.stat().st_mtime_ns, program.stat().st_size) == before


@pytest.mark.parametrize("attack", ["environment_without_equals"], indirect=True)
def test_a_name_alone_never_becomes_the_engines_value(attack: Attack, lodged: Lodged) -> None:
    done = lodge(lodged, "run", "--rm", "--network", "none", NAME, "env")
    assert b"a secret of the engine" not in done.stdout + done.stderr


@pytest.mark.parametrize("attack", ["user_that_is_a_number_with_a_name"], indirect=True)
def test_a_number_is_a_number(attack: Attack, lodged: Lodged) -> None:
    done = lodge(lodged, "run", "--rm", "--network", "none", NAME, "id", "-u")
    assert done.stdout == b"1\n"


@pytest.mark.parametrize("attack", ["devices_in_the_image"], indirect=True)
def test_devices_of_an_image_cannot_be_opened(attack: Attack, lodged: Lodged) -> None:
    for device in ("/disk", "/kmsg", "/mem"):
        done = lodge(lodged, "run", "--rm", "--network", "none", NAME, "head", "-c", "1", device)
        assert done.returncode != 0, device
        assert done.stdout == b""
