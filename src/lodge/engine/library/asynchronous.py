"""The library's face on an event loop: programs run, containers kept, images found or made.

async with lodge.AsyncEngine() as engine:
    result = await engine.run("debian:bookworm", ["cat", "/etc/os-release"])
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Self, Unpack

from lodge.engine.engine import Engine as Core
from lodge.engine.library import archives
from lodge.engine.library.capture import Capture
from lodge.engine.library.networks import AsyncNetworks
from lodge.engine.library.results import Resources, RunResult, RunTimedOut
from lodge.engine.library.wishes import Command, Options, wish, words
from lodge.engine.models import AttachQuery, ExecWish, ExitResult, Image, LogQuery, Progress, Stats
from lodge.engine.models import Container as Record
from lodge.engine.settings import Settings
from lodge.errors import Conflict, NotFound, NotModified, StartFailed, TimedOut, Unavailable
from lodge.spec.reference import Reference

if TYPE_CHECKING:
    from lodge.engine.library.building import BuildOptions, BuildResult, Context, Watch

Many = list

DEFAULT_ROOT = "/var/lib/lodge"
_RECIPES = ("busybox", "debian", "host", "ubuntu")


def settings_for(root: str | None, settings: Settings | None) -> Settings:
    """The settings of a root: another root has its own directory in /run, so that engines don't meet."""
    if settings is not None:
        return settings
    if root is None or os.path.abspath(root) == DEFAULT_ROOT:
        return Settings(measure=True)
    whole = os.path.abspath(root)
    short = hashlib.sha256(whole.encode()).hexdigest()[:12]
    return Settings(
        data_root=whole, exec_root=f"/run/lodge-{short}", cgroup_parent=f"/lodge-{short}", measure=True
    )


class AsyncEngine:
    """An engine in this process, without a daemon. Use it in an `async with`.

    `root` is its data directory, /var/lib/lodge by default; a root has one owner at a time, so where a
    `lodged` owns it opening raises Conflict, with what to do in `hint`. `settings` says everything in
    place of `root`. Containers that were started with `start` live on when the engine is closed.
    """

    def __init__(self, root: str | None = None, *, settings: Settings | None = None) -> None:
        self._core = Core(settings_for(root, settings))
        self.images = AsyncImages(self._core)
        self.networks = AsyncNetworks(self._core)

    @property
    def core(self) -> Core:
        """The whole engine, with everything that the API has: see `lodge.api.backend`."""
        return self._core

    async def open(self) -> Self:
        """Own the root and begin; Conflict when somebody else does."""
        await self._core.open()
        return self

    async def close(self) -> None:
        """Leave; idempotent."""
        await self._core.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def run(
        self,
        image: str,
        command: Command = None,
        *,
        stdin: bytes | str | None = None,
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> RunResult:
        """Run a program to its end in a container of its own, which is removed afterwards.

        `command` is a list of words, or a text for the shell, or None for the image's own. An exit code other
        than 0 is no error: see `RunResult.check`. A base image that is missing is made first. RunTimedOut
        when `timeout` seconds are over, StartFailed when the program can't be executed.
        """
        data = stdin.encode() if isinstance(stdin, str) else stdin
        record = await self._create(image, command, None, options, stdin=data is not None, keep_log=False)
        containers = self._core.containers
        framed = not options.get("tty", False)
        capture = Capture(framed=framed, stdin=data)
        try:
            query = AttachQuery(stdin=data is not None, stdout=True, stderr=True, stream=True)
            (await containers.attach(record.id, query, framed=framed))(capture)
            end = await containers.wait(record.id, "next-exit")
            return await self._run_to_end(record.id, capture, asyncio.ensure_future(end), timeout)
        finally:
            capture.close()
            await asyncio.shield(self._discard(record.id))

    async def _run_to_end(
        self, id: str, capture: Capture, end: asyncio.Future[ExitResult], timeout: float | None
    ) -> RunResult:
        begun = time.monotonic()
        collecting = asyncio.ensure_future(capture.run())
        try:
            await self._core.containers.start(id)
            try:
                async with asyncio.timeout(timeout):
                    ended = await end
                    await collecting
            except TimeoutError:
                assert timeout is not None
                raise RunTimedOut(timeout, _result(capture, ExitResult(exit_code=-1), begun)) from None
            return _result(capture, ended, begun)
        finally:
            end.cancel()
            collecting.cancel()
            with suppress(asyncio.CancelledError):
                await collecting

    async def _discard(self, id: str) -> None:
        with suppress(NotFound, Conflict):
            await self._core.containers.remove(id, force=True, volumes=True, link=False)

    async def start(
        self, image: str, command: Command = None, *, name: str | None = None, **options: Unpack[Options]
    ) -> AsyncContainer:
        """Start a container and leave it running; its log is kept. Options as for `run`."""
        record = await self._create(image, command, name, options, stdin=False, keep_log=True)
        try:
            await self._core.containers.start(record.id)
        except StartFailed:
            await self._discard(record.id)
            raise
        return AsyncContainer(self._core, record)

    async def _create(
        self,
        image: str,
        command: Command,
        name: str | None,
        options: Options,
        *,
        stdin: bool,
        keep_log: bool,
    ) -> Record:
        await self.images.ensure(image)
        wanted = wish(image, command, options, stdin=stdin, keep_log=keep_log)
        record, _warnings = await self._core.containers.create(name, wanted, options.get("platform"))
        return record

    async def container(self, name: str) -> AsyncContainer:
        """One that is there already, by name or id; NotFound."""
        return AsyncContainer(self._core, await self._core.containers.get(name))

    async def containers(self, *, all: bool = False) -> list[AsyncContainer]:
        """Those that run, with `all` the others too; the newest first."""
        records = await self._core.containers.list(all=all, limit=0, filters={})
        return [AsyncContainer(self._core, record) for record in records]


def _result(capture: Capture, ended: ExitResult, begun: float) -> RunResult:
    return RunResult(
        exit_code=ended.exit_code,
        stdout=bytes(capture.stdout),
        stderr=bytes(capture.stderr),
        duration=time.monotonic() - begun,
        resources=Resources(cpu_seconds=ended.cpu_ns / 1e9, peak_memory=ended.peak_memory),
    )


class AsyncContainer:
    """A container that was started, or found. It lives on without this object, and without the engine."""

    def __init__(self, core: Core, record: Record) -> None:
        self._core = core
        self._record = record

    @property
    def id(self) -> str:
        """The full id."""
        return self._record.id

    @property
    def name(self) -> str:
        """The name."""
        return self._record.name

    @property
    def status(self) -> str:
        """created, running, paused, restarting, exited, dead or removing."""
        return self._record.state.status

    @property
    def ports(self) -> dict[str, list[tuple[str, int]]]:
        """What is published now: "80/tcp" to addresses and ports of this host."""
        return {
            port: [(one.host_ip, int(one.host_port)) for one in places]
            for port, places in self._record.ports.items()
        }

    @property
    def addresses(self) -> dict[str, str]:
        """Its IPv4 addresses (IPv6 where it has no other) by network, while it runs."""
        return {
            name: one.ip_address or one.global_ipv6_address for name, one in self._record.networks.items()
        }

    @property
    def exit_code(self) -> int | None:
        """Its program's exit code; None before there is one."""
        state = self._record.state
        return state.exit_code if state.status in ("exited", "dead") else None

    async def exec(
        self,
        command: Command,
        *,
        stdin: bytes | str | None = None,
        env: dict[str, str] | None = None,
        workdir: str | None = None,
        user: str | None = None,
        tty: bool = False,
        privileged: bool = False,
        timeout: float | None = None,
    ) -> RunResult:
        """Run a further program in it, to its end. StartFailed when it can't be executed.

        After `timeout` seconds RunTimedOut is raised; the program itself is left to its own.
        """
        data = stdin.encode() if isinstance(stdin, str) else stdin
        wanted = ExecWish(
            command=words(command) or [],
            terminal=tty,
            attach_stdin=data is not None,
            attach_stdout=True,
            attach_stderr=True,
            env=[f"{name}={value}" for name, value in (env or {}).items()],
            working_dir=workdir or "",
            user=user or "",
            privileged=privileged,
        )
        execs = self._core.execs
        made = await execs.create(self.id, wanted)
        ended = execs.end_of(made.id)
        begun = time.monotonic()
        capture = Capture(framed=not tty, stdin=data)
        try:
            hand_over = await execs.start(made.id, detach=False, terminal=tty, window=None, framed=not tty)
            assert hand_over is not None
            hand_over(capture)
            async with asyncio.timeout(timeout):
                await capture.run()
                code = await ended
        except TimeoutError:
            assert timeout is not None
            raise RunTimedOut(timeout, _result(capture, ExitResult(exit_code=-1), begun)) from None
        finally:
            capture.close()
        return _result(capture, ExitResult(exit_code=code), begun)

    async def logs(self, *, tail: int = -1) -> bytes:
        """What it wrote so far, both streams; the last `tail` lines only, where that is given."""
        pieces = await self._core.containers.logs(self.id, LogQuery(tail=tail))
        framed = not self._record.wish.config.tty
        data = b"".join([piece async for piece in pieces])
        return archives.unframed(data) if framed else data

    async def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended; TimedOut when `timeout` seconds are over."""
        end = await self._core.containers.wait(self.id, "not-running")
        try:
            return (await asyncio.wait_for(asyncio.ensure_future(end), timeout)).exit_code
        except TimeoutError:
            raise TimedOut(f"container {self.name} still runs after {timeout:g} seconds") from None

    async def stop(self, timeout: int | None = None) -> None:
        """Ask it to end, and make it after `timeout` seconds; no error when it has ended."""
        with suppress(NotModified):
            await self._core.containers.stop(self.id, signal=None, timeout=timeout)

    async def kill(self, signal: str = "KILL") -> None:
        """Send a signal; Conflict when it does not run."""
        await self._core.containers.kill(self.id, signal)

    async def remove(self, *, force: bool = False) -> None:
        """Remove it with its files; Conflict while it runs, unless `force`."""
        await self._core.containers.remove(self.id, force=force, volumes=True, link=False)

    async def stats(self) -> Stats:
        """What it uses now; see `Stats`."""
        figures = await self._core.containers.stats(self.id, stream=False, one_shot=True)
        async with aclosing(figures):  # type: ignore[type-var]
            async for each in figures:
                return each
        raise NotFound(f"No such container: {self.name}")

    async def read_file(self, path: str) -> bytes:
        """The bytes of a file in it; NotFound."""
        return await archives.read_file(self._core, self.id, path)

    async def write_file(self, path: str, data: bytes | str, *, mode: int = 0o644) -> None:
        """Make or replace a file in it; its directory must be there."""
        content = data.encode() if isinstance(data, str) else data
        await archives.write_file(self._core, self.id, path, content, mode)

    async def copy_in(self, source: str, directory: str) -> None:
        """Copy a file or directory of this machine into a directory in it."""
        await archives.copy_in(self._core, self.id, source, directory)

    async def copy_out(self, path: str, directory: str) -> None:
        """Copy a file or directory in it into a directory of this machine, from which nothing leads out."""
        await archives.copy_out(self._core, self.id, path, directory)


class AsyncImages:
    """The images of an engine."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def list(self) -> Many[Image]:
        """All, the newest first."""
        return await self._core.images.list(all=False, filters={}, shared_size=False, digests=False)

    async def get(self, name: str) -> Image:
        """One by name or id; NotFound."""
        return await self._core.images.get(name)

    async def ensure(self, name: str) -> None:
        """Get the image where it is missing: Debian, Ubuntu, busybox and host are made, others pulled."""
        try:
            await self._core.images.get(name)
        except NotFound as error:
            if Reference.parse(name).familiar_name in _RECIPES:
                async for _ in await self.bootstrap(name):
                    pass
                return
            try:
                await self.pull(name)
            except Unavailable as unreachable:
                error.hint = f"its registry could not be asked: {unreachable}"
                raise error from unreachable

    async def pull(
        self,
        name: str,
        *,
        platform: str | None = None,
        auth: dict[str, str] | None = None,
        progress: Callable[[Progress], object] | None = None,
    ) -> Image:
        """Bring an image from its registry; `platform` "all" keeps those of all platforms.

        `auth` is an AuthConfig: username and password, or identitytoken. NotFound in Docker's words.
        """
        wanted = str(Reference.parse(name))
        async for step in await self._core.images.pull(wanted, platform=platform, auth=auth):
            if progress is not None:
                progress(step)
        return await self._core.images.get(wanted)

    async def push(
        self,
        name: str,
        *,
        platform: str | None = None,
        auth: dict[str, str] | None = None,
        compression: str = "",
        progress: Callable[[Progress], object] | None = None,
    ) -> None:
        """Bring an image to the registry that its name says; `compression` is as in "zstd:9"."""
        wanted = str(Reference.parse(name))
        async for step in await self._core.images.push(
            wanted, platform=platform, auth=auth, compression=compression
        ):
            if progress is not None:
                progress(step)

    async def bootstrap(self, name: str, *, mirror: str | None = None) -> AsyncIterator[Progress]:
        """Make a base image on this machine; iterate over its progress."""
        return await self._core.images.bootstrap(name, suite=None, mirror=mirror)

    async def build(
        self,
        dockerfile: str | None = None,
        *,
        context: Context = None,
        tags: Iterable[str] = (),
        watch: Watch | None = None,
        **options: Unpack[BuildOptions],
    ) -> BuildResult:
        """Build an image from a Dockerfile's text, or from the one in the context; see `building`.

        `context` is a directory, files by name, the bytes of a tar, or what yields names with contents.
        `watch` is called with every event (`lodge.build.contract`). StepFailed has the step's log.
        """
        from lodge.engine.library.building import build

        return await build(self._core, dockerfile, context, tags, options, watch)

    async def load(self, path: str) -> Many[str]:
        """Take in an archive (docker save, OCI layout); gives the names or ids that it brought."""
        with open(path, "rb") as file:
            lines = [line.stream async for line in await self._core.images.load(file, quiet=True)]
        return [line.partition(": ")[2].strip() for line in lines if line]

    async def tag(self, name: str, reference: str) -> None:
        """Give an image a further name."""
        await self._core.images.tag(name, reference)

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a name, and with the last one the image."""
        await self._core.images.remove(name, force=force, prune=True)
