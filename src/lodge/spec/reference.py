"""Names of images by Docker's grammar: `[domain/]path[:tag][@digest]`.

`Reference.parse` completes what people leave out (docker.io, library/, latest) as Docker does, and fails with
the sentences that Docker's clients look for. No I/O.
"""

from __future__ import annotations

import re

import msgspec

from lodge.errors import InvalidArgument
from lodge.spec.digest import Digest

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL_PREFIX = "library/"
DEFAULT_TAG = "latest"
_LONGEST_NAME = 255

_DOMAIN_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_COMPONENT}(?:\.{_DOMAIN_COMPONENT})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(rf"({_DOMAIN})/({_PATH})(?::({_TAG}))?(?:@({_DIGEST}))?")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_TAG_ONLY = re.compile(_TAG)


class Reference(msgspec.Struct, frozen=True):
    """A complete name. `domain` and `path` are always there, `tag` and `digest` where they were given."""

    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a name as people write it; `latest` is added when there is neither tag nor digest.

        `busybox` becomes `docker.io/library/busybox:latest`. Raises InvalidArgument.
        """
        reference = cls.parse_name(text)
        if reference.tag is None and reference.digest is None:
            return msgspec.structs.replace(reference, tag=DEFAULT_TAG)
        return reference

    @classmethod
    def parse_name(cls, text: str) -> Reference:
        """Read a name as people write it and leave out the tag when it was left out."""
        if _IDENTIFIER.fullmatch(text):
            raise InvalidArgument(
                f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            )
        domain, remainder = _split_domain(text)
        remote = remainder.partition(":")[0]
        if remote.lower() != remote:
            raise InvalidArgument(f"invalid reference format: repository name ({remote}) must be lowercase")
        match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
        if match is None:
            raise InvalidArgument("invalid reference format")
        found_domain, path, tag, digest = match.groups()
        if len(path) > _LONGEST_NAME:
            raise InvalidArgument(f"repository name must not be more than {_LONGEST_NAME} characters")
        return cls(found_domain, path, tag, str(Digest(digest)) if digest else None)

    @property
    def name(self) -> str:
        """Domain and path: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """Domain and path with the defaults left out: `busybox`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path.removeprefix(OFFICIAL_PREFIX)
        # docker.io/library/a/b must not be shown as a/b, which would be read as another repository.
        return self.path if "/" in short else short

    def familiar(self) -> str:
        """Return the form shown to people: `busybox:latest`, `localhost:5000/x@sha256:...`."""
        return self.familiar_name + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.name + self._suffix()

    def with_tag(self, tag: str) -> Reference:
        """Return the same repository with this tag and no digest; InvalidArgument if malformed."""
        if not _TAG_ONLY.fullmatch(tag):
            raise InvalidArgument("invalid tag format")
        return Reference(self.domain, self.path, tag)

    def with_digest(self, digest: Digest) -> Reference:
        """Return the same repository pinned to `digest`, without a tag: the form of Docker's RepoDigests."""
        return Reference(self.domain, self.path, None, str(digest))


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if not slash:
        return DEFAULT_DOMAIN, OFFICIAL_PREFIX + text
    if first in (DEFAULT_DOMAIN, LEGACY_DOMAIN):
        domain, remote = DEFAULT_DOMAIN, rest
    elif first == "localhost" or "." in first or ":" in first or first.lower() != first:
        domain, remote = first, rest
    else:
        domain, remote = DEFAULT_DOMAIN, text
    if domain == DEFAULT_DOMAIN and "/" not in remote:
        remote = OFFICIAL_PREFIX + remote
    return domain, remote
