"""The `platform` parameter of image routes: a JSON object (API 1.46 and newer)."""

from __future__ import annotations

from typing import Any

import msgspec

from lodge.api.call import Call
from lodge.errors import InvalidArgument, Unsupported


def parameter(call: Call, since: int) -> str | None:
    """The platform parameter (JSON) as `os/arch[/variant]`; None when it is not given, or before its time."""
    values = call.form.texts("platform")
    if call.version < since or not values or not values[0]:
        return None
    if len(values) > 1 and call.version < 52:
        raise InvalidArgument(
            "multiple platform parameters are not supported in this API version; "
            "use API version 1.52 or later"
        )
    if len(values) > 1:
        raise Unsupported("only one platform at a time is offered")
    try:
        members = msgspec.json.decode(values[0], type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidArgument(f"failed to parse platform: {error}") from None
    system, machine = members.get("os"), members.get("architecture")
    if not system or not machine:
        raise InvalidArgument("both OS and Architecture must be provided")
    return "/".join(str(part) for part in (system, machine, members.get("variant")) if part)
