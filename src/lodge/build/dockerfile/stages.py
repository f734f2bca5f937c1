"""Instructions -> stages: what stands before the first FROM, and each FROM with what follows it."""

from __future__ import annotations

from msgspec import Struct

from lodge.build.dockerfile.directives import Directives
from lodge.build.dockerfile.instructions import Arg, From, Instruction
from lodge.build.dockerfile.lines import read_lines
from lodge.build.dockerfile.problems import DockerfileError, Lines
from lodge.build.dockerfile.reading import read_instruction


class Stage(Struct, frozen=True):
    """One stage: its number from 0, its beginning, its instructions."""

    number: int
    start: From
    body: tuple[Instruction, ...] = ()

    @property
    def name(self) -> str:
        """Its name, in lower case; "" for none."""
        return self.start.alias


class Dockerfile(Struct, frozen=True):
    """A whole file. `arguments` are the ARGs before the first FROM; `text` is what was read."""

    stages: tuple[Stage, ...]
    arguments: tuple[Arg, ...]
    directives: Directives
    text: str
    filename: str = "Dockerfile"
    empty_continuations: tuple[Lines, ...] = ()

    def find(self, name: str, *, before: int | None = None) -> Stage | None:
        """The stage of a name or a number; the last of a name counts. `before` looks only above a stage."""
        candidates = self.stages[:before]
        lowered = name.lower()
        for stage in reversed(candidates):
            if stage.name and stage.name == lowered:
                return stage
        if name.isascii() and name.isdecimal() and int(name) < len(candidates):
            return candidates[int(name)]
        return None


def parse(text: str, filename: str = "Dockerfile") -> Dockerfile:
    """Read a whole Dockerfile. Raises DockerfileError with the file and the lines."""
    try:
        return _parse(text, filename)
    except DockerfileError as error:
        error.filename = filename
        raise


def _parse(text: str, filename: str) -> Dockerfile:
    script = read_lines(text)
    arguments: list[Arg] = []
    begun: list[tuple[From, list[Instruction]]] = []
    for line in script.lines:
        instruction = read_instruction(line, script.directives.escape)
        if isinstance(instruction, From):
            begun.append((instruction, []))
        elif begun:
            begun[-1][1].append(instruction)
        elif isinstance(instruction, Arg):
            arguments.append(instruction)
        else:
            raise DockerfileError(
                f"no build stage in current context: {instruction.name} stands before the first FROM",
                lines=instruction.lines,
                hint="only ARG may stand before FROM",
            )
    if not begun:
        raise DockerfileError("dockerfile contains no stages to build", lines=script.lines[-1].lines)
    stages = tuple(Stage(number, start, tuple(body)) for number, (start, body) in enumerate(begun))
    return Dockerfile(
        stages=stages,
        arguments=tuple(arguments),
        directives=script.directives,
        text=text,
        filename=filename,
        empty_continuations=tuple(script.empty_continuations),
    )
