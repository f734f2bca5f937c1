"""Tests of `lodge.distribution.bootstrap`: from a made layer to an image in a store, and what is refused."""

import os
from pathlib import Path

import pytest

from lodge.distribution import bootstrap as room
from lodge.distribution import busybox, debian
from lodge.distribution.bootstrap import bootstrap
from lodge.distribution.layer_cache import Sink
from lodge.errors import InvalidArgument, Unavailable, Unsupported
from lodge.spec.digest import Digest
from lodge.spec.image import ImageConfig, Manifest
from lodge.spec.platform import Platform, host
from tests.images.memory_store import MemoryStore

RELEASED = 1_700_000_000


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "busybox"
    path.write_text("#!/bin/sh\necho sh\n")
    path.chmod(0o755)
    os.utime(path, (RELEASED, RELEASED))
    monkeypatch.setattr(busybox, "find_busybox", lambda: path)
    return path


def test_the_image_is_whole_and_tagged(program: Path, tmp_path: Path) -> None:
    store, heard = MemoryStore(), list[str]()
    made = bootstrap(
        "busybox", store=store, cache_dir=tmp_path / "cache", progress=lambda status, *_: heard.append(status)
    )
    assert store.names == {"docker.io/library/busybox:latest": made.manifest}
    manifest = Manifest.decode(store.blobs[made.manifest.digest])
    config = ImageConfig.decode(store.blobs[manifest.config.digest])
    assert made.config == manifest.config.digest
    assert config.config.cmd == ["sh"]
    assert config.config.env == [room.PATH]
    assert config.created == "2023-11-14T22:13:20Z"
    assert config.platform == host()
    assert [layer.digest for layer in manifest.layers] == [Digest.of(store.blobs[manifest.layers[0].digest])]
    assert heard[-1] == f"busybox:latest is {made.config}"


def test_two_machines_make_the_same_image(program: Path, tmp_path: Path) -> None:
    one = bootstrap("busybox:1.36", store=MemoryStore(), cache_dir=tmp_path / "one")
    two = bootstrap("busybox:1.36", store=MemoryStore(), cache_dir=tmp_path / "two")
    assert one == two
    assert one.reference == "docker.io/library/busybox:1.36"


def test_what_the_store_has_is_not_written_again(program: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    bootstrap("busybox", store=store, cache_dir=tmp_path / "cache")
    kept = dict(store.blobs)
    store.ingest = None  # type: ignore[assignment,method-assign]  # any further blob would fail
    bootstrap("busybox", store=store, cache_dir=tmp_path / "cache")
    assert store.blobs == kept


def test_a_broken_transfer_is_resumed(program: Path, tmp_path: Path) -> None:
    whole, store = MemoryStore(), MemoryStore()
    bootstrap("busybox", store=whole, cache_dir=tmp_path / "cache")
    store.left = {digest: blob[: len(blob) // 2] for digest, blob in whole.blobs.items()}
    bootstrap("busybox", store=store, cache_dir=tmp_path / "cache")
    assert store.blobs == whole.blobs


@pytest.fixture
def distribution(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Debian without a mirror and without mmdebstrap; the list says what was made."""
    made: list[str] = []

    def plan(distribution: str, tag: str, platform: Platform, *, mirror: str | None = None) -> debian.Recipe:
        suite, slim = debian.parse_tag(distribution, tag)
        return debian.Recipe(distribution, suite, slim, "amd64", (f"deb {mirror} {suite} main",), RELEASED)

    def write_layer(recipe: debian.Recipe, sink: Sink, *, work: Path, progress: object) -> None:
        made.append(recipe.suite)
        sink.write(recipe.suite.encode())

    monkeypatch.setattr(debian, "plan", plan)
    monkeypatch.setattr(debian, "write_layer", write_layer)
    monkeypatch.setattr(debian, "check_tools", lambda _: None)
    return made


def test_debian_is_made_once_a_release(distribution: list[str], tmp_path: Path) -> None:
    store = MemoryStore()
    first = bootstrap("debian:12", store=store, cache_dir=tmp_path, mirror="http://m/debian")
    again = bootstrap("debian:bookworm", store=store, cache_dir=tmp_path, mirror="http://m/debian")
    assert distribution == ["bookworm"]
    assert first.config == again.config
    assert set(store.names) == {"docker.io/library/debian:12", "docker.io/library/debian:bookworm"}
    assert ImageConfig.decode(store.blobs[first.config]).config.cmd == ["bash"]


def test_without_the_mirror_an_older_layer_serves(
    distribution: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bootstrap("debian:bookworm", store=MemoryStore(), cache_dir=tmp_path)

    def plan(*_: object, **__: object) -> debian.Recipe:
        raise Unavailable("the mirror does not answer")

    monkeypatch.setattr(debian, "plan", plan)
    heard: list[str] = []
    again = bootstrap(
        "debian:bookworm",
        store=MemoryStore(),
        cache_dir=tmp_path,
        progress=lambda status, *_: heard.append(status),
    )
    assert again == first
    assert heard[0] == "the mirror does not answer; using the layer of 2023-11-14T22:13:20Z"
    with pytest.raises(Unavailable, match="does not answer"):
        bootstrap("debian:trixie", store=MemoryStore(), cache_dir=tmp_path)


@pytest.mark.parametrize(
    "name", ["alpine", "quay.io/debian", "someone/debian", "busybox@sha256:" + "0" * 64, "host"]
)
def test_a_name_without_a_recipe_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        bootstrap(name, store=MemoryStore(), cache_dir=tmp_path)


def test_busybox_of_another_machine_is_refused(program: Path, tmp_path: Path) -> None:
    other = Platform.parse("linux/s390x")
    with pytest.raises(Unsupported, match="for linux/s390x"):
        bootstrap("busybox", store=MemoryStore(), cache_dir=tmp_path, platform=other)
