"""Progress of pulls: lines where nobody looks, rows on a terminal."""

import io
from collections.abc import Generator

import pytest

from lodge.cli.progress import draw_bar, show_progress
from lodge.client.failures import Failed

MESSAGES = [
    {"status": "Pulling", "id": "app"},
    {"status": "Downloading", "id": "one", "progressDetail": {"current": 5, "total": 10}},
    {"status": "Done", "id": "one", "progressDetail": {}},
    {"aux": {"ID": "sha256:x"}},
    {"stream": "Loaded image: app\n"},
    {"status": "Finished"},
]


def one_by_one(messages: list[dict[str, object]]) -> Generator[dict[str, object], None, None]:
    yield from messages


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_progress(one_by_one(MESSAGES)) == [{"ID": "sha256:x"}]
    assert capsys.readouterr().out == "app: Pulling\none: Done\nLoaded image: app\nFinished\n"
    assert show_progress(one_by_one(MESSAGES), quiet=True) == [{"ID": "sha256:x"}]
    assert capsys.readouterr().out == ""


def test_rows_are_redrawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    show_progress(one_by_one(MESSAGES[:3]))
    text = screen.getvalue()
    assert text.count("\n") == 2
    assert "\x1b[1A\x1b[2K\rone: Done" in text
    assert "[=========================>" in text


@pytest.mark.parametrize("message", [{"errorDetail": {"message": "no space"}}, {"error": "no space"}])
def test_an_error_in_the_stream_is_an_error(message: dict[str, object]) -> None:
    with pytest.raises(Failed, match="no space"):
        show_progress(one_by_one([message]))


@pytest.mark.parametrize(
    ("detail", "text"),
    [
        ({"current": 0, "total": 10}, "[>                                                 ]        0B/10B"),
        ({"current": 10, "total": 10}, "[==================================================>]       10B/10B"),
        ({"current": 2048}, "2.048kB"),
        ({"current": 20, "total": 10}, "20B"),
        ({"current": 2, "total": 5, "units": "packages"}, "2/5 packages"),
        ({"current": 2, "units": "s"}, "2 s"),
        ({}, ""),
    ],
)
def test_bars(detail: dict[str, object], text: str) -> None:
    assert draw_bar(detail) == text
