"""The signatures that a registry has for a manifest: at cosign's tag, and among what refers to it. Blocks."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from lodge.distribution import answers
from lodge.distribution.inspecting import read_blob
from lodge.distribution.registries import Places
from lodge.distribution.repository import RemoteManifest
from lodge.distribution.trust import forms
from lodge.distribution.trust.material import Found, Signature
from lodge.errors import Corrupt, LodgeError
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest

_log = logging.getLogger(__name__)
_MOST = 50
_LARGEST = 1 << 20


def signatures(places: Places, digest: Digest) -> Found:
    """All signatures of a manifest, at most 50. What can't be read is passed over and logged."""
    found = [*_of_tag(places, digest), *_of_referrers(places, digest)]
    return Found(str(digest), tuple(found[:_MOST]))


def _of_tag(places: Places, digest: Digest) -> Iterator[Signature]:
    tag = f"{digest.algorithm}-{digest.hex}.sig"
    manifest = optional(places, tag)
    if manifest is None:
        return
    for layer in manifest.manifest().layers[:_MOST]:
        if layer.media_type == forms.PAYLOAD_TYPE:
            try:
                yield forms.simple(layer, _small(places, layer), tag)
            except (forms.Unreadable, LodgeError) as error:
                _log.warning("a signature at %s is passed over: %s", tag, error)


def _of_referrers(places: Places, digest: Digest) -> Iterator[Signature]:
    for entry in places.referrers(digest)[:_MOST]:
        if entry.artifact_type not in (*forms.BUNDLE_TYPES, forms.PAYLOAD_TYPE, None):
            continue
        try:
            manifest = places.manifest(entry.digest).manifest()
            for layer in manifest.layers[:_MOST]:
                if layer.media_type in forms.BUNDLE_TYPES:
                    yield forms.bundle(_small(places, layer), entry.digest)
                elif layer.media_type == forms.PAYLOAD_TYPE:
                    yield forms.simple(layer, _small(places, layer), entry.digest)
        except (forms.Unreadable, LodgeError) as error:
            _log.warning("the signature %s is passed over: %s", entry.digest, error)


def optional(places: Places, reference: str) -> RemoteManifest | None:
    """A manifest that need not be there."""
    try:
        return places.manifest(reference)
    except answers.RegistryError as error:
        if error.refusal.status == 404:
            return None
        raise


def _small(places: Places, blob: Descriptor) -> bytes:
    if blob.size > _LARGEST:
        raise Corrupt(f"{blob.digest}: larger than a signature may be")
    return read_blob(places, blob)
