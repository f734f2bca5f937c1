"""Versions of Docker's API: which are served, and how they compare.

Both sides of the wall use it. A version is `1.N`; the major number never changed, so `N` alone is compared.
"""

from __future__ import annotations

from lodge.errors import InvalidArgument

ENGINE = "0.1.0"
"""Lodge's own version (a test compares it with the project file)."""

NEWEST = 56
"""The newest served version, as N of `1.N`."""

OLDEST = 24
"""The oldest served version, as N of `1.N`."""


def text(minor: int) -> str:
    """`1.N`."""
    return f"1.{minor}"


def negotiate(asked: str, *, oldest: int = OLDEST, newest: int = NEWEST) -> int:
    """The N of a version in a path; InvalidArgument in Docker's words when it is not served."""
    try:
        numbers = [int(part) for part in asked.split(".")]
    except ValueError:
        raise InvalidArgument(f"malformed API version: {asked!r}") from None
    if numbers < [1, oldest]:
        raise InvalidArgument(
            f"client version {asked} is too old. Minimum supported API version is {text(oldest)}, "
            "please upgrade your client to a newer version"
        )
    if numbers > [1, newest]:
        raise InvalidArgument(
            f"client version {asked} is too new. Maximum supported API version is {text(newest)}"
        )
    return numbers[1]


def parse(stated: str) -> int:
    """The N of a version that is configured (min-api-version); InvalidArgument when it is not served."""
    return negotiate(stated)
