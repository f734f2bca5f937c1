"""Files from plain web servers: archives to import, contexts and files of builds.

Blocks; its HTTP library is imported at first use. Registries are next door, in `transport`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from lodge.errors import InvalidArgument, Unavailable

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

_CONNECT_SECONDS = 30.0
_SILENT_SECONDS = 120.0
_REDIRECTS = 10


class WebFile:
    """The body of one answer, read as it comes. Use it as a context, or `close` it."""

    def __init__(self, response: BaseHTTPResponse, url: str) -> None:
        self._response = response
        self.url = url
        self.headers = response.headers
        announced = response.headers.get("content-length", "")
        self.length = int(announced) if announced.isdecimal() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most `size`; empty at the end. Unavailable when the connection breaks."""
        from urllib3.exceptions import HTTPError

        try:
            data: bytes = self._response.read(size if size > 0 else None)
        except HTTPError as error:
            raise Unavailable(f"failed to download {self.url}: {error}") from error
        return data

    def close(self) -> None:
        """Give the connection up."""
        self._response.close()


def _pool(url: str) -> PoolManager:
    """Connections to a host, by the proxy that this process's environment names for it."""
    from urllib.request import getproxies, proxy_bypass

    import urllib3

    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(parts.netloc):
        return urllib3.ProxyManager(proxy, num_pools=1, maxsize=1)
    return urllib3.PoolManager(num_pools=1, maxsize=1)


def open_url(url: str) -> WebFile:
    """Ask for a file. InvalidArgument for what is no web address, Unavailable when it is not given."""
    if not url.startswith(("http://", "https://")):
        raise InvalidArgument(f"unsupported protocol scheme in {url!r}: only http and https are")
    import urllib3
    from urllib3.exceptions import HTTPError

    pool = _pool(url)
    try:
        # Undecoded: an archive that is compressed stays as it is, and a digest is of these bytes.
        response = pool.request(
            "GET", url, preload_content=False, decode_content=False, redirect=True,
            headers={"User-Agent": "lodge", "Accept-Encoding": "identity"},
            retries=urllib3.Retry(2, redirect=_REDIRECTS),
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_SILENT_SECONDS),
        )  # fmt: skip
    except (HTTPError, ValueError) as error:
        raise Unavailable(f"failed to download {url}: {error}") from error
    if response.status != 200:
        response.close()
        answer = f"{response.status} {response.reason or ''}".rstrip()
        raise Unavailable(f"failed to download {url}: the server answered {answer}")
    return WebFile(response, url)
