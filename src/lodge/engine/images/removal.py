"""Removing images: what is untagged, what is deleted, and what stands in the way. Docker's rules and words.

`plan` is pure: from an image, the name that was given and the containers it makes the list of steps, or
raises Conflict. The store's collector takes blobs and layers that nothing needs any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from lodge.engine.images.catalog import Found
from lodge.engine.models import Container, ImageDeletion
from lodge.errors import Conflict, InvalidArgument
from lodge.spec.reference import Reference


class Removal(Struct):
    """What is done: references that go (canonical), and whether the image itself goes."""

    names: list[str]
    delete: bool


def _short(id: str) -> str:
    return id.removeprefix("sha256:")[:12]


def _is_id(name: str, id: str) -> bool:
    bare = name.removeprefix("sha256:")
    return len(bare) >= 1 and id.removeprefix("sha256:").startswith(bare)


def plan(found: Found, given: str, containers: Iterable[Container], *, force: bool) -> Removal:
    """What removing this name does; Conflict when something needs the image."""
    users = [each for each in containers if each.image_id == found.image.id]
    named = [name for name in found.names if not name.startswith("sha256:")]
    if _is_id(given, found.image.id) and not _is_name(given, found):
        return _by_id(found, named, users, force=force)
    return _by_name(found, named, given, users, force=force)


def _is_name(given: str, found: Found) -> bool:
    try:
        return str(Reference.parse(given)) in found.names
    except InvalidArgument:
        return False


def _by_name(found: Found, named: list[str], given: str, users: list[Container], *, force: bool) -> Removal:
    reference = Reference.parse(given)
    name = str(reference)
    if reference.digest:
        name = next((n for n in named if n.endswith(f"@{reference.digest}")), name)
    if not force and users and _single(named):
        raise Conflict(
            f'conflict: unable to remove repository reference "{given}" (must force) - container '
            f"{_short(users[0].id)} is using its referenced image {_short(found.image.id)}"
        )
    left = [n for n in named if n != name]
    gone = [name]
    # A repository's digests go with its last tag.
    own = reference.name
    if not reference.digest and not any(_repository(n) == own and "@" not in n for n in left):
        digests = [n for n in left if _repository(n) == own]
        gone += digests
        left = [n for n in left if n not in digests]
    if left:
        return Removal(names=gone, delete=False)
    _refuse_running(found, users)
    return Removal(names=gone, delete=True)


def _by_id(found: Found, named: list[str], users: list[Container], *, force: bool) -> Removal:
    if not force and len({_repository(n) for n in named}) > 1:
        raise Conflict(
            f"conflict: unable to delete {_short(found.image.id)} (must be forced) - image is referenced in "
            "multiple repositories"
        )
    _refuse_running(found, users)
    if users and not force:
        raise Conflict(
            f"conflict: unable to delete {_short(found.image.id)} (must be forced) - image is being used by "
            f"stopped container {_short(users[0].id)}"
        )
    return Removal(names=named, delete=True)


def _refuse_running(found: Found, users: list[Container]) -> None:
    for each in users:
        if each.state.running:
            raise Conflict(
                f"conflict: unable to delete {_short(found.image.id)} (cannot be forced) - image is being "
                f"used by running container {_short(each.id)}"
            )


def _single(named: Sequence[str]) -> bool:
    """Whether only one name leads to it: digests of the same repository count with their tag."""
    tags = [n for n in named if "@" not in n]
    return len(tags) <= 1 and len({_repository(n) for n in named}) <= 1


def _repository(name: str) -> str:
    return Reference.parse_name(name).name


def report(found: Found, removal: Removal) -> list[ImageDeletion]:
    """What Docker prints of it."""
    lines = [ImageDeletion(untagged=Reference.parse_name(name).familiar()) for name in removal.names]
    if removal.delete:
        lines.append(ImageDeletion(deleted=found.image.id))
        lines += [ImageDeletion(deleted=str(chain)) for chain in reversed(found.resolved.chain_ids)]
    return lines
