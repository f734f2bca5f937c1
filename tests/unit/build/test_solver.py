"""The solver alone: order, sharing, the cache, failures, cancelling."""

import asyncio

import pytest

from lodge.build import contract as c
from lodge.build.contract import Options
from lodge.build.dockerfile.lint import Lint
from lodge.build.dockerfile.stages import parse
from lodge.build.failures import ProgramFailed, StepFailed, excerpt
from lodge.build.graph import Node
from lodge.build.planning.converter import MAIN, Converter, Named
from lodge.build.solver import Solver, Workshop
from tests.unit.build.fakes import FakeMemory, FakeResolver, FakeWorker


async def graph(text: str, options: Options | None = None) -> Node:
    converter = Converter(parse(text), options or Options(), {MAIN: Named("local")}, FakeResolver(), Lint())
    found = (await converter.plan()).node
    assert found is not None
    return found


class Scene:
    """One engine's share of solving."""

    def __init__(self) -> None:
        self.worker = FakeWorker()
        self.workshop = Workshop(FakeMemory())
        self.events: list[c.BuildEvent] = []

    async def solve(self, text: str, options: Options | None = None) -> object:
        return await Solver(self.workshop, self.worker, self.events.append).solve(await graph(text, options))

    def cached(self) -> int:
        return sum(isinstance(event, c.Cached) for event in self.events)


FOUR = (
    "FROM busybox AS a\nRUN 1\nFROM busybox AS b\nRUN 2\nFROM busybox AS d\nRUN 3\nFROM busybox\n"
    "COPY --from=a /x /1\nCOPY --from=b /x /2\nCOPY --from=d /x /3\n"
)


def test_stages_that_do_not_depend_run_beside_each_other() -> None:
    scene = Scene()
    scene.worker.delays = {f"[{name} 2/2] RUN {n}": 0.05 for n, name in ((1, "a"), (2, "b"), (3, "d"))}
    asyncio.run(scene.solve(FOUR))
    assert scene.worker.most == 3
    assert scene.worker.done[-1] == "[stage-3 4/4] COPY --from=d /x /3"


def test_nothing_is_done_twice() -> None:
    scene = Scene()

    async def play() -> None:
        await scene.solve(FOUR)
        scene.worker.done.clear()
        await scene.solve(FOUR)
        assert not [name for name in scene.worker.done if "FROM" not in name]

    asyncio.run(play())
    assert scene.cached() == 6


def test_another_content_is_another_key_for_all_that_follows() -> None:
    scene = Scene()
    text = "FROM busybox\nRUN before\nCOPY x /\nRUN after\n"

    async def play() -> None:
        await scene.solve(text)
        scene.worker.done.clear()
        scene.worker.contents = "other"
        await scene.solve(text)

    asyncio.run(play())
    assert [name for name in scene.worker.done if "FROM" not in name] == [
        "[internal] load build context",
        "[3/4] COPY x /",
        "[4/4] RUN after",
    ]


def test_the_cache_can_be_left_out() -> None:
    scene = Scene()

    async def play() -> None:
        await scene.solve("FROM busybox\nRUN x\n")
        scene.worker.done.clear()
        await scene.solve("FROM busybox\nRUN x\n", Options(no_cache=True))

    asyncio.run(play())
    assert scene.worker.done[-1] == "[2/2] RUN x"


def test_two_builds_share_what_is_underway_and_both_are_told() -> None:
    scene = Scene()
    scene.worker.delays = {"[2/2] RUN x": 0.05}

    async def play() -> None:
        await asyncio.gather(scene.solve("FROM busybox\nRUN x\n"), scene.solve("FROM busybox\nRUN x\n"))

    asyncio.run(play())
    assert scene.worker.done.count("[2/2] RUN x") == 1
    assert sum(isinstance(event, c.Log) and event.data == b"[2/2] RUN x" for event in scene.events) == 2


def test_a_failure_names_the_step_and_ends_the_rest() -> None:
    scene = Scene()
    scene.worker.failures = {"[a 2/2] RUN 1": ProgramFailed("/bin/sh -c 1", 3)}
    scene.worker.delays = {"[b 2/2] RUN 2": 5}
    with pytest.raises(StepFailed) as caught:
        asyncio.run(scene.solve(FOUR))
    failure = caught.value
    assert (failure.name, failure.exit_code, failure.lines) == ("[a 2/2] RUN 1", 3, (2, 2))
    assert failure.log == b"[a 2/2] RUN 1"
    assert scene.worker.cancelled == ["[b 2/2] RUN 2"]


def test_work_goes_on_while_one_of_two_waits_and_ends_with_the_last() -> None:
    scene = Scene()
    scene.worker.delays = {"[2/2] RUN x": 0.2}

    async def play() -> None:
        first = asyncio.ensure_future(scene.solve("FROM busybox\nRUN x\n"))
        second = asyncio.ensure_future(scene.solve("FROM busybox\nRUN x\n"))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.wait([first])
        assert not scene.worker.cancelled
        second.cancel()
        await asyncio.wait([second])

    asyncio.run(play())
    assert scene.worker.cancelled == ["[2/2] RUN x"]
    assert not scene.workshop.underway


def test_an_excerpt_marks_the_lines() -> None:
    assert excerpt("a\nb\nc\nd\ne", (3, 3), 1) == "   2 |     b\n   3 | >>> c\n   4 |     d"
    assert excerpt("a", (9, 9)) == ""
