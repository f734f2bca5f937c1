"""Becoming the program: user, groups, directory, capabilities, filter, environment, and execve at last.

Runs in the child, inside the container's root, in an order that matters: what takes rights comes before
they are given up, what runs under the filter is reduced to read, write and execve. Nothing here imports a
module or asks a name service: those would come from the container's files (CVE-2019-14271).
"""

from __future__ import annotations

import os
import stat

from msgspec import Struct

from lodge.errors import InvalidArgument, StartFailed
from lodge.kernel import apparmor, capabilities, procfs, seccomp, tty
from lodge.kernel.process import (
    set_keepcaps,
    set_no_new_privs,
    set_pdeathsig,
    setgroups,
    setresgid,
    setresuid,
)
from lodge.runtime.process import attributes, users
from lodge.runtime.process.extras import Extras
from lodge.runtime.process.handshake import Channel, ListenerOpened, Listening
from lodge.runtime.process.lookup import find_executable
from lodge.runtime.process.operation import refusal
from lodge.spec.runtime import CapabilitySets, Process

_NULL = os.makedev(1, 3)
_SIGKILL = 9


class Filter(Struct, frozen=True):
    """A compiled seccomp filter and the flags of seccomp(2), which may ask for a listener."""

    program: bytes
    flags: int
    listens: bool


class Rights(Struct, frozen=True):
    """Capability sets as bit masks, reduced to what the host can grant."""

    effective: int
    permitted: int
    inheritable: int
    bounding: int
    ambient: int


class Becoming(Struct, frozen=True):
    """Everything that turns the child into its program, decided before it was born.

    `held` are the capabilities that the child has until then; `limited_by_keeper` says who sets the limits.
    """

    process: Process
    extras: Extras
    rights: Rights
    held: int
    limited_by_keeper: bool
    filter: Filter | None
    apparmor: str
    dies_with_keeper: bool
    preserve: int

    def __str__(self) -> str:
        process = self.process
        lines = [f"cwd {process.cwd}"]
        if self.extras.user is not None:
            lines.append(f"user {self.extras.user!r} groups {','.join(self.extras.groups) or '-'}")
        else:
            groups = ",".join(map(str, process.user.additional_gids)) or "-"
            lines.append(f"user {process.user.uid}:{process.user.gid} groups {groups}")
        lines.append(f"capabilities {' '.join(capabilities.names(self.rights.permitted)) or '-'}")
        if process.no_new_privileges:
            lines.append("no_new_privs")
        if self.apparmor:
            lines.append(f"apparmor {self.apparmor}")
        if self.filter is not None:
            lines.append("seccomp filter" + (" with a listener" if self.filter.listens else ""))
        lines.append(f"exec {' '.join(process.args)}")
        return "\n".join(lines)


class Program(Struct, frozen=True):
    """What execve gets."""

    path: str
    args: list[str]
    env: dict[str, str]


def reduce_rights(sets: CapabilitySets | None, granted: int) -> Rights:
    """The sets of a config without what the host does not grant or know (config.md: that is no error)."""
    if sets is None:
        return Rights(0, 0, 0, 0, 0)

    def bits(names: list[str]) -> int:
        known = (name for name in names if name in capabilities.NUMBERS)
        return capabilities.mask(known) & granted

    permitted = bits(sets.permitted)
    inheritable = bits(sets.inheritable)
    ambient = bits(sets.ambient) & permitted & inheritable
    return Rights(bits(sets.effective) & permitted, permitted, inheritable, bits(sets.bounding), ambient)


def parse_environment(env: list[str]) -> dict[str, str]:
    """NAME=value texts as a mapping, the last of a name wins; InvalidArgument for what is none."""
    result: dict[str, str] = {}
    for entry in env:
        name, equals, value = entry.partition("=")
        if not equals or not name or "\0" in entry:
            raise InvalidArgument(f"invalid environment variable: {entry[:64]!r}")
        result[name] = value
    return result


def become(plan: Becoming, channel: Channel) -> Program:
    """Take on the program's identity, as far as it goes before execve; StartFailed says what was refused."""
    process = plan.process
    env = parse_environment(process.env)
    account = _find_account(plan, env)
    os.umask(0o022 if process.user.umask is None else process.user.umask)
    attributes.set_final_affinity(process)
    _prepare_stdio(account.uid)
    if process.no_new_privileges:
        set_no_new_privs()
    if plan.apparmor:
        _confine(plan.apparmor)
    reachable = _change_directory(process.cwd, False)
    if not plan.limited_by_keeper:
        attributes.set_limits(0, process.rlimits)
    capabilities.drop_bounding(plan.rights.bounding)
    _change_user(account)
    if not reachable:
        _change_directory(process.cwd, True)
    _verify_directory()
    path = find_executable(process.args[0], env.get("PATH", ""))
    if plan.dies_with_keeper:
        # After the change of user, which clears it. The keeper may have died before: its socket tells.
        set_pdeathsig(_SIGKILL)
    _limit(plan, channel)
    return Program(path, process.args, env)


def _find_account(plan: Becoming, env: dict[str, str]) -> users.Account:
    """Numbers from the config or from the container's files; completes HOME."""
    by_name = plan.extras.user is not None
    user = plan.process.user
    account = users.Account(user.uid, user.gid, tuple(user.additional_gids))
    if not by_name and env.get("HOME"):
        return account
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        files = users.read_files(root, groups=by_name)
    finally:
        os.close(root)
    if plan.extras.user is not None:
        account = users.resolve(plan.extras.user, plan.extras.groups, files)
        home = account.home
    else:
        home = users.home_of(account.uid, files)
    if not env.get("HOME"):
        env["HOME"] = home
    return account


def _prepare_stdio(uid: int) -> None:
    """Let the program open its own streams by name, and give it the container's /dev/null for the host's."""
    for fd in (0, 1, 2):
        info = os.fstat(fd)
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == _NULL:
            _reopen_null(fd)
        elif info.st_uid != uid and not stat.S_ISREG(info.st_mode):
            try:
                os.fchown(fd, uid, -1)
            except OSError:
                # A stream of somebody else's (a socket, a read-only file system, no right to it): its
                # owner's choice.
                pass


def _reopen_null(fd: int) -> None:
    try:
        null = os.open("/dev/null", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    info = os.fstat(null)
    if stat.S_ISCHR(info.st_mode) and info.st_rdev == _NULL:
        os.dup2(null, fd)
    os.close(null)


def take_terminal(slave: int) -> None:
    """Make a terminal the streams of this session."""
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    if slave > 2:
        os.close(slave)
    tty.set_controlling_tty(0)


def _change_directory(cwd: str, as_user: bool) -> bool:
    """Before the change of user, or after it when only the user may go there; False to try again."""
    try:
        os.chdir(cwd)
    except PermissionError as error:
        if not as_user:
            return False
        raise _no_directory(cwd, error) from None
    except OSError as error:
        raise _no_directory(cwd, error) from None
    return True


def _no_directory(cwd: str, error: OSError) -> StartFailed:
    return refusal(f'chdir to cwd ("{cwd}") set in config.json failed', error)


def _verify_directory() -> None:
    """The kernel says when a directory is outside of the root: CVE-2024-21626."""
    try:
        inside = os.getcwd().startswith("/")
    except FileNotFoundError:
        inside = False
    if not inside:
        raise StartFailed(
            "current working directory is outside of container mount namespace root"
            " -- possible container breakout detected"
        )


def _change_user(account: users.Account) -> None:
    # SAFETY: irreversible for this process, which is to become the program; capabilities are kept until
    # `_limit` sets exactly those of the config.
    set_keepcaps(True)
    try:
        setgroups(account.groups)
        setresgid(account.gid, account.gid, account.gid)
        setresuid(account.uid, account.uid, account.uid)
    except OSError as error:
        raise StartFailed(f"unable to setup user {account.uid}:{account.gid}: {error.strerror}") from None
    set_keepcaps(False)


def _limit(plan: Becoming, channel: Channel) -> None:
    """Capabilities and filter. Without no_new_privs the filter takes CAP_SYS_ADMIN, so it comes first."""
    rights, filters = plan.rights, plan.filter
    if filters is not None and not plan.process.no_new_privileges:
        capabilities.set_capabilities(plan.held, plan.held, 0)
        _load(filters, channel)
        filters = None
    capabilities.set_capabilities(rights.effective, rights.permitted, rights.inheritable)
    capabilities.set_ambient(rights.ambient)
    if filters is not None:
        _load(filters, channel)


def _confine(profile: str) -> None:
    private = procfs.open_procfs()
    try:
        apparmor.set_exec_profile(private, profile)
    except OSError as error:
        raise StartFailed(f"unable to apply apparmor profile {profile!r}: {error.strerror}") from None
    finally:
        os.close(private)


def _load(filters: Filter, channel: Channel) -> None:
    listener = seccomp.load(filters.program, filters.flags)
    if listener is not None:
        # By number: sendmsg(2) may be one of the calls that wait for the listener already.
        channel.send(ListenerOpened(listener))
        channel.expect(Listening)
        os.close(listener)
