"""`build`: an image from a Dockerfile and a context."""

from __future__ import annotations

import base64
import json
import os
import sys

from lodge.cli.command import Command, Failure
from lodge.cli.flags import BOOL, BYTES, INT, LIST, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from lodge.cli.building.options import OutputWish
    from lodge.cli.command import Context
    from lodge.cli.flags import Values

_REMOTES = ("http://", "https://", "git://", "ssh://", "git@", "github.com/")
_RULE = "--------------------"


def _build(ctx: Context, values: Values, arguments: list[str]) -> int:
    from lodge.cli.building import options
    from lodge.cli.building.display import choose

    if values["ssh"]:
        raise Failure("--ssh needs a session, which this command does not offer: use docker buildx build")
    wishes = [options.output(text) for text in values["output"]]
    if len(wishes) > 1:
        raise Failure("one --output a build")
    query: dict[str, Any] = options.query(values, ctx.environ)
    if wishes:
        kind = "tar" if wishes[0].kind == "local" else wishes[0].kind
        query["outputs"] = json.dumps([{"Type": kind}])
        if wishes[0].name:
            query["t"] = [*query["t"], wishes[0].name]
    body = _context(values, arguments[0], query)
    headers = options.secrets(values["secret"], ctx.environ)
    auths = _registries(ctx)
    if auths:
        headers["X-Registry-Config"] = auths
    display = choose(values["progress"], quiet=values["quiet"])
    events = ctx.engine.stream_json("POST", "/lodge/build", query=query, body=body, headers=headers)
    return _Watch(display, values, wishes[0] if wishes else None).run(events)


class _Watch:
    """Follows one build to its end."""

    def __init__(self, display: Any, values: Values, wish: OutputWish | None) -> None:
        self._display = display
        self._values = values
        self._wish = wish
        self._warnings: list[dict[str, Any]] = []

    def run(self, events: Any) -> int:
        failure: dict[str, Any] | None = None
        built: dict[str, Any] | None = None
        receiver = self._receiver()
        try:
            for event in events:
                kind = event.get("type")
                if kind == "Failed" or "errorDetail" in event:
                    failure = event
                elif kind == "Built":
                    built = event
                elif kind == "Data":
                    assert receiver is not None
                    receiver.write(base64.b64decode(event["data"]))
                elif kind == "Warned":
                    self._warnings.append(event)
                else:
                    self._display.show(event)
        finally:
            events.close()
            self._display.finish()
        if receiver is not None:
            receiver.close(complete=failure is None and built is not None)
        if failure is not None:
            _explain(failure)
            return 1
        if built is None:
            raise Failure("the build ended without a word of its end")
        return self._end(built)

    def _receiver(self) -> Any:
        if self._wish is None or self._wish.kind not in ("local", "tar", "oci", "docker"):
            return None
        from lodge.cli.building.receiving import receiver

        return receiver(self._wish)

    def _end(self, built: dict[str, Any]) -> int:
        if self._values["check"]:
            return self._report_check()
        if self._warnings and not self._values["quiet"]:
            self._show_warnings()
        images = built["images"]
        if not images:
            return 0
        identity = images[0]["config_digest"]
        if self._values["iidfile"]:
            with open(self._values["iidfile"], "w", encoding="ascii") as file:
                file.write(identity)
        if self._values["metadata-file"]:
            metadata = {
                "containerimage.config.digest": identity,
                "containerimage.digest": built["digest"],
                "image.name": ",".join(built["names"]),
            }
            with open(self._values["metadata-file"], "w", encoding="utf-8") as file:
                json.dump(metadata, file, indent=2)
        if self._values["quiet"]:
            sys.stdout.write(identity + "\n")
        elif self._wish is None:
            sys.stderr.write(f"{identity}\n" + "".join(f"named {name}\n" for name in built["names"]))
        return 0

    def _show_warnings(self) -> None:
        count = len(self._warnings)
        sys.stderr.write(f"\n {count} warning{'s' if count > 1 else ''} found:\n")
        for each in self._warnings:
            sys.stderr.write(f" - {each['rule']}: {each['message']} (line {each['lines'][0]})\n")

    def _report_check(self) -> int:
        if not self._warnings:
            sys.stdout.write("Check complete, no warnings found.\n")
            return 0
        count = len(self._warnings)
        sys.stdout.write(f"Check complete, {count} warning{'s have' if count > 1 else ' has'} been found!\n")
        for each in self._warnings:
            sys.stdout.write(f"\nWARNING: {each['rule']} - {each['url']}\n{each['detail']}\n")
            sys.stdout.write(_excerpt(each["filename"], each["source"], each["lines"]))
        return 1


def _excerpt(filename: str, source: str, lines: list[int]) -> str:
    every = source.splitlines()
    first, last = lines
    rows = [f"{filename}:{first}", _RULE]
    for number in range(max(1, first - 2), min(len(every), last + 2) + 1):
        mark = ">>>" if first <= number <= last else "   "
        rows.append(f"{number:4} | {mark} {every[number - 1]}".rstrip())
    return "\n".join([*rows, _RULE, ""])


def _explain(failure: dict[str, Any]) -> None:
    """The end of the log, the lines of the Dockerfile, what went wrong."""
    if "errorDetail" in failure:
        sys.stderr.write(f"ERROR: {failure['error']}\n")
        return
    log = base64.b64decode(failure.get("log") or "").decode(errors="replace").splitlines()[-20:]
    if log:
        sys.stderr.write("\n".join(["------", f" > {failure['name']}:", *log, "------", ""]))
    if failure.get("excerpt"):
        place = f"{failure['filename']}:{failure['lines'][0]}"
        sys.stderr.write("\n".join([place, _RULE, failure["excerpt"], _RULE, ""]))
    sys.stderr.write(f"ERROR: failed to build: {failure['error']}\n")
    if failure.get("hint"):
        sys.stderr.write(f"Hint: {failure['hint']}\n")


def _context(values: Values, place: str, query: dict[str, Any]) -> bytes | Iterator[bytes]:
    """The body to send, and in the query what the context is."""
    from lodge.cli.building.context import ContextPacker, ignored
    from lodge.cli.verbs.archives import read_pieces

    dockerfile = values["file"]
    if place.startswith(_REMOTES):
        query["remote"], query["dockerfile"] = place, dockerfile or None
        return b""
    if place == "-":
        return _from_stdin(dockerfile, query)
    if dockerfile == "-":
        text = b"".join(read_pieces(0))
        query["dockerfile"] = name = ".dockerfile.lodge"
        return ContextPacker(place, ignored(place, ""), added={name: text}).pieces()
    path = dockerfile or os.path.join(place, "Dockerfile")
    if not dockerfile and not os.path.exists(path) and os.path.exists(os.path.join(place, "dockerfile")):
        path = os.path.join(place, "dockerfile")
    if not os.path.isfile(path):
        raise Failure(f"unable to prepare context: unable to evaluate Dockerfile path {path!r}: not found")
    root, real = os.path.realpath(place), os.path.realpath(path)
    patterns = ignored(place, path)
    if os.path.commonpath([root, real]) == root:
        name = os.path.relpath(real, root)
        query["dockerfile"] = name
        kept = frozenset((name, f"{name}.dockerignore", ".dockerignore"))
        return ContextPacker(place, patterns, kept=kept).pieces()
    with open(path, "rb") as file:
        text = file.read()
    query["dockerfile"] = name = ".dockerfile.lodge"
    added = {name: text, f"{name}.dockerignore": "\n".join(patterns).encode("utf-8", "surrogateescape")}
    return ContextPacker(place, patterns, added=added).pieces()


def _from_stdin(dockerfile: str, query: dict[str, Any]) -> bytes | Iterator[bytes]:
    """An archive, or nothing but a Dockerfile."""
    import io
    import tarfile

    from lodge.cli.verbs.archives import read_pieces

    data = read_pieces(0)
    head = next(data, b"")
    while len(head) < 512 and (more := next(data, b"")):
        head += more
    packed = head[:2] == b"\x1f\x8b" or head[:3] == b"BZh" or head[:6] == b"\xfd7zXZ\0"
    if packed or head[:4] == b"\x28\xb5\x2f\xfd" or head[257:262] == b"ustar":
        query["dockerfile"] = dockerfile or None

        def whole() -> Iterator[bytes]:
            yield head
            yield from data

        return whole()
    text = head + b"".join(data)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


def _registries(ctx: Context) -> str:
    """All credentials of the user's configuration, for base images: the header X-Registry-Config."""
    from lodge.cli.credentials import registry_auth

    found: dict[str, Any] = {}
    for name in ctx.config().get("auths") or {}:
        host = name.removeprefix("https://").removeprefix("http://").partition("/")[0]
        auth = registry_auth(ctx, f"{host}/x/y")
        if auth:
            found[name] = json.loads(base64.urlsafe_b64decode(auth + "=" * (-len(auth) % 4)))
    return base64.urlsafe_b64encode(json.dumps(found).encode()).decode() if found else ""


BUILD = Command(
    "[OPTIONS] PATH | URL | -",
    "Build an image from a Dockerfile",
    _build,
    flags=(
        Flag("add-host", LIST, "Add a host to /etc/hosts (name:address)"),
        Flag("allow", LIST, "Allow what is privileged (network.host, security.insecure)"),
        Flag("build-arg", LIST, "Set a variable of the Dockerfile"),
        Flag("cache-from", LIST, "Images to take cached steps from"),
        Flag("cgroup-parent", STRING, "The control group above those of RUN"),
        Flag("check", BOOL, "Only look for mistakes in the Dockerfile"),
        Flag("cpu-period", INT, "The period of the CPU quota (microseconds)"),
        Flag("cpu-quota", INT, "The CPU quota (microseconds)"),
        Flag("cpu-shares", INT, "The weight of CPU time", short="c"),
        Flag("cpuset-cpus", STRING, "Processors to run on (0-3, 0,1)"),
        Flag("file", STRING, "The Dockerfile (PATH/Dockerfile; - for standard input)", short="f"),
        Flag("force-rm", BOOL, "For Docker's sake: nothing intermediate is ever left"),
        Flag("iidfile", STRING, "Write the image's id to a file"),
        Flag("label", LIST, "Set a label of the image"),
        Flag("memory", BYTES, "Limit the memory of RUN", short="m"),
        Flag("metadata-file", STRING, "Write what was built to a file, as JSON"),
        Flag("network", STRING, "The network of RUN (default, none, host)"),
        Flag("no-cache", BOOL, "Do every step again"),
        Flag("no-cache-filter", LIST, "Do the steps of a stage again"),
        Flag("output", LIST, "Where the result goes (type=local|tar|oci|docker,dest=PATH)", short="o"),
        Flag("platform", LIST, "Build for a platform (linux/amd64)"),
        Flag("progress", STRING, "How progress is shown (auto, plain, tty, quiet)", default="auto"),
        Flag("pull", BOOL, "Look for newer base images"),
        Flag("quiet", BOOL, "Print only the image's id", short="q"),
        Flag("rm", BOOL, "For Docker's sake: nothing intermediate is ever left", default=True),
        Flag("secret", LIST, "A secret for RUN --mount=type=secret (id=x,src=FILE or env=NAME)"),
        Flag("shm-size", BYTES, "The size of /dev/shm"),
        Flag("ssh", LIST, "An ssh agent for RUN --mount=type=ssh"),
        Flag("tag", LIST, "A name for the image (name:tag)", short="t"),
        Flag("target", STRING, "The stage to build"),
    ),
    minimum=1,
    maximum=1,
)
