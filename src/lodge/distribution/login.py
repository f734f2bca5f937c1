"""Are these credentials good: what `docker login` asks a registry. Blocks."""

from __future__ import annotations

from urllib.parse import urlsplit

from lodge.distribution.abort import Abort
from lodge.distribution.challenge import parse
from lodge.distribution.credentials import Credentials
from lodge.distribution.endpoints import Endpoint, plan
from lodge.distribution.registries import Registries
from lodge.distribution.tokens import Authorizer
from lodge.distribution.transport import Answer
from lodge.errors import InvalidArgument, Unauthorized, Unavailable
from lodge.spec.reference import DEFAULT_DOMAIN, LEGACY_DOMAIN

_TITLES = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 500: "Internal Server Error"}


def login(registries: Registries, server: str, credentials: Credentials) -> str:
    """Check credentials at a registry; gives the identity token that it offers instead, or "".

    `server` is a host[:port] or a URL, "" for Docker Hub. Raises Unauthorized, Unavailable, InvalidArgument.
    """
    endpoint = plan(registries.settings, server_host(server), "", mirrored=False)[0]
    authorizer = Authorizer(registries.transport, endpoint, credentials)
    with _ask(registries, endpoint, "") as answer:
        if answer.status == 200:
            return ""
        if answer.status != 401:
            raise _failed(answer)
        challenges = {each.scheme: each for each in parse(answer.headers.get("www-authenticate", ""))}
        url = answer.url
    if "bearer" in challenges:
        token = authorizer.buy(challenges["bearer"], (), url, None, offline=True)
        with _ask(registries, endpoint, f"Bearer {token.value}") as answer:
            if answer.status != 200:
                raise _failed(answer)
        return token.refresh
    if "basic" not in challenges:
        raise Unavailable(f"{endpoint.host} asks for a way to log in that is not known here")
    with _ask(registries, endpoint, credentials.basic) as answer:
        if answer.status != 200:
            raise _failed(answer)
    return ""


def _ask(registries: Registries, endpoint: Endpoint, authorization: str) -> Answer:
    headers = {"Authorization": authorization} if authorization else {}
    return registries.transport.send(endpoint, "GET", "/v2/", headers, abort=Abort(), attempts=2)


def _failed(answer: Answer) -> Exception:
    status = f"{answer.status} {_TITLES.get(answer.status, '')}".rstrip()
    text = f"login attempt to {answer.url} failed with status: {status}"
    return Unauthorized(text) if answer.status in (401, 403) else Unavailable(text)


def server_host(server: str) -> str:
    """Return the registry's host of what people and config.json call it."""
    parts = urlsplit(server if "://" in server else f"https://{server or DEFAULT_DOMAIN}")
    if not parts.hostname or parts.username:
        raise InvalidArgument(f"invalid registry endpoint {server!r}")
    return DEFAULT_DOMAIN if parts.netloc == LEGACY_DOMAIN else parts.netloc
