"""Values that tests of the engine start from."""

from __future__ import annotations

from typing import Any

from lodge.engine.models import Container, ContainerState
from lodge.engine.planning.host import DeviceNode, HostFacts
from lodge.spec.container import ContainerConfig, HostConfig, Wish

NULL = DeviceNode(path="/dev/null", type="c", major=1, minor=3, mode=0o666, uid=0, gid=0)
DISK = DeviceNode(path="/dev/sda", type="b", major=8, minor=0, mode=0o660, uid=0, gid=6)


def facts(**changes: Any) -> HostFacts:
    given: dict[str, Any] = {
        "cpus": 4,
        "cpu_list": "0-3",
        "memory": 8 << 30,
        "devices": lambda path: {"/dev": [NULL, DISK], "/dev/sda": [DISK]}.get(path, []),
    }
    return HostFacts(**{**given, **changes})


def wish(*, config: dict[str, Any] | None = None, **host: Any) -> Wish:
    return Wish(
        config=ContainerConfig(**{"image": "busybox", "cmd": ["true"], **(config or {})}),
        host=HostConfig(**host),
    )


def container(name: str = "box", *, id: str = "c" * 64, status: str = "created", **changes: Any) -> Container:
    host = changes.pop("host", {})
    config = changes.pop("config", {})
    state = changes.pop("state", {})
    given: dict[str, Any] = {
        "id": id,
        "name": name,
        "created_at": 1,
        "wish": wish(config=config, **host),
        "image_id": "sha256:" + "1" * 64,
        "image_name": "busybox",
        "path": "true",
        "state": ContainerState(status=status, **state),
    }
    return Container(**{**given, **changes})
