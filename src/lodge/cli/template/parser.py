"""Tokens to a tree."""

from __future__ import annotations

from lodge.cli.template.functions import FUNCTIONS
from lodge.cli.template.lexer import split_actions, tokenize
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
    Token,
)

_BRANCHES = ("if", "with", "range")
_UNSUPPORTED = ("define", "template", "block")
_CONSTANTS = {"true": True, "false": False, "nil": None}
_END, _ELSE = "end", "else"


def parse_tree(text: str) -> Block:
    """The tree of a whole template."""
    body, stopped = _Parser(text).block()
    if stopped is not None:
        raise TemplateError(f"unexpected {{{{{stopped[0].value}}}}}")
    return body


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._pieces = split_actions(source)

    def block(self) -> tuple[Block, list[Token] | None]:
        """Nodes up to the end, or up to an `end` or `else`, whose tokens are returned."""
        body: Block = []
        for is_action, text, start in self._pieces:
            if not is_action:
                body.append(Text(text))
                continue
            tokens = tokenize(text, start)
            if not tokens:
                if text.strip():
                    continue  # a comment
                raise TemplateError("missing value for command")
            word = tokens[0].value if tokens[0].kind == "name" else ""
            if word in (_END, _ELSE):
                return body, tokens
            if word in _UNSUPPORTED:
                raise TemplateError(f"{{{{{word}}}}} is not supported")
            if word in _BRANCHES:
                body.append(self._branch(word, tokens[1:]))
            elif word in ("break", "continue"):
                body.append(Jump(word))
            else:
                body.append(Output(_Action(self._source, tokens).whole()))
        return body, None

    def _branch(self, keyword: str, tokens: list[Token]) -> Branch:
        pipeline = _Action(self._source, tokens).whole()
        body, stopped = self.block()
        otherwise: Block = []
        if stopped is not None and stopped[0].value == _ELSE:
            if len(stopped) > 1:
                word = stopped[1].value
                if word not in ("if", "with"):
                    raise TemplateError(f"unexpected {word!r} after else")
                return Branch(keyword, pipeline, body, [self._branch(word, stopped[2:])])
            otherwise, stopped = self.block()
        if stopped is None:
            raise TemplateError("unexpected EOF")
        return Branch(keyword, pipeline, body, otherwise)


class _Action:
    """Reads one action's tokens from left to right."""

    def __init__(self, source: str, tokens: list[Token]) -> None:
        self._source = source
        self._tokens = tokens
        self._at = 0

    def whole(self) -> Pipeline:
        """The pipeline that all tokens form."""
        pipeline = self._pipeline()
        if self._at < len(self._tokens):
            raise TemplateError(f"unexpected {str(self._tokens[self._at].value)!r} in command")
        return pipeline

    def _peek(self, offset: int = 0) -> Token | None:
        at = self._at + offset
        return self._tokens[at] if at < len(self._tokens) else None

    def _is_mark(self, value: str, offset: int = 0) -> bool:
        token = self._peek(offset)
        return token is not None and token.kind == "mark" and token.value == value

    def _pipeline(self) -> Pipeline:
        variables, assigns = self._declaration()
        commands = [self._command()]
        while self._is_mark("|"):
            self._at += 1
            commands.append(self._command())
        return Pipeline(commands, variables, assigns)

    def _declaration(self) -> tuple[list[str], bool]:
        first, second = self._peek(), self._peek(2)
        if first is None or first.kind != "variable":
            return [], False
        is_pair = self._is_mark(",", 1) and self._is_mark(":=", 3)
        if is_pair and second is not None and second.kind == "variable":
            self._at += 4
            return [first.value, second.value], False
        for mark in (":=", "="):
            if self._is_mark(mark, 1):
                self._at += 2
                return [first.value], mark == "="
        return [], False

    def _command(self) -> Node:
        operands: list[Node] = []
        begin = self._at
        while self._peek() is not None and not self._is_mark("|") and not self._is_mark(")"):
            operands.append(self._operand())
        if not operands:
            raise TemplateError("missing value for command")
        head, *arguments = operands
        if isinstance(head, Call):
            head.arguments = arguments
            head.place = self._place(begin)
            return head
        if not arguments:
            return head
        if isinstance(head, Chain) and head.fields:
            return Method(head, arguments)
        raise TemplateError("can't give argument to non-function")

    def _operand(self) -> Node:
        token = self._peek()
        assert token is not None
        self._at += 1
        if token.kind in ("text", "number"):
            return Literal(token.value)
        if token.kind == "field":
            return self._chain(None, [token.value] if token.value else [])
        if token.kind == "variable":
            return self._chain(token.value, [])
        if token.kind == "name":
            return _named(token.value, self._place(self._at - 1))
        if token.value == "(":
            inner = self._pipeline()
            if not self._is_mark(")"):
                raise TemplateError("unclosed left paren")
            self._at += 1
            following = self._peek()
            is_chain = following is not None and following.kind == "field" and following.tight
            return self._chain(inner, []) if is_chain else inner
        raise TemplateError(f"unexpected {token.value!r} in operand")

    def _chain(self, base: Node | str | None, fields: list[str]) -> Chain:
        begin = self._at - 1
        first = self._tokens[begin].start
        while (token := self._peek()) is not None and token.kind == "field" and token.tight and token.value:
            if self._at == begin + 1:
                first = token.start  # where Go says that a longer chain begins
            fields.append(token.value)
            self._at += 1
        place = self._place(begin)
        place.start = first
        return Chain(base, fields, place)

    def _place(self, begin: int) -> Place:
        """The place of the tokens from `begin` up to the current one."""
        start, end = self._tokens[begin].start, self._tokens[max(self._at - 1, begin)].end
        return Place(start, self._source[start:end])


def _named(name: str, place: Place) -> Node:
    if name in _CONSTANTS:
        return Literal(_CONSTANTS[name])
    if name not in FUNCTIONS:
        raise TemplateError(f'function "{name}" not defined')
    return Call(name, [], place)
