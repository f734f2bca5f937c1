import msgspec
import pytest

from lodge.errors import InvalidArgument
from lodge.spec import descriptor as words
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest
from lodge.spec.platform import Platform

DIGEST = Digest.of(b"x")


def test_json_has_the_names_of_the_specification() -> None:
    made = Descriptor(
        media_type=words.OCI_MANIFEST,
        digest=DIGEST,
        size=7,
        annotations={"a": "b"},
        platform=Platform(architecture="arm", os="linux", variant="v7", os_version="1"),
        artifact_type="x/y",
    )
    encoded = msgspec.json.decode(msgspec.json.encode(made))
    assert encoded == {
        "mediaType": words.OCI_MANIFEST,
        "digest": str(DIGEST),
        "size": 7,
        "annotations": {"a": "b"},
        "platform": {"architecture": "arm", "os": "linux", "variant": "v7", "os.version": "1"},
        "artifactType": "x/y",
    }
    assert msgspec.json.decode(msgspec.json.encode(made), type=Descriptor) == made


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        (words.OCI_INDEX, "index"),
        (words.DOCKER_INDEX, "index"),
        (words.OCI_MANIFEST, "manifest"),
        (words.DOCKER_MANIFEST, "manifest"),
        (words.OCI_CONFIG, "config"),
        (words.DOCKER_CONFIG, "config"),
        (words.OCI_LAYER, "layer"),
        (words.OCI_LAYER_GZIP, "layer"),
        (words.OCI_LAYER_ZSTD, "layer"),
        (words.DOCKER_LAYER_GZIP, "layer"),
        (words.DOCKER_LAYER_FOREIGN + ".gzip", "layer"),
        (words.OCI_LAYER_FOREIGN + "+gzip", "layer"),
        ("application/json", "none"),
    ],
)
def test_kinds_exclude_each_other(media_type: str, kind: str) -> None:
    made = Descriptor(media_type=media_type, digest=DIGEST, size=0)
    found = [name for name in ("index", "manifest", "config", "layer") if getattr(made, f"is_{name}")]
    assert found == ([] if kind == "none" else [kind])


def test_refuses_bad_digests_and_sizes_also_from_json() -> None:
    with pytest.raises(InvalidArgument):
        Descriptor(media_type="x", digest="sha256:..", size=0)
    with pytest.raises(ValueError, match="negative"):
        Descriptor(media_type="x", digest=DIGEST, size=-1)
    for text in (
        '{"mediaType":"x","digest":"sha256:../../x","size":1}',
        f'{{"mediaType":"x","digest":"{DIGEST}","size":-1}}',
        '{"mediaType":"x","size":1}',
    ):
        with pytest.raises((msgspec.ValidationError, InvalidArgument)):
            msgspec.json.decode(text, type=Descriptor)


def test_plain_is_only_the_pointer() -> None:
    made = Descriptor(media_type="x", digest=DIGEST, size=1, annotations={"a": "b"}, urls=("u",))
    assert made.plain() == Descriptor(media_type="x", digest=DIGEST, size=1)
    assert made.id == DIGEST
