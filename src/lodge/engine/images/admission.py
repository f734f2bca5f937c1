"""Asking the trust policy before an image is used by a container or a build. Free without a policy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lodge.engine.images.catalog import Found
from lodge.engine.parts import Parts
from lodge.errors import InvalidArgument
from lodge.spec.digest import Digest

if TYPE_CHECKING:
    from lodge.store.store import Store


async def admit(parts: Parts, asked: str, found: Found) -> None:
    """Let an image that was asked for by this name be used, or raise Forbidden."""
    settings = parts.settings
    if not settings.trust_policy:
        return
    from lodge.engine.images.trust import Gate

    gate = Gate(settings.trust_policy, settings.data_root)
    await parts.bridge.call(gate.admit_run, asked, found, parts.store.references.list())


def forget_signatures(store: Store, data_root: str) -> None:
    """Remove the signatures of images that are gone. Blocks."""
    directory = os.path.join(data_root, "trust")
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        try:
            if store.content.exists(Digest(name.removesuffix(".json").replace("-", ":", 1))):
                continue
        except InvalidArgument:
            pass
        os.unlink(os.path.join(directory, name))
