"""Docker's --security-opt: what each option says, and the system call filter that follows."""

from __future__ import annotations

from msgspec import Struct

from lodge.engine.planning import seccomp_profile
from lodge.engine.planning.host import HostFacts
from lodge.errors import InvalidArgument, Unsupported
from lodge.kernel.seccomp_default import default_profile
from lodge.spec.runtime import Seccomp

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
UNCONFINED = "unconfined"


class Security(Struct, kw_only=True):
    """The options as values. `seccomp` is "" for the default, unconfined, builtin or a profile's JSON."""

    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    writable_cgroups: bool | None = None
    unmasked: bool = False
    labels: list[str] = []


def parse(options: list[str] | None, *, no_new_privileges: bool = False) -> Security:
    """Read the options; InvalidArgument in Docker's words for what is none."""
    found = Security(no_new_privileges=no_new_privileges)
    for option in options or ():
        _read(found, option)
    return found


def _read(found: Security, option: str) -> None:
    match option:
        case "no-new-privileges":
            found.no_new_privileges = True
            return
        case "writable-cgroups":
            found.writable_cgroups = True
            return
        case "disable":
            found.labels.append("disable")
            return
    key, separator, value = option.partition("=" if "=" in option else ":")
    if not separator:
        raise InvalidArgument(f'invalid --security-opt 1: "{option}"')
    match key:
        case "label":
            found.labels.append(value)
        case "apparmor":
            found.apparmor = value
        case "seccomp":
            found.seccomp = value
        case "no-new-privileges":
            found.no_new_privileges = _truth(option, value)
        case "writable-cgroups":
            found.writable_cgroups = _truth(option, value)
        case "systempaths" if value == UNCONFINED:
            found.unmasked = True
        case _:
            raise InvalidArgument(f'invalid --security-opt 2: "{option}"')


def _truth(option: str, value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise InvalidArgument(f'invalid --security-opt 2: "{option}"')


def check(security: Security, facts: HostFacts) -> None:
    """Refuse what this host can't serve, rather than run without it."""
    if security.apparmor not in ("", UNCONFINED) and not facts.apparmor:
        raise Unsupported(
            f"apparmor profile {security.apparmor!r} was asked for, but this host has no AppArmor",
            hint="leave the option out, or load AppArmor in the kernel",
        )
    if any(label != "disable" for label in security.labels) and not facts.selinux:
        raise Unsupported(
            "SELinux labels were asked for, but this host has no SELinux",
            hint="leave the label options out, or use label=disable",
        )


def seccomp_filter(
    security: Security, capabilities: list[str], *, privileged: bool, default: str, facts: HostFacts
) -> Seccomp | None:
    """The filter of a container; None for unconfined. `default` is the engine's own profile."""
    wanted = security.seccomp
    if wanted == UNCONFINED or (privileged and not wanted):
        return None
    if not wanted and default == UNCONFINED:
        return None
    text = wanted or default
    if text in ("", "builtin"):
        return default_profile(frozenset(capabilities))
    return seccomp_profile.read(text, frozenset(capabilities), facts.kernel)
