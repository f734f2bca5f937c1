"""The daemon's log on standard error: Docker's text format (logfmt) or JSON lines."""

from __future__ import annotations

import json
import logging
import sys
import time

_LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40, "fatal": 50}
_NAMES = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "fatal"}


class _Format(logging.Formatter):
    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        nanoseconds = int(record.created * 1_000_000) * 1000
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        found = {
            "time": f"{seconds}.{nanoseconds % 1_000_000_000:09d}Z",
            "level": _NAMES.get(record.levelno, "info"),
            "msg": record.getMessage(),
            "module": record.name.removeprefix("lodge."),
        }
        if record.exc_info:
            found["error"] = self.formatException(record.exc_info)
        return found


class TextFormat(_Format):
    """`time="..." level=info msg="..."`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return " ".join(f"{name}={_quoted(value)}" for name, value in self.fields(record).items())


class JsonFormat(_Format):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return json.dumps(self.fields(record))


def _quoted(value: str) -> str:
    plain = value and all(c.isalnum() or c in "-._/@^+" for c in value)
    return value if plain else json.dumps(value)


def set_up(level: str, format: str) -> None:
    """Log to standard error from now on; can be called again."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormat() if format == "json" else TextFormat())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)


def set_level(level: str) -> None:
    """Change what is worth a line."""
    logging.getLogger().setLevel(_LEVELS[level])
    logging.getLogger("asyncio").setLevel(logging.WARNING)
