"""The engine's extras for a runtime that does not know them: done by the monitor."""

from __future__ import annotations

import os

from msgspec.structs import replace

from lodge.errors import Unsupported
from lodge.kernel import paths
from lodge.runtime.process import users
from lodge.runtime.process.copy_up import copy_tree, is_empty
from lodge.runtime.process.extras import CopyUp, Extras
from lodge.spec.runtime import Process, User


def complete(process: Process, root: int, extras: Extras | None) -> Process:
    """A process that says in numbers who it runs as; fresh volumes are filled on the way."""
    if extras is None:
        extras = Extras()
    if extras.reaper:
        raise Unsupported(
            "an external runtime has no init of its own", hint="install tini or catatonit, or use no --init"
        )
    for wish in extras.copy_up:
        _copy_up(root, wish)
    return _with_account(process, root, extras)


def _with_account(process: Process, root: int, extras: Extras) -> Process:
    by_name = extras.user is not None
    if not by_name and _has_home(process):
        return process
    files = users.read_files(root, groups=by_name)
    user = process.user
    if extras.user is not None:
        account = users.resolve(extras.user, extras.groups, files)
        user = User(uid=account.uid, gid=account.gid, umask=user.umask, additional_gids=list(account.groups))
        home = account.home
    else:
        home = users.home_of(user.uid, files)
    env = process.env if _has_home(process) else [*process.env, f"HOME={home}"]
    return replace(process, user=user, env=env)


def _has_home(process: Process) -> bool:
    return any(entry.startswith("HOME=") for entry in process.env)


def _copy_up(root: int, wish: CopyUp) -> None:
    """Fill an empty volume with what the image has at its place."""
    flags = os.O_RDONLY | os.O_DIRECTORY
    try:
        covered = paths.open_in_root(root, wish.destination, flags)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        volume = os.open(wish.source, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if is_empty(volume):
                copy_tree(covered, volume)
        finally:
            os.close(volume)
    finally:
        os.close(covered)
