"""A signature as it was found, in one shape whatever form it came in. Values only; none is believed."""

from __future__ import annotations

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """What a transparency log says: the entry's body, when it was taken in (Unix seconds), and its promise.

    `body` is base64 as the log signed it, `promise` the signed entry timestamp.
    """

    body: str
    integrated: int
    log_id: str
    index: int
    promise: bytes


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """One signature. `signed` are the bytes that were signed, `claim` those that say what is vouched for.

    `form` is "simple" (cosign's payload), "statement" (an in-toto statement in a DSSE envelope) or "digest"
    (of the manifest itself). `certificate` and `chain` are DER.
    """

    form: str
    signed: bytes
    claim: bytes
    signature: bytes
    certificate: bytes | None = None
    chain: tuple[bytes, ...] = ()
    entry: Entry | None = None
    source: str = ""


class Found(msgspec.Struct, frozen=True):
    """All signatures of one manifest, as kept beside an image to be checked again before it runs."""

    digest: str
    signatures: tuple[Signature, ...]
