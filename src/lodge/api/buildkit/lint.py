"""The result of `--check`, as clients of BuildKit print it: texts and a JSON document.

Source: moby/buildkit, frontend/subrequests/lint (version 1 of its result).
"""

from __future__ import annotations

import base64

import msgspec

from lodge.build import contract as c
from lodge.build.failures import excerpt

_VERSION = b"1.0.0"


class Findings:
    """Collects what a build's checks found."""

    def __init__(self) -> None:
        self._warnings: list[c.Warned] = []

    def take(self, event: c.BuildEvent) -> None:
        """Look at an event."""
        if isinstance(event, c.Warned):
            self._warnings.append(event)

    def metadata(self) -> dict[str, bytes]:
        """The result's metadata."""
        return {
            "version": _VERSION,
            "result.json": msgspec.json.encode(self._document()),
            "result.txt": self._text().encode(),
            "result.statuscode": b"1" if self._warnings else b"0",
        }

    def _document(self) -> dict[str, object]:
        sources: dict[str, c.Warned] = {}
        for each in self._warnings:
            sources.setdefault(each.filename, each)
        numbers = {name: number for number, name in enumerate(sources)}
        return {
            "warnings": [
                {
                    "ruleName": each.rule,
                    "description": each.message,
                    "url": each.url,
                    "detail": each.detail,
                    "location": {
                        "sourceIndex": numbers[each.filename],
                        "ranges": [{"start": {"line": each.lines[0]}, "end": {"line": each.lines[1]}}],
                    },
                }
                for each in self._warnings
            ],
            "sources": [
                {
                    "filename": name,
                    "data": base64.b64encode(each.source.encode("utf-8", "surrogateescape")).decode(),
                    "language": "Dockerfile",
                }
                for name, each in sources.items()
            ],
        }

    def _text(self) -> str:
        lines = []
        for each in self._warnings:
            lines.append(f"\nWARNING: {each.rule}{f' - {each.url}' if each.url else ''}\n{each.message}")
            lines.append(f"{each.filename}:{each.lines[0]}\n{excerpt(each.source, each.lines)}")
        return "\n".join(lines) + "\n" if lines else ""
