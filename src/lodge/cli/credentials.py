"""Registry credentials of the user: Docker's config.json and its credential helpers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodge.cli.command import Context

HUB = "https://index.docker.io/v1/"


def registry_of(repository: str) -> str:
    """The key under which config.json keeps a repository's registry."""
    first, slash, _ = repository.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return HUB if first in ("docker.io", "index.docker.io") else first
    return HUB


def registry_auth(ctx: Context, repository: str) -> str | None:
    """The X-Registry-Auth header for a repository, None where nothing is known of its registry."""
    server = registry_of(repository)
    found = lookup(ctx.config(), server)
    return encode(found) if found else None


def encode(auth: dict[str, str]) -> str:
    """An AuthConfig as the API's header: base64 (URL alphabet) of its JSON."""
    from base64 import urlsafe_b64encode

    from lodge.client.lean_json import dumps

    return urlsafe_b64encode(dumps(auth).encode()).decode()


def lookup(config: dict[str, Any], server: str) -> dict[str, str] | None:
    """The AuthConfig of `server`: from its helper, else from `auths`."""
    helper = (config.get("credHelpers") or {}).get(server) or config.get("credsStore")
    if helper and (found := _ask_helper(helper, server)):
        return found
    entry = (config.get("auths") or {}).get(server)
    if not entry:
        return None
    auth = {"serveraddress": server}
    if entry.get("identitytoken"):
        auth["identitytoken"] = entry["identitytoken"]
    if entry.get("auth"):
        from base64 import b64decode

        name, _, password = b64decode(entry["auth"]).decode("utf-8", "replace").partition(":")
        auth["username"], auth["password"] = name, password.rstrip("\0")
    return auth


def _ask_helper(helper: str, server: str) -> dict[str, str] | None:
    import subprocess

    from lodge.client.lean_json import loads

    try:
        done = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=server.encode(),
            capture_output=True,
            timeout=30,
            check=True,
        )
        found = loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if found.get("Username") == "<token>":
        return {"serveraddress": server, "identitytoken": found["Secret"]}
    return {"serveraddress": server, "username": found["Username"], "password": found["Secret"]}
