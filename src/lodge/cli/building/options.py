"""What the flags of `lodge build` mean in the request: arguments, secrets, outputs, labels."""

from __future__ import annotations

import base64
import json
import os

from lodge.cli.command import Failure
from lodge.cli.settings.csv import split_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lodge.cli.flags import Values

_KINDS = ("docker", "image", "local", "oci", "tar", "cacheonly")


class OutputWish:
    """One --output: its kind, where it goes ("-" for standard output), a name."""

    __slots__ = ("destination", "kind", "name")

    def __init__(self, kind: str, destination: str = "", name: str = "") -> None:
        self.kind = kind
        self.destination = destination
        self.name = name


def pairs(words: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """`NAME=value`, or NAME alone for the value of this process's variable, if it has one."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            found[name] = value
        elif name in environ:
            found[name] = environ[name]
    return found


def labels(words: Sequence[str]) -> dict[str, str]:
    """`NAME=value`, NAME alone for an empty one."""
    return dict(word.partition("=")[::2] for word in words)


def output(text: str) -> OutputWish:
    """--output: `type=tar,dest=x`, a bare path for local, `-` for a tar on standard output."""
    if text == "-":
        return OutputWish("tar", "-")
    if "=" not in text:
        return OutputWish("local", text)
    wish = OutputWish("")
    for field in split_fields(text):
        key, _, value = field.partition("=")
        if key == "type":
            wish.kind = value
        elif key in ("dest", "destination"):
            wish.destination = value
        elif key == "name":
            wish.name = value
        else:
            raise Failure(f"invalid value for --output: unknown key {key!r} in {text!r}")
    if wish.kind not in _KINDS:
        raise Failure(f"invalid type {wish.kind!r} for --output: one of {', '.join(_KINDS)}")
    if wish.kind in ("local", "tar", "oci") and not wish.destination:
        raise Failure(f"--output type={wish.kind} needs dest=PATH")
    return wish


def secrets(words: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """--secret id=x[,src=file|env=NAME]: the header that carries them; empty for none."""
    found: dict[str, str] = {}
    for word in words:
        values = dict(field.partition("=")[::2] for field in split_fields(word))
        name = values.get("id", "")
        source = values.get("src") or values.get("source")
        variable = values.get("env")
        if not name:
            raise Failure(f"invalid value {word!r} for --secret: id is missing")
        if source is None and variable is None:
            variable = name if name in environ else None
            source = name if variable is None else None
        found[name] = base64.b64encode(_secret(source, variable, environ)).decode()
    if not found:
        return {}
    return {"X-Lodge-Build-Secrets": base64.b64encode(json.dumps(found).encode()).decode()}


def _secret(source: str | None, variable: str | None, environ: Mapping[str, str]) -> bytes:
    if source is not None:
        try:
            with open(os.path.expanduser(source), "rb") as file:
                return file.read()
        except OSError as error:
            raise Failure(f"failed to read the secret {source}: {(error.strerror or '').lower()}") from error
    if variable is None or variable not in environ:
        raise Failure(f"the variable {variable} for a secret is not set")
    return os.fsencode(environ[variable])


def query(values: Values, environ: Mapping[str, str]) -> dict[str, str | int | bool | list[str] | None]:
    """The request's parameters that the flags give."""
    arguments = pairs(values["build-arg"], environ)
    return {
        "t": list(values["tag"]),
        "target": values["target"] or None,
        "nocache": values["no-cache"],
        "nocachefilter": list(values["no-cache-filter"]),
        "pull": values["pull"],
        "buildargs": json.dumps(arguments) if arguments else None,
        "labels": json.dumps(labels(values["label"])) if values["label"] else None,
        "networkmode": values["network"] or None,
        "platform": ",".join(values["platform"]) or None,
        "extrahosts": ",".join(values["add-host"]) or None,
        "shmsize": values["shm-size"] or None,
        "memory": values["memory"] or None,
        "cpushares": values["cpu-shares"] or None,
        "cpuperiod": values["cpu-period"] or None,
        "cpuquota": values["cpu-quota"] or None,
        "cpusetcpus": values["cpuset-cpus"] or None,
        "cgroupparent": values["cgroup-parent"] or None,
        "cachefrom": json.dumps(list(values["cache-from"])) if values["cache-from"] else None,
        "allow": list(values["allow"]),
        "check": values["check"],
    }
