"""A comparison as one HTML page with its charts drawn in it: no script, nothing fetched. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from lodge.cli.comparing.measure import APARTMENT, HOUSE
from lodge.cli.comparing.probes import PROBES
from lodge.cli.comparing.report import STAGES, hypervisor, megabytes, middle, rows, times

_WIDTH = 720
_LABEL = 170
_BAR = 20
_COLOURS = {APARTMENT: "var(--one)", HOUSE: "var(--other)", "host": "var(--host)"}
_STYLE = """
:root { --one: #2f7f86; --other: #c8632e; --host: #9aa3a8; --ink: #1d2629; --soft: #5d6a6e;
        --paper: #fbfaf7; --line: #e3dfd6; --card: #ffffff; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --one: #5fb6bd; --other: #e58a55; --host: #7b858a; --ink: #e8e6e1; --soft: #a3adb0;
          --paper: #171b1d; --line: #2c3335; --card: #1f2527; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 48px 24px 80px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; }
h2 { font-size: 20px; margin: 48px 0 4px; }
p { margin: 0 0 16px; color: var(--soft); max-width: 62ch; }
code { font: 14px ui-monospace, "SF Mono", Menlo, monospace; color: var(--ink); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 12px;
           margin: 28px 0; }
.figure { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px; }
.figure b { display: block; font-size: 26px; font-weight: 650; }
.figure span { color: var(--soft); font-size: 14px; }
.key { display: flex; gap: 20px; color: var(--soft); font-size: 14px; margin: 8px 0 12px; }
.key i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 7px; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 13px system-ui, sans-serif; fill: var(--ink); }
svg .soft { fill: var(--soft); }
.dwellings { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 8px 10px; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
th { color: var(--soft); font-weight: 550; }
@media (max-width: 620px) { .dwellings { grid-template-columns: 1fr; } }
"""


def page(result: dict[str, Any]) -> str:
    """The whole page."""
    command = " ".join(result["command"]) or "the image's own command"
    body = [
        "<h1>The same image in two dwellings</h1>",
        (
            f"<p><code>{escape(result['image'])}</code> running <code>{escape(command)}</code>, "
            f"{len(result['runs'][APARTMENT])} times in each, in turns, on this very machine;"
            f" the machine by {escape(hypervisor(result))}.</p>"
        ),
        _headline(result),
        "<h2>From the order to the end</h2>",
        (
            "<p>Medians of all rounds, in milliseconds. A container is a process of the host's kernel;"
            " a machine is a copy of one that was booted before, with a kernel of its own.</p>"
        ),
        _key((APARTMENT, HOUSE)),
        _stages(result),
        *_workloads(result),
        "<h2>What stands between the program and the host</h2>",
        _drawing(result),
        "<h2>All figures</h2>",
        _table(result),
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Container and machine: {escape(result['image'])}</title><style>{_STYLE}</style>"
    )
    content = f"<head>{head}</head><body><main>{''.join(body)}</main></body>"
    return f'<!doctype html><html lang="en">{content}</html>\n'


def _headline(result: dict[str, Any]) -> str:
    first = [middle(result, name, "first_output") for name in (APARTMENT, HOUSE)]
    figures = [(f"{first[1]:.0f} ms", f"to a machine's first output; a container's: {first[0]:.0f} ms")]
    memory = [result["facts"][name].get("memory") for name in (APARTMENT, HOUSE)]
    if all(memory):
        figures.append(
            (megabytes(memory[1]), f"of the host for a machine; a container: {megabytes(memory[0])}")
        )
    execs = [result["facts"][name].get("exec_ms") for name in (APARTMENT, HOUSE)]
    if all(execs):
        figures.append((f"{execs[1]:.0f} ms", f"for one more program in it; a container: {execs[0]:.0f} ms"))
    cards = "".join(f'<div class="figure"><b>{a}</b><span>{escape(b)}</span></div>' for a, b in figures)
    return f'<div class="figures">{cards}</div>'


def _key(names: tuple[str, ...]) -> str:
    parts = (f'<span><i style="background:{_COLOURS[name]}"></i>{name}</span>' for name in names)
    return f'<div class="key">{"".join(parts)}</div>'


def _stages(result: dict[str, Any]) -> str:
    groups = [
        (words, [(name, middle(result, name, stage), "ms") for name in (APARTMENT, HOUSE)])
        for stage, words in STAGES
    ]
    return _bars(groups, max(value for _, bars in groups for _, value, _ in bars))


def _workloads(result: dict[str, Any]) -> Iterator[str]:
    found = result["probes"]
    if not found[HOUSE]:
        return
    yield "<h2>Workloads, against the host itself</h2>"
    yield "<p>Each bar is a share of the host's own speed: 100 % is what it does without any wall.</p>"
    yield _key((APARTMENT, HOUSE))
    groups = []
    for probe in PROBES:
        host = found["host"].get(probe.name)
        if host and all(probe.name in found[name] for name in (APARTMENT, HOUSE)):
            bars = [(name, 100 * found[name][probe.name] / host, "%") for name in (APARTMENT, HOUSE)]
            groups.append((probe.name, bars))
    yield _bars(groups, max([100.0, *(value for _, bars in groups for _, value, _ in bars)]))


def _bars(groups: list[tuple[str, list[tuple[str, float, str]]]], largest: float) -> str:
    """Horizontal bars in groups, each with its value behind it."""
    parts: list[str] = []
    y = 4
    room = _WIDTH - _LABEL - 90
    for words, bars in groups:
        middle_of = y + len(bars) * (_BAR + 3) / 2 + 4
        parts.append(f'<text x="0" y="{middle_of:.0f}">{escape(words)}</text>')
        for name, value, unit in bars:
            width = max(2.0, room * value / (largest or 1))
            parts.append(
                f'<rect x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="3" '
                f'fill="{_COLOURS[name]}"/>'
                f'<text class="soft" x="{_LABEL + width + 8:.1f}" y="{y + 15}">{value:,.0f} {unit}</text>'
            )
            y += _BAR + 3
        y += 12
    return f'<svg viewBox="0 0 {_WIDTH} {y}" role="img">{"".join(parts)}</svg>'


def _drawing(result: dict[str, Any]) -> str:
    insides = [result["facts"][name].get("inside") or {} for name in (APARTMENT, HOUSE)]
    kernels = [inside.get("kernel", "") for inside in insides]
    host = str(result["host"]["kernel"])
    container = [
        ("the program", "capabilities cut, system calls filtered", APARTMENT),
        (f"the host's kernel {host}", "namespaces, control groups: shared by all", "host"),
        ("the host's processor", "", "host"),
    ]
    machine = [
        ("the program", "the same walls inside", HOUSE),
        (f"a kernel of its own {kernels[1]}", "its bugs are its own", HOUSE),
        ("a hypervisor without rights", "a user of its own, no capability, few calls", HOUSE),
        (f"the host's kernel {host}", "", "host"),
    ]
    return f'<div class="dwellings">{_stack("Container", container)}{_stack("Machine", machine)}</div>'


def _stack(title: str, layers: list[tuple[str, str, str]]) -> str:
    parts = [f'<text x="0" y="16" font-weight="600">{title}</text>']
    for number, (words, under, owner) in enumerate(layers):
        y = 28 + number * 62
        parts.append(
            f'<rect x="1" y="{y}" width="358" height="54" rx="8" fill-opacity="0.16" '
            f'fill="{_COLOURS[owner]}" stroke="{_COLOURS[owner]}"/>'
            f'<text x="14" y="{y + 23}">{escape(words)}</text>'
            f'<text class="soft" x="14" y="{y + 42}">{escape(under)}</text>'
        )
    return f'<svg viewBox="0 0 360 {28 + len(layers) * 62}" role="img">{"".join(parts)}</svg>'


def _table(result: dict[str, Any]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("", "container", "machine", "host", "ratio"))
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows(result)
    )
    first = [result["facts"][name]["first_run"]["ended"] for name in (APARTMENT, HOUSE)]
    note = (
        f"<p>The very first run of each, with cold caches: {first[0]:.0f} ms and {first[1]:.0f} ms"
        f" ({times(first[1], first[0])}).</p>"
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{note}'
