from __future__ import annotations

import datetime
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from lodge.distribution.trust import forms
from lodge.distribution.trust.checking import decide
from lodge.distribution.trust.material import Signature
from lodge.distribution.trust.policy import Accept, Identity, Refuse, Signed
from lodge.errors import Forbidden
from tests.unit.distribution.trust.signing import (
    MINUTE,
    NOW,
    Authority,
    Log,
    Signer,
    bundle_of,
    der,
    digest_of,
    payload_of,
    simple,
    statement_of,
)  # fmt: skip

DIGEST = digest_of(b"manifest")
ME = Identity(subject="me@example.com", issuer="https://accounts.example.com")


def by_key(path: Path, signer: Signer) -> Signed:
    return Signed(keys=(signer.public_file(path / "key.pem"),))


def refused(rule: Signed, *signatures: Signature, digest: str = DIGEST) -> str:
    with pytest.raises(Forbidden) as caught:
        decide(rule, "app", [digest], signatures)
    return caught.value.message


def test_accept_and_refuse() -> None:
    assert decide(Accept(), "app", [DIGEST], []).rule == "accept"
    with pytest.raises(Forbidden, match="refuses"):
        decide(Refuse(), "app", [DIGEST], [])


@pytest.mark.parametrize("kind", ["ecdsa", "p384", "rsa", "ed25519"])
def test_a_signature_by_every_kind_of_key(tmp_path: Path, kind: str) -> None:
    signer = Signer(kind)
    rule = by_key(tmp_path, signer)
    verdict = decide(rule, "app", ["sha256:" + "0" * 64, DIGEST], [simple(signer, DIGEST)])
    assert verdict.signer == f"key {tmp_path}/key.pem"
    assert verdict.claims == {"docker-reference": "example.com/app", "by": "test"}
    assert "none of the keys" in refused(rule, simple(Signer(kind), DIGEST))


def test_sha256_with_a_larger_curve_counts_as_well(tmp_path: Path) -> None:
    """Sigstore's older clients sign so, with P-384."""
    signer = Signer("p384")
    payload = payload_of(DIGEST)
    signature = signer.key.sign(payload, ec.ECDSA(hashes.SHA256()))
    found = Signature(form="simple", signed=payload, claim=payload, signature=signature)
    assert decide(by_key(tmp_path, signer), "app", [DIGEST], [found]).rule == "signed"


def test_signatures_that_do_not_count(tmp_path: Path) -> None:
    signer = Signer()
    rule = by_key(tmp_path, signer)
    good = simple(signer, DIGEST)
    assert "it has no signature" in refused(rule)
    assert "another image" in refused(rule, simple(signer, digest_of(b"other")))
    tampered = payload_of(DIGEST, identity={"docker-reference": "x"})
    assert "none of the keys" in refused(rule, msgspec.structs.replace(good, signed=tampered, claim=tampered))
    odd = payload_of(DIGEST, type="a letter")
    assert "a letter" in refused(
        rule, Signature(form="simple", signed=odd, claim=odd, signature=signer.sign(odd))
    )
    for junk in (b"", b"[]", b"{}", b'{"critical":3}', b'{"critical":{"type":[]}}'):
        refused(rule, Signature(form="simple", signed=junk, claim=junk, signature=signer.sign(junk)))
    refused(rule, msgspec.structs.replace(good, signature=b""))
    # one good signature among bad ones is enough
    assert decide(rule, "app", [DIGEST], [simple(Signer(), DIGEST), good]).rule == "signed"


def test_bundles(tmp_path: Path) -> None:
    signer = Signer()
    rule = by_key(tmp_path, signer)
    good = forms.bundle(bundle_of(signer, statement_of(DIGEST)), "ref")
    assert decide(rule, "app", [DIGEST], [good]).source == "ref"
    assert "another image" in refused(
        rule, forms.bundle(bundle_of(signer, statement_of(digest_of(b"x"))), "")
    )
    # who attests how it was built has not said that it may run
    provenance = bundle_of(signer, statement_of(DIGEST, "https://slsa.dev/provenance/v1"))
    assert "no image" in refused(rule, forms.bundle(provenance, ""))


def test_a_signature_of_the_manifest_itself(tmp_path: Path) -> None:
    signer = Signer()
    digest = hashlib.sha256(b"manifest").digest()
    good = Signature(form="digest", signed=b"", claim=digest, signature=signer.sign(b"manifest"))
    assert decide(by_key(tmp_path, signer), "app", [DIGEST], [good]).rule == "signed"
    refused(by_key(tmp_path, Signer()), good)


def certified(
    authority: Authority, log: Log | None = None, *, signed_at: datetime.datetime = NOW, **more: Any
) -> Signature:
    signer = Signer()
    certificate = authority.certify(signer, **more)
    found = simple(signer, DIGEST, certificate=der(certificate), chain=(der(authority.between),))
    return msgspec.structs.replace(found, entry=log.entry(found.signature, signed_at)) if log else found


def by_identity(path: Path, authority: Authority, *identities: Identity, log: Log | None = None) -> Signed:
    logs = (log.signer.public_file(path / "log.pem"),) if log else ()
    roots = (authority.root_file(path / "root.pem"),)
    return Signed(identities=identities or (ME,), roots=roots, transparency_keys=logs)


def test_a_certificate_of_the_right_identity(tmp_path: Path) -> None:
    authority = Authority()
    good = certified(authority)
    assert decide(by_identity(tmp_path, authority), "app", [DIGEST], [good]).signer == "me@example.com"
    pattern = Identity(subject_regexp=r".*@example\.com", issuer_regexp=r"https://accounts\..*")
    assert decide(by_identity(tmp_path, authority, pattern), "app", [DIGEST], [good]).rule == "signed"


@pytest.mark.parametrize(
    ("identity", "made"),
    [
        (ME, {"subject": "you@example.com"}),
        (ME, {"issuer": "https://evil.example.com"}),
        (Identity(subject_regexp="me", issuer_regexp=".*"), {}),
        (
            Identity(subject_regexp=".*@example.com", issuer_regexp=".*"),
            {"subject": "me@example.com.evil.org"},
        ),
    ],
)
def test_a_certificate_of_somebody_else(tmp_path: Path, identity: Identity, made: dict[str, Any]) -> None:
    authority = Authority()
    assert "not wanted" in refused(by_identity(tmp_path, authority, identity), certified(authority, **made))


def test_a_certificate_of_another_authority(tmp_path: Path) -> None:
    rule = by_identity(tmp_path, Authority())
    assert "no path leads" in refused(rule, certified(Authority()))


def test_authorities_that_are_none(tmp_path: Path) -> None:
    not_one = Authority(between_ca=False)
    assert "not of an authority" in refused(by_identity(tmp_path, not_one), certified(not_one))
    too_long = Authority(path_length=0)
    assert "not of an authority for this" in refused(by_identity(tmp_path, too_long), certified(too_long))
    server = Authority()
    assert "signing code" in refused(by_identity(tmp_path, server), certified(server, code_signing=False))


def test_a_certificate_signs_only_with_its_own_key(tmp_path: Path) -> None:
    authority = Authority()
    stolen = msgspec.structs.replace(certified(authority), signature=simple(Signer(), DIGEST).signature)
    assert "its own certificate" in refused(by_identity(tmp_path, authority), stolen)


def test_a_certificate_that_has_expired_needs_the_word_of_a_log(tmp_path: Path) -> None:
    authority, log = Authority(), Log()
    until = NOW - 60 * MINUTE
    rule = by_identity(tmp_path, authority, log=log)
    assert "was valid from" in refused(rule, certified(authority, until=until))
    inside = until - 5 * MINUTE
    assert decide(rule, "app", [DIGEST], [certified(authority, log, until=until, signed_at=inside)]).rule
    assert "was valid from" in refused(rule, certified(authority, log, until=until, signed_at=NOW))
    # another log's word, or a word about another signature, does not count
    assert "was valid from" in refused(rule, certified(authority, Log(), until=until, signed_at=inside))
    other = certified(authority, log, until=until, signed_at=inside)
    mine = certified(authority, until=until)
    assert "was valid from" in refused(rule, msgspec.structs.replace(mine, entry=other.entry))
    assert "was valid from" in refused(
        by_identity(tmp_path, authority), certified(authority, log, until=until, signed_at=inside)
    )


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"verificationMaterial":{},"dsseEnvelope":{}}', b"[" * 100_000]
)
def test_bundles_that_are_none(data: bytes) -> None:
    with pytest.raises(forms.Unreadable):
        forms.bundle(data, "")


def test_junk_in_certificates_is_no_crash(tmp_path: Path) -> None:
    authority = Authority()
    good = certified(authority)
    rule = by_identity(tmp_path, authority)
    assert good.certificate is not None
    for junk in (b"", b"0", good.certificate[:-3], good.certificate[:100]):
        refused(rule, msgspec.structs.replace(good, certificate=junk))
        refused(rule, msgspec.structs.replace(good, chain=(junk,)))
