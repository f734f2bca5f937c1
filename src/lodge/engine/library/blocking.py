"""The library's face for scripts: the same as `asynchronous`, each call waits for its end.

    with lodge.Engine() as engine:
        print(engine.run("debian:bookworm", ["cat", "/etc/os-release"]).text)

One background thread runs the event loop; an engine may be used by several threads.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from lodge.engine.library.asynchronous import AsyncContainer, AsyncEngine
from lodge.engine.library.networks import Networks
from lodge.engine.library.results import RunResult
from lodge.engine.library.wishes import Command, Options
from lodge.engine.models import Image, Progress, Stats
from lodge.engine.settings import Settings

if TYPE_CHECKING:
    from lodge.engine.library.building import BuildOptions, BuildResult, Context, Watch

T = TypeVar("T")
Many = list


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lodge-engine", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine gives or raises; interrupted (Ctrl-C), it is cancelled and cleans up first."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                done = threading.Event()
                self._loop.call_soon_threadsafe(done.set)
                done.wait(10)
            raise

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Engine:
    """An engine in this process, without a daemon. Use it in a `with`, or `open` and `close` it.

    `root` is its data directory, /var/lib/lodge by default; a root has one owner at a time, so where a
    `lodged` owns it opening raises Conflict, with what to do in `hint`. Containers that were started with
    `start` live on when the engine is closed, and even when this program ends.
    """

    def __init__(self, root: str | None = None, *, settings: Settings | None = None) -> None:
        self._engine = AsyncEngine(root, settings=settings)
        self._loop: _Loop | None = None

    def open(self) -> Self:
        """Own the root and begin; Conflict when somebody else does."""
        self._loop = _Loop()
        try:
            self._loop.call(self._engine.open())
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Leave; idempotent."""
        loop, self._loop = self._loop, None
        if loop is not None:
            try:
                loop.call(self._engine.close())
            finally:
                loop.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("the engine is not open: use it in a with-block")
        return self._loop.call(work)

    @property
    def networks(self) -> Networks:
        """Networks by name or id."""
        return Networks(self._engine.networks, self._call)

    @property
    def images(self) -> Images:
        """The images of this engine."""
        return Images(self._engine, self._call)

    def run(
        self,
        image: str,
        command: Command = None,
        *,
        stdin: bytes | str | None = None,
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> RunResult:
        """Run a program to its end in a container of its own; see `AsyncEngine.run`."""
        return self._call(self._engine.run(image, command, stdin=stdin, timeout=timeout, **options))

    def start(
        self, image: str, command: Command = None, *, name: str | None = None, **options: Unpack[Options]
    ) -> Container:
        """Start a container and leave it running; see `AsyncEngine.start`."""
        made = self._call(self._engine.start(image, command, name=name, **options))
        return Container(made, self._call)

    def container(self, name: str) -> Container:
        """One that is there already, by name or id; NotFound."""
        return Container(self._call(self._engine.container(name)), self._call)

    def containers(self, *, all: bool = False) -> list[Container]:
        """Those that run, with `all` the others too; the newest first."""
        return [Container(each, self._call) for each in self._call(self._engine.containers(all=all))]


class Container:
    """A container that was started, or found; each method as in `AsyncContainer`."""

    def __init__(self, container: AsyncContainer, call: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._container = container
        self._call = call

    @property
    def id(self) -> str:
        """The full id."""
        return self._container.id

    @property
    def name(self) -> str:
        """The name."""
        return self._container.name

    @property
    def status(self) -> str:
        """created, running, paused, restarting, exited, dead or removing."""
        return self._container.status

    @property
    def ports(self) -> dict[str, list[tuple[str, int]]]:
        """What is published now: "80/tcp" to addresses and ports of this host."""
        return self._container.ports

    @property
    def addresses(self) -> dict[str, str]:
        """Its addresses by network, while it runs."""
        return self._container.addresses

    @property
    def exit_code(self) -> int | None:
        """Its program's exit code; None before there is one."""
        return self._container.exit_code

    def exec(
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
        """Run a further program in it, to its end."""
        result: RunResult = self._call(
            self._container.exec(
                command,
                stdin=stdin,
                env=env,
                workdir=workdir,
                user=user,
                tty=tty,
                privileged=privileged,
                timeout=timeout,
            )
        )
        return result

    def logs(self, *, tail: int = -1) -> bytes:
        """What it wrote so far, both streams."""
        written: bytes = self._call(self._container.logs(tail=tail))
        return written

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended; TimedOut when `timeout` seconds are over."""
        code: int = self._call(self._container.wait(timeout))
        return code

    def stop(self, timeout: int | None = None) -> None:
        """Ask it to end, and make it after `timeout` seconds."""
        self._call(self._container.stop(timeout))

    def kill(self, signal: str = "KILL") -> None:
        """Send a signal."""
        self._call(self._container.kill(signal))

    def remove(self, *, force: bool = False) -> None:
        """Remove it with its files."""
        self._call(self._container.remove(force=force))

    def stats(self) -> Stats:
        """What it uses now."""
        figures: Stats = self._call(self._container.stats())
        return figures

    def read_file(self, path: str) -> bytes:
        """The bytes of a file in it."""
        data: bytes = self._call(self._container.read_file(path))
        return data

    def write_file(self, path: str, data: bytes | str, *, mode: int = 0o644) -> None:
        """Make or replace a file in it."""
        self._call(self._container.write_file(path, data, mode=mode))

    def copy_in(self, source: str, directory: str) -> None:
        """Copy a file or directory of this machine into a directory in it."""
        self._call(self._container.copy_in(source, directory))

    def copy_out(self, path: str, directory: str) -> None:
        """Copy a file or directory in it into a directory of this machine."""
        self._call(self._container.copy_out(path, directory))


class Images:
    """The images of an engine; each method as in `AsyncImages`."""

    def __init__(self, engine: AsyncEngine, call: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._images = engine.images
        self._call = call

    def list(self) -> list[Image]:
        """All, the newest first."""
        found: list[Image] = self._call(self._images.list())
        return found

    def get(self, name: str) -> Image:
        """One by name or id; NotFound."""
        image: Image = self._call(self._images.get(name))
        return image

    def pull(
        self,
        name: str,
        *,
        platform: str | None = None,
        auth: dict[str, str] | None = None,
        progress: Callable[[Progress], object] | None = None,
    ) -> Image:
        """Bring an image from its registry; `progress` hears each step, in the engine's thread."""
        image: Image = self._call(self._images.pull(name, platform=platform, auth=auth, progress=progress))
        return image

    def push(
        self,
        name: str,
        *,
        platform: str | None = None,
        auth: dict[str, str] | None = None,
        compression: str = "",
        progress: Callable[[Progress], object] | None = None,
    ) -> None:
        """Bring an image to the registry that its name says."""
        self._call(
            self._images.push(name, platform=platform, auth=auth, compression=compression, progress=progress)
        )

    def bootstrap(
        self, name: str, *, mirror: str | None = None, progress: Callable[[Progress], object] | None = None
    ) -> None:
        """Make a base image on this machine; `progress` hears each step, in the engine's thread."""

        async def work() -> None:
            async for step in await self._images.bootstrap(name, mirror=mirror):
                if progress is not None:
                    progress(step)

        self._call(work())

    def build(
        self,
        dockerfile: str | None = None,
        *,
        context: Context = None,
        tags: Iterable[str] = (),
        watch: Watch | None = None,
        **options: Unpack[BuildOptions],
    ) -> BuildResult:
        """Build an image; see `AsyncImages.build`. `watch` is called in the engine's thread."""
        work = self._images.build(dockerfile, context=context, tags=tags, watch=watch, **options)
        built: BuildResult = self._call(work)
        return built

    def load(self, path: str) -> Many[str]:
        """Take in an archive; gives the names or ids that it brought."""
        names: Many[str] = self._call(self._images.load(path))
        return names

    def tag(self, name: str, reference: str) -> None:
        """Give an image a further name."""
        self._call(self._images.tag(name, reference))

    def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a name, and with the last one the image."""
        self._call(self._images.remove(name, force=force))
