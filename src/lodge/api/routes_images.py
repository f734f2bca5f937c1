"""Images: list, inspect, history, tag, remove, prune; moving them: pull, import, load, save, bootstrap."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from lodge.api import shapes_images
from lodge.api.call import Call
from lodge.api.router import Route
from lodge.api.routes_lifecycle import tagged
from lodge.api.transfer import send_out, send_progress
from lodge.engine.models import Progress
from lodge.errors import Forbidden, InvalidArgument, LodgeError, Unsupported
from lodge.spec.digest import Digest
from lodge.spec.reference import Reference


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("GET", "/images/json", list_images),
        Route("GET", "/images/get", save),
        Route("GET", "/images/search", search),
        Route("POST", "/images/create", create, bound=True),
        Route("POST", "/images/load", load),
        Route("POST", "/images/prune", prune, since=25),
        Route("GET", "/images/{name}/json", inspect),
        Route("GET", "/images/{name}/history", history),
        Route("GET", "/images/{name}/get", save),
        Route("GET", "/images/{name}/attestations", attestations, since=55),
        Route("POST", "/images/{name}/tag", tag),
        Route("POST", "/images/{name}/push", push),
        Route("DELETE", "/images/{name}", remove),
        Route("GET", "/distribution/{name}/json", distribution),
        Route("POST", "/lodge/images/bootstrap", bootstrap, bound=True),
    ]


async def list_images(call: Call) -> None:
    """GET /images/json."""
    form, version = call.form, call.version
    if version >= 54 and form.flag("identity") and not form.flag("manifests"):
        raise InvalidArgument("conflicting options: identity requires manifests=1")
    filters = form.filters()
    if version < 25 and form.text("filter"):
        filters.setdefault("reference", [form.text("filter")])
    found = await call.backend.images.list(
        all=form.flag("all"),
        filters=filters,
        shared_size=version >= 42 and form.flag("shared-size"),
        digests=form.flag("digests"),
    )
    call.reply([shapes_images.summary(image, version) for image in found])


async def inspect(call: Call) -> None:
    """GET /images/{name}/json."""
    form = call.form
    platform = _platform(call, 49)
    if platform and call.version >= 48 and form.flag("manifests"):
        raise InvalidArgument("conflicting options: manifests and platform options cannot both be set")
    call.reply(shapes_images.inspect(await call.backend.images.get(call.name, platform), call.version))


async def history(call: Call) -> None:
    """GET /images/{name}/history."""
    call.reply(shapes_images.history(await call.backend.images.history(call.name, _platform(call, 48))))


async def tag(call: Call) -> None:
    """POST /images/{name}/tag."""
    reference = tagged(call.form.text("repo"), call.form.text("tag"))
    if reference is None:
        raise InvalidArgument("invalid reference format")
    if reference.partition(":")[0] == "sha256":
        raise InvalidArgument("refusing to create an ambiguous tag using digest algorithm as name")
    await call.backend.images.tag(call.name, reference)
    call.done(201)


async def remove(call: Call) -> None:
    """DELETE /images/{name}."""
    form = call.form
    if not call.name.strip():
        raise InvalidArgument("image name cannot be blank")
    done = await call.backend.images.remove(
        call.name, force=form.flag("force"), prune=not form.flag("noprune")
    )
    call.reply(shapes_images.deletions(done))


async def prune(call: Call) -> None:
    """POST /images/prune."""
    pruned = await call.backend.images.prune(call.form.filters())
    deleted = shapes_images.deletions(pruned.image_deletions)
    call.reply({"ImagesDeleted": deleted or None, "SpaceReclaimed": pruned.reclaimed})


async def save(call: Call) -> None:
    """GET /images/get and /images/{name}/get."""
    names = [call.name] if call.name else call.form.texts("names")
    names = [one for name in names for one in (name.split(",") if not call.name else [name]) if one]
    if not names:
        raise InvalidArgument("no image names were given")
    flow = await call.backend.images.save(names, _platform(call, 48))
    await send_out(call, flow, "application/x-tar")


async def load(call: Call) -> None:
    """POST /images/load."""
    _platform(call, 48)
    items = await call.backend.images.load(call.inflow(), quiet=call.form.flag("quiet", True))
    await send_progress(call, items, always_in_band=True)


async def create(call: Call) -> None:
    """POST /images/create: pull with fromImage, import with fromSrc."""
    platform = call.form.text("platform") or None if call.version >= 32 else None
    if call.form.text("fromImage"):
        await _pull(call, platform)
    else:
        await _import(call, platform)


async def _pull(call: Call, platform: str | None) -> None:
    reference = _pulled_name(call.form.text("fromImage"), call.form.text("tag"))
    if reference.familiar_name == "scratch":
        raise Forbidden("'scratch' is a reserved name")
    auth = _auth(call.header("x-registry-auth"))
    await send_progress(
        call, await call.backend.images.pull(reference.familiar(), platform=platform, auth=auth)
    )


def _pulled_name(image: str, tag: str) -> Reference:
    """A name out of two parameters; the second may be a digest. Without tag and digest all tags are meant."""
    name = Reference.parse_name(image.removesuffix(":"))
    if not tag:
        return name
    try:
        digest = Digest(tag)
    except LodgeError:
        return name.with_tag(tag)
    return name.with_digest(digest)


async def _import(call: Call, platform: str | None) -> None:
    form, source = call.form, call.form.text("fromSrc")
    reference = tagged(form.text("repo"), form.text("tag"))
    if source != "-":
        raise Unsupported("import from a URL is not offered; download the archive and import it from stdin")
    call.exchange.bound = False  # its end is seen by whoever reads the body
    items = await call.backend.images.import_(
        call.inflow(),
        reference=reference,
        message=form.text("message") or f"Imported from {source}",
        changes=form.texts("changes"),
        platform=platform,
    )
    await send_progress(call, items)


async def bootstrap(call: Call) -> None:
    """POST /lodge/images/bootstrap: make a base image from the mirror or the machine itself."""
    form = call.form
    image = form.text("image")
    if not image:
        raise InvalidArgument("the parameter 'image' must not be empty")
    items = await call.backend.images.bootstrap(
        image, suite=form.text("suite") or None, mirror=form.text("mirror") or None
    )
    await send_progress(call, items)


async def push(call: Call) -> None:
    """POST /images/{name}/push: what Docker says when its registry can't be served, inside the stream."""
    form = call.form
    reference = tagged(call.name, form.text("tag")) or call.name
    image = await call.backend.images.get(reference)
    del image

    async def refuse() -> Any:
        yield Progress(status=f"The push refers to repository [{Reference.parse_name(call.name).name}]")
        yield Progress(error="push to registries is not offered by this engine yet")

    await send_progress(call, refuse())


def search(call: Call) -> None:
    """GET /images/search."""
    limit = call.form.integer("limit")
    if limit is not None and limit < 0:
        raise InvalidArgument("invalid limit specified")
    raise Unsupported("search needs a registry's index, which this engine does not ask yet")


def distribution(call: Call) -> None:
    """GET /distribution/{name}/json."""
    Reference.parse_name(call.name)
    raise Unsupported("asking registries is not offered by this engine yet")


async def attestations(call: Call) -> None:
    """GET /images/{name}/attestations: none are kept."""
    await call.backend.images.get(call.name)
    call.reply([])


def _platform(call: Call, since: int) -> str | None:
    """The platform parameter (JSON) as `os/arch[/variant]`; None when it is not given, or before its time."""
    values = call.form.texts("platform")
    if call.version < since or not values or not values[0]:
        return None
    if len(values) > 1 and call.version < 52:
        raise InvalidArgument(
            "multiple platform parameters are not supported in this API version; "
            "use API version 1.52 or later"
        )
    if len(values) > 1:
        raise Unsupported("only one platform at a time is offered")
    try:
        members = msgspec.json.decode(values[0], type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidArgument(f"failed to parse platform: {error}") from None
    system, machine = members.get("os"), members.get("architecture")
    if not system or not machine:
        raise InvalidArgument("both OS and Architecture must be provided")
    return "/".join(str(part) for part in (system, machine, members.get("variant")) if part)


def _auth(header: str) -> dict[str, str] | None:
    """Credentials of a pull. What can't be read is passed over, as Docker does."""
    if not header:
        return None
    try:
        text = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
        return msgspec.json.decode(text, type=dict[str, str]) or None
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return None
