"""Who may ask a registry: Basic (RFC 7617), and tokens bought at the realm that it names.

A token costs a GET with a password, or a POST with an identity token (distribution, "Token Authentication
Specification" and "OAuth2 Token Authentication"). Credentials belong to one registry: they go to its own
address and to a realm that belongs to it, over TLS or on loopback, of the same site or named by the settings
(CVE-2020-15157 and its kin).
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

from msgspec import Struct

from lodge.distribution.abort import Abort
from lodge.distribution.challenge import Challenge, parse
from lodge.distribution.credentials import NOBODY, Credentials
from lodge.distribution.endpoints import Endpoint, bare_host, is_insecure, is_loopback, plan
from lodge.distribution.transport import Answer, Transport
from lodge.errors import Corrupt, Forbidden, Unauthorized, Unavailable

_CLIENT = "lodge"
_TOKEN_CAP = 1 << 20
_SHORTEST_LIFE = 60
_MARGIN = 10.0
Scopes = tuple[str, ...]


class Token(Struct, frozen=True):
    """A bearer token, until when it is used (seconds, monotonic), and what it can be renewed with."""

    value: str
    expires: float
    refresh: str = ""


class Authorizer:
    """Authorization towards one registry with one set of credentials. Safe in threads."""

    def __init__(self, transport: Transport, endpoint: Endpoint, credentials: Credentials | None) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self.credentials = credentials or NOBODY
        self._lock = threading.Lock()
        self._tokens: dict[Scopes, Token] = {}
        self._basic = False

    def header(self, scopes: Scopes) -> str:
        """Return the Authorization header that is known to be right for now; "" when there is none."""
        if self.credentials.registry_token:
            return f"Bearer {self.credentials.registry_token}"
        token = self._tokens.get(scopes)
        if token is not None and token.expires > time.monotonic():
            return f"Bearer {token.value}"
        return self.credentials.basic if self._basic else ""

    def satisfy(self, refused: Answer, sent: str, scopes: Scopes, abort: Abort | None) -> bool:
        """Do what a 401 asks for; False when nothing more can be done, and the refusal stands.

        Raises Forbidden when there are no credentials to answer with, or the realm must not have them.
        """
        url = urlsplit(refused.url)
        if (url.scheme, url.netloc.lower()) not in self._own_places():
            # Somebody else's question, at the end of a redirect, is not answered.
            return False
        challenges = {each.scheme: each for each in parse(refused.headers.get("www-authenticate", ""))}
        bearer = challenges.get("bearer")
        with self._lock:
            if self.header(scopes) not in ("", sent):
                return True
            if bearer is not None and not self.credentials.registry_token:
                # One that was refused may have run out before its time: a new one is bought once a request.
                self._tokens[scopes] = self.buy(bearer, scopes, refused.url, abort)
                return True
            if "basic" in challenges and not sent:
                if not self.credentials.username:
                    raise Forbidden(f'Head "{refused.url}": no basic auth credentials')
                self._basic = True
                return True
        return False

    def _own_places(self) -> set[tuple[str, str]]:
        return {(scheme, self._endpoint.host.lower()) for scheme in self._endpoint.schemes}

    def buy(
        self, challenge: Challenge, scopes: Scopes, asked: str, abort: Abort | None, *, offline: bool = False
    ) -> Token:
        """Get a token from the realm that a registry named, in answer to a request for the URL `asked`."""
        realm = challenge.parameters.get("realm", "")
        place = self._check_realm(realm, asked)
        service = challenge.parameters.get("service", "")
        wanted = list(scopes)
        wanted += [
            one for one in challenge.parameters.get("scope", "").split(" ") if one and one not in wanted
        ]
        if self.credentials.identity_token:
            answer = self._exchange(place, realm, service, wanted, abort)
        else:
            answer = self._get(place, realm, service, wanted, abort, offline=offline)
        with answer:
            if answer.status != 200:
                raise self._refused(answer, asked)
            return _token(answer.read_all(_TOKEN_CAP), place.host)

    def _get(
        self,
        place: Endpoint,
        realm: str,
        service: str,
        scopes: list[str],
        abort: Abort | None,
        *,
        offline: bool,
    ) -> Answer:
        query = [("scope", scope) for scope in scopes]
        if service:
            query.append(("service", service))
        if offline:
            query += [("client_id", _CLIENT), ("offline_token", "true")]
        headers = {}
        if self.credentials.username:
            query.append(("account", self.credentials.username))
            headers["Authorization"] = self.credentials.basic
        target = realm + ("&" if urlsplit(realm).query else "?") + urlencode(query)
        return self._transport.send(place, "GET", target, headers, abort=abort, attempts=3)

    def _exchange(
        self, place: Endpoint, realm: str, service: str, scopes: list[str], abort: Abort | None
    ) -> Answer:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self.credentials.identity_token,
            "service": service,
            "client_id": _CLIENT,
        }
        if scopes:
            form["scope"] = " ".join(scopes)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()
        return self._transport.send(place, "POST", realm, headers, body=body, abort=abort, attempts=3)

    def _check_realm(self, realm: str, asked: str) -> Endpoint:
        """Return how the realm is reached; Forbidden for one that must not be asked."""
        parts, own = urlsplit(realm), urlsplit(asked)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username:
            raise Forbidden(f"{own.netloc} names a token realm that is no address: {realm[:200]!r}")
        settings = self._transport.settings
        trusted = parts.scheme == "https" or (
            own.scheme == "http"
            and (parts.hostname == own.hostname or is_insecure(settings.insecure, parts.netloc))
        )
        if not trusted:
            raise Forbidden(f"{own.netloc} names a token realm without TLS: {realm[:200]!r}")
        allowed = parts.netloc in self._endpoint.entry.token_realms
        if self.credentials != NOBODY and not allowed and not same_site(parts.netloc, own.netloc):
            raise Forbidden(
                f"{own.netloc} wants its credentials to be sent to {parts.netloc}, which is another site",
                hint=f'if that is right, set "token-realms": ["{parts.netloc}"] for this registry',
            )
        return plan(settings, parts.netloc, "", mirrored=False)[0]

    def _refused(self, answer: Answer, asked: str) -> Exception:
        refusal = answer.refusal()
        text = f'Get "{asked}": {refusal}'
        if refusal.status == 401:
            if not refusal.code:
                text = f'Get "{asked}": unauthorized: incorrect username or password'
            return Unauthorized(text) if self.credentials != NOBODY else Forbidden(text)
        if refusal.status in (403, 404, 400):
            return Forbidden(text)
        return Unavailable(text)


def same_site(one: str, other: str) -> bool:
    """Whether two hosts[:port] belong together: equal, both loopback, or below one registered domain.

    The registered domain is taken to be the last two labels, the last three where the end is like co.uk.
    """
    first, second = bare_host(one).lower(), bare_host(other).lower()
    if first == second or (is_loopback(first) and is_loopback(second)):
        return True
    if first[-1:].isdigit() or second[-1:].isdigit():
        return False  # addresses have no site
    return _site(first) == _site(second) != ""


def _site(host: str) -> str:
    labels = host.split(".")
    count = 3 if len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-count:]) if len(labels) >= count else ""


def _token(body: bytes, host: str) -> Token:
    try:
        document: Any = json.loads(body)
        value = document.get("token") or document.get("access_token")
        refresh = document.get("refresh_token") or ""
        life = document.get("expires_in") or _SHORTEST_LIFE
    except (ValueError, RecursionError, AttributeError):
        raise Corrupt(f"{host}: the answer of the token server is not JSON") from None
    if not isinstance(value, str) or not value or not value.isprintable() or not isinstance(refresh, str):
        raise Corrupt(f"{host}: authorization server did not include a token in the response")
    seconds = float(life) if isinstance(life, int | float) else float(_SHORTEST_LIFE)
    return Token(value, time.monotonic() + max(seconds - _MARGIN, _MARGIN), refresh)
