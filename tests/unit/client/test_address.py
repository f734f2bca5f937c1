"""Addresses of daemons, from texts and from the environment."""

import pytest

from lodge.client.address import DEFAULT_SOCKET, parse, resolve
from lodge.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "scheme", "place"),
    [
        ("unix:///run/x.sock", "unix", "/run/x.sock"),
        ("/run/x.sock", "unix", "/run/x.sock"),
        ("unix://", "unix", DEFAULT_SOCKET),
        ("tcp://10.0.0.1", "tcp", ("10.0.0.1", 2375)),
        ("tcp://host:99/path", "tcp", ("host", 99)),
        ("tcp://:99", "tcp", ("127.0.0.1", 99)),
        ("tcp://[::1]:99", "tcp", ("::1", 99)),
        ("tcp://[::1]", "tcp", ("::1", 2375)),
        ("host:99", "tcp", ("host", 99)),
        ("http://host:99", "tcp", ("host", 99)),
        ("https://host", "tcp", ("host", 2376)),
        ("ssh://me@host", "ssh", "me@host"),
    ],
)
def test_an_address_is_read(text: str, scheme: str, place: object) -> None:
    address = parse(text)
    assert address.scheme == scheme
    if scheme == "tcp":
        assert (address.host, address.port) == place
    else:
        assert place in (address.path, address.host)


@pytest.mark.parametrize(
    "text", ["foo://x", "tcp://h:0", "tcp://h:70000", "tcp://h:x", "tcp://[::1", "ssh://"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="docker host"):
        parse(text)


def test_the_flag_comes_before_lodge_host_before_docker_host_before_the_default() -> None:
    environ = {"LODGE_HOST": "/a", "DOCKER_HOST": "/b"}
    assert resolve(environ, "/c").path == "/c"
    assert resolve(environ).path == "/a"
    assert resolve({"DOCKER_HOST": "/b"}).path == "/b"
    default = resolve({})
    assert default.default
    assert default.path == DEFAULT_SOCKET
    assert not resolve(environ).default


def test_tls_is_read_as_the_docker_command_reads_it() -> None:
    environ = {"DOCKER_HOST": "tcp://h", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}
    address = resolve(environ)
    assert address.port == 2376
    assert address.tls is not None
    assert (address.tls.ca, address.tls.verify) == ("/certs/ca.pem", True)
    assert resolve({"DOCKER_HOST": "tcp://h"}).tls is None
