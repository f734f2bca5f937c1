"""The engine and its machine: info, disk usage, events. Fulfils `lodge.api.backend.System`."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lodge.engine import names
from lodge.engine.events import EventBus
from lodge.engine.images.facade import Images
from lodge.engine.machines import Machines
from lodge.engine.models import Container, Event, Image, Volume
from lodge.engine.parts import Parts
from lodge.engine.settings import OWN_RUNTIMES
from lodge.engine.volumes import Volumes
from lodge.kernel import system
from lodge.spec.runtime import OCI_VERSION

_ID = "engine-id"
_RUNTIME_STATUS = {
    "status": {"org.opencontainers.runtime-spec.features": f'{{"ociVersionMax":"{OCI_VERSION}"}}'}
}


class System:
    """Facts about the whole."""

    def __init__(self, parts: Parts, images: Images, volumes: Volumes) -> None:
        self._parts = parts
        self._images = images
        self._volumes = volumes
        self._id = self._own_id()

    def _own_id(self) -> str:
        """An id that stays with the data root."""
        known = self._parts.rows.fact(_ID)
        if known is None:
            made = names.new_id()
            text = "-".join((made[:8], made[8:12], made[12:16], made[16:20], made[20:32]))
            known = text.encode()
            self._parts.rows.note(_ID, known)
        return known.decode()

    async def info(self) -> dict[str, Any]:
        """Docker's SystemInfo with all of its members."""
        return {
            **self._identity(),
            **self._counts(),
            **self._abilities(),
            **self._machine(),
            **self._runtimes(),
            **self._proxies(),
            "Hypervisors": await Machines(self._parts).hypervisors(),
        }

    def _identity(self) -> dict[str, Any]:
        settings = self._parts.settings
        return {
            "ID": self._id,
            "Name": settings.name or system.hostname(),
            "Labels": settings.labels,
            "Driver": self._parts.store.snapshots.name,
            "DriverStatus": [
                ["Supports d_type", "true"],
                ["Using metacopy", "false"],
                ["userxattr", "false"],
            ],
            "DockerRootDir": settings.data_root,
            "Debug": settings.debug,
            "ExperimentalBuild": False,
            "LiveRestoreEnabled": settings.live_restore,
            "IndexServerAddress": "https://index.docker.io/v1/",
            "RegistryConfig": {
                "IndexConfigs": {
                    "docker.io": {
                        "Mirrors": settings.registry_mirrors,
                        "Name": "docker.io",
                        "Official": True,
                        "Secure": True,
                    },
                    **{
                        name: {"Mirrors": [], "Name": name, "Official": False, "Secure": False}
                        for name in settings.insecure_registries
                        if "/" not in name
                    },
                },
                "InsecureRegistryCIDRs": [
                    "::1/128",
                    "127.0.0.0/8",
                    *(name for name in settings.insecure_registries if "/" in name),
                ],
                "Mirrors": settings.registry_mirrors or None,
            },
            "Plugins": {
                "Volume": ["local"],
                "Network": ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"],
                "Authorization": None,
                "Log": ["journald", "json-file", "local", "none", "syslog"],
            },
            "GenericResources": None,
            "Isolation": "",
            "ProductLicense": "",
            "Warnings": self._warnings(),
            "CDISpecDirs": None,
            "DefaultAddressPools": [{"Base": pool.base, "Size": pool.size} for pool in settings.network.pools]
            or None,
            "FirewallBackend": {"Driver": "nftables"} if settings.network.firewall else None,
            "DiscoveredDevices": None,
            "NRI": None,
        }

    def _warnings(self) -> list[str] | None:
        facts = self._parts.facts
        found = []
        if not facts.swap_limit:
            found.append("WARNING: No swap limit support")
        if not facts.ipv4_forwarding:
            found.append("WARNING: IPv4 forwarding is disabled")
        return found or None

    def _counts(self) -> dict[str, Any]:
        statuses = [resident.container.state.status for resident in self._parts.census]
        running = sum(status in ("running", "restarting") for status in statuses)
        paused = statuses.count("paused")
        return {
            "Containers": len(statuses),
            "ContainersRunning": running,
            "ContainersPaused": paused,
            "ContainersStopped": len(statuses) - running - paused,
            "Images": len(self._parts.images.all()),
            "NFd": len(os.listdir("/proc/self/fd")),
            "NGoroutines": 1,
            "NEventsListener": self._parts.events.listeners,
            "SystemTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }

    def _abilities(self) -> dict[str, Any]:
        facts = self._parts.facts
        version1 = facts.cgroup_version == 1
        return {
            "MemoryLimit": "memory" in facts.controllers,
            "SwapLimit": facts.swap_limit,
            "CpuCfsPeriod": "cpu" in facts.controllers,
            "CpuCfsQuota": "cpu" in facts.controllers,
            "CPUShares": "cpu" in facts.controllers,
            "CPUSet": "cpuset" in facts.controllers,
            "PidsLimit": "pids" in facts.controllers,
            "OomKillDisable": version1,
            "IPv4Forwarding": facts.ipv4_forwarding,
            "BridgeNfIptables": system.bridge_filter("iptables"),
            "BridgeNfIp6tables": system.bridge_filter("ip6tables"),
            "CgroupDriver": "cgroupfs",
            "CgroupVersion": str(facts.cgroup_version),
            "LoggingDriver": self._parts.settings.log_driver,
            "SecurityOptions": self._security(),
        }

    def _security(self) -> list[str]:
        facts = self._parts.facts
        found = ["name=apparmor"] if facts.apparmor else []
        profile = self._parts.settings.seccomp_profile or "builtin"
        if system.has_seccomp():
            found.append(f"name=seccomp,profile={profile}")
        if facts.selinux:
            found.append("name=selinux")
        if facts.cgroup_namespaces:
            found.append("name=cgroupns")
        return found

    def _machine(self) -> dict[str, Any]:
        return {
            "KernelVersion": system.kernel_version(),
            "OperatingSystem": system.os_name(),
            "OSVersion": system.os_release().get("VERSION_ID", ""),
            "OSType": "linux",
            "Architecture": platform.machine(),
            "NCPU": self._parts.facts.cpus,
            "MemTotal": self._parts.facts.memory,
        }

    def _runtimes(self) -> dict[str, Any]:
        settings = self._parts.settings
        runtimes: dict[str, Any] = {
            name: {"path": "lodge-runtime", **_RUNTIME_STATUS} for name in OWN_RUNTIMES
        }
        for name, runtime in settings.runtimes.items():
            entry: dict[str, Any] = {"path": runtime.path}
            if runtime.arguments:
                entry["runtimeArgs"] = list(runtime.arguments)
            runtimes[name] = entry
        init = settings.init_path or next(
            (name for name in ("docker-init", "tini-static", "tini", "catatonit") if shutil.which(name)), ""
        )
        nothing = {"ID": ""}
        return {
            "Runtimes": runtimes,
            "DefaultRuntime": settings.default_runtime,
            "InitBinary": os.path.basename(init) or "lodge",
            "ContainerdCommit": nothing,
            "RuncCommit": nothing,
            "InitCommit": nothing,
            "Swarm": {
                "NodeID": "",
                "NodeAddr": "",
                "LocalNodeState": "inactive",
                "ControlAvailable": False,
                "Error": "",
                "RemoteManagers": None,
            },
        }

    def _proxies(self) -> dict[str, Any]:
        def of(name: str) -> str:
            return os.environ.get(name, "") or os.environ.get(name.lower(), "")

        return {"HttpProxy": of("HTTP_PROXY"), "HttpsProxy": of("HTTPS_PROXY"), "NoProxy": of("NO_PROXY")}

    async def disk_usage(self, types: set[str]) -> dict[str, Any]:
        """Models with their sizes, as `lodge.api.backend` says; all kinds when none is named."""
        wanted = types or {"container", "image", "volume", "build-cache"}
        found: dict[str, Any] = {}
        if "image" in wanted:
            images: list[Image] = await self._images.list(
                all=True, filters={}, shared_size=True, digests=True
            )
            found["images"] = images
            found["layers_size"] = self._layers_size()
        if "container" in wanted:
            found["containers"] = [await self._sizes(resident.container) for resident in self._parts.census]
        if "volume" in wanted:
            volumes: list[Volume] = await self._volumes.with_sizes()
            found["volumes"] = volumes
        return found

    async def _sizes(self, container: Container) -> tuple[Container, int, int]:
        written, _ = await self._parts.bridge.call(self._parts.store.snapshots.usage, container.id)
        return container, written, written + self._parts.images.size_of(container.image_id)

    def _layers_size(self) -> int:
        """Bytes of all layers of all images, each layer once."""
        sizes: dict[str, int] = {}
        for found in self._parts.images.all():
            layers = self._parts.store.images.layer_sizes(found.resolved)
            sizes.update(zip(map(str, found.resolved.chain_ids), layers, strict=True))
        return sum(sizes.values())

    async def events(
        self, *, since: int, until: int, filters: Mapping[str, Sequence[str]]
    ) -> AsyncIterator[Event]:
        """Events as they come; see `EventBus.subscribe`."""
        bus: EventBus = self._parts.events
        return bus.subscribe(
            since=since, until=until, filters={key: list(values) for key, values in filters.items()}
        )
