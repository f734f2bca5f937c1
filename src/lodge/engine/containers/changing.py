"""Changes of a container that stays: its name, its limits, its restart policy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec

from lodge.engine import names
from lodge.engine.census import Resident
from lodge.engine.containers.creation import write_links
from lodge.engine.containers.news import announce
from lodge.engine.models import NetworkChange
from lodge.engine.networks import texts
from lodge.engine.networks.attaching import Attachments
from lodge.engine.parts import Parts
from lodge.engine.planning import checks, limits
from lodge.errors import Conflict, InvalidArgument, LodgeError, NotFound
from lodge.runtime.messages import Update
from lodge.spec.container import HostConfig, RestartPolicy

_NEVER_BY_UPDATE = ("Devices", "DeviceCgroupRules", "DeviceRequests", "CgroupParent", "Ulimits", "Init")


async def rename(parts: Parts, attachments: Attachments, resident: Resident, new_name: str) -> None:
    """Give it another name; AlreadyExists when that is taken, InvalidArgument for no change."""
    if not new_name:
        raise InvalidArgument("Neither old nor new names may be empty")
    with _allocating():
        new = names.check_container_name(new_name)
    old = resident.container.name
    if new == old:
        raise InvalidArgument("Renaming a container with the same name as its current name")
    async with resident.lock:
        with _allocating():
            parts.census.reserve(new)
        resident.container.name = new
        try:
            parts.rows.save(resident.container)
        except BaseException:
            resident.container.name = old
            parts.census.release(new)
            raise
        parts.census.renamed(resident, old)
        for other in parts.census:
            if other.container.links and (other is resident or resident.id in other.container.links.values()):
                write_links(parts.census, other.container, other.container.links)
        await attachments.renamed(resident.container)
        parts.rows.save(resident.container, durable=False)
        announce(parts, resident, "rename", oldName=f"/{old}")


@contextlib.contextmanager
def _allocating() -> Iterator[None]:
    try:
        yield
    except LodgeError as error:
        error.message = f"Error when allocating new name: {error.message}"
        raise


async def remove_link(parts: Parts, path: str) -> None:
    """Remove the link /owner/alias; NotFound when there is none."""
    owner, _, alias = path.strip("/").partition("/")
    resident = parts.census.find(owner)
    async with resident.lock:
        container = resident.container
        if not alias:
            raise Conflict("Conflict, cannot remove the default link name of the container")
        if alias not in container.links:
            raise NotFound(f"Cannot get parent link for {path}: no such link")
        container.links = {name: other for name, other in container.links.items() if name != alias}
        write_links(parts.census, container, container.links)
        parts.rows.save(container)
        if container.state.running:
            texts.write_hosts(parts, container)


async def update(
    parts: Parts,
    attachments: Attachments,
    resident: Resident,
    given: dict[str, Any],
    restart: RestartPolicy | None,
    network: NetworkChange | None = None,
) -> list[str]:
    """Change what is given (JSON members of Limits), keep the rest; all or nothing. Gives warnings."""
    async with resident.lock:
        container = resident.container
        if container.state.status in ("removing", "dead"):
            raise Conflict(
                f"Cannot update container {container.id}: "
                'container is marked for removal and cannot be "update".'
            )
        if restart is not None and restart.name:
            checks.check_restart_policy(restart)
            if container.wish.host.auto_remove and restart.name != "no":
                raise InvalidArgument(
                    "Restart policy cannot be updated because AutoRemove is enabled for the container"
                )
        if network is not None:
            from lodge.engine.networks import changing as wires

            await wires.change(parts, attachments, container, network)
        host = _merged(container.wish.host, given)
        warnings = limits.check(host, parts.facts, update=True)
        if restart is not None and restart.name:
            host.restart_policy = restart
        if resident.keeper is not None and given and container.state.status != "restarting":
            keeper = resident.keeper
            await keeper.post(Update(request=keeper.next_number(), resources=limits.resources(host)))
        container.wish.host = host
        parts.rows.save(container)
        announce(parts, resident, "update")
        return warnings


def _merged(host: HostConfig, given: dict[str, Any]) -> HostConfig:
    """A copy with what is given; zeros and empty values say "not given", as Docker's clients send them."""
    fields = {key: value for key, value in given.items() if key not in _NEVER_BY_UPDATE and _says(value)}
    if fields.get("NanoCpus") and (host.cpu_quota or host.cpu_period):
        raise InvalidArgument(
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota/Period has already been set"
        )
    if (fields.get("CpuQuota") or fields.get("CpuPeriod")) and host.nano_cpus:
        raise InvalidArgument(
            "Conflicting options: CPU Quota/Period cannot be updated as NanoCPUs has already been set"
        )
    memory, swap = fields.get("Memory", 0), fields.get("MemorySwap", 0)
    if memory and host.memory_swap and not swap and memory > host.memory_swap > 0:
        raise InvalidArgument(
            "Memory limit should be smaller than already set memoryswap limit,"
            " update the memoryswap at the same time"
        )
    whole = msgspec.to_builtins(host)
    whole.update(fields)
    try:
        merged = msgspec.convert(whole, HostConfig)
    except msgspec.ValidationError as error:
        raise InvalidArgument(str(error)) from error
    if "PidsLimit" in fields and fields["PidsLimit"] <= 0:
        merged.pids_limit = None if fields["PidsLimit"] == 0 else -1
    return merged


def _says(value: Any) -> bool:
    return value not in (None, "", 0) and value != []
