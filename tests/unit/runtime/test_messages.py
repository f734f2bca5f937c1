"""The vocabulary: every kind survives the way, and each side has its own."""

import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.runtime import messages
from lodge.runtime.messages import Answer, Event, Request, ToEngine, ToMonitor, decoder_of, encode

TO_MONITOR = typing.get_args(ToMonitor)
TO_ENGINE = typing.get_args(ToEngine)


def test_every_kind_is_of_one_side() -> None:
    assert all(issubclass(kind, Request) for kind in TO_MONITOR)
    assert all(issubclass(kind, Answer | Event) for kind in TO_ENGINE)
    kinds = {
        kind
        for kind in vars(messages).values()
        if isinstance(kind, type) and issubclass(kind, messages.Message)
    }
    assert kinds - {messages.Message, Request, Answer, Event} == {*TO_MONITOR, *TO_ENGINE}


@pytest.mark.parametrize("kind", TO_MONITOR)
def test_kind_is_the_name_of_the_class(kind: type) -> None:
    field = msgspec.json.decode(msgspec.json.encode(msgspec.structs.fields(kind) and {"type": kind.__name__}))
    assert field["type"] == kind.__struct_config__.tag  # type: ignore[attr-defined]


@given(text=st.binary(max_size=200))
def test_strangers_words_are_only_ever_refused(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decoder_of(ToMonitor).decode(b"\xff" + text)


def test_defaults_are_left_out() -> None:
    assert encode(messages.Start(request=3)) == b'{"type":"Start","request":3}'
