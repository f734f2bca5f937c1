import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.registry import documents
from lodge.registry.refusals import Refusal
from tests.unit.registry.serving import INDEX, MANIFEST, digest_of, image_of

D = [digest_of(bytes([n])) for n in range(9)]


def read(value: object, declared: str = "") -> documents.Document:
    return documents.read(json.dumps(value).encode(), declared)


def test_what_a_manifest_needs() -> None:
    manifest = image_of(
        D[0], 3, b"one", b"two", b"one", subject={"mediaType": MANIFEST, "digest": D[5], "size": 1}
    )
    document = read(manifest, MANIFEST)
    assert document.blobs == (D[0], digest_of(b"one"), digest_of(b"two"))
    assert document.subject == D[5]
    assert document.artifact_type == "application/vnd.oci.image.config.v1+json"


def test_foreign_layers_are_not_needed() -> None:
    manifest = image_of(D[0], 3, b"one")
    manifest["layers"] += [  # type: ignore[operator]
        {
            "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "digest": D[1],
            "size": 1,
        },
        {"mediaType": "application/x", "digest": D[2], "size": 1, "urls": ["https://example.com/x"]},
    ]
    document = read(manifest, MANIFEST)
    assert document.blobs == (D[0], digest_of(b"one"))
    assert document.foreign == (D[1], D[2])


def test_an_index_needs_its_children() -> None:
    index = {"schemaVersion": 2, "manifests": [
        {"mediaType": MANIFEST, "digest": D[1], "size": 1}, {"mediaType": INDEX, "digest": D[2], "size": 1},
        {"mediaType": "application/x", "digest": D[3], "size": 1}]}  # fmt: skip
    document = read(index)
    assert document.media_type == INDEX
    assert (document.children, document.blobs) == ((D[1], D[2]), (D[3],))


@pytest.mark.parametrize(
    ("value", "declared"),
    [
        ([], ""),
        ({}, ""),
        ({"schemaVersion": 1, "config": {}}, ""),
        ({"schemaVersion": 2}, ""),
        ({"schemaVersion": 2, "manifests": []}, MANIFEST),
        ({**image_of(D[0], 1), "manifests": []}, ""),
        ({**image_of(D[0], 1), "mediaType": INDEX}, ""),
        (image_of(D[0], 1), INDEX),
        ({**image_of(D[0], 1), "mediaType": "application/x"}, ""),
        (image_of("sha256:../../../etc/passwd", 1), ""),
        (image_of(D[0], -1), ""),
    ],
)
def test_what_is_no_manifest(value: object, declared: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(value, declared)
    assert caught.value.code == "MANIFEST_INVALID"


def test_deep_json_and_broken_text_are_refused() -> None:
    for data in (
        b"[" * 1_000_000,
        b'{"schemaVersion":2,"x":' + b'{"a":' * 500_000,
        b"\xff\xfe",
        b"",
        b"null",
    ):
        with pytest.raises(Refusal):
            documents.read(data)


def test_many_layers_are_read_in_no_time() -> None:
    entry = {"mediaType": "application/x", "digest": D[1], "size": 1, "urls": ["u"]}
    manifest = {**image_of(D[0], 1), "layers": [entry] * 25_000}
    assert documents.read(json.dumps(manifest).encode()).foreign == (D[1],)


@given(st.binary(max_size=200))
def test_anything_is_read_or_refused(data: bytes) -> None:
    with pytest.raises(Refusal):
        documents.read(data)
