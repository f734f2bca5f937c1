"""The mounts of a RUN: caches that outlive builds, files of other stages, secrets, agents, memory.

A cache is a directory of its own below the data root, named by a digest of its id; nothing is ever resolved
inside one, so no program that runs beside can bend where a mount leads (CVE-2024-23651, CVE-2024-11218).
What a target needed in the way of directories is taken away again afterwards, by descriptors.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from msgspec import Struct, field

from lodge.build.contract import Secrets, SshAgents
from lodge.build.dockerfile.run_mounts import BIND, CACHE, SECRET, SSH, TMPFS
from lodge.build.files.place import Copier, Layer
from lodge.build.files.select import Selection
from lodge.build.graph import Result, Rootfs, Run, StepMount, Tree
from lodge.build.planning.running import SCRIPT_DIRECTORY
from lodge.engine import names
from lodge.engine.build.agents import AgentRelay
from lodge.engine.build.cache_mounts import CacheMounts, name_of
from lodge.engine.build.moving import Mover
from lodge.engine.parts import Parts
from lodge.errors import InvalidArgument, NotFound
from lodge.kernel.paths import resolve_in_root
from lodge.spec.digest import Digest
from lodge.spec.runtime import Mount
from lodge.store.snapshots.overlay import OverlaySnapshots

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Mounts(Struct):
    """What one RUN gets: mounts in their order, variables, the targets that had to be made."""

    mounts: list[Mount] = field(default_factory=list)
    env: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)


class MountKeeper:
    """Makes and keeps mounts. One an engine."""

    def __init__(self, parts: Parts, mover: Mover) -> None:
        self._parts = parts
        self._mover = mover
        self.caches = CacheMounts(
            os.path.join(parts.settings.data_root, "build", "mounts"), parts.store.trash
        )
        self._scratch = os.path.join(parts.settings.exec_root, "build")
        self._locks: dict[str, asyncio.Lock] = {}
        self._private: dict[str, set[int]] = {}

    @asynccontextmanager
    async def ready(
        self,
        operation: Run,
        inputs: Sequence[Result],
        secrets: Secrets | None,
        agents: SshAgents | None,
    ) -> AsyncIterator[Mounts]:
        """All mounts of a step, for a block."""
        made = Mounts()
        async with AsyncExitStack() as stack:
            if operation.script is not None:
                await self._script(operation.script, operation, made, stack)
            for mount in operation.mounts:
                match mount.type:
                    case "bind":
                        await self._bind(mount, inputs[mount.input], made, stack)
                    case "cache":
                        seed = inputs[mount.input] if mount.input >= 0 else None
                        await self._cache(mount, seed, made, stack)
                    case "tmpfs":
                        made.mounts.append(_tmpfs(mount))
                    case "secret":
                        await self._secret(mount, secrets, made, stack)
                    case _:
                        await self._agent(mount, agents, made, stack)
                if mount.target:
                    made.targets.append(mount.target)
            yield made

    def _directory(self, stack: AsyncExitStack) -> str:
        """A directory in memory, of this step alone."""
        os.makedirs(self._scratch, 0o700, exist_ok=True)
        path = os.path.join(self._scratch, names.new_id())
        os.mkdir(path, 0o711)
        # SAFETY: a directory that was made here a moment ago; nothing is mounted in it.
        stack.callback(shutil.rmtree, path, ignore_errors=True)
        return path

    async def _script(self, script: bytes, operation: Run, made: Mounts, stack: AsyncExitStack) -> None:
        path = self._directory(stack)
        name = os.path.basename(operation.arguments[-1])
        _write(os.path.join(path, name), script, 0o755, 0, 0)
        os.chmod(path, 0o755)
        made.mounts.append(_bind(path, SCRIPT_DIRECTORY, writable=False))

    # ---- bind

    async def _bind(self, mount: StepMount, source: Result, made: Mounts, stack: AsyncExitStack) -> None:
        if isinstance(source, Rootfs) and not mount.source.strip("/"):
            made.mounts += await self._stage(mount, source, stack)
            return
        if isinstance(source, Tree) and not mount.writable and not source.ignore:
            directory = source.directory
        else:
            # What is written shall be lost, and what is ignored not be there: a copy of its own.
            key = names.new_id()
            stack.callback(self._parts.store.snapshots.remove, key)
            directory = await self._parts.bridge.call(self._copy, source, mount, key)
        path = _inside(directory, mount.source)
        made.mounts.append(_bind(path, mount.target, writable=mount.writable))

    async def _stage(self, mount: StepMount, source: Rootfs, stack: AsyncExitStack) -> list[Mount]:
        """All of a stage, as a snapshot that goes with the step."""
        snapshots, key = self._parts.store.snapshots, names.new_id()
        chain = Digest(source.chain) if source.chain else None
        await self._parts.bridge.call(snapshots.prepare, key, chain)
        stack.callback(snapshots.remove, key)
        access = [] if mount.writable else ["ro"]
        return [
            Mount(
                destination=mount.target, type=each.type, source=each.source, options=[*each.options, *access]
            )
            for each in snapshots.mounts(key)
        ]

    def _copy(self, source: Result, mount: StepMount, key: str) -> str:
        """Copy what a bind shows into a directory of a snapshot, which goes with the step."""
        snapshots = self._parts.store.snapshots
        snapshots.prepare(key, None)
        directory = (
            snapshots.upper(key)
            if isinstance(snapshots, OverlaySnapshots)
            else snapshots.mounts(key)[-1].source
        )
        ignore = source.ignore if isinstance(source, Tree) else ()
        fill(self._mover, source, mount.source or "/", directory, ignore)
        return directory

    # ---- cache

    async def _cache(
        self, mount: StepMount, seed: Result | None, made: Mounts, stack: AsyncExitStack
    ) -> None:
        identity = mount.id
        if seed is not None:
            identity += f"\0{seed.chain if isinstance(seed, Rootfs) else seed.directory}\0{mount.source}"
        name = name_of(identity)
        if mount.sharing == "private":
            name = self._own_place(name, stack)
        elif mount.sharing == "locked":
            lock = self._locks.setdefault(name, asyncio.Lock())
            await stack.enter_async_context(lock)
        path = await self._parts.bridge.call(self._cache_directory, name, mount, seed)
        if mount.sharing == "shared":
            # Whoever wants it for itself waits for those who don't mind.
            self._locks.setdefault(name, asyncio.Lock())
        made.mounts.append(_bind(path, mount.target, writable=mount.writable))

    def _own_place(self, name: str, stack: AsyncExitStack) -> str:
        """The first of a private cache's directories that nobody is using."""
        taken = self._private.setdefault(name, set())
        number = next(each for each in range(len(taken) + 1) if each not in taken)
        taken.add(number)
        stack.callback(taken.discard, number)
        return f"{name}-{number}" if number else name

    def _cache_directory(self, name: str, mount: StepMount, seed: Result | None) -> str:
        def furnish(directory: str) -> None:
            os.chmod(directory, mount.mode if mount.mode is not None else 0o755)
            os.chown(directory, mount.uid, mount.gid)
            if seed is not None:
                fill(self._mover, seed, mount.source or "/", directory, ())

        return self.caches.directory(name, mount.id, furnish)

    # ---- secrets and agents

    async def _secret(
        self, mount: StepMount, secrets: Secrets | None, made: Mounts, stack: AsyncExitStack
    ) -> None:
        value = await secrets.get(mount.id) if secrets is not None else None
        if value is None:
            if mount.required:
                raise NotFound(f"secret {mount.id}: not found", hint="give it: --secret id=" + mount.id)
            return
        if mount.env is not None:
            try:
                made.env.append(f"{mount.env}={value.decode()}")
            except UnicodeDecodeError:
                raise InvalidArgument(f"secret {mount.id} is no text, so it fits into no variable") from None
        if mount.target:
            path = os.path.join(self._directory(stack), "secret")
            _write(path, value, mount.mode or 0o400, mount.uid, mount.gid)
            made.mounts.append(_bind(path, mount.target, writable=False))

    async def _agent(
        self, mount: StepMount, agents: SshAgents | None, made: Mounts, stack: AsyncExitStack
    ) -> None:
        if agents is None:
            if mount.required:
                raise NotFound(f"unset ssh forward key {mount.id}", hint="give it: --ssh default")
            return
        path = os.path.join(self._directory(stack), "agent")
        relay = AgentRelay(agents, mount.id)
        await relay.open(path, mode=mount.mode or 0o600, uid=mount.uid, gid=mount.gid)
        stack.push_async_callback(relay.close)
        made.mounts.append(_bind(path, mount.target, writable=True))
        made.env.append(f"SSH_AUTH_SOCK={mount.target}")

    # ---- afterwards

    def remove_stubs(self, key: str, base: Rootfs, mounts: Mounts) -> None:
        """Take away the empty mount points that the step's own mounts needed, as if they had not been."""
        snapshots = self._parts.store.snapshots
        if not isinstance(snapshots, OverlaySnapshots):
            return
        targets = [*mounts.targets, SCRIPT_DIRECTORY]
        with self._mover.view(base) as below:
            root = os.open(snapshots.upper(key), _OPEN)
            try:
                for target in reversed(targets):
                    parts = [os.fsencode(part) for part in target.split("/") if part]
                    while parts and below.find(b"/".join(parts)) is None:
                        if not _remove_empty(root, parts):
                            break
                        parts.pop()
            finally:
                os.close(root)


def fill(mover: Mover, source: Result, path: str, directory: str, ignore: Sequence[str]) -> None:
    """Copy what a result has at a path into a directory; a file keeps its name. NotFound."""
    top = os.open(directory, _OPEN)
    try:
        with mover.view(source) as view, mover.view(Rootfs()) as nothing, Layer(top, nothing) as layer:
            selection = Selection(view, ignore=ignore)
            copier = Copier(view, layer, ids=None, mode=None)
            for root in selection.roots((path,)):
                target = path if root.contents else os.path.dirname("/" + path.lstrip("/")) + "/"
                copier.copy(root, selection, target, into=True)
    finally:
        os.close(top)


def _inside(directory: str, source: str) -> str:
    """Where a mount's source is in a directory of ours: links stay inside, NotFound when it isn't there."""
    root = os.open(directory, _OPEN)
    try:
        path = resolve_in_root(root, source or "/")
    except FileNotFoundError:
        raise NotFound(f'"{source}": not found') from None
    finally:
        os.close(root)
    return directory + path if path != "/" else directory


def _remove_empty(root: int, parts: list[bytes]) -> bool:
    """Remove what a path of the layer is if it is an empty file or directory; no link is followed."""
    here = os.dup(root)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _OPEN, dir_fd=here)
            os.close(here)
            here = inner
        status = os.stat(parts[-1], dir_fd=here, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            # SAFETY: one name in the layer that is being made; a directory with anything in it stays.
            os.rmdir(parts[-1], dir_fd=here)
            return True
        if stat.S_ISREG(status.st_mode) and not status.st_size:
            os.unlink(parts[-1], dir_fd=here)
            return True
    except OSError:
        return False
    finally:
        os.close(here)
    return False


def _bind(source: str, target: str, *, writable: bool) -> Mount:
    access = "rw" if writable else "ro"
    return Mount(destination=target, type="bind", source=source, options=["rbind", "rprivate", access])


def _tmpfs(mount: StepMount) -> Mount:
    options = ["nosuid", "nodev"] + ([f"size={mount.size}"] if mount.size else [])
    if not mount.writable:
        options.append("ro")
    return Mount(destination=mount.target, type="tmpfs", source="tmpfs", options=options)


def _write(path: str, data: bytes, mode: int, uid: int, gid: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(data)
        os.fchown(fd, uid, gid)
        os.fchmod(fd, mode)


KINDS = (BIND, CACHE, SECRET, SSH, TMPFS)
