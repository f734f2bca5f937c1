"""Machines: what containers in them need. Endpoints of our own, for Docker has no such thing."""

from __future__ import annotations

from lodge.api.call import Call
from lodge.api.router import Route
from lodge.api.transfer import send_progress


def routes() -> list[Route]:
    """The table of this module."""
    return [
        Route("GET", "/lodge/vm", describe),
        Route("POST", "/lodge/vm/setup", setup),
    ]


async def describe(call: Call) -> None:
    """GET /lodge/vm: the hypervisors, and the kernel that machines boot ("" for none yet)."""
    machines = call.backend.machines
    call.reply({"Hypervisors": await machines.hypervisors(), "Kernel": await machines.kernel()})


async def setup(call: Call) -> None:
    """POST /lodge/vm/setup: fetch a kernel, or take one by path; lines of progress."""
    form = call.form
    items = await call.backend.machines.setup(kernel=form.text("kernel"), modules=form.text("modules"))
    await send_progress(call, items)
