"""A comparison as a table for the terminal: what was found, side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

from lodge.cli.comparing.measure import APARTMENT, HOUSE
from lodge.cli.comparing.probes import PROBES

STAGES = (
    ("created", "container made"),
    ("started", "program started"),
    ("first_output", "first output"),
    ("ended", "end"),
)


def middle(result: dict[str, Any], name: str, stage: str) -> float:
    """The median of a stage of all rounds, in milliseconds."""
    runs = result["runs"][name]
    return median(run[stage] for run in runs) if runs else 0.0


def rows(result: dict[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """What, of a container, of a machine, of the host, and the machine's over the container's."""
    for stage, words in STAGES:
        one, other = (middle(result, name, stage) for name in (APARTMENT, HOUSE))
        yield words, f"{one:.0f} ms", f"{other:.0f} ms", "", times(other, one)
    one, other = (result["facts"][name].get("exec_ms") for name in (APARTMENT, HOUSE))
    if one and other:
        yield "exec in it", f"{one:.0f} ms", f"{other:.0f} ms", "", times(other, one)
    for key, words in (("memory", "memory of the host"), ("disk", "disk taken")):
        one, other = (result["facts"][name].get(key) for name in (APARTMENT, HOUSE))
        if one is not None and other is not None:
            yield words, megabytes(one), megabytes(other), "", times(other, one)
    for probe in PROBES:
        values = [result["probes"][name].get(probe.name) for name in (APARTMENT, HOUSE, "host")]
        if values[0] and values[1]:
            cells = [f"{value:,.0f}" if value else "" for value in values]
            yield f"{probe.name} ({probe.unit})", cells[0], cells[1], cells[2], times(values[1], values[0])
    yield from _surface(result)


def _surface(result: dict[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    insides = [result["facts"][name].get("inside") or {} for name in (APARTMENT, HOUSE)]
    for key, words in (
        ("kernel", "kernel that answers"),
        ("devices", "entries in /dev"),
        ("capabilities", "capabilities"),
    ):
        if all(key in inside for inside in insides):
            host = result["host"]["kernel"] if key == "kernel" else ""
            yield words, insides[0][key], insides[1][key], host, ""
    yield "behind it", "the host's kernel", hypervisor(result), "", ""


def hypervisor(result: dict[str, Any]) -> str:
    """The hypervisor's name, and whether it has the processor's help."""
    name = result["host"].get("hypervisor") or "a hypervisor"
    return f"{name} (every instruction emulated)" if name.endswith("tcg") else str(name)


def times(value: float, of: float) -> str:
    """A ratio for people."""
    return f"{value / of:.2g} x" if of else ""


def megabytes(count: float) -> str:
    """Bytes for people."""
    return f"{count / 1e6:.1f} MB"


def lines(result: dict[str, Any]) -> list[str]:
    """The table."""
    table = [("", "CONTAINER", "MACHINE", "HOST", "MACHINE / CONTAINER"), *rows(result)]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
