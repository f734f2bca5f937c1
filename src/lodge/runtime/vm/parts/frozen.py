"""Frozen machines: booted once for each kernel and size, saved right after READY, then copied for each start.

On disk, `frozen/<key>/` holds the memory as a sparse file and the rest of the machine as QEMU's migration
stream. In use the memory is a sealed file in memory that all copies map privately: what a machine does not
write it shares with the others, and none can change it for the others. That file lives as long as one machine
does; each monitor that has it open notes so in `holders`, where the next one finds it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator

from msgspec import Struct

from lodge.errors import Corrupt, LodgeError
from lodge.runtime.exit_record import ProcessIdentity

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_CHUNK = 4 << 20
_BLOCK = 16 << 10


class Copy(Struct):
    """What a copy starts from: descriptors, the caller's. `memory` is to be kept while the machine lives."""

    memory: int
    state: int


class Frozen:
    """The frozen machine of one key below a wing's root."""

    def __init__(self, root: str, key: str) -> None:
        self._parent = os.path.join(root, "frozen")
        self._directory = os.path.join(self._parent, key)
        self._holders = os.path.join(self._directory, "holders")
        self._name = f"lodge-machine-{key}"

    @staticmethod
    def key_of(*facts: object) -> str:
        """The key of a machine that these facts decide."""
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]

    @property
    def ready(self) -> bool:
        """Whether there is one."""
        return os.path.exists(os.path.join(self._directory, "state"))

    def make(self, freeze: Callable[[int, int], None], size: int) -> None:
        """Make it, once, also when several want it: `freeze(memory, state)` fills two files."""
        os.makedirs(self._parent, 0o700, exist_ok=True)
        with self._alone():
            if self.ready:
                return
            staged = tempfile.mkdtemp(dir=self._parent, prefix=".making-")
            try:
                memory = _create(os.path.join(staged, "memory.raw"))
                state = _create(os.path.join(staged, "state"))
                try:
                    os.ftruncate(memory, size)
                    freeze(memory, state)
                finally:
                    os.close(memory)
                    os.close(state)
                _leave_zeros_out(os.path.join(staged, "memory.raw"), os.path.join(staged, "memory"))
                os.mkdir(os.path.join(staged, "holders"))
                os.rename(staged, self._directory)
            except BaseException:
                # SAFETY: our own temporary directory, of a name that nobody else has.
                shutil.rmtree(staged, ignore_errors=True)
                raise

    def open(self) -> Copy:
        """Files for one copy; Corrupt when what is on the disk is none."""
        state = os.open(os.path.join(self._directory, "state"), os.O_RDONLY | os.O_CLOEXEC)
        try:
            memory = self._held()
            if memory is None:
                memory = self._load()
            self._note(memory)
        except BaseException:
            os.close(state)
            raise
        return Copy(memory, state)

    def discard(self) -> None:
        """Forget it: a copy of it did not work."""
        # SAFETY: a directory of this module's making, below the wing's root.
        shutil.rmtree(self._directory, ignore_errors=True)

    def release(self) -> None:
        """Say that this process holds it no more; idempotent."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._holders, str(os.getpid())))

    def _note(self, memory: int) -> None:
        start = ProcessIdentity.of(os.getpid())
        path = os.path.join(self._holders, str(os.getpid()))
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write(f"{memory} {start.start}")
        os.rename(f"{path}.new", path)

    def _held(self) -> int | None:
        """The memory as another monitor has it open."""
        for name in os.listdir(self._holders):
            if not name.isdecimal():
                continue
            path = os.path.join(self._holders, name)
            try:
                with open(path, encoding="ascii") as file:
                    number, ticks = map(int, file.read().split())
                if ProcessIdentity.of(int(name)).start == ticks:
                    return self._checked(os.open(f"/proc/{name}/fd/{number}", os.O_RDWR | os.O_CLOEXEC))
            except (OSError, ValueError, LodgeError):
                pass
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        return None

    def _checked(self, fd: int) -> int:
        """Only a file that nobody can change, and that is ours."""
        if (
            self._name not in os.readlink(f"/proc/self/fd/{fd}")
            or fcntl.fcntl(fd, fcntl.F_GET_SEALS) != _SEALS
        ):
            os.close(fd)
            raise OSError(errno.ESTALE, "not a frozen machine's memory")
        return fd

    def _load(self) -> int:
        """Bring the memory from the disk, only what is not empty."""
        source = os.open(os.path.join(self._directory, "memory"), os.O_RDONLY | os.O_CLOEXEC)
        target = os.memfd_create(self._name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            size = os.fstat(source).st_size
            os.ftruncate(target, size)
            for start, end in _extents(source, size):
                _copy(source, target, start, end)
            fcntl.fcntl(target, fcntl.F_ADD_SEALS, _SEALS)
        except BaseException:
            os.close(target)
            raise
        finally:
            os.close(source)
        return target

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        fd = os.open(f"{self._directory}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def _create(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _leave_zeros_out(path: str, target_path: str) -> None:
    """Copy a file without what is zero in it, which a kernel writes a lot of, and remove it."""
    source, target = os.open(path, os.O_RDONLY | os.O_CLOEXEC), _create(target_path)
    try:
        size = os.fstat(source).st_size
        os.ftruncate(target, size)
        zeros = bytes(_BLOCK)
        for start, end in _extents(source, size):
            for at in range(start, end, _BLOCK):
                block = os.pread(source, _BLOCK, at)
                if block != zeros:
                    os.pwrite(target, block, at)
    finally:
        os.close(source)
        os.close(target)
    os.unlink(path)


def _extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        at = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, at


def _copy(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        os.lseek(target, start, os.SEEK_SET)
        done = os.sendfile(target, source, start, min(_CHUNK, end - start))
        if not done:
            raise Corrupt("a frozen machine's memory is cut off")
        start += done
