"""From method and path to a route. A `{name}` in a pattern takes slashes too, as Docker's does. Pure."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from lodge.api.call import Call

Action = Callable[[Call], Coroutine[Any, Any, None] | None]
"""What a route does: answers the call at once, or by a coroutine."""


class Route:
    """One line of a table: method, pattern, action; `bound` actions end with their client."""

    __slots__ = ("action", "bound", "method", "pattern", "since")

    def __init__(
        self, method: str, pattern: str, action: Action, *, bound: bool = False, since: int = 0
    ) -> None:
        self.method = method
        self.pattern = pattern
        self.action = action
        self.bound = bound
        self.since = since


class Router:
    """All routes, found by whole path, or by the path's first and last pieces."""

    def __init__(self, routes: list[Route]) -> None:
        self._exact: dict[tuple[str, str], Route] = {}
        self._named: dict[tuple[str, str], list[tuple[str, str, Route]]] = {}
        for route in routes:
            if "{" in route.pattern:
                start, _, rest = route.pattern.partition("{")
                end = rest.partition("}")[2]
                first = route.pattern.split("/", 2)[1]
                self._named.setdefault((route.method, first), []).append((start, end, route))
            else:
                self._exact[route.method, route.pattern] = route
        for found in self._named.values():
            found.sort(key=lambda entry: (len(entry[0]), len(entry[1])), reverse=True)

    def find(self, method: str, path: str) -> tuple[Route, str] | None:
        """The route of a path without its version, and the name in it; the longest ending wins."""
        route = self._exact.get((method, path))
        if route is not None:
            return route, ""
        first = path.split("/", 2)[1] if path.startswith("/") else ""
        for start, end, named in self._named.get((method, first), ()):
            if path.startswith(start) and path.endswith(end) and len(path) > len(start) + len(end):
                return named, path[len(start) : len(path) - len(end)]
        return None


def split_version(path: str) -> tuple[str, str]:
    """`/v1.43/x` as ("1.43", "/x"); without a version ("", path)."""
    if path.startswith("/v"):
        version, slash, rest = path[2:].partition("/")
        if slash and version and version.replace(".", "0").isdecimal():
            return version, "/" + rest
    return "", path
