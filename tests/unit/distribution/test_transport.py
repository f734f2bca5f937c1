import threading
import time

import pytest

from lodge.distribution.abort import Abort, Aborted
from lodge.distribution.registries import Registries
from lodge.distribution.repository import Repository
from lodge.distribution.settings import RegistrySettings
from lodge.distribution.transport import Unreachable, proxy_for
from lodge.errors import Exhausted, Forbidden, LodgeError, Unavailable
from lodge.spec.reference import Reference
from tests.registries.scripted import Asked, Scripted, Told, refusal


def _own(registry: Scripted, registries: Registries, abort: Abort | None = None) -> Repository:
    registry.add("a", "latest", b'{"schemaVersion":2}')
    return registries.own(Reference.parse(f"{registry.address}/a"), abort=abort, actions="pull")


def _first(count: int, told: Told) -> "list[Told]":
    return [told] * count


def test_failures_of_the_registry_are_tried_again_and_bounded(
    registry: Scripted, registries: Registries
) -> None:
    place = _own(registry, registries)
    left = _first(2, refusal(503, "UNAVAILABLE", "later"))
    registry.rules = [lambda asked: left.pop() if left else None]
    assert place.manifest("latest").data
    assert len(registry.asked) == 3
    registry.rules = [lambda asked: refusal(500, "UNKNOWN", "no")]
    with pytest.raises(Unavailable, match="unknown: no"):
        place.manifest("latest")
    assert len(registry.asked) == 3 + registries.settings.max_attempts


def test_too_many_requests_waits_as_told(registry: Scripted, registries: Registries) -> None:
    place = _own(registry, registries)
    left = _first(1, refusal(429, "TOOMANYREQUESTS", "slow down", Retry_After="0.2"))
    registry.rules = [lambda asked: left.pop() if left else None]
    started = time.monotonic()
    place.manifest("latest")
    assert time.monotonic() - started >= 0.2
    registry.rules = [lambda asked: refusal(429, "TOOMANYREQUESTS", "slow down", Retry_After="86400")]
    with pytest.raises(Exhausted, match="come back in 86400 seconds: toomanyrequests: slow down"):
        place.manifest("latest")


def test_waiting_ends_with_its_reason(registry: Scripted, registries: Registries) -> None:
    abort = Abort()
    place = _own(registry, registries, abort)
    registry.rules = [lambda asked: refusal(429, "TOOMANYREQUESTS", Retry_After="200")]
    threading.Timer(0.1, abort.set).start()
    with pytest.raises(Aborted):
        place.manifest("latest")
    with pytest.raises(Aborted):
        place.manifest("latest")


def test_redirects_have_an_end_and_lead_to_the_web_only(registry: Scripted, registries: Registries) -> None:
    place = _own(registry, registries)
    registry.rules = [lambda asked: Told(302, headers={"Location": asked.target})]
    with pytest.raises(Unavailable, match="stopped after 10 redirects"):
        place.manifest("latest")
    for where in ("file:///etc/passwd", "ftp://x/y"):
        registry.rules = [lambda asked, where=where: Told(302, headers={"Location": where})]
        with pytest.raises(Forbidden, match="not followed"):
            place.manifest("latest")


def test_an_upload_follows_no_redirect(registry: Scripted, registries: Registries) -> None:
    place = _own(registry, registries)

    def away(asked: Asked) -> Told | None:
        return Told(307, headers={"Location": "/v2/else"}) if asked.method == "PUT" else None

    registry.rules = [away]
    with pytest.raises(LodgeError):
        place.put_manifest("x", b"{}", "application/json")
    assert all("else" not in one.path for one in registry.asked)


def test_nobody_there(registries: Registries) -> None:
    place = registries.own(Reference.parse("127.0.0.1:1/a"))
    with pytest.raises(Unreachable, match=r'Get "http://127.0.0.1:1/v2/": dial tcp .*connection refused'):
        place.manifest("latest")


def test_proxies() -> None:
    settings = RegistrySettings(
        http_proxy="http://p:1", https_proxy="http://p:2", no_proxy="inner.example,.corp,10.0.0.1"
    )
    assert proxy_for(settings, "https://docker.io/v2/") == "http://p:2"
    assert proxy_for(settings, "http://docker.io/v2/") == "http://p:1"
    for near in ("https://inner.example/", "https://a.corp:5000/", "http://10.0.0.1/", "http://localhost:5/"):
        assert proxy_for(settings, near) == ""
    assert proxy_for(RegistrySettings(https_proxy="x", no_proxy="*"), "https://a.io/") == ""


def test_a_registry_that_has_learned_tls_is_asked_over_tls(
    registry: Scripted, registries: Registries
) -> None:
    place = _own(registry, registries)
    place.manifest("latest")
    assert registries.transport.schemes(place.endpoint) == ("http",)
    left = _first(1, Told(400, b"Client sent an HTTP request to an HTTPS server."))
    registry.rules = [lambda asked: left.pop() if left else None]
    # TLS is tried first again; this one has unlearned it meanwhile.
    assert place.manifest("latest").data
    assert len(registry.asked) == 3
