"""Running a tree on a value: scopes of variables, fields of values, the two functions that stop early."""

from __future__ import annotations

from lodge.cli.template.functions import FUNCTIONS, SHAPING, truth
from lodge.cli.template.printing import show
from lodge.cli.template.syntax import (
    Block,
    Branch,
    Call,
    Chain,
    Jump,
    Literal,
    Method,
    Node,
    Output,
    Pipeline,
    Place,
    TemplateError,
    Text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class RunError(TemplateError):
    """What does not fit the value, and the place in the template that does not."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.place = place


class _Stop(Exception):
    """A `break` or `continue` on its way to its range."""

    def __init__(self, keyword: str) -> None:
        super().__init__(keyword)
        self.keyword = keyword


class Scope:
    """The dot, and the variables that are visible; an inner scope sees the outer one's."""

    __slots__ = ("dot", "header", "outer", "variables")

    def __init__(self, dot: Any, outer: Scope | None = None, *, header: bool = False) -> None:
        self.dot = dot
        self.outer = outer
        self.header: bool = outer.header if outer else header
        self.variables: dict[str, Any] = {} if outer else {"$": dot}

    def owner(self, name: str) -> Scope:
        """The scope that declared `name`."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.variables:
                return scope
            scope = scope.outer
        raise TemplateError(f'undefined variable "{name}"')


def run(tree: Block, scope: Scope) -> str:
    """The text that `tree` gives in `scope`."""
    parts: list[str] = []
    try:
        _run_block(tree, scope, parts)
    except _Stop as stop:
        raise TemplateError(f"{{{{{stop.keyword}}}}} outside {{{{range}}}}") from None
    return "".join(parts)


def _run_block(tree: Block, scope: Scope, parts: list[str]) -> None:
    for node in tree:
        if isinstance(node, Text):
            parts.append(node.text)
        elif isinstance(node, Output):
            value = _value(node.pipeline, scope)
            if not node.pipeline.variables:
                parts.append(show(value))
        elif isinstance(node, Branch):
            _run_branch(node, scope, parts)
        elif isinstance(node, Jump):
            raise _Stop(node.keyword)


def _run_branch(node: Branch, scope: Scope, parts: list[str]) -> None:
    if node.keyword == "range":
        _run_range(node, scope, parts)
        return
    inner = Scope(scope.dot, scope)
    value = _value(node.pipeline, inner)
    if truth(value):
        if node.keyword == "with":
            inner.dot = value
        _run_block(node.body, inner, parts)
    else:
        _run_block(node.otherwise, inner, parts)


def _run_range(node: Branch, scope: Scope, parts: list[str]) -> None:
    names = node.pipeline.variables
    source = _value(Pipeline(node.pipeline.commands, [], False), scope)
    empty = True
    for key, value in _items(source):
        empty = False
        inner = Scope(value, scope)
        if names:
            inner.variables[names[-1]] = value
        if len(names) == 2:
            inner.variables[names[0]] = key
        try:
            _run_block(node.body, inner, parts)
        except _Stop as stop:
            if stop.keyword == "break":
                break
    if empty:
        _run_block(node.otherwise, scope, parts)


def _items(source: Any) -> Iterable[tuple[Any, Any]]:
    if source is None:
        return ()
    if isinstance(source, dict):
        return [(key, source[key]) for key in sorted(source)]
    if isinstance(source, (list, tuple)):
        return enumerate(source)
    if isinstance(source, int) and not isinstance(source, bool):
        return ((number, number) for number in range(source))
    raise TemplateError(f"range can't iterate over {show(source)}")


_NOTHING: Any = object()


def _value(node: Node, scope: Scope, piped: Any = _NOTHING) -> Any:
    if isinstance(node, Pipeline):
        return _pipeline(node, scope)
    if isinstance(node, Call):
        return _call(node, scope, piped)
    if isinstance(node, Method):
        arguments = [_value(argument, scope) for argument in node.arguments]
        return _chain(node.chain, scope, arguments if piped is _NOTHING else [*arguments, piped])
    if isinstance(node, Chain):
        return _chain(node, scope, [] if piped is _NOTHING else [piped])
    if isinstance(node, Literal):
        if piped is not _NOTHING:
            raise TemplateError("can't give argument to non-function")
        return node.value
    raise TemplateError("unexpected piece in a pipeline")


def _pipeline(node: Pipeline, scope: Scope) -> Any:
    value = _NOTHING
    for command in node.commands:
        value = _value(command, scope, value)
    for name in node.variables:
        target = scope.owner(name) if node.assigns else scope
        target.variables[name] = value
    return value


def _call(node: Call, scope: Scope, piped: Any) -> Any:
    function = FUNCTIONS[node.name]
    if function is None:
        return _logic(node, scope, piped)
    arguments = [_value(argument, scope) for argument in node.arguments]
    if piped is not _NOTHING:
        arguments.append(piped)
    if scope.header and node.name in SHAPING:
        return arguments[-1] if piped is not _NOTHING or node.name == "json" else arguments[0]
    try:
        return function(*arguments)
    except (TypeError, AttributeError) as error:
        raise RunError(f"error calling {node.name}: {error}", node.place) from None
    except TemplateError as error:
        raise RunError(str(error), node.place) from None


def _logic(node: Call, scope: Scope, piped: Any) -> Any:
    """`and` and `or`: the first argument that decides, or the last one."""
    value: Any = None
    for argument in node.arguments:
        value = _value(argument, scope)
        if truth(value) == (node.name == "or"):
            return value
    return value if piped is _NOTHING else piped


def _chain(node: Chain, scope: Scope, arguments: list[Any]) -> Any:
    if node.base is None:
        value = scope.dot
    elif isinstance(node.base, str):
        value = scope.owner(node.base).variables[node.base]
    else:
        value = _value(node.base, scope)
    try:
        for position, name in enumerate(node.fields):
            last = position == len(node.fields) - 1
            of_labels = position > 0 and node.fields[position - 1] in _FREE_KEYS
            value = _field(value, name, arguments if last else [], of_labels)
    except TemplateError as error:
        raise RunError(str(error), node.place) from None
    return value


_FREE_KEYS = frozenset(
    {
        "Annotations",
        "Attributes",
        "ExposedPorts",
        "Labels",
        "Networks",
        "Options",
        "Ports",
        "Sysctls",
        "Tmpfs",
        "Volumes",
    }
)
"""Fields whose keys users choose: a key that is missing there is no mistake."""


def _field(value: Any, name: str, arguments: list[Any], is_free: bool) -> Any:
    if isinstance(value, dict):
        if name not in value:
            if is_free or name[:1].islower():
                return None
            raise TemplateError(f'map has no entry for key "{name}"')
        found = value[name]
    elif hasattr(value, "field"):
        found = value.field(name)
    elif value is None:
        raise TemplateError(f"nil data; no entry for key {name!r}")
    else:
        raise TemplateError(f"can't evaluate field {name} in type {type(value).__name__}")
    if callable(found):
        return found(*arguments)
    if arguments:
        raise TemplateError(f"{name} is not a method but has arguments")
    return found
