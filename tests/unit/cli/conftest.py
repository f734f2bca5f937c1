"""What the tests of this room stand on: an engine that answers from a table, the command run in process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lodge.cli.main import run
from tests.unit.fake_engine import FakeEngine, fake_engine


class Result:
    """What a command line gave."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


Lodge = Callable[..., Result]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with fake_engine(tmp_path) as server:
        yield server


@pytest.fixture
def lodge(engine: FakeEngine, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lodge:
    """`lodge("ps", "-a")` against the fake engine."""
    monkeypatch.setenv("DOCKER_CONFIG", "/nonexistent")

    def call(*arguments: str) -> Result:
        capfd.readouterr()
        code = run(["-H", engine.host, *arguments])
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return call
