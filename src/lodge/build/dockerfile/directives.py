"""Parser directives: `# syntax=`, `# escape=`, `# check=` in the first lines, before anything else."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from msgspec import Struct

from lodge.build.dockerfile.problems import DockerfileError

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_SLASHES = re.compile(r"//\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_KNOWN = ("syntax", "escape", "check")


class Directives(Struct):
    """What they say. `at` are their lines; `skip` and `error` come from `check` (skip=a,b;error=true)."""

    escape: str = "\\"
    syntax: str = ""
    check: str = ""
    at: set[int] = set()

    @property
    def skipped_checks(self) -> frozenset[str]:
        """The lint rules that shall not be looked at, in lower case; `all` for all of them."""
        return frozenset(name.strip().lower() for name in self._check("skip").split(",") if name.strip())

    @property
    def checks_are_errors(self) -> bool:
        """Whether a finding ends the build."""
        return self._check("error").lower() in ("true", "1", "t")

    def _check(self, wanted: str) -> str:
        for part in self.check.split(";"):
            name, _, value = part.partition("=")
            if name.strip().lower() == wanted:
                return value.strip()
        return ""


def read_directives(raw: Sequence[str]) -> Directives:
    """Read them from a file's lines. DockerfileError for one that is there twice, or a wrong escape."""
    found = Directives(at=set())
    seen: dict[str, str] = {}
    for number, line in enumerate(raw, 1):
        match = _DIRECTIVE.fullmatch(line.strip())
        name = match[1].lower() if match else ""
        if match is None or name not in _KNOWN:
            break
        if name in seen:
            raise DockerfileError(f"only one {name} parser directive can be used", lines=(number, number))
        seen[name] = match[2]
        found.at.add(number)
        if name == "escape" and match[2] not in ("\\", "`"):
            raise DockerfileError(
                f"invalid escape token '{match[2]}' does not match ` or \\", lines=(number, number)
            )
    found.escape = seen.get("escape", "\\")
    found.check = seen.get("check", "")
    found.syntax = seen.get("syntax", "") or _other_syntax(raw)
    return found


def _other_syntax(raw: Sequence[str]) -> str:
    """The syntax line in the spellings of other languages: `//` comments, a JSON object, behind a #! line."""
    first = raw[0].strip() if raw else ""
    lines = raw[1:] if first.startswith("#!") else raw
    if lines and (match := _DIRECTIVE.fullmatch(lines[0].strip())) and match[1].lower() == "syntax":
        return match[2]
    for line in lines:
        match = _SLASHES.fullmatch(line.strip())
        if match is None:
            break
        if match[1].lower() == "syntax":
            return match[2]
    if first.startswith("{"):
        try:
            document = json.loads("".join(raw))
        except (ValueError, RecursionError):
            return ""
        value = document.get("syntax", "") if isinstance(document, dict) else ""
        return value if isinstance(value, str) else ""
    return ""
