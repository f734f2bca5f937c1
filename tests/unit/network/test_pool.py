"""Sandboxes made ahead, without a kernel: who gets which, and when there are more."""

import threading
import time
from collections.abc import Callable

from lodge.network import pool as module
from lodge.network.drivers.contract import Plug
from lodge.network.pool import DEPTH, Blank, Kind, Pool

KIND = Kind("net", names=False)


class FakeSpace:
    """A namespace that is none."""

    closed = 0

    def close(self) -> None:
        FakeSpace.closed += 1


class Jobs:
    """A keeper whose jobs the test runs."""

    def __init__(self) -> None:
        self.jobs: list[tuple[float, Callable[[], None]]] = []

    def later(self, seconds: float, job: Callable[[], None]) -> None:
        if seconds < module.IDLE:
            self.jobs.append((seconds, job))

    def run(self) -> None:
        for _ in range(100):
            if not self.jobs:
                return
            self.run_one()

    def run_one(self) -> None:
        seconds, job = self.jobs.pop(0)
        time.sleep(seconds)
        job()


class Maker:
    """Makes numbered blanks."""

    def __init__(self) -> None:
        self.made = 0
        self.lock = threading.Lock()

    def __call__(self, _kind: Kind) -> Blank:
        with self.lock:
            self.made += 1
            return Blank(FakeSpace(), Plug(1, "eth0", self.made), None)  # type: ignore[arg-type]


def pool() -> tuple[Pool, Jobs, Maker]:
    jobs, maker = Jobs(), Maker()
    return Pool(jobs, maker), jobs, maker  # type: ignore[arg-type]


def test_the_first_is_made_now_and_others_ahead() -> None:
    shelf, jobs, maker = pool()
    assert shelf.take(KIND).plug == Plug(1, "eth0", 1)
    assert shelf.ports() == set()
    jobs.run()
    assert len(shelf.ports()) == DEPTH
    assert maker.made == 1 + DEPTH
    assert shelf.take(KIND).plug == Plug(1, "eth0", 2)
    assert maker.made == 1 + DEPTH


def test_a_forgotten_network_has_none_and_gets_none() -> None:
    shelf, jobs, maker = pool()
    shelf.take(KIND)
    before = FakeSpace.closed
    jobs.run_one()
    shelf.forget(KIND.network)
    assert FakeSpace.closed == before + 1
    jobs.run()
    assert shelf.ports() == set()
    assert maker.made == 2


def test_kinds_are_kept_apart_and_all_are_closed() -> None:
    shelf, jobs, _ = pool()
    shelf.take(KIND)
    shelf.take(Kind("net", names=True))
    jobs.run()
    before = FakeSpace.closed
    assert len(shelf.ports()) == 2 * DEPTH
    shelf.close()
    assert FakeSpace.closed == before + 2 * DEPTH
