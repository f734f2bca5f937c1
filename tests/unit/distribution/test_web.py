"""Files of plain web servers: read as they come, refused with the server's reason."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lodge.distribution.web import open_url
from lodge.errors import InvalidArgument, Unavailable


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.end_headers()
        elif self.path in ("/file", "/short", "http://elsewhere.invalid/file"):
            self.send_response(200)
            self.send_header("Content-Length", "600" if self.path == "/short" else "6")
            self.end_headers()
            self.wfile.write(b"abcdef")
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/file", "/moved"])
def test_a_file_is_read_in_pieces(site: str, path: str) -> None:
    with open_url(site + path) as file:
        assert file.length == 6
        assert [file.read(4), file.read(4), file.read(4)] == [b"abcd", b"ef", b""]


def test_a_proxy_of_the_environment_is_asked(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for address in ("http://elsewhere.invalid/file", site + "/file"):
        with open_url(address) as file:
            assert file.read() == b"abcdef"


def test_what_goes_wrong_is_told(site: str) -> None:
    with pytest.raises(Unavailable, match="404 Not Found"):
        open_url(site + "/none")
    with pytest.raises(InvalidArgument, match="unsupported protocol scheme"):
        open_url("file:///etc/passwd")
    with open_url(site + "/short") as file, pytest.raises(Unavailable, match="failed to download"):
        file.read()
