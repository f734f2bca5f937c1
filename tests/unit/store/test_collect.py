import io
import threading

import pytest

from lodge.errors import NotFound
from lodge.spec.digest import Digest
from lodge.store import Store
from lodge.store.archives.load import LoadedImage
from tests.unit.store.making import BASE, TOP, docker_archive, sha
from tests.unit.store.test_images import LAYERS, put

A, B = "docker.io/library/a:latest", "docker.io/library/b:latest"


def load(store: Store, layers: list[bytes], name: str) -> LoadedImage:
    return store.archives.load(io.BytesIO(docker_archive(layers, [name])))[0]


def counts(store: Store) -> tuple[int, int]:
    return len(list(store.content.walk())), len(list(store.layers.walk()))


def test_named_images_stay_and_others_go(store: Store) -> None:
    load(store, [BASE, TOP], "a")
    load(store, [BASE], "b")
    assert counts(store) == (6, 2)
    assert store.collect().blobs == []
    store.references.remove(A)
    freed = store.collect()
    assert counts(store) == (3, 1)
    assert (len(freed.blobs), len(freed.layers)) == (3, 1)
    assert freed.size > len(TOP)
    store.references.remove(B)
    store.collect()
    assert counts(store) == (0, 0)
    load(store, [BASE, TOP], "a")
    assert counts(store) == (4, 2)


def test_layers_under_a_snapshot_stay(store: Store) -> None:
    image = load(store, [BASE, TOP], "a")
    chain = store.images.resolve(image.target).chain_id
    store.snapshots.prepare("c", chain)
    store.references.remove(A)
    store.collect()
    assert counts(store) == (0, 2)
    assert store.snapshots.changes("c") == []
    store.snapshots.remove("c")
    store.collect()
    assert counts(store) == (0, 0)


def test_roots_of_the_caller_stay(store: Store) -> None:
    image = load(store, [BASE], "a")
    store.content.put(b"single")
    store.references.remove(A)
    store.collect(lambda: [image.target, Digest.of(b"single")])
    assert counts(store) == (4, 1)
    store.collect()
    assert counts(store) == (0, 0)


def test_what_comes_under_a_lease_stays_until_its_end(store: Store) -> None:
    with store.lease():
        store.content.put(b"blob")
        target = put(store, [BASE, TOP])
        store.images.unpack(store.images.resolve(target))
        store.collect()
        assert counts(store) == (5, 2)
    store.collect()
    assert counts(store) == (0, 0)


def test_what_is_found_under_a_lease_stays_with_all_it_needs(store: Store) -> None:
    target = put(store, [BASE, TOP])
    with store.lease():
        assert store.content.exists(target.id)
        store.collect()
        assert counts(store)[0] == 4
        store.references.set(A, target)
    store.collect()
    assert counts(store)[0] == 4


def test_a_missing_or_damaged_image_stops_nothing(store: Store) -> None:
    target = put(store, [BASE])
    store.references.set(A, target)
    store.content.delete(target.id)
    store.collect()
    assert counts(store) == (0, 0)
    assert store.references.get(A) == target


def test_a_removed_layer_can_come_again(store: Store) -> None:
    image = store.images.resolve(put(store, [BASE]))
    store.images.unpack(image)
    assert image.chain_id is not None
    store.layers.remove(image.chain_id)
    with pytest.raises(NotFound):
        store.layers.get(image.chain_id)
    with pytest.raises(NotFound):
        store.snapshots.prepare("x", image.chain_id)
    store.images.unpack(image)
    store.snapshots.prepare("x", image.chain_id)


def test_collecting_beside_loads_and_removals(store: Store) -> None:
    """Nothing that got a name is ever missing a part."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def collect() -> None:
        try:
            while not stop.is_set():
                store.collect()
        except BaseException as error:
            failures.append(error)

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for turn in range(15):
            image = load(store, LAYERS[: 1 + turn % 6], "a")
            resolved = store.images.resolve(store.references.get(A))
            assert store.images.is_unpacked(resolved)
            store.snapshots.prepare(f"s{turn}", resolved.chain_id)
            for blob in store.images.blobs(image.target):
                assert store.content.verify(blob.id)
            store.references.remove(A)
            assert store.snapshots.changes(f"s{turn}") == []
            store.snapshots.remove(f"s{turn}")
    finally:
        stop.set()
        collector.join()
    assert failures == []
    store.collect()
    assert counts(store) == (0, 0)
    assert sha(BASE)
