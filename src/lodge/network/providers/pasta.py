"""The provider for an unprivileged user: pasta(1) of the project passt, one process a container.

It enters the container's user and network namespaces (its user owns both), makes a tap there and translates
between it and sockets of its own. Published ports are sockets of that process. No container reaches another
by its address, and the client's address of a published port is not kept.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from ipaddress import ip_interface

from lodge.errors import Conflict, Unavailable, Unsupported
from lodge.kernel.process import pidfd_open, pidfd_send_signal
from lodge.network import ports
from lodge.network.contract import Bandwidth, Endpoint, Port, Ready, Sandbox
from lodge.network.ports import Binding
from lodge.network.settings import BridgeSettings

_PATIENCE = 10.0
_INTERFACE = "eth0"
_TUN = "/dev/net/tun"
_WORDS = {"tcp": "-t", "udp": "-u"}


class PastaProvider:
    """Starts and ends pasta processes; `directory` holds their numbers, so that another engine finds them."""

    def __init__(self, directory: str, *, program: str = "pasta") -> None:
        self._directory = directory
        self._program = program

    def furnish(self, sandbox: Sandbox, pid: int) -> Ready:
        """One interface with the endpoint's addresses, or the host's own where it has none."""
        program = shutil.which(self._program)
        if program is None:
            raise Unavailable(f"{self._program} was not found", hint="install the package passt")
        if not os.access(_TUN, os.R_OK | os.W_OK):
            raise Unavailable(
                f"{_TUN} can't be opened", hint="whoever may use networks of their own needs it"
            )
        _check(sandbox)
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        endpoint = sandbox.endpoints[0] if sandbox.endpoints else Endpoint(id="", network="", mac="")
        name = endpoint.interface or _INTERFACE
        bound = self._find_ports(sandbox)
        command = arguments(program, endpoint, name, bound, pid, self._number_file(sandbox.container))
        self._start(command, sandbox.container)
        return Ready(path=f"/proc/{pid}/ns/net", ports=tuple(bound), interfaces={endpoint.id: name})

    def release(self, container: str) -> None:
        """End its process and wait for it."""
        path = self._number_file(container)
        try:
            with open(path, encoding="ascii") as file:
                pid = int(file.read())
            pidfd = pidfd_open(pid)
        except (OSError, ValueError):
            _forget(path)
            return
        try:
            # Asked for after the pidfd was opened: what it says then is of the process that is ended.
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                ours = os.fsencode(path) in file.read().split(b"\0")
            if ours:
                pidfd_send_signal(pidfd, signal.SIGTERM)
                if not select.select([pidfd], [], [], 1.0)[0]:
                    pidfd_send_signal(pidfd, signal.SIGKILL)
                    select.select([pidfd], [], [], _PATIENCE)
        except OSError:
            pass  # it has ended meanwhile
        finally:
            os.close(pidfd)
            _forget(path)

    def _number_file(self, container: str) -> str:
        return f"{self._directory}/{container}.pid"

    def _find_ports(self, sandbox: Sandbox) -> list[Port]:
        """The ports as they will be bound: taken ones are a conflict now, in Docker's words."""
        reserved = ports.reserve(_bindings(sandbox.ports), ())
        ports.close(reserved)
        return [each.binding.port for each in reserved]

    def _start(self, command: Sequence[str], container: str) -> None:
        """Wait until it is ready: then it goes into the background and the first process ends."""
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        number_file = self._number_file(container)
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if process.poll() is not None and process.returncode != 0:
                _, words = process.communicate()
                raise _refusal(words)
            if _is_ready(number_file, process):
                if process.stderr is not None:
                    process.stderr.close()
                return
            time.sleep(0.005)
        process.kill()
        process.communicate()
        raise Unavailable("pasta does not get ready")


def arguments(
    program: str, endpoint: Endpoint, name: str, bound: Sequence[Port], pid: int, number_file: str
) -> list[str]:
    """The command: passt(1). It goes into the background when the sandbox is ready."""
    found = [program, "--config-net", "--quiet", "--ns-ifname", name, "--pid", number_file]
    found += ["--no-map-gw"]  # the gateway's address is not this host's loopback
    if endpoint.ipv4:
        interface = ip_interface(endpoint.ipv4)
        found += ["--address", str(interface.ip), "--netmask", str(interface.network.prefixlen)]
    if endpoint.ipv6:
        found += ["--address", str(ip_interface(endpoint.ipv6).ip)]
    for gateway in filter(None, (endpoint.gateway4, endpoint.gateway6)):
        found += ["--gateway", gateway]
    for protocol, flag in _WORDS.items():
        listed = [_spell(port) for port in bound if port.protocol == protocol]
        found += [word for each in listed or ["none"] for word in (flag, each)]
    # Nothing of the host's loopback is reached from inside.
    found += ["-T", "none", "-U", "none"]
    return [*found, "--userns", f"/proc/{pid}/ns/user", "--netns", f"/proc/{pid}/ns/net"]


def _spell(port: Port) -> str:
    return f"{port.host_ip}/{port.host_port}:{port.container_port}"


def _check(sandbox: Sandbox) -> None:
    if len(sandbox.endpoints) > 1:
        raise Unsupported("a container of an unprivileged user can be in one network only")
    if sandbox.bandwidth != Bandwidth():
        raise Unsupported("bandwidth limits need an engine that may administer the host's network")
    for port in sandbox.ports:
        if port.protocol not in _WORDS:
            raise Unsupported(f"{port.protocol} ports can't be published by an unprivileged user")


def _bindings(wishes: Sequence[Port]) -> list[Binding]:
    anybody = Endpoint(id="", network="", mac="", ipv4="192.0.2.1/32")
    return ports.plan(wishes, anybody, None, _NO_OPTIONS, proxy=True, kernel=False, ipv6_host=False)


_NO_OPTIONS = BridgeSettings(
    icc=True, masquerade=True, binding="", mode4="nat", mode6="nat", prefix="eth", mtu=0, inhibit4=False,
    trusted=(), source4="", source6="", publish="", antispoof=True,
)  # fmt: skip


def _is_ready(number_file: str, process: subprocess.Popen[str]) -> bool:
    """Its number is written when its sockets are bound; whoever has gone into the background is ready."""
    return process.poll() == 0 and os.path.exists(number_file) and os.path.getsize(number_file) > 0


def _refusal(words: str) -> Conflict | Unavailable:
    last = (words.strip().splitlines() or ["it gave no reason"])[-1]
    if "port" in last and ("bind" in last or "use" in last):
        return Conflict(f"failed to bind host port: {last}")
    return Unavailable(f"pasta can't make the network: {last}")


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
