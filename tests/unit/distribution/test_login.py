import pytest

from lodge.distribution.credentials import Credentials
from lodge.distribution.login import login, server_host
from lodge.distribution.registries import Registries
from lodge.errors import InvalidArgument, LodgeError, Unauthorized
from tests.registries.scripted import Asked, Scripted, Told, refusal, sells_tokens, wants_basic, wants_token

ME = Credentials(username="me", password="secret")


def test_basic(registry: Scripted, registries: Registries) -> None:
    registry.rules = [wants_basic("me", "secret")]
    assert login(registries, registry.address, ME) == ""
    with pytest.raises(Unauthorized, match=r"login attempt to http://.*/v2/ failed with status: 401 Unauth"):
        login(registries, f"http://{registry.address}/v1/", Credentials(username="me", password="no"))


def test_a_registry_that_asks_nothing(registry: Scripted, registries: Registries) -> None:
    assert login(registries, registry.address, ME) == ""


def test_token(registry: Scripted, registries: Registries) -> None:
    registry.rules = [
        sells_tokens(refresh_token="identity"),
        wants_token(f"http://{registry.address}/token"),
    ]
    assert login(registries, registry.address, ME) == "identity"
    (bought,) = registry.of("GET", "/token")
    assert bought.query["offline_token"] == ["true"]
    assert bought.headers["authorization"] == ME.basic


def test_token_refused(registry: Scripted, registries: Registries) -> None:
    def no(asked: Asked) -> Told | None:
        return Told(401, b'{"details":"incorrect username or password"}') if asked.path == "/token" else None

    registry.rules = [no, wants_token(f"http://{registry.address}/token")]
    with pytest.raises(Unauthorized, match="incorrect username or password"):
        login(registries, registry.address, ME)


def test_what_is_no_registry(registry: Scripted, registries: Registries) -> None:
    registry.rules = [lambda asked: refusal(404, "", "")]
    with pytest.raises(LodgeError, match="404 Not Found"):
        login(registries, registry.address, ME)


def test_names_of_servers() -> None:
    assert server_host("") == "docker.io"
    assert server_host("https://index.docker.io/v1/") == "docker.io"
    assert server_host("localhost:5000") == "localhost:5000"
    assert server_host("https://r.example/v2/") == "r.example"
    with pytest.raises(InvalidArgument):
        server_host("https://u:p@r.example")
