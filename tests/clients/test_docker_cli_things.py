"""docker cp, images, volumes, system: with the docker command."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.clients.daemon import Lodged

CREATE = ("create", "--network", "none")


def test_cp_both_ways(lodged: Lodged, name: str, tmp_path: Path) -> None:
    lodged.docker(*CREATE, "--name", name, "busybox", "sh")
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "file").write_bytes(os.urandom(100_000))
    (tree / "link").symlink_to("sub/file")
    (tree / "sub" / "file").chmod(0o640)
    lodged.docker("cp", str(tree), f"{name}:/opt")
    lodged.docker("cp", f"{name}:/opt", str(tmp_path / "back"))
    assert (tmp_path / "back" / "sub" / "file").read_bytes() == (tree / "sub" / "file").read_bytes()
    assert os.readlink(tmp_path / "back" / "link") == "sub/file"
    assert (tmp_path / "back" / "sub" / "file").stat().st_mode & 0o777 == 0o640
    lodged.docker("cp", "-L", f"{name}:/opt/link", str(tmp_path / "followed"))
    assert (tmp_path / "followed").stat().st_size == 100_000
    with tarfile.open(fileobj=io.BytesIO(lodged.docker("cp", f"{name}:/opt/sub", "-").stdout)) as tar:
        assert tar.getnames() == ["sub", "sub/file"]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("from-stdin"))
    lodged.docker("cp", "-", f"{name}:/opt", input=packed.getvalue())
    lodged.docker("cp", f"{name}:/opt/from-stdin", str(tmp_path / "x"))
    missing = lodged.docker("cp", f"{name}:/nope", str(tmp_path), check=False)
    assert missing.returncode == 1
    assert b"Could not find the file /nope in container" in missing.stderr


def test_cp_into_a_running_container(lodged: Lodged, name: str, tmp_path: Path) -> None:
    lodged.docker("run", "-d", "--name", name, "--network", "none", "busybox", "sleep", "100")
    (tmp_path / "a").write_text("hello")
    lodged.docker("cp", str(tmp_path / "a"), f"{name}:/tmp/b")
    assert lodged.out("exec", name, "cat", "/tmp/b") == "hello"
    lodged.docker("exec", name, "sh", "-c", "echo changed > /tmp/b")
    lodged.docker("cp", f"{name}:/tmp/b", str(tmp_path / "c"))
    assert (tmp_path / "c").read_text() == "changed\n"


def test_diff_commit_export_import(lodged: Lodged, name: str, tmp_path: Path) -> None:
    lodged.docker(
        "run", "--name", name, "--network", "none", "busybox", "sh", "-c", "echo x > /new; rm -r /bin/vi"
    )
    changes = lodged.out("diff", name).splitlines()
    assert "A /new" in changes
    assert "D /bin/vi" in changes
    image = lodged.out("commit", "-m", "why", "-c", "CMD cat /new", name, f"{name}:made")
    assert image.startswith("sha256:")
    try:
        assert lodged.out("run", "--rm", "--network", "none", f"{name}:made") == "x"
        assert lodged.out("inspect", "-f", "{{.Id}} {{.Comment}}", f"{name}:made") == f"{image} why"
        assert "why" in lodged.out("history", "--format", "{{.Comment}}", f"{name}:made")
        lodged.docker("export", "-o", str(tmp_path / "e.tar"), name)
        with tarfile.open(tmp_path / "e.tar") as tar:
            assert "new" in {member.lstrip("./") for member in tar.getnames()}
        lodged.docker("import", "-c", "CMD cat /new", str(tmp_path / "e.tar"), f"{name}:imported")
        assert lodged.out("run", "--rm", "--network", "none", f"{name}:imported") == "x"
    finally:
        lodged.docker("rmi", "-f", f"{name}:made", f"{name}:imported", check=False)


def test_images(lodged: Lodged, tmp_path: Path) -> None:
    assert "busybox" in lodged.out("images", "--format", "{{.Repository}}").split()
    lodged.docker("tag", "busybox", "other:tag")
    assert lodged.out("images", "-q", "other") == lodged.out("images", "-q", "busybox")
    lodged.docker("save", "-o", str(tmp_path / "s.tar"), "busybox", "other:tag")
    with tarfile.open(tmp_path / "s.tar") as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest
        assert {tag for one in json.load(manifest) for tag in one["RepoTags"]} == {
            "busybox:latest",
            "other:tag",
        }
    assert lodged.out("rmi", "other:tag") == "Untagged: other:tag"
    loaded = lodged.out("load", "-i", str(tmp_path / "s.tar"))
    assert "Loaded image: other:tag" in loaded
    lodged.docker("rmi", "other:tag")
    found = json.loads(lodged.out("inspect", "busybox"))[0]
    assert found["RepoTags"] == ["busybox:latest"]
    assert found["Os"] == "linux"
    missing = lodged.docker("rmi", "nosuch", check=False)
    assert b"No such image: nosuch:latest" in missing.stderr


def test_image_in_use(lodged: Lodged, name: str) -> None:
    lodged.docker(*CREATE, "--name", name, "busybox")
    failed = lodged.docker("rmi", "busybox", check=False)
    assert failed.returncode == 1
    assert b'conflict: unable to remove repository reference "busybox" (must force)' in failed.stderr


def test_volumes(lodged: Lodged, name: str) -> None:
    volume = name + "-v"
    assert lodged.out("volume", "create", "--label", "a=b", volume) == volume
    try:
        mount = ("-v", f"{volume}:/data")
        lodged.docker(
            "run", "--rm", "--network", "none", *mount, "busybox", "sh", "-c", "echo kept > /data/x"
        )
        assert lodged.out("run", "--rm", "--network", "none", *mount, "busybox", "cat", "/data/x") == "kept"
        assert lodged.out("volume", "ls", "-q", "--filter", "label=a=b") == volume
        found = json.loads(lodged.out("volume", "inspect", volume))[0]
        assert (found["Driver"], found["Labels"], found["Scope"]) == ("local", {"a": "b"}, "local")
        lodged.docker(*CREATE, "--name", name, *mount, "busybox")
        assert b"volume is in use" in lodged.docker("volume", "rm", volume, check=False).stderr
        lodged.docker("rm", name)
    finally:
        lodged.docker("volume", "rm", "-f", volume)
    missing = lodged.docker("volume", "inspect", volume, check=False)
    assert b"no such volume" in missing.stderr


def test_system(lodged: Lodged, name: str) -> None:
    lodged.docker(*CREATE, "--name", name, "busybox")
    info = json.loads(lodged.out("info", "--format", "{{json .}}"))
    assert info["ServerVersion"]
    assert info["Containers"] >= 1
    assert not info.get("ServerErrors")
    version = json.loads(lodged.out("version", "--format", "{{json .}}"))
    assert version["Server"]["Platform"]["Name"] == "Lodge"
    table = lodged.out("system", "df")
    assert table.splitlines()[1].startswith("Images")
    assert name in lodged.out("system", "df", "-v")
    assert lodged.out("network", "ls", "--format", "{{.Name}}").split() == ["bridge", "host", "none"]
    assert json.loads(lodged.out("network", "inspect", "none"))[0]["Driver"] == "null"
    assert b"This node is not a swarm manager" in lodged.docker("node", "ls", check=False).stderr
    assert lodged.out("plugin", "ls", "-q") == ""


def test_list_and_filters(lodged: Lodged, name: str) -> None:
    lodged.docker(*CREATE, "--name", name, "--label", "who=me", "busybox", "echo", "a b")
    only = ("--filter", f"name={name}", "--no-trunc", "--format", "{{.Names}}|{{.Command}}|{{.Status}}")
    assert lodged.out("ps", "-a", *only) == f"{name}|\"echo 'a b'\"|Created"
    assert lodged.out("ps", *only) == ""
    for wanted in ("status=created", "label=who=me", "ancestor=busybox", "network=none"):
        assert name in lodged.out("ps", "-a", "--filter", wanted, "--format", "{{.Names}}").split(), wanted
    bad = lodged.docker("ps", "--filter", "nonsense=1", check=False)
    assert b"invalid filter 'nonsense'" in bad.stderr
    sized = lodged.out("ps", "-as", "--filter", f"name={name}", "--format", "{{.Size}}")
    assert "virtual" in sized


@pytest.mark.parametrize("what", ["container", "image", "volume", "network"])
def test_prune(lodged: Lodged, what: str) -> None:
    assert lodged.docker(what, "prune", "-f", "--filter", "label=nobody-has-this").returncode == 0


def test_inspect_of_everything_is_what_docker_knows(lodged: Lodged, name: str) -> None:
    lodged.docker(
        *CREATE, "--name", name, "-m", "32m", "--cap-add", "NET_ADMIN", "-v", "/data", "busybox", "sh"
    )
    found = json.loads(lodged.out("inspect", "-s", name))[0]
    assert found["HostConfig"]["CapAdd"] == ["CAP_NET_ADMIN"]
    assert found["Mounts"][0]["Type"] == "volume"
    assert found["Mounts"][0]["Destination"] == "/data"
    assert found["HostConfig"]["NetworkMode"] == "none"
    assert found["SizeRootFs"] > 100_000
    assert found["Config"]["Image"] == "busybox"
    assert found["Path"] == "sh"


def test_raw_requests_of_any_http_client(lodged: Lodged) -> None:
    done = subprocess.run(
        ["curl", "-sS", "-i", "--unix-socket", lodged.socket, "http://d/v1.43/_ping"],
        capture_output=True,
        check=True,
    )
    assert b"Api-Version: 1.56" in done.stdout
    assert b"Server: Docker/" in done.stdout
    assert done.stdout.endswith(b"OK")
