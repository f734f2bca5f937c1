"""Tests of `lodge.distribution.layer_cache`: an entry is whole or absent, made once, then replaced."""

import threading
import time
from pathlib import Path

import pytest
import zstandard

from lodge.distribution.layer_cache import LayerCache, Origin, Sink
from lodge.errors import InvalidArgument
from lodge.spec.digest import Digest

ORIGIN = Origin(1_700_000_000, "a test")
TAR = b"not really a tar" * 1000


def write(sink: Sink) -> None:
    for start in range(0, len(TAR), 1000):
        sink.write(TAR[start : start + 1000])


def never(sink: Sink) -> None:
    raise AssertionError("the layer was in the cache")


def test_what_is_made_comes_back_with_its_digests(tmp_path: Path) -> None:
    layer = LayerCache(tmp_path / "cache").get("debian-sid", "1", ORIGIN, write)
    packed = layer.path.read_bytes()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == TAR
    assert (layer.digest, layer.size) == (Digest.of(packed), len(packed))
    assert layer.diff_id == Digest.of(TAR)


def test_it_is_made_once(tmp_path: Path) -> None:
    made = LayerCache(tmp_path).get("debian-sid", "1", ORIGIN, write)
    assert LayerCache(tmp_path).get("debian-sid", "1", ORIGIN, never) == made


def test_a_failed_maker_leaves_nothing(tmp_path: Path) -> None:
    def fail(sink: Sink) -> None:
        sink.write(TAR)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        LayerCache(tmp_path).get("debian-sid", "1", ORIGIN, fail)
    assert [path.name for path in tmp_path.iterdir()] == ["debian-sid.lock"]
    assert LayerCache(tmp_path).newest("debian-sid") is None


@pytest.mark.parametrize("damage", ["truncate", "record", "no record", "no layer"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    layer = LayerCache(tmp_path).get("debian-sid", "1", ORIGIN, write)
    record = tmp_path / "debian-sid@1.json"
    if damage == "truncate":
        layer.path.write_bytes(layer.path.read_bytes()[:-1])
    elif damage == "record":
        record.write_bytes(b'{"digest": ')
    else:
        (record if damage == "no record" else layer.path).unlink()
    assert LayerCache(tmp_path).get("debian-sid", "1", ORIGIN, write) == layer


def test_a_new_release_replaces_the_old_one_of_its_family_only(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    other = cache.get("debian-sid-slim", "1", ORIGIN, write)
    old = cache.get("debian-sid", "1", ORIGIN, write)
    new = cache.get("debian-sid", "2", ORIGIN, write)
    assert not old.path.exists()
    assert cache.newest("debian-sid") == new
    assert cache.newest("debian-sid-slim") == other


def test_callers_at_the_same_time_share_the_work(tmp_path: Path) -> None:
    calls = []

    def slowly(sink: Sink) -> None:
        calls.append(1)
        time.sleep(0.05)
        write(sink)

    threads = [
        threading.Thread(target=LayerCache(tmp_path).get, args=("debian-sid", "1", ORIGIN, slowly))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


@pytest.mark.parametrize("name", ["../up", "", "a/b", ".hidden", "a\0b"])
def test_a_key_never_leaves_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidArgument):
        LayerCache(tmp_path).get("debian-sid", name, ORIGIN, never)
    with pytest.raises(InvalidArgument):
        LayerCache(tmp_path).get(name, "1", ORIGIN, never)
