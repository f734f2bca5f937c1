"""Registries: pull, push, login, and what one has under a name.

Credentials come in the header X-Registry-Auth, an AuthConfig in base64; they go to the engine as they are.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from lodge.api import platforms
from lodge.api.call import Call
from lodge.api.requests import AuthConfig
from lodge.api.router import Route
from lodge.api.transfer import send_progress
from lodge.errors import Forbidden, InvalidArgument, LodgeError, Unsupported
from lodge.spec.digest import Digest
from lodge.spec.reference import Reference


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("GET", "/images/search", search),
        Route("POST", "/images/{name}/push", push, bound=True),
        Route("GET", "/distribution/{name}/json", distribution),
        Route("POST", "/auth", auth),
    ]


async def pull(call: Call, platform: str | None) -> None:
    """POST /images/create with fromImage."""
    reference = _pulled_name(call.form.text("fromImage"), call.form.text("tag"))
    if reference.familiar_name == "scratch":
        raise Forbidden("'scratch' is a reserved name")
    items = await call.backend.images.pull(
        reference.familiar(), platform=platform, auth=credentials(call.header("x-registry-auth"))
    )
    await send_progress(call, items)


def _pulled_name(image: str, tag: str) -> Reference:
    """A name of two parameters; the second may be a digest. Without tag and digest all tags are meant."""
    name = Reference.parse_name(image.removesuffix(":"))
    if not tag:
        return name
    try:
        digest = Digest(tag)
    except LodgeError:
        return name.with_tag(tag)
    return name.with_digest(digest)


async def push(call: Call) -> None:
    """POST /images/{name}/push; `compression` is Lodge's own, as in zstd:19."""
    form = call.form
    reference = Reference.parse_name(call.name)
    if form.text("tag"):
        reference = reference.with_tag(form.text("tag"))
    items = await call.backend.images.push(
        reference.familiar(),
        platform=platforms.parameter(call, 46),
        auth=credentials(call.header("x-registry-auth")),
        compression=form.text("compression"),
    )
    await send_progress(call, items)


async def auth(call: Call) -> None:
    """POST /auth."""
    wanted = await call.json(AuthConfig)
    fields = {
        "username": wanted.username,
        "password": wanted.password,
        "auth": wanted.auth,
        "serveraddress": wanted.serveraddress,
        "identitytoken": wanted.identitytoken,
        "registrytoken": wanted.registrytoken,
    }
    token = await call.backend.images.login({name: value for name, value in fields.items() if value})
    call.reply({"Status": "Login Succeeded", "IdentityToken": token})


async def distribution(call: Call) -> None:
    """GET /distribution/{name}/json."""
    descriptor, platforms = await call.backend.images.inspect_remote(
        call.name, auth=credentials(call.header("x-registry-auth"))
    )
    call.reply({"Descriptor": msgspec.to_builtins(descriptor), "Platforms": msgspec.to_builtins(platforms)})


def search(call: Call) -> None:
    """GET /images/search: an index of Docker Hub's own, which no other registry has."""
    limit = call.form.integer("limit")
    if limit is not None and limit < 0:
        raise InvalidArgument("invalid limit specified")
    raise Unsupported("search asks Docker Hub's index of names, which this engine does not use")


def credentials(header: str) -> dict[str, Any] | None:
    """An AuthConfig of its header. What can't be read is passed over, as Docker does."""
    if not header:
        return None
    try:
        text = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
        return msgspec.json.decode(text, type=dict[str, str]) or None
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return None
