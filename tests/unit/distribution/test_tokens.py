import pytest

from lodge.distribution.credentials import Credentials
from lodge.distribution.registries import Registries
from lodge.distribution.settings import RegistryEntry, RegistrySettings
from lodge.distribution.tokens import same_site
from lodge.errors import Forbidden, LodgeError, NotFound
from lodge.spec.reference import Reference
from tests.registries.scripted import Scripted, Told, sells_tokens, wants_basic, wants_token

ME = Credentials(username="me", password="secret")


def _reference(registry: Scripted) -> Reference:
    registry.add("a/b", "latest", b'{"schemaVersion":2}')
    return Reference.parse(f"{registry.address}/a/b")


def test_basic(registry: Scripted, registries: Registries) -> None:
    reference = _reference(registry)
    registry.rules.append(wants_basic("me", "secret"))
    assert registries.repository(reference, ME).manifest("latest").data
    registries.repository(reference, ME).manifest("latest")
    assert [bool(one.headers.get("authorization")) for one in registry.asked] == [False, True, True]
    with pytest.raises(Forbidden, match="no basic auth credentials"):
        registries.repository(reference).manifest("latest")
    with pytest.raises(LodgeError, match="unauthorized: authentication required"):
        registries.repository(reference, Credentials(username="me", password="no")).manifest("latest")


def test_token_by_password(registry: Scripted, registries: Registries) -> None:
    reference = _reference(registry)
    registry.rules += [sells_tokens(expires_in=300), wants_token(f"http://{registry.address}/token")]
    registries.repository(reference, ME).manifest("latest")
    registries.repository(reference, ME).manifest("latest")
    (bought,) = registry.of("GET", "/token")
    assert bought.query == {"scope": ["repository:a/b:pull"], "service": ["scripted"], "account": ["me"]}
    assert bought.headers["authorization"] == ME.basic
    assert [one.headers["authorization"] for one in registry.of("GET", "manifests")[1:]] == [
        "Bearer t0ken",
        "Bearer t0ken",
    ]


def test_token_by_identity_token(registry: Scripted, registries: Registries) -> None:
    reference = _reference(registry)
    registry.rules += [sells_tokens(), wants_token(f"http://{registry.address}/token")]
    registries.repository(reference, Credentials(identity_token="id")).manifest("latest")
    (bought,) = registry.of("POST", "/token")
    assert b"grant_type=refresh_token" in bought.body
    assert b"refresh_token=id" in bought.body
    assert "authorization" not in bought.headers


def test_a_token_that_is_refused_is_not_bought_for_ever(registry: Scripted, registries: Registries) -> None:
    reference = _reference(registry)
    registry.rules += [sells_tokens("wrong"), wants_token(f"http://{registry.address}/token")]
    with pytest.raises(LodgeError, match="authentication required"):
        registries.repository(reference).manifest("latest")
    assert len(registry.of("GET", "/token")) == 1


def test_credentials_go_to_no_foreign_realm(registry: Scripted, registries: Registries) -> None:
    reference = _reference(registry)
    for realm in ("https://evil.example/token", "http://evil.example/token", "ftp://x", ""):
        registry.rules = [wants_token(realm)]
        with pytest.raises(Forbidden):
            registries.repository(reference, ME).manifest("latest")
    assert all("authorization" not in one.headers for one in registry.asked)


def test_a_realm_elsewhere_may_be_named(registry: Scripted, other: Scripted) -> None:
    reference = _reference(registry)
    registry.rules = [wants_token(f"http://{other.address}/token")]
    other.rules = [sells_tokens()]
    entry = RegistryEntry(token_realms=(other.address,))
    settings = RegistrySettings(registries={registry.address: entry}, certificate_directories=())
    with Registries(settings) as named:
        assert named.repository(reference, ME).manifest("latest")
    assert other.asked[0].headers["authorization"] == ME.basic


def test_no_credentials_follow_a_redirect(
    registry: Scripted, other: Scripted, registries: Registries
) -> None:
    data = b"blob"
    digest = other.blob(data)
    place = f"http://{other.address}/v2/x/blobs/{digest}"
    registry.rules = [
        wants_basic("me", "secret"),
        lambda asked: Told(307, headers={"Location": place}) if "blobs" in asked.path else None,
    ]
    from lodge.spec.digest import Digest

    reference = _reference(registry)
    with registries.repository(reference, ME).blob(Digest(digest), 4) as stream:
        assert stream.read(10) == data
    assert len(other.asked) == 1
    assert "authorization" not in other.asked[0].headers
    # Nor is a question of the other host answered with them.
    other.rules = [wants_basic("me", "secret")]
    with pytest.raises(LodgeError):
        registries.repository(reference, ME).blob(Digest(digest), 4)
    assert all("authorization" not in one.headers for one in other.asked)


def test_a_mirror_gets_no_credentials(registry: Scripted, other: Scripted) -> None:
    reference = _reference(registry)
    other.rules = [wants_basic("me", "secret")]
    entry = RegistryEntry(mirrors=(f"http://{other.address}",))
    settings = RegistrySettings(registries={registry.address: entry}, certificate_directories=())
    with Registries(settings) as mirrored:
        assert mirrored.repository(reference, ME).manifest("latest")
    assert all("authorization" not in one.headers for one in other.asked)
    assert len(other.asked) == 1


def test_a_plain_refusal_stays_one(registry: Scripted, registries: Registries) -> None:
    with pytest.raises(NotFound, match="manifest unknown"):
        registries.repository(Reference.parse(f"{registry.address}/no")).manifest("latest")


def test_sites() -> None:
    assert same_site("registry-1.docker.io", "auth.docker.io")
    assert same_site("registry.gitlab.com:443", "gitlab.com")
    assert same_site("127.0.0.1:5000", "localhost:5001")
    assert not same_site("docker.io", "docker.com")
    assert not same_site("a.co.uk", "b.co.uk")
    assert not same_site("10.0.0.1", "10.1.0.1")
