"""A registry server put together: directory, gate, door, sockets, and the collection that runs beside."""

from __future__ import annotations

import argparse
import asyncio
import logging
import resource
import ssl

from lodge.daemon import hosts, listeners
from lodge.daemon.hosts import Host
from lodge.errors import Conflict, InvalidArgument, LodgeError
from lodge.http.limits import Limits
from lodge.http.server import Server
from lodge.registry import collection
from lodge.registry.access.contract import Gate, Open
from lodge.registry.app import BANNER, App
from lodge.registry.directory import Directory
from lodge.registry.service import Library, Rules, Service, Upstream

_log = logging.getLogger("lodge.registry")
_IDLE = 300.0
DEFAULT_ADDRESS = "127.0.0.1:5000"


class Assembly:
    """A registry's parts. `open` and `close` once each."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._tls = tls_context(given)
        gate = make_gate(given)
        self.directory = None if given.store else Directory(given.directory)
        rules = Rules(
            read_only=given.read_only,
            delete=not given.no_delete,
            blob_limit=given.max_blob_size,
            uploads_at_once=given.max_uploads,
        )
        self.service = Service(self._library(), gate, rules, directory=self.directory)
        if self.directory is not None and self.directory.is_cache and not (given.proxy or given.read_only):
            raise Conflict(f"{given.directory} is a cache", hint="serve it with --proxy or --read-only")
        if given.proxy:
            self.service.upstream = self._upstream()
        limits = Limits(body_buffer=512 << 10, write_buffer=1 << 20, idle_seconds=_IDLE)
        self.server = Server(
            App(self.service, access_log=given.access_log).handle, banner=BANNER, limits=limits
        )
        self._collecting: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    def _library(self) -> Library:
        if self.directory is not None:
            return self.directory
        from lodge.registry.engine_store import EngineStore

        return EngineStore(self._given.directory)

    def _upstream(self) -> Upstream:
        from lodge.distribution.credentials import Credentials
        from lodge.registry.pull_through import PullThrough

        given = self._given
        if self.directory is None:
            raise InvalidArgument("--proxy needs a directory of its own, not --store")
        credentials = None
        if given.proxy_user:
            with open(given.proxy_password_file) as file:
                credentials = Credentials(username=given.proxy_user, password=file.read().rstrip("\n"))
        return PullThrough(
            given.proxy, self.directory, self.service, credentials=credentials, ca=given.proxy_ca
        )

    async def open(self) -> None:
        """Take the sockets and serve. What fails is undone and raised."""
        _raise_file_limit()
        wanted = [_host(text, tls=self._tls is not None) for text in self._given.addr or [DEFAULT_ADDRESS]]
        try:
            for host in wanted:
                for sock in listeners.open_listener(host, str(_own_group())):
                    await self.server.listen(sock, self._tls if host.kind == "tcp" else None)
                    _log.info("registry listens on %s", _spoken(host, sock.getsockname()))
        except BaseException:
            await self.close()
            raise
        if self.directory is not None and not self.service.rules.read_only:
            self._collecting = asyncio.get_running_loop().create_task(self._collect())

    def reload(self) -> None:
        """Read the certificate again: connections from now on get the new one."""
        if self._tls is not None:
            try:
                self._tls.load_cert_chain(self._given.tls_cert, self._given.tls_key)
                _log.info("the certificate was read again")
            except (OSError, ssl.SSLError) as error:
                _log.error("the certificate stays as it was: %s", error)

    def collect_now(self) -> None:
        """Collect garbage soon."""
        self._wake.set()

    async def _collect(self) -> None:
        assert self.directory is not None
        interval = self._given.gc_interval or None
        rules = collection.Rules(
            grace=self._given.proxy_keep if self._given.proxy else self._given.gc_grace,
            cache=bool(self._given.proxy),
            uploads=self._given.upload_expiry,
            untagged=self._given.delete_untagged,
        )
        while True:
            try:
                async with asyncio.timeout(interval):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                freed = await self.service.call(
                    collection.collect, self.directory, self.service.uploads, rules
                )
                _log.info(
                    "collected: %d manifests, %d blobs, %d uploads, %d bytes",
                    freed.manifests, freed.blobs, freed.uploads, freed.size,
                )  # fmt: skip
            except (OSError, LodgeError) as error:
                _log.error("the collection failed: %s", error)

    async def close(self) -> None:
        """Let running requests finish for a while, then end."""
        await self.server.close(5.0)
        if self._collecting is not None:
            self._collecting.cancel()
        if self.service.upstream is not None:
            self.service.upstream.close()
        self.service.close()
        if self.directory is not None:
            self.directory.close()


def make_gate(given: argparse.Namespace) -> Gate:
    """Who may come in, by the flags. InvalidArgument for a mixture that can't be meant."""
    tokens = any((given.token_realm, given.token_service, given.token_issuer, given.token_key))
    if given.htpasswd and tokens:
        raise InvalidArgument("choose one of --htpasswd and --token-...")
    if given.anonymous_pull and not given.htpasswd:
        raise InvalidArgument("--anonymous-pull goes with --htpasswd")
    if given.htpasswd:
        from lodge.registry.access.passwords import Passwords

        return Passwords(given.htpasswd, anonymous_pull=given.anonymous_pull)
    if tokens:
        from lodge.registry.access.tokens import Tokens

        return Tokens(
            given.token_key, realm=given.token_realm, service=given.token_service, issuer=given.token_issuer
        )
    return Open()


def tls_context(given: argparse.Namespace) -> ssl.SSLContext | None:
    """TLS by the flags; InvalidArgument when a file is missing."""
    if not (given.tls_cert or given.tls_key or given.tls_client_ca):
        return None
    if not (given.tls_cert and given.tls_key):
        raise InvalidArgument("TLS needs --tls-cert and --tls-key")
    if given.tls_client_ca:
        return listeners.mutual_tls(given.tls_client_ca, given.tls_cert, given.tls_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(given.tls_cert, given.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(f"could not load {given.tls_cert}, {given.tls_key}: {error}") from None
    return context


def _host(text: str, *, tls: bool) -> Host:
    if "://" not in text:
        text = f"tcp://{text}"
    return hosts.parse(text, default_socket="", tls=tls)


def _spoken(host: Host, name: object) -> str:
    if isinstance(name, tuple):
        return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
    return str(host)


def _own_group() -> int:
    import os

    return os.getgid()


def _raise_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
