"""Trust policies: which repositories' images may run, and who must have signed them. Values only.

The file is JSON: `{"default": RULE, "repositories": {"docker.io/library": RULE, ...}}`, where a repository's
rule is the one with the longest name that is the repository or a directory above it. RULE is `{"type":
"accept"}`, `{"type": "refuse"}` or `{"type": "signed", ...}` with the members of `Signed`.
"""

from __future__ import annotations

import os
import re

import msgspec

from lodge.errors import InvalidArgument
from lodge.spec.reference import Reference

_CAP = 1 << 20


class Identity(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """Who a certificate must be of: its subject (mail address or URI) and who vouches for that (OIDC issuer).

    The `-regexp` forms must match as a whole.
    """

    subject: str = ""
    subject_regexp: str = ""
    issuer: str = ""
    issuer_regexp: str = ""


class Accept(msgspec.Struct, frozen=True, tag="accept", forbid_unknown_fields=True):
    """Anything may run."""


class Refuse(msgspec.Struct, frozen=True, tag="refuse", forbid_unknown_fields=True):
    """Nothing may run."""


class Signed(msgspec.Struct, frozen=True, tag="signed", rename="kebab", forbid_unknown_fields=True):
    """A signature by one of the keys, or by a certificate of one of the identities below one of the roots.

    `keys`, `roots`, `intermediates` and `transparency_keys` are paths of PEM files. Certificates that live
    for minutes need `transparency_keys`: a log's signed time says that they were valid then (Rekor).
    """

    keys: tuple[str, ...] = ()
    identities: tuple[Identity, ...] = ()
    roots: tuple[str, ...] = ()
    intermediates: tuple[str, ...] = ()
    transparency_keys: tuple[str, ...] = ()


Rule = Accept | Refuse | Signed
_ACCEPT = Accept()


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rules. Without a file everything is accepted."""

    default: Rule = _ACCEPT
    repositories: dict[str, Rule] = {}

    def rule(self, repository: str) -> Rule:
        """What is wanted of a repository (`docker.io/library/busybox`)."""
        name = repository
        while name:
            if name in self.repositories:
                return self.repositories[name]
            name = name.rpartition("/")[0]
        return self.default

    @property
    def silent(self) -> bool:
        """Whether it accepts everything."""
        return all(isinstance(rule, Accept) for rule in (self.default, *self.repositories.values()))


def load(path: str) -> Policy:
    """Read a policy file. Raises InvalidArgument: a policy that can't be read must not let anything pass."""
    try:
        with open(path, "rb") as file:
            data = file.read(_CAP)
        return check(msgspec.json.decode(data, type=Policy))
    except OSError as error:
        raise InvalidArgument(f"can't read the trust policy {path}: {error.strerror}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArgument(f"the trust policy {path} is malformed: {error}") from None


def check(policy: Policy) -> Policy:
    """The policy, if every rule of it can be fulfilled. Raises InvalidArgument."""
    for name, rule in (("default", policy.default), *policy.repositories.items()):
        if name != "default" and not _is_prefix(name):
            raise InvalidArgument(f"{name!r} is no repository name: say it with its registry, without a tag")
        if isinstance(rule, Signed):
            _check_signed(name, rule)
    return policy


def _is_prefix(name: str) -> bool:
    """Whether it is a registry, or a complete repository name, or the beginning of one."""
    if "/" not in name:
        return bool(
            re.fullmatch(r"localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|([A-Za-z0-9.-]+|\[.+\]):\d+", name)
        )
    try:
        return Reference.parse_name(name).name in (name, name.replace("docker.io/", "docker.io/library/"))
    except InvalidArgument:
        return False


def _check_signed(name: str, rule: Signed) -> None:
    if not rule.keys and not rule.identities:
        raise InvalidArgument(f"the rule for {name} names neither keys nor identities")
    if rule.identities and not rule.roots:
        raise InvalidArgument(
            f"the rule for {name} names identities but no roots to check certificates against"
        )
    for identity in rule.identities:
        if not (identity.subject or identity.subject_regexp):
            raise InvalidArgument(f"the rule for {name} has an identity without a subject: anybody would do")
        if not (identity.issuer or identity.issuer_regexp):
            raise InvalidArgument(f"the rule for {name} has an identity without an issuer")
        for pattern in (identity.subject_regexp, identity.issuer_regexp):
            try:
                re.compile(pattern)
            except re.error as error:
                raise InvalidArgument(f"the rule for {name}: {pattern!r}: {error}") from None
    for path in (*rule.keys, *rule.roots, *rule.intermediates, *rule.transparency_keys):
        if not os.path.isabs(path):
            raise InvalidArgument(f"the rule for {name}: {path!r} is no absolute path")
