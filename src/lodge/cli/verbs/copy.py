"""`cp`: files between a container and this machine, both ways, or as a tar stream ("-")."""

from __future__ import annotations

import os
import posixpath
import sys

from lodge.cli.command import Command, Failure
from lodge.cli.copying.plan import copies_content, plan_target, split_argument, wants_directory
from lodge.cli.flags import BOOL, Flag
from lodge.client.engine import quote
from lodge.client.failures import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.copying.plan import Side
    from lodge.cli.flags import Values
    from lodge.client.http1 import Response

_GO_DIRECTORY = 1 << 31
_GO_LINK = 1 << 27
_PIECE = 1 << 20


def _cp(ctx: Context, values: Values, arguments: list[str]) -> None:
    source, target = split_argument(arguments[0]), split_argument(arguments[1])
    quiet = values["quiet"] if "quiet" in values else not os.isatty(1)
    if source.container and target.container:
        raise Failure("copying between containers is not supported")
    if source.container:
        copied, place = _from_container(ctx, values, source, target.path), target.path
    elif target.container:
        copied, place = _to_container(ctx, values, source.path, target), arguments[1]
    else:
        raise Failure("must specify at least one container source")
    if not quiet and "-" not in (source.path, target.path):
        from lodge.cli.human import size_short

        ctx.err(f"Successfully copied {size_short(copied)} to {place}")


def _stat(ctx: Context, container: str, path: str) -> dict[str, Any]:
    """The engine's description of a path: name, size, mode (Go's bits), linkTarget."""
    from base64 import b64decode

    from lodge.client.lean_json import loads

    response = ctx.engine.open("HEAD", f"/containers/{quote(container)}/archive", query={"path": path})
    ctx.engine.release(response)
    found: dict[str, Any] = loads(b64decode(response.headers.get("x-docker-container-path-stat", "e30=")))
    return found


def _from_container(ctx: Context, values: Values, source: Side, target: str) -> int:
    path = source.path
    if values["follow-link"]:
        found = _stat(ctx, source.container, path)
        if found.get("mode", 0) & _GO_LINK:
            path = _resolve(path, found.get("linkTarget", ""))
    response = ctx.engine.open("GET", f"/containers/{quote(source.container)}/archive", query={"path": path})
    try:
        return _to_stdout(response) if target == "-" else _unpack(values, source.path, response, target)
    finally:
        ctx.engine.release(response)


def _resolve(path: str, link: str) -> str:
    """A link's target as a path in the container, with the ending that the user wrote."""
    if not link.startswith("/"):
        link = posixpath.join(posixpath.dirname(path.rstrip("/")), link)
    return link + "/." if copies_content(path) else link


def _to_stdout(response: Response) -> int:
    from lodge.client.attach import write_all

    if os.isatty(1):
        raise Failure("cowardly refusing to write an archive to a terminal")
    size = 0
    sys.stdout.flush()
    while data := response.read():
        write_all(1, data)
        size += len(data)
    return size


def _unpack(values: Values, asked: str, response: Response, target: str) -> int:
    from base64 import b64decode

    from lodge.cli.copying.members import Members
    from lodge.cli.copying.unpack import Unpacker
    from lodge.client.lean_json import loads

    found = loads(b64decode(response.headers["x-docker-container-path-stat"]))
    is_directory = bool(found["mode"] & _GO_DIRECTORY)
    plan = plan_target(asked, is_directory, target, _local_kind(target))
    if not os.path.isdir(plan.directory):
        raise Failure(f'invalid output path: directory "{os.path.abspath(plan.directory)}" does not exist')
    root = "" if copies_content(asked) or found["name"] == "/" else found["name"]
    with Unpacker(plan.directory, keep_owner=values["archive"]) as unpacker:
        unpacker.unpack(Members(response), root, plan.name)
        return unpacker.size


def _local_kind(path: str) -> str:
    if os.path.isdir(path):
        return "directory"
    if path.endswith("/") and os.path.exists(path.rstrip("/")):
        raise Failure(f"stat {os.path.abspath(path)}/: not a directory")
    return "file" if os.path.lexists(path) else "missing"


def _to_container(ctx: Context, values: Values, source: str, target: Side) -> int:
    kind, path = _container_kind(ctx, target)
    query: dict[str, Any] = {"noOverwriteDirNonDir": True, "copyUIDGID": values["archive"]}
    url = f"/containers/{quote(target.container)}/archive"
    if source == "-":
        if kind != "directory":
            raise Failure(f'destination "{target.container}:{target.path}" must be a directory')
        pieces = _read_stdin()
        ctx.engine.release(ctx.engine.open("PUT", url, query={**query, "path": path}, body=pieces))
        return 0
    from lodge.cli.copying.pack import Packer

    real = os.path.realpath(source) if values["follow-link"] or wants_directory(source) else source
    if not os.path.lexists(real):
        raise Failure(f"lstat {os.path.abspath(source)}: no such file or directory")
    is_directory = os.path.isdir(real) and not os.path.islink(real)
    if wants_directory(source) and not is_directory:
        raise Failure("not a directory")
    plan = plan_target(
        os.path.abspath(source) + ("/." if copies_content(source) else ""), is_directory, path, kind
    )
    packer = Packer()
    body = packer.pack(real.rstrip("/") or "/", plan.name)
    response = ctx.engine.open("PUT", url, query={**query, "path": plan.directory}, body=body)
    response.read_all()
    ctx.engine.release(response)
    return packer.size


def _container_kind(ctx: Context, target: Side) -> tuple[str, str]:
    """What stands at the target, links followed once as Docker does, and where that is."""
    if not target.path:
        raise Failure("no such directory")
    path = target.path
    path = path if path.startswith("/") else f"/{path}"
    try:
        found = _stat(ctx, target.container, path)
        if found.get("mode", 0) & _GO_LINK:
            path = _resolve(path, found.get("linkTarget", ""))
            found = _stat(ctx, target.container, path)
    except Refused:  # it is not there, or below a file; or is there no such container?
        ctx.engine.call("GET", f"/containers/{quote(target.container)}/json")
        return "missing", path
    return ("directory" if found["mode"] & _GO_DIRECTORY else "file"), path


def _read_stdin() -> Iterator[bytes]:
    while piece := os.read(0, _PIECE):
        yield piece


CP = Command(
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tlodge cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files between a container and this machine",
    _cp,
    flags=(
        Flag("archive", BOOL, "Keep owners and groups", short="a"),
        Flag("follow-link", BOOL, "Follow a link as source", short="L"),
        Flag("quiet", BOOL, "Do not say what was copied", short="q"),
    ),
    minimum=2,
    maximum=2,
    complete="container",
)
