"""The way to the network room: the hands and the ledger of addresses, opened once, when first needed.

Nothing of the network room is imported before. Whether an earlier life left links and rules behind is a fact
in the database: then an engine opens the hands by itself, so that what is stale goes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from lodge.engine.census import Census
from lodge.engine.models import Container, Network
from lodge.engine.networks import predefined
from lodge.engine.networks.book import Book
from lodge.errors import Internal, LodgeError

if TYPE_CHECKING:
    from lodge.engine.bridge import Bridge
    from lodge.engine.settings import Settings
    from lodge.engine.state.rows import Rows
    from lodge.network.addresses import Ledger
    from lodge.network.contract import Hands, Living
    from lodge.network.contract import Network as NetworkValue

_log = logging.getLogger(__name__)
_OPEN = "networks-open"
_LIVING = ("running", "paused")


class Wiring:
    """Opened by `ready`, at most once at a time; a failure is told to who asked, and tried again later."""

    def __init__(
        self,
        settings: Settings,
        bridge: Bridge,
        rows: Rows,
        book: Book,
        census: Census,
        hands: Hands | None = None,
    ) -> None:
        self._settings = settings
        self._bridge = bridge
        self._rows = rows
        self._book = book
        self._census = census
        self._given = hands
        self._opening: asyncio.Future[None] | None = None
        self.hands: Hands
        self.ledger: Ledger
        self.living: Callable[[Container], Living | None]
        """How a living container looks to the hands; from the assembly, which knows who plans that."""

    @property
    def opened(self) -> bool:
        """Whether hands and ledger are there."""
        opening = self._opening
        return (
            opening is not None and opening.done() and not opening.cancelled() and opening.exception() is None
        )

    @property
    def begun(self) -> bool:
        """Whether somebody opens them, or has."""
        return self._opening is not None

    @property
    def counted(self) -> bool:
        """Whether the ledger is there."""
        return hasattr(self, "ledger")

    async def ready(self) -> None:
        """Wait until hands and ledger are there; raises why they can't be."""
        if self._opening is None or (self._opening.done() and not self.opened):
            self._opening = asyncio.ensure_future(self._open())
        try:
            await asyncio.shield(self._opening)
        except (LodgeError, OSError, asyncio.CancelledError):
            raise
        except Exception as error:
            raise Internal(f"networks can't be made: {error}") from error

    async def resume(self) -> None:
        """At the engine's start: open the hands if an earlier life has left something to look after."""
        wired = any(each.container.sandbox_id for each in self._census)
        if not wired and not self._rows.fact(_OPEN):
            return
        try:
            await self.ready()
        except Exception as error:
            _log.error("the networks could not be taken up again: %s", error)

    async def _open(self) -> None:
        hands, taken = await self._bridge.call(self._reach)
        from lodge.engine.networks.ledgers import open_ledger

        self.ledger = open_ledger(
            self._settings, self._book, self._census, taken, down=not self._rows.fact(_OPEN)
        )
        living = [
            found
            for each in self._census
            if each.container.state.status in _LIVING
            and each.container.sandbox_id
            and (found := self.living(each.container)) is not None
        ]
        self._rows.note(_OPEN, b"1")
        for warning in await self._bridge.call(hands.open, self._values(), living):
            _log.warning("%s", warning)
        self.hands = hands

    def _reach(self) -> tuple[Hands, list[str]]:
        """In a thread: importing the network room takes longer than anything that it does."""
        if self._given is not None:
            return self._given, self._given.taken()
        from lodge.network.contract import Settings as HandsSettings
        from lodge.network.hands import NetworkHands

        wanted = self._settings.network
        hands = NetworkHands(
            HandsSettings(
                directory=f"{self._settings.exec_root}/network",
                instance=predefined.instance(self._settings),
                firewall=wanted.firewall,
                forward=wanted.forward,
                masquerade=wanted.masquerade,
                proxy=wanted.proxy,
                publish=wanted.publish,
                closed=tuple(wanted.closed),
            )
        )
        return hands, hands.taken()

    def _values(self) -> list[NetworkValue]:
        from lodge.engine.planning.sandbox import network_value

        return [network_value(one) for one in self._book if made_of_links(one)]

    async def close(self) -> None:
        """Let go; networks that no living container is in leave the kernel, so that nothing is left."""
        if not self.begun:
            return
        with suppress(LodgeError, OSError):
            await self.ready()
        if not self.opened:
            return
        used = {
            endpoint.network_id
            for each in self._census
            if each.container.state.status in _LIVING
            for endpoint in each.container.networks.values()
        }
        await self._bridge.call(self._let_go, used)
        if not used:
            self._rows.note(_OPEN, b"")

    def _let_go(self, used: set[str]) -> None:
        from lodge.engine.planning.sandbox import network_value

        for network in self._book:
            if made_of_links(network) and network.id not in used:
                try:
                    self.hands.remove(network_value(network))
                except Exception as error:
                    _log.warning("network %s could not be taken down: %s", network.name, error)
        self.hands.close()


def made_of_links(network: Network) -> bool:
    """Whether there is anything of a network for the hands to make."""
    return network.driver not in ("host", "null") and not network.config_only
