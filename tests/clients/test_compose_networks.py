"""Docker Compose, unchanged: two networks, dependencies on health, published ports, scaling, down."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.daemon import PLUGINS, Lodged

FILE = """
name: {project}
x-server: &server
  image: busybox
  command: sh -c 'mkdir -p /www; hostname > /www/index.html; exec httpd -f -h /www -p 80'
services:
  db:
    image: busybox
    command: sh -c 'sleep 0.5; touch /ready; exec sleep 1000'
    healthcheck: {{test: test -e /ready, interval: 200ms, timeout: 5s, retries: 50}}
    networks: {{back: {{aliases: [store]}}}}
  api:
    <<: *server
    depends_on: {{db: {{condition: service_healthy}}}}
    networks: [back, front]
    deploy: {{replicas: 2}}
  web:
    <<: *server
    ports: ["127.0.0.1:{port}:80"]
    networks: [front]
networks:
  front: {{}}
  back: {{internal: true}}
"""

Compose = Callable[..., str]


def compose_program() -> str | None:
    """Compose as a program of its own: the one of bench/peers.sh, or the host's."""
    brought = PLUGINS / "docker-compose"
    return str(brought) if brought.exists() else shutil.which("docker-compose")


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def compose(lodged: Lodged, tmp_path: Path, port: int) -> Iterator[Compose]:
    """A project of this test, which is down after it."""
    program = compose_program()
    if program is None:
        pytest.skip("there is no docker compose here")
    file = tmp_path / "compose.yaml"
    file.write_text(FILE.format(project=f"t{os.getpid()}", port=port))

    def call(*words: str) -> str:
        done = subprocess.run(
            [program, "-f", str(file), *words],
            env=lodged.environment, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield call
    call("down", "-t", "0", "-v")


def test_a_project_comes_up_and_goes(lodged: Lodged, compose: Compose, port: int) -> None:
    networks = set(lodged.out("network", "ls", "-q").split())
    compose("up", "-d")
    shown = [json.loads(line) for line in compose("ps", "--format", "json").splitlines()]
    assert sorted(one["Service"] for one in shown) == ["api", "api", "db", "web"]
    assert {one["Health"] for one in shown if one["Service"] == "db"} == {"healthy"}
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        assert answer.status == 200

    found = compose("exec", "-T", "web", "nslookup", "api", "127.0.0.11")
    assert found.count("Name:\tapi") == 2
    assert "NXDOMAIN" in compose("exec", "-T", "web", "sh", "-c", "nslookup db || true")
    assert "Name:\tstore" in compose("exec", "-T", "api", "nslookup", "store")
    assert "default" not in compose("exec", "-T", "db", "ip", "route")

    compose("up", "-d", "--scale", "api=1")
    assert compose("exec", "-T", "web", "nslookup", "api", "127.0.0.11").count("Name:\tapi") == 1
    compose("down", "-t", "0")
    assert compose("ps", "-aq") == ""
    assert set(lodged.out("network", "ls", "-q").split()) == networks
