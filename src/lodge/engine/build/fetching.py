"""What a build gets from addresses: files by HTTP, git repositories. Everything goes into its own scratch.

Git runs as a program of this machine, without its users' configuration, hooks or credentials; only protocols
that reach the net are allowed, so no address can lead to a file of the host.
"""

from __future__ import annotations

import asyncio
import email.utils
import hashlib
import os
import shutil
from collections.abc import Sequence

from lodge.build.giturl import GitAddress, parse_git_url
from lodge.build.graph import Fetch, Git, Tree
from lodge.build.worker import Progress
from lodge.distribution.web import open_url
from lodge.engine.bridge import Bridge
from lodge.engine.build.scratch import Scratch
from lodge.errors import Corrupt, InvalidArgument, NotFound, Unsupported

_PIECE = 1 << 18
_MOST = 1 << 36
_HEAD = "refs/lodge/head"
_GIT_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_SSH_COMMAND": "ssh -F /dev/null -o BatchMode=yes",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_ALLOW_PROTOCOL": "http:https:git:ssh",
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
}


class Silence:
    """A progress that nobody sees."""

    def log(self, stream: int, data: bytes) -> None:
        """Nothing."""

    def status(self, id: str, current: int, total: int, *, done: bool = False) -> None:
        """Nothing."""


class Fetcher:
    """For one build; what it made goes with `close`."""

    def __init__(self, bridge: Bridge, scratch: Scratch) -> None:
        self._bridge = bridge
        self._scratch = scratch
        self._made: list[str] = []

    def close(self) -> None:
        """Remove everything. Idempotent."""
        for path in self._made:
            self._scratch.drop(path)
        self._made = []

    def _directory(self) -> str:
        path = self._scratch.make("fetch")
        self._made.append(path)
        return path

    async def fetch(self, operation: Fetch, progress: Progress) -> Tree:
        """Download a file into a directory of its own; its time is what the server says."""
        directory = await self._bridge.call(self._download, operation, progress)
        return Tree(directory=directory, name=operation.url)

    def _download(self, operation: Fetch, progress: Progress) -> str:
        directory = self._directory()
        path = os.path.join(directory, operation.name)
        modified = download(operation.url, path, operation.checksum, progress)
        # What comes by HTTP is readable by root alone, as Docker has it.
        os.chmod(path, 0o600)
        os.utime(path, (modified, modified))
        return directory

    async def clone(self, operation: Git, progress: Progress) -> Tree:
        """Check a repository out."""
        address = parse_git_url(operation.url)
        checksum = operation.checksum or address.checksum
        if checksum and not set(checksum) <= set("0123456789abcdef"):
            raise InvalidArgument(f"invalid git checksum {checksum!r}", hint="a commit's hexadecimal name")
        directory = self._directory()
        commit = await self._check_out(address, checksum, directory, progress)
        if checksum and not commit.startswith(checksum):
            raise Corrupt(f"expected checksum to match {checksum}, got {commit}")
        keep = operation.keep_git_dir or address.keep_git_dir
        if not keep:
            await self._bridge.call(shutil.rmtree, os.path.join(directory, ".git"), ignore_errors=True)
        top = os.path.realpath(directory)
        inner = os.path.realpath(os.path.join(directory, address.subdir))
        if os.path.commonpath((top, inner)) != top or not os.path.isdir(inner):
            raise NotFound(f"there is no directory {address.subdir!r} in {address.remote}")
        return Tree(directory=inner, name=operation.url)

    async def _check_out(self, address: GitAddress, checksum: str, directory: str, progress: Progress) -> str:
        run = _GitRuns(directory, progress)
        await run("init", "--quiet", "--initial-branch=main")
        await run("remote", "add", "origin", address.remote)
        wanted = address.ref or checksum or "HEAD"
        shallow = await run("fetch", "--quiet", "--depth=1", "origin", wanted, check=False)
        if shallow:
            # Servers give a shortened commit, or an old one, only with everything around it.
            await run(
                "fetch",
                "--quiet",
                "--tags",
                "origin",
                "+refs/heads/*:refs/remotes/origin/*",
                f"+HEAD:{_HEAD}",
            )
            await run("checkout", "--quiet", "--detach", await run.first(_meanings(wanted)))
        else:
            await run("checkout", "--quiet", "--detach", "FETCH_HEAD")
        if address.submodules and os.path.exists(os.path.join(directory, ".gitmodules")):
            await run("submodule", "update", "--quiet", "--init", "--recursive", "--depth=1")
        return (await run.output("rev-parse", "HEAD")).strip()


class _GitRuns:
    """Git's commands in one directory."""

    def __init__(self, directory: str, progress: Progress) -> None:
        self._directory = directory
        self._progress = progress

    async def __call__(self, *words: str, check: bool = True) -> int:
        code, _, errors = await self._run(words)
        if code and check:
            raise NotFound(f"git {words[0]} failed: {errors.decode(errors='replace').strip()[-2000:]}")
        if errors and not code:
            self._progress.log(2, errors)
        return code

    async def first(self, names: Sequence[str]) -> str:
        """The first of these that names a commit; NotFound."""
        for name in names:
            if not (await self._run(("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")))[0]:
                return name
        raise NotFound(f"git: no branch, tag or commit is called {names[-1]}")

    async def output(self, *words: str) -> str:
        return (await self._run(words))[1].decode()

    async def _run(self, words: Sequence[str]) -> tuple[int, bytes, bytes]:
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **_GIT_ENVIRONMENT}
        for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
            if name in os.environ:
                env[name] = os.environ[name]
        try:
            process = await asyncio.create_subprocess_exec(
                "git", "-c", "core.hooksPath=/dev/null", "-c", "protocol.file.allow=never", *words,
                cwd=self._directory,
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except FileNotFoundError:
            raise Unsupported(
                "building from git repositories needs the git command", hint="apt-get install git"
            ) from None
        try:
            out, errors = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        return process.returncode or 0, out, errors


def _meanings(wanted: str) -> list[str]:
    """What a name may mean after everything was fetched."""
    if wanted == "HEAD":
        return [_HEAD]
    return [f"refs/remotes/origin/{wanted}", f"refs/tags/{wanted}", wanted]


def download(url: str, path: str, checksum: str, progress: Progress | None = None) -> float:
    """Download to a path; the time that the server says, or 0. Blocking.

    Unavailable when it is not given, Corrupt for another checksum than was wanted.
    """
    made = hashlib.sha256()
    done = 0
    with open_url(url) as answer, open(path, "wb") as file:
        total = answer.length or 0
        while piece := answer.read(_PIECE):
            made.update(piece)
            file.write(piece)
            done += len(piece)
            if done > _MOST:
                raise InvalidArgument(f"{url} is larger than any file may be")
            if progress is not None:
                progress.status(url, done, total)
        modified = email.utils.parsedate_tz(answer.headers.get("Last-Modified") or "")
    if progress is not None:
        progress.status(url, done, total, done=True)
    if checksum and checksum != f"sha256:{made.hexdigest()}":
        raise Corrupt(f"digest mismatch sha256:{made.hexdigest()}: {checksum}")
    return email.utils.mktime_tz(modified) if modified else 0.0
