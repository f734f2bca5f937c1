from hypothesis import given
from hypothesis import strategies as st

from lodge.distribution.challenge import parse


def test_bearer() -> None:
    (found,) = parse('Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="a b"')
    assert found.scheme == "bearer"
    assert found.parameters == {
        "realm": "https://auth.docker.io/token",
        "service": "registry.docker.io",
        "scope": "a b",
    }


def test_several_and_quotes() -> None:
    first, second = parse(r'Basic realm="a \"quoted\" one", Bearer realm=plain, x=1')
    assert first.parameters == {"realm": 'a "quoted" one'}
    assert (second.scheme, second.parameters) == ("bearer", {"realm": "plain", "x": "1"})


def test_nothing() -> None:
    assert parse("") == []
    assert parse('"') == []


@given(st.text(max_size=300))
def test_any_text_is_read_without_failing(text: str) -> None:
    for found in parse(text):
        assert found.scheme == found.scheme.lower()
