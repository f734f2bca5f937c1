"""Building from Python: `engine.images.build("FROM debian:bookworm...", context={"app": b"..."})`.

The context may be a directory, files by name, the bytes of a tar, or anything that yields names with
contents, one after the other, so that it need not fit into memory.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import shutil
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from msgspec import Struct

from lodge.engine.engine import Engine as Core
from lodge.errors import Internal, InvalidArgument

if TYPE_CHECKING:
    from lodge.build.contract import BuildEvent, BuildRequest, Options

Content: TypeAlias = "bytes | str | os.PathLike[str]"
Files: TypeAlias = (
    "Mapping[str, Content] | Iterable[tuple[str, Content]] | AsyncIterable[tuple[str, Content]]"
)
Context: TypeAlias = "str | os.PathLike[str] | bytes | Files | None"
Watch: TypeAlias = "Callable[[BuildEvent], None]"


class BuildOptions(TypedDict, total=False):
    """How to build.

    `file` names the Dockerfile in the context where its text is not given. `args` are ARGs, `secrets` values
    for `RUN --mount=type=secret` by id. `allow` lists network.host and security.insecure. `epoch` is
    SOURCE_DATE_EPOCH. `destination` writes the image's files there (a directory) besides the image.
    """

    file: str
    target: str
    args: dict[str, str]
    labels: dict[str, str]
    secrets: dict[str, bytes]
    platform: str
    no_cache: bool
    pull: bool
    network: str
    extra_hosts: list[str]
    allow: list[str]
    epoch: int
    destination: str


class BuildResult(Struct, frozen=True, kw_only=True):
    """What came of a build: the image's id and digest, its full names, what the checks found."""

    id: str
    digest: str
    names: tuple[str, ...]
    warnings: tuple[str, ...]


class _Secrets:
    def __init__(self, values: dict[str, bytes]) -> None:
        self._values = values

    async def get(self, id: str) -> bytes | None:
        return self._values.get(id)


async def build(
    core: Core,
    dockerfile: str | None,
    context: Context,
    tags: Iterable[str],
    options: BuildOptions,
    watch: Watch | None,
) -> BuildResult:
    """Build. StepFailed (with the log) for a step that failed, DockerfileError for the text, NotFound."""
    from lodge.build import contract as c
    from lodge.engine.build.contexts import DirectoryContext

    outputs = [c.Output(names=tuple(tags))]
    if destination := options.get("destination"):
        outputs.append(c.Output(kind="local", destination=os.path.abspath(destination)))
    request = c.BuildRequest(
        dockerfile=dockerfile,
        filename=options.get("file", "Dockerfile"),
        options=_options(options),
        outputs=tuple(outputs),
        secrets=_Secrets(options.get("secrets", {})),
    )
    directory, own = await _directory(core, context)
    if directory:
        request.context = DirectoryContext(core.parts.bridge, directory)
    try:
        return await _follow(core, request, watch)
    finally:
        if own:
            core.builds.scratch.drop(directory)


async def _follow(core: Core, request: BuildRequest, watch: Watch | None) -> BuildResult:
    from lodge.build import contract as c

    warnings: list[str] = []
    async with aclosing(core.builds.build(request)) as events:  # type: ignore[type-var]
        async for event in events:
            if watch is not None:
                watch(event)
            if isinstance(event, c.Warned):
                warnings.append(f"{event.filename}:{event.lines[0]}: {event.message}")
            elif isinstance(event, c.Built):
                return BuildResult(
                    id=event.images[0].config_digest if event.images else "",
                    digest=event.digest,
                    names=event.names,
                    warnings=tuple(warnings),
                )
    raise Internal("the build ended without a word of its end")


def _options(options: BuildOptions) -> Options:
    from lodge.build.contract import Options

    platform = options.get("platform", "")
    return Options(
        target=options.get("target", ""),
        platforms=(platform,) if platform else (),
        arguments=options.get("args", {}),
        labels=options.get("labels", {}),
        no_cache=options.get("no_cache", False),
        pull=options.get("pull", False),
        network=options.get("network", ""),
        extra_hosts=tuple(options.get("extra_hosts", ())),
        entitlements=frozenset(options.get("allow", ())),
        source_date_epoch=options.get("epoch"),
    )


async def _directory(core: Core, context: Context) -> tuple[str, bool]:
    """The context's directory, and whether it was made for the build."""
    from lodge.engine.build.contexts import unpack

    scratch = core.builds.scratch
    if context is None:
        return "", False
    if isinstance(context, (str, os.PathLike)):
        path = os.path.abspath(context)
        if not os.path.isdir(path):
            raise InvalidArgument(f"the context {path} is no directory")
        return path, False
    if isinstance(context, bytes):
        import io

        return await core.parts.bridge.call(unpack, io.BytesIO(context), scratch), True
    directory = scratch.make("context")
    try:
        if isinstance(context, AsyncIterable):
            async for name, content in context:
                await asyncio.to_thread(_write, directory, name, content)
        else:
            pairs = context.items() if isinstance(context, Mapping) else context
            await asyncio.to_thread(_write_all, directory, pairs)
    except BaseException:
        scratch.drop(directory)
        raise
    return directory, True


def _write_all(directory: str, files: Iterable[tuple[str, Content]]) -> None:
    for name, content in files:
        _write(directory, name, content)


def _write(directory: str, name: str, content: Content) -> None:
    """Put one file into the context; a path is copied with its mode. InvalidArgument for names with `..`."""
    clean = posixpath.normpath("/" + name).lstrip("/")
    if ".." in name.split("/") or not clean or "\0" in name:
        raise InvalidArgument(f"{name!r} is no name of a file in a context")
    path = os.path.join(directory, clean)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if isinstance(content, (bytes, str)):
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
    elif os.path.isdir(content):
        shutil.copytree(content, path, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(content, path)
