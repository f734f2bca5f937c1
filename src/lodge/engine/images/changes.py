"""Dockerfile instructions that change an image's config: `commit --change` and `import --change`. Pure.

They are read and done as a build does them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from lodge.errors import InvalidArgument
from lodge.spec.container import ContainerConfig
from lodge.spec.image import ImageConfig

_ALLOWED = (
    "cmd", "entrypoint", "env", "expose", "healthcheck", "label", "onbuild", "shell", "stopsignal", "user",
    "volume", "workdir",
)  # fmt: skip


def apply(base: ContainerConfig | None, changes: Sequence[str]) -> ContainerConfig:
    """A copy of `base` with the instructions applied; InvalidArgument for one that can't be."""
    config = copy.deepcopy(base) if base is not None else ContainerConfig()
    if not changes:
        return config
    # Here, for hardly any commit has changes.
    from lodge.build.dockerfile.lines import read_lines
    from lodge.build.planning.changing import Changes

    work = Changes(ImageConfig(config=config))
    for change in changes:
        for line in read_lines(change).lines:
            if line.keyword not in _ALLOWED:
                raise InvalidArgument(f"{line.word.upper()} is not a valid change command")
            work.apply(line)
    # Only a build says so, and a commit is none.
    work.config.args_escaped = base is not None and base.args_escaped
    return work.config
