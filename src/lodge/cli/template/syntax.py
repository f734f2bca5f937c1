"""The pieces of a template: tokens on the way in, a tree of small nodes on the way out."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class TemplateError(ValueError):
    """The template is not one, or does not fit the value it is run on."""


class Token:
    """A word of an action. `kind` is one of: field, variable, name, text, number, mark; `value` what it says.

    `tight` says that no space stands before it: `.A.B` is a chain, `.A .B` are two arguments. `start` and
    `end` are its place in the whole template.
    """

    __slots__ = ("end", "kind", "start", "tight", "value")

    def __init__(self, kind: str, value: Any, tight: bool) -> None:
        self.kind = kind
        self.value = value
        self.tight = tight
        self.start = 0
        self.end = 0


class Place:
    """Where a piece stands in the template: its first character, and what it says there."""

    __slots__ = ("start", "text")

    def __init__(self, start: int, text: str) -> None:
        self.start = start
        self.text = text


class Node:
    """Any piece of the tree."""

    __slots__ = ()


Block = list[Node]


class Text(Node):
    """Characters outside of actions."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Literal(Node):
    """A constant."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class Chain(Node):
    """Fields taken one after another from `base`: a node, a variable's name, or None for the dot."""

    __slots__ = ("base", "fields", "place")

    def __init__(self, base: Node | str | None, fields: list[str], place: Place) -> None:
        self.base = base
        self.fields = fields
        self.place = place


class Call(Node):
    """A function's name with its arguments."""

    __slots__ = ("arguments", "name", "place")

    def __init__(self, name: str, arguments: list[Node], place: Place) -> None:
        self.name = name
        self.arguments = arguments
        self.place = place


class Method(Node):
    """A chain that is given arguments, such as `.Label "name"`."""

    __slots__ = ("arguments", "chain")

    def __init__(self, chain: Chain, arguments: list[Node]) -> None:
        self.chain = chain
        self.arguments = arguments


class Pipeline(Node):
    """Commands, each of which gets the former's value as its last argument; `variables` take the result."""

    __slots__ = ("assigns", "commands", "variables")

    def __init__(self, commands: list[Node], variables: list[str], assigns: bool) -> None:
        self.commands = commands
        self.variables = variables
        self.assigns = assigns


class Output(Node):
    """An action whose value is printed."""

    __slots__ = ("pipeline",)

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline


class Branch(Node):
    """`if`, `with` and `range`: a pipeline, what to do, and what else."""

    __slots__ = ("body", "keyword", "otherwise", "pipeline")

    def __init__(self, keyword: str, pipeline: Pipeline, body: Block, otherwise: Block) -> None:
        self.keyword = keyword
        self.pipeline = pipeline
        self.body = body
        self.otherwise = otherwise


class Jump(Node):
    """`break` or `continue`."""

    __slots__ = ("keyword",)

    def __init__(self, keyword: str) -> None:
        self.keyword = keyword
