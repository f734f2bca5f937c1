"""A dwelling of the wing `process` as its monitor holds it: a thin hand on a few files.

It is made by others: by an init that was born ahead, or by a midwife where that one is not what is wanted.

The wing's own dwelling, with the whole config, is only made when it is needed: for an exec, an update, the
end.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from lodge.errors import Conflict
from lodge.kernel.cgroups import Cgroup, CgroupStats
from lodge.runtime.contract import StdioRequest
from lodge.runtime.messages import SealedLaunch
from lodge.runtime.monitor.cell import Cell
from lodge.runtime.monitor.midwife import Midwife
from lodge.runtime.monitor.order import Outline
from lodge.runtime.process.control_group import clear_cgroup
from lodge.runtime.process.dwelling import ProcessDwelling
from lodge.runtime.program import ChildProgram
from lodge.spec.runtime import Process, Resources


class DeliveredDwelling:
    """Implements `contract.Dwelling`. `make_whole` gives the wing's own, with nothing made by it.

    A `cell` gets the order at once; `call_midwife` forks one.
    """

    def __init__(
        self,
        order: SealedLaunch,
        cell: Cell | None,
        call_midwife: Callable[[], Midwife],
        cgroup: Cgroup,
        outline: Outline,
        make_whole: Callable[[], ProcessDwelling],
    ) -> None:
        self._order = order
        self._cell = cell
        self._call_midwife = call_midwife
        self._midwife: Midwife | None = None
        self._cgroup = cgroup
        self._outline = outline
        self._make_whole = make_whole
        self._whole_dwelling: ProcessDwelling | None = None
        self._init: ChildProgram | None = None
        self._root = -1
        if cell is not None:
            cell.order(order)

    @property
    def newborn(self) -> int:
        """The pid of an init that exists before `create`, 0 for none."""
        return self._cell.pid if self._cell is not None else 0

    def create(self, _stdio: StdioRequest) -> ChildProgram:
        """See the contract; what is asked of the streams is in the order."""
        if self._cell is not None:
            self._init = self._cell.program()
        if self._init is None:
            self._dismiss_cell()
            self._midwife = self._call_midwife()
            self._init = self._midwife.create(self._order)
        self._hold_root(self._init)
        return self._init

    def start(self) -> None:
        """See the contract."""
        if self._midwife is not None:
            self._midwife.start(self._order.request)
        else:
            assert self._cell is not None
            self._cell.start()

    def execute(self, process: Process, stdio: StdioRequest, extras: Any = None) -> ChildProgram:
        """See the contract."""
        return self._whole().execute_beside(self._living().fileno(), process, stdio, extras)

    def signal_all(self, number: int) -> None:
        """See the contract."""
        self._whole().signal_all(number)

    def pause(self) -> None:
        """See the contract."""
        self._living()
        self._cgroup.freeze()

    def resume(self) -> None:
        """See the contract."""
        self._cgroup.thaw()

    def update(self, resources: Resources) -> None:
        """See the contract."""
        self._whole().update(resources)

    def stats(self) -> CgroupStats:
        """See the contract."""
        return self._cgroup.stats()

    def processes(self) -> list[int]:
        """See the contract."""
        return self._cgroup.pids()

    def oom_kills(self) -> int:
        """See the contract."""
        return self._cgroup.oom_kills()

    def oom_event_fd(self) -> int | None:
        """Readable when memory ran out; None without a limit, or where the kernel can't tell."""
        try:
            return self._cgroup.oom_event_fd() if self._outline.limits_memory else None
        except OSError:
            return None

    def remove(self) -> None:
        """See the contract."""
        if self._midwife is not None:
            self._midwife.dismiss()
        if self._init is None:
            self._dismiss_cell()
        elif not self._init.ended:
            self._end_init(self._init)
        if self._outline.ends_with_hooks:
            self._whole().remove()
        else:
            clear_cgroup(self._cgroup)

    def _end_init(self, init: ChildProgram) -> None:
        try:
            init.signal(9)
        except ProcessLookupError:
            pass
        # A frozen process takes its signal only when it thaws (cgroup v1).
        if self._cgroup.exists() and self._cgroup.frozen():
            self._cgroup.thaw()
        init.reap()

    def _hold_root(self, init: ChildProgram) -> None:
        """Keep the root mounted for as long as this process lives.

        The last unmount of an overlay writes back the whole file system that it lies on: a program's end
        would wait for that, and everybody who waits for the program.
        """
        try:
            self._root = os.open(f"/proc/{init.pid}/root", os.O_PATH | os.O_CLOEXEC)
        except OSError:
            # It was killed.
            pass

    def let_go(self) -> None:
        """Let the root be unmounted; the end of the process does it too. Idempotent."""
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _dismiss_cell(self) -> None:
        if self._cell is not None:
            self._cell.dismiss()
            self._cell = None

    def _whole(self) -> ProcessDwelling:
        if self._whole_dwelling is None:
            self._whole_dwelling = self._make_whole()
        return self._whole_dwelling

    def _living(self) -> ChildProgram:
        if self._init is None or self._init.ended:
            raise Conflict("the container is not running")
        return self._init
