"""Builds that clients of BuildKit have underway: a job for each, of which several calls of the client speak.

Solve of the control service opens it and waits; Solve of the gateway builds; Return says how it went; Status
tells of it meanwhile. They may come in any order.
"""

from __future__ import annotations

import asyncio
import base64
import os
from typing import TYPE_CHECKING

import msgspec

from lodge.api.backend import Backend, BuildContext
from lodge.api.buildkit import requests
from lodge.api.buildkit.filesync import Sink, SyncedContext, send_tree
from lodge.api.buildkit.lint import Findings
from lodge.api.buildkit.progress import Progress
from lodge.api.buildkit.protobuf import Message
from lodge.api.buildkit.sessions import Session, Sessions
from lodge.build import contract as c
from lodge.errors import NotFound, Unsupported

if TYPE_CHECKING:
    from lodge.build.contract import BuildRequest, Built

_PATIENCE = 5.0
_LINGER = 5.0
_FRONTENDS = ("dockerfile.v0", "gateway.v0")


class Job:
    """One build of one client."""

    def __init__(self, ref: str) -> None:
        self.ref = ref
        self.response: dict[str, str] = {}
        self.updates: list[Message] = []
        self.news = asyncio.Event()
        self.ended = False
        loop = asyncio.get_running_loop()
        self.asked: asyncio.Future[Message] = loop.create_future()
        self.returned: asyncio.Future[None] = loop.create_future()

    def tell(self, update: Message) -> None:
        """Something for the status."""
        self.updates.append(update)
        self.news.set()

    def end(self) -> None:
        """Nothing more comes."""
        self.ended = True
        self.news.set()


class Jobs:
    """All of them, by the reference that the client chose."""

    def __init__(self, backend: Backend, sessions: Sessions) -> None:
        self._backend = backend
        self._sessions = sessions
        self._jobs: dict[str, Job] = {}

    def get(self, ref: str) -> Job:
        """One; made when this is the first to be heard of it."""
        if not ref:
            raise NotFound("no such job")
        if ref not in self._jobs:
            self._jobs[ref] = Job(ref)
        return self._jobs[ref]

    def end(self, job: Job) -> None:
        """It is over; what was told of it can be read for a moment."""
        job.end()
        loop = asyncio.get_running_loop()
        loop.call_later(_LINGER, lambda: self._jobs.pop(job.ref, None))

    async def build(self, job: Job, frontend: str, attributes: dict[str, str]) -> dict[str, bytes]:
        """Build with the job's outputs; gives the metadata of the result."""
        if frontend not in _FRONTENDS:
            raise Unsupported(f"the frontend {frontend!r} is not supported", hint="Dockerfiles are built")
        async with asyncio.timeout(_PATIENCE):
            asked = await asyncio.shield(job.asked)
        session = await self._sessions.get(asked["Session"])
        work = _Work(self._backend, job, session, asked)
        try:
            return await work.run(attributes)
        finally:
            work.close()


class _Work:
    """One run of the Dockerfile frontend."""

    def __init__(self, backend: Backend, job: Job, session: Session, asked: Message) -> None:
        self._backend = backend
        self._job = job
        self._session = session
        self._asked = asked
        self._contexts: dict[str, SyncedContext] = {}
        self._progress = Progress()
        self._scratch = ""

    def close(self) -> None:
        for context in self._contexts.values():
            context.close()
        if self._scratch:
            self._backend.builds.scratch.drop(self._scratch)

    def _tree(self, name: str) -> SyncedContext:
        if name not in self._contexts:
            self._contexts[name] = SyncedContext(self._session, name, self._backend.builds.trees)
        return self._contexts[name]

    async def run(self, attributes: dict[str, str]) -> dict[str, bytes]:
        check_only = attributes.get("requestid", "")
        if check_only not in ("", "frontend.lint"):
            raise Unsupported(f"the request {check_only} of the frontend is not supported")
        exporters = [] if check_only else self._exporters()
        request = requests.build_request(attributes, exporters, self._asked["Entitlements"], self._tree)
        request.options.cache_from = _cache_sources(self._asked["Cache"])
        request.secrets, request.agents = self._session, self._session
        request.login = self._session.credentials
        remote = await self._bring(attributes, request)
        sink = self._outputs(request)
        findings = Findings()
        try:
            async for event in self._backend.builds.build(request, self._job.ref):
                findings.take(event)
                self._tell(event)
                if isinstance(event, c.Built):
                    self._job.response |= _response(event)
        except BaseException as error:
            if sink is not None:
                await sink.end(error)
            raise
        finally:
            if remote is not None:
                remote.close()
        if sink is not None:
            await sink.end()
        await self._send_trees(request)
        return findings.metadata() if check_only else {}

    def _exporters(self) -> list[Message]:
        if self._asked["Exporters"]:
            return list(self._asked["Exporters"])
        if self._asked["ExporterDeprecated"]:
            kind, attributes = self._asked["ExporterDeprecated"], self._asked["ExporterAttrsDeprecated"]
            return [{"Type": kind, "Attrs": attributes}]
        return []

    async def _bring(self, attributes: dict[str, str], request: BuildRequest) -> BuildContext | None:
        """A main context that is no tree of the client: of the web, of git, or a stream of the client."""
        if upload := requests.uploaded(attributes):
            path = os.path.join(self._make_scratch(), "upload")
            await self._session.upload(upload, path)
            with open(path, "rb", buffering=0) as file:
                return await self._backend.builds.receive(file, "", request)
        if remote := requests.remote(attributes):
            return await self._backend.builds.receive(_Nothing(), remote, request)
        return None

    def _make_scratch(self) -> str:
        if not self._scratch:
            self._scratch = self._backend.builds.scratch.make("client")
        return self._scratch

    def _outputs(self, request: BuildRequest) -> Sink | None:
        """Where archives and trees go on their way to the client."""
        sink: Sink | None = None
        made = []
        for number, output in enumerate(request.outputs):
            if output.kind == "local":
                place = os.path.join(self._make_scratch(), str(number))
                output = msgspec.structs.replace(output, destination=place)
            elif output.kind in ("docker", "oci", "tar"):
                if sink is not None:
                    raise Unsupported("more than one archive of one build is not supported")
                sink = Sink(self._session, number)
                request.sink = sink
            made.append(output)
        request.outputs = tuple(made)
        return sink

    async def _send_trees(self, request: BuildRequest) -> None:
        for number, output in enumerate(request.outputs):
            if output.kind == "local":
                await send_tree(self._session, output.destination, number)

    def _tell(self, event: c.BuildEvent) -> None:
        if (update := self._progress.update(event)) is not None:
            self._job.tell(update)


class _Nothing:
    """A body without a byte."""

    def read(self, size: int = -1, /) -> bytes:
        """Nothing."""
        del size
        return b""


def _cache_sources(wanted: Message | None) -> tuple[str, ...]:
    """The images whose steps count as known; Unsupported for caches that this engine does not keep."""
    if wanted is None:
        return ()
    if wanted["Exports"]:
        kind = wanted["Exports"][0]["Type"]
        raise Unsupported(f"exporting the build cache as {kind!r} is not supported")
    found = list(wanted["ImportRefsDeprecated"])
    for entry in wanted["Imports"]:
        if entry["Type"] != "registry":
            raise Unsupported(f"importing a build cache from {entry['Type']!r} is not supported")
        found.append(entry["Attrs"].get("ref", ""))
    return tuple(ref for ref in found if ref)


def _response(built: Built) -> dict[str, str]:
    """What the exporters say of the image."""
    if not built.digest:
        return {}
    config = built.images[0].config_digest if len(built.images) == 1 else ""
    found = {"containerimage.digest": built.digest, "image.name": ",".join(built.names)}
    if config:
        found["containerimage.config.digest"] = config
    descriptor = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": built.digest,
        "size": 0,
    }
    if len(built.images) > 1:
        descriptor["mediaType"] = "application/vnd.oci.image.index.v1+json"
    found["containerimage.descriptor"] = base64.b64encode(msgspec.json.encode(descriptor)).decode()
    return {key: value for key, value in found.items() if value}
