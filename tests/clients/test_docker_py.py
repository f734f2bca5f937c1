"""docker-py, the library that most Python tools stand on."""

from __future__ import annotations

import gc
import io
import socket
import tarfile
import threading
import time
from collections.abc import Iterator

import docker
import docker.errors
import pytest
from docker.models.containers import Container

from tests.clients.daemon import Lodged

# its streams are closed by the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def client(lodged: Lodged) -> Iterator[docker.DockerClient]:
    made = docker.DockerClient(base_url=lodged.host)
    yield made
    made.close()
    gc.collect()  # while the marks above hold


@pytest.fixture
def sleeper(client: docker.DockerClient, name: str) -> Container:
    return client.containers.run("busybox", "sleep 100", name=name, network_mode="none", detach=True)


def test_run_and_errors(client: docker.DockerClient) -> None:
    assert client.containers.run("busybox", "echo hi", network_mode="none", remove=True) == b"hi\n"
    with pytest.raises(docker.errors.ContainerError) as caught:
        client.containers.run("busybox", "sh -c 'echo bad >&2; exit 3'", network_mode="none", remove=True)
    assert caught.value.exit_status == 3
    assert caught.value.stderr == b"bad\n"
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("nosuch")
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("nosuch")


def test_exec(sleeper: Container) -> None:
    assert sleeper.exec_run("echo a").output == b"a\n"
    done = sleeper.exec_run("sh -c 'echo o; echo e >&2; exit 4'", demux=True)
    assert (done.exit_code, done.output) == (4, (b"o\n", b"e\n"))
    stream = sleeper.exec_run("sh -c 'echo 1; echo 2'", stream=True).output
    assert b"".join(stream) == b"1\n2\n"
    _, sock = sleeper.exec_run("cat", stdin=True, socket=True)
    sock._sock.sendall(b"typed")
    sock._sock.shutdown(1)
    assert sock.read(13)[8:] == b"typed"
    sock.close()


def test_attach_socket(client: docker.DockerClient, name: str) -> None:
    made = client.containers.create(
        "busybox", "cat", name=name, network_mode="none", stdin_open=True, tty=True
    )
    sock = made.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    made.start()
    sock._sock.sendall(b"x\n")
    seen = b""
    while seen.count(b"x") < 2:
        seen += sock._sock.recv(100)
    sock.close()
    made.kill()


def test_logs(client: docker.DockerClient, name: str) -> None:
    made = client.containers.run(
        "busybox",
        "sh -c 'for i in 1 2 3; do echo $i; sleep 0.1; done'",
        name=name,
        network_mode="none",
        detach=True,
    )
    assert b"".join(made.logs(stream=True, follow=True)) == b"1\n2\n3\n"
    assert made.logs(tail=1) == b"3\n"
    assert made.logs(timestamps=True).split()[0][:3] == b"202"
    assert made.wait()["StatusCode"] == 0


def test_archives(sleeper: Container) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("deep/file")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"bytes"))
    assert sleeper.put_archive("/tmp", packed.getvalue())
    stream, stat = sleeper.get_archive("/tmp/deep/file")
    assert (stat["name"], stat["size"]) == ("file", 5)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        file = tar.extractfile("file")
        assert file
        assert file.read() == b"bytes"
    encoded, _ = sleeper.get_archive("/tmp/deep", encode_stream=True)
    assert b"".join(encoded)


def test_stats_top_diff(sleeper: Container) -> None:
    figures = sleeper.stats(stream=False)
    assert figures["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert figures["cpu_stats"]["system_cpu_usage"] > figures["precpu_stats"]["system_cpu_usage"]
    assert figures["memory_stats"]["usage"] > 0
    assert figures["pids_stats"]["current"] == 1
    assert next(sleeper.stats(decode=True))["id"] == sleeper.id
    assert any("sleep 100" in process for process in sleeper.top()["Processes"][0])
    sleeper.exec_run("touch /made")
    assert {"Path": "/made", "Kind": 1} in sleeper.diff()


def test_images(client: docker.DockerClient) -> None:
    image = client.images.get("busybox")
    assert image.tags == ["busybox:latest"]
    assert image.history()
    assert image.tag("py", "x")
    data = b"".join(client.images.get("py:x").save(named="py:x"))
    client.images.remove("py:x")
    assert "py:x" in [tag for loaded in client.images.load(data) for tag in loaded.tags]
    client.images.remove("py:x")


def test_volumes_and_df(client: docker.DockerClient, name: str) -> None:
    volume = client.volumes.create(name, labels={"k": "v"})
    try:
        assert client.volumes.list(filters={"label": "k=v"}) == [volume]
        client.containers.run(
            "busybox",
            "touch /d/x",
            volumes={name: {"bind": "/d", "mode": "rw"}},
            network_mode="none",
            remove=True,
        )
        usage = client.df()
        assert {"Images", "Containers", "Volumes", "LayersSize"} <= set(usage)
    finally:
        volume.remove()


def test_events_while_they_happen(client: docker.DockerClient, name: str) -> None:
    seen: list[str] = []
    events = client.events(decode=True, filters={"container": name})

    def listen() -> None:
        for event in events:
            seen.append(event["Action"])
            if event["Action"] == "destroy":
                return

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        client.containers.run("busybox", "true", name=name, network_mode="none")
        client.containers.get(name).remove()
        listener.join(10)
    finally:
        events.close()
    assert [one for one in seen if one != "attach"] == ["create", "start", "die", "destroy"]


@pytest.mark.parametrize("version", ["1.24", "1.35", "1.41", "1.43", "1.47", "1.51", "1.54"])
def test_every_version_does_the_whole_round(lodged: Lodged, name: str, version: str) -> None:
    client = docker.DockerClient(base_url=lodged.host, version=version)
    try:
        made = client.containers.run("busybox", "sleep 100", name=name, network_mode="none", detach=True)
        assert made.exec_run("echo x").output == b"x\n"
        made.reload()
        assert made.status == "running"
        assert client.containers.list(filters={"name": name})
        assert client.images.list()
        assert client.info()["Containers"]
        made.stop(timeout=0)
        made.remove()
    finally:
        client.close()


def test_a_lease_ends_with_its_connection(lodged: Lodged, client: docker.DockerClient, name: str) -> None:
    """What Testcontainers runs a container of its own for."""
    with socket.socket(socket.AF_UNIX) as lease:
        lease.connect(lodged.socket)
        lease.sendall(b"GET /lodge/lease?id=test-lease&grace=0 HTTP/1.0\r\n\r\n")
        while b"test-lease" not in lease.recv(1000):
            pass
        labels = {"io.lodge.lease": "test-lease"}
        client.volumes.create(name, labels=labels)
        mounts = {name: {"bind": "/d", "mode": "rw"}}
        client.containers.run(
            "busybox", "sleep 100", name=name, network_mode="none", detach=True, labels=labels, volumes=mounts
        )
    end = time.monotonic() + 10
    while client.containers.list(all=True, sparse=True, filters={"name": name}) or client.volumes.list(
        filters={"name": name}
    ):
        assert time.monotonic() < end
        time.sleep(0.05)
