"""Published and exposed ports: the grammars of -p and --expose."""

from __future__ import annotations

from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_PROTOCOLS = ("tcp", "udp", "sctp")


def parse_ports(
    published: Sequence[str], exposed: Sequence[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, list[dict[str, str]]]]:
    """ExposedPorts and PortBindings of all -p and --expose flags."""
    bindings: dict[str, list[dict[str, str]]] = {}
    for text in published:
        for port, binding in _bindings(_short_form(text) if "=" in text else text):
            bindings.setdefault(port, []).append(binding)
    ports: dict[str, dict[str, Any]] = {port: {} for port in bindings}
    for text in exposed:
        for port in _exposed(text):
            ports[port] = {}
    return ports, bindings


def changed_ports(
    known: dict[str, Any], added: Sequence[str], removed: Sequence[str]
) -> dict[str, list[dict[str, str]]]:
    """PortBindings with some added and some taken away; InvalidArgument for one that is not published."""
    bindings = {port: list(places or ()) for port, places in known.items()}
    for text in removed:
        for port, wanted in _bindings(_short_form(text) if "=" in text else text):
            left = [place for place in bindings.get(port, ()) if not _same_place(place, wanted)]
            if len(left) == len(bindings.get(port, ())):
                raise InvalidArgument(f"port {text} is not published")
            bindings[port] = left
    for text in added:
        for port, binding in _bindings(_short_form(text) if "=" in text else text):
            if binding not in bindings.setdefault(port, []):
                bindings[port].append(binding)
    return {port: places for port, places in bindings.items() if places}


def _same_place(place: dict[str, str], wanted: dict[str, str]) -> bool:
    """Whether a binding is meant: by its port of the host and its address, where these are said."""
    port, address = wanted["HostPort"], wanted["HostIp"]
    return port in ("", place.get("HostPort")) and address in ("", place.get("HostIp"))


def _short_form(text: str) -> str:
    """A `target=80,published=8080,protocol=udp` text in the writing of the others."""
    fields = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key not in ("target", "published", "protocol", "mode"):
            raise InvalidArgument(f"invalid field key {key}")
        fields[key] = value
    if "target" not in fields:
        raise InvalidArgument(f"invalid port: {text}: the target is missing")
    published = f"{fields['published']}:" if "published" in fields else ""
    return f"{published}{fields['target']}/{fields.get('protocol', 'tcp')}"


def _bindings(text: str) -> list[tuple[str, dict[str, str]]]:
    address, host, container, protocol = _split(text)
    if not container:
        raise InvalidArgument(f"no port specified: {text or '<empty>'}")
    first, last = _range(container, "containerPort")
    if not host:
        return [(f"{port}/{protocol}", _binding(address, "")) for port in range(first, last + 1)]
    low, high = _range(host, "hostPort")
    if high - low != last - first:
        if first == last:  # one port of the container, any one of a range of the host
            return [(f"{first}/{protocol}", _binding(address, f"{low}-{high}"))]
        raise InvalidArgument(
            f"invalid ranges specified for container and host Ports: {container} and {host}"
        )
    return [
        (f"{first + step}/{protocol}", _binding(address, str(low + step))) for step in range(last - first + 1)
    ]


def _binding(address: str, port: str) -> dict[str, str]:
    return {"HostIp": address, "HostPort": port}


def _split(text: str) -> tuple[str, str, str, str]:
    body, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol not in _PROTOCOLS:
        raise InvalidArgument(f"invalid proto: {protocol}")
    head, _, container = body.rpartition(":")
    address, _, host = head.rpartition(":")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if address:
        from lodge.cli.settings.kinds import is_address

        if not is_address(address):
            raise InvalidArgument(f"invalid IP address: {address}")
    return address, host, container, protocol


def _range(text: str, what: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    try:
        low = _port(first)
        high = _port(last) if dash else low
    except ValueError:
        raise InvalidArgument(f"invalid {what}: {text}") from None
    if high < low:
        raise InvalidArgument(f"invalid {what}: {text}")
    return low, high


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > 65535:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _exposed(text: str) -> list[str]:
    if ":" in text:
        raise InvalidArgument(f"invalid port format for --expose: {text}")
    body, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    first, dash, last = body.partition("-")
    try:
        low = _port(first)
        high = _port(last) if dash else low
        if high < low:
            raise ValueError(f"invalid range specified for port: {body}")
    except ValueError as error:
        raise InvalidArgument(f"invalid range format for --expose: {text}, error: {error}") from None
    if protocol not in _PROTOCOLS:
        raise InvalidArgument(f"invalid proto: {protocol}")
    return [f"{port}/{protocol}" for port in range(low, high + 1)]
