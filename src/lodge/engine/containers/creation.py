"""Making a container: the wish is checked, completed by the image, given files, a name and a row."""

from __future__ import annotations

import os
import socket
import time

from lodge.engine import names
from lodge.engine.census import Census, Resident
from lodge.engine.containers import layout
from lodge.engine.containers.clearing import clear_directory
from lodge.engine.containers.news import announce
from lodge.engine.images.admission import admit
from lodge.engine.images.catalog import Found
from lodge.engine.models import Container, ContainerState
from lodge.engine.networks import places
from lodge.engine.networks.predefined import BRIDGE, DISABLED
from lodge.engine.parts import Parts
from lodge.engine.planning import checks, logging, merge
from lodge.engine.planning.namespaces import HOST, joined
from lodge.errors import InvalidArgument, LodgeError
from lodge.spec.container import Wish

_NO_LINKS = "can't be used with links. This would result in undefined behavior"
_JOINED_MODE = "the container type network mode"


class Creator:
    """Makes containers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(self, name: str | None, wish: Wish, platform: str | None) -> tuple[Resident, list[str]]:
        """Make one; nothing is left of it when this fails."""
        parts = self._parts
        chosen = names.check_container_name(name) if name else None
        warnings = checks.check(wish, parts.settings, parts.facts)
        _without_default_bridge(wish, parts)
        found = await self._image(wish, platform, warnings)
        merge.over_image(wish.config, found.config.config if found else None)
        logging.complete(wish.host.log_config, parts.settings)
        self._resolve_others(wish)
        chosen = chosen or names.new_name(parts.census.taken)
        parts.census.reserve(chosen)
        try:
            container = _container(names.new_id(), chosen, wish, found, parts)
            container.links = self._links(container)
            await self._furnish(container, found)
        except BaseException:
            parts.census.release(chosen)
            raise
        resident = Resident(container)
        parts.census.add(resident)
        announce(parts, resident, "create")
        return resident, warnings

    async def _image(self, wish: Wish, platform: str | None, warnings: list[str]) -> Found | None:
        if not wish.config.image:
            raise InvalidArgument("no image was given to make the container of")
        found = self._parts.images.find(wish.config.image, platform)
        await admit(self._parts, wish.config.image, found)
        if warning := self._parts.images.platform_warning(found, platform):
            warnings.append(warning)
        await self._parts.images.unpack(found)
        return found

    def _resolve_others(self, wish: Wish) -> None:
        """Replace names of other containers by their ids: a later rename changes nothing."""
        host, config = wish.host, wish.config
        for attribute in ("network_mode", "ipc_mode", "pid_mode"):
            mode: str = getattr(host, attribute)
            if other := joined(mode):
                words = "joining network namespace of container: " if attribute == "network_mode" else ""
                setattr(host, attribute, f"container:{self._parts.census.named(other, words).id}")
        if joined(host.network_mode):
            self._check_shared_network(wish)
        if host.network_mode == HOST and host.links:
            raise InvalidArgument(f"conflicting options: host type networking {_NO_LINKS}")
        if host.uts_mode == HOST and (config.hostname or config.domainname):
            raise InvalidArgument("conflicting options: hostname and the UTS mode")

    def _check_shared_network(self, wish: Wish) -> None:
        host, config = wish.host, wish.config
        for given, what in (
            (config.hostname, "hostname and the network mode"),
            (host.links, f"container type network {_NO_LINKS}"),
            (host.dns, "dns and the network mode"),
            (host.extra_hosts, "custom host-to-IP mapping and the network mode"),
            (host.port_bindings or host.publish_all_ports, f"port publishing and {_JOINED_MODE}"),
            (config.exposed_ports and host.port_bindings, f"port exposing and {_JOINED_MODE}"),
        ):
            if given:
                raise InvalidArgument(f"conflicting options: {what}")

    def _links(self, container: Container) -> dict[str, str]:
        """Links of the default bridge, alias to id; the wish says them as Docker's inspect does."""
        host = container.wish.host
        if not host.links or BRIDGE not in container.networks:
            return {}
        from lodge.engine.planning.sandbox import read_link

        found: dict[str, str] = {}
        for text in host.links:
            name, alias = read_link(text)
            found[alias] = self._parts.census.named(name, f"could not get container for {name}: ").id
        write_links(self._parts.census, container, found)
        return found

    async def _furnish(self, container: Container, found: Found | None) -> None:
        parts = self._parts
        directory = parts.directory(container.id)
        made = layout.Made()
        try:
            os.mkdir(directory, 0o710)
            if container.log_path and os.path.dirname(container.log_path) != directory:
                os.mkdir(os.path.dirname(container.log_path), 0o700)
            await layout.lay_out(parts, container, made)
            parts.store.snapshots.prepare(container.id, found.chain_id if found else None, furnished=True)
            made.snapshot = True
            # One that removes itself is gone after a power failure anyway.
            parts.rows.save(container, durable=not container.wish.host.auto_remove)
        except BaseException as error:
            await parts.bridge.call(self._clear, container.id, directory, made, error)
            raise

    def _clear(self, id: str, directory: str, made: layout.Made, error: BaseException) -> None:
        """Remove what a failed creation made; what fails here is noted with the error."""
        try:
            if made.snapshot:
                self._parts.store.snapshots.remove(id)
            for volume in made.volumes:
                self._parts.volumes.remove(volume)
        except (LodgeError, OSError) as further:
            error.add_note(f"while clearing up: {further}")
        clear_directory(directory)


def _container(id: str, name: str, wish: Wish, found: Found | None, parts: Parts) -> Container:
    _name_host(id, wish, parts)
    path, args = merge.program(wish.config)
    directory = parts.directory(id)
    own_files = not joined(wish.host.network_mode)
    return Container(
        id=id,
        name=name,
        created_at=time.time_ns(),
        wish=wish,
        image_id=found.image.id if found else "",
        image_name=wish.config.image,
        chain_id=str(found.chain_id or "") if found else "",
        path=path,
        args=args,
        state=ContainerState(),
        networks=places.settle(parts.book, wish),
        snapshotter=parts.store.snapshots.name,
        log_path=logging.path(wish.host.log_config, directory, id),
        hostname_path=f"{directory}/hostname" if own_files else "",
        hosts_path=f"{directory}/hosts" if own_files else "",
        resolv_conf_path=f"{directory}/resolv.conf" if own_files else "",
        healthcheck=wish.config.healthcheck,
    )


def _name_host(id: str, wish: Wish, parts: Parts) -> None:
    config, host = wish.config, wish.host
    if config.hostname:
        return
    if host.network_mode == HOST or host.uts_mode == HOST:
        config.hostname = socket.gethostname()
    elif other := joined(host.network_mode):
        config.hostname = parts.census.find(other).container.wish.config.hostname
    else:
        config.hostname = id[:12]


def _without_default_bridge(wish: Wish, parts: Parts) -> None:
    """With --bridge=none a container that names no network gets a loopback device only."""
    if parts.settings.network.bridge == DISABLED and wish.host.network_mode in ("default", BRIDGE):
        wish.config.network_disabled = True


def write_links(census: Census, container: Container, links: dict[str, str]) -> None:
    """Say the links in the wish by the names that everybody has now."""
    container.wish.host.links = [
        f"/{census.find(other).container.name}:/{container.name}/{alias}"
        for alias, other in links.items()
        if census.knows(other)
    ] or None
