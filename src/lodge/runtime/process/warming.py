"""Calls that change nothing, for an interpreter that is to be forked: see `runtime.rehearsal`.

CPython counts the first calls of a function in its code and rewrites it after some: a fork that runs a
function for the first time writes to a page that it shared until then. Here are those that every init and
every exec calls, with arguments that the kernel has nothing to do for, or refuses.
"""

from __future__ import annotations

import os
from contextlib import suppress

from lodge.errors import StartFailed
from lodge.kernel import capabilities, paths
from lodge.kernel import mount as m
from lodge.kernel.cgroups import Hierarchy
from lodge.kernel.process import set_keepcaps
from lodge.runtime.contract import StdioRequest
from lodge.runtime.process import attributes, identity, users
from lodge.runtime.process.lookup import find_executable
from lodge.runtime.process.mounts import set_attributes
from lodge.runtime.process.stdio import Stdio
from lodge.spec.runtime import Linux, Process

# Nothing has this name.
_NOWHERE = "/lodge-rehearsal"


def warm_up(hierarchy: Hierarchy) -> None:
    """Call each once."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _mounts(root)
        users.resolve("", (), users.read_files(root))
    finally:
        os.close(root)
    env = identity.parse_environment(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"])
    with suppress(StartFailed):
        find_executable("true", env["PATH"])
    attributes.set_early(Process(cwd="/"), Linux())
    attributes.set_limits(0, [])
    set_keepcaps(False)
    capabilities.drop_bounding(capabilities.current().bounding)
    Stdio(StdioRequest()).abandon()
    group = hierarchy.group(_NOWHERE)
    group.paths()
    with suppress(OSError):
        group.prepare_entry()


def _mounts(root: int) -> None:
    os.close(paths.open_in_root(root, "/", os.O_PATH | os.O_DIRECTORY))
    tree = m.open_tree(m.AT_FDCWD, "/", m.OPEN_TREE_CLOEXEC)
    try:
        # Of a descriptor that is no detached mount these ask for nothing.
        set_attributes(tree, m.MountOptions())
        with suppress(OSError):
            m.move_mount(-1, "", -1, "", 0)
        with suppress(OSError):
            m.mount(None, _NOWHERE, None, 0)
    finally:
        os.close(tree)
