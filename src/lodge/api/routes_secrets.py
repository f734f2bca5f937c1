"""Secrets without a swarm: endpoints of our own, in the shapes that Docker's swarms have for theirs.

Docker's own paths stay what they are outside a swarm: refused (`absent`), so that no tool takes this for one.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from lodge.api.call import Call
from lodge.api.requests import SecretCreate
from lodge.api.router import Route
from lodge.api.times import rfc3339
from lodge.errors import InvalidArgument
from lodge.volume.secrets import Secret


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("GET", "/lodge/secrets", list_secrets),
        Route("POST", "/lodge/secrets/create", create),
        Route("GET", "/lodge/secrets/{name}", inspect),
        Route("DELETE", "/lodge/secrets/{name}", remove),
    ]


def _shape(secret: Secret) -> dict[str, Any]:
    return {
        "ID": secret.id,
        "Version": {"Index": 1},
        "CreatedAt": rfc3339(secret.created_at),
        "UpdatedAt": rfc3339(secret.created_at),
        "Spec": {"Name": secret.name, "Labels": secret.labels},
    }


async def list_secrets(call: Call) -> None:
    """GET /lodge/secrets."""
    call.reply([_shape(one) for one in await call.backend.secrets.list()])


async def create(call: Call) -> None:
    """POST /lodge/secrets/create: the value comes in base64."""
    asked = await call.json(SecretCreate)
    try:
        value = base64.b64decode(asked.data, validate=True)
    except binascii.Error as error:
        raise InvalidArgument(f"the secret's Data is no base64: {error}") from error
    made = await call.backend.secrets.create(asked.name, value, asked.labels or {})
    call.reply({"ID": made.id}, 201)


async def inspect(call: Call) -> None:
    """GET /lodge/secrets/{name}: all but the value."""
    call.reply(_shape(await call.backend.secrets.get(call.name)))


async def remove(call: Call) -> None:
    """DELETE /lodge/secrets/{name}."""
    await call.backend.secrets.remove(call.name)
    call.done()
