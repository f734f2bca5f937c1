"""Does a signature fulfil a rule? The one place that decides; touches no network, only the rule's files."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from lodge.distribution.trust import certificates, keys, transparency
from lodge.distribution.trust.certificates import Untrusted
from lodge.distribution.trust.material import Signature
from lodge.distribution.trust.policy import Accept, Refuse, Rule, Signed
from lodge.errors import Forbidden
from lodge.spec.digest import Digest

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_SIGN = "https://sigstore.dev/cosign/sign/v1"
_TYPES = ("cosign container image signature", "atomic container signature")


class Verdict(Struct, frozen=True):
    """Why an image may run: the rule's word, and by whom the signature is where one was wanted."""

    rule: str
    signer: str = ""
    source: str = ""
    claims: dict[str, Any] = {}


def decide(rule: Rule, name: str, digests: Sequence[str], signatures: Sequence[Signature]) -> Verdict:
    """Let an image of one of these digests pass, or raise Forbidden with every reason."""
    if isinstance(rule, Accept):
        return Verdict("accept")
    if isinstance(rule, Refuse):
        raise Forbidden(f"the trust policy refuses images of {name}")
    checker = Checker(rule)
    reasons: list[str] = []
    for signature in signatures:
        try:
            return checker.check(signature, digests)
        except Untrusted as error:
            if str(error) not in reasons:
                reasons.append(str(error))
    why = "; ".join(reasons[:5]) if reasons else "it has no signature"
    raise Forbidden(
        f"the trust policy wants a signature for {name}: {why}",
        hint="`lodge image verify` shows the signatures of an image",
    )


class Checker:
    """One rule with its files read. Raises InvalidArgument when one can't be."""

    def __init__(self, rule: Signed) -> None:
        self._rule = rule
        self._keys = [(path, key) for path in rule.keys for key in keys.load_keys(path)]
        self._roots = [one for path in rule.roots for one in keys.load_certificates(path)]
        self._between = [one for path in rule.intermediates for one in keys.load_certificates(path)]
        self._logs = [key for path in rule.transparency_keys for key in keys.load_keys(path)]

    def check(self, signature: Signature, digests: Sequence[str]) -> Verdict:
        """Who signed one of these digests. Raises Untrusted."""
        claims = _claims(signature, digests)
        signed = signature.signed
        for path, key in self._keys:
            if self._verifies(key, signature, signed):
                return Verdict("signed", f"key {path}", signature.source, claims)
        if signature.certificate is not None and self._rule.identities:
            return Verdict("signed", self._by_certificate(signature), signature.source, claims)
        raise Untrusted(
            "a signature is by none of the keys" if self._keys else "a signature has no certificate"
        )

    def _by_certificate(self, signature: Signature) -> str:
        from cryptography import x509

        assert signature.certificate is not None
        try:
            leaf = x509.load_der_x509_certificate(signature.certificate)
            chain: list[Certificate] = [x509.load_der_x509_certificate(one) for one in signature.chain]
            key = leaf.public_key()
        except ValueError as error:
            raise Untrusted(f"a certificate is malformed: {error}") from None
        if not self._verifies(key, signature, signature.signed):
            raise Untrusted("a signature is not by its own certificate")
        moment = transparency.signed_at(signature, self._logs) or datetime.datetime.now(datetime.UTC)
        return certificates.check(leaf, [*chain, *self._between], self._roots, self._rule.identities, moment)

    @staticmethod
    def _verifies(key: Any, signature: Signature, signed: bytes) -> bool:
        if signature.form == "digest":
            return keys.verifies_digest(key, signature.signature, signature.claim)
        return keys.verifies(key, signature.signature, signed)


def _claims(signature: Signature, digests: Sequence[str]) -> dict[str, Any]:
    """What is vouched for, which must be one of these digests. Raises Untrusted."""
    claims: dict[str, Any] = {}
    if signature.form == "digest":
        found = [f"sha256:{signature.claim.hex()}"]
    else:
        try:
            document = json.loads(signature.claim)
            found, claims = _SUBJECTS[signature.form](document)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Untrusted("what was signed can't be read") from None
    if not any(_same(one, digest) for one in found for digest in digests):
        raise Untrusted(f"a signature is for another image: {', '.join(map(str, found[:3]))[:300]}")
    return claims


def _same(found: str, digest: str) -> bool:
    return found == str(Digest(digest))


def _simple_subject(document: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    critical = document["critical"]
    if critical["type"] not in _TYPES:
        raise Untrusted(f"what was signed is no image but {str(critical['type'])[:100]!r}")
    identity = critical.get("identity", {}).get("docker-reference", "")
    claims = {"docker-reference": identity, **(document.get("optional") or {})}
    return [critical["image"]["docker-manifest-digest"]], claims


def _statement_subject(document: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    # who attests how an image was built, or what is in it, does not say with that that it may run
    if document.get("predicateType") != _SIGN:
        raise Untrusted(f"what was signed is no image but {str(document.get('predicateType'))[:100]!r}")
    found = []
    for subject in document["subject"]:
        found += [f"{algorithm}:{value}" for algorithm, value in subject["digest"].items()]
    return found, {}


_SUBJECTS = {"simple": _simple_subject, "statement": _statement_subject}
