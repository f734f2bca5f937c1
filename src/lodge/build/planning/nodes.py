"""Making nodes: each with its step for people, named as BuildKit's progress names them."""

from __future__ import annotations

from lodge.build.contract import Instruction, Step
from lodge.build.dockerfile.problems import Lines
from lodge.build.graph import Image, Node, Operation, node_id
from lodge.build.planning.state import StageState

SCRATCH = "scratch"


class Nodes:
    """All nodes of one image that is planned, in their order."""

    def __init__(self, *, platform: str, many_stages: bool, no_cache: bool, filtered: frozenset[str]) -> None:
        self.all: list[Node] = []
        self.instructions: list[Instruction] = []
        self._platform = platform
        self._many_stages = many_stages
        self._no_cache = no_cache
        self._filtered = filtered
        self._empty: Node | None = None

    def step(
        self, state: StageState, operation: Operation, inputs: tuple[Node, ...], code: str, lines: Lines
    ) -> Node:
        """A node that does an instruction of a stage, and becomes the stage's files."""
        state.done += 1
        name = f"[{self._prefix(state)}{state.done}/{state.total}] {code}"
        node = self._add(
            operation,
            inputs,
            Step(
                id=node_id(operation, inputs, name),
                name=name,
                inputs=tuple(each.step.id for each in inputs),
                code=code,
                stage=state.label,
                number=state.done,
                total=state.total,
                lines=lines,
            ),
            ignore_cache=self.ignores_cache(state),
        )
        state.node = node
        return node

    def source(self, operation: Operation, name: str, *, internal: bool = False) -> Node:
        """A node that brings something from outside; one for each operation."""
        for node in self.all:
            if node.operation == operation:
                return node
        step = Step(id=node_id(operation, (), name), name=name, internal=internal)
        return self._add(
            operation, (), step, ignore_cache=self._no_cache and not isinstance(operation, Image)
        )

    def empty(self) -> Node:
        """The empty root; it is in no progress."""
        if self._empty is None:
            operation = Image(reference=SCRATCH, manifest="", platform="")
            step = Step(id=node_id(operation, (), SCRATCH), name=SCRATCH, internal=True)
            self._empty = Node(operation=operation, step=step)
        return self._empty

    def ignores_cache(self, state: StageState) -> bool:
        """Whether a stage's steps are done in any case."""
        return self._no_cache or (bool(self._filtered) and state.label.lower() in self._filtered)

    def say(self, code: str, lines: Lines, node: Node | None = None) -> None:
        """Note that an instruction counts."""
        self.instructions.append(Instruction(code=code, step=node.step.id if node else "", lines=lines))

    def prefix(self, state: StageState) -> str:
        """The stage's name as a step's name begins with it."""
        return self._prefix(state)

    def _prefix(self, state: StageState) -> str:
        stage = f"{state.label} " if self._many_stages or state.stage.name else ""
        return f"{self._platform} {stage}" if self._platform else stage

    def _add(self, operation: Operation, inputs: tuple[Node, ...], step: Step, *, ignore_cache: bool) -> Node:
        node = Node(operation=operation, inputs=inputs, step=step, ignore_cache=ignore_cache)
        self.all.append(node)
        return node
