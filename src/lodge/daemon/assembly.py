"""The server side put together: engine, API, listeners; started and ended in the right order."""

from __future__ import annotations

import gc
import logging
import resource

from lodge.api.app import App, banner
from lodge.daemon import hosts, listeners, metrics
from lodge.daemon.config import Config
from lodge.engine.engine import Engine
from lodge.http.server import Server
from lodge.runtime.launcher import Launcher
from lodge.wire import versions

_log = logging.getLogger("lodge.daemon")


class Assembly:
    """A daemon's parts. `open` and `close` once each."""

    def __init__(self, config: Config, launcher: Launcher | None = None) -> None:
        self.config = config
        self.engine = Engine(config.settings(), launcher=launcher)
        self.app = App(self.engine, oldest=config.oldest)
        self.server = Server(self.app.handle, banner=banner(versions.ENGINE), http2=self.app.http2)
        self._metrics: Server | None = None
        self._files: list[listeners.SocketFile] = []

    async def open(self) -> None:
        """Take the sockets, open the engine, serve. What fails is undone and raised."""
        _raise_file_limit()
        tls = listeners.tls_context(self.config)
        sockets = listeners.open_all(self.config)
        # Containers must not reach the API through their gateway (hostile row 20).
        self.engine.settings.network.closed = [
            sock.getsockname()[1] for host, sock in sockets if host.kind == "tcp"
        ]
        try:
            await self.engine.open()
            await self.app.leases.adopt()
            if self.config.metrics_addr:
                await self._serve_metrics(self.config.metrics_addr)
            for host, sock in sockets:
                self._files += listeners.socket_files(host)
                await self.server.listen(sock, tls if host.kind == "tcp" else None)
                _log.info("API listen on %s", host)
        except BaseException:
            for _, sock in sockets:
                sock.close()
            await self.close()
            raise
        # What is here now stays: the collector need not look at it again. Answers are big and short-lived
        # trees without cycles: looking at them often only makes some client wait.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)

    async def _serve_metrics(self, address: str) -> None:
        host = hosts.parse(f"tcp://{address}", default_socket="", tls=False)
        self._metrics = Server(metrics.handler(self.engine, self.server))
        await self._metrics.listen(listeners.tcp(host.address, host.port))

    async def close(self) -> None:
        """Let running requests finish, then close the engine. Containers live on."""
        if self._metrics is not None:
            await self._metrics.close(0)
        await self.server.close(float(self.config.shutdown_timeout))
        for file in self._files:
            file.remove()
        await self.app.leases.close()
        await self.engine.close()

    def reload(self, config: Config) -> list[str]:
        """Take over what may change while the daemon runs; gives the names of what changed but may not."""
        fresh = config.settings()
        for name in RELOADABLE:
            setattr(self.engine.settings, name, getattr(fresh, name))
        fixed = [name for name in FIXED if getattr(config, name) != getattr(self.config, name)]
        self.config.debug, self.config.log_level = config.debug, config.log_level
        self.config.shutdown_timeout = config.shutdown_timeout
        return fixed


RELOADABLE = (
    "debug", "default_runtime", "dns", "dns_options", "dns_search", "http_proxy", "https_proxy", "init",
    "init_path", "insecure_registries", "labels", "log_driver", "log_options", "max_download_attempts",
    "no_proxy", "registries", "registry_mirrors", "runtimes", "seccomp_profile",
    "shm_size", "shutdown_timeout", "trust_policy", "ulimits",
)  # fmt: skip
"""Settings of the engine that a SIGHUP changes for what is created from then on."""

FIXED = (
    "data_root", "exec_root", "hosts", "group", "tlsverify", "tlscacert", "tlscert", "tlskey", "userns_remap",
    "cgroup_parent", "pidfile", "metrics_addr", "min_api_version", "max_concurrent_downloads",
    "max_concurrent_uploads",
    "bip", "bip6", "bridge", "fixed_cidr", "fixed_cidr_v6", "default_gateway", "default_gateway_v6",
    "default_address_pools", "mtu", "icc", "ip", "ipv6", "ip_forward", "ip_masq", "iptables", "ip6tables",
    "userland_proxy", "publish_mode",
)  # fmt: skip
"""Settings that need a restart."""


def _raise_file_limit() -> None:
    """A thousand subscribers need a thousand descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
