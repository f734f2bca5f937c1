"""An engine on a root of its own, with busybox loaded, for each test file; and a scene to play in."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lodge.engine.engine import Engine
from lodge.engine.models import AttachQuery, ExecWish, LogQuery
from lodge.engine.settings import ForeignRuntime, Settings
from lodge.spec.container import ContainerConfig, HostConfig, Wish

T = TypeVar("T")


class Client:
    """A connection to give away; what comes through it is collected."""

    def __init__(self, sent: bytes | None = None) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._sent = sent
        self.received = b""
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def take(self) -> tuple[int, bytes]:
        return self._theirs.detach(), b""

    def _collect(self) -> None:
        if self._sent is not None:
            self._ours.sendall(self._sent)
            self._ours.shutdown(socket.SHUT_WR)
        while data := self._ours.recv(65536):
            self.received += data
        self._ours.close()

    async def output(self) -> bytes:
        await asyncio.to_thread(self._thread.join, 20)
        return self.received


class Scene:
    """An open engine and the short ways to use it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.containers = engine.containers
        self.execs = engine.execs

    @staticmethod
    def wish(*command: str, config: dict[str, Any] | None = None, **host: Any) -> Wish:
        host.setdefault("network_mode", "none")
        return Wish(
            config=ContainerConfig(**{"image": "busybox", "cmd": list(command) or None, **(config or {})}),
            host=HostConfig(**host),
        )

    async def create(self, *command: str, name: str | None = None, **wish: Any) -> str:
        made, _ = await self.containers.create(name, self.wish(*command, **wish), None)
        return made.id

    async def run(self, *command: str, **wish: Any) -> tuple[int, str]:
        """Run to the end: exit code and output, both streams as they came."""
        box = await self.create(*command, **wish)
        tty = bool((wish.get("config") or {}).get("tty"))
        client = Client()
        query = AttachQuery(stdout=True, stderr=True, stream=True)
        (await self.containers.attach(box, query, framed=False))(client)
        end = await self.containers.wait(box, "next-exit")
        try:
            await self.containers.start(box)
            result = await asyncio.wait_for(asyncio.ensure_future(end), 20)
            output = await client.output()
        finally:
            await self.containers.remove(box, force=True, volumes=True, link=False)
        return result.exit_code, output.decode(errors="replace").replace("\r\n", "\n" if tty else "\r\n")

    async def started(self, *command: str, name: str | None = None, **wish: Any) -> str:
        box = await self.create(*(command or ("sleep", "1000")), name=name, **wish)
        await self.containers.start(box)
        return box

    async def exec(self, box: str, *command: str, **wish: Any) -> tuple[int | None, str]:
        made = await self.execs.create(
            box, ExecWish(command=list(command), attach_stdout=True, attach_stderr=True, **wish)
        )
        client = Client()
        ended = self.execs.end_of(made.id)
        hand_over = await self.execs.start(made.id, detach=False, terminal=None, window=None, framed=False)
        assert hand_over is not None
        hand_over(client)
        output = await client.output()
        return await asyncio.wait_for(ended, 10), output.decode(errors="replace")

    async def log(self, box: str, **query: Any) -> bytes:
        return b"".join([piece async for piece in await self.containers.logs(box, LogQuery(**query))])

    async def clear(self) -> None:
        for resident in list(self.engine.parts.census):
            if not resident.gone:
                await self.containers.remove(resident.id, force=True, volumes=True, link=False)


class Stage:
    """Roots for engines that come and go; the image is loaded once."""

    def __init__(self, place: Path) -> None:
        self.mark = uuid.uuid4().hex[:8]
        self.settings = Settings(
            data_root=str(place / "data"),
            exec_root=f"/run/lodge-test-{self.mark}",
            cgroup_parent=f"/lodge-test-{self.mark}",
            runtimes=_foreign(),
        )

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Scene]:
        engine = Engine(self.settings)
        await engine.open()
        try:
            yield Scene(engine)
        finally:
            await engine.close()

    def play(self, scene: Callable[[Scene], Coroutine[Any, Any, T]], *, timeout: float = 60) -> T:
        """Open an engine, play, remove every container, close."""

        async def whole() -> T:
            async with self.engine() as on_stage:
                try:
                    return await asyncio.wait_for(scene(on_stage), timeout)
                finally:
                    await on_stage.clear()

        return asyncio.run(whole())

    def clear(self) -> None:
        shutil.rmtree(self.settings.exec_root, ignore_errors=True)
        for directory, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
            if self.settings.cgroup_parent in directory:
                os.rmdir(directory)


def _foreign() -> dict[str, ForeignRuntime]:
    found = {f"installed-{name}": f"/tmp/peers/bin/{name}" for name in ("crun", "runc")}
    return {name: ForeignRuntime(path) for name, path in found.items() if os.access(path, os.X_OK)}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, busybox_image: Path) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("engine"))

    async def load(scene: Scene) -> None:
        with open(busybox_image, "rb") as archive:
            async for _ in await scene.engine.images.load(archive, quiet=True):
                pass

    made.play(load)
    yield made
    made.clear()
