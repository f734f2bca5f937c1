"""The gateway service: buildx runs a small frontend of its own, which asks for the real one through here.

Source: moby/buildkit, frontend/gateway/pb. Of it what a Dockerfile needs: a client that asks for more is told
so by the capabilities that are not listed.
"""

from __future__ import annotations

import os
from typing import Any

from lodge.api.buildkit import messages as m
from lodge.api.buildkit.control import worker
from lodge.api.buildkit.faults import answering, returned_error
from lodge.api.buildkit.jobs import Job, Jobs
from lodge.api.buildkit.transport import Service

_NAME = "moby.buildkit.v1.frontend.LLBBridge"
_JOB = "buildkit-controlapi-buildid"
_FRONTEND_CAPABILITIES = (
    "solve.base", "solve.inlinereturn", "return", "returnmap", "proto.refarray", "gateway.solve.metadata",
    "frontend.caps", "gateway.solve.evaluate", "gateway.evaluate", "gateway.warnings", "importcaches",
)  # fmt: skip
_GRAPH_CAPABILITIES = (
    "source.image", "source.local", "source.local.unique", "source.local.sessionid",
    "source.local.includepatterns", "source.local.followpaths", "source.local.excludepatterns",
    "source.local.sharedkeyhint", "source.git", "source.http", "exec.meta.base", "exec.mount.bind",
    "exec.mount.cache", "exec.mount.secret", "exec.mount.ssh", "file.base", "platform", "meta.description",
    "exporter.image.annotations", "exporter.sourcedateepoch", "exporter.multiple",
)  # fmt: skip


class Gateway:
    """The service over the jobs."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def service(self) -> Service:
        """Its methods."""
        made = Service(_NAME)
        made.unary("Ping", answering(self.ping), m.EMPTY, m.PONG)
        made.unary("Solve", answering(self.solve), m.FRONTEND_SOLVE_REQUEST, m.FRONTEND_SOLVE_RESPONSE)
        made.unary("Return", answering(self.back), m.RETURN_REQUEST, m.EMPTY)
        made.unary("Evaluate", answering(self.nothing), m.EMPTY, m.EMPTY)
        made.unary("Warn", answering(self.warn), m.WARN_REQUEST, m.EMPTY)
        return made

    def _job(self, stream: Any) -> Job:
        return self._jobs.get(stream.metadata.get(_JOB, ""))

    async def ping(self, stream: Any) -> None:
        """What can be asked for."""
        await stream.recv_message()
        await stream.send_message(
            {
                "FrontendAPICaps": [{"ID": name, "Enabled": True} for name in _FRONTEND_CAPABILITIES],
                "LLBCaps": [{"ID": name, "Enabled": True} for name in _GRAPH_CAPABILITIES],
                "Workers": [worker()],
            }
        )

    async def solve(self, stream: Any) -> None:
        """Build, and give a name for the result."""
        asked = await stream.recv_message()
        job = self._job(stream)
        if not asked["Frontend"]:
            await stream.send_message({"result": {"ref": {"id": ""}}})
            return
        metadata = await self._jobs.build(job, asked["Frontend"], asked["FrontendOpt"])
        await stream.send_message({"result": {"ref": {"id": os.urandom(12).hex()}, "metadata": metadata}})

    async def back(self, stream: Any) -> None:
        """The client's frontend has ended, well or not: its Solve may answer."""
        asked = await stream.recv_message()
        job = self._job(stream)
        if not job.returned.done():
            error = asked["error"]
            if error is not None and error["code"]:
                job.returned.set_exception(returned_error(error))
            else:
                job.returned.set_result(None)
        await stream.send_message({})

    async def nothing(self, stream: Any) -> None:
        """All is built by the time that its name is known."""
        await stream.recv_message()
        await stream.send_message({})

    async def warn(self, stream: Any) -> None:
        """A warning of the client's frontend, for the status."""
        warned = await stream.recv_message()
        warned["vertex"] = warned.pop("digest")
        self._job(stream).tell({"warnings": [warned]})
        await stream.send_message({})
