"""Lists, looks, files, images and volumes with Lodge's own command."""

from __future__ import annotations

import io
import json
import tarfile
import time
from pathlib import Path

import pytest

from tests.clients.daemon import Lodged
from tests.clients.lodge_command import lodge, out


@pytest.fixture
def sleeper(lodged: Lodged, name: str) -> str:
    """A container that sleeps."""
    words = ("--label", "kind=test", "--network", "none", "busybox", "sleep", "600")
    lodge(lodged, "run", "-d", "--name", name, *words)
    return name


def test_ps(lodged: Lodged, sleeper: str) -> None:
    header, *rows = out(lodged, "ps", "--filter", f"name=^{sleeper}$").splitlines()
    assert header.split("  ")[0] == "CONTAINER ID"
    assert len(rows) == 1
    assert rows[0].endswith(sleeper)
    assert '"sleep 600"' in rows[0]
    row = json.loads(out(lodged, "ps", "--filter", f"name=^{sleeper}$", "--format", "json"))
    assert (row["Names"], row["State"], row["Labels"]) == (sleeper, "running", "kind=test")
    assert row["Status"].startswith("Up ")
    assert out(lodged, "ps", "-q", "--filter", f"name=^{sleeper}$") == row["ID"]
    assert lodge(lodged, "ps", "--filter", "foo=bar", check=False).returncode == 1


def test_inspect(lodged: Lodged, sleeper: str) -> None:
    found = json.loads(out(lodged, "inspect", sleeper))
    assert found[0]["Name"] == f"/{sleeper}"
    assert out(lodged, "inspect", "-f", '{{.State.Status}} {{index .Config.Labels "kind"}}', sleeper) == (
        "running test"
    )
    done = lodge(lodged, "inspect", sleeper, "nope", check=False)
    assert done.returncode == 1
    assert len(json.loads(done.stdout)) == 1
    assert done.stderr == b"Error: No such object: nope\n"


def test_life(lodged: Lodged, sleeper: str) -> None:
    status = ("inspect", "-f", "{{.State.Status}}", sleeper)
    for verb, state in (
        ("pause", "paused"),
        ("unpause", "running"),
        ("kill", "exited"),
        ("start", "running"),
    ):
        assert out(lodged, verb, sleeper) == sleeper
        time.sleep(0.2)
        assert out(lodged, *status) == state
    assert out(lodged, "restart", "-t", "0", sleeper) == sleeper
    assert "sleep 600" in out(lodged, "top", sleeper)
    assert out(lodged, "update", "-m", "64m", "--memory-swap", "64m", sleeper) == sleeper
    assert out(lodged, "inspect", "-f", "{{.HostConfig.Memory}}", sleeper) == str(64 << 20)
    lodge(lodged, "rename", sleeper, f"{sleeper}-2")
    lodge(lodged, "rename", f"{sleeper}-2", sleeper)
    assert out(lodged, "stop", "-t", "0", sleeper) == sleeper
    assert out(lodged, "wait", sleeper) == "137"
    assert out(lodged, "rm", sleeper) == sleeper
    assert lodge(lodged, "rm", sleeper, check=False).returncode == 1
    assert lodge(lodged, "rm", "-f", sleeper).returncode == 0


def test_files_in_and_out(lodged: Lodged, sleeper: str, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "a").write_text("one")
    (tmp_path / "in" / "sub" / "b").write_bytes(bytes(300_000))
    (tmp_path / "in" / "link").symlink_to("a")
    lodge(lodged, "cp", f"{tmp_path}/in", f"{sleeper}:/made")
    assert out(lodged, "exec", sleeper, "cat", "/made/link") == "one"
    lodge(lodged, "cp", f"{sleeper}:/made/.", str(tmp_path / "back"))
    assert (tmp_path / "back" / "link").is_symlink()
    assert (tmp_path / "back" / "sub" / "b").read_bytes() == bytes(300_000)
    lodge(lodged, "cp", "-L", f"{sleeper}:/made/link", str(tmp_path / "followed"))
    assert (tmp_path / "followed").read_text() == "one"
    stream = lodge(lodged, "cp", f"{sleeper}:/made/sub", "-").stdout
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        assert archive.getnames() == ["sub", "sub/b"]
    lodge(lodged, "cp", "-", f"{sleeper}:/tmp", input=stream)
    assert out(lodged, "exec", sleeper, "ls", "/tmp/sub") == "b"
    done = lodge(lodged, "cp", f"{sleeper}:/nowhere", str(tmp_path), check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(
        b"Error response from daemon: Could not find the file /nowhere in container"
    )


def test_what_changed(lodged: Lodged, sleeper: str) -> None:
    lodge(lodged, "exec", sleeper, "sh", "-c", "echo x > /new; rm /etc/group")
    changes = out(lodged, "diff", sleeper).splitlines()
    assert {"A /new", "C /etc", "D /etc/group"} <= set(changes)


def test_commit_and_export(lodged: Lodged, sleeper: str, tmp_path: Path) -> None:
    lodge(lodged, "exec", sleeper, "touch", "/marker")
    image = out(lodged, "commit", "-m", "note", "-c", 'CMD ["ls", "/marker"]', sleeper, "made:here")
    try:
        assert image.startswith("sha256:")
        assert out(lodged, "run", "--rm", "--network", "none", "made:here") == "/marker"
        assert "note" in out(lodged, "history", "made:here")
    finally:
        lodge(lodged, "rmi", "-f", "made:here")
    lodge(lodged, "export", "-o", str(tmp_path / "fs.tar"), sleeper)
    with tarfile.open(tmp_path / "fs.tar") as archive:
        assert "marker" in archive.getnames()


def test_images(lodged: Lodged, tmp_path: Path) -> None:
    lodge(lodged, "tag", "busybox", "other:v1")
    try:
        assert out(lodged, "images", "--format", "{{.Repository}}:{{.Tag}}", "other") == "other:v1"
        lodge(lodged, "save", "-o", str(tmp_path / "image.tar"), "other:v1")
        assert "Untagged: other:v1" in out(lodged, "rmi", "other:v1")
        assert "Loaded image: other:v1" in out(lodged, "load", "-i", str(tmp_path / "image.tar"))
        assert out(lodged, "image", "inspect", "-f", "{{.Os}}", "other:v1") == "linux"
    finally:
        lodge(lodged, "rmi", "-f", "other:v1")
    assert lodge(lodged, "image", "inspect", "other:v1", check=False).returncode == 1


def test_import(lodged: Lodged, busybox_tar: Path) -> None:
    identifier = out(lodged, "import", "-c", "CMD echo imported", str(busybox_tar), "imported:x")
    try:
        assert identifier.startswith("sha256:")
        assert out(lodged, "run", "--rm", "--network", "none", "imported:x") == "imported"
    finally:
        lodge(lodged, "rmi", "-f", "imported:x")


def test_volumes(lodged: Lodged, name: str) -> None:
    assert out(lodged, "volume", "create", "--label", "a=b", name) == name
    try:
        run = ("run", "--rm", "--network", "none", "-v", f"{name}:/v", "busybox")
        lodge(lodged, *run, "sh", "-c", "echo kept > /v/f")
        assert out(lodged, *run, "cat", "/v/f") == "kept"
        assert name in out(lodged, "volume", "ls", "-q").splitlines()
        assert out(lodged, "volume", "inspect", "-f", "{{.Labels.a}}", name) == "b"
    finally:
        assert out(lodged, "volume", "rm", name) == name
    assert lodge(lodged, "volume", "inspect", name, check=False).returncode == 1


def test_stats_events_and_df(lodged: Lodged, sleeper: str) -> None:
    row = json.loads(out(lodged, "stats", "--no-stream", "--format", "json", sleeper))
    assert row["Name"] == sleeper
    assert int(row["PIDs"]) >= 1
    lodge(lodged, "kill", sleeper)
    events = out(lodged, "events", "--since", "1m", "--until", "0s", "--filter", f"container={sleeper}")
    assert " container start " in events
    assert f"name={sleeper}" in events
    assert out(lodged, "system", "df").splitlines()[0].split() == [
        "TYPE",
        "TOTAL",
        "ACTIVE",
        "SIZE",
        "RECLAIMABLE",
    ]


def test_info_and_version(lodged: Lodged) -> None:
    assert "Server Version:" in out(lodged, "info")
    assert out(lodged, "version", "-f", "{{.Server.Os}}") == "linux"


def test_prune(lodged: Lodged, name: str) -> None:
    lodge(lodged, "run", "--name", name, "--label", f"doomed={name}", "--network", "none", "busybox", "true")
    done = lodge(lodged, "container", "prune", "--filter", f"label=doomed={name}", input="n\n", check=False)
    assert done.returncode == 1
    assert b"container prune has been cancelled" in done.stderr
    text = out(lodged, "container", "prune", "-f", "--filter", f"label=doomed={name}")
    assert text.startswith("Deleted Containers:\n")
    assert "Total reclaimed space:" in text


def test_completion_knows_names(lodged: Lodged, sleeper: str) -> None:
    assert f"{sleeper}\tcontainer" in out(lodged, "__complete", "--", "stop", sleeper[:4]).splitlines()
    assert "busybox:latest\timage" in out(lodged, "__complete", "--", "run", "busy").splitlines()
