"""JSON without the import bill: the C scanner and encoder of the standard library, called directly.

`import json` compiles regular expressions and costs 8 ms, more than half of an interpreter's start; the C
parts behind it cost none. Where they are missing (another interpreter), the `json` module does the work.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SPACE = " \t\n\r"


class _Rules:
    """What the C scanner reads from its context: plain JSON, no NaN and no infinities."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    memo: dict[str, str] = {}  # noqa: RUF012  (the C scanner wants the attribute to be there)

    @staticmethod
    def parse_constant(name: str) -> float:
        """NaN and the infinities are not JSON."""
        raise ValueError(f"{name} is not JSON")


def _refuse(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


_scan: Any = None
_encode: Any = None
try:
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    _rules: Any = _Rules()
    _scan = make_scanner(_rules)
    _encode = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, False)
except (ImportError, TypeError):
    _scan = _encode = None  # another interpreter, or a version that wants other arguments


def loads(text: str | bytes) -> Any:
    """The value that `text` holds. ValueError when it is not JSON, or when more than space follows it."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    text = text.strip(_SPACE)
    if _scan is not None:
        try:
            value, end = _scan(text, 0)
        except (StopIteration, SystemError):
            pass  # the C scanner finds its exception class only where json is imported: it says more, below
        else:
            if end == len(text):
                return value
    import json

    return json.loads(text, parse_constant=_Rules.parse_constant)


def dumps(value: object) -> str:
    """`value` as compact ASCII JSON, keys in the order given."""
    if _encode is None:
        import json

        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    return "".join(_encode(value, 0))
