"""The door: from an exchange to the answer of one endpoint, with the client known and every error answered.

`App.handle` is what the HTTP server calls. Answers live in `pulling`, `pushing`, `listing` and `deleting`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Coroutine
from typing import Any

from lodge.errors import LodgeError
from lodge.http.body import ClientGone
from lodge.http.exchange import Exchange
from lodge.registry import deleting, listing, pulling, pushing, refusals, targets
from lodge.registry.access.contract import Need
from lodge.registry.service import Answer, Call, Service
from lodge.registry.targets import Target

_log = logging.getLogger("lodge.registry")

BANNER = b"Docker-Distribution-Api-Version: registry/2.0\r\nX-Content-Type-Options: nosniff\r\n"
"""What every answer carries."""

_READS: dict[str, Answer] = {
    "base": pulling.base,
    "blob": pulling.blob,
    "manifest": pulling.manifest,
    "tags": listing.tags,
    "catalog": listing.catalog,
    "referrers": listing.referrers,
    "upload": pushing.status,
}
_TABLE: dict[tuple[str, str], Answer] = {
    **{(method, kind): answer for kind, answer in _READS.items() for method in ("GET", "HEAD")},
    ("POST", "uploads"): pushing.begin,
    ("PATCH", "upload"): pushing.chunk,
    ("PUT", "upload"): pushing.finish,
    ("DELETE", "upload"): pushing.cancel,
    ("PUT", "manifest"): pushing.manifest,
    ("DELETE", "manifest"): deleting.manifest,
    ("DELETE", "blob"): deleting.blob,
}
_PUSH = frozenset(("POST", "PATCH", "PUT"))


class App:
    """A registry over one service."""

    def __init__(self, service: Service, *, access_log: bool = False) -> None:
        self._service = service
        self._access_log = access_log

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        """Answer an exchange (see `http.server.Handler`)."""
        running = self._begin(exchange)
        if not self._access_log:
            return running
        if running is not None:
            return _logged(running, exchange)
        _log_access(exchange, 0.0)
        return None

    def _begin(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        head = exchange.head
        try:
            target = targets.find(head.path)
            waiting = self._service.gate.admit(head, _needs(head.method, target))
            if waiting is not None:
                return self._after(waiting, exchange, target)
            running = self._answer(exchange, target)
        except Exception as error:
            _fail(exchange, error)
            return None
        return None if running is None else _watch(running, exchange)

    async def _after(self, waiting: Awaitable[None], exchange: Exchange, target: Target) -> None:
        try:
            await waiting
            running = self._answer(exchange, target)
        except Exception as error:
            _fail(exchange, error)
            return
        if running is not None:
            await _watch(running, exchange)

    def _answer(self, exchange: Exchange, target: Target) -> Coroutine[Any, Any, None] | None:
        method = exchange.head.method
        answer = _TABLE.get((method, target.kind))
        if answer is None:
            raise refusals.unsupported(f"{method} is not supported here")
        if method not in ("GET", "HEAD"):
            self._check_change(method, target)
        return answer(Call(exchange, target, self._service))

    def _check_change(self, method: str, target: Target) -> None:
        rules = self._service.rules
        if rules.read_only or self._service.directory is None or self._service.upstream is not None:
            raise refusals.unsupported("this registry can only be read")
        if method == "DELETE" and target.kind != "upload" and not rules.delete:
            raise refusals.unsupported("this registry deletes nothing")


def _needs(method: str, target: Target) -> tuple[Need, ...]:
    """What a request needs, in the words of Docker's token scopes."""
    if target.kind == "base":
        return ()
    if target.kind == "catalog":
        return (Need("registry", "catalog", "*"),)
    if method == "DELETE" and target.kind != "upload":
        return (Need("repository", target.name, "delete"),)
    if method in _PUSH or target.kind in ("upload", "uploads"):
        return Need("repository", target.name, "pull"), Need("repository", target.name, "push")
    return (Need("repository", target.name, "pull"),)


async def _logged(running: Coroutine[Any, Any, None], exchange: Exchange) -> None:
    started = time.perf_counter()
    try:
        await running
    finally:
        _log_access(exchange, time.perf_counter() - started)


def _log_access(exchange: Exchange, seconds: float) -> None:
    head = exchange.head
    _log.info(
        "%s %s %s %d %d %.1fms", exchange.peer, head.method, head.path, exchange.status, exchange.written,
        seconds * 1000,
    )  # fmt: skip


async def _watch(running: Coroutine[Any, Any, None], exchange: Exchange) -> None:
    try:
        await running
    except ClientGone:
        raise
    except Exception as error:
        _fail(exchange, error)


def _fail(exchange: Exchange, error: Exception) -> None:
    refusal = refusals.as_refusal(error)
    head = exchange.head
    if refusal.status >= 500:
        trace = None if isinstance(error, LodgeError) else error
        _log.error("%s %s: %s", head.method, head.path, error, exc_info=trace)
    else:
        _log.debug("%s %s: %s", head.method, head.path, refusal.message)
    if exchange.status:
        exchange.abort()
    else:
        exchange.respond(refusal.status, refusals.body_of(refusal), headers=refusal.headers)
