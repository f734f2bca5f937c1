"""Every kind of error crosses a link and comes out as itself."""

import pytest

import lodge.errors
from lodge.errors import Internal, LodgeError, StartFailed
from lodge.runtime.failures import error_of, failed
from lodge.runtime.messages import Failed, ToEngine, decoder_of, encode

KINDS = [
    kind for kind in vars(lodge.errors).values() if isinstance(kind, type) and issubclass(kind, LodgeError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_back(kind: type[LodgeError]) -> None:
    said = encode(failed(3, kind("what happened", hint="what to do")))
    back = error_of(decoder_of(ToEngine).decode(said))
    assert type(back) is kind
    assert (back.message, back.hint) == ("what happened", "what to do")


def test_exit_code_comes_back() -> None:
    back = error_of(failed(1, StartFailed("no such command", exit_code=127)))
    assert isinstance(back, StartFailed)
    assert back.exit_code == 127


@pytest.mark.parametrize(
    ("error", "message"),
    [(OSError(28, "No space left on device", "/x"), "No space left"), (KeyError("x"), "KeyError: 'x'")],
)
def test_other_errors_are_internal(error: Exception, message: str) -> None:
    answer = failed(1, error)
    assert answer.kind == "Internal"
    assert message in answer.message


@pytest.mark.parametrize("kind", ["Unheard", "annotations", "__name__"])
def test_unknown_kind_is_internal(kind: str) -> None:
    assert type(error_of(Failed(request=1, kind=kind, message="x"))) is Internal
