"""What a user may ask of the addresses of a network: checked as Docker checks, in its words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from lodge.errors import InvalidArgument
from lodge.network.addresses.ranges import Block, read_address, read_block


class SubnetWish(Struct, frozen=True, kw_only=True):
    """One entry of IPAM.Config: "" for what the engine shall choose.

    A `subnet` of the unspecified address ("0.0.0.0/24", "::/64") wants any free one of that size.
    """

    subnet: str = ""
    range: str = ""
    gateway: str = ""
    auxiliary: dict[str, str] = field(default_factory=dict)


class Wish(Struct, frozen=True, kw_only=True):
    """A wish, read. `subnet` None wants one of `length` (0: the pool's own) chosen."""

    version: int
    subnet: Block | None = None
    length: int = 0
    range: Block | None = None
    gateway: int | None = None
    auxiliary: dict[str, int] = field(default_factory=dict)


def read_wishes(wishes: Sequence[SubnetWish], *, ipv4: bool, ipv6: bool) -> tuple[Wish, ...]:
    """Read and check all; one without a subnet is added for each family that has no wish.

    Wishes for a family that is switched off are left out. InvalidArgument lists everything that is wrong.
    """
    errors: list[str] = []
    read = [_read(wish, errors) for wish in wishes]
    if errors:
        listed = errors[0] if len(errors) == 1 else "* " + "\n* ".join(errors)
        raise InvalidArgument(f"invalid network config:\n{listed}")
    enabled = {4: ipv4, 6: ipv6}
    found = [wish for wish in read if wish is not None and enabled[wish.version]]
    for version, wanted in enabled.items():
        if wanted and not any(wish.version == version for wish in found):
            found.append(Wish(version=version))
    return tuple(sorted(found, key=lambda wish: wish.version))


def _read(wish: SubnetWish, errors: list[str]) -> Wish | None:
    before = len(errors)
    try:
        subnet, exact = read_block(wish.subnet) if wish.subnet else (None, True)
    except ValueError:
        errors.append(f"invalid subnet {wish.subnet}: invalid CIDR block notation")
        return None
    if subnet is not None and not exact:
        errors.append(f"invalid subnet {wish.subnet}: it should be {subnet}")
    # 0.0.0.0/24 says how long, not which.
    any_of = subnet if subnet is not None and subnet.first == 0 else None
    if any_of is not None:
        subnet = None
    version = _version(wish, subnet or any_of)
    part = _range(wish, subnet, version, errors)
    gateway = _address(wish.gateway, f"invalid gateway {wish.gateway}", subnet, version, errors)
    auxiliary = {
        name: _address(text, f"invalid auxiliary address {name}", subnet, version, errors)
        for name, text in wish.auxiliary.items()
    }
    if len(errors) > before:
        return None
    return Wish(
        version=version,
        subnet=subnet,
        length=any_of.length if any_of is not None else 0,
        range=part,
        gateway=gateway,
        auxiliary={name: number for name, number in auxiliary.items() if number is not None},
    )


def _version(wish: SubnetWish, subnet: Block | None) -> int:
    """The family of a wish: of its subnet, else of whatever address it names, else IPv4."""
    if subnet is not None:
        return subnet.version
    for text in (wish.range, wish.gateway, *wish.auxiliary.values()):
        if ":" in text:
            return 6
    return 4


def _range(wish: SubnetWish, subnet: Block | None, version: int, errors: list[str]) -> Block | None:
    if not wish.range:
        return None
    try:
        part, exact = read_block(wish.range)
    except ValueError:
        errors.append(f"invalid ip-range {wish.range}: invalid CIDR block notation")
        return None
    errors += _range_errors(wish.range, part, exact, subnet, version)
    return part


def _range_errors(text: str, part: Block, exact: bool, subnet: Block | None, version: int) -> Iterator[str]:
    if subnet is None:
        yield f"invalid ip-range {text}: it needs a subnet"
    elif part.version != version:
        yield f"invalid ip-range {text}: parent subnet is an IPv{version} block"
    else:
        if part.length < subnet.length:
            yield f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}"
        if not exact:
            yield f"invalid ip-range {text}: it should be {part}"
        if not subnet.overlaps(part):
            yield f"invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range"


def _address(text: str, what: str, subnet: Block | None, version: int, errors: list[str]) -> int | None:
    if not text:
        return None
    try:
        family, number = read_address(text)
    except ValueError:
        errors.append(f"{what}: invalid address {text}")
        return None
    if family != version:
        errors.append(f"{what}: parent subnet is an IPv{version} block")
    elif subnet is None:
        errors.append(f"{what}: it needs a subnet")
    elif not subnet.has(family, number):
        errors.append(f"{what}: parent subnet {subnet} doesn't contain this address")
    return number
