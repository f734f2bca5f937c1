import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.distribution.transit import names
from lodge.distribution.transit.archives import ArchiveGoal, ArchiveOrigin
from lodge.distribution.transit.copying import copy
from lodge.distribution.transit.layout import LayoutGoal, LayoutOrigin
from lodge.distribution.transit.names import Place
from lodge.errors import Corrupt, InvalidArgument, NotFound, Unsupported
from lodge.spec.platform import Platform

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
INDEX = "application/vnd.oci.image.index.v1+json"


class Layout:
    """An image layout of a test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = root / "blobs/sha256"
        self.blobs.mkdir(parents=True)
        (root / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def put(self, data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (self.blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data), **more}

    def image(self, architecture: str, layer: bytes) -> dict[str, Any]:
        plain = hashlib.sha256(layer).hexdigest()
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{plain}"]},
        }
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": self.put(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": [self.put(gzip.compress(layer, mtime=0), LAYER)],
        }  # fmt: skip
        platform = {"architecture": architecture, "os": "linux"}
        return self.put(json.dumps(manifest).encode(), MANIFEST, platform=platform)

    def multi(self, tag: str) -> None:
        children = [self.image("amd64", tar(b"one")), self.image("arm64", tar(b"two"))]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": children}
        notes = {"org.opencontainers.image.ref.name": tag}
        top = self.put(json.dumps(index).encode(), INDEX, annotations=notes)
        (self.root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))


def tar(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("file")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> LayoutOrigin:
    layout = Layout(tmp_path / "source")
    layout.multi("v1")
    return LayoutOrigin(str(layout.root), "v1")


def heard() -> list[str]:
    return []


def test_all_of_an_index_into_another_layout(source: LayoutOrigin, tmp_path: Path) -> None:
    said = heard()
    goal = LayoutGoal(str(tmp_path / "goal"), "copy")
    copied = copy(source, goal, said.append, every=True)
    assert copied.digest == source.top().descriptor.digest
    got = LayoutOrigin(str(tmp_path / "goal"), "copy")
    assert got.top().data == source.top().data
    assert sorted(os.listdir(tmp_path / "goal/blobs/sha256")) == sorted(
        os.listdir(tmp_path / "source/blobs/sha256")
    )
    assert sum("copied" in line for line in said) == 4
    again = heard()
    copy(source, LayoutGoal(str(tmp_path / "goal"), "copy"), again.append, every=True)
    assert sum("already there" in line for line in again) == 4


def test_one_platform_of_an_index(source: LayoutOrigin, tmp_path: Path) -> None:
    copy(source, LayoutGoal(str(tmp_path / "goal"), ""), print, platform=Platform.parse("linux/arm64"))
    top = LayoutOrigin(str(tmp_path / "goal"), "").top()
    assert top.descriptor.is_manifest
    assert len(os.listdir(tmp_path / "goal/blobs/sha256")) == 3
    with pytest.raises(NotFound):
        copy(source, LayoutGoal(str(tmp_path / "goal"), ""), print, platform=Platform.parse("linux/s390x"))


def test_there_and_back_by_a_docker_archive(source: LayoutOrigin, tmp_path: Path) -> None:
    path = str(tmp_path / "image.tar")
    goal = ArchiveGoal(path, "app:1", docker=True)
    copy(source, goal, print, platform=Platform.parse("linux/amd64"))
    goal.close()
    with tarfile.open(path) as archive:
        listed = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert listed[0]["RepoTags"] == ["app:1"]
        assert archive.extractfile(listed[0]["Layers"][0]).read() == tar(b"one")  # type: ignore[union-attr]
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".lodge")]
    origin = ArchiveOrigin(path, "app:1")
    layout = str(tmp_path / "back")
    copy(origin, LayoutGoal(layout, "v1"), print)
    manifest = LayoutOrigin(layout, "v1").top().manifest()
    with LayoutOrigin(layout, "v1").open(manifest.layers[0]) as stream:
        assert gzip.decompress(stream.read(1 << 20)) == tar(b"one")
    origin.close()
    with pytest.raises(NotFound):
        ArchiveOrigin(path, "other:1")


def test_there_and_back_by_an_oci_archive(source: LayoutOrigin, tmp_path: Path) -> None:
    path = str(tmp_path / "image.tar")
    goal = ArchiveGoal(path, "v2", docker=False)
    copied = copy(source, goal, print, every=True)
    goal.close()
    origin = ArchiveOrigin(path, "v2")
    assert origin.top().descriptor.digest == copied.digest
    origin.close()
    with pytest.raises(InvalidArgument, match="exists already"):
        ArchiveGoal(path, "v3", docker=False)


def test_a_docker_archive_holds_one_platform(source: LayoutOrigin, tmp_path: Path) -> None:
    goal = ArchiveGoal(str(tmp_path / "image.tar"), "", docker=True)
    with pytest.raises(Unsupported):
        copy(source, goal, print, every=True)
    goal.close()
    assert not os.path.exists(tmp_path / "image.tar")


def test_a_damaged_blob_gets_no_name(source: LayoutOrigin, tmp_path: Path) -> None:
    top = source.top()
    child = source.manifest(top.index().manifests[0]).manifest()
    path = tmp_path / "source/blobs/sha256" / child.layers[0].id.hex
    path.write_bytes(b"X" + path.read_bytes()[1:])
    with pytest.raises(Corrupt):
        copy(source, LayoutGoal(str(tmp_path / "goal"), "v1"), print, every=True)
    assert not os.path.exists(tmp_path / "goal/index.json")
    assert child.layers[0].id.hex not in os.listdir(tmp_path / "goal/blobs/sha256")


def test_a_damaged_manifest_is_noticed(source: LayoutOrigin, tmp_path: Path) -> None:
    path = tmp_path / "source/blobs/sha256" / source.top().descriptor.id.hex
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Corrupt):
        source.top()


def test_archives_that_want_to_lie_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("../../evil", "/evil", "blobs/sha256/../../../evil", "blobs/sha256/junk"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(Corrupt, match="neither"):
        ArchiveOrigin(str(path), "")
    assert not list(tmp_path.rglob("evil"))
    assert not os.path.exists("/evil")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("docker://busybox", Place("docker", "", "busybox")),
        ("localhost:5000/x:1", Place("docker", "", "localhost:5000/x:1")),
        ("oci:/a/b", Place("oci", "/a/b", "")),
        ("oci:/a/b:tag", Place("oci", "/a/b", "tag")),
        ("oci:a:b/c", Place("oci", "a:b/c", "")),
        ("oci-archive:f.tar:t", Place("oci-archive", "f.tar", "t")),
        ("docker-archive:f.tar:localhost:5000/x:1", Place("docker-archive", "f.tar", "localhost:5000/x:1")),
        ("lodge:busybox:1", Place("lodge", "", "busybox:1")),
        ("docker-daemon:busybox:1", Place("lodge", "", "busybox:1")),
        ("busybox:1", Place("docker", "", "busybox:1")),
    ],
)
def test_names(text: str, place: Place) -> None:
    assert names.parse(text) == place


@pytest.mark.parametrize("text", ["", "oci:", "ftp://x", "docker://", "dir://x"])
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(InvalidArgument):
        names.parse(text)


@given(st.text(max_size=30))
def test_any_name_is_a_place_or_refused(text: str) -> None:
    try:
        place = names.parse(text, names.STORE)
    except InvalidArgument:
        return
    assert place.path or place.name
