import io
import json
import os
import tarfile

import pytest

from lodge.errors import NotFound
from lodge.spec.descriptor import OCI_INDEX, OCI_MANIFEST, Descriptor
from lodge.spec.digest import Digest
from lodge.spec.platform import Platform, host
from lodge.store import Store
from tests.unit.archive.making import entry, tar
from tests.unit.store.making import BASE, TOP, config, docker_archive, index, members, sha
from tests.unit.store.test_images import put

A, B = "docker.io/library/a:latest", "example.com/b:1"


def saved(store: Store, *wanted: tuple[Descriptor, list[str]], platform: Platform | None = None) -> bytes:
    out: list[bytes] = []
    store.archives.save(list(wanted), out.append, platform)
    return b"".join(out)


def test_one_archive_for_both_worlds(store: Store) -> None:
    target = store.archives.load(io.BytesIO(docker_archive([BASE, TOP], ["a", "example.com/b:1"])))[0].target
    data = saved(store, (target, [A, B]))
    found = members(data)
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    top = json.loads(found["index.json"])
    assert [each["digest"] for each in top["manifests"]] == [target.digest, target.digest]
    assert top["manifests"][0]["annotations"] == {
        "io.containerd.image.name": A,
        "org.opencontainers.image.ref.name": "latest",
    }
    manifest = json.loads(found["manifest.json"])
    assert manifest == [
        {
            "Config": "blobs/" + sha(config([BASE, TOP])).replace(":", "/"),
            "RepoTags": ["a:latest", "example.com/b:1"],
            "Layers": ["blobs/" + sha(layer).replace(":", "/") for layer in (BASE, TOP)],
        }
    ]
    assert json.loads(found["repositories"]) == {
        "a": {"latest": Digest(sha(TOP)).hex},
        "example.com/b": {"1": Digest(sha(TOP)).hex},
    }
    for path, content in found.items():
        if path.startswith("blobs/sha256/"):
            assert sha(content) == "sha256:" + path.removeprefix("blobs/sha256/")
    assert found[manifest[0]["Config"]] == config([BASE, TOP])
    assert saved(store, (target, [A, B])) == data


def test_what_is_saved_is_loaded(store: Store, tmp_path_factory: pytest.TempPathFactory) -> None:
    one = store.archives.load(io.BytesIO(docker_archive([BASE, TOP], ["a"])))[0]
    two = store.archives.load(io.BytesIO(docker_archive([BASE], None)))[0]
    data = saved(store, (one.target, [A]), (two.target, []))
    with Store(tmp_path_factory.mktemp("other"), snapshotter="copy") as other:
        again = other.archives.load(io.BytesIO(data))
        assert [(image.target.digest, image.names, image.config_digest) for image in again] == [
            (one.target.digest, [A], one.config_digest),
            (two.target.digest, [], two.config_digest),
        ]
        assert sorted(other.content.walk()) == sorted(store.content.walk())


def _multi(store: Store) -> tuple[Descriptor, Descriptor, Descriptor]:
    mine, other = put(store, [BASE]), put(store, [TOP, BASE], architecture="s390x")
    absent = Descriptor(media_type=OCI_MANIFEST, digest=sha(b"elsewhere"), size=9)
    data = index(
        *(
            {
                "mediaType": OCI_MANIFEST,
                "digest": each.digest,
                "size": each.size,
                "platform": {"architecture": architecture, "os": "linux"},
            }
            for each, architecture in ((mine, host().architecture), (other, "s390x"), (absent, "ppc64le"))
        )
    )
    store.content.put(data)
    return Descriptor(media_type=OCI_INDEX, digest=sha(data), size=len(data)), mine, other


def test_an_index_goes_with_all_its_platforms_that_are_here(store: Store) -> None:
    target, mine, other = _multi(store)
    found = members(saved(store, (target, [A])))
    for digest in (target.digest, mine.digest, other.digest, sha(BASE), sha(TOP)):
        assert "blobs/" + digest.replace(":", "/") in found
    assert json.loads(found["index.json"])["manifests"][0]["mediaType"] == OCI_INDEX


def test_one_platform_of_an_index(store: Store) -> None:
    target, mine, other = _multi(store)
    found = members(saved(store, (target, [A]), platform=Platform.parse("linux/s390x")))
    assert json.loads(found["index.json"])["manifests"][0]["digest"] == other.digest
    assert "blobs/" + mine.digest.replace(":", "/") not in found
    with pytest.raises(NotFound):
        saved(store, (target, [A]), platform=Platform.parse("windows/amd64"))


def test_a_missing_blob_is_said_before_the_first_byte(store: Store) -> None:
    target = put(store, [BASE])
    store.content.delete(Digest(sha(BASE)))
    out: list[bytes] = []
    with pytest.raises(NotFound):
        store.archives.save([(target, [A])], out.append)
    assert out == []


def test_a_writer_that_fails_is_heard(store: Store) -> None:
    def broken(_: bytes) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        store.archives.save([(put(store, [BASE]), [A])], broken)


def test_images_share_blobs_in_an_archive(store: Store) -> None:
    one, two = put(store, [BASE]), put(store, [BASE, TOP])
    with tarfile.open(fileobj=io.BytesIO(saved(store, (one, [A]), (two, [B])))) as archive:
        names = archive.getnames()
    assert len(names) == len(set(names))


def test_blobs_may_be_passed_on_unread(store: Store) -> None:
    large = tar(entry("big", os.urandom(100_000)))
    target = store.archives.load(io.BytesIO(docker_archive([BASE, large], ["a"])))[0].target
    out: list[bytes] = []
    passed: list[int] = []

    def send(file: int, size: int) -> None:
        passed.append(size)
        out.append(os.pread(file, size, 0))

    store.archives.save([(target, [A])], out.append, None, send)
    assert b"".join(out) == saved(store, (target, [A]))
    # The small ones are gathered.
    assert passed == [len(large)]
