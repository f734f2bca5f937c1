"""Device rules, the pure part: what a list of rules comes to, and how version 1 is told.

The rules of an OCI config are read in order, later ones win. They come to a default and a set of exceptions,
with the kernel's own meaning on version 1 (security/device_cgroup.c): a rule for all devices sets the default
and forgets the exceptions; another adds or takes away access for exactly the numbers that it names.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from lodge.spec.runtime import DeviceRule

_ACCESS = "rwm"

Key = tuple[str, int | None, int | None]


class DevicePolicy(Struct, frozen=True):
    """`allow` is the default; `exceptions` map (c or b, major, minor; None for any) to access letters."""

    allow: bool
    exceptions: dict[Key, str]


def reduce_rules(rules: Iterable[DeviceRule]) -> DevicePolicy:
    """What the rules come to; with none, nothing is allowed. ValueError for a malformed rule."""
    allow = False
    exceptions: dict[Key, set[str]] = {}
    for rule in rules:
        access = set(rule.access or _ACCESS)
        if access - set(_ACCESS) or rule.type not in ("a", "b", "c", "u"):
            raise ValueError(f"malformed device rule: type {rule.type!r}, access {rule.access!r}")
        major, minor = _number(rule.major), _number(rule.minor)
        if rule.type == "a" and major is None and minor is None:
            allow, exceptions = rule.allow, {}
            continue
        for kind in ("b", "c") if rule.type == "a" else ("c" if rule.type == "u" else rule.type,):
            key = (kind, major, minor)
            if rule.allow != allow:
                exceptions.setdefault(key, set()).update(access)
            elif key in exceptions:
                exceptions[key] -= access
    texts = {key: "".join(a for a in _ACCESS if a in access) for key, access in exceptions.items() if access}
    return DevicePolicy(allow, texts)


def v1_writes(policy: DevicePolicy) -> list[tuple[str, list[str]]]:
    """(file, lines) that bring any group to the policy; between the writes it may be stricter or laxer."""
    reset, exceptions = ("allow", "deny") if policy.allow else ("deny", "allow")
    lines = [_line(key, access) for key, access in policy.exceptions.items()]
    writes = [(f"devices.{reset}", ["a"])]
    if lines:
        writes.append((f"devices.{exceptions}", lines))
    return writes


def v1_transition(current: str, policy: DevicePolicy) -> list[tuple[str, list[str]]]:
    """The writes that take a group in use from its devices.list to a policy, without a moment of neither.

    A group that allows by default does not list its exceptions, so it is set anew.
    """
    listed = parse_v1_list(current)
    if listed is None or policy.allow:
        return v1_writes(policy)
    wanted = {_line(key, access) for key, access in policy.exceptions.items()}
    writes = []
    if added := sorted(wanted - listed):
        writes.append(("devices.allow", added))
    gone: list[str] = []
    for line in sorted(listed - wanted):
        numbers, _, access = line.rpartition(" ")
        keep = next((w.rpartition(" ")[2] for w in wanted if w.rpartition(" ")[0] == numbers), "")
        rest = "".join(letter for letter in access if letter not in keep)
        if rest:
            gone.append(f"{numbers} {rest}")
    if gone:
        writes.append(("devices.deny", gone))
    return writes


def parse_v1_list(text: str) -> set[str] | None:
    """The exceptions of devices.list, None when the default is to allow."""
    lines = {line.strip() for line in text.splitlines() if line.strip()}
    return None if any(line.startswith("a ") for line in lines) else lines


def _number(value: int | None) -> int | None:
    """A negative number means any, as in the configs that runc and Docker write."""
    return None if value is None or value < 0 else value


def _line(key: Key, access: str) -> str:
    kind, major, minor = key
    return f"{kind} {'*' if major is None else major}:{'*' if minor is None else minor} {access}"
