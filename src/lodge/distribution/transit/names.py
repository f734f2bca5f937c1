"""Names of images with the way to get there: `docker://ref`, `oci:dir:tag`, `oci-archive:file`, ... Pure.

The words are those of skopeo and podman (containers-transports(5)). A name without one is a registry's.
"""

from __future__ import annotations

from typing import NamedTuple

from lodge.errors import InvalidArgument

REGISTRY = "docker"
STORE = "lodge"
LAYOUT = "oci"
OCI_ARCHIVE = "oci-archive"
DOCKER_ARCHIVE = "docker-archive"
_STORES = (STORE, "docker-daemon")
_FILES = (LAYOUT, OCI_ARCHIVE, DOCKER_ARCHIVE)


class Place(NamedTuple):
    """`transport` is one of the constants; `path` a file or directory; `name` a reference or tag, or ""."""

    transport: str
    path: str
    name: str


def parse(text: str, default: str = REGISTRY) -> Place:
    """Read one name. InvalidArgument."""
    word, colon, rest = text.partition(":")
    if colon and word in _FILES:
        path, name = _split(word, rest)
        if not path:
            raise InvalidArgument(f"{text!r}: a path is missing")
        return Place(word, path, name)
    if colon and word in _STORES and rest and not rest.startswith("//"):
        return Place(STORE, "", rest)
    if colon and rest.startswith("//"):
        if word != REGISTRY or not rest[2:]:
            raise InvalidArgument(
                f"unknown transport in {text!r}",
                hint="docker://, oci:, oci-archive:, docker-archive:, lodge:",
            )
        return Place(REGISTRY, "", rest[2:])
    if not text:
        raise InvalidArgument("an image name is missing")
    return Place(default, "", text)


def _split(word: str, rest: str) -> tuple[str, str]:
    """The path, and what comes behind it. An archive's name is a reference and may hold further colons."""
    if word == DOCKER_ARCHIVE:
        path, _, name = rest.partition(":")
        return path, name
    path, _, name = rest.rpartition(":")
    return (path, name) if path and "/" not in name else (rest, "")
