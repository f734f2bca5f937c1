"""An engine that only remembers: what the API's tests stand on."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

from lodge.api.backend import Filters, Handover, Inflow
from lodge.engine.models import (
    AttachQuery,
    Change,
    Container,
    ContainerState,
    Event,
    Exec,
    ExecWish,
    ExitResult,
    HistoryEntry,
    Image,
    ImageDeletion,
    LogQuery,
    Member,
    Network,
    PathStat,
    ProcessTable,
    Progress,
    Pruned,
    Stats,
    Volume,
)
from lodge.errors import Conflict, Forbidden, NotFound, NotModified
from lodge.spec.container import ContainerConfig, EndpointSettings, HostConfig, RestartPolicy, Wish
from lodge.spec.descriptor import OCI_INDEX, Descriptor
from lodge.spec.platform import Platform
from lodge.volume.secrets import Secret

SECOND = 1_000_000_000


def container(name: str = "one", **state: Any) -> Container:
    return Container(
        id=name.encode().hex().ljust(64, "0"),
        name=name,
        created_at=1700000000 * SECOND + 120,
        wish=Wish(
            config=ContainerConfig(image="busybox", labels={"a": "b"}),
            host=HostConfig(network_mode="none"),
        ),
        image_id="sha256:" + "1" * 64,
        image_name="busybox",
        path="sh",
        args=["-c", "echo hi"],
        state=ContainerState(**state),
        networks={"none": EndpointSettings()},
    )


class Flow:
    """A pipe that somebody has filled."""

    def __init__(self, data: bytes, error: Exception | None = None) -> None:
        self.fd, writing = os.pipe()
        os.write(writing, data)
        os.close(writing)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


def speak(answer: bytes) -> Callable[[Handover], None]:
    """What attach returns: says `answer` and the early bytes, and hangs up."""

    def give(handover: Handover) -> None:
        fd, early = handover.take()
        with socket.socket(fileno=fd) as sock:
            sock.setblocking(True)
            sock.sendall(answer + early)

    return give


class FakeContainers:
    def __init__(self) -> None:
        self.all: dict[str, Container] = {}
        self.asked: list[Any] = []
        self.ending: asyncio.Future[ExitResult] | None = None
        self.wait_error: Exception | None = None

    def add(self, one: Container) -> Container:
        self.all[one.name] = one
        return one

    async def create(self, name: str | None, wish: Wish, platform: str | None) -> tuple[Container, list[str]]:
        self.asked.append((name, wish, platform))
        if wish.config.image != "busybox":
            raise NotFound(f"No such image: {wish.config.image}:latest")
        if name in self.all:
            raise Conflict(f'Conflict. The container name "/{name}" is already in use')
        return self.add(container(name or "random")), ["careful"]

    async def get(self, name: str) -> Container:
        for one in self.all.values():
            if name.removeprefix("/") == one.name or one.id.startswith(name):
                return one
        raise NotFound(f"No such container: {name}")

    async def list(self, *, all: bool, limit: int, filters: Filters) -> list[Container]:
        self.asked.append((all, limit, filters))
        return list(self.all.values())

    async def sizes(self, name: str) -> tuple[int, int]:
        return 5, 1000

    async def start(self, name: str) -> None:
        one = await self.get(name)
        if one.state.running:
            raise NotModified("running already")
        one.state.status = "running"

    async def stop(self, name: str, *, signal: str | None, timeout: int | None) -> None:
        self.asked.append((signal, timeout))

    async def restart(self, name: str, *, signal: str | None, timeout: int | None) -> None:
        self.asked.append((signal, timeout))

    async def kill(self, name: str, signal: str) -> None:
        raise Conflict(f"container {name} is not running")

    async def pause(self, name: str) -> None: ...
    async def unpause(self, name: str) -> None: ...

    async def wait(self, name: str, condition: str) -> asyncio.Future[ExitResult]:
        await self.get(name)
        self.asked.append(condition)
        self.ending = asyncio.get_running_loop().create_future()
        return self.ending

    async def remove(self, name: str, *, force: bool, volumes: bool, link: bool) -> None:
        self.asked.append((force, volumes, link))
        del self.all[(await self.get(name)).name]

    async def rename(self, name: str, new_name: str) -> None:
        self.asked.append(new_name)

    async def update(
        self, name: str, limits: dict[str, Any], restart: RestartPolicy | None, network: Any = None
    ) -> list[str]:
        self.asked.append((limits, restart) if network is None else network)
        return []

    async def top(self, name: str, arguments: str) -> ProcessTable:
        return ProcessTable(titles=["PID", arguments], processes=[["1", "sh"]])

    async def changes(self, name: str) -> list[Change]:
        return [Change(kind=1, path="/x")] if name == "one" else []

    async def stats(self, name: str, *, stream: bool, one_shot: bool) -> AsyncIterator[Stats]:
        async def samples() -> AsyncIterator[Stats]:
            while True:
                yield Stats(
                    read_at=2 * SECOND,
                    previous_read_at=0,
                    current={"pids_stats": {"current": 1}},
                    previous={},
                )
                await asyncio.sleep(0.01)

        return samples()

    async def logs(self, name: str, query: LogQuery) -> AsyncIterator[bytes]:
        self.asked.append(query)

        async def pieces() -> AsyncIterator[bytes]:
            yield b"\x01\0\0\0\0\0\0\x03one"
            while query.follow:
                await asyncio.sleep(0.01)

        return pieces()

    async def attach(self, name: str, query: AttachQuery, *, framed: bool) -> Callable[[Handover], None]:
        await self.get(name)
        self.asked.append((query, framed))
        return speak(b"attached ")

    async def resize(self, name: str, rows: int, columns: int) -> None:
        self.asked.append((rows, columns))

    async def export(self, name: str) -> Flow:
        return Flow(b"half", OSError(28, "No space left on device"))

    async def stat_path(self, name: str, path: str) -> PathStat:
        return PathStat(name="passwd", size=75, mode=420, mtime=1767225600 * SECOND)

    async def get_archive(self, name: str, path: str) -> tuple[PathStat, Flow]:
        return await self.stat_path(name, path), Flow(b"tar bytes")

    async def put_archive(
        self, name: str, path: str, source: Inflow, *, no_overwrite_dir_non_dir: bool, copy_uid_gid: bool
    ) -> None:
        data = await asyncio.to_thread(source.read)
        self.asked.append((path, data, no_overwrite_dir_non_dir, copy_uid_gid))

    async def commit(self, name: str, **options: Any) -> str:
        self.asked.append(options)
        return "sha256:" + "2" * 64

    async def prune(self, filters: Filters) -> Pruned:
        self.asked.append(filters)
        return Pruned(deleted=[], reclaimed=3)


class FakeExecs:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def create(self, container: str, wish: ExecWish) -> Exec:
        self.asked.append(wish)
        return Exec(id="e" * 64, container_id="c" * 64, wish=wish)

    async def get(self, id: str) -> Exec:
        if id != "e" * 64:
            raise NotFound(f"No such exec instance: {id}")
        return Exec(id=id, container_id="c" * 64, wish=self.asked[-1])

    async def start(self, id: str, **options: Any) -> Callable[[Handover], None] | None:
        self.asked.append(options)
        return None if options["detach"] else speak(b"ran ")

    async def resize(self, id: str, rows: int, columns: int) -> None: ...


class FakeImages:
    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.image = Image(
            id="sha256:" + "1" * 64,
            target="sha256:" + "9" * 64,
            tags=["busybox:latest"],
            created_at=1700000000 * SECOND,
            size=100,
            architecture="amd64",
            config={"config": {"Cmd": ["sh"], "Labels": {"l": "1"}}},
            diff_ids=["sha256:" + "3" * 64],
        )

    async def list(self, **options: Any) -> list[Image]:
        self.asked.append(options)
        return [self.image]

    async def get(self, name: str, platform: str | None = None) -> Image:
        self.asked.append((name, platform))
        if not name.startswith("busybox"):
            raise NotFound(f"No such image: {name}:latest")
        return self.image

    async def history(self, name: str, platform: str | None = None) -> list[HistoryEntry]:
        return [HistoryEntry(id="i", created_at=0, created_by="x", tags=None, size=1, comment="")]

    async def tag(self, name: str, reference: str) -> None:
        self.asked.append(reference)

    async def remove(self, name: str, *, force: bool, prune: bool) -> list[ImageDeletion]:
        return [ImageDeletion(untagged="busybox:latest"), ImageDeletion(deleted="sha256:1")]

    async def prune(self, filters: Filters) -> Pruned:
        return Pruned()

    async def load(self, source: Inflow, *, quiet: bool) -> AsyncIterator[Progress]:
        async def lines() -> AsyncIterator[Progress]:
            data = await asyncio.to_thread(source.read)
            yield Progress(stream=f"Loaded {len(data)}\n")
            raise Conflict("broken in the middle")

        return lines()

    async def save(self, names: list[str], platform: str | None) -> Flow:
        self.asked.append((names, platform))
        return Flow(b"saved")

    async def manifest(self, name: str) -> tuple[Descriptor, bytes]:
        raise NotFound(f"No such image: {name}")

    async def open_blob(self, digest: str) -> int:
        raise NotFound(f"no content {digest}")

    async def import_(self, source: Inflow | str, **options: Any) -> AsyncIterator[Progress]:
        self.asked.append(options)
        if isinstance(source, str):
            raise NotFound(f"nothing is at {source!r}")

        async def lines() -> AsyncIterator[Progress]:
            yield Progress(status=str(len(await asyncio.to_thread(source.read))))

        return lines()

    async def pull(self, reference: str, **options: Any) -> AsyncIterator[Progress]:
        self.asked.append((reference, options))

        async def lines() -> AsyncIterator[Progress]:
            raise NotFound("pull access denied")
            yield Progress()

        return lines()

    async def push(self, reference: str, **options: Any) -> AsyncIterator[Progress]:
        self.asked.append((reference, options))

        async def lines() -> AsyncIterator[Progress]:
            yield Progress(status="The push refers to repository [x]")
            raise Forbidden("denied: no")

        return lines()

    async def login(self, auth: dict[str, str]) -> str:
        self.asked.append(auth)
        return "identity"

    async def inspect_remote(
        self, reference: str, *, auth: dict[str, str] | None
    ) -> tuple[Descriptor, list[Platform]]:
        self.asked.append((reference, auth))
        target = Descriptor(media_type=OCI_INDEX, digest="sha256:" + "0" * 64, size=3)
        return target, [Platform(architecture="arm64", os="linux", variant="v8")]

    async def bootstrap(self, name: str, *, suite: str | None, mirror: str | None) -> AsyncIterator[Progress]:
        self.asked.append((name, suite, mirror))

        async def lines() -> AsyncIterator[Progress]:
            yield Progress(status="Fetching", id="x", current=1, total=2)

        return lines()


class FakeVolumes:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def create(self, name: str, driver: str, options: dict[str, str], labels: dict[str, str]) -> Volume:
        self.asked.append((name, driver, options, labels))
        return Volume(name=name or "v" * 64, labels=labels, created_at=5 * SECOND + 7)

    async def get(self, name: str) -> Volume:
        raise NotFound(f"get {name}: no such volume")

    async def list(self, filters: Filters) -> list[Volume]:
        return [Volume(name="v")]

    async def remove(self, name: str, *, force: bool) -> None: ...

    async def prune(self, filters: Filters) -> Pruned:
        self.asked.append(filters)
        return Pruned(deleted=["v"], reclaimed=1)


class FakeNetworks:
    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.all = [
            Network(id=f"{number}" * 64, name=name, created_at=SECOND, driver=driver, predefined=True)
            for number, (name, driver) in enumerate(
                (("bridge", "bridge"), ("host", "host"), ("none", "null")), start=1
            )
        ]

    async def create(self, wanted: Network, *, ingress: bool = False) -> Network:
        wanted.id = "9" * 64
        self.all.append(wanted)
        return wanted

    async def get(self, name: str) -> Network:
        for one in self.all:
            if name == one.name or (name and one.id.startswith(name)):
                return one
        raise NotFound(f"network {name} not found")

    async def list(self, filters: Filters) -> list[Network]:
        self.asked.append(filters)
        return self.all

    async def members(self, name: str) -> list[Member]:
        return [Member(container_id="c1", name="one", endpoint_id="e", ipv4="10.1.0.2/16")]

    async def remove(self, name: str) -> None:
        self.all.remove(await self.get(name))

    async def prune(self, filters: Filters) -> Pruned:
        return Pruned()

    async def connect(self, name: str, container: str, asked: EndpointSettings) -> None:
        self.asked.append((name, container, asked))

    async def disconnect(self, name: str, container: str, *, force: bool) -> None:
        self.asked.append((name, container, force))


class FakeSystem:
    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.past = [
            Event(type="container", action="start", actor_id="c", attributes={"image": "i"}, at=SECOND)
        ]

    async def info(self) -> dict[str, Any]:
        return {"ID": "x", "NRI": {}, "Runtimes": {"lodge": {"path": "lodge", "status": {}}}}

    async def disk_usage(self, types: set[str]) -> dict[str, Any]:
        self.asked.append(types)
        everything = {
            "images": [FakeImages().image],
            "containers": [(container(), 5, 1000)],
            "volumes": [Volume(name="v", size=7, references=0)],
        }
        wanted = {f"{name}s" for name in types}
        found: dict[str, Any] = {name: everything[name] for name in wanted & set(everything)}
        return found | {"layers_size": 100}

    async def events(self, *, since: int, until: int, filters: Filters) -> AsyncIterator[Event]:
        self.asked.append((since, until, filters))

        async def found() -> AsyncIterator[Event]:
            for event in self.past:
                yield event

        return found()


class FakeContext:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class FakeBuilds:
    """Takes requests and plays events."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.events: list[Any] = []
        self.failure: Exception | None = None
        self.received = b""
        self.remote = ""
        self.cancelled: list[str] = []
        self.pruned: dict[str, Any] = {}
        self.context = FakeContext()

    async def receive(self, source: Any, remote: str, request: Any) -> FakeContext:
        self.received = source.read(-1)
        self.remote = remote
        request.context = self.context
        return self.context

    async def build(self, request: Any, id: str = "") -> AsyncIterator[Any]:
        del id
        self.requests.append(request)
        for event in self.events:
            yield event
        if self.failure is not None:
            raise self.failure

    def records(self) -> list[Any]:
        return []

    async def cache_mounts(self) -> list[Any]:
        return []

    async def export_cache(self, id: str) -> Any:
        raise NotFound(f"no cache {id}")

    async def import_cache(self, id: str, source: Inflow) -> None:
        self.received = await asyncio.to_thread(source.read)

    async def cancel(self, id: str) -> None:
        self.cancelled.append(id)

    async def prune(self, filters: Any, **options: Any) -> Pruned:
        self.pruned = {"filters": filters, **options}
        return Pruned()


class FakeMachines:
    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def hypervisors(self) -> list[dict[str, Any]]:
        return [{"Name": "qemu/tcg", "Usable": True, "Reason": ""}]

    async def kernel(self) -> str:
        return "6.1.0"

    async def setup(self, *, kernel: str, modules: str) -> AsyncIterator[Progress]:
        self.asked.append((kernel, modules))

        async def steps() -> AsyncIterator[Progress]:
            yield Progress(status="Fetching a kernel")

        return steps()


class FakeSecrets:
    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.one = Secret(id="s" * 25, name="db", labels={"team": "a"}, created_at=SECOND)

    async def create(self, name: str, value: bytes, labels: dict[str, str]) -> Secret:
        self.asked.append((name, value, labels))
        return self.one

    async def get(self, name: str) -> Secret:
        if name in (self.one.name, self.one.id):
            return self.one
        raise NotFound(f"secret {name} not found")

    async def list(self) -> list[Secret]:
        return [self.one]

    async def remove(self, name: str) -> None:
        self.asked.append((await self.get(name)).id)


class FakeEngine:
    def __init__(self) -> None:
        self.builds = FakeBuilds()
        self.containers = FakeContainers()
        self.execs = FakeExecs()
        self.images = FakeImages()
        self.machines = FakeMachines()
        self.networks = FakeNetworks()
        self.secrets = FakeSecrets()
        self.volumes = FakeVolumes()
        self.system = FakeSystem()
