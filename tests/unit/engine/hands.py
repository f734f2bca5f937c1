"""Hands that make nothing and remember everything, and the engine's parts around them, without root."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from lodge.engine.bridge import Bridge
from lodge.engine.census import Census, Resident
from lodge.engine.events import EventBus
from lodge.engine.models import Container
from lodge.engine.networks import places, predefined
from lodge.engine.networks.attaching import Attachments
from lodge.engine.networks.book import Book
from lodge.engine.networks.facade import Networks
from lodge.engine.networks.wiring import Wiring
from lodge.engine.parts import Parts
from lodge.engine.settings import NetworkSettings, Settings
from lodge.engine.state.database import Database
from lodge.engine.state.rows import Rows
from lodge.errors import Conflict, NotFound
from lodge.network.contract import Counters, Endpoint, Living, Network, Port, Ready, Sandbox
from lodge.spec.container import EndpointSettings
from tests.unit.engine.samples import container, facts


class FakeHands:
    """`asked` has every call in its order; a host port that is in `busy` is taken."""

    def __init__(self, taken: Sequence[str] = ()) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.hosts = list(taken)
        self.busy: set[int] = set()
        self.sandboxes: dict[str, Sandbox] = {}

    def names(self) -> list[str]:
        return [call[0] for call in self.asked]

    def open(self, networks: Sequence[Network], living: Sequence[Living]) -> list[str]:
        self.asked.append(("open", [one.name for one in networks], [one.sandbox.container for one in living]))
        return []

    def close(self) -> None:
        self.asked.append(("close",))

    def check(self, network: Network) -> None:
        self.asked.append(("check", network.name))

    def create(self, network: Network) -> None:
        self.asked.append(("create", network))

    def remove(self, network: Network) -> None:
        self.asked.append(("remove", network.name))

    def prepare(self, sandbox: Sandbox) -> Ready:
        return self.furnish(sandbox, 0)

    def started(self, container: str, pid: int) -> None:
        self.asked.append(("started", container, pid))

    def furnish(self, sandbox: Sandbox, pid: int) -> Ready:
        self.asked.append(("furnish", sandbox, pid))
        bound = self._bind(sandbox.ports)
        self.sandboxes[sandbox.container] = sandbox
        interfaces = {each.id: f"eth{number}" for number, each in enumerate(sandbox.endpoints)}
        return Ready(path="/proc/7/fd/3", ports=bound, interfaces=interfaces)

    def _bind(self, ports: Sequence[Port]) -> tuple[Port, ...]:
        bound: list[Port] = []
        for port in ports:
            if port.host_port in self.busy:
                raise Conflict(f"Bind for 0.0.0.0:{port.host_port} failed: port is already allocated")
            chosen = port.host_port or 40000 + port.container_port
            bound += [
                msgspec.structs.replace(port, host_ip=address, host_port=chosen, host_last=0)
                for address in ((port.host_ip,) if port.host_ip else ("0.0.0.0", "::"))
            ]
        return tuple(bound)

    def connect(self, container: str, pid: int, endpoint: Endpoint, sandbox: Sandbox) -> str:
        if container not in self.sandboxes:
            raise NotFound(f"container {container} has no network")
        self.asked.append(("connect", container, endpoint, sandbox))
        self.sandboxes[container] = sandbox
        return f"eth{len(sandbox.endpoints) - 1}"

    def disconnect(self, container: str, pid: int, endpoint: Endpoint, sandbox: Sandbox) -> None:
        self.asked.append(("disconnect", container, endpoint, sandbox))
        self.sandboxes[container] = sandbox

    def change(self, container: str, pid: int, sandbox: Sandbox) -> tuple[Port, ...]:
        self.asked.append(("change", container, sandbox))
        bound = self._bind(sandbox.ports)
        self.sandboxes[container] = sandbox
        return bound

    def release(self, container: str) -> None:
        self.asked.append(("release", container))
        self.sandboxes.pop(container, None)

    def counters(self, pid: int) -> list[Counters]:
        return [Counters(interface="eth0", rx_bytes=pid)]

    def taken(self) -> list[str]:
        return self.hosts


class Nets:
    """Networks on fake hands; made and used inside one event loop."""

    def __init__(self, directory: Path, hands: FakeHands | None = None, **network: Any) -> None:
        self.hands = hands or FakeHands()
        self.settings = Settings(data_root=str(directory), network=NetworkSettings(**network))
        self.database = Database(str(directory / "state.db"))
        self.rows = Rows(self.database)
        self.census = Census()
        self.bridge = Bridge()
        self.book = Book(self.rows)
        predefined.ensure(self.book, self.settings)
        self.wiring = Wiring(self.settings, self.bridge, self.rows, self.book, self.census, self.hands)
        nothing = cast(Any, None)
        self.parts = Parts(
            settings=self.settings,
            facts=facts(),
            bridge=self.bridge,
            rows=self.rows,
            events=EventBus(),
            census=self.census,
            store=nothing,
            volumes=nothing,
            secrets=nothing,
            launcher=nothing,
            images=nothing,
            book=self.book,
            wiring=self.wiring,
        )
        self.attachments = Attachments(self.parts)
        self.networks = Networks(self.parts, self.attachments)

    def container(self, name: str, *networks: str, **host: Any) -> Container:
        """One that is made, not started; `networks` by name, each may be given settings by `endpoints`."""
        endpoints: dict[str, EndpointSettings | None] = host.pop("endpoints", None) or {}
        config = host.pop("config", {})
        mode = networks[0] if networks else "bridge"
        made = container(
            name,
            id=name.encode().hex().ljust(64, "0"),
            host={"network_mode": mode, **host},
            config=config,
        )
        made.wish.networking.endpoints_config = {each: endpoints.get(each) for each in networks} or None
        made.networks = places.settle(self.book, made.wish)
        directory = Path(self.settings.data_root)
        made.hosts_path = str(directory / f"{name}.hosts")
        made.resolv_conf_path = str(directory / f"{name}.resolv")
        self.census.add(Resident(made))
        return made

    async def start(self, made: Container, pid: int = 7) -> Sandbox:
        """What the engine does of a start, as far as networks go."""
        sandbox = await self.attachments.settle(made)
        await self.attachments.furnish(made, sandbox, pid)
        made.state.status, made.state.pid = "running", pid
        self.attachments.started(made, pid)
        self.attachments.announce_start(made)
        return sandbox

    async def end(self, made: Container) -> None:
        made.state.status, made.state.pid = "exited", 0
        self.attachments.ended(made)
        await self.attachments.close()

    def events(self) -> list[str]:
        return [f"{one.action} {one.attributes.get('name', '')}" for one in self.parts.events._past]

    def close(self) -> None:
        self.bridge.close()
        self.database.close()


Play = Callable[..., Any]
"""`play(scene, **settings)`: run a scene on networks of its own."""
