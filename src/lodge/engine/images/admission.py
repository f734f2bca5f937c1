"""Asking the trust policy before an image is used by a container or a build. Free without a policy."""

from __future__ import annotations

from lodge.engine.images.catalog import Found
from lodge.engine.parts import Parts


async def admit(parts: Parts, asked: str, found: Found) -> None:
    """Let an image that was asked for by this name be used, or raise Forbidden."""
    settings = parts.settings
    if not settings.trust_policy:
        return
    from lodge.engine.images.trust import Gate

    gate = Gate(settings.trust_policy, settings.data_root)
    await parts.bridge.call(gate.admit_run, asked, found, parts.store.references.list())
