import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lodge.errors import Corrupt, LodgeError
from lodge.spec.descriptor import OCI_INDEX, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST
from lodge.spec.platform import Platform, host
from lodge.store import Store
from tests.unit.archive.making import Dribble, entry, tar
from tests.unit.store.making import (
    BASE,
    TOP,
    config,
    descriptor,
    docker_archive,
    index,
    oci_archive,
    oci_manifest,
    sha,
)

BUSYBOX = "docker.io/library/busybox:latest"
PACK = {
    "none": (lambda data: data, OCI_LAYER),
    "gzip": (gzip.compress, OCI_LAYER_GZIP),
    "zstd": (zstandard.ZstdCompressor().compress, OCI_LAYER_ZSTD),
}


def shown(store: Store, name: str) -> dict[str, str]:
    """The files of an image, as its copy shows them."""
    resolved = store.images.resolve(store.references.get(name))
    key = f"look-{len(store.snapshots.walk())}"
    store.snapshots.prepare(key, resolved.chain_id)
    root = Path(store.snapshots.mounts(key)[0].source)
    found = {
        str(path.relative_to(root)): os.readlink(path) if path.is_symlink() else path.read_text()
        for path in root.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }
    store.snapshots.remove(key)
    return found


MERGED = {"etc/b": "bb", "etc/c": "ccc", "opt/tool": "#!", "opt/more": "more", "hard": "#!", "link": "etc/a"}


@pytest.mark.parametrize("outer", ["none", "gzip", "zstd", "bzip2", "xz"])
def test_docker_archives_in_every_wrapping(store: Store, outer: str) -> None:
    data = docker_archive([BASE, TOP], ["busybox:latest", "user/app:1"])
    pack = {"bzip2": bz2.compress, "xz": lzma.compress}.get(outer) or PACK[outer][0]
    loaded = store.archives.load(io.BytesIO(pack(data)))
    assert [image.names for image in loaded] == [[BUSYBOX, "docker.io/user/app:1"]]
    assert loaded[0].config_digest == sha(config([BASE, TOP]))
    assert shown(store, BUSYBOX) == MERGED


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("inner", PACK)
def test_layers_in_every_wrapping_and_order(store: Store, inner: str, first: bool) -> None:
    pack, media_type = PACK[inner]
    data = docker_archive([BASE, TOP], ["busybox"], packed=[pack(BASE), pack(TOP)], first=first)
    store.archives.load(Dribble(data, sizes=(3000, 77)))
    resolved = store.images.resolve(store.references.get(BUSYBOX))
    assert [layer.media_type for layer in resolved.manifest.layers] == [media_type] * 2
    assert [layer.digest for layer in resolved.manifest.layers] == [sha(pack(BASE)), sha(pack(TOP))]
    assert shown(store, BUSYBOX) == MERGED


def test_loading_twice_gives_the_same_and_makes_nothing_new(store: Store) -> None:
    data = docker_archive([BASE, TOP], ["busybox"])
    first = store.archives.load(io.BytesIO(data))
    blobs = sorted(store.content.walk())
    assert store.archives.load(io.BytesIO(data)) == first
    assert sorted(store.content.walk()) == blobs
    assert len(list(store.layers.walk())) == 2


@pytest.mark.parametrize("inner", PACK)
def test_layers_are_unpacked_while_they_arrive_and_only_then(
    store: Store, inner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a layer was read again from its blob")

    monkeypatch.setattr(store.images, "_extract", never)
    pack = PACK[inner][0]
    data = docker_archive([BASE, TOP], ["busybox"], packed=[pack(BASE), pack(TOP)])
    store.archives.load(io.BytesIO(data))
    assert shown(store, BUSYBOX) == MERGED


def test_layers_are_shared_between_images(store: Store) -> None:
    store.archives.load(io.BytesIO(docker_archive([BASE], ["base"])))
    store.archives.load(io.BytesIO(docker_archive([BASE, TOP], ["top"])))
    store.archives.load(io.BytesIO(docker_archive([BASE, TOP, TOP], ["twice"])))
    assert len(list(store.layers.walk())) == 3
    assert shown(store, "docker.io/library/twice:latest") == MERGED


def test_an_oci_layout_with_names_and_platforms(store: Store) -> None:
    mine, blobs = oci_manifest([BASE, TOP])
    other, more = oci_manifest([BASE], architecture="s390x" if host().architecture != "s390x" else "amd64")
    blobs |= more
    multi = index(
        descriptor(OCI_MANIFEST, other, platform={"architecture": "s390x", "os": "linux"}),
        descriptor(OCI_MANIFEST, mine, platform={"architecture": host().architecture, "os": "linux"}),
        descriptor(
            OCI_MANIFEST,
            b"attestation",
            platform={"architecture": "unknown", "os": "unknown"},
            annotations={"vnd.docker.reference.type": "attestation-manifest"},
        ),
    )
    blobs[sha(multi)] = multi
    top = index(
        descriptor(
            OCI_INDEX,
            multi,
            annotations={"io.containerd.image.name": BUSYBOX, "org.opencontainers.image.ref.name": "latest"},
        ),
        descriptor(OCI_MANIFEST, mine, annotations={"org.opencontainers.image.ref.name": "bare-tag"}),
    )
    loaded = store.archives.load(io.BytesIO(oci_archive(top, blobs)))
    assert [image.names for image in loaded] == [[BUSYBOX], []]
    assert store.references.get(BUSYBOX).digest == sha(multi)
    assert store.references.get(sha(mine)).media_type == OCI_MANIFEST
    assert shown(store, BUSYBOX) == MERGED
    target = store.references.get(BUSYBOX)
    assert len(store.images.manifests(target)) == 2
    if host().architecture != "s390x":
        other_image = store.images.resolve(target, Platform.parse("linux/s390x"))
        assert len(other_image.chain_ids) == 1
        store.images.unpack(other_image)


def test_an_index_without_this_platform_still_loads(store: Store) -> None:
    other, blobs = oci_manifest([BASE], architecture="riscv64")
    top = index(
        descriptor(
            OCI_MANIFEST,
            other,
            platform={"architecture": "riscv64", "os": "linux"},
            annotations={"io.containerd.image.name": BUSYBOX},
        )
    )
    store.archives.load(io.BytesIO(oci_archive(top, blobs)))
    assert store.images.resolve(store.references.get(BUSYBOX)).config.architecture == "riscv64"


def test_docker_25_names_come_from_both_documents(store: Store) -> None:
    mine, blobs = oci_manifest([BASE])
    top = index(descriptor(OCI_MANIFEST, mine))
    manifest = json.dumps(
        [{"Config": "blobs/" + sha(config([BASE])).replace(":", "/"), "RepoTags": ["x:1"], "Layers": []}]
    )
    data = oci_archive(top, blobs, **{"manifest.json": manifest.encode()})
    assert store.archives.load(io.BytesIO(data))[0].names == ["docker.io/library/x:1"]


def test_links_to_layers_of_old_archives(store: Store) -> None:
    raw = config([BASE, BASE])
    manifest = [{"Config": "c.json", "RepoTags": ["x"], "Layers": ["one/layer.tar", "two/layer.tar"]}]
    data = tar(
        entry("one/layer.tar", BASE),
        entry("two/layer.tar", "../one/layer.tar", "link"),
        entry("c.json", raw),
        entry("manifest.json", json.dumps(manifest).encode()),
    )
    store.archives.load(io.BytesIO(data))
    assert len(list(store.layers.walk())) == 2


def test_an_image_without_layers_and_one_with_empty_layers(store: Store) -> None:
    store.archives.load(io.BytesIO(docker_archive([], ["scratch"])))
    assert store.images.resolve(store.references.get("docker.io/library/scratch:latest")).chain_id is None
    empty = bytes(1024)
    store.archives.load(io.BytesIO(docker_archive([empty, empty], ["empty"])))
    assert shown(store, "docker.io/library/empty:latest") == {}


def test_a_moved_name_leaves_the_old_image_behind(store: Store) -> None:
    old = store.archives.load(io.BytesIO(docker_archive([BASE], ["busybox"])))[0]
    new = store.archives.load(io.BytesIO(docker_archive([BASE, TOP], ["busybox"])))[0]
    assert store.references.list() == {BUSYBOX: new.target, old.target.digest: old.target}


def test_an_unnamed_image_is_kept_by_its_digest(store: Store) -> None:
    image = store.archives.load(io.BytesIO(docker_archive([BASE], None)))[0]
    assert image.names == []
    assert store.references.list() == {image.target.digest: image.target}


def test_directories_that_a_layer_leaves_out_look_as_below(store: Store) -> None:
    store.archives.load(io.BytesIO(docker_archive([BASE, TOP], ["busybox"])))
    chain = store.images.resolve(store.references.get(BUSYBOX)).chain_id
    assert chain is not None
    top = Path(store.layers.lower_directories(chain)[0])
    assert (top / "opt").stat().st_mode & 0o777 == 0o711
    assert (top / "opt").stat().st_mtime == 1_000_000
    assert (top / "hard").read_text() == "#!"
    assert (top / "hard").stat().st_mode & 0o777 == 0o755


def manifest(text: str, *more: tuple[tarfile.TarInfo, bytes]) -> bytes:
    return tar(entry("manifest.json", text.encode()), *more)


def rootfs(layer: bytes) -> dict[str, object]:
    return {"type": "layers", "diff_ids": [sha(layer)]}


MARKED = entry("f", pax_headers={"SCHILY.xattr.trusted.overlay.redirect": "/etc"})
CONFIG = entry("c.json", config([BASE]))
GONE = {"mediaType": OCI_MANIFEST, "digest": sha(b"gone"), "size": 3}
BAD = {
    "nothing": b"",
    "no archive": b"hello world" * 100,
    "a root file system": BASE,
    "manifest of another shape": manifest("{}"),
    "manifest names what is not there": manifest('[{"Config":"x.json","Layers":[]}]'),
    "a layer is missing": manifest('[{"Config":"c.json","Layers":["l.tar"]}]', CONFIG),
    "fewer layers than the configuration says": docker_archive([BASE, TOP], ["x"], rootfs=rootfs(BASE)),
    "another layer than the configuration says": docker_archive([BASE], ["x"], rootfs=rootfs(TOP)),
    "a layer that leaves its root": docker_archive([tar(entry("../evil", b"x" * 600))], ["x"]),
    "a layer that is damaged": docker_archive([BASE[:1000] + b"\xff" * 600], ["x"]),
    "a layer that is cut off": docker_archive([BASE[:1600]], ["x"]),
    "a hard link to nowhere": docker_archive([tar(entry("h", "gone", "hard"))], ["x"]),
    "an overlay mark": docker_archive([tar(MARKED)], ["x"]),
    "an invalid name": docker_archive([BASE], ["UPPER CASE"]),
    "a path as a digest": oci_archive(index({**GONE, "digest": "sha256:../../x"}), {}),
    "a blob that is not its name": oci_archive(index(), {sha(b"x"): b"y" * 5000}),
    "a large blob that is not its name": oci_archive(index(), {sha(b"x"): BASE}),
    "an empty index": oci_archive(index(), {}),
    "an index of what is missing": oci_archive(index(GONE), {}),
    "two kinds at once": oci_archive(b'{"schemaVersion":2,"manifests":[],"layers":[]}', {}),
    "a truncated archive": docker_archive([BASE], ["x"])[:2000],
    "a truncated gzip": gzip.compress(docker_archive([BASE], ["x"]))[:-50],
}


@pytest.mark.parametrize("name", BAD)
def test_bad_archives_are_refused_and_leave_nothing(store: Store, name: str) -> None:
    with pytest.raises(LodgeError) as caught:
        store.archives.load(io.BytesIO(BAD[name]))
    assert str(caught.value)
    assert store.references.list() == {}
    store.collect()
    store.trash.wait()
    assert list(store.content.walk()) == []
    assert list(store.layers.walk()) == []
    assert os.listdir(os.path.join(store.root, "layers", ".staging")) == []
    assert os.listdir(os.path.join(store.root, "content", "ingest")) == []
    assert os.listdir(os.path.join(store.root, "l")) == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damaged_archives_are_refused_or_loaded(store: Store, data: st.DataObject) -> None:
    good = bytearray(docker_archive([BASE, TOP], ["busybox"]))
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        store.archives.load(io.BytesIO(bytes(good)))
    except (LodgeError, OSError):
        return


def test_archives_that_only_fill_the_memory_are_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lodge.store.archives.load._DOCUMENTS_CAP", 4 << 20)

    class Endless:
        """Members without end: small documents, and links with long names."""

        def __init__(self, *members: bytes) -> None:
            self.members = members

        def read(self, size: int, /) -> bytes:
            return b"".join(self.members) * 100

    document = tar(entry("x" * 90, b"{}"))[:1024]
    link = tar(entry("l" * 90, "t" * 90, "link"))[:512]
    for endless in (Endless(document), Endless(link), Endless(document, link)):
        with pytest.raises(Corrupt, match="too many members"):
            store.archives.load(endless)


def test_many_layers_take_few_descriptors(store: Store) -> None:
    import resource

    layers = [tar(entry(f"f{n}", b"x" * 600)) for n in range(60)]
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 40, before[1]))
    try:
        store.archives.load(io.BytesIO(docker_archive(layers, ["busybox"])))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(shown(store, BUSYBOX)) == 60


def test_progress_is_told(store: Store) -> None:
    seen: list[tuple[str, int, int]] = []
    big = tar(entry("f", os.urandom(1 << 20)))
    store.archives.load(io.BytesIO(docker_archive([big], ["x"])), lambda *told: seen.append(told))
    assert seen[-1][1:] == (len(big), len(big))


def test_corrupt_is_what_a_wrong_layer_is(store: Store) -> None:
    with pytest.raises(Corrupt, match="diff ID"):
        store.archives.load(io.BytesIO(BAD["another layer than the configuration says"]))
