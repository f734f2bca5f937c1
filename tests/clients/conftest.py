"""One lodged for a session of client tests, with busybox in it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.daemon import Lodged, docker_command


@pytest.fixture(scope="session")
def roots() -> Iterator[Path]:
    """A short place for sockets and roots: a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="lodge-clients-", dir="/tmp", ignore_cleanup_errors=True) as path:
        yield Path(path)


@pytest.fixture(scope="session")
def lodged(roots: Path, busybox_image: Path) -> Iterator[Lodged]:
    """The session's daemon. Tests name what they make after themselves and remove it."""
    if docker_command() is None:
        pytest.skip("there is no docker command here")
    daemon = Lodged(roots / "main")
    daemon.start()
    try:
        daemon.docker("load", "-i", str(busybox_image))
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture
def own_lodged(roots: Path, busybox_image: Path, request: pytest.FixtureRequest) -> Iterator[Lodged]:
    """A daemon of one test, which may kill it."""
    daemon = Lodged(roots / f"own-{abs(hash(request.node.name)) % 10**6}-{os.getpid()}")
    daemon.start()
    try:
        daemon.docker("load", "-i", str(busybox_image))
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture
def name(lodged: Lodged, request: pytest.FixtureRequest) -> Iterator[str]:
    """A container name of this test; the container is removed after it."""
    made = "t-" + "".join(c if c.isalnum() else "-" for c in request.node.name)[:40].strip("-")
    yield made
    lodged.docker("rm", "-f", "-v", made, check=False)
