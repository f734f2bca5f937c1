"""Tests of `lodge.distribution.apt`: apt's output as values, names of architectures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.distribution import apt
from lodge.errors import Unavailable, Unsupported
from lodge.spec.platform import Platform


@pytest.mark.parametrize(
    ("platform", "name"),
    [
        ("linux/amd64", "amd64"),
        ("linux/x86_64", "amd64"),
        ("linux/arm64/v8", "arm64"),
        ("linux/arm", "armhf"),
        ("linux/386", "i386"),
        ("linux/ppc64le", "ppc64el"),
    ],
)
def test_a_platform_has_debians_name(platform: str, name: str) -> None:
    assert apt.architecture(Platform.parse(platform)) == name


def test_a_platform_that_debian_lacks_is_an_error() -> None:
    with pytest.raises(Unsupported, match="no Debian architecture for windows/amd64"):
        apt.architecture(Platform.parse("windows/amd64"))


def test_only_options_about_reaching_a_mirror_are_read() -> None:
    dump = """APT "";
APT::Architecture "amd64";
Acquire::Check-Valid-Until "false";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::http::Proxy::direct.example "DIRECT";
Acquire::Languages "none";
Acquire::https::CAInfo "";
Dir::Etc "etc/apt";
"""
    assert apt.parse_options(dump) == {
        "Acquire::Check-Valid-Until": "false",
        "Acquire::http::Proxy": "http://proxy.example:3128",
        "Acquire::http::Proxy::direct.example": "DIRECT",
    }


@given(st.text())
def test_any_text_can_be_read_as_options(text: str) -> None:
    assert all(name.startswith("Acquire::") for name in apt.parse_options(text))


def test_the_date_of_a_release_is_read() -> None:
    release = "Origin: Debian\nSuite: stable\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nAcquire-By-Hash: yes\n"
    assert apt.parse_release_date(release) == 1783764997


def test_a_release_without_a_date_is_an_error() -> None:
    with pytest.raises(Unavailable):
        apt.parse_release_date("Origin: Debian\n")


def test_the_mirror_is_the_machines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = "http://security.example/debian-security\nhttps://mirror.example/pub/debian/\n"
    monkeypatch.setattr(apt, "_output", lambda *_: listing)
    assert apt.mirror("debian") == "https://mirror.example/pub/debian"
    with pytest.raises(Unavailable, match="knows no mirror of ubuntu") as caught:
        apt.mirror("ubuntu")
    assert "--mirror" in (caught.value.hint or "")


def test_a_mirror_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable) as caught:
        apt.release_date("http://127.0.0.1:9/debian", "bookworm", {})
    assert caught.value.hint is not None
