import gzip
import io
import json
from pathlib import Path

import pytest

from lodge.errors import Corrupt, InvalidArgument
from lodge.spec.container import ContainerConfig
from lodge.spec.descriptor import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from lodge.spec.platform import Platform
from lodge.store import Store
from tests.unit.store.making import BASE, TOP, docker_archive, sha
from tests.unit.store.test_load import MERGED, shown

A = "docker.io/library/a:latest"


@pytest.mark.parametrize("data", [BASE, gzip.compress(BASE)])
def test_import(store: Store, data: bytes) -> None:
    config = ContainerConfig(cmd=["/bin/sh"], env=["A=1"])
    target = store.archives.import_tar(
        io.BytesIO(data), config=config, message="why", platform=Platform.parse("linux/arm64"), name=A
    )
    assert store.references.get(A) == target
    image = store.images.resolve(target)
    assert image.config.config == config
    assert str(image.config.platform) == "linux/arm64"
    assert image.config.history[0].comment == "why"
    assert image.config.rootfs.diff_ids == (sha(BASE),)
    assert image.config.created is not None
    assert image.config.created.endswith("Z")
    assert store.images.is_unpacked(image)


def test_import_refuses_what_is_no_archive(store: Store) -> None:
    with pytest.raises(InvalidArgument, match="empty"):
        store.archives.import_tar(io.BytesIO(b""))
    with pytest.raises(Corrupt):
        store.archives.import_tar(io.BytesIO(b"not a tar " * 100))
    assert store.references.list() == {}


def prepared(store: Store) -> Path:
    target = store.archives.load(io.BytesIO(docker_archive([BASE, TOP], ["a"])))[0].target
    store.snapshots.prepare("c", store.images.resolve(target).chain_id)
    root = Path(store.snapshots.mounts("c")[0].source)
    (root / "etc/b").unlink()
    (root / "etc/new").write_text("new")
    (root / "opt/tool").write_text("changed")
    return root


@pytest.mark.parametrize(
    ("compression", "media_type"), [("none", OCI_LAYER), ("gzip", OCI_LAYER_GZIP), ("zstd", OCI_LAYER_ZSTD)]
)
def test_commit(store: Store, compression: str, media_type: str) -> None:
    prepared(store)
    base = store.images.resolve(store.references.get(A))
    target = store.archives.commit(
        "c",
        base,
        ContainerConfig(cmd=["new"]),
        message="m",
        author="me",
        created_by="sh -c x",
        compression=compression,
        name="docker.io/library/new:1",
    )
    image = store.images.resolve(target)
    assert image.manifest.layers[:2] == base.manifest.layers
    assert image.manifest.layers[2].media_type == media_type
    assert image.config.config.cmd == ["new"]
    assert image.config.author == "me"
    last = image.config.history[-1]
    assert (last.comment, last.author, last.created_by) == ("m", "me", "sh -c x")
    expected = {key: value for key, value in MERGED.items() if key != "etc/b"} | {
        "etc/new": "new",
        "opt/tool": "changed",
    }
    assert shown(store, "docker.io/library/new:1") == expected


def test_commit_at_a_fixed_time_gives_the_same_image(store: Store) -> None:
    root = prepared(store)
    base = store.images.resolve(store.references.get(A))
    one = store.archives.commit("c", base, ContainerConfig(), latest=10**18)
    (root / "etc/new").touch()
    assert store.archives.commit("c", base, ContainerConfig(), latest=10**18) == one
    raw = json.loads(store.content.read(store.images.resolve(one).config_digest, 1 << 20))
    assert raw["created"] == "2001-09-09T01:46:40Z"


def test_commit_keeps_what_it_does_not_know_of_the_base(store: Store) -> None:
    data = docker_archive([BASE], ["a"], novel={"x": [1]}, config={"Env": ["A=b"], "Novel": True})
    target = store.archives.load(io.BytesIO(data))[0].target
    base = store.images.resolve(target)
    store.snapshots.prepare("c", base.chain_id)
    made = store.images.resolve(store.archives.commit("c", base, base.config.config))
    raw = json.loads(store.content.read(made.config_digest, 1 << 20))
    assert raw["novel"] == {"x": [1]}
    assert raw["config"] == {"Env": ["A=b"], "Novel": True}


def test_commit_of_nothing_written_and_of_no_base(store: Store) -> None:
    store.snapshots.prepare("scratch", None)
    Path(store.snapshots.mounts("scratch")[0].source, "f").write_text("1")
    target = store.archives.commit("scratch", None, ContainerConfig(), name=A)
    assert len(store.images.resolve(target).manifest.layers) == 1
    assert shown(store, A) == {"f": "1"}
    assert store.references.get(A) == target


def test_commit_refuses_an_unknown_compression(store: Store) -> None:
    prepared(store)
    with pytest.raises(InvalidArgument):
        store.archives.commit("c", None, ContainerConfig(), compression="bzip2")
