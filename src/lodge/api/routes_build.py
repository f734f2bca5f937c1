"""Building through REST: the classic builder's request and stream, and this engine's own stream of events."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from lodge.api.call import Call, close, encode
from lodge.api.queries import Form
from lodge.api.router import Route
from lodge.api.times import rfc3339
from lodge.api.transfer import send_out
from lodge.errors import InvalidArgument, NotFound, Unsupported

if TYPE_CHECKING:
    from lodge.build.contract import BuildEvent, BuildRequest, Options, Output, Ulimit

_DEFAULT_NETWORKS = ("", "default", "bridge")


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("POST", "/build", build, bound=True),
        Route("POST", "/build/cancel", cancel),
        Route("POST", "/build/prune", prune),
        Route("POST", "/lodge/build", build_events, bound=True),
        Route("GET", "/lodge/build/mounts", list_mounts),
        Route("GET", "/lodge/build/mounts/get", export_mount),
        Route("POST", "/lodge/build/mounts/load", import_mount),
    ]


async def build(call: Call) -> None:
    """POST /build: lines as the classic builder writes them."""
    from lodge.api.shapes_build import Classic

    request = _request(call)
    if request.options.cache_from and not await _any_is_here(call, request.options.cache_from):
        # Docker's builder looks for cached steps in these images and nowhere else.
        request.options.no_cache = True
    classic = Classic(quiet=call.form.flag("q"))
    await call.send_lines(_classic(call, request, classic))


async def _any_is_here(call: Call, names: tuple[str, ...]) -> bool:
    for name in names:
        try:
            await call.backend.images.get(name)
        except (NotFound, InvalidArgument):
            continue
        return True
    return False


async def _classic(call: Call, request: BuildRequest, classic: Any) -> AsyncIterator[bytes]:
    from lodge.build.failures import StepFailed

    events = _events(call, request)
    try:
        async for event in events:
            for line in classic.lines(event):
                yield encode(line) + b"\r\n"
    except StepFailed as failure:
        for line in classic.failed(failure):
            yield encode(line) + b"\r\n"
    finally:
        await close(events)


async def build_events(call: Call) -> None:
    """POST /lodge/build: events as they are, one JSON a line, for a display of one's own."""
    await call.send_lines(_raw(call, _request(call, streamed=True)))


async def _raw(call: Call, request: BuildRequest) -> AsyncIterator[bytes]:
    from lodge.build.failures import StepFailed, excerpt

    events = _events(call, request)
    try:
        async for event in events:
            yield encode(event) + b"\n"
    except StepFailed as failure:
        failed = {
            "type": "Failed",
            "step": failure.step,
            "name": failure.name,
            "error": failure.message,
            "hint": failure.hint,
            "exit_code": failure.exit_code,
            "filename": failure.filename,
            "lines": failure.lines,
            "excerpt": excerpt(failure.source, failure.lines),
            "log": base64.b64encode(failure.log).decode(),
        }
        yield encode(failed) + b"\n"
    finally:
        await close(events)


async def _events(call: Call, request: BuildRequest) -> AsyncIterator[BuildEvent]:
    """The build's events, with the context taken in first and removed at the end."""
    builds = call.backend.builds
    form = call.form
    context = await builds.receive(call.inflow(), form.text("remote"), request)
    call.exchange.give_back()
    events = builds.build(request, form.text("buildid"))
    try:
        async for event in events:
            yield event
    finally:
        await close(events)
        if context is not None:
            context.close()


async def list_mounts(call: Call) -> None:
    """GET /lodge/build/mounts: the caches of RUN --mount=type=cache."""
    found = await call.backend.builds.cache_mounts()
    call.reply([{"ID": each.id, "Size": each.size, "LastUsedAt": rfc3339(each.used_at)} for each in found])


async def export_mount(call: Call) -> None:
    """GET /lodge/build/mounts/get: one of them as a tar."""
    await send_out(call, await call.backend.builds.export_cache(call.form.text("id")), "application/x-tar")


async def import_mount(call: Call) -> None:
    """POST /lodge/build/mounts/load: a tar in the place of one of them."""
    cache = call.form.text("id")
    if not cache:
        raise InvalidArgument("the id of a cache is missing")
    await call.backend.builds.import_cache(cache, call.inflow())
    call.done()


async def cancel(call: Call) -> None:
    """POST /build/cancel."""
    build_id = call.form.text("id")
    if not build_id:
        raise InvalidArgument("build ID not provided")
    await call.backend.builds.cancel(build_id)
    call.done(200)


async def prune(call: Call) -> None:
    """POST /build/prune."""
    form = call.form
    keep = form.integer("reserved-space") or form.integer("keep-storage") or 0
    pruned = await call.backend.builds.prune(
        form.filters(), all=form.flag("all"), keep=keep, most=form.integer("max-used-space") or 0
    )
    call.reply({"CachesDeleted": pruned.deleted or None, "SpaceReclaimed": pruned.reclaimed})


def _request(call: Call, *, streamed: bool = False) -> BuildRequest:
    from lodge.build.contract import BuildRequest

    form = call.form
    if form.text("remote") == "client-session":
        raise Unsupported(
            "a context in a session needs BuildKit's protocol", hint="send the context as a tar"
        )
    return BuildRequest(
        filename=form.text("dockerfile") or "Dockerfile",
        options=_options(form),
        outputs=_outputs(form, streamed=streamed),
        secrets=_secrets(call.header("x-lodge-build-secrets")),
        credentials=_credentials(call.header("x-registry-config")),
    )


def _options(form: Form) -> Options:
    from lodge.build.contract import Options

    if form.flag("squash"):
        raise InvalidArgument("squash is only supported with experimental mode")
    if form.texts("securityopt"):
        raise Unsupported("security options of a build are not supported")
    if form.text("isolation") not in ("", "default"):
        raise InvalidArgument(f"Unsupported isolation: {form.text('isolation')!r}")
    network = form.text("networkmode")
    if network.startswith("container:"):
        raise Unsupported("a build can't join a container's network", hint="default, none, host or a network")
    arguments = _texts(form, "buildargs")
    epoch = arguments.get("SOURCE_DATE_EPOCH", "")
    if epoch and not epoch.isdecimal():
        raise InvalidArgument(f"invalid SOURCE_DATE_EPOCH: {epoch}")
    return Options(
        target=form.text("target"),
        platforms=tuple(part for part in form.text("platform").split(",") if part),
        arguments=arguments,
        labels=_texts(form, "labels"),
        no_cache=form.flag("nocache"),
        no_cache_filter=tuple(form.texts("nocachefilter")),
        pull=form.flag("pull"),
        network="" if network in _DEFAULT_NETWORKS else network,
        extra_hosts=_list(form, "extrahosts"),
        shm_size=form.integer("shmsize") or 0,
        ulimits=_ulimits(form.text("ulimits")),
        cgroup_parent=form.text("cgroupparent"),
        memory=form.integer("memory") or 0,
        memory_swap=form.integer("memswap") or 0,
        cpu_shares=form.integer("cpushares") or 0,
        cpu_period=form.integer("cpuperiod") or 0,
        cpu_quota=form.integer("cpuquota") or 0,
        cpuset_cpus=form.text("cpusetcpus"),
        cpuset_mems=form.text("cpusetmems"),
        # What dockerd allows to every build of its own.
        entitlements=frozenset(("network.host", *_list(form, "allow"))),
        source_date_epoch=int(epoch) if epoch else None,
        check=form.flag("check"),
        cache_from=tuple(_json(form, "cachefrom", list) or ()),
    )


def _outputs(form: Form, *, streamed: bool) -> tuple[Output, ...]:
    from lodge.build.contract import Output

    names = tuple(name for name in form.texts("t") if name)
    given = _json(form, "outputs", list) or []
    if not given:
        return (Output(names=names),)
    made: list[Output] = []
    for each in given:
        kind = each.get("Type", "") if isinstance(each, dict) else ""
        if kind in ("tar", "oci", "docker") and streamed:
            made.append(Output(kind=kind, names=names))
        elif kind in ("image", "moby", "docker", "cacheonly"):
            made.append(Output(kind="none" if kind == "cacheonly" else "image", names=names))
        else:
            raise Unsupported(f"output {kind!r} needs a session", hint="build an image and export or save it")
    return tuple(made)


def _texts(form: Form, name: str) -> dict[str, str]:
    found = _json(form, name, dict) or {}
    for value in found.values():
        if value is not None and not isinstance(value, str):
            raise InvalidArgument(f"error reading {name}: the values are texts")
    return {key: value for key, value in found.items() if value is not None}


def _list(form: Form, name: str) -> tuple[str, ...]:
    return tuple(part for text in form.texts(name) for part in text.split(",") if part)


def _json(form: Form, name: str, kind: type) -> Any:
    text = form.text(name)
    if not text:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"error reading {name}: {error}") from None
    if found is not None and not isinstance(found, kind):
        raise InvalidArgument(f"error reading {name}: unexpected JSON")
    return found


def _ulimits(text: str) -> tuple[Ulimit, ...]:
    from lodge.build.contract import Ulimit

    if not text:
        return ()
    try:
        return tuple(Ulimit(each["Name"], int(each["Soft"]), int(each["Hard"])) for each in json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidArgument(f"error reading ulimit settings: {error}") from None


def _credentials(header: str) -> dict[str, dict[str, str]]:
    """X-Registry-Config: registries by name. What can't be read is as if it were not there, as in Docker."""
    if not header:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, dict)}


class _Secrets:
    """Secrets that came with the request; see build.contract.Secrets."""

    def __init__(self, values: dict[str, bytes]) -> None:
        self._values = values

    async def get(self, id: str) -> bytes | None:
        """One of them."""
        return self._values.get(id)


def _secrets(header: str) -> _Secrets | None:
    """Secrets of `lodge build --secret`: ids and values, each in base64, as JSON in base64."""
    if not header:
        return None
    try:
        found = json.loads(base64.b64decode(header, validate=True))
        return _Secrets({str(name): base64.b64decode(value, validate=True) for name, value in found.items()})
    except (ValueError, AttributeError, TypeError):
        raise InvalidArgument("the header X-Lodge-Build-Secrets can't be read") from None
