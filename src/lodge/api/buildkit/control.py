"""The control service: what a client of BuildKit asks of the daemon itself.

Source: moby/buildkit, api/services/control. How errors look in gRPC is `faults`'.
"""

from __future__ import annotations

from typing import Any

from lodge.api.backend import Backend
from lodge.api.buildkit import messages as m
from lodge.api.buildkit.faults import answering
from lodge.api.buildkit.jobs import Jobs
from lodge.api.buildkit.progress import moment
from lodge.api.buildkit.protobuf import Message
from lodge.api.buildkit.transport import Service
from lodge.errors import Unsupported
from lodge.spec.platform import host
from lodge.wire import versions

_NAME = "moby.buildkit.v1.Control"
_SPOKEN = "v0.25.0"
"""The version of BuildKit whose protocol this is: clients choose what to ask by it."""


def version() -> Message:
    """Who serves."""
    return {"package": "lodge", "version": _SPOKEN, "revision": versions.ENGINE}


def worker() -> Message:
    """The one worker that there is: this engine."""
    platform = host()
    return {
        "ID": "lodge",
        "Labels": {
            "org.mobyproject.buildkit.worker.executor": "lodge",
            # From this one buildx knows that images of several platforms and archives can be made.
            "org.mobyproject.buildkit.worker.snapshotter": "lodge",
        },
        "platforms": [
            {"Architecture": platform.architecture, "OS": platform.os, "Variant": platform.variant or ""}
        ],
        "BuildkitVersion": version(),
    }


class Control:
    """The service over one backend."""

    def __init__(self, backend: Backend, jobs: Jobs) -> None:
        self._backend = backend
        self._jobs = jobs

    def service(self) -> Service:
        """Its methods."""
        made = Service(_NAME)
        made.unary("Solve", answering(self.solve), m.SOLVE_REQUEST, m.SOLVE_RESPONSE)
        made.telling("Status", answering(self.status), m.STATUS_REQUEST, m.STATUS_RESPONSE)
        made.unary("ListWorkers", answering(self.workers), m.LIST_WORKERS_REQUEST, m.LIST_WORKERS_RESPONSE)
        made.unary("Info", answering(self.info), m.EMPTY, m.INFO_RESPONSE)
        made.unary("DiskUsage", answering(self.disk_usage), m.DISK_USAGE_REQUEST, m.DISK_USAGE_RESPONSE)
        made.telling("Prune", answering(self.prune), m.PRUNE_REQUEST, m.USAGE_RECORD)
        return made

    async def solve(self, stream: Any) -> None:
        """Build. With a frontend at once; without one the client builds through the gateway, and returns."""
        asked = await stream.recv_message()
        job = self._jobs.get(asked["Ref"])
        if not job.asked.done():
            job.asked.set_result(asked)
        try:
            if asked["Frontend"]:
                await self._jobs.build(job, asked["Frontend"], asked["FrontendAttrs"])
            elif asked["Definition"] is not None and asked["Definition"]["def_"]:
                raise Unsupported(
                    "graphs of a client's own (LLB) are not solved here", hint="Dockerfiles are"
                )
            else:
                await job.returned
        finally:
            self._jobs.end(job)
        await stream.send_message({"ExporterResponse": job.response})

    async def status(self, stream: Any) -> None:
        """What happens in a build, until it has ended."""
        job = self._jobs.get((await stream.recv_message())["Ref"])
        told = 0
        while True:
            job.news.clear()
            while told < len(job.updates):
                await stream.send_message(job.updates[told])
                told += 1
            if job.ended and told == len(job.updates):
                return
            await job.news.wait()

    async def workers(self, stream: Any) -> None:
        """Who builds here."""
        await stream.recv_message()
        await stream.send_message({"record": [worker()]})

    async def info(self, stream: Any) -> None:
        """Which version this is like."""
        await stream.recv_message()
        await stream.send_message({"buildkitVersion": version()})

    async def disk_usage(self, stream: Any) -> None:
        """The entries of the build cache."""
        asked = await stream.recv_message()
        if any(asked["filter"]):
            raise Unsupported("filters of the disk usage are not supported")
        await stream.send_message({"record": [_record(each) for each in self._backend.builds.records()]})

    async def prune(self, stream: Any) -> None:
        """Remove entries of the build cache; each that went is told."""
        asked = await stream.recv_message()
        filters: dict[str, list[str]] = {}
        for text in filter(None, asked["filter"]):
            key, _, value = text.partition("=")
            filters.setdefault(key.rstrip("~="), []).append(value.lstrip("="))
        known = {each.id: each for each in self._backend.builds.records()}
        pruned = await self._backend.builds.prune(
            filters, all=asked["all"], keep=asked["reservedSpace"], most=asked["maxUsedSpace"]
        )
        for gone in pruned.deleted:
            await stream.send_message(_record(known[gone]) if gone in known else {"ID": gone})


def _record(record: Any) -> Message:
    made: Message = {
        "ID": record.id,
        "InUse": record.in_use,
        "Size": record.size,
        "CreatedAt": moment(record.created_at),
        "UsageCount": record.uses,
        "Description": record.description,
        "RecordType": record.kind,
        "Shared": record.shared,
        "Parents": [record.parent] if record.parent else [],
    }
    if record.used_at:
        made["LastUsedAt"] = moment(record.used_at)
    return made
