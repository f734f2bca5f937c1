"""Addresses of git repositories as Docker understands them, with what stands behind `#` and `?`. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from msgspec import Struct

from lodge.errors import InvalidArgument

_SCP = re.compile(r"(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9.-]+:(?!//)[^#?]+(?:[#?].*)?", re.ASCII)
_GITHUB = re.compile(r"github\.com/[^/]+/[^/]+", re.ASCII)
_KEYS = ("ref", "tag", "branch", "subdir", "checksum", "commit", "keep-git-dir", "submodules")
_TRUE = ("1", "true")


class GitAddress(Struct, frozen=True, kw_only=True):
    """A repository, what of it, and how. `ref` is a branch, a tag or a commit; "" for the default one."""

    remote: str
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git_dir: bool = False
    submodules: bool = True


def is_git_url(text: str) -> bool:
    """Whether it is a repository and no file by HTTP."""
    lowered = text.lower()
    if lowered.startswith(("git://", "ssh://")):
        return True
    if lowered.startswith(("http://", "https://")):
        return urlsplit(text).path.endswith(".git")
    if text.startswith("git@"):
        return _SCP.fullmatch(text) is not None
    return _GITHUB.match(lowered) is not None


def parse_git_url(text: str) -> GitAddress:
    """Take an address apart. InvalidArgument for one that would be an option of git, or has unknown keys."""
    if text.startswith("-"):
        raise InvalidArgument(f"invalid git address {text!r}")
    if _GITHUB.match(text.lower()):
        text = "https://" + text
    bare, _, fragment = text.partition("#")
    bare, _, query = bare.partition("?")
    ref, _, subdir = fragment.partition(":")
    found = {"ref": ref, "subdir": subdir}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in _KEYS:
            raise InvalidArgument(
                f"unexpected query {key!r} in the git address {text}", hint=", ".join(_KEYS)
            )
        found["ref" if key in ("tag", "branch") else "checksum" if key == "commit" else key] = value
    if found["ref"].startswith("-"):
        raise InvalidArgument(f"invalid git reference {found['ref']!r}")
    return GitAddress(
        remote=_without_query(bare),
        ref=found["ref"] or found.get("checksum", ""),
        subdir=found["subdir"].strip("/"),
        checksum=found.get("checksum", ""),
        keep_git_dir=found.get("keep-git-dir", "0").lower() in ("", *_TRUE),
        submodules=found.get("submodules", "1").lower() in ("", *_TRUE),
    )


def _without_query(bare: str) -> str:
    if "://" not in bare:
        return bare
    parts = urlsplit(bare)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
