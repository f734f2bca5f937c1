"""Making an image of a container: its files as a further layer, its config changed as the user says."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import msgspec

from lodge.engine.census import Resident
from lodge.engine.containers.news import announce
from lodge.engine.containers.stopping import Stopper
from lodge.engine.images import changes as instructions
from lodge.engine.models import Container
from lodge.engine.parts import Parts
from lodge.errors import Conflict, InvalidArgument, NotFound, Unavailable
from lodge.spec.container import ContainerConfig
from lodge.spec.reference import Reference
from lodge.store.images import ResolvedImage

_INHERITED = ("cmd", "entrypoint", "user", "working_dir", "stop_signal", "healthcheck", "volumes", "shell")


class Committer:
    """Commits containers."""

    def __init__(self, parts: Parts, stopper: Stopper) -> None:
        self._parts = parts
        self._stopper = stopper

    async def commit(
        self,
        resident: Resident,
        *,
        reference: str | None,
        comment: str,
        author: str,
        pause: bool,
        changes: list[str],
        config: dict[str, Any] | None,
    ) -> str:
        """The new image's id. `pause` freezes the container meanwhile. Conflict while it is being removed."""
        container = resident.container
        if container.state.status in ("removing", "dead"):
            raise Conflict(f"You cannot commit container {container.id} which is {container.state.status}")
        name = Reference.parse(reference) if reference else None
        if name is not None and name.digest:
            raise InvalidArgument("refusing to create a tag with a digest reference")
        wanted = instructions.apply(_config(container, config), changes)
        base = self._base(container)
        paused = pause and container.state.status == "running"
        if paused:
            try:
                await self._stopper.pause(resident)
            except (Conflict, Unavailable):
                paused = False  # it ended just now: nothing changes its files any more
        try:
            made = await self._parts.bridge.call(
                self._parts.store.archives.commit,
                container.id,
                base,
                wanted,
                author=author,
                message=comment,
                created_by=" ".join([container.path, *container.args]),
                name=str(name) if name else None,
            )
        finally:
            if paused:
                with suppress(Conflict, Unavailable):
                    await self._stopper.unpause(resident)
        image = self._parts.images.adopt(made.digest, container.image_id).image.id
        shown = name.familiar() if name else ""
        self._parts.events.publish("image", "create", image, {"name": image})
        if shown:
            self._parts.events.publish("image", "tag", image, {"name": shown})
        announce(self._parts, resident, "commit", comment=comment, imageID=image, imageRef=shown)
        return image

    def _base(self, container: Container) -> ResolvedImage:
        try:
            return self._parts.images.find(container.image_id).resolved
        except NotFound:
            raise Conflict(
                f"the image of container {container.name} was removed, so its layers have no names any more",
                hint="export the container and import the tar",
            ) from None


def _config(container: Container, given: dict[str, Any] | None) -> ContainerConfig:
    """The container's config; what was given replaces it, and takes from it what it leaves open."""
    own = copy.deepcopy(container.wish.config)
    # Who the container was is no part of the image.
    own.hostname = own.domainname = own.image = ""
    own.attach_stdin = own.attach_stdout = own.attach_stderr = own.tty = own.open_stdin = own.stdin_once = (
        False
    )
    if not given:
        return own
    try:
        config = msgspec.convert(given, ContainerConfig)
    except msgspec.ValidationError as error:
        raise InvalidArgument(str(error)) from error
    for attribute in _INHERITED:
        if not getattr(config, attribute):
            setattr(config, attribute, getattr(own, attribute))
    config.env = config.env or own.env
    config.labels = {**(own.labels or {}), **(config.labels or {})}
    config.exposed_ports = {**(own.exposed_ports or {}), **(config.exposed_ports or {})} or None
    return config
