"""Addresses as text, made into what a socket connects to. Nothing is ever looked up."""

from __future__ import annotations

import socket

Destination = tuple[int, tuple[str, int] | tuple[str, int, int, int]]
"""A family and an address of it."""


def destination(address: str, port: int) -> Destination:
    """For an address as text, with a zone where it is link-local; OSError for anything else."""
    if ":" not in address:
        socket.inet_pton(socket.AF_INET, address)
        return socket.AF_INET, (address, port)
    number, _, zone = address.partition("%")
    socket.inet_pton(socket.AF_INET6, number)
    return socket.AF_INET6, (number, port, 0, socket.if_nametoindex(zone) if zone else 0)
