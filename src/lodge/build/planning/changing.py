"""Instructions outside of a Dockerfile: those of `commit --change` and `import --change`."""

from __future__ import annotations

from lodge.build.contract import Options
from lodge.build.dockerfile.instructions import From, Workdir
from lodge.build.dockerfile.lines import Line
from lodge.build.dockerfile.lint import Lint
from lodge.build.dockerfile.reading import read_instruction
from lodge.build.dockerfile.stages import Stage
from lodge.build.planning.configuring import CONFIGURING
from lodge.build.planning.state import begin
from lodge.build.planning.tools import Workshop, absolute
from lodge.spec.container import ContainerConfig
from lodge.spec.image import ImageConfig


class Changes:
    """Applies one instruction after the other to a configuration. DockerfileError for mistakes."""

    def __init__(self, image: ImageConfig) -> None:
        start = From(code="", lines=(1, 1), base="")
        self._state = begin(Stage(0, start), image.platform, image)
        # The configuration itself, not a copy, for its owner has made one.
        self._state.config = image.config
        self._shop = Workshop(Options(), "\\", {}, Lint(frozenset(("all",))))

    @property
    def config(self) -> ContainerConfig:
        """What came of it."""
        return self._state.config

    def apply(self, line: Line) -> None:
        """Do one."""
        instruction = read_instruction(line)
        if isinstance(instruction, Workdir):
            path = self._shop.expand(instruction.path, self._state.values, instruction)
            self.config.working_dir = absolute(path, self.config.working_dir).rstrip("/") or "/"
        else:
            CONFIGURING[type(instruction)](self._state, instruction, self._shop)
