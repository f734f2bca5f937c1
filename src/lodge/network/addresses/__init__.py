"""Which subnet a network gets and which address an endpoint: pure, and never written down.

`Ledger` is what the engine holds: at its start it is told of every network and every address in use, so that
a crash can leak none. `pools` are the ranges to choose from, `ranges` the arithmetic, `subnet` the addresses
of one subnet, `rules` what a user may ask for, `hardware` MAC addresses. Nothing here touches the machine.
"""

from __future__ import annotations

from lodge.network.addresses.ledger import Lease as Lease
from lodge.network.addresses.ledger import Ledger as Ledger
from lodge.network.addresses.pools import DEFAULT_POOLS as DEFAULT_POOLS
from lodge.network.addresses.pools import Pool as Pool
from lodge.network.addresses.rules import SubnetWish as SubnetWish
