"""Go's text/template as far as Docker's users write it in `--format`.

`parse` makes a tree once, `Template.render` runs it on a value. Supported: fields, variables, pipelines, if,
else if, else, with, range (else, break, continue), trim marks, comments, and the functions in `functions`.
Not supported, and said so: define, template and block. Pure: no I/O.
"""

from __future__ import annotations

from lodge.cli.template.syntax import TemplateError
from lodge.cli.template.text import Template, parse

__all__ = ("Template", "TemplateError", "parse")
