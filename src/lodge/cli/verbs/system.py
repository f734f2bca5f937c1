"""`version`, `info`, and the pipe to the socket that `ssh://` addresses use."""

from __future__ import annotations

import sys

from lodge.cli.command import Command
from lodge.cli.flags import STRING, Flag
from lodge.errors import LodgeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.flags import Values


def client_version() -> str:
    """The version of the installed distribution."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("lodge-engine")
    except PackageNotFoundError:
        return "unknown"


def _version(ctx: Context, values: Values, _arguments: list[str]) -> int:
    client = {
        "Version": client_version(),
        "ApiVersion": "1.51",
        "Python": sys.version.split()[0],
        "Os": sys.platform,
        "Arch": _architecture(),
        "Host": ctx.address.text,
    }
    failure: LodgeError | None = None
    server: dict[str, Any] | None = None
    try:
        server = ctx.engine.call("GET", "/version")
    except LodgeError as error:
        failure = error
    if values["format"]:
        from lodge.cli.formatting import print_one

        print_one(values["format"], {"Client": client, "Server": server})
    else:
        _print_version(ctx, client, server)
    if failure:
        ctx.err(failure.message)
        return 1
    return 0


def _architecture() -> str:
    import os

    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


_DETAILS = (
    ("Go version:", "GoVersion"),
    ("Git commit:", "GitCommit"),
    ("Built:", "BuildTime"),
    ("Kernel:", "KernelVersion"),
)


def _print_version(ctx: Context, client: dict[str, str], server: dict[str, Any] | None) -> None:
    ctx.out("Client: Lodge")
    for label, text in (
        ("Version:", client["Version"]),
        ("API version:", client["ApiVersion"]),
        ("Python version:", client["Python"]),
        ("OS/Arch:", f"{client['Os']}/{client['Arch']}"),
        ("Host:", client["Host"]),
    ):
        ctx.out(f" {label:<18} {text}")
    if server is None:
        return
    platform = (server.get("Platform") or {}).get("Name", "")
    ctx.out(f"\nServer: {platform}".rstrip())
    for part in server.get("Components") or [{"Name": "Engine", "Version": server.get("Version", "")}]:
        ctx.out(f" {part['Name']}:")
        details = part.get("Details") or {}
        minimum = details.get("MinAPIVersion")
        rows = [("Version:", part.get("Version", ""))]
        if "ApiVersion" in details:
            rows.append(("API version:", f"{details['ApiVersion']} (minimum version {minimum})"))
        for label, key in (
            ("Go version:", "GoVersion"),
            ("Git commit:", "GitCommit"),
            ("Built:", "BuildTime"),
        ):
            if details.get(key):
                rows.append((label, details[key]))
        if "Os" in details:
            rows.append(("OS/Arch:", f"{details['Os']}/{details.get('Arch', '')}"))
        if details.get("KernelVersion"):
            rows.append(("Kernel:", details["KernelVersion"]))
        for label, text in rows:
            ctx.out(f"  {label:<17} {text}")


def _dial_stdio(ctx: Context, _values: Values, _arguments: list[str]) -> None:
    from lodge.client.attach import Attachment
    from lodge.client.http1 import Response
    from lodge.client.transport import open_stream

    raw = Response(open_stream(ctx.address), 101, {}, b"")
    session = Attachment(raw, stdin=0, multiplexed=False)
    session.run()
    session.close()


def _info(ctx: Context, values: Values, _arguments: list[str]) -> int:
    if values["format"]:
        from lodge.cli.formatting import print_one

        info = ctx.engine.call("GET", "/info")
        print_one(values["format"], {**info, "ClientInfo": {"Version": client_version()}})
        return 0
    ctx.out(f"Client: Lodge\n Version:    {client_version()}\n Host:       {ctx.address.text}\n\nServer:")
    from lodge.cli.system_report import describe

    info = ctx.engine.call("GET", "/info")
    for line in describe(info):
        ctx.out(f" {line}")
    for warning in info.get("Warnings") or ():
        ctx.err(warning)
    return 0


_FORMAT = Flag("format", STRING, 'Print by a Go template, or "json"', short="f")
VERSION = Command("[OPTIONS]", "Show the versions of command and engine", _version, flags=(_FORMAT,))
INFO = Command("[OPTIONS]", "Show the engine's state and settings", _info, flags=(_FORMAT,))
DIAL_STDIO = Command("", "Connect stdin and stdout with the engine's socket", _dial_stdio)
