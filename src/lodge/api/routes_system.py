"""The engine itself: ping, version, info, events, disk usage, auth."""

from __future__ import annotations

import os
import platform
from collections.abc import AsyncIterator
from typing import Any

from lodge.api import shapes_system
from lodge.api.call import Call, close, encode
from lodge.api.router import Route
from lodge.engine.models import Event
from lodge.errors import InvalidArgument
from lodge.http.body import ClientGone
from lodge.wire import versions

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_USAGE_TYPES = ("container", "image", "volume", "build-cache")
_JSON_LINES = "application/jsonl"
_JSON_SEQUENCE = "application/json-seq"
_STREAM_TYPES = (_JSON_LINES, "application/x-ndjson", _JSON_SEQUENCE)
_PING = (
    ("Builder-Version", "2"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Swarm", "inactive"),
)


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("GET", "/_ping", ping),
        Route("HEAD", "/_ping", ping),
        Route("GET", "/version", version),
        Route("GET", "/info", info),
        Route("GET", "/events", events, bound=True),
        Route("GET", "/system/df", disk_usage),
    ]


def ping(call: Call) -> None:
    """GET and HEAD /_ping."""
    content = b"OK" if call.exchange.head.method == "GET" else b""
    headers = _PING if content else (*_PING, ("Content-Type", "text/plain; charset=utf-8"))
    call.exchange.respond(200, content, content_type="text/plain; charset=utf-8", headers=headers)


def version(call: Call) -> None:
    """GET /version."""
    machine = os.uname()
    arch = _ARCHITECTURES.get(machine.machine, machine.machine)
    details = {
        "ApiVersion": versions.text(versions.NEWEST),
        "Arch": arch,
        "Experimental": "false",
        "KernelVersion": machine.release,
        "MinAPIVersion": versions.text(versions.OLDEST),
        "Os": "linux",
        "PythonVersion": platform.python_version(),
    }
    call.reply(
        {
            "Platform": {"Name": "Lodge"},
            "Components": [{"Name": "Engine", "Version": versions.ENGINE, "Details": details}],
            "Version": versions.ENGINE,
            "ApiVersion": details["ApiVersion"],
            "MinAPIVersion": details["MinAPIVersion"],
            "GitCommit": "",
            "GoVersion": "",
            "Os": "linux",
            "Arch": arch,
            "KernelVersion": machine.release,
            "BuildTime": "",
        }
    )


async def info(call: Call) -> None:
    """GET /info."""
    call.reply(age_info(await call.backend.system.info(), call.version))


def age_info(found: dict[str, Any], version: int) -> dict[str, Any]:
    """SystemInfo as a client of that version knows it."""
    out = found | {"ServerVersion": versions.ENGINE}
    if version < 44:
        runtimes = out.get("Runtimes") or {}
        out["Runtimes"] = {
            name: {key: value for key, value in one.items() if key != "status"}
            for name, one in runtimes.items()
        }
    if version < 46:
        out.pop("Containerd", None)
    if version < 47 and isinstance(out.get("RegistryConfig"), dict):
        out["RegistryConfig"] = out["RegistryConfig"] | {
            "AllowNondistributableArtifactsCIDRs": None,
            "AllowNondistributableArtifactsHostnames": None,
        }
    if version < 49:
        out.pop("FirewallBackend", None)
        for name in ("ContainerdCommit", "RuncCommit", "InitCommit"):
            commit = out.get(name) or {"ID": ""}
            out[name] = commit | {"Expected": commit.get("ID", "")}
    if version < 50:
        out.pop("DiscoveredDevices", None)
        out |= {"BridgeNfIptables": False, "BridgeNfIp6tables": False}
    if version < 53:
        out.pop("NRI", None)
    return out


async def events(call: Call) -> None:
    """GET /events: headers at once, then one message an event."""
    form = call.form
    since, until = form.moment("since"), form.moment("until")
    if until and until < since:
        raise InvalidArgument(
            f"`since` time ({form.text('since')}) cannot be after `until` time ({form.text('until')})"
        )
    kind = _events_type(call)
    found = await call.backend.system.events(since=since, until=until, filters=form.filters())
    stream = call.stream(kind)
    try:
        async for line in _event_lines(found, call.version, kind):
            await stream.write(line)
    except ClientGone:
        pass
    finally:
        await close(found)
    stream.end()


def _events_type(call: Call) -> str:
    accepted = [part.partition(";")[0].strip() for part in call.header("accept").lower().split(",")]
    for kind in accepted:
        if kind in _STREAM_TYPES:
            return kind
    return "application/json" if call.version < 52 else _JSON_LINES


async def _event_lines(found: AsyncIterator[Event], version: int, kind: str) -> AsyncIterator[bytes]:
    mark = b"\x1e" if kind == _JSON_SEQUENCE else b""  # RFC 7464
    async for event in found:
        if version < 46 and event.type == "image" and event.action == "create":
            continue
        yield mark + encode(shapes_system.event(event, version)) + b"\n"


async def disk_usage(call: Call) -> None:
    """GET /system/df."""
    types = call.form.texts("type") if call.version >= 42 else []
    for one in types:
        if one not in _USAGE_TYPES:
            raise InvalidArgument(f"unknown object type: {one}")
    wanted = set(types or _USAGE_TYPES)
    parts = await call.backend.system.disk_usage(wanted)
    builds = "build-cache" in wanted
    if builds:
        from lodge.api.shapes_build import record

        parts["records"] = [record(each) for each in call.backend.builds.records()]
    found = shapes_system.DiskUsage(parts)
    verbose = call.version >= 52 and call.form.flag("verbose")
    legacy = {} if verbose else found.legacy(call.version, build_cache=builds)
    if call.version < 52:
        call.reply(legacy)
    else:
        # both layouts, since clients without a version prefix may know either
        call.reply(legacy | found.current(call.version, verbose=verbose, build_cache=builds))
