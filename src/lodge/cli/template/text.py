"""A template from its text to what it renders: the parser and the evaluator next door, put together."""

from __future__ import annotations

from lodge.cli.template.evaluate import RunError, Scope, run
from lodge.cli.template.parser import parse_tree
from lodge.cli.template.syntax import TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.template.syntax import Block


class Template:
    """A parsed template."""

    def __init__(self, text: str, tree: Block) -> None:
        self._text = text
        self._tree = tree

    def render(self, value: object, *, header: bool = False) -> str:
        """The text for `value`. `header` makes the shaping functions leave their argument as it is.

        `TemplateError` in Go's words when the template does not fit the value.
        """
        try:
            return run(self._tree, Scope(value, header=header))
        except RunError as error:
            before = self._text[: error.place.start]
            line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1)
            raise TemplateError(
                f'template: :{line}:{column}: executing "" at <{error.place.text}>: {error}'
            ) from None
        except TemplateError as error:
            raise TemplateError(f"template: :1: {error}") from None


def parse(text: str) -> Template:
    """The template that `text` holds; `TemplateError` in Go's words when it is none."""
    try:
        return Template(text, parse_tree(text))
    except TemplateError as error:
        raise TemplateError(f"template: :1: {error}") from None
