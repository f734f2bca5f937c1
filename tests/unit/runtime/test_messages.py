"""The vocabulary: every kind survives the way, and each side has its own."""

import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.runtime import messages
from lodge.runtime.messages import Answer, Event, Request, ToEngine, ToMonitor, decoder_of, encode
from lodge.spec.runtime import Process, RuntimeConfig, decode_config

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
    bases = {messages.Message, Request, messages.Order, messages.Launch, Answer, Event}
    assert kinds - bases == {*TO_MONITOR, *TO_ENGINE}


@pytest.mark.parametrize("kind", TO_MONITOR)
def test_kind_is_the_name_of_the_class(kind: type) -> None:
    assert kind.__struct_config__.tag == kind.__name__.removeprefix("Sealed")  # type: ignore[attr-defined]


def test_launch_is_read_sealed() -> None:
    config = RuntimeConfig(oci_version="1.2.0", process=Process(cwd="/"))
    launch = messages.Launch(request=1, id="x", bundle="/b", state_dir="/s", config=config, stdin=True)
    sealed = decoder_of(ToMonitor).decode(encode(launch))
    assert type(sealed) is messages.SealedLaunch
    assert (sealed.id, sealed.stdin) == ("x", True)
    assert decode_config(bytes(sealed.config)) == config
    # And it can be passed on.
    assert decoder_of(messages.Launch).decode(encode(sealed)) == launch


@given(text=st.binary(max_size=200))
def test_strangers_words_are_only_ever_refused(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decoder_of(ToMonitor).decode(b"\xff" + text)


def test_defaults_are_left_out() -> None:
    assert encode(messages.Start(request=3)) == b'{"type":"Start","request":3}'
