"""The gate of the trust policy: before an image is pulled, and before a container is made of it.

Signatures are fetched with a pull and kept below the data root, so a container is made without the registry,
and a policy that has changed since is obeyed. Without a policy nothing here is imported. Blocks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from lodge.distribution.trust import checking, finding
from lodge.distribution.trust.material import Found as Kept
from lodge.distribution.trust.material import Signature
from lodge.distribution.trust.policy import Accept, Policy, Signed, load
from lodge.errors import Forbidden, InvalidArgument, LodgeError
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest
from lodge.spec.reference import Reference
from lodge.store.durability import replace_file

if TYPE_CHECKING:
    from lodge.distribution.registries import Places
    from lodge.engine.images.catalog import Found

_CAP = 64 << 20


class Gate:
    """One policy file and the signatures kept at one data root."""

    def __init__(self, policy_file: str, data_root: str) -> None:
        self._file = policy_file
        self._directory = os.path.join(data_root, "trust")

    def admit_pull(self, reference: Reference, places: Places, digest: str) -> None:
        """Let a pull of this digest go on, or raise Forbidden. Its signatures are kept."""
        rule = self._policy().rule(reference.name)
        if isinstance(rule, Accept):
            return
        kept = Kept(digest, ())
        if isinstance(rule, Signed):
            kept = finding.signatures(places, Digest(digest))
        checking.decide(rule, reference.familiar(), (digest,), kept.signatures)
        self._keep(kept)

    def admit_run(self, asked: str, image: Found, targets: Mapping[str, Descriptor]) -> None:
        """Let a container be made of an image, or raise Forbidden. `targets` says what names refer to.

        By a name its repository's rule counts; by an id any of its names will do, and without one the
        default.
        """
        policy = self._policy()
        names = _names(asked, image.names)
        rules = [(name, policy.rule(Reference.parse_name(name).name)) for name in names]
        rules = rules or [(asked, policy.default)]
        # manifests differ (compressed otherwise, with other platforms), the configuration that runs does not
        named = [targets[name].digest for name in image.names if name in targets]
        digests = [image.target.digest, image.resolved.manifest_descriptor.digest, *named]
        digests = list(dict.fromkeys(digests))
        failure: LodgeError | None = None
        for name, rule in rules:
            signatures = self._kept(digests) if isinstance(rule, Signed) else ()
            try:
                checking.decide(rule, name, digests, signatures)
                return
            except Forbidden as error:
                if isinstance(rule, Signed) and not signatures:
                    error.hint = "pull it again: its signatures come with it"
                failure = error
        assert failure is not None
        raise failure

    def _policy(self) -> Policy:
        return load(self._file)

    def _path(self, digest: str) -> str:
        checked = Digest(digest)
        return os.path.join(self._directory, f"{checked.algorithm}-{checked.hex}.json")

    def _keep(self, found: Kept) -> None:
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        replace_file(self._path(found.digest), msgspec.json.encode(found))

    def _kept(self, digests: Sequence[str]) -> list[Signature]:
        found: list[Signature] = []
        for digest in digests:
            try:
                with open(self._path(digest), "rb") as file:
                    found += msgspec.json.decode(file.read(_CAP), type=Kept).signatures
            except (FileNotFoundError, msgspec.DecodeError):
                continue
        return found


def _names(asked: str, names: Sequence[str]) -> list[str]:
    """The names of an image under which it was asked for; all of them when it was asked for by its id."""
    try:
        reference = Reference.parse(asked)
    except InvalidArgument:
        return list(names)
    same = [name for name in names if name == str(reference)]
    if not same and reference.digest:
        same = [name for name in names if Reference.parse_name(name).name == reference.name]
    return same or list(names)
