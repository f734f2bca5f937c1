"""Signatures in the forms in which cosign leaves them at a registry. Strangers' bytes; pure.

The older form is an image at the tag `sha256-<hex>.sig` whose layers are payloads with the signature in their
annotations. The newer is a Sigstore bundle (sigstore_bundle.proto, as JSON) that refers to the manifest.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from lodge.distribution.trust.material import Entry, Signature
from lodge.spec.descriptor import Descriptor

PAYLOAD_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE_TYPES = (
    "application/vnd.dev.sigstore.bundle.v0.3+json",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
)
_IN_TOTO = "application/vnd.in-toto+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_CERTIFICATE = "dev.sigstore.cosign/certificate"
_CHAIN = "dev.sigstore.cosign/chain"
_BUNDLE = "dev.sigstore.cosign/bundle"
_MOST_CERTIFICATES = 10


class Unreadable(ValueError):
    """Not a signature of the form that it claims to be of."""


def simple(layer: Descriptor, payload: bytes, source: str) -> Signature:
    """A layer of a `.sig` image and its payload. Raises Unreadable."""
    notes = layer.annotations or {}
    try:
        signature = base64.b64decode(notes[_SIGNATURE], validate=True)
        certificates = [*_pem(notes.get(_CERTIFICATE, "")), *_pem(notes.get(_CHAIN, ""))]
        entry = _log_entry(json.loads(notes[_BUNDLE])) if notes.get(_BUNDLE) else None
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise Unreadable(f"a signature's annotations are malformed: {error!r}") from None
    return Signature(
        form="simple",
        signed=payload,
        claim=payload,
        signature=signature,
        certificate=certificates[0] if certificates else None,
        chain=tuple(certificates[1:]),
        entry=entry,
        source=source,
    )


def bundle(data: bytes, source: str) -> Signature:
    """A Sigstore bundle. Raises Unreadable."""
    try:
        document = json.loads(data)
        proof = document["verificationMaterial"]
        certificates = _certificates(proof)
        common: dict[str, Any] = {
            "certificate": certificates[0] if certificates else None,
            "chain": tuple(certificates[1:]),
            "entry": _bundle_entry(proof),
            "source": source,
        }
        if "dsseEnvelope" in document:
            signed, statement, signature = envelope(document["dsseEnvelope"])
            return Signature(form="statement", signed=signed, claim=statement, signature=signature, **common)
        message = document["messageSignature"]
        digest = base64.b64decode(message["messageDigest"]["digest"], validate=True)
        if message["messageDigest"]["algorithm"] != "SHA2_256":
            raise Unreadable("the signed digest is not SHA-256")
        signature = base64.b64decode(message["signature"], validate=True)
        return Signature(form="digest", signed=b"", claim=digest, signature=signature, **common)
    except Unreadable:
        raise
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"a Sigstore bundle is malformed: {error!r}") from None


def envelope(fields: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    """A DSSE envelope as (what was signed, payload, signature). Source: DSSE protocol.md, "PAE"."""
    if fields["payloadType"] != _IN_TOTO:
        raise Unreadable(f"an envelope of {str(fields['payloadType'])[:100]!r}")
    payload = _unbase64(fields["payload"])
    kind = fields["payloadType"].encode()
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    return signed, payload, _unbase64(fields["signatures"][0]["sig"])


def _unbase64(text: str) -> bytes:
    """DSSE allows both alphabets."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return base64.b64decode(text, altchars=b"-_", validate=True)


def _pem(text: str) -> list[bytes]:
    found = []
    for block in text.split("-----BEGIN CERTIFICATE-----")[1 : _MOST_CERTIFICATES + 1]:
        body = block.partition("-----END CERTIFICATE-----")[0]
        found.append(base64.b64decode("".join(body.split()), validate=True))
    return found


def _certificates(proof: dict[str, Any]) -> list[bytes]:
    if "certificate" in proof:
        return [base64.b64decode(proof["certificate"]["rawBytes"], validate=True)]
    chain = proof.get("x509CertificateChain", {}).get("certificates", ())[:_MOST_CERTIFICATES]
    return [base64.b64decode(one["rawBytes"], validate=True) for one in chain]


def _log_entry(fields: dict[str, Any]) -> Entry:
    payload = fields["Payload"]
    return Entry(
        body=payload["body"],
        integrated=int(payload["integratedTime"]),
        log_id=payload["logID"],
        index=int(payload["logIndex"]),
        promise=base64.b64decode(fields["SignedEntryTimestamp"], validate=True),
    )


def _bundle_entry(proof: dict[str, Any]) -> Entry | None:
    entries = proof.get("tlogEntries") or ()
    if not entries or "inclusionPromise" not in entries[0]:
        return None
    first = entries[0]
    return Entry(
        body=first["canonicalizedBody"],
        integrated=int(first["integratedTime"]),
        log_id=base64.b64decode(first["logId"]["keyId"], validate=True).hex(),
        index=int(first["logIndex"]),
        promise=base64.b64decode(first["inclusionPromise"]["signedEntryTimestamp"], validate=True),
    )
