"""The `--filter` flags as the API's `filters` parameter."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def encode_filters(given: Sequence[tuple[str, str]]) -> str | None:
    """`[("status", "running"), ...]` as JSON, None when there are none."""
    if not given:
        return None
    from lodge.client.lean_json import dumps

    found: dict[str, list[str]] = {}
    for name, value in given:
        found.setdefault(name, []).append(value)
    return dumps(found)
