"""Doing what RUN asks for: a program in a container that has no row and no name.

A snapshot on the layers so far, a monitor from the zygote, the output straight into the progress; what the
program wrote becomes a layer by a rename. Its id is that of a container, so an engine that died in the middle
finds and removes the rest at its next start as it does for containers.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import msgspec

from lodge.build.failures import ProgramFailed
from lodge.build.graph import Limits, Result, Rootfs, Run
from lodge.build.worker import Progress
from lodge.engine import names
from lodge.engine.build.mounts import MountKeeper, Mounts
from lodge.engine.containers.clearing import clear_directory
from lodge.engine.keepers import FIRST, Keeper
from lodge.engine.models import Container
from lodge.engine.networks import texts
from lodge.engine.networks.attaching import Attachments
from lodge.engine.parts import Parts
from lodge.engine.planning import checks, launch
from lodge.engine.planning.namespaces import HOST, NONE
from lodge.errors import Internal, LodgeError
from lodge.runtime import messages
from lodge.runtime.messages import Attach, Launch, Start
from lodge.spec.container import ContainerConfig, EndpointSettings, HostConfig, Ulimit, Wish
from lodge.spec.digest import Digest
from lodge.spec.mount import Mount as RootMount
from lodge.spec.runtime import Mount, RuntimeConfig
from lodge.spec.streams import HEADER_SIZE, parse_header

_PIECE = 1 << 17
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HOSTNAME = "buildkitsandbox"
_BRIDGE = "bridge"
_KILL = 9
_PATIENCE = 10.0


class Runner:
    """Runs the programs of builds."""

    def __init__(self, parts: Parts, keeper: MountKeeper, attachments: Attachments) -> None:
        self._parts = parts
        self._keeper = keeper
        self._attachments = attachments

    async def run(self, operation: Run, inputs: Sequence[Result], progress: Progress, mounts: Mounts) -> str:
        """Run to the end; the key of the snapshot that holds what was written, the caller's to remove.

        Raises ProgramFailed, StartFailed. A call that is cancelled kills the program first.
        """
        base = inputs[0]
        assert isinstance(base, Rootfs)
        parts = self._parts
        key = names.new_id()
        chain = Digest(base.chain) if base.chain else None
        await parts.bridge.call(parts.store.snapshots.prepare, key, chain, furnished=True)
        state_dir = parts.state_directory(key)
        os.makedirs(state_dir, 0o700, exist_ok=True)
        try:
            container = self._container(key, operation, mounts, state_dir)
            async with self._networked(container) as path:
                order = self._order(container, self._config(container, mounts, path), state_dir)
                program = _Program(parts, order, progress, partial(self._started, container))
                await program.run(operation)
            await parts.bridge.call(self._keeper.remove_stubs, key, base, mounts)
        except BaseException:
            parts.store.snapshots.remove(key)
            raise
        finally:
            clear_directory(state_dir)
        return key

    @asynccontextmanager
    async def _networked(self, container: Container) -> AsyncIterator[str]:
        """The path of a network namespace with what the container's network gives; "" for none and host."""
        if not container.networks:
            yield ""
            return
        attachments = self._attachments
        sandbox = await attachments.settle(container)
        try:
            yield (await attachments.stand(container, sandbox)).path
        finally:
            # Nobody is told of a container that nobody has heard of.
            container.sandbox_id = ""
            attachments.ended(container)

    def _started(self, container: Container, pid: int) -> None:
        if container.networks:
            self._attachments.started(container, pid)

    def _container(self, key: str, operation: Run, mounts: Mounts, state_dir: str) -> Container:
        """A container as planning wants it: it is in no row and in no list."""
        env = [*operation.env, *operation.hidden.env, *mounts.env]
        if not any(entry.startswith("PATH=") for entry in env):
            env.insert(0, _PATH)
        wish = Wish(
            config=ContainerConfig(
                hostname=operation.hostname or _HOSTNAME,
                user=operation.user,
                env=env,
                working_dir=operation.directory,
                cmd=list(operation.arguments),
            ),
            host=_host(operation),
        )
        checks.check(wish, self._parts.settings, self._parts.facts)
        container = Container(
            id=key,
            name=key[:12],
            created_at=time.time_ns(),
            wish=wish,
            image_id="",
            image_name="",
            path=operation.arguments[0] if operation.arguments else "",
            args=list(operation.arguments[1:]),
        )
        container.hosts_path = os.path.join(state_dir, "build-hosts")
        container.hostname_path = os.path.join(state_dir, "build-hostname")
        container.resolv_conf_path = os.path.join(state_dir, "build-resolv.conf")
        if operation.network not in (HOST, NONE):
            network = self._parts.book.find(_BRIDGE if operation.network == "default" else operation.network)
            container.networks = {network.name: EndpointSettings()}
            wish.host.network_mode = network.name
        return container

    def _config(self, container: Container, mounts: Mounts, network_path: str) -> RuntimeConfig:
        parts = self._parts
        texts.write_all(parts, container)
        found = launch.Found(host_mqueue=os.path.isdir("/dev/mqueue"), network_path=network_path)
        config = launch.runtime_config(container, found, parts.settings, parts.facts)
        assert config.process is not None
        # The program sees the image's variables and nothing else: no HOSTNAME, as with BuildKit.
        config.process.env = list(container.wish.config.env or ())
        config.mounts += [
            Mount(destination=place, type="bind", source=source, options=["bind", "ro", "rprivate"])
            for place, source in (
                ("/etc/hosts", container.hosts_path),
                ("/etc/resolv.conf", container.resolv_conf_path),
            )
        ]
        config.mounts += mounts.mounts
        return config

    def _order(self, container: Container, config: RuntimeConfig, state_dir: str) -> Launch:
        found = launch.Found()
        root: list[RootMount] = list(self._parts.store.snapshots.mounts(container.id))
        extras = launch.extras(container, found, reaper=False)
        return Launch(
            request=FIRST,
            id=container.id,
            bundle=state_dir,
            state_dir=state_dir,
            config=config,
            root_mounts=root,
            extras=msgspec.Raw(msgspec.json.encode(extras)),
        )


class _Program:
    """One program and the talk with its monitor."""

    def __init__(
        self, parts: Parts, order: Launch, progress: Progress, started: Callable[[int], None]
    ) -> None:
        self._parts = parts
        self._started = started
        self._order = order
        self._progress = progress
        self._ended: asyncio.Future[messages.Exited] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()
        self._left = b""

    async def run(self, operation: Run) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        keeper = Keeper(self._parts.launcher.launch(self._order), self._fact, self._monitor_gone)
        try:
            launched = keeper.expect(FIRST)
            attached = keeper.post(Attach(request=keeper.next_number(), framed=True), [theirs.fileno()])
            started = keeper.post(Start(request=keeper.next_number()))
            theirs.close()
            reading = asyncio.ensure_future(self._read(ours))
            try:
                for answer in (launched, attached, started):
                    await answer
                ended = await self._ended
                await reading
            except asyncio.CancelledError:
                await self._kill(keeper)
                raise
            finally:
                reading.cancel()
            await self._gone.wait()
        except LodgeError:
            await self._leave()
            raise
        finally:
            theirs.close()
            ours.close()
            keeper.close()
        if ended.code:
            raise ProgramFailed(operation.shown(), ended.code)

    async def _leave(self) -> None:
        """Give the monitor the time to end, so that nothing of it is mounted any more."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._gone.wait()
        except TimeoutError:
            pass

    async def _kill(self, keeper: Keeper) -> None:
        keeper.post(messages.Signal(request=keeper.next_number(), number=_KILL, all=True))
        await self._leave()

    def _fact(self, fact: messages.Event) -> None:
        if isinstance(fact, messages.Started):
            self._started(fact.pid)
        elif isinstance(fact, messages.Exited) and not self._ended.done():
            self._ended.set_result(fact)

    def _monitor_gone(self) -> None:
        self._gone.set()
        if not self._ended.done():
            self._ended.set_exception(Internal("the program's monitor was killed"))
            self._ended.exception()

    async def _read(self, ours: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(ours, _PIECE):
                self._feed(data)
        except ConnectionResetError:
            return

    def _feed(self, data: bytes) -> None:
        whole, place = self._left + data, 0
        while len(whole) - place >= HEADER_SIZE:
            stream, length = parse_header(whole[place : place + HEADER_SIZE])
            end = place + HEADER_SIZE + length
            if end > len(whole):
                break
            self._progress.log(stream, whole[place + HEADER_SIZE : end])
            place = end
        self._left = whole[place:]


def _host(operation: Run) -> HostConfig:
    limits: Limits = operation.hidden.limits
    return HostConfig(
        network_mode=NONE if operation.network == NONE else HOST,
        extra_hosts=list(operation.extra_hosts) or None,
        privileged=operation.insecure,
        memory=limits.memory,
        memory_swap=limits.memory_swap,
        cpu_shares=limits.cpu_shares,
        cpu_period=limits.cpu_period,
        cpu_quota=limits.cpu_quota,
        cpuset_cpus=limits.cpuset_cpus,
        cpuset_mems=limits.cpuset_mems,
        cgroup_parent=limits.cgroup_parent,
        shm_size=limits.shm_size,
        ulimits=[Ulimit(name=name, soft=soft, hard=hard) for name, soft, hard in limits.ulimits] or None,
        userns_mode="host",
    )
