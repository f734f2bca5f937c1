"""Credentials for one registry, as Docker's clients send them (AuthConfig). Values only."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class Credentials(Struct, frozen=True, kw_only=True):
    """A name and password, or a token: `identity_token` buys tokens (OAuth 2), `registry_token` is one."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    @classmethod
    def of_auth_config(cls, fields: Mapping[str, Any] | None) -> Credentials | None:
        """Read an AuthConfig; None when there is nothing in it that could be sent."""
        if not fields:
            return None
        username, password = _text(fields, "username"), _text(fields, "password")
        if not username and (auth := _text(fields, "auth")):
            username, password = _basic(auth)
        found = cls(
            username=username,
            password=password,
            identity_token=_text(fields, "identitytoken"),
            registry_token=_text(fields, "registrytoken"),
        )
        return found if found != NOBODY else None

    @property
    def basic(self) -> str:
        """The value of an Authorization header of the scheme Basic (RFC 7617); "" without a name."""
        if not self.username:
            return ""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


NOBODY = Credentials()


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _basic(auth: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(auth).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    name, _, password = text.partition(":")
    return name, password.rstrip("\0")
