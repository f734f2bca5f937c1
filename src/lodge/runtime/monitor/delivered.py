"""A dwelling of the wing `process` that a midwife made, as its monitor holds it: a thin hand on a few files.

The wing's own dwelling, with the whole config, is only made when it is needed: for an exec, an update, the
end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lodge.errors import Conflict
from lodge.kernel.cgroups import Cgroup, CgroupStats
from lodge.runtime.contract import StdioRequest
from lodge.runtime.messages import SealedLaunch
from lodge.runtime.monitor.midwife import Midwife
from lodge.runtime.process.dwelling import ProcessDwelling
from lodge.runtime.program import ChildProgram
from lodge.spec.runtime import Process, Resources


class DeliveredDwelling:
    """Implements `contract.Dwelling`. `make_whole` gives the wing's own, with nothing made by it."""

    def __init__(
        self,
        order: SealedLaunch,
        midwife: Midwife,
        cgroup: Cgroup,
        limited: bool,
        make_whole: Callable[[], ProcessDwelling],
    ) -> None:
        self._order = order
        self._midwife = midwife
        self._cgroup = cgroup
        self._limited = limited
        self._make_whole = make_whole
        self._whole_dwelling: ProcessDwelling | None = None
        self._init: ChildProgram | None = None

    def create(self, _stdio: StdioRequest) -> ChildProgram:
        """See the contract; what is asked of the streams is in the order."""
        self._init = self._midwife.create(self._order)
        return self._init

    def start(self) -> None:
        """See the contract."""
        self._midwife.start(self._order.request)

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
            return self._cgroup.oom_event_fd() if self._limited else None
        except OSError:
            return None

    def remove(self) -> None:
        """See the contract."""
        self._midwife.dismiss()
        if self._init is not None and not self._init.ended:
            self._end_init(self._init)
        self._whole().remove()

    def _end_init(self, init: ChildProgram) -> None:
        try:
            init.signal(9)
        except ProcessLookupError:
            pass
        # A frozen process takes its signal only when it thaws (cgroup v1).
        if self._cgroup.exists() and self._cgroup.frozen():
            self._cgroup.thaw()
        init.reap()

    def _whole(self) -> ProcessDwelling:
        if self._whole_dwelling is None:
            self._whole_dwelling = self._make_whole()
        return self._whole_dwelling

    def _living(self) -> ChildProgram:
        if self._init is None or self._init.ended:
            raise Conflict("the container is not running")
        return self._init
