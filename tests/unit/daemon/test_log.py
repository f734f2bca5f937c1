"""Lines of the daemon's log."""

from __future__ import annotations

import json
import logging

from lodge.daemon.log import JsonFormat, TextFormat


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("lodge.api", logging.WARNING, "f", 1, message, None, None)


def test_text() -> None:
    line = TextFormat().format(record('say "hi"\n'))
    assert ' level=warning msg="say \\"hi\\"\\n" module=api' in line
    assert line.startswith('time="20')


def test_json() -> None:
    found = json.loads(JsonFormat().format(record("hi")))
    assert (found["level"], found["msg"], found["module"]) == ("warning", "hi", "api")
