"""What a client of BuildKit asks for, as a request to the build room.

Attributes of the Dockerfile frontend and of the exporters, by their names. Pure but for the contexts, which
the caller makes. Source: moby/buildkit, frontend/dockerui and the exporters' attributes.
"""

from __future__ import annotations

from collections.abc import Callable

from lodge.api.buildkit.protobuf import Message
from lodge.build.contract import (
    BuildRequest,
    Context,
    ImageSource,
    Options,
    Output,
    Ulimit,
    UrlSource,
)
from lodge.errors import InvalidArgument, Unsupported

UPLOADED = "http://buildkit-session/"
_NETWORKS = {"": "", "sandbox": "", "default": "", "host": "host", "none": "none"}
_PLAIN = frozenset(
    {"cmdline", "source", "frontend.caps", "filename", "contextkey", "dockerfilekey", "context", "requestid"}
    | {"contextsubdir", "multi-platform", "build-platform", "linkonly", "vcs", "locals"}
    | {"target", "platform", "no-cache", "image-resolve-mode", "force-network-mode", "add-hosts", "hostname"}
    | {"shm-size", "ulimit", "cgroup-parent", "cache-imports", "cache-from"}
)
_GROUPS = frozenset({"context", "input-metadata", "local-sessionid"})
_IMAGES = frozenset({"image", "moby"})
_ARCHIVES = frozenset({"docker", "oci", "tar"})


def build_request(
    attributes: dict[str, str],
    exporters: list[Message],
    entitlements: list[str],
    tree: Callable[[str], Context],
) -> BuildRequest:
    """The request. `tree` gives the client's tree of a name. Unsupported for what is not offered here."""
    request = BuildRequest(
        filename=attributes.get("filename", "") or "Dockerfile",
        options=_options(attributes, frozenset(entitlements)),
        outputs=tuple(output(each) for each in exporters) or (Output(kind="none"),),
        contexts={
            key.removeprefix("context:"): _named(value, tree)
            for key, value in attributes.items()
            if key.startswith("context:")
        },
    )
    if not attributes.get("context"):
        request.context = tree(attributes.get("contextkey", "") or "context")
        request.dockerfile_context = tree(attributes.get("dockerfilekey", "") or "dockerfile")
    return request


def remote(attributes: dict[str, str]) -> str:
    """The address of the main context, a git repository or an archive of the web; "" for none."""
    given = attributes.get("context", "")
    return "" if given.startswith(UPLOADED) else given


def uploaded(attributes: dict[str, str]) -> str:
    """The id of a context that the client sends as a stream; "" for none."""
    given = attributes.get("context", "")
    return given.removeprefix(UPLOADED) if given.startswith(UPLOADED) else ""


def _named(value: str, tree: Callable[[str], Context]) -> Context | ImageSource | UrlSource:
    kind, _, rest = value.partition(":")
    if kind == "docker-image":
        return ImageSource(rest.removeprefix("//"))
    if kind == "local":
        return tree(rest)
    if kind in ("git", "http", "https", "ssh"):
        return UrlSource(value)
    raise Unsupported(
        f"a named context of the kind {kind!r} is not supported", hint="docker-image, local, git, http"
    )


def _options(attributes: dict[str, str], entitlements: frozenset[str]) -> Options:
    arguments: dict[str, str] = {}
    labels: dict[str, str] = {}
    for key, value in attributes.items():
        head, mark, name = key.partition(":")
        if mark and head == "build-arg":
            arguments[name] = value
        elif mark and head == "label":
            labels[name] = value
        elif key not in _PLAIN and not (mark and head in _GROUPS):
            raise Unsupported(f"the frontend option {key} is not supported")
    network = attributes.get("force-network-mode", "")
    if network not in _NETWORKS:
        raise InvalidArgument(f"invalid network mode: {network}")
    no_cache = attributes.get("no-cache")
    epoch = arguments.get("SOURCE_DATE_EPOCH", "")
    return Options(
        target=attributes.get("target", ""),
        platforms=tuple(part for part in attributes.get("platform", "").split(",") if part),
        arguments=arguments,
        labels=labels,
        no_cache=no_cache == "",
        no_cache_filter=tuple(part for part in (no_cache or "").split(",") if part),
        pull=attributes.get("image-resolve-mode") == "pull",
        network=_NETWORKS[network],
        extra_hosts=tuple(
            part.replace("=", ":", 1) for part in attributes.get("add-hosts", "").split(",") if part
        ),
        hostname=attributes.get("hostname", ""),
        shm_size=int(attributes.get("shm-size", "0") or 0),
        ulimits=_ulimits(attributes.get("ulimit", "")),
        cgroup_parent=attributes.get("cgroup-parent", ""),
        entitlements=entitlements,
        source_date_epoch=int(epoch) if epoch.isdecimal() else None,
        check=attributes.get("requestid") == "frontend.lint",
    )


def _ulimits(text: str) -> tuple[Ulimit, ...]:
    found = []
    for part in text.split(","):
        if not part:
            continue
        name, _, limits = part.partition("=")
        soft, _, hard = limits.partition(":")
        try:
            found.append(Ulimit(name, int(soft), int(hard or soft)))
        except ValueError:
            raise InvalidArgument(f"invalid ulimit: {part}") from None
    return tuple(found)


def output(exporter: Message) -> Output:
    """One output of the build; archives and trees go to the client by what the caller puts in its way."""
    kind, attributes = exporter["Type"], exporter["Attrs"]
    names = tuple(name for name in attributes.get("name", "").split(",") if name)
    if kind in _IMAGES:
        return Output(
            kind="image", names=names, push=attributes.get("push") == "true", attributes=dict(attributes)
        )
    if kind in _ARCHIVES or kind == "local":
        return Output(kind=kind, names=names, attributes=dict(attributes))
    if kind in ("", "cacheonly"):
        return Output(kind="none")
    raise Unsupported(f"the exporter {kind!r} is not supported", hint="image, docker, oci, tar, local")
