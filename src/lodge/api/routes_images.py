"""Images: list, inspect, history, tag, remove, prune; moving them: import, load, save, bootstrap."""

from __future__ import annotations

from lodge.api import shapes_images
from lodge.api.call import Call
from lodge.api.platforms import parameter
from lodge.api.router import Route
from lodge.api.routes_lifecycle import tagged
from lodge.api.routes_registries import pull
from lodge.api.transfer import send_out, send_progress
from lodge.errors import InvalidArgument


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("GET", "/images/json", list_images),
        Route("GET", "/images/get", save),
        Route("POST", "/images/create", create, bound=True),
        Route("POST", "/images/load", load),
        Route("POST", "/images/prune", prune, since=25),
        Route("GET", "/images/{name}/json", inspect),
        Route("GET", "/images/{name}/history", history),
        Route("GET", "/images/{name}/get", save),
        Route("GET", "/images/{name}/attestations", attestations, since=55),
        Route("POST", "/images/{name}/tag", tag),
        Route("DELETE", "/images/{name}", remove),
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
    platform = parameter(call, 49)
    if platform and call.version >= 48 and form.flag("manifests"):
        raise InvalidArgument("conflicting options: manifests and platform options cannot both be set")
    call.reply(shapes_images.inspect(await call.backend.images.get(call.name, platform), call.version))


async def history(call: Call) -> None:
    """GET /images/{name}/history."""
    call.reply(shapes_images.history(await call.backend.images.history(call.name, parameter(call, 48))))


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
    flow = await call.backend.images.save(names, parameter(call, 48))
    await send_out(call, flow, "application/x-tar")


async def load(call: Call) -> None:
    """POST /images/load."""
    parameter(call, 48)
    items = await call.backend.images.load(call.inflow(), quiet=call.form.flag("quiet", True))
    await send_progress(call, items, always_in_band=True)


async def create(call: Call) -> None:
    """POST /images/create: pull with fromImage, import with fromSrc."""
    platform = call.form.text("platform") or None if call.version >= 32 else None
    if call.form.text("fromImage"):
        await pull(call, platform)
    else:
        await _import(call, platform)


async def _import(call: Call, platform: str | None) -> None:
    form, source = call.form, call.form.text("fromSrc")
    reference = tagged(form.text("repo"), form.text("tag"))
    url = "" if source == "-" else source if "://" in source else f"http://{source}"
    call.exchange.bound = False  # its end is seen by whoever reads the body
    items = await call.backend.images.import_(
        url or call.inflow(),
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


async def attestations(call: Call) -> None:
    """GET /images/{name}/attestations: none are kept."""
    await call.backend.images.get(call.name)
    call.reply([])
