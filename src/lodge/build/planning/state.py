"""A stage in the making: its configuration so far, its variables, the node that its files come from."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from msgspec import Struct, field

from lodge.build.dockerfile.stages import Stage
from lodge.build.graph import Node
from lodge.spec.container import ContainerConfig
from lodge.spec.image import History, ImageConfig
from lodge.spec.platform import Platform

COMMENT = "buildkit.dockerfile.v0"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL = ("/bin/sh", "-c")


class StageState(Struct, kw_only=True):
    """One stage. `node` None is an empty root; `depth` counts the layers of the base in `history`."""

    stage: Stage
    platform: Platform
    base: ImageConfig
    config: ContainerConfig
    node: Node | None = None
    history: list[History] = []
    author: str = ""
    arguments: dict[str, str] = {}
    declared: dict[str, None] = {}
    command_set: bool = False
    workdir_set: bool = False
    done: int = 0
    total: int = 0
    seen: dict[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What progress calls the stage."""
        return self.stage.name or f"stage-{self.stage.number}"

    @property
    def env(self) -> dict[str, str]:
        """ENV so far."""
        return dict(entry.partition("=")[::2] for entry in self.config.env or ())

    @property
    def values(self) -> Mapping[str, str]:
        """All variables: ENV counts more than ARG."""
        return {**self.arguments, **self.env}

    @property
    def shell(self) -> tuple[str, ...]:
        """What shell forms are given to."""
        return tuple(self.config.shell or DEFAULT_SHELL)

    def add_env(self, name: str, value: str) -> None:
        """Set a variable, in its place if it is there already."""
        entries = list(self.config.env or ())
        for place, entry in enumerate(entries):
            if entry.partition("=")[0] == name:
                entries[place] = f"{name}={value}"
                break
        else:
            entries.append(f"{name}={value}")
        self.config.env = entries

    def record(self, text: str, *, layer: bool) -> None:
        """Write a line of history."""
        self.history.append(
            History(created_by=text, comment=COMMENT, author=self.author, empty_layer=not layer)
        )


def begin(stage: Stage, platform: Platform, base: ImageConfig | None) -> StageState:
    """A stage on a base image, or on nothing."""
    if base is None:
        target = platform
        base = ImageConfig(architecture=target.architecture, os=target.os, variant=target.variant or "")
        config = ContainerConfig(env=[PATH], working_dir="/")
    else:
        config = copy.deepcopy(base.config)
    return StageState(
        stage=stage,
        platform=platform,
        base=base,
        config=config,
        history=list(base.history),
        author=base.author,
        arguments={},
        declared={},
    )


def continued(stage: Stage, platform: Platform, before: StageState) -> StageState:
    """A stage on another stage: it has the other's configuration, and none of its ARGs."""
    return StageState(
        stage=stage,
        platform=platform,
        base=before.base,
        config=copy.deepcopy(before.config),
        node=before.node,
        history=list(before.history),
        author=before.author,
        arguments={},
        declared={},
    )
