"""The tree of verbs: which words lead to which command, and the module that holds it.

A leaf is "module:NAME" below `lodge.cli.verbs`; its module is imported when the verb is used. Words that
lead to the same leaf are aliases of each other.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lodge.cli.command import Command

CONTAINER = {
    "attach": "attach:ATTACH",
    "commit": "export:COMMIT",
    "cp": "copy:CP",
    "create": "run:CREATE",
    "diff": "look:DIFF",
    "exec": "exec:EXEC",
    "export": "export:EXPORT",
    "inspect": "inspect:CONTAINER_INSPECT",
    "kill": "lifecycle:KILL",
    "list": "ps:PS",
    "logs": "logs:LOGS",
    "ls": "ps:PS",
    "pause": "lifecycle:PAUSE",
    "port": "look:PORT",
    "prune": "prune:CONTAINER_PRUNE",
    "ps": "ps:PS",
    "remove": "lifecycle:RM",
    "rename": "lifecycle:RENAME",
    "restart": "lifecycle:RESTART",
    "rm": "lifecycle:RM",
    "run": "run:RUN",
    "start": "start:START",
    "stats": "stats:STATS",
    "stop": "lifecycle:STOP",
    "top": "look:TOP",
    "unpause": "lifecycle:UNPAUSE",
    "update": "lifecycle:UPDATE",
    "wait": "lifecycle:WAIT",
}

IMAGE = {
    "bootstrap": "pull:BOOTSTRAP",
    "build": "build:BUILD",
    "attestations": "image_tools:ATTESTATIONS",
    "copy": "image_tools:COPY",
    "diff": "image_tools:DIFF",
    "explore": "image_tools:EXPLORE",
    "history": "images:HISTORY",
    "import": "archives:IMPORT",
    "inspect": "inspect:IMAGE_INSPECT",
    "list": "images:IMAGES",
    "load": "archives:LOAD",
    "ls": "images:IMAGES",
    "prune": "prune:IMAGE_PRUNE",
    "pull": "pull:PULL",
    "push": "pull:PUSH",
    "remove": "images:RMI",
    "rm": "images:RMI",
    "save": "archives:SAVE",
    "tag": "images:TAG",
    "verify": "image_tools:VERIFY",
}

BUILDER = {
    "build": "build:BUILD",
    "export": "builder:EXPORT",
    "import": "builder:IMPORT",
    "mounts": "builder:MOUNTS",
    "prune": "prune:BUILDER_PRUNE",
}

VOLUME = {
    "create": "volume:CREATE",
    "inspect": "inspect:VOLUME_INSPECT",
    "list": "volume:LS",
    "ls": "volume:LS",
    "prune": "prune:VOLUME_PRUNE",
    "remove": "volume:RM",
    "rm": "volume:RM",
}

NETWORK = {
    "connect": "network:CONNECT",
    "create": "network:CREATE",
    "disconnect": "network:DISCONNECT",
    "draw": "network:DRAW",
    "inspect": "inspect:NETWORK_INSPECT",
    "list": "network:LS",
    "ls": "network:LS",
    "prune": "prune:NETWORK_PRUNE",
    "remove": "network:RM",
    "rm": "network:RM",
}

SECRET = {
    "create": "secret:CREATE",
    "inspect": "inspect:SECRET_INSPECT",
    "list": "secret:LS",
    "ls": "secret:LS",
    "remove": "secret:RM",
    "rm": "secret:RM",
}

VM = {
    "info": "vm:INFO",
    "setup": "vm:SETUP",
}

MANIFEST = {"inspect": "image_tools:MANIFEST_INSPECT"}

REGISTRY = {
    "check": "registry:CHECK",
    "gc": "registry:GC",
    "password": "registry:PASSWORD",
    "serve": "registry:SERVE",
}

SYSTEM = {
    "df": "df:DF",
    "dial-stdio": "system:DIAL_STDIO",
    "events": "events:EVENTS",
    "info": "system:INFO",
    "prune": "prune:SYSTEM_PRUNE",
}

_GROUPED_ONLY = frozenset(("inspect", "list", "ls", "prune", "remove"))

TREE: dict[str, str | dict[str, str]] = {
    "__complete": "completion:CANDIDATES",
    **{name: leaf for name, leaf in CONTAINER.items() if name not in _GROUPED_ONLY},
    "build": IMAGE["build"],
    "builder": BUILDER,
    "compare": "compare:COMPARE",
    "completion": "completion:COMPLETION",
    "container": CONTAINER,
    "events": SYSTEM["events"],
    "history": IMAGE["history"],
    "image": IMAGE,
    "images": IMAGE["ls"],
    "import": IMAGE["import"],
    "info": SYSTEM["info"],
    "inspect": "inspect:INSPECT",
    "load": IMAGE["load"],
    "login": "login:LOGIN",
    "logout": "login:LOGOUT",
    "manifest": MANIFEST,
    "network": NETWORK,
    "pull": IMAGE["pull"],
    "push": IMAGE["push"],
    "registry": REGISTRY,
    "rmi": IMAGE["rm"],
    "save": IMAGE["save"],
    "secret": SECRET,
    "system": SYSTEM,
    "tag": IMAGE["tag"],
    "version": "system:VERSION",
    "vm": VM,
    "volume": VOLUME,
}

GROUPS = {
    "builder": "Manage the build cache",
    "container": "Manage containers",
    "image": "Manage images",
    "manifest": "Look at manifests in registries",
    "network": "Manage networks",
    "secret": "Manage secrets",
    "registry": "Serve images to others",
    "system": "Manage the engine",
    "vm": "Manage what machines need",
    "volume": "Manage volumes",
}
COMMON = ("run", "exec", "ps", "pull", "push", "images", "login", "logout", "version", "info")
UNLISTED = frozenset(("__complete", "dial-stdio", "list", "remove"))
"""Second names and verbs for programs; left out of help and completion."""


def load(leaf: str) -> Command:
    """The command behind a leaf."""
    module, _, name = leaf.partition(":")
    found: Any = __import__(f"lodge.cli.verbs.{module}", fromlist=[name])
    command: Command = getattr(found, name)
    return command


def aliases(leaf: str) -> list[str]:
    """All ways to say it, as "lodge container ls"."""
    found = []
    for name, entry in TREE.items():
        if entry == leaf:
            found.append(f"lodge {name}")
        elif isinstance(entry, dict):
            found += [f"lodge {name} {verb}" for verb, inner in entry.items() if inner == leaf]
    return sorted(found)
