"""A comparison: its figures, the table, the page."""

from html.parser import HTMLParser
from typing import Any

import pytest

from lodge.cli.comparing import measure, page, report
from lodge.cli.comparing.probes import PROBES


def run(first: float) -> dict[str, float]:
    return {"created": 1.0, "started": 5.0, "first_output": first, "ended": first + 1}


@pytest.fixture
def result() -> dict[str, Any]:
    inside = {"kernel": "6.1 <own>", "devices": "14", "capabilities": "a80425fb"}
    return {
        "image": "busy<box>",
        "command": ["echo", "hi"],
        "host": {"kernel": "6.18"},
        "runs": {"container": [run(10), run(30), run(20)], "machine": [run(100), run(300), run(200)]},
        "probes": {
            name: {probe.name: float(speed) for probe in PROBES}
            for name, speed in (("container", 90), ("machine", 30), ("host", 100))
        },
        "facts": {
            "container": {
                "first_run": run(40),
                "memory": 5_000_000,
                "exec_ms": 10.0,
                "disk": 0,
                "inside": inside,
            },
            "machine": {
                "first_run": run(400),
                "memory": 50_000_000,
                "exec_ms": 60.0,
                "disk": 9,
                "inside": inside,
            },
        },
    }


def test_the_table_shows_medians_and_ratios(result: dict[str, Any]) -> None:
    lines = report.lines(result)
    [first] = [line for line in lines if line.startswith("first output")]
    assert first.split() == ["first", "output", "20", "ms", "200", "ms", "10", "x"]
    assert any("memory of the host" in line and "50.0 MB" in line for line in lines)


def test_the_page_is_whole_and_escapes_what_it_shows(result: dict[str, Any]) -> None:
    text = page.page(result)
    assert "busy&lt;box&gt;" in text
    assert "<own>" not in text
    assert "http" not in text
    open_tags: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag not in ("meta", "rect"):
                open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag not in ("meta", "rect"):
                assert open_tags.pop() == tag

    Checker().feed(text)
    assert not open_tags


def test_a_page_without_workloads_is_still_a_page(result: dict[str, Any]) -> None:
    result["probes"] = {"container": {}, "machine": {}, "host": {}}
    for facts in result["facts"].values():
        for key in ("memory", "exec_ms", "inside", "disk"):
            del facts[key]
    assert "first output" in page.page(result)


def test_a_clocked_script_says_its_own_time() -> None:
    assert measure.seconds("noise\r\n12.50 13.75\r\n") == 1.25
    assert measure.seconds("sh: dd: not found") is None
    assert measure.inside("6.1\n 14\nCapEff:\t00ff\nSeccomp:\t2\n20\n") == {
        "kernel": "6.1", "devices": "14", "capabilities": "00ff", "filter": "2", "mounts": "20",
    }  # fmt: skip
