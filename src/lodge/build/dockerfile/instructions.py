"""What a Dockerfile can say: one value an instruction, all as it was written."""

from __future__ import annotations

from msgspec import Struct

from lodge.build.dockerfile.lines import Heredoc
from lodge.build.dockerfile.problems import Lines
from lodge.spec.container import HealthCheck

Pair = tuple[str, str]


class Instruction(Struct, frozen=True, kw_only=True):
    """The base of all: its text in one line, its lines, the comments right above it."""

    code: str
    lines: Lines
    word: str = ""
    comments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The keyword in upper case."""
        return self.word.upper()


class Command(Struct, frozen=True, kw_only=True):
    """Words to execute, or one text for the shell; `heredocs` are files for it."""

    words: tuple[str, ...]
    shell: bool
    heredocs: tuple[Heredoc, ...] = ()


class From(Instruction, frozen=True, kw_only=True):
    """FROM: the beginning of a stage. `as_word` is how AS was spelt, `alias_text` the name as written."""

    base: str
    alias: str = ""
    alias_text: str = ""
    as_word: str = ""
    platform: str = ""


class Argument(Struct, frozen=True):
    """One name of an ARG, with its default."""

    name: str
    default: str | None = None


class Arg(Instruction, frozen=True, kw_only=True):
    """ARG."""

    arguments: tuple[Argument, ...]


class Mount(Struct, frozen=True, kw_only=True):
    """One --mount of a RUN, as written: fields in their order, key in lower case, None for a bare word."""

    fields: tuple[tuple[str, str | None], ...]


class Run(Instruction, frozen=True, kw_only=True):
    """RUN."""

    command: Command
    mounts: tuple[Mount, ...] = ()
    network: str = ""
    security: str = ""


class Cmd(Instruction, frozen=True, kw_only=True):
    """CMD."""

    command: Command


class Entrypoint(Instruction, frozen=True, kw_only=True):
    """ENTRYPOINT."""

    command: Command


class Env(Instruction, frozen=True, kw_only=True):
    """ENV; `legacy` is the spelling with a space."""

    pairs: tuple[Pair, ...]
    legacy: bool = False


class Label(Instruction, frozen=True, kw_only=True):
    """LABEL; `legacy` as for ENV."""

    pairs: tuple[Pair, ...]
    legacy: bool = False


class Maintainer(Instruction, frozen=True, kw_only=True):
    """MAINTAINER."""

    author: str


class Expose(Instruction, frozen=True, kw_only=True):
    """EXPOSE."""

    ports: tuple[str, ...]


class Transfer(Instruction, frozen=True, kw_only=True):
    """What ADD and COPY have in common. `texts` are heredocs among the sources."""

    sources: tuple[str, ...]
    texts: tuple[Heredoc, ...] = ()
    target: str
    chown: str = ""
    chmod: str = ""
    link: bool = False
    excludes: tuple[str, ...] = ()


class Add(Transfer, frozen=True, kw_only=True):
    """ADD; None for what was left open."""

    checksum: str = ""
    unpack: bool | None = None
    keep_git_dir: bool | None = None


class Copy(Transfer, frozen=True, kw_only=True):
    """COPY."""

    source_stage: str = ""
    parents: bool = False


class Volume(Instruction, frozen=True, kw_only=True):
    """VOLUME."""

    places: tuple[str, ...]


class User(Instruction, frozen=True, kw_only=True):
    """USER."""

    user: str


class Workdir(Instruction, frozen=True, kw_only=True):
    """WORKDIR."""

    path: str


class OnBuild(Instruction, frozen=True, kw_only=True):
    """ONBUILD: an instruction as text, for later."""

    trigger: str


class StopSignal(Instruction, frozen=True, kw_only=True):
    """STOPSIGNAL."""

    signal: str


class Health(Instruction, frozen=True, kw_only=True):
    """HEALTHCHECK."""

    check: HealthCheck


class Shell(Instruction, frozen=True, kw_only=True):
    """SHELL."""

    words: tuple[str, ...]
