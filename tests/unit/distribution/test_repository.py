import json

import pytest

from lodge.distribution.registries import Places, Registries
from lodge.distribution.transport import Broken
from lodge.errors import Corrupt, NotFound
from lodge.spec.descriptor import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from lodge.spec.digest import Digest
from lodge.spec.image import MANIFEST_CAP
from lodge.spec.reference import Reference
from tests.registries.scripted import Scripted, Told, sha

DATA = bytes(range(256)) * 40


@pytest.fixture
def places(registry: Scripted, registries: Registries) -> Places:
    return registries.repository(Reference.parse(f"{registry.address}/a/b"))


def test_manifest_by_tag_and_digest(registry: Scripted, places: Places) -> None:
    data = b'{"schemaVersion":2,"layers":[]}'
    digest = registry.add("a/b", "v1", data, DOCKER_MANIFEST)
    found = places.manifest("v1")
    assert (found.data, found.descriptor.media_type, found.descriptor.digest) == (
        data,
        DOCKER_MANIFEST,
        digest,
    )
    assert places.manifest(digest).data == data
    told = places.resolve("v1")
    assert told is not None
    assert (told.digest, told.size) == (digest, len(data))


def test_a_manifest_that_is_another(registry: Scripted, places: Places) -> None:
    registry.add("a/b", "v1", b"{}")
    registry.manifests["a/b", sha(b"x")] = (OCI_MANIFEST, b"{}")
    with pytest.raises(Corrupt, match="manifest verification failed"):
        places.manifest(sha(b"x"))
    registry.rules = [lambda asked: Told(200, b"{}", {"Docker-Content-Digest": sha(b"y")})]
    with pytest.raises(Corrupt, match="manifest verification failed"):
        places.manifest("v1")
    registry.rules = [lambda asked: Told(200, b"{}", {"Docker-Content-Digest": "sha256:../../etc"})]
    with pytest.raises(Corrupt, match="invalid digest"):
        places.manifest("v1")


def test_a_manifest_without_end(registry: Scripted, places: Places) -> None:
    registry.add("a/b", "v1", b" " * (MANIFEST_CAP + 1))
    with pytest.raises(Corrupt, match="larger than 4 MiB"):
        places.manifest("v1")


def test_what_it_is_says_the_document_when_the_header_does_not(registry: Scripted, places: Places) -> None:
    cases = (
        (json.dumps({"manifests": []}), OCI_INDEX),
        (json.dumps({"mediaType": DOCKER_MANIFEST}), DOCKER_MANIFEST),
        (json.dumps({"schemaVersion": 1}), "application/vnd.docker.distribution.manifest.v1+prettyjws"),
    )
    for text, media_type in cases:
        registry.add("a/b", "v1", text.encode(), "text/plain")
        assert places.manifest("v1").descriptor.media_type == media_type
    registry.add("a/b", "v1", b"<html>", "text/html")
    with pytest.raises(Corrupt, match="instead of a manifest"):
        places.manifest("v1")


def test_blob_whole_and_in_part(registry: Scripted, places: Places) -> None:
    digest = Digest(registry.blob(DATA))
    with places.blob(digest, len(DATA)) as stream:
        assert b"".join(iter(lambda: stream.read(1000), b"")) == DATA
        assert stream.ranged
    with places.blob(digest, len(DATA), start=100, end=300) as stream:
        assert stream.start == 100
        assert b"".join(iter(lambda: stream.read(1000), b"")) == DATA[100:300]
    registry.ranges = False
    with places.blob(digest, len(DATA), start=100) as stream:
        assert (stream.start, stream.ranged) == (0, False)


def test_a_blob_of_another_size(registry: Scripted, places: Places) -> None:
    digest = Digest(registry.blob(DATA))
    with pytest.raises(Corrupt, match="announces"):
        places.blob(digest, 5)
    registry.rules = [lambda asked: Told(206, DATA[:5], {"Content-Range": "bytes 0-4/9"})]
    with pytest.raises(Corrupt, match="another part"):
        places.blob(digest, len(DATA), start=3)
    registry.rules = [lambda asked: Told(206, DATA[:5], {"Content-Range": "nonsense"})]
    with pytest.raises(Corrupt, match="Content-Range"):
        places.blob(digest, len(DATA), start=3)


def test_a_blob_that_ends_early(registry: Scripted, places: Places) -> None:
    digest = Digest(registry.blob(DATA))
    registry.cuts = [10]
    with places.blob(digest, len(DATA)) as stream, pytest.raises(Broken):
        list(iter(lambda: stream.read(1000), b""))


def test_tags_come_in_pages(registry: Scripted, places: Places) -> None:
    for tag in ("a", "b", "c", "d", "e"):
        registry.add("a/b", tag, b"{}")
    assert list(places.tags()) == ["a", "b", "c", "d", "e"]
    assert len(registry.of("GET", "tags")) == 3


def test_pages_do_not_lead_elsewhere(registry: Scripted, other: Scripted, places: Places) -> None:
    link = f'<http://{other.address}/v2/a/b/tags/list>; rel="next"'
    registry.rules = [lambda asked: Told(200, b'{"tags":["x"]}', {"Link": link})]
    assert list(places.tags()) == ["x"]
    assert other.asked == []


def test_referrers_by_call_and_by_tag(registry: Scripted, places: Places) -> None:
    subject = Digest(sha(b"subject"))
    entry = {"mediaType": OCI_MANIFEST, "digest": sha(b"sbom"), "size": 4, "artifactType": "text/spdx"}
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).encode()
    assert places.referrers(subject) == []
    registry.add("a/b", f"sha256-{subject.hex}", index, OCI_INDEX)
    assert [one.digest for one in places.referrers(subject)] == [sha(b"sbom")]
    assert places.referrers(subject, "other/type") == []
    registry.rules = [
        lambda asked: Told(200, index, {"Content-Type": OCI_INDEX}) if "referrers" in asked.path else None
    ]
    assert [one.artifact_type for one in places.referrers(subject, "text/spdx")] == ["text/spdx"]


def test_mirrors_are_passed_over_for_what_they_lack(registry: Scripted, places: Places) -> None:
    with pytest.raises(NotFound):
        places.manifest("none")
