import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument
from lodge.spec.platform import Platform, host


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("Linux/X86-64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("windows(10.0.17763)/amd64", "windows/amd64"),
        ("macos/arm64", "darwin/arm64"),
    ],
)
def test_parse_normalises(text: str, shown: str) -> None:
    assert str(Platform.parse(text)) == shown


def test_parse_of_one_part_is_an_architecture_or_a_system() -> None:
    assert str(Platform.parse("arm64")) == f"{host().os}/arm64"
    assert Platform.parse("windows").os == "windows"
    assert Platform.parse("linux").architecture == host().architecture


@pytest.mark.parametrize(
    "text", ["", "/", "linux/", "linux//v7", "a/b/c/d", "linux/amd64 ", "nonsense", "lin ux/arm"]
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Platform.parse(text)


@given(st.text(max_size=30))
def test_parse_never_fails_otherwise(text: str) -> None:
    try:
        found = Platform.parse(text)
    except InvalidArgument:
        return
    assert found.normalised() == found


def _names(*texts: str) -> list[tuple[Platform | None, str]]:
    return [(Platform.parse(text), text) for text in texts]


@pytest.mark.parametrize(
    ("wanted", "offers", "choice"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("linux/arm64", ["linux/arm/v6", "linux/arm/v7", "linux/arm64"], "linux/arm64"),
        ("linux/arm64", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm64"], "linux/arm/v6"),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/amd64", ["linux/386"], "linux/386"),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"),
        ("linux/amd64", ["linux/amd64/v2"], None),
        ("linux/s390x", ["linux/s390x"], "linux/s390x"),
        ("linux/amd64", ["windows/amd64"], None),
        ("linux/amd64", [], None),
    ],
)
def test_choose_prefers_as_containerd_does(wanted: str, offers: list[str], choice: str | None) -> None:
    assert Platform.parse(wanted).choose(_names(*offers)) == choice


def test_choose_takes_the_first_of_equals_and_the_unnamed_last() -> None:
    amd64 = Platform.parse("linux/amd64")
    assert amd64.choose([(amd64, 1), (amd64, 2)]) == 1
    assert amd64.choose([(None, 1), (amd64, 2)]) == 2
    assert amd64.choose([(None, 1), (Platform.parse("linux/arm64"), 2)]) == 1


def test_matches_and_host() -> None:
    assert host().matches(host())
    assert not Platform.parse("linux/s390x").matches(Platform.parse("linux/amd64"))
    assert host().os == "linux"
