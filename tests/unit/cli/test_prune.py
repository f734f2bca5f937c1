"""Prune verbs: the question, what is asked of the engine, and the report."""

import io

import pytest

from tests.unit.cli.conftest import Lodge
from tests.unit.fake_engine import FakeEngine, Reply


@pytest.fixture
def prunable(engine: FakeEngine) -> FakeEngine:
    engine.on("POST", "/containers/prune", Reply({"ContainersDeleted": ["c1"], "SpaceReclaimed": 1000}))
    images = [{"Untagged": "a:b"}, {"Deleted": "sha256:x"}]
    engine.on("POST", "/images/prune", Reply({"ImagesDeleted": images, "SpaceReclaimed": 2_000_000}))
    engine.on("POST", "/volumes/prune", Reply({"VolumesDeleted": None, "SpaceReclaimed": 0}))
    engine.on("POST", "/networks/prune", Reply({"NetworksDeleted": ["n1"]}))
    return engine


@pytest.mark.parametrize(
    ("words", "filters", "out"),
    [
        (["container", "prune", "-f"], None, "Deleted Containers:\nc1\n\nTotal reclaimed space: 1kB\n"),
        (
            ["image", "prune", "-f"],
            '{"dangling":["true"]}',
            "Deleted Images:\nuntagged: a:b\ndeleted: sha256:x\n\nTotal reclaimed space: 2MB\n",
        ),
        (["volume", "prune", "-f"], None, "Total reclaimed space: 0B\n"),
        (["volume", "prune", "-af"], '{"all":["true"]}', "Total reclaimed space: 0B\n"),
        (["network", "prune", "-f", "--filter", "until=1h"], '{"until":["1h"]}', "Deleted Networks:\nn1\n\n"),
    ],
)
def test_reports(lodge: Lodge, prunable: FakeEngine, words: list[str], filters: str | None, out: str) -> None:
    result = lodge(*words)
    assert (result.code, result.out) == (0, out)
    assert prunable.requests[0].query.get("filters") == filters


def test_everything_at_once(lodge: Lodge, prunable: FakeEngine) -> None:
    result = lodge("system", "prune", "-af", "--volumes")
    assert [request.path for request in prunable.requests] == [
        "/containers/prune",
        "/networks/prune",
        "/volumes/prune",
        "/images/prune",
    ]
    assert prunable.requests[-1].query["filters"] == '{"dangling":["false"]}'
    assert result.out.endswith("Total reclaimed space: 2.001MB\n")


@pytest.mark.parametrize(("answer", "asked"), [("y\n", 1), ("YES\n", 1), ("n\n", 0), ("", 0), ("what\n", 0)])
def test_nothing_is_removed_without_a_yes(
    lodge: Lodge, prunable: FakeEngine, monkeypatch: pytest.MonkeyPatch, answer: str, asked: int
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    result = lodge("container", "prune")
    assert result.out.startswith("WARNING! This will remove all stopped containers.\nAre you sure")
    assert len(prunable.requests) == asked
    assert result.code == (0 if asked else 1)
    if not asked:
        assert result.err == "container prune has been cancelled\n"
