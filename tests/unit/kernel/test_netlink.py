"""The bytes of the one request, and of its answer."""

import errno
import struct

import pytest

from lodge.kernel import netlink


def test_the_request_is_aligned_and_names_the_device() -> None:
    request = netlink.link_up_request("lo")
    length, kind, flags, _, _ = struct.unpack_from("=IHHII", request)
    assert (length, kind, flags) == (len(request), 16, 5)
    assert len(request) % 4 == 0
    _, _, index, up, change = struct.unpack_from("=BxHiII", request, 16)
    assert (index, up, change) == (0, 1, 1)
    assert request[32:].startswith(struct.pack("=HH", 7, 3) + b"lo\0")


def test_answers() -> None:
    def answer(code: int, kind: int = 2) -> bytes:
        return struct.pack("=IHHIIi", 36, kind, 0, 1, 0, code) + bytes(16)

    assert netlink.parse_acknowledgement(answer(0)) == 0
    assert netlink.parse_acknowledgement(answer(-errno.ENODEV)) == errno.ENODEV
    with pytest.raises(ValueError, match="netlink"):
        netlink.parse_acknowledgement(answer(0, 16))
