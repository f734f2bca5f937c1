"""One call of the API: the exchange with what the API knows of it (version, name in the path, parameters)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from lodge.api import bodies
from lodge.api.backend import Backend, Inflow
from lodge.api.failures import body_of, message_of, report
from lodge.api.queries import Form
from lodge.http.answer import Headers
from lodge.http.body import ClientGone
from lodge.http.exchange import Exchange, Stream

T = TypeVar("T", bound=Struct)

encode = msgspec.json.Encoder().encode


class Call:
    """What a route gets. `version` is N of API 1.N, `name` what stands in the path's braces."""

    __slots__ = ("_form", "backend", "exchange", "name", "version")

    def __init__(self, exchange: Exchange, backend: Backend, name: str, version: int) -> None:
        self.exchange = exchange
        self.backend = backend
        self.name = name
        self.version = version
        self._form: Form | None = None

    @property
    def form(self) -> Form:
        """The query parameters."""
        if self._form is None:
            self._form = Form(self.exchange.head.query)
        return self._form

    def header(self, name: str) -> str:
        """A header of the request by its lower-case name; empty when it is not there."""
        return self.exchange.head.headers.get(name, "")

    async def body(self) -> bytes:
        """A JSON body's bytes; empty when there is none."""
        data = await self.exchange.read(bodies.LIMIT)
        bodies.check_content_type(self.header("content-type"), empty=not data)
        return data

    async def json(self, kind: type[T]) -> T:
        """A typed JSON body; without a body its defaults, as Docker does."""
        data = await self.body()
        return bodies.decode(data, kind) if data else kind()

    def inflow(self) -> Inflow:
        """The body for a blocking hand."""
        return self.exchange.inflow()

    def reply(self, value: Any, status: int = 200) -> None:
        """Answer with JSON."""
        self.exchange.respond(status, encode(value) + b"\n")

    def done(self, status: int = 204) -> None:
        """Answer without content."""
        self.exchange.respond(status)

    def stream(self, content_type: str = "application/json", headers: Headers = ()) -> Stream:
        """Begin an answer of unknown length."""
        return self.exchange.stream(200, content_type=content_type, headers=headers)

    def bind(self) -> None:
        """From here on the call ends with its client."""
        self.exchange.bound = True

    async def send_lines(self, items: AsyncIterator[bytes], *, always_in_band: bool = False) -> None:
        """Stream items as they come. An error before the first is answered as usual, a later one in-band.

        With `always_in_band` the answer begins at once. `items` is closed in every case.
        """
        stream = self.stream() if always_in_band else None
        try:
            async for item in items:
                stream = stream or self.stream()
                await stream.write(item)
        except ClientGone:
            raise
        except Exception as error:
            if stream is None:
                raise
            report(self.exchange.head.method, self.exchange.head.path, error)
            await stream.write(error_line(error))
        finally:
            await close(items)
        (stream or self.stream()).end()


def error_line(error: BaseException) -> bytes:
    """An error inside a stream of JSON messages."""
    text = message_of(error)
    return encode({"errorDetail": {"message": text}, "error": text}) + b"\r\n"


async def close(items: AsyncIterator[Any]) -> None:
    """End an iteration early: what feeds it is given up now, not when the garbage is collected."""
    closing = getattr(items, "aclose", None)
    if closing is not None:
        await closing()


__all__ = ["Call", "body_of", "close", "encode", "error_line"]
