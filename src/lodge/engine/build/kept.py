"""The layers that the build cache needs: known from the engine's first moment on, before any build.

A set in memory, for the collector asks from another thread than the database's.
"""

from __future__ import annotations

from lodge.engine.state.database import Database
from lodge.spec.digest import Digest


class Kept:
    """Chains that rows of the cache name, each with the count of its rows."""

    def __init__(self, database: Database) -> None:
        self._rows: dict[str, int] = {}
        query = "SELECT chain, count(*) FROM build_cache WHERE chain != '' GROUP BY chain"
        for chain, count in database.read(query):
            self._rows[chain] = count

    def chains(self) -> list[Digest]:
        """What must stay."""
        return [Digest(chain) for chain in list(self._rows)]

    def more(self, chain: str) -> None:
        """A row names it now."""
        if chain:
            self._rows[chain] = self._rows.get(chain, 0) + 1

    def less(self, chain: str) -> None:
        """A row less."""
        left = self._rows.get(chain, 0) - 1
        if left > 0:
            self._rows[chain] = left
        else:
            self._rows.pop(chain, None)
