import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lodge.errors import Corrupt, NotFound
from lodge.spec.descriptor import OCI_INDEX, OCI_MANIFEST, Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import chain_ids
from lodge.spec.platform import Platform, host
from lodge.store import Store
from lodge.store.images import ResolvedImage
from tests.unit.archive.making import entry, tar
from tests.unit.store.making import BASE, TOP, config, descriptor, index, oci_manifest, sha

LAYERS = [tar(entry(f"f{n}", os.urandom(2000))) for n in range(6)]


def put(store: Store, layers: list[bytes], **fields: object) -> Descriptor:
    """Bring an image as a pull would, blob by blob, without unpacking."""
    manifest, blobs = oci_manifest(layers, **fields)
    for data in blobs.values():
        store.content.put(data)
    return Descriptor(media_type=OCI_MANIFEST, digest=sha(manifest), size=len(manifest))


def test_resolve_reads_all_there_is(store: Store) -> None:
    target = put(store, [BASE, TOP])
    image = store.images.resolve(target)
    assert image.target == image.manifest_descriptor == target
    assert image.config_digest == sha(config([BASE, TOP]))
    assert list(image.chain_ids) == chain_ids([sha(BASE), sha(TOP)])
    assert image.chain_id == image.chain_ids[-1]
    assert image.compressed_size == target.size + len(config([BASE, TOP])) + len(BASE) + len(TOP)
    assert [blob.digest for blob in store.images.blobs(target)] == [image.config_digest, sha(BASE), sha(TOP)]
    assert store.images.resolve(target) is image


def test_unpack_makes_each_layer_once(store: Store) -> None:
    image = store.images.resolve(put(store, LAYERS))
    assert not store.images.is_unpacked(image)
    assert store.images.layer_sizes(image) == [len(layer) for layer in LAYERS]
    told: list[str] = []
    assert store.images.unpack(image, lambda _, status: told.append(status)) == image.chain_id
    assert told.count("Pull complete") == told.count("Extracting") == len(LAYERS)
    assert store.images.is_unpacked(image)
    assert store.images.layer_sizes(image) == [2000] * len(LAYERS)
    assert [layer.chain for layer in store.layers.stack(image.chain_id)] == list(reversed(image.chain_ids))
    told.clear()
    store.images.unpack(image, lambda _, status: told.append(status))
    assert told == []


def test_callers_at_the_same_time_share_the_work(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [store.images.resolve(put(store, LAYERS[:n])) for n in (2, 4, 6, 6, 6)]
    count = 0
    lock = threading.Lock()
    real = store.layers.stage

    def stage() -> object:
        nonlocal count
        with lock:
            count += 1
        return real()

    monkeypatch.setattr(store.layers, "stage", stage)
    with ThreadPoolExecutor(5) as pool:
        done = list(pool.map(store.images.unpack, images))
    assert done == [image.chain_id for image in images]
    assert count == len(LAYERS)


def test_a_failure_is_told_to_each_and_mended_by_the_next(store: Store) -> None:
    target = put(store, LAYERS)
    image = store.images.resolve(target)
    missing = Digest(sha(LAYERS[3]))
    store.content.delete(missing)

    def outcome(_: int) -> str:
        try:
            store.images.unpack(image)
        except NotFound as error:
            return str(error)
        return "done"

    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(outcome, range(3))) == {f"content {missing} not found"}
    assert store.layers.exists(image.chain_ids[2])
    store.content.put(LAYERS[3])
    assert store.images.unpack(image) == image.chain_id
    store.trash.wait()
    assert os.listdir(os.path.join(store.root, "layers", ".staging")) == []


def test_a_layer_that_is_not_its_diff_id_is_refused(store: Store) -> None:
    target = put(store, [BASE], rootfs={"type": "layers", "diff_ids": [sha(TOP)]})
    with pytest.raises(Corrupt, match="has the digest"):
        store.images.unpack(store.images.resolve(target))
    assert list(store.layers.walk()) == []


def test_configurations_and_manifests_must_agree(store: Store) -> None:
    target = put(store, [BASE, TOP], rootfs={"type": "layers", "diff_ids": [sha(BASE)]})
    with pytest.raises(Corrupt, match="2 layers, the configuration 1"):
        store.images.resolve(target)


def _index(store: Store, *entries: dict[str, object]) -> Descriptor:
    data = index(*entries)
    store.content.put(data)
    return Descriptor(media_type=OCI_INDEX, digest=sha(data), size=len(data))


def test_platforms_are_chosen(store: Store) -> None:
    mine, other = put(store, [BASE]), put(store, [BASE, TOP], architecture="s390x")
    absent = {"mediaType": OCI_MANIFEST, "digest": sha(b"not here"), "size": 3}
    target = _index(
        store,
        {**absent, "platform": {"architecture": "riscv64", "os": "linux"}},
        {"mediaType": OCI_MANIFEST, "digest": other.digest, "size": other.size},
        {"mediaType": OCI_MANIFEST, "digest": mine.digest, "size": mine.size},
    )
    assert _chosen(store.images.resolve(target)) == mine.digest
    assert _chosen(store.images.resolve(target, Platform.parse("linux/s390x"))) == other.digest
    assert _chosen(store.images.resolve(target, host())) == mine.digest
    with pytest.raises(NotFound, match="no match for platform"):
        store.images.resolve(target, Platform.parse("windows/amd64"))
    with pytest.raises(NotFound, match="not found"):
        store.images.resolve(target, Platform.parse("linux/riscv64"))
    with pytest.raises(NotFound, match="not the platform"):
        store.images.resolve(mine, Platform.parse("linux/s390x"))


def _chosen(image: ResolvedImage) -> str:
    return image.manifest_descriptor.digest


def test_nested_indexes_have_an_end(store: Store) -> None:
    mine = put(store, [BASE])
    target = Descriptor(media_type=OCI_MANIFEST, digest=mine.digest, size=mine.size)
    for _ in range(4):
        target = _index(store, {"mediaType": target.media_type, "digest": target.digest, "size": target.size})
    assert _chosen(store.images.resolve(target)) == mine.digest
    target = _index(store, {"mediaType": target.media_type, "digest": target.digest, "size": target.size})
    with pytest.raises(Corrupt, match="nested too deeply"):
        store.images.resolve(target)


def test_describe_tells_documents_from_other_blobs(store: Store) -> None:
    target = put(store, [BASE])
    top = _index(store, descriptor(OCI_MANIFEST, b"x"))
    assert store.images.describe(target.id) == target
    assert store.images.describe(top.id) == top
    assert store.images.describe(Digest(sha(BASE))) is None
    assert store.images.describe(Digest(sha(config([BASE])))) is None
    assert store.images.describe(Digest(sha(b"gone"))) is None


def test_import_and_unpack_of_a_zstd_layer_that_is_a_bomb_stays_small(store: Store) -> None:
    zeros = tar(entry("zeros", bytes(64 << 20)))
    target = store.archives.import_tar(io.BytesIO(zeros))
    assert store.images.layer_sizes(store.images.resolve(target)) == [64 << 20]
