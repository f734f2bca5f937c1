"""Go's text/template as far as Docker's users write it in `--format`.

`parse` makes a tree once, `Template.render` runs it on a value. Supported: fields, variables, pipelines, if,
else if, else, with, range (else, break, continue), trim marks, comments, and the functions in `functions`.
Not supported, and said so: define, template and block. Pure: no I/O.
"""

from __future__ import annotations

from lodge.cli.template.evaluate import Scope, run
from lodge.cli.template.parser import parse_tree
from lodge.cli.template.syntax import TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.template.syntax import Block

__all__ = ("Template", "TemplateError", "parse")


class Template:
    """A parsed template."""

    def __init__(self, tree: Block) -> None:
        self._tree = tree

    def render(self, value: object, *, header: bool = False) -> str:
        """The text for `value`. `header` makes the shaping functions leave their argument as it is.

        `TemplateError` when the template does not fit the value.
        """
        return run(self._tree, Scope(value, header=header))


def parse(text: str) -> Template:
    """The template that `text` holds; `TemplateError` says where it is wrong."""
    return Template(parse_tree(text))
