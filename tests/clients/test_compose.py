"""Compose as people use it: several services, networks, health, builds, scaling; down leaves nothing."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from tests.clients.daemon import Lodged

COMPOSE = """\
name: shop
services:
  web:
    build: web
    ports: ["127.0.0.1::80"]
    stop_signal: SIGKILL
    networks: [front, back]
    depends_on: {store: {condition: service_healthy}}
    secrets: [word]
  store:
    image: busybox
    stop_signal: SIGKILL
    command: sh -c "mkdir /w && echo stock > /w/index.html && httpd -f -h /w -p 80"
    networks: {back: {aliases: [shelf]}}
    volumes: ["data:/data"]
    healthcheck: {test: wget -qO- http://127.0.0.1/, interval: 200ms, retries: 50}
networks:
  front: {}
  back: {internal: true}
volumes: {data: {}}
secrets: {word: {file: ./word}}
"""
DOCKERFILE = """\
FROM busybox
RUN mkdir /w && echo shop > /w/index.html
CMD ["httpd", "-f", "-h", "/w", "-p", "80"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "word").write_text("hush\n")
    return tmp_path


def test_a_project_comes_up_works_and_goes(own_lodged: Lodged, project: Path) -> None:
    docker = own_lodged
    if docker.docker("compose", "version", check=False).returncode:
        pytest.skip("the docker command here has no compose")

    def compose(*words: str) -> str:
        return docker.out("compose", "--project-directory", str(project), *words)

    compose("up", "-d", "--build", "--quiet-pull")
    services = [json.loads(line) for line in compose("ps", "--format", "json").splitlines()]
    assert {each["Service"]: each["State"] for each in services} == {"web": "running", "store": "running"}
    assert compose("exec", "-T", "web", "wget", "-qO-", "http://shelf/") == "stock"
    assert compose("exec", "-T", "web", "cat", "/run/secrets/word") == "hush"
    port = compose("port", "web", "80")
    with urllib.request.urlopen(f"http://{port}/", timeout=10) as answer:
        assert answer.read() == b"shop\n"
    compose("up", "-d", "--scale", "store=3")
    found = compose("exec", "-T", "web", "nslookup", "store")
    assert len({line for line in found.splitlines() if line.startswith("Address: ")}) == 3
    compose("restart", "web")
    assert "store-1" in compose("logs", "store") or compose("logs", "store") == ""
    compose("down", "-v", "--rmi", "local")
    assert docker.out("ps", "-aq") == ""
    assert docker.out("volume", "ls", "-q") == ""
    assert docker.out("network", "ls", "--format", "{{.Name}}").split() == ["bridge", "host", "none"]
