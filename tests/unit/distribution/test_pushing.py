from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zstandard

from lodge.distribution.abort import Abort
from lodge.distribution.pushing import Pushed, Pusher, Wishes
from lodge.distribution.registries import Registries
from lodge.distribution.settings import RegistryEntry, RegistrySettings
from lodge.errors import Forbidden, NotFound
from lodge.spec.descriptor import OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST, Descriptor
from lodge.spec.image import Index, Manifest
from lodge.spec.platform import Platform
from lodge.spec.reference import Reference
from lodge.store import Store
from tests.registries.scripted import BREAK_OFF, Asked, Scripted, Told, refusal, sells_tokens, wants_token
from tests.unit.distribution.images import Image, layer, publish_index
from tests.unit.distribution.test_pulling import Client
from tests.unit.store.making import BASE, docker_archive, may_unpack


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    if not may_unpack(tmp_path):
        pytest.skip("this user can't make overlay's whiteouts here")
    with Store(tmp_path / "root", snapshotter="copy") as made:
        yield made


class Sender:
    """Pushes from one store to one scripted registry, and keeps what it was told."""

    def __init__(self, registries: Registries, store: Store, registry: Scripted) -> None:
        self.registries = registries
        self.store = store
        self.registry = registry
        self.said: list[tuple[str, str]] = []

    def push(self, target: Descriptor, name: str = "a/b:v1", **wishes: Any) -> Pushed:
        reference = Reference.parse(f"{self.registry.address}/{name}")
        with ThreadPoolExecutor(3) as pool:
            pusher = Pusher(
                self.registries.own(reference),
                reference,
                self.store.departure,
                pool,
                lambda status, about, current, total: self.said.append((about, status)),
                Abort(),
                Wishes(**wishes),
                attempts=3,
            )
            return pusher.push(target)

    def manifest(self, reference: str, name: str = "a/b") -> Manifest:
        return Manifest.decode(self.registry.manifests[name, reference][1])


@pytest.fixture
def sender(registries: Registries, store: Store, registry: Scripted) -> Sender:
    return Sender(registries, store, registry)


@pytest.fixture
def pulled(registries: Registries, store: Store, other: Scripted) -> Descriptor:
    """An image of two layers, pulled from another registry."""
    Image([layer("one"), layer("two")]).publish(other, "x/y", "latest")
    client = Client(registries, store, other)
    found = client.pull("x/y").target
    client.transfers.close()
    return found


def test_what_was_pulled_leaves_as_it_came(
    sender: Sender, registry: Scripted, other: Scripted, pulled: Descriptor
) -> None:
    assert sender.push(pulled).target == pulled
    assert registry.manifests["a/b", "v1"] == other.manifests["x/y", "latest"]
    assert registry.blobs == other.blobs
    statuses = [status for _, status in sender.said]
    assert statuses.count("Preparing") == statuses.count("Pushed") == 2
    sender.said.clear()
    registry.asked.clear()
    sender.push(pulled)
    assert [status for _, status in sender.said].count("Layer already exists") == 2
    assert not registry.of("POST", "uploads")


def test_a_plain_layer_is_compressed_once_and_keeps_its_digest(
    sender: Sender, registry: Scripted, store: Store
) -> None:
    (loaded,) = store.archives.load(_stream(docker_archive([BASE], ["x:1"])))
    first = sender.push(loaded.target)
    (sent,) = sender.manifest("v1").layers
    assert sent.media_type in (OCI_LAYER_GZIP, "application/vnd.docker.image.rootfs.diff.tar.gzip")
    assert gzip.decompress(registry.blobs[sent.digest]) == BASE
    assert sender.push(loaded.target) == first
    # Also when the compressed blob was collected meanwhile.
    store.collect()
    assert not store.content.exists(sent.id)
    assert sender.push(loaded.target) == first


def test_wishes_for_compression(sender: Sender, registry: Scripted, pulled: Descriptor) -> None:
    pushed = sender.push(pulled, compression="zstd", level=5)
    assert pushed.target.digest != pulled.digest
    manifest = sender.manifest("v1")
    assert {each.media_type for each in manifest.layers} == {OCI_LAYER_ZSTD}
    data = zstandard.ZstdDecompressor().decompressobj().decompress(registry.blobs[manifest.layers[0].digest])
    assert b"one" in data
    assert manifest.media_type == OCI_MANIFEST


def test_a_layer_is_mounted_from_a_neighbour(
    sender: Sender, registry: Scripted, store: Store, pulled: Descriptor
) -> None:
    sender.push(pulled, "first/one:v1")
    store.references.assign(f"{registry.address}/first/one:v1", pulled)
    registry.asked.clear()
    sender.push(pulled, "second:v1")
    assert [status for _, status in sender.said].count("Mounted from first/one") == 2
    mounts = [one for one in registry.of("POST", "uploads") if one.query]
    assert {one.query["from"][0] for one in mounts} == {"first/one"}


def test_a_mount_that_is_refused_becomes_an_upload(
    sender: Sender, registry: Scripted, store: Store, pulled: Descriptor
) -> None:
    store.references.assign(f"{registry.address}/elsewhere:v1", pulled)
    sender.push(pulled)
    assert [status for _, status in sender.said].count("Pushed") == 2
    assert "a/b" in {name for name, _ in registry.manifests}


def test_large_blobs_go_as_a_stream_and_go_on_where_they_broke(
    sender: Sender, registry: Scripted, pulled: Descriptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lodge.distribution.upload._ONE_REQUEST", 10)
    broken: list[str] = []

    def half(asked: Asked) -> Told | None:
        """Takes the first half of each stream, and is gone."""
        if asked.method != "PATCH" or asked.path in broken:
            return None
        broken.append(asked.path)
        registry.uploads[asked.path.rpartition("/")[2]] += asked.body[: len(asked.body) // 2]
        return BREAK_OFF

    registry.rules = [half]
    sender.push(pulled)
    assert len(broken) == 3  # two layers and the configuration
    resumed = [one for one in registry.of("PATCH", "uploads") if "content-range" in one.headers]
    assert len(resumed) == len(registry.of("GET", "uploads")) == 3


def test_chunks(store: Store, registry: Scripted, pulled: Descriptor) -> None:
    entry = RegistryEntry(upload_chunk=100)
    settings = RegistrySettings(registries={registry.address: entry}, certificate_directories=())
    with Registries(settings) as registries:
        Sender(registries, store, registry).push(pulled)
    patches = registry.of("PATCH", "uploads")
    assert max(len(one.body) for one in patches) == 100
    assert patches[0].headers["content-range"] == "0-99"
    assert ("a/b", "v1") in registry.manifests


def test_an_index_goes_whole_or_as_one_platform(
    registries: Registries, store: Store, registry: Scripted, other: Scripted, sender: Sender
) -> None:
    entries = [
        Image([layer(name)], architecture=name).publish(other, "x/y", name) for name in ("amd64", "s390x")
    ]
    publish_index(other, "x/y", "latest", entries)
    client = Client(registries, store, other)
    part = client.pull("x/y", platform=Platform.parse("linux/s390x")).target
    pushed = sender.push(part)
    assert pushed.part
    assert sender.manifest("v1")
    whole = client.pull("x/y", every_platform=True).target
    pushed = sender.push(whole, "a/b:all")
    assert not pushed.part
    index = Index.decode(registry.manifests["a/b", "all"][1])
    assert all(("a/b", entry.digest) in registry.manifests for entry in index.manifests)
    assert sender.push(whole, platform=Platform.parse("linux/amd64")).part
    with pytest.raises(NotFound, match="no manifest for linux/riscv64"):
        sender.push(whole, platform=Platform.parse("linux/riscv64"))
    client.transfers.close()


def test_refusals(sender: Sender, registry: Scripted, pulled: Descriptor) -> None:
    def denies(asked: Asked) -> Told | None:
        return refusal(401, "UNAUTHORIZED") if asked.method == "POST" else None

    registry.rules = [denies]
    with pytest.raises(Forbidden, match="denied: requested access to the resource is denied"):
        sender.push(pulled)
    assert ("a/b", "v1") not in registry.manifests
    text = "you may not"
    registry.rules = [lambda asked: refusal(403, "DENIED", text) if asked.method == "POST" else None]
    with pytest.raises(Forbidden, match="denied: you may not"):
        sender.push(pulled)


def test_the_right_to_push_is_asked_for(sender: Sender, registry: Scripted, pulled: Descriptor) -> None:
    registry.rules = [sells_tokens(expires_in=300), wants_token(f"http://{registry.address}/token")]
    sender.push(pulled)
    assert registry.of("GET", "/token")[0].query["scope"] == ["repository:a/b:pull,push"]


def _stream(data: bytes) -> Any:
    return io.BytesIO(data)
