"""Secrets for whoever calls the engine, and their files for the containers that want them.

A container names a secret by a mount of type "secret" (`lodge run --secret`, or `docker run --mount
type=secret,source=NAME,target=PATH`). Its file lies below the exec root, in memory on every usual host,
from the container's start to its end; no inspect shows the value. The values are the volume room's to keep.
"""

from __future__ import annotations

import os
import shutil

import msgspec

from lodge.engine.models import Container
from lodge.engine.parts import Parts
from lodge.engine.planning import remap
from lodge.engine.planning.mount_wishes import MountWish
from lodge.errors import Conflict, InvalidArgument, NotFound
from lodge.volume.secrets import Secret

Many = list


class Secrets:
    """All secrets of an engine."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(self, name: str, value: bytes, labels: dict[str, str]) -> Secret:
        """Keep one; InvalidArgument and AlreadyExists as the store's."""
        parts = self._parts
        made = await parts.bridge.call(parts.secrets.create, name, value, labels)
        parts.events.publish("secret", "create", made.id, {"name": made.name})
        return made

    async def list(self) -> Many[Secret]:
        """All, by name."""
        return self._parts.secrets.list()

    async def get(self, name: str) -> Secret:
        """One by name or id; NotFound."""
        return self._parts.secrets.get(name)

    async def remove(self, name: str) -> None:
        """Forget one; Conflict while a container is made to use it."""
        parts = self._parts
        found = parts.secrets.get(name)
        users = [resident.container.name for resident in parts.census if _uses(resident.container, found.id)]
        if users:
            raise Conflict(f"secret '{found.name}' is in use by the following containers: {', '.join(users)}")
        await parts.bridge.call(parts.secrets.remove, found.id)
        parts.events.publish("secret", "remove", found.id, {"name": found.name})


def _uses(container: Container, id: str) -> bool:
    return any(wish.type == "secret" and wish.name == id for wish in container.layout)


def resolve(parts: Parts, wish: MountWish) -> None:
    """Note in the wish which secret its name means; InvalidArgument when there is none."""
    try:
        wish.name = parts.secrets.get(wish.source).id
    except NotFound as error:
        raise InvalidArgument(
            f'invalid mount config for type "secret": {error.message}',
            hint="make it with `lodge secret create`",
        ) from error


def show(parts: Parts, container: Container, wish: MountWish) -> MountWish:
    """Make the file of one wish for a start; gives the wish with the file's path. Blocking."""
    directory = parts.secret_directory(container.id)
    os.makedirs(os.path.dirname(directory), 0o700, exist_ok=True)
    os.makedirs(directory, 0o700, exist_ok=True)
    path = os.path.join(directory, wish.name)
    options = dict(option.split("=", 1) for option in wish.tmpfs_options)
    uid, gid = int(options.get("uid", 0)), int(options.get("gid", 0))
    mappings = parts.facts.mappings
    if remap.wanted(container.wish.host, mappings):
        uid, gid = uid + mappings.root[0], gid + mappings.root[1]
    # One file for each place: owners and modes may differ.
    path += f"-{wish.destination.replace('/', '_')}"
    if os.path.lexists(path):
        os.unlink(path)
    parts.secrets.show(wish.name, path, mode=int(options.get("mode", "444"), 8), uid=uid, gid=gid)
    return msgspec.structs.replace(wish, source=path)


def hide(parts: Parts, container: Container) -> None:
    """Remove a container's files of secrets; nothing for one that has none."""
    if any(wish.type == "secret" for wish in container.layout):
        # SAFETY: a directory that only this module makes, named by a container's id.
        shutil.rmtree(parts.secret_directory(container.id), ignore_errors=True)
