import pytest

from lodge.distribution.endpoints import Endpoint, is_insecure, plan
from lodge.distribution.settings import Mirror, RegistryEntry, RegistrySettings
from lodge.errors import InvalidArgument


def _told(endpoint: Endpoint) -> tuple[str, tuple[str, ...], str, bool, bool]:
    return endpoint.host, endpoint.schemes, endpoint.repository, endpoint.verified, endpoint.own


def test_docker_hub_and_others() -> None:
    settings = RegistrySettings()
    hub = plan(settings, "docker.io", "library/busybox")
    assert [_told(one) for one in hub] == [
        ("registry-1.docker.io", ("https",), "library/busybox", True, True)
    ]
    (other,) = plan(settings, "quay.io", "a/b")
    assert _told(other) == ("quay.io", ("https",), "a/b", True, True)
    (local,) = plan(settings, "localhost:5000", "a")
    assert (local.schemes, local.verified) == (("https", "http"), False)


def test_mirrors_in_order_with_prefix_and_rewrite() -> None:
    entry = RegistryEntry(
        mirrors=(
            "https://one.example/hub",
            Mirror("http://two.example:5000", {"^library/(.*)": "mirror/$1"}),
        ),
        rewrite={"^a/": "b/"},
    )
    settings = RegistrySettings(mirrors=["https://three.example"], registries={"docker.io": entry})
    found = plan(settings, "docker.io", "library/x")
    assert [(one.host, one.repository, one.schemes, one.own) for one in found] == [
        ("one.example", "hub/library/x", ("https",), False),
        ("two.example:5000", "mirror/x", ("http",), False),
        ("three.example", "library/x", ("https",), False),
        ("registry-1.docker.io", "library/x", ("https",), True),
    ]
    assert plan(settings, "docker.io", "a/x", mirrored=False)[0].repository == "b/x"


def test_any_registry_may_have_mirrors_and_no_way_back() -> None:
    entry = RegistryEntry(mirrors=("https://mirror.example",), fallback=False)
    settings = RegistrySettings(registries={"ghcr.io": entry, "*": RegistryEntry(connect_timeout=1)})
    assert [one.host for one in plan(settings, "ghcr.io", "a")] == ["mirror.example"]
    assert [one.host for one in plan(settings, "ghcr.io", "a", mirrored=False)] == ["ghcr.io"]
    assert plan(settings, "other.io", "a")[0].entry.connect_timeout == 1
    with pytest.raises(InvalidArgument):
        plan(RegistrySettings(registries={"x.io": RegistryEntry(fallback=False)}), "x.io", "a")


def test_what_is_insecure() -> None:
    assert is_insecure([], "127.0.0.1:5000")
    assert is_insecure([], "[::1]:5000")
    assert is_insecure(["reg.example"], "reg.example:5000")
    assert is_insecure(["10.0.0.0/8"], "10.1.2.3:80")
    assert not is_insecure(["10.0.0.0/8"], "11.1.2.3:80")
    assert not is_insecure(["reg.example:5000"], "reg.example:5001")


def test_an_authority_is_checked_also_on_loopback() -> None:
    settings = RegistrySettings(registries={"localhost:5000": RegistryEntry(ca="/ca.pem")})
    assert plan(settings, "localhost:5000", "a")[0].verified
    settings = RegistrySettings(registries={"r.io": RegistryEntry(plain_http=True)})
    assert plan(settings, "r.io", "a")[0].schemes == ("http",)


@pytest.mark.parametrize("url", ["ftp://x", "https://u:p@x", "https://x?y=1", "https://"])
def test_mirrors_that_are_none(url: str) -> None:
    with pytest.raises(InvalidArgument):
        plan(RegistrySettings(mirrors=[url]), "docker.io", "library/x")


def test_rewrites_that_cannot_be_read() -> None:
    for rules in ({"(": "x"}, {"a": "$7"}):
        settings = RegistrySettings(registries={"r.io": RegistryEntry(rewrite=rules)})
        with pytest.raises(InvalidArgument):
            plan(settings, "r.io", "a")
