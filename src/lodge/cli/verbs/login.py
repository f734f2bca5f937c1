"""`login` and `logout`: a registry's credentials in Docker's config.json, so that all tools share them."""

from __future__ import annotations

import os
import sys

from lodge.cli.command import Command, Failure
from lodge.cli.credentials import HUB
from lodge.cli.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.flags import Values


def _server(arguments: list[str]) -> str:
    name = arguments[0] if arguments else HUB
    return HUB if name in ("docker.io", "index.docker.io", "registry-1.docker.io") else name


def _login(ctx: Context, values: Values, arguments: list[str]) -> None:
    server = _server(arguments)
    name, password = values["username"], values["password"]
    if values["password-stdin"]:
        if password:
            raise Failure("conflicting options: cannot specify both --password and --password-stdin")
        if not name:
            raise Failure("the --password-stdin option requires --username to be set")
        password = sys.stdin.read().rstrip("\r\n")
    elif password:
        ctx.err("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
    if not (name and password):
        name, password = _ask(name, password)
    auth = {"username": name, "password": password, "serveraddress": server}
    answer = ctx.engine.call("POST", "/auth", json=auth) or {}
    _store(ctx, server, name, password, answer.get("IdentityToken") or "")
    ctx.out(answer.get("Status") or "Login Succeeded")


def _ask(name: str, password: str) -> tuple[str, str]:
    if not os.isatty(0):
        raise Failure("Error: Cannot perform an interactive login from a non TTY device")
    from getpass import getpass

    name = name or input("Username: ").strip()
    password = password or getpass("Password: ")
    if not (name and password):
        raise Failure("Error: username and password are required")
    return name, password


def _config_path(ctx: Context) -> str:
    folder = ctx.environ.get("DOCKER_CONFIG") or f"{ctx.environ.get('HOME', '/root')}/.docker"
    return f"{folder}/config.json"


def _store(ctx: Context, server: str, name: str, password: str, token: str) -> None:
    from base64 import b64encode

    config = ctx.config()
    helper = (config.get("credHelpers") or {}).get(server) or config.get("credsStore")
    if helper:
        secret = {"ServerURL": server, "Username": "<token>" if token else name, "Secret": token or password}
        _run_helper(helper, "store", secret)
        return
    entry = {"auth": b64encode(f"{name}:{'' if token else password}".encode()).decode()}
    if token:
        entry["identitytoken"] = token
    config.setdefault("auths", {})[server] = entry
    _write(ctx, config)


def _write(ctx: Context, config: dict[str, Any]) -> None:
    """Replace the file in one step; it holds passwords, so only its owner may read it."""
    import json

    path = _config_path(ctx)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(config, indent="\t") + "\n")
    os.replace(temporary, path)


def _run_helper(helper: str, verb: str, value: object) -> None:
    import json
    import subprocess

    text = value if isinstance(value, str) else json.dumps(value)
    try:
        subprocess.run([f"docker-credential-{helper}", verb], input=text.encode(), check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise Failure(f"error storing credentials: {error}") from error


def _logout(ctx: Context, _values: Values, arguments: list[str]) -> None:
    server = _server(arguments)
    config = ctx.config()
    helper = (config.get("credHelpers") or {}).get(server) or config.get("credsStore")
    if not helper and server not in (config.get("auths") or {}):
        ctx.out(f"Not logged in to {server}")
        return
    ctx.out(f"Removing login credentials for {server}")
    if helper:
        _run_helper(helper, "erase", server)
    if server in (config.get("auths") or {}):
        del config["auths"][server]
        _write(ctx, config)


LOGIN = Command(
    "[OPTIONS] [SERVER]",
    "Authenticate to a registry",
    _login,
    flags=(
        Flag("password", STRING, "The password or token", short="p"),
        Flag("password-stdin", BOOL, "Read the password from stdin"),
        Flag("username", STRING, "The user's name", short="u"),
    ),
    maximum=1,
)
LOGOUT = Command("[SERVER]", "Forget the credentials of a registry", _logout, maximum=1)
