"""A Dockerfile -> the image that is wanted of it: a node for its files, a configuration, a history.

Starts at the target stage and walks only to what it needs: the stage's base, and what COPY --from and mounts
take files from. So a stage that nobody needs is never looked at.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from lodge.build.contract import Instruction, Options
from lodge.build.dockerfile import instructions as i
from lodge.build.dockerfile.lines import read_lines
from lodge.build.dockerfile.lint import Lint
from lodge.build.dockerfile.problems import DockerfileError, nearest
from lodge.build.dockerfile.reading import read_instruction
from lodge.build.dockerfile.run_mounts import BIND, CACHE, RunMount
from lodge.build.dockerfile.stages import Dockerfile, Stage
from lodge.build.graph import CopyAction, Files, Git, Image, Local, Node
from lodge.build.planning import arguments, moving, running
from lodge.build.planning.configuring import CONFIGURING
from lodge.build.planning.nodes import SCRATCH, Nodes
from lodge.build.planning.resolver import Resolver
from lodge.build.planning.state import StageState, begin, continued
from lodge.build.planning.tools import Workshop
from lodge.errors import LodgeError, NotFound
from lodge.spec.image import ImageConfig
from lodge.spec.platform import Platform, host
from lodge.wire.ignore import Patterns, has_wildcards

MAIN = "context"
_LAYERED = (i.Run, i.Copy, i.Add, i.Workdir)


class Named(Struct, frozen=True):
    """A context by name: kind is local, image or url; `value` the reference or the address."""

    kind: str
    value: str = ""
    ignore: tuple[str, ...] = ()


class Plan(Struct, kw_only=True):
    """What is to be built. `node` None is an empty root."""

    node: Node | None
    config: ImageConfig
    platform: Platform
    nodes: list[Node]
    instructions: list[Instruction]


class Converter:
    """Plans one image of one platform. `contexts` has the main one as MAIN, if there is one."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        options: Options,
        contexts: Mapping[str, Named],
        resolver: Resolver,
        lint: Lint,
        platform: Platform | None = None,
    ) -> None:
        self._dockerfile = dockerfile
        self._options = options
        self._contexts = contexts
        self._resolver = resolver
        self._lint = lint
        self._platform = (platform or host()).normalised()
        self._states: dict[int, StageState] = {}
        self._underway: set[int] = set()
        self._wanted: dict[str, dict[str, None]] = {}
        self._nodes = Nodes(
            platform=str(self._platform) if len(options.platforms) > 1 else "",
            many_stages=len(dockerfile.stages) > 1,
            no_cache=options.no_cache,
            filtered=frozenset(name.lower() for name in options.no_cache_filter),
        )
        escape = dockerfile.directives.escape
        self._shop = Workshop(options, escape, {}, lint)
        platforms = arguments.of_platforms(host(), self._platform, options.target)
        self._shop.globals = arguments.of_globals(
            dockerfile.arguments, options.arguments, platforms, self._shop.lexer
        )

    async def plan(self) -> Plan:
        """Raises DockerfileError with its lines, NotFound for images, Forbidden for what is not allowed."""
        stage = self._target()
        state = await self._stage(stage)
        for name, value in self._options.labels.items():
            state.config.labels = {**(state.config.labels or {}), name: value}
        self._narrow_contexts()
        config = msgspec.structs.replace(
            state.base, config=state.config, history=tuple(state.history), author=state.author
        )
        keep = state.node
        while keep is not None:
            keep.keep_blob = True
            keep = keep.inputs[0] if keep.inputs else None
        return Plan(
            node=state.node,
            config=config,
            platform=self._platform,
            nodes=self._nodes.all,
            instructions=sorted(self._nodes.instructions, key=lambda each: each.lines[0]),
        )

    def _target(self) -> Stage:
        wanted = self._options.target
        if not wanted:
            return self._dockerfile.stages[-1]
        found = self._dockerfile.find(wanted)
        if found is None:
            names = tuple(stage.name for stage in self._dockerfile.stages if stage.name)
            meant = nearest(wanted.lower(), names)
            raise NotFound(
                f'target stage "{wanted}" could not be found' + (f" (did you mean {meant}?)" if meant else "")
            )
        return found

    async def _stage(self, stage: Stage) -> StageState:
        """A stage with all its instructions done; once."""
        known = self._states.get(stage.number)
        if known is not None:
            return known
        if stage.number in self._underway:
            raise DockerfileError(
                f"circular dependency detected on stage: {stage.name or stage.number}",
                lines=stage.start.lines,
            )
        self._underway.add(stage.number)
        try:
            state = await self._begin(stage)
            for instruction in stage.body:
                await self._instruction(state, instruction)
        except DockerfileError as error:
            error.filename = error.filename or self._dockerfile.filename
            raise
        self._states[stage.number] = state
        return state

    async def _begin(self, stage: Stage) -> StageState:
        start, lint = stage.start, self._lint
        values = self._shop.globals
        base = self._shop.lexer.expand(start.base, values)
        lint.undefined_in_from(base.unknown, values, start.lines)
        name = base.text
        if not name:
            raise DockerfileError(
                f"base name ({start.base}) should not be blank",
                lines=start.lines,
                hint="give the ARG a value",
            )
        wanted = self._shop.lexer.expand(start.platform, values)
        lint.undefined_in_from(wanted.unknown, values, start.lines)
        if start.platform and not wanted.text:
            raise DockerfileError(f"empty platform value from expression {start.platform}", lines=start.lines)
        platform = Platform.parse(wanted.text).normalised() if wanted.text else self._platform
        state, triggers = await self._on_base(stage, name, platform)
        layered = sum(isinstance(each, _LAYERED) for each in (*stage.body, *triggers))
        state.total += layered
        for trigger in triggers:
            await self._instruction(state, trigger)
        return state

    async def _on_base(
        self, stage: Stage, name: str, platform: Platform
    ) -> tuple[StageState, list[i.Instruction]]:
        code = f"FROM {name}" + (f" AS {stage.start.alias_text}" if stage.name else "")
        named = self._contexts.get(context_key(name))
        before = self._dockerfile.find(name, before=stage.number) if named is None else None
        if before is not None and not name.isdecimal():
            below = await self._stage(before)
            state = continued(stage, platform, below)
            self._nodes.say(code, stage.start.lines, state.node)
        elif named is not None and named.kind != "image":
            state = begin(stage, platform, None)
            self._on_context(state, name, named, stage)
            self._nodes.say(code, stage.start.lines, state.node)
        elif name == SCRATCH and named is None:
            state = begin(stage, platform, None)
            self._nodes.say(code, stage.start.lines)
        else:
            state = await self._on_image(stage, named.value if named else name, platform)
            self._nodes.say(code, stage.start.lines, state.node)
        return state, self._triggers(state, stage)

    async def _on_image(self, stage: Stage, name: str, platform: Platform) -> StageState:
        try:
            base = await self._resolver.image(name, platform, pull=self._options.pull)
        except LodgeError as error:
            error.add_note(f"{self._dockerfile.filename}:{stage.start.lines[0]}: {stage.start.code}")
            raise
        state = begin(stage, platform, base.config)
        actual = base.config.platform
        if not platform.matches(actual):
            self._lint.found("InvalidBaseImagePlatform", stage.start.lines, name, str(actual), str(platform))
        operation = Image(reference=base.reference, manifest=base.manifest, platform=str(actual))
        state.done, state.total = 1, 1
        prefix = self._nodes.prefix(state)
        layered = sum(isinstance(each, _LAYERED) for each in stage.body) + len(
            base.config.config.on_build or ()
        )
        state.node = self._nodes.source(operation, f"[{prefix}1/{layered + 1}] FROM {base.reference}")
        return state

    def _on_context(self, state: StageState, name: str, named: Named, stage: Stage) -> None:
        tree = self._tree(name, named)
        state.total = 1
        action = CopyAction(input=1, sources=("/",), target="/", owner=moving.ROOT)
        operation = Files(actions=(action,), epoch=self._options.source_date_epoch)
        self._nodes.step(state, operation, (self._nodes.empty(), tree), f"FROM {name}", stage.start.lines)
        state.record(f"COPY / / # from {name}", layer=True)

    def _triggers(self, state: StageState, stage: Stage) -> list[i.Instruction]:
        """What the base wants to be done by those who build on it."""
        texts = list(state.config.on_build or ())
        state.config.on_build = None
        found: list[i.Instruction] = []
        for text in texts:
            try:
                script = read_lines(text)
                found += [read_instruction(line) for line in script.lines]
            except DockerfileError as error:
                raise DockerfileError(f"ONBUILD {text}: {error.what}", lines=stage.start.lines) from error
        lines = stage.start.lines
        return [msgspec.structs.replace(each, lines=lines) for each in found]

    async def _instruction(self, state: StageState, instruction: i.Instruction) -> None:
        try:
            await self._dispatch(state, instruction)
        except DockerfileError as error:
            raise error.at(instruction.lines) from None

    async def _dispatch(self, state: StageState, instruction: i.Instruction) -> None:
        match instruction:
            case i.Workdir():
                moving.workdir(state, instruction, self._shop, self._nodes)
            case i.Copy():
                source = await self._copy_source(state, instruction)
                moving.Transfer(state, instruction, self._shop, self._nodes, source).plan()
            case i.Add():
                main = self._main(instruction, state) if instruction.sources else None
                moving.Transfer(state, instruction, self._shop, self._nodes, main).plan()
            case i.Run():
                wanted = running.complete_mounts(state, instruction, self._shop)
                mounts = [(mount, await self._mount_source(state, mount)) for mount in wanted]
                running.run(state, instruction, self._shop, self._nodes, mounts)
            case _:
                CONFIGURING[type(instruction)](state, instruction, self._shop)
                self._nodes.say(instruction.code, instruction.lines)

    async def _copy_source(self, state: StageState, instruction: i.Copy) -> Node | None:
        if not instruction.source_stage:
            return self._main(instruction, state) if instruction.sources else None
        if "$" in instruction.source_stage:
            raise DockerfileError(
                "'--from' doesn't support variable expansion, define alias stage instead",
                hint="FROM ${IMAGE} AS name, then --from=name",
            )
        return await self._from(state, instruction.source_stage)

    async def _mount_source(self, state: StageState, mount: RunMount) -> Node | None:
        if mount.source_stage:
            return await self._from(state, mount.source_stage)
        if mount.type == BIND:
            named = self._contexts.get(MAIN)
            if named is None:
                return self._nodes.empty()
            source = mount.source or "/"
            self._want(MAIN, source)
            return self._tree(MAIN, named)
        assert mount.type != CACHE or not mount.source_stage
        return None

    async def _from(self, state: StageState, name: str) -> Node:
        """The files that `--from` names: a context, a stage, or an image."""
        named = self._contexts.get(context_key(name)) if name != MAIN else None
        if named is not None:
            if named.kind == "image":
                return await self._image(named.value)
            self._want(name, "/")
            return self._tree(name, named)
        stage = self._dockerfile.find(name)
        if stage is not None and (not name.isdecimal() or stage.number < state.stage.number):
            return (await self._stage(stage)).node or self._nodes.empty()
        if name.isdecimal():
            raise DockerfileError(
                f"invalid stage index {name}", hint="only stages above this one can be taken from"
            )
        if name == SCRATCH:
            return self._nodes.empty()
        return await self._image(name)

    async def _image(self, name: str) -> Node:
        base = await self._resolver.image(name, self._platform, pull=self._options.pull)
        operation = Image(
            reference=base.reference, manifest=base.manifest, platform=str(base.config.platform)
        )
        return self._nodes.source(operation, f"FROM {base.reference}")

    def _main(self, instruction: i.Copy | i.Add, state: StageState) -> Node:
        named = self._contexts.get(MAIN, Named("local"))
        for source in instruction.sources:
            path = self._shop.lexer.word(source, state.values)
            self._want(MAIN, path)
            self._check_ignored(named, instruction, path)
        return self._tree(MAIN, named)

    def _check_ignored(self, named: Named, instruction: i.Copy | i.Add, path: str) -> None:
        clean = posixpath.normpath("/" + path).lstrip("/")
        if clean and named.ignore and not has_wildcards(clean) and Patterns(named.ignore).excludes(clean):
            self._lint.found("CopyIgnoredFile", instruction.lines, instruction.name.capitalize(), path)

    def _want(self, context: str, path: str) -> None:
        clean = posixpath.normpath("/" + path).lstrip("/")
        self._wanted.setdefault(context, {})[clean] = None

    def _tree(self, name: str, named: Named) -> Node:
        if named.kind == "url":
            return self._nodes.source(Git(url=named.value), f"[internal] load {named.value}", internal=True)
        label = "build context" if name == MAIN else f"context {name}"
        operation = Local(context=name, ignore=named.ignore)
        for node in self._nodes.all:
            if isinstance(node.operation, Local) and node.operation.context == name:
                return node
        return self._nodes.source(operation, f"[internal] load {label}", internal=True)

    def _narrow_contexts(self) -> None:
        """Tell each context what of it is needed, now that all is known."""
        for node in self._nodes.all:
            if isinstance(node.operation, Local):
                wanted = self._wanted.get(node.operation.context, {})
                include = () if "" in wanted else tuple(wanted)
                node.operation = msgspec.structs.replace(node.operation, include=include)


def context_key(name: str) -> str:
    """Named contexts override images also by their names' longer forms."""
    lowered = name.lower()
    for prefix in ("docker-image://", "docker.io/library/", "docker.io/"):
        lowered = lowered.removeprefix(prefix)
    return lowered.removesuffix(":latest")
