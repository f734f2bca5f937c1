"""The hooks' places in the plan: the keeper runs those of the host when asked, the init the middle ones."""

from __future__ import annotations

import os

from lodge.runtime.process.handshake import HooksDone, HooksDue
from lodge.runtime.process.operation import Operation, Site


class RuntimeHooks(Operation, frozen=True):
    """Let the keeper run the hooks that belong to the host: prestart, createRuntime."""

    def __str__(self) -> str:
        return "hooks prestart, createRuntime (by the keeper)"

    def perform(self, site: Site) -> None:
        """Ask, and wait."""
        site.channel.send(HooksDue())
        site.channel.expect(HooksDone)


class CreateContainerHooks(Operation, frozen=True):
    """Run the createContainer hooks: in the container's namespaces, with the host's files still in view."""

    paths: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"hook createContainer {path}" for path in self.paths)

    def perform(self, site: Site) -> None:
        """Before the pivot, as config.md says."""
        site.hooks.run("create_container", "creating", os.getpid())
