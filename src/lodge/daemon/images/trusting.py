"""`lodge image verify` and `lodge image attestations`: what a registry has to prove whose an image is."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from lodge.daemon.images.opening import Desk, credentials
from lodge.daemon.images.reports import printable, size
from lodge.distribution.registries import Places
from lodge.distribution.trust import attestations, finding, keys
from lodge.distribution.trust.certificates import Untrusted
from lodge.distribution.trust.checking import Checker, decide
from lodge.distribution.trust.material import Signature
from lodge.distribution.trust.policy import Identity, Policy, Rule, Signed, check, load
from lodge.errors import Forbidden, InvalidArgument, NotFound
from lodge.spec.reference import Reference


def places_of(desk: Desk, text: str) -> tuple[Reference, Places]:
    """A registry's repository by an image's name."""
    reference = Reference.parse(text.removeprefix("docker://"))
    return reference, desk.registries.repository(reference, credentials(reference))


def verify(desk: Desk, given: argparse.Namespace) -> int:
    """Tell of every signature whether it fulfils the rule; 0 when one does."""
    reference, places = places_of(desk, given.image)
    rule = _rule(given, reference)
    digest = places.manifest(reference.digest or reference.tag or "latest").descriptor.id
    found = finding.signatures(places, digest).signatures
    lines = [_judge(rule, signature, digest) for signature in found] if isinstance(rule, Signed) else []
    try:
        verdict = decide(rule, reference.familiar(), (digest,), found)
    except Forbidden as error:
        _tell(given, reference, digest, lines, trusted=False)
        raise Forbidden(error.message) from None
    _tell(given, reference, digest, lines, trusted=True)
    if verdict.rule != "signed" and given.format != "json":
        print("the policy accepts any image of this repository")
    return 0


def _rule(given: argparse.Namespace, reference: Reference) -> Rule:
    """The rule of the flags, or of the policy file for this repository."""
    flags = (given.key, given.roots, given.certificate_identity, given.certificate_identity_regexp)
    if given.policy:
        if any(flags):
            raise InvalidArgument("choose one of --policy and a rule by flags")
        return load(given.policy).rule(reference.name)
    if not any(flags):
        raise InvalidArgument(
            "say whose signature is wanted", hint="--key, or --certificate-identity, or --policy"
        )
    identity = Identity(
        subject=given.certificate_identity,
        subject_regexp=given.certificate_identity_regexp,
        issuer=given.certificate_oidc_issuer,
        issuer_regexp=given.certificate_oidc_issuer_regexp,
    )
    rule = Signed(
        keys=_absolute(given.key),
        identities=(identity,) if identity != Identity() else (),
        roots=_absolute(given.roots),
        intermediates=_absolute(given.intermediates),
        transparency_keys=_absolute(given.transparency_key),
    )
    check(Policy(default=rule))
    return rule


def _absolute(paths: list[str]) -> tuple[str, ...]:
    return tuple(os.path.abspath(path) for path in paths)


def _judge(rule: Signed, signature: Signature, digest: str) -> dict[str, Any]:
    try:
        verdict = Checker(rule).check(signature, (digest,))
    except Untrusted as error:
        return {"Source": signature.source, "Trusted": False, "Reason": str(error)}
    return {
        "Source": signature.source, "Trusted": True, "Signer": verdict.signer, "Claims": verdict.claims,
    }  # fmt: skip


def _tell(
    given: argparse.Namespace,
    reference: Reference,
    digest: str,
    lines: list[dict[str, Any]],
    *,
    trusted: bool,
) -> None:
    if given.format == "json":
        document = {
            "Image": reference.familiar(), "Digest": str(digest), "Trusted": trusted, "Signatures": lines,
        }  # fmt: skip
        print(json.dumps(document, indent=2))
        return
    print(f"{reference.familiar()}: {digest}")
    for line in lines:
        said = f"signed by {line['Signer']}" if line["Trusted"] else f"not trusted: {line['Reason']}"
        print(f"  {printable(line['Source'])}: {printable(said)}")


def show_attestations(desk: Desk, given: argparse.Namespace) -> int:
    """List what is said of an image, or print the statements of one kind."""
    reference, places = places_of(desk, given.image)
    top = places.manifest(reference.digest or reference.tag or "latest")
    found = attestations.attestations(places, top)
    if given.type:
        found = [one for one in found if given.type in (one.kind, one.predicate)]
    public = [key for path in given.key for key in keys.load_keys(path)]
    if given.raw:
        if not found:
            raise NotFound(f"{reference.familiar()} has no attestation of this kind")
        for one in found:
            print(json.dumps(attestations.statement(places, one), indent=2))
        return 0
    signed = [attestations.verified(places, one, public) for one in found]
    if given.format == "json":
        print(json.dumps([_fields(one, right) for one, right in zip(found, signed, strict=True)], indent=2))
        return 0
    for one, right in zip(found, signed, strict=True):
        word = "verified" if right else "signed, by no given key" if one.envelope else "not signed"
        print(f"{one.kind or 'other':<11} {size(one.blob.size):>9}  {word:<24} {printable(one.predicate)}")
    if not found:
        print("no attestations", file=sys.stderr)
    return 0


def _fields(one: attestations.Attestation, verified: bool) -> dict[str, Any]:
    return {
        "PredicateType": one.predicate, "Kind": one.kind, "Subject": one.subject, "Digest": one.blob.digest,
        "Size": one.blob.size, "Signed": one.envelope, "Verified": verified, "Source": one.source,
    }  # fmt: skip
