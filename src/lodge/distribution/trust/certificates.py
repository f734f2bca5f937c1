"""Certificates of signers: a path to a given root, valid when it was signed, of a wanted identity. Offline.

What is checked of a path follows RFC 5280, section 6, as far as signing certificates need it: signatures,
times, authority and its limit of path length, key usage, no critical extension that is not understood.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lodge.distribution.trust.policy import Identity

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm
    from cryptography.x509 import Certificate

_ISSUER_V1 = "1.3.6.1.4.1.57264.1.1"
_ISSUER_V2 = "1.3.6.1.4.1.57264.1.8"
"""Fulcio's extensions for the OIDC issuer (sigstore/fulcio, docs/oid-info.md)."""
_LONGEST_PATH = 6


class Untrusted(Exception):
    """A certificate that does not count; the text says why."""


def check(
    leaf: Certificate,
    chain: Sequence[Certificate],
    roots: Sequence[Certificate],
    identities: Sequence[Identity],
    moment: datetime.datetime,
) -> str:
    """Who the certificate is of, if a path leads to a root and the identity is wanted. Raises Untrusted."""
    _check_leaf(leaf)
    _check_path(leaf, chain, roots, moment)
    subjects, issuer = subjects_of(leaf), issuer_of(leaf)
    for identity in identities:
        for subject in subjects:
            if _is(subject, identity.subject, identity.subject_regexp) and _is(
                issuer, identity.issuer, identity.issuer_regexp
            ):
                return subject
    raise Untrusted(
        f"signed by {', '.join(subjects) or 'nobody'} (issuer {issuer or 'unknown'}), who is not wanted"
    )


def _is(value: str, exact: str, pattern: str) -> bool:
    return value == exact if exact else re.fullmatch(pattern, value) is not None


def _check_leaf(leaf: Certificate) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        raise Untrusted("the certificate is not made for signing code") from None
    if ExtendedKeyUsageOID.CODE_SIGNING not in usage:
        raise Untrusted("the certificate is not made for signing code")


def _check_path(
    leaf: Certificate, chain: Sequence[Certificate], roots: Sequence[Certificate], moment: datetime.datetime
) -> None:
    """Walk up from the leaf; every certificate of the chain is tried, in depth first."""
    anchors = {root.fingerprint(_sha256()) for root in roots}
    reasons: list[str] = []
    stack: list[tuple[Certificate, int]] = [(leaf, 0)]
    seen: set[bytes] = set()
    while stack:
        current, above = stack.pop()
        if current.fingerprint(_sha256()) in seen or above > _LONGEST_PATH:
            continue
        seen.add(current.fingerprint(_sha256()))
        try:
            _check_one(current, above, moment)
        except Untrusted as error:
            reasons.append(str(error))
            continue
        if above and current.fingerprint(_sha256()) in anchors:
            return
        stack += [(each, above + 1) for each in (*chain, *roots) if _issued(current, each)]
    raise Untrusted(reasons[0] if reasons else "no path leads to a given root")


def _check_one(certificate: Certificate, above: int, moment: datetime.datetime) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtensionOID

    if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
        raise Untrusted(
            f"the certificate was valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} to "
            f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M}, and it is not known that it signed then"
        )
    understood = {
        ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }  # fmt: skip
    try:
        for extension in certificate.extensions:
            if extension.critical and extension.oid not in understood:
                raise Untrusted(
                    f"a certificate has the unknown critical extension {extension.oid.dotted_string}"
                )
    except ValueError as error:
        raise Untrusted(f"a certificate is malformed: {error}") from None
    if not above:
        return
    try:
        limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        raise Untrusted("a certificate of the path is not of an authority") from None
    if not limits.ca or (limits.path_length is not None and limits.path_length < above - 1):
        raise Untrusted("a certificate of the path is not of an authority for this")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_cert_sign:
        raise Untrusted("a certificate of the path may not sign certificates")


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def subjects_of(certificate: Certificate) -> list[str]:
    """Mail addresses, URIs and Fulcio's user names of the subject alternative name."""
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [
        *names.get_values_for_type(x509.RFC822Name),
        *names.get_values_for_type(x509.UniformResourceIdentifier),
    ]


def issuer_of(certificate: Certificate) -> str:
    """The OIDC issuer that vouched for the subject; "" when the certificate does not say."""
    from cryptography import x509

    for oid in (_ISSUER_V2, _ISSUER_V1):
        try:
            extension = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(oid)).value
        except (x509.ExtensionNotFound, ValueError):
            continue
        data = getattr(extension, "value", b"")
        if oid == _ISSUER_V2:
            # DER: UTF8String, short or one-byte long form of the length
            data = data[2:] if data[1:2] < b"\x80" else data[3:]
        return str(data.decode("utf-8", "replace"))
    return ""


def _sha256() -> HashAlgorithm:
    from cryptography.hazmat.primitives.hashes import SHA256

    return SHA256()
