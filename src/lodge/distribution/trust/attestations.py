"""What is said of an image beside its signature: what is in it (SBOM), how it was built (provenance). Blocks.

BuildKit puts in-toto statements into the image's index, unsigned; cosign signs them in envelopes, at the tag
`sha256-<hex>.att` or among what refers to the image. All are listed alike; whether one is signed is for
`verified`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from lodge.distribution.inspecting import read_blob
from lodge.distribution.registries import Places
from lodge.distribution.repository import RemoteManifest
from lodge.distribution.trust import forms, keys
from lodge.distribution.trust.finding import optional
from lodge.errors import Corrupt, LodgeError
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest

_log = logging.getLogger(__name__)
_REFERENCE_TYPE = "vnd.docker.reference.type"
_REFERENCE_DIGEST = "vnd.docker.reference.digest"
_PREDICATE = "in-toto.io/predicate-type"
_STATEMENT = "application/vnd.in-toto+json"
_ENVELOPE = "application/vnd.dsse.envelope.v1+json"
_LARGEST = 128 << 20
_MOST = 100
_KINDS = (("spdx", "sbom"), ("cyclonedx", "sbom"), ("slsa.dev/provenance", "provenance"), ("/sbom", "sbom"))


class Attestation(Struct, frozen=True, kw_only=True):
    """One statement about the manifest `subject`. `blob` is where it lies; `envelope` says that it is signed.

    `kind` is "sbom", "provenance" or "".
    """

    predicate: str
    kind: str
    subject: str
    blob: Descriptor
    envelope: bool
    source: str


def kind_of(predicate: str) -> str:
    """What a predicate type stands for, in the words that people use."""
    return next((kind for word, kind in _KINDS if word in predicate.lower()), "")


def attestations(places: Places, top: RemoteManifest) -> list[Attestation]:
    """All statements about an image and about the images of an index. What can't be read is passed over."""
    found = [*_of_index(places, top)] if top.descriptor.is_index else []
    digest = top.descriptor.id
    found += _of_tag(places, digest)
    found += _of_referrers(places, digest)
    return found[:_MOST]


def _of_index(places: Places, top: RemoteManifest) -> Iterator[Attestation]:
    for entry in top.index().manifests[:_MOST]:
        notes = entry.annotations or {}
        if notes.get(_REFERENCE_TYPE) == "attestation-manifest" and entry.is_manifest:
            try:
                manifest = places.manifest(entry.digest)
            except LodgeError as error:
                _log.warning("the attestation %s is passed over: %s", entry.digest, error)
                continue
            yield from _of_layers(manifest, notes.get(_REFERENCE_DIGEST, ""), "index")


def _of_tag(places: Places, digest: Digest) -> Iterator[Attestation]:
    tag = f"{digest.algorithm}-{digest.hex}.att"
    manifest = optional(places, tag)
    if manifest is not None:
        yield from _of_layers(manifest, digest, tag)


def _of_referrers(places: Places, digest: Digest) -> Iterator[Attestation]:
    for entry in places.referrers(digest)[:_MOST]:
        try:
            yield from _of_layers(places.manifest(entry.digest), digest, entry.digest)
        except LodgeError as error:
            _log.warning("the attestation %s is passed over: %s", entry.digest, error)


def _of_layers(manifest: RemoteManifest, subject: str, source: str) -> Iterator[Attestation]:
    read = manifest.manifest()
    for layer in read.layers[:_MOST]:
        notes = {**(read.annotations or {}), **(layer.annotations or {})}
        predicate = notes.get(_PREDICATE) or notes.get("predicateType") or ""
        predicate = predicate or notes.get("dev.sigstore.bundle.predicateType", "")
        if predicate == "https://sigstore.dev/cosign/sign/v1":
            continue  # a signature
        bundle = layer.media_type in forms.BUNDLE_TYPES
        if layer.media_type in (_STATEMENT, _ENVELOPE) or (bundle and predicate):
            yield Attestation(
                predicate=predicate, kind=kind_of(predicate), subject=subject, blob=layer,
                envelope=layer.media_type != _STATEMENT, source=source,
            )  # fmt: skip


def statement(places: Places, attestation: Attestation) -> dict[str, Any]:
    """The in-toto statement of an attestation. Raises Corrupt."""
    return _open(places, attestation)[0]


def verified(places: Places, attestation: Attestation, public: list[Any]) -> bool:
    """Whether one of these keys signed it, and it is about the image that it was found beside."""
    if not attestation.envelope:
        return False
    document, signed, signature = _open(places, attestation)
    if not any(keys.verifies(key, signature, signed) for key in public):
        return False
    try:
        about = [f"{name}:{value}" for one in document["subject"] for name, value in one["digest"].items()]
    except (KeyError, TypeError, AttributeError):
        return False
    return attestation.subject in about


def _open(places: Places, attestation: Attestation) -> tuple[dict[str, Any], bytes, bytes]:
    if attestation.blob.size > _LARGEST:
        raise Corrupt(f"{attestation.blob.digest}: larger than an attestation may be")
    data, signed, signature = read_blob(places, attestation.blob), b"", b""
    try:
        document = json.loads(data)
        if attestation.envelope:
            signed, data, signature = forms.envelope(document.get("dsseEnvelope", document))
            document = json.loads(data)
        if not isinstance(document, dict):
            raise Corrupt(f"{attestation.blob.digest}: no statement")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise Corrupt(f"{attestation.blob.digest}: a malformed attestation: {error!r}") from None
    return document, signed, signature
