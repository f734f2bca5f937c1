"""Kinds of flag values that only containers have; each checks its text while the command line is read.

Larger grammars live in the neighbouring modules and are imported when such a flag is used.
"""

from __future__ import annotations

from lodge.cli.flags import Kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _environment(text: str) -> str:
    if not text or text.startswith("="):
        raise ValueError(f"invalid environment variable: {text}")
    return text


def _label(text: str) -> str:
    if not text.partition("=")[0].strip():
        raise ValueError(f"invalid label '{text}': empty name")
    return text


def _attach(text: str) -> str:
    stream = text.lower()
    if stream not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return stream


def is_address(text: str) -> bool:
    """Whether `text` is an IPv4 or IPv6 address in its usual writing."""
    import _socket

    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return True
    return False


def _dns(text: str) -> str:
    if not is_address(text.strip()):
        raise ValueError(f"IP address is not correctly formatted: {text}")
    return text.strip()


def _dns_search(text: str) -> str:
    domain = text.strip()
    if domain != "." and not _is_domain(domain):
        raise ValueError(f"{text} is not a valid domain")
    return domain


def _is_domain(text: str) -> bool:
    labels = text.removesuffix(".").split(".")
    return len(text) < 256 and all(
        label and label.isascii() and label.replace("-", "").replace("_", "").isalnum() for label in labels
    )


def _extra_host(text: str) -> str:
    name, mark, address = text.partition("=") if "=" in text else text.partition(":")
    if not mark or not name:
        raise ValueError(f'bad format for add-host: "{text}"')
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if address != "host-gateway" and not is_address(address):
        raise ValueError(f'invalid IP address in add-host: "{address}"')
    return f"{name}:{address}"


def _link(text: str) -> str:
    if not text:
        raise ValueError("empty string specified for links")
    if text.count(":") > 1:
        raise ValueError(f"bad format for links: {text}")
    return text


_SYSCTLS = frozenset(
    [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ]
)


def _sysctl(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark or not (name in _SYSCTLS or name.startswith(("net.", "fs.mqueue."))):
        raise ValueError(f"sysctl '{text}' is not allowed")
    return name, value


def _device_rule(text: str) -> str:
    kind, _, rest = text.partition(" ")
    numbers, _, access = rest.partition(" ")
    major, _, minor = numbers.partition(":")
    if (
        kind not in ("a", "b", "c")
        or not all(part == "*" or part.isdigit() for part in (major, minor))
        or not access
        or len(access) > 3
        or not set(access) <= set("rwm")
    ):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def _mount(text: str) -> Any:
    from lodge.cli.settings.mounts import parse_mount

    return parse_mount(text)


def _network(text: str) -> Any:
    from lodge.cli.settings.networks import parse_network

    return parse_network(text)


def _ulimit(text: str) -> Any:
    from lodge.cli.settings.limits import parse_ulimit

    return parse_ulimit(text)


def _weight(text: str) -> Any:
    from lodge.cli.settings.limits import parse_device_weight

    return parse_device_weight(text)


def _byte_rate(text: str) -> Any:
    from lodge.cli.settings.limits import parse_device_bytes

    return parse_device_bytes(text)


def _operation_rate(text: str) -> Any:
    from lodge.cli.settings.limits import parse_device_operations

    return parse_device_operations(text)


def _secret(text: str) -> Any:
    from lodge.cli.settings.mounts import parse_secret

    return parse_secret(text)


def _gpus(text: str) -> Any:
    from lodge.cli.settings.devices import parse_gpus

    return parse_gpus(text)


ENV = Kind("list", _environment, (), many=True)
LABEL = Kind("list", _label, (), many=True)
ATTACH = Kind("list", _attach, (), many=True)
DNS = Kind("list", _dns, (), many=True)
DNS_SEARCH = Kind("list", _dns_search, (), many=True)
EXTRA_HOST = Kind("list", _extra_host, (), many=True)
LINK = Kind("list", _link, (), many=True)
SYSCTL = Kind("map", _sysctl, (), many=True)
DEVICE_RULE = Kind("list", _device_rule, (), many=True)
MOUNT = Kind("mount", _mount, (), many=True)
SECRET = Kind("secret", _secret, (), many=True)
NETWORK = Kind("network", _network, (), many=True)
ULIMIT = Kind("ulimit", _ulimit, (), many=True)
DEVICE_WEIGHT = Kind("list", _weight, (), many=True)
BYTE_RATE = Kind("list", _byte_rate, (), many=True)
OPERATION_RATE = Kind("list", _operation_rate, (), many=True)
GPUS = Kind("gpu-request", _gpus, (), many=True)
