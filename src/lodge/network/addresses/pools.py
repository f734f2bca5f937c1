"""The ranges from which networks without a subnet of their own get one: Docker's, or the daemon's setting."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from msgspec import Struct

from lodge.errors import InvalidArgument
from lodge.network.addresses.ranges import BITS, Block, block_at, read_block

_ULA = 0xFD << 120
_GLOBAL_ID = (1 << 40) - 1


class Pool(Struct, frozen=True, kw_only=True):
    """An entry of `default-address-pools`: the block `base` is cut into subnets of prefix length `size`."""

    base: str
    size: int


DEFAULT_POOLS = (
    Pool(base="172.17.0.0/16", size=16),
    Pool(base="172.18.0.0/16", size=16),
    Pool(base="172.19.0.0/16", size=16),
    Pool(base="172.20.0.0/14", size=16),
    Pool(base="172.24.0.0/14", size=16),
    Pool(base="172.28.0.0/14", size=16),
    Pool(base="192.168.0.0/16", size=20),
)


class Slices(Struct, frozen=True):
    """A pool, read: the block and the prefix length of its subnets."""

    base: Block
    size: int


def ula_pool(host: str) -> Pool:
    """A /48 of unique local addresses, the same for the same host id: RFC 4193, section 3.2.2."""
    digest = hashlib.sha256(host.encode()).digest()
    number = _ULA | (int.from_bytes(digest[:8], "big") & _GLOBAL_ID) << 80
    return Pool(base=str(block_at(6, number, 48)), size=64)


def read_pools(pools: Sequence[Pool], host: str) -> tuple[Slices, ...]:
    """Check and sort pools; those inside an earlier one go, and without one of IPv6 the host's ULA joins.

    InvalidArgument, in Docker's words, for a pool that can't be cut so.
    """
    slices: list[Slices] = []
    for number, pool in enumerate(pools):
        try:
            base, _ = read_block(pool.base)
        except ValueError:
            raise InvalidArgument(f'invalid base prefix "{pool.base}"') from None
        if not 0 < pool.size <= BITS[base.version]:
            raise InvalidArgument(f"network at index {number} ({base} {pool.size}) is not in canonical form")
        if base.length > pool.size:
            raise InvalidArgument(
                f"network at index {number} ({base} {pool.size}) has a smaller prefix (/{base.length}) "
                f"than the target size of that pool (/{pool.size})"
            )
        slices.append(Slices(base, pool.size))
    if not any(one.base.version == 6 for one in slices):
        ula = ula_pool(host)
        slices.append(Slices(read_block(ula.base)[0], ula.size))
    slices.sort(key=lambda one: (one.base.version, one.base.first, one.base.length))
    kept: list[Slices] = []
    for one in slices:
        if not kept or not kept[-1].base.overlaps(one.base):
            kept.append(one)
    return tuple(kept)


def choose(pools: Iterable[Slices], used: Iterable[Block], version: int, length: int = 0) -> Block:
    """The first free subnet; `length` other than 0 wants one of this prefix length out of the same pools.

    InvalidArgument when no pool can have such a subnet, or when all are used up.
    """
    fitting = [
        Slices(one.base, length or one.size)
        for one in pools
        if one.base.version == version and (not length or one.base.length <= length)
    ]
    if not fitting:
        raise InvalidArgument("invalid address pool")
    obstacles = sorted(block for block in used if block.version == version)
    for one in fitting:
        free = _first_free(one, obstacles)
        if free is not None:
            return free
    raise InvalidArgument(
        "all predefined address pools have been fully subnetted",
        hint="remove a network (`network prune`), name a subnet, or add `default-address-pools`",
    )


def _first_free(pool: Slices, obstacles: Sequence[Block]) -> Block | None:
    """The first slice that overlaps nothing: each obstacle (sorted) pushes the candidate behind itself."""
    step = 1 << BITS[pool.base.version] - pool.size
    first = pool.base.first
    for obstacle in obstacles:
        if obstacle.last < first:
            continue
        if obstacle.first > first + step - 1:
            break
        first = (obstacle.last // step + 1) * step
    if first + step - 1 > pool.base.last:
        return None
    return block_at(pool.base.version, first, pool.size)
