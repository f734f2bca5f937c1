"""What goes out in bulk (tar archives) and progress lines while something comes in."""

from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import AsyncIterator

from lodge.api import shapes_images
from lodge.api.backend import Outflow
from lodge.api.call import Call, close, encode
from lodge.engine.models import Progress
from lodge.http.answer import Headers
from lodge.http.exchange import Stream

_READ = 256 * 1024


async def send_out(
    call: Call, flow: Outflow, content_type: str, headers: Headers = (), *, may_compress: bool = False
) -> None:
    """Send what a hand makes, to its end. A maker that fails breaks the connection, so the client knows.

    A client that vanishes closes the pipe, which ends the maker.
    """
    gzip = may_compress and _wants_gzip(call.header("accept-encoding"))
    stream = call.stream(content_type, (*headers, ("Content-Encoding", "gzip")) if gzip else headers)
    if gzip:
        await _pump_gzip(stream, flow.fd)
    else:
        await stream.pump(flow.fd)
    await flow.done
    stream.end()


async def _pump_gzip(stream: Stream, fd: int) -> None:
    """Compress on the way, in a thread: zlib lets the loop go on meanwhile."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)

    def pack() -> tuple[bytes, bool]:
        data = os.read(fd, _READ)
        return (packer.compress(data), False) if data else (packer.flush(), True)

    try:
        while True:
            packed, ended = await asyncio.to_thread(pack)
            await stream.write(packed)
            if ended:
                return
    finally:
        os.close(fd)


def _wants_gzip(accepted: str) -> bool:
    """Whether a client takes gzip and prefers it to nothing at all (RFC 9110, section 12.5.3)."""
    for part in accepted.lower().split(","):
        coding, _, quality = part.strip().partition(";")
        if coding == "gzip":
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def send_progress(call: Call, items: AsyncIterator[Progress], *, always_in_band: bool = False) -> None:
    """Stream progress lines as Docker's JSON messages.

    An error before the first line is answered with its status, unless the client looks for it in the stream.
    """
    await call.send_lines(_lines(items), always_in_band=always_in_band)


async def _lines(items: AsyncIterator[Progress]) -> AsyncIterator[bytes]:
    try:
        async for item in items:
            yield encode(shapes_images.progress(item)) + b"\r\n"
    finally:
        await close(items)
