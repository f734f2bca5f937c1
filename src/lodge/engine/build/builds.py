"""Builds for whoever calls the engine: a request in, events out; the cache; what is underway.

Fulfils `lodge.api.backend.Builds`. The events of a build end when its reader goes away: then the build ends
too, with all that it had begun.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial

from lodge.archive.source import Readable
from lodge.build import contract as c
from lodge.build.dockerfile.lint import Lint, look
from lodge.build.dockerfile.stages import Dockerfile, parse
from lodge.build.failures import StepFailed
from lodge.build.giturl import is_git_url
from lodge.build.graph import Fetch, Git, Node, Rootfs
from lodge.build.planning.converter import MAIN, Converter, Named, Plan, context_key
from lodge.build.solver import Solver, Workshop
from lodge.engine.build import exporting
from lodge.engine.build.bases import Bases
from lodge.engine.build.cache_mounts import CacheMount
from lodge.engine.build.contexts import DirectoryContext, open_download, unpack
from lodge.engine.build.exporting import Exporter, Made
from lodge.engine.build.fetching import Fetcher, Silence
from lodge.engine.build.inline import ARGUMENT, Primed, read_keys, with_keys
from lodge.engine.build.memory import Memory, Record, choose, overdue
from lodge.engine.build.scratch import Scratch
from lodge.engine.build.synced import Trees
from lodge.engine.build.worker import BuildWorker, Hands
from lodge.engine.images.facade import Images
from lodge.engine.models import Pruned
from lodge.engine.networks.attaching import Attachments
from lodge.engine.parts import Parts
from lodge.engine.pipes import Outflow, pipe_out
from lodge.errors import InvalidArgument, LodgeError, NotFound, Unavailable
from lodge.spec.platform import Platform, host
from lodge.spec.reference import Reference
from lodge.wire.ignore import read_ignore_file

_log = logging.getLogger(__name__)
_LARGEST_DOCKERFILE = 2 << 20
_AHEAD = 16
_LEAST_CACHE = 2 << 30
_SHARE_OF_DISK = 10
_OLDEST = 60 * 24 * 3600
_PAUSE = 0.005


class Builds:
    """All builds of an engine."""

    def __init__(self, parts: Parts, images: Images, memory: Memory, attachments: Attachments) -> None:
        self._parts = parts
        self._images = images
        self._memory = memory
        self._hands = Hands(parts, memory, attachments)
        self._workshop = Workshop(memory)
        self._running: dict[str, asyncio.Task[None]] = {}
        place = os.path.join(parts.settings.data_root, "build", "scratch")
        self.scratch = Scratch(place, parts.store.trash)
        self.trees = Trees(os.path.join(parts.settings.data_root, "build", "trees"))

    async def build(self, request: c.BuildRequest, id: str = "") -> AsyncIterator[c.BuildEvent]:
        """Build. The last event is Built; StepFailed, DockerfileError and the other kinds are raised."""
        queue: asyncio.Queue[c.BuildEvent | None] = asyncio.Queue()

        async def deliver(piece: bytes) -> None:
            while queue.qsize() > _AHEAD:
                await asyncio.sleep(_PAUSE)
            queue.put_nowait(c.Data(at=time.time_ns(), data=piece))

        request.sink = request.sink or deliver
        build = _Build(
            self._parts, self._images, self._hands, self._workshop, request, queue.put_nowait, self.scratch
        )

        async def work() -> None:
            try:
                await build.run()
            finally:
                queue.put_nowait(None)

        task = asyncio.ensure_future(work())
        key = id or str(time.monotonic_ns())
        self._running[key] = task
        try:
            while (event := await queue.get()) is not None:
                yield event
            try:
                await task
            except asyncio.CancelledError:
                if task.cancelled():
                    raise Unavailable("context canceled") from None
                raise
        finally:
            self._running.pop(key, None)
            task.cancel()
            with suppress(BaseException):
                await asyncio.shield(asyncio.wait([task]))
            if not self._running:
                self._tidy()

    def _tidy(self) -> None:
        """Keep the cache within its limits, in the background; nobody waits for it."""
        parts = self._parts
        disk = os.statvfs(parts.settings.data_root)
        most = max(_LEAST_CACHE, disk.f_blocks * disk.f_frsize // _SHARE_OF_DISK)
        going = overdue(self.records(), most=most, age=_OLDEST)
        if going:
            self._memory.forget([each.key for each in going])
            parts.bridge.spawn(parts.store.collect)

    async def receive(
        self, source: Readable, remote: str, request: c.BuildRequest
    ) -> DirectoryContext | None:
        """Bring a context of the classic door into the request: an archive's bytes, or what an address holds.

        Close what is returned when the build has ended. Corrupt for bytes that are no archive.
        """
        call = self._parts.bridge.call
        fetcher = Fetcher(self._parts.bridge, self.scratch)
        if not remote:
            directory = await call(unpack, source, self.scratch)
        elif is_git_url(remote):
            tree = await fetcher.clone(Git(url=remote), Silence())
            request.context = DirectoryContext(self._parts.bridge, tree.directory, fetcher=fetcher)
            return request.context
        else:
            tree = await fetcher.fetch(Fetch(url=remote, name="context"), Silence())
            directory = await call(open_download, os.path.join(tree.directory, "context"), self.scratch)
            fetcher.close()
        request.context = DirectoryContext(self._parts.bridge, directory, own=self.scratch)
        return request.context

    async def cancel(self, id: str) -> None:
        """End a build by its id; one that is not there has ended."""
        task = self._running.get(id)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """End all builds."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def records(self) -> list[Record]:
        """The cache's entries."""
        images = frozenset(
            str(chain) for found in self._parts.images.all() for chain in found.resolved.chain_ids
        )
        return self._memory.records(images)

    async def cache_mounts(self) -> list[CacheMount]:
        """What `RUN --mount=type=cache` has left, the latest used first."""
        return await self._parts.bridge.call(self._hands.keeper.caches.list)

    async def export_cache(self, id: str) -> Outflow:
        """A cache's files as a tar; NotFound before anything is written."""
        caches = self._hands.keeper.caches
        directory = caches.find(id)

        def work(fd: int) -> None:
            with os.fdopen(fd, "wb", buffering=1 << 20) as out:
                caches.write(directory, out.write)

        return pipe_out(self._parts.bridge, work)

    async def import_cache(self, id: str, source: Readable) -> None:
        """Put a tar in the place of a cache's files; steps at work keep what they have."""
        await self._parts.bridge.call(self._hands.keeper.caches.load, id, source)

    async def prune(
        self, filters: dict[str, list[str]], *, all: bool = False, keep: int = 0, most: int = 0
    ) -> Pruned:
        """Remove entries of the cache; see `memory.choose`. With `all` caches of mounts go too."""
        going = choose(self.records(), filters, all=all, keep=keep, most=most)
        self._memory.forget([each.key for each in going])
        pruned = Pruned(deleted=[each.id for each in going])
        freed = await self._parts.bridge.call(self._parts.store.collect)
        self._parts.images.forget()
        pruned.reclaimed = freed.size
        if all and not filters and not keep and not most:
            pruned.reclaimed += await self._parts.bridge.call(self._hands.keeper.caches.clear)
        self._parts.events.publish("builder", "prune", "", {"reclaimed": str(pruned.reclaimed)})
        return pruned


class _Build:
    """One build on its way."""

    def __init__(
        self,
        parts: Parts,
        images: Images,
        hands: Hands,
        workshop: Workshop,
        request: c.BuildRequest,
        tell: c.Tell,
        scratch: Scratch,
    ) -> None:
        self._parts = parts
        self._images = images
        self._hands = hands
        self._workshop = workshop
        self._request = request
        self._tell = tell
        self._bases = Bases(parts, images, request.credentials, request.login)
        self._fetcher = Fetcher(parts.bridge, scratch)
        self._lint = Lint()
        self._told: set[object] = set()

    async def run(self) -> None:
        request = self._request
        exporting.check(request.outputs)
        dockerfile: Dockerfile | None = None
        try:
            with self._parts.store.lease():
                dockerfile = await self._dockerfile()
                await self._whole(dockerfile)
        except StepFailed as failure:
            if dockerfile is not None:
                failure.source, failure.filename = dockerfile.text, dockerfile.filename
            raise
        finally:
            await self._parts.bridge.call(self._fetcher.close)

    async def _dockerfile(self) -> Dockerfile:
        request = self._request
        text = request.dockerfile
        if text is None:
            source = request.dockerfile_context or request.context
            raw = await source.read(request.filename, _LARGEST_DOCKERFILE) if source else None
            if raw is None and request.filename == "Dockerfile" and source is not None:
                raw = await source.read("dockerfile", _LARGEST_DOCKERFILE)
            if raw is None:
                raise NotFound(
                    f"failed to read dockerfile: open {request.filename}: no such file or directory",
                    hint="name it with -f, relative to the context",
                )
            text = raw.decode("utf-8", "surrogateescape")
        if not text.strip():
            raise InvalidArgument(f"the Dockerfile ({request.filename}) cannot be empty")
        dockerfile = parse(text, request.filename)
        given = request.options.arguments.get("BUILDKIT_DOCKERFILE_CHECK")
        if given:
            dockerfile.directives.check = given
        self._lint = Lint(dockerfile.directives.skipped_checks)
        look(dockerfile, self._lint)
        return dockerfile

    async def _contexts(self) -> dict[str, Named]:
        request = self._request
        found: dict[str, Named] = {}
        if request.context is not None:
            found[MAIN] = Named("local", ignore=tuple(await self._ignore(request.context, main=True)))
        for name, value in request.contexts.items():
            if isinstance(value, c.ImageSource):
                found[context_key(name)] = Named("image", value.reference)
            elif isinstance(value, c.UrlSource):
                found[context_key(name)] = Named("url", value.url)
            else:
                found[context_key(name)] = Named("local", ignore=tuple(await self._ignore(value, main=False)))
        return found

    async def _ignore(self, context: c.Context, *, main: bool) -> list[str]:
        """What is ignored: the Dockerfile's own list counts before the context's."""
        request = self._request
        raw: bytes | None = None
        if main:
            source = request.dockerfile_context or context
            raw = await source.read(f"{request.filename}.dockerignore", _LARGEST_DOCKERFILE)
        if raw is None:
            raw = await context.read(".dockerignore", _LARGEST_DOCKERFILE)
        return read_ignore_file(raw.decode("utf-8", "surrogateescape")) if raw else []

    async def _whole(self, dockerfile: Dockerfile) -> None:
        request, options = self._request, self._request.options
        contexts = await self._contexts()
        locals_ = {
            context_key(name): value
            for name, value in request.contexts.items()
            if not isinstance(value, (c.ImageSource, c.UrlSource))
        }
        if request.context is not None:
            locals_[MAIN] = request.context
        plans = [
            await Converter(dockerfile, options, contexts, self._bases, self._lint, platform).plan()
            for platform in _platforms(options)
        ]
        self._warn(dockerfile)
        self._announce(plans)
        if options.check:
            self._tell(c.Built(at=time.time_ns(), images=[], warnings=len(self._told)))
            return
        worker = BuildWorker(self._hands, request, locals_, self._bases, self._fetcher)
        memory = await self._primed() if options.cache_from else None
        solver = Solver(self._workshop, worker, self._tell, memory)
        try:
            results = await asyncio.gather(*(self._solve(solver, plan) for plan in plans))
        finally:
            await solver.close()
        if options.arguments.get(ARGUMENT, "").lower() in ("1", "true", "t"):
            for plan in plans:
                plan.config = with_keys(plan.config, plan.node, solver.keys)
        await self._export(plans, results)

    async def _primed(self) -> Primed:
        """What the images of `cache_from` know; one that can't be had is no reason to fail."""
        known = []
        for name in self._request.options.cache_from:
            try:
                base = await self._bases.image(name, host().normalised(), pull=False)
                found = self._bases.found[base.manifest]
                await self._parts.images.unpack(found)
                known.append(read_keys(found))
            except (LodgeError, OSError) as error:
                _log.info("no cached steps from %s: %s", name, error)
        return Primed(self._workshop.memory, known)

    async def _solve(self, solver: Solver, plan: Plan) -> Rootfs:
        if plan.node is None:
            return Rootfs()
        result = await solver.solve(plan.node)
        assert isinstance(result, Rootfs)
        return result

    def _warn(self, dockerfile: Dockerfile) -> None:
        for finding in sorted(self._lint.findings, key=lambda each: each.lines):
            if finding in self._told:
                continue
            self._told.add(finding)
            self._tell(
                c.Warned(
                    at=time.time_ns(),
                    rule=finding.rule,
                    message=finding.message,
                    detail=finding.detail,
                    url=finding.url,
                    filename=dockerfile.filename,
                    lines=finding.lines,
                    source=dockerfile.text,
                )
            )
        if self._told and dockerfile.directives.checks_are_errors:
            raise InvalidArgument("lint violation found for rules: " + ", ".join(self._rules()))

    def _rules(self) -> list[str]:
        return sorted({finding.rule for finding in self._lint.findings})

    def _announce(self, plans: list[Plan]) -> None:
        nodes: dict[str, Node] = {}
        for plan in plans:
            nodes.update({node.step.id: node for node in plan.nodes})
        instructions = [each for plan in plans for each in plan.instructions]
        steps = [node.step for node in nodes.values()]
        self._tell(c.Planned(at=time.time_ns(), steps=steps, instructions=instructions))

    async def _export(self, plans: list[Plan], results: list[Rootfs]) -> None:
        request, call = self._request, self._parts.bridge.call
        exporter = Exporter(self._parts)
        step = c.Step(id=f"sha256:{os.urandom(32).hex()}", name="exporting to image", internal=True)
        self._tell(c.Started(at=time.time_ns(), step=step))
        try:
            made = [
                await call(exporter.image, plan, rootfs, request.options)
                for plan, rootfs in zip(plans, results, strict=True)
            ]
            target = await call(exporter.index, made)
            names: tuple[str, ...] = ()
            for output in request.outputs:
                if output.kind == "image":
                    own = await call(exporter.name, target, output.names)
                    names += own
                    if output.push:
                        await self._push(own, step.id)
                elif output.kind != "none":
                    await self._write(exporter, output, made, partial(exporter.archive, target))
        except BaseException as error:
            self._tell(c.Finished(at=time.time_ns(), step=step.id, error=str(error)))
            raise
        self._tell(c.Finished(at=time.time_ns(), step=step.id))
        self._tell(_built(plans, made, target.digest, names, len(self._told)))
        for name in names:
            self._parts.events.publish("image", "tag", made[0].config_digest, {"name": name})

    async def _push(self, names: tuple[str, ...], step: str) -> None:
        if not names:
            raise InvalidArgument("tag is needed when pushing to registry")
        for name in names:
            reference = Reference.parse_name(name)
            auth = await self._bases.auth(reference.domain)
            async for line in await self._images.push(reference.familiar(), platform=None, auth=auth):
                if line.error:
                    raise Unavailable(line.error)
                if line.id:
                    status = c.Status(
                        at=time.time_ns(), step=step, id=line.id, current=line.current, total=line.total
                    )
                    self._tell(status)

    async def _write(
        self,
        exporter: Exporter,
        output: c.Output,
        made: list[Made],
        archive: Callable[[tuple[str, ...], Callable[[bytes], object]], None],
    ) -> None:
        from lodge.engine.build.delivery import deliver

        names = tuple(output.names)
        if output.kind in ("docker", "oci"):
            await deliver(self._parts.bridge, self._request, output, partial(archive, names))
            return
        if len(made) > 1:
            raise InvalidArgument(f"an output of the type {output.kind} holds one platform only")
        tree = partial(exporter.tree, made[0].rootfs, place=output.kind)
        await deliver(self._parts.bridge, self._request, output, tree)


def _platforms(options: c.Options) -> list[Platform | None]:
    if not options.platforms:
        return [None]
    return [Platform.parse(text) for text in options.platforms]


def _built(
    plans: list[Plan], made: list[Made], digest: str, names: tuple[str, ...], warnings: int
) -> c.Built:
    images = [
        c.BuiltImage(
            platform=str(plan.platform),
            manifest=each.manifest.digest,
            config_digest=each.config_digest,
            config=each.config,
            chain=each.rootfs.chain,
        )
        for plan, each in zip(plans, made, strict=True)
    ]
    return c.Built(at=time.time_ns(), images=images, digest=digest, names=names, warnings=warnings)
