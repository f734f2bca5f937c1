"""Lists of images by Docker's filters, and their histories. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from lodge.engine.filters import check_keys, flag, matches_labels, moment
from lodge.engine.images.catalog import Found
from lodge.engine.images.catalog import moment as image_moment
from lodge.engine.models import HistoryEntry
from lodge.errors import InvalidArgument

_KNOWN = ("before", "dangling", "label", "label!", "reference", "since", "until")


def labels_of(found: Found) -> Mapping[str, str]:
    """The labels of an image."""
    return found.config.config.labels or {}


def dangling(found: Found) -> bool:
    """Whether no name leads to it."""
    return not found.image.tags and not found.image.digests


def select(
    images: Sequence[Found], filters: Mapping[str, Sequence[str]], find: Callable[[str], Found]
) -> list[Found]:
    """Those that the filters choose, the newest first; InvalidArgument for a filter that isn't known."""
    check_keys(filters, _KNOWN)
    tests: list[Callable[[Found], bool]] = []
    if "dangling" in filters:
        wanted = flag(filters, "dangling", False)
        tests.append(lambda f: dangling(f) == wanted)
    if labels := filters.get("label"):
        tests.append(lambda f: matches_labels(labels_of(f), labels))
    if unwanted := filters.get("label!"):
        tests.append(lambda f: not any(matches_labels(labels_of(f), [label]) for label in unwanted))
    tests += [_older_than(find(name).image.created_at) for name in filters.get("before", ())]
    tests += [_newer_than(find(name).image.created_at) for name in filters.get("since", ())]
    tests += [_older_than(moment(text)) for text in filters.get("until", ())]
    chosen = [found for found in images if all(test(found) for test in tests)]
    if patterns := filters.get("reference"):
        chosen = [named for found in chosen if (named := _named(found, patterns)) is not None]
    return sorted(chosen, key=lambda f: f.image.created_at, reverse=True)


def _older_than(at: int) -> Callable[[Found], bool]:
    return lambda found: found.image.created_at < at


def _newer_than(at: int) -> Callable[[Found], bool]:
    return lambda found: found.image.created_at > at


def _named(found: Found, patterns: Sequence[str]) -> Found | None:
    """The image with only the names that match, as Docker lists it; None when none does."""
    tags = [name for name in found.image.tags if any(_matches(name, p) for p in patterns)]
    digests = [name for name in found.image.digests if any(_matches(name, p) for p in patterns)]
    if not tags and not digests:
        return None
    return replace(found, image=replace(found.image, tags=tags, digests=digests))


def _matches(name: str, pattern: str) -> bool:
    """Docker's reference patterns: globs in which a star stays within a path component."""
    if "[" in pattern and "]" not in pattern:
        raise InvalidArgument(f"syntax error in pattern: {pattern}")
    candidates = [name, name.partition("@")[0], _without_tag(name)]
    return any(c.count("/") == pattern.count("/") and fnmatch.fnmatchcase(c, pattern) for c in candidates)


def _without_tag(name: str) -> str:
    head, slash, tail = name.partition("@")[0].rpartition("/")
    return head + slash + tail.partition(":")[0]


def history(found: Found, sizes: Sequence[int]) -> list[HistoryEntry]:
    """The steps of its making, the newest first; a step without a layer has no size."""
    left = list(sizes)
    entries: list[HistoryEntry] = []
    for step in found.config.history:
        size = left.pop(0) if left and not step.empty_layer else 0
        entries.append(
            HistoryEntry(
                id="<missing>",
                created_at=image_moment(step.created),
                created_by=step.created_by,
                tags=None,
                size=size,
                comment=step.comment,
            )
        )
    # Layers that no step tells of: an image without a history.
    entries += [
        HistoryEntry(id="<missing>", created_at=0, created_by="", tags=None, size=size, comment="")
        for size in left
    ]
    entries.reverse()
    if entries:
        entries[0].id = found.image.id
        entries[0].tags = found.image.tags or None
    return entries
