"""`--format`: one value or a list of them, by a Go template, as JSON, or as a table with chosen columns.

A list's items are `Row`s: objects whose columns are computed when a template asks for them.
"""

from __future__ import annotations

import sys

from lodge.cli.table import align
from lodge.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from lodge.cli.template import Template


class Row:
    """An item of a list: `columns` maps a field's name to its header and to a function of the item."""

    __slots__ = ("columns", "item")

    def __init__(self, item: Any, columns: Mapping[str, tuple[str, Callable[[Any], Any]]]) -> None:
        self.item = item
        self.columns = columns

    def field(self, name: str) -> Any:
        """One column's value; TemplateError for a name that this list does not have."""
        if name not in self.columns:
            from lodge.cli.template import TemplateError

            raise TemplateError(f"can't evaluate field {name}")
        return self.columns[name][1](self.item)

    def fields(self) -> dict[str, Any]:
        """All columns, for `json`; those that take an argument are left out."""
        found = {name: column[1](self.item) for name, column in sorted(self.columns.items())}
        return {name: value for name, value in found.items() if not callable(value)}


class _Header:
    """What a table's first line is made from: each field is its own header."""

    def __init__(self, columns: Mapping[str, tuple[str, Callable[[Any], Any]]]) -> None:
        self._columns = columns

    def field(self, name: str) -> Any:
        if name == "Label":
            return lambda label: label.rpartition(".")[2].replace("-", " ").replace("_", " ")
        if name not in self._columns:
            from lodge.cli.template import TemplateError

            raise TemplateError(f"can't evaluate field {name}")
        return self._columns[name][0]


def _compile(text: str) -> Template:
    from lodge.cli.template import TemplateError, parse

    text = text.replace("\\t", "\t").replace("\\n", "\n")
    try:
        return parse(text)
    except TemplateError as error:
        raise InvalidArgument(f"template parsing error: {error}") from error


def _render(template: Template, value: Any, *, header: bool = False) -> str:
    from lodge.cli.template import TemplateError

    try:
        return template.render(value, header=header)
    except TemplateError as error:
        raise InvalidArgument(f"failed to execute template: {error}") from error


def print_one(layout: str, value: Any) -> None:
    """One value by a template, or "json"."""
    from lodge.cli.template import TemplateError

    template = _compile("{{json .}}" if layout == "json" else layout)
    try:
        text = template.render(value)
    except TemplateError as error:
        raise InvalidArgument(f"template parsing error: {error}") from error
    sys.stdout.write(text + "\n")


def print_rows(
    layout: str, items: Iterable[Any], columns: Mapping[str, tuple[str, Callable[[Any], Any]]]
) -> None:
    """A list by a template a line, "json", or "table TEMPLATE" with a header."""
    rows = [Row(item, columns) for item in items]
    if layout == "json":
        layout = "{{json .}}"
    if not layout.startswith("table"):
        template = _compile(layout)
        sys.stdout.write("".join(_render(template, row) + "\n" for row in rows))
        return
    template = _compile(layout.removeprefix("table").lstrip())
    lines = [_render(template, _Header(columns), header=True)]
    lines += [_render(template, row) for row in rows]
    sys.stdout.write(align(lines))


def print_list(
    layout: str,
    items: Iterable[Any],
    columns: Mapping[str, tuple[str, Callable[[Any], Any]]],
    default: Sequence[str],
) -> None:
    """A list by `layout`, or as the table of the `default` columns, for which no template is compiled."""
    if layout and layout != "table":
        print_rows(layout, items, columns)
        return
    lines = ["\t".join(columns[name][0] for name in default)]
    lines += ["\t".join(str(columns[name][1](item)) for name in default) for item in items]
    sys.stdout.write(align(lines))
