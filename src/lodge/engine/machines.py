"""What containers in machines need beside images.

A kernel, an accelerator. Fulfils `lodge.api.backend.Machines`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from lodge.engine.images.transfer import Tell
from lodge.engine.models import Progress
from lodge.engine.parts import Parts
from lodge.errors import InvalidArgument, Unavailable


class Machines:
    """Facts and set-up of the wing `vm`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @property
    def _root(self) -> str:
        return os.path.join(self._parts.settings.data_root, "vm")

    async def hypervisors(self) -> list[dict[str, Any]]:
        """Every provider: Name, Usable, and the Reason why not. The first time this takes seconds at most."""
        from lodge.runtime.vm.qemu import providers

        found = await self._parts.bridge.call(providers.verdicts, self._root)
        return [{"Name": each.name, "Usable": each.usable, "Reason": each.reason} for each in found]

    async def kernel(self) -> str:
        """The release that machines boot; "" for none yet."""
        from lodge.runtime.vm.parts import base

        try:
            return base.find(self._root).release
        except Unavailable:
            return ""

    async def setup(self, *, kernel: str, modules: str) -> AsyncIterator[Progress]:
        """Fetch or take a kernel, and make what machines boot from.

        Unavailable and others say what is missing.
        """
        if bool(kernel) != bool(modules):
            raise InvalidArgument("a kernel and the directory of its modules belong together")

        def work(tell: Tell) -> None:
            self._set_up(kernel, modules, lambda text: tell(Progress(status=text)))

        return self._parts.bridge.iterate(work)

    def _set_up(self, kernel: str, modules: str, say: Any) -> None:
        from lodge.distribution import guest_kernel
        from lodge.runtime.vm.parts import base, image
        from lodge.runtime.vm.qemu import providers

        os.makedirs(self._root, 0o700, exist_ok=True)
        os.chmod(self._root, 0o711)
        if not kernel:
            found = guest_kernel.fetch(Path(self._root) / "kernel", say)
            kernel, modules = map(str, found)
        say("Compiling the guest agent and making the first root file system")
        made = base.make(self._root, kernel, modules)
        image.forget_unused(self._root)
        say(f"Machines boot {made.release}")
        for verdict in providers.verdicts(self._root):
            say(f"{verdict.name}: {'usable' if verdict.usable else verdict.reason}")
