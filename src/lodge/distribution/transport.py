"""Requests to registries: connections, TLS, proxies, redirects, waiting and trying again.

The only module that knows the HTTP library (urllib3, imported when a registry is first asked; see
docs/decisions). Blocks; safe in threads. What is asked for is in `repository`, who may ask in `tokens`.
"""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin, urlsplit

from lodge.distribution import answers
from lodge.distribution.abort import Abort
from lodge.distribution.endpoints import Endpoint, bare_host, is_insecure, is_loopback, plan
from lodge.distribution.settings import RegistrySettings
from lodge.errors import Corrupt, Forbidden, LodgeError, Unavailable

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_MOST_REDIRECTS = 10
_LONGEST_WAIT = 300.0
_BLOCK = 256 << 10
_LEAST = 16 << 10
_SENSITIVE = ("authorization", "cookie")


class Unreachable(Unavailable):
    """No connection came about, no request went out: another place, or plain HTTP, may do better."""


class Broken(Unavailable):
    """The connection broke after the request went out, or the registry failed; trying again may help."""


class Answer:
    """One answer. Read it to the end or close it. `url` is where it came from, after redirects."""

    def __init__(self, response: BaseHTTPResponse, url: str, abort: Abort | None) -> None:
        self._response = response
        self.url = url
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._abort = abort
        self._callback = abort.add(self._interrupt) if abort is not None else 0
        self._piece = _LEAST

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def length(self) -> int | None:
        """The announced bytes of the body; None when they are not announced."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None

    def read(self, size: int = _BLOCK, /) -> bytes:
        """Return what has come, at most `size` bytes; nothing at the end. Raises Broken, Aborted."""
        import http.client

        import urllib3.exceptions as failures

        try:
            data = self._response.read1(min(size, self._piece), decode_content=False)
        except (failures.HTTPError, OSError, http.client.HTTPException, ValueError) as error:
            if self._abort is not None:
                self._abort.check()
            raise Broken(
                f"the connection to {urlsplit(self.url).netloc} broke off: {_reason(error)}"
            ) from error
        if not data and self._abort is not None:
            self._abort.check()
        # What is asked for is allocated, and shrunk to what has come: a wrong guess leaves holes in the heap.
        if len(data) == self._piece:
            self._piece = min(2 * self._piece, _BLOCK)
        elif 4 * len(data) < self._piece:
            self._piece = max(self._piece // 2, _LEAST)
        return data

    def read_all(self, cap: int) -> bytes:
        """Return the whole body; Corrupt when it is longer than `cap` bytes."""
        pieces: list[bytes] = []
        left = cap
        while data := self.read():
            left -= len(data)
            if left < 0:
                self.close()
                raise Corrupt(f"the answer of {urlsplit(self.url).netloc} is longer than {cap} bytes")
            pieces.append(data)
        self.close()
        return b"".join(pieces)

    def refusal(self) -> answers.Refusal:
        """Read what an error answer says, and close it."""
        pieces: list[bytes] = []
        left = answers.ERROR_CAP
        try:
            while left > 0 and (data := self.read(left)):
                pieces.append(data)
                left -= len(data)
        except Broken:
            pass
        finally:
            self.close()
        return answers.Refusal.read(self.status, b"".join(pieces))

    def close(self) -> None:
        """Give the connection back if all was read, else end it. Idempotent."""
        if self._abort is not None:
            self._abort.drop(self._callback)
        if self._response.length_remaining == 0:
            self._response.release_conn()
        self._response.close()

    def _interrupt(self) -> None:
        try:
            self._response.shutdown()
        except (ValueError, RuntimeError, OSError):
            pass  # it was read to the end meanwhile


class Transport:
    """Connections to all registries, kept for the next request. Close it."""

    def __init__(self, settings: RegistrySettings) -> None:
        self.settings = settings
        self._managers: dict[tuple[object, ...], PoolManager] = {}
        self._schemes: dict[str, str] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close connections that nobody uses. Idempotent."""
        with self._lock:
            managers, self._managers = self._managers, {}
        for manager in managers.values():
            manager.clear()

    def schemes(self, endpoint: Endpoint) -> tuple[str, ...]:
        """Return the schemes to try for an endpoint; one that has worked is the only one from then on."""
        known = self._schemes.get(endpoint.host)
        return (known,) if known in endpoint.schemes and known is not None else endpoint.schemes

    def send(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: Mapping[str, str],
        *,
        body: bytes | Iterable[bytes] | None = None,
        abort: Abort | None = None,
        attempts: int = 1,
    ) -> Answer:
        """Send a request and return the answer, whatever its status but 429 and 5xx, which are tried again.

        `target` is a path, or a URL that the registry gave. GET and HEAD follow redirects, without their
        credentials when it leads to another host. Raises Unreachable, Broken, Aborted, and Forbidden for a
        redirect that must not be followed. A body that can be sent only once wants `attempts` 1.
        """
        for attempt in range(1, attempts + 1):
            last = attempt >= attempts
            try:
                answer = self._try_schemes(endpoint, method, target, headers, body, abort)
            except Broken:
                if last:
                    raise
                pause(attempt, abort)
                continue
            if last or (answer.status < 500 and answer.status != 429) or answer.status == 501:
                return answer
            self._wait(answer, attempt, abort)
        raise AssertionError("there is at least one attempt")

    def _wait(self, answer: Answer, attempt: int, abort: Abort | None) -> None:
        """Wait as long as the registry says, or longer each time; an unreasonable wish is an error."""
        asked = answer.headers.get("retry-after")
        seconds = answers.retry_after(asked, _backoff(attempt))
        if seconds > _LONGEST_WAIT:
            refusal = answer.refusal()
            raise answers.error_of(refusal, f"the registry asks to come back in {seconds:.0f} seconds")
        answer.close()
        (abort or Abort()).wait(seconds)

    def _try_schemes(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
        abort: Abort | None,
    ) -> Answer:
        if "://" in target:
            return self._follow(endpoint, method, target, headers, body, abort)
        schemes = self.schemes(endpoint)
        for scheme in schemes:
            try:
                url = f"{scheme}://{endpoint.host}{target}"
                answer = self._follow(endpoint, method, url, headers, body, abort)
            except Unreachable:
                if scheme == schemes[-1]:
                    raise
                continue
            remembered = self._schemes.get(endpoint.host) == scheme
            if remembered and answer.status == 400 and scheme == "http" and isinstance(body, bytes | None):
                # So says a registry that has learned TLS since it was asked first.
                self._schemes.pop(endpoint.host, None)
                answer.close()
                return self._try_schemes(endpoint, method, target, headers, body, abort)
            self._schemes[endpoint.host] = scheme
            return answer
        raise AssertionError("an endpoint has a scheme")

    def _follow(
        self,
        endpoint: Endpoint,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
        abort: Abort | None,
    ) -> Answer:
        origin = _origin(url)
        sent = dict(headers)
        sent.setdefault("User-Agent", self.settings.user_agent)
        sent.setdefault("Accept-Encoding", "identity")
        for _ in range(_MOST_REDIRECTS):
            answer = self._once(endpoint, method, url, sent, body, abort)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not location or method not in ("GET", "HEAD"):
                return answer
            answer.close()
            following = urljoin(url, location)
            endpoint = self._redirected(endpoint, url, following)
            url = following
            if _origin(url) != origin:
                # What was meant for the registry is nobody else's business (CVE-2020-15157).
                sent = {name: value for name, value in sent.items() if name.lower() not in _SENSITIVE}
        raise Unavailable(f"{urlsplit(url).netloc}: stopped after {_MOST_REDIRECTS} redirects")

    def _redirected(self, endpoint: Endpoint, url: str, following: str) -> Endpoint:
        """Return how the next place is reached; a way from TLS to plain HTTP is not followed."""
        parts = urlsplit(following)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Forbidden(f"{urlsplit(url).netloc} redirects to {following[:200]!r}, which is not followed")
        weaker = parts.scheme == "http" and urlsplit(url).scheme == "https"
        if weaker and not is_insecure(self.settings.insecure, parts.netloc):
            raise Forbidden(f"{urlsplit(url).netloc} redirects from TLS to plain HTTP at {parts.netloc}")
        if _origin(url) == _origin(following):
            return endpoint
        return plan(self.settings, parts.netloc, endpoint.repository, mirrored=False)[0]

    def _once(
        self,
        endpoint: Endpoint,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None,
        abort: Abort | None,
    ) -> Answer:
        import http.client

        import urllib3.exceptions as failures
        from urllib3 import Timeout

        if abort is not None:
            abort.check()
        entry = endpoint.entry
        try:
            response = self._manager(endpoint, url).urlopen(
                method,
                url,
                body=body,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=Timeout(connect=entry.connect_timeout, read=entry.read_timeout),
            )
        except (failures.HTTPError, OSError, http.client.HTTPException, ValueError) as error:
            raise _failure(method, url, error) from error
        return Answer(response, url, abort)

    def _manager(self, endpoint: Endpoint, url: str) -> PoolManager:
        """Return the connections for an endpoint: they share TLS settings, and a proxy or none."""
        proxy = proxy_for(self.settings, url)
        entry = endpoint.entry
        key = (endpoint.host, endpoint.verified, entry.ca, entry.client_cert, entry.client_key, proxy)
        with self._lock:
            manager = self._managers.get(key)
            if manager is None:
                manager = self._managers[key] = _make_manager(endpoint, self.settings, proxy)
            return manager


def _make_manager(endpoint: Endpoint, settings: RegistrySettings, proxy: str) -> PoolManager:
    from urllib3 import HTTPSConnectionPool, PoolManager, ProxyManager

    from lodge.distribution.certificates import context

    class QuietPool(HTTPSConnectionPool):
        """Connects without a warning for each request: who allowed an unchecked certificate was told."""

        def _validate_conn(self, conn: Any) -> None:
            if conn.is_closed:
                conn.connect()

    tls = context(endpoint, settings.certificate_directories)
    options: dict[str, Any] = {"num_pools": 8, "maxsize": 16, "ssl_context": tls, "blocksize": _BLOCK}
    manager: PoolManager = ProxyManager(proxy, **options) if proxy else PoolManager(**options)
    manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "https": QuietPool}
    return manager


def proxy_for(settings: RegistrySettings, url: str) -> str:
    """Return the proxy to use for a URL, or "". Loopback is never asked through a proxy, as in Go."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = settings.https_proxy if parts.scheme == "https" else settings.http_proxy
    if not proxy or is_loopback(host):
        return ""
    for pattern in settings.no_proxy.split(","):
        name = bare_host(pattern.strip()).lstrip("*").lower()
        if name and (name == "*" or host == name.lstrip(".") or host.endswith("." + name.lstrip("."))):
            return ""
    if "*" in [pattern.strip() for pattern in settings.no_proxy.split(",")]:
        return ""
    return proxy


def pause(attempt: int, abort: Abort | None) -> None:
    """Wait before the next attempt; longer each time, and never two clients in step."""
    (abort or Abort()).wait(_backoff(attempt))


def _backoff(attempt: int) -> float:
    return min(10.0, 0.25 * 2.0**attempt) * (0.5 + random.random() / 2)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _failure(method: str, url: str, error: Exception) -> LodgeError:
    """Put a failure of the net in the words of Docker's clients."""
    import urllib3.exceptions as failures

    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    head = f'{method.capitalize()} "{parts.scheme}://{parts.netloc}{parts.path}"'
    cause: BaseException = error
    while isinstance(cause, failures.ProxyError | failures.MaxRetryError) and cause.args:
        inner = getattr(cause, "original_error", None) or getattr(cause, "reason", None)
        if inner is None:
            break
        cause = inner
    root = f'Get "{parts.scheme}://{parts.netloc}/v2/"'
    dial = f"{root}: dial tcp"
    if isinstance(cause, failures.NameResolutionError):
        return Unreachable(f"{dial}: lookup {parts.hostname}: no such host")
    if isinstance(cause, failures.NewConnectionError):
        return Unreachable(f"{dial} {parts.hostname}:{port}: connect: {_reason(cause)}")
    if isinstance(cause, failures.ConnectTimeoutError):
        return Unreachable(f"{dial} {parts.hostname}:{port}: i/o timeout")
    if isinstance(cause, failures.SSLError):
        return Unreachable(f"{root}: {_tls_reason(cause)}")
    return Broken(f"{head}: {_reason(cause)}")


def _reason(error: BaseException) -> str:
    """Return the innermost words of a chain of exceptions."""
    import urllib3.exceptions as failures

    if isinstance(error, failures.ReadTimeoutError | socket.timeout):
        return "i/o timeout"
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror.lower()
        inner = inner.__cause__ or inner.__context__
    if isinstance(error, failures.IncompleteRead | failures.ProtocolError):
        return "unexpected EOF"
    return str(error) or type(error).__name__


def _tls_reason(error: BaseException) -> str:
    text = str(error)
    for sign in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNEXPECTED_EOF"):
        if sign in text:
            return "http: server gave HTTP response to HTTPS client"
    if "self-signed" in text or "unable to get local issuer" in text or "self signed" in text:
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    if "expired" in text:
        return "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"
    if "ostname" in text or "IP address mismatch" in text:
        return f"tls: failed to verify certificate: x509: {text}"
    return f"tls: {text}"
