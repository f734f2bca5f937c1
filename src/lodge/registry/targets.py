"""From the path of a request to what it is about: the specification's table of endpoints.

A repository's name may hold any number of slashes, so the path is read from its end. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lodge.errors import InvalidArgument
from lodge.registry import refusals
from lodge.spec.digest import Digest

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_UPLOAD = re.compile(r"[0-9a-f]{32}")
_LONGEST = 255


class Target(NamedTuple):
    """`kind` is base, catalog, blob, uploads, upload, manifest, tags or referrers."""

    kind: str
    name: str = ""
    reference: str = ""


_BASE = Target("base")
_CATALOG = Target("catalog")
_KINDS = {"blobs": "blob", "manifests": "manifest", "referrers": "referrers"}


def find(path: str) -> Target:
    """What a decoded path is about. Raises Refusal: unknown path, malformed name."""
    if path in ("/v2/", "/v2"):
        return _BASE
    if path == "/v2/_catalog":
        return _CATALOG
    head, _, last = path.rpartition("/")
    head, _, word = head.rpartition("/")
    if not head.startswith("/v2/"):
        raise refusals.page_not_found()
    if word == "uploads" and head.endswith("/blobs"):
        name, kind = head[4:-6], "upload" if last else "uploads"
    elif word == "blobs" and last == "uploads":
        name, kind = head[4:], "uploads"  # without the last slash, as some clients say it
    elif word == "tags" and last == "list":
        name, kind = head[4:], "tags"
    elif word in _KINDS and last:
        name, kind = head[4:], _KINDS[word]
    else:
        raise refusals.page_not_found()
    return Target(kind, check_name(name), "" if kind in ("tags", "uploads") else last)


def check_name(name: str) -> str:
    """The name, if it is one of a repository. Raises Refusal.

    Whatever passes can be a path below a directory: no component begins with a dot or an underscore.
    """
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise refusals.name_invalid(name)
    return name


def is_name(name: str) -> bool:
    """Whether it is the name of a repository."""
    return len(name) <= _LONGEST and _NAME.fullmatch(name) is not None


def check_tag(tag: str) -> str:
    """The tag, if it is one. Raises Refusal."""
    if not _TAG.fullmatch(tag):
        raise refusals.manifest_invalid(f"invalid tag: {tag[:200]!r}")
    return tag


def is_tag(tag: str) -> bool:
    """Whether it is a tag."""
    return _TAG.fullmatch(tag) is not None


def check_digest(text: str) -> Digest:
    """The digest. Raises Refusal."""
    try:
        return Digest(text)
    except InvalidArgument as error:
        raise refusals.digest_invalid(text, error.message) from None


def check_upload(text: str) -> str:
    """The name of an upload, as this registry gives them. Raises Refusal."""
    if not _UPLOAD.fullmatch(text):
        raise refusals.upload_unknown(text)
    return text
