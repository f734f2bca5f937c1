"""Images from elsewhere: `pull`, `push`, and `image bootstrap`, which makes one without a registry."""

from __future__ import annotations

from lodge.cli.command import Command
from lodge.cli.flags import BOOL, STRING, Flag
from lodge.cli.images import missing_image_hint, split_reference
from lodge.client.engine import quote
from lodge.errors import InvalidArgument, LodgeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Context
    from lodge.cli.flags import Values


def _pull(ctx: Context, values: Values, arguments: list[str]) -> None:
    from lodge.cli.credentials import registry_auth
    from lodge.cli.progress import show_progress

    name = arguments[0]
    repository, tag = split_reference(name)
    if values["all-tags"] and tag:
        raise InvalidArgument("tag can't be used with --all-tags/-a")
    if not tag and not values["all-tags"]:
        tag = "latest"
        if not values["quiet"]:
            ctx.out("Using default tag: latest")
    query = {"fromImage": repository, "tag": tag or None, "platform": values["platform"] or None}
    auth = registry_auth(ctx, repository)
    try:
        messages = ctx.engine.stream_json("POST", "/images/create", query=query, auth=auth)
        show_progress(messages, quiet=values["quiet"])
    except LodgeError as error:
        error.hint = error.hint or missing_image_hint(name)
        raise
    ctx.out(_familiar(repository, tag))


def _familiar(repository: str, tag: str) -> str:
    """The full name that was pulled, as Docker prints it last."""
    first, slash, _ = repository.partition("/")
    if not slash:
        repository = f"docker.io/library/{repository}"
    elif "." not in first and ":" not in first and first != "localhost":
        repository = f"docker.io/{repository}"
    if not tag:
        return repository
    return f"{repository}@{tag}" if ":" in tag else f"{repository}:{tag}"


def _push(ctx: Context, values: Values, arguments: list[str]) -> None:
    from lodge.cli.credentials import registry_auth
    from lodge.cli.progress import show_progress

    repository, tag = split_reference(arguments[0])
    if values["all-tags"] and tag:
        raise InvalidArgument("tag can't be used with --all-tags/-a")
    if not tag and not values["all-tags"]:
        tag = "latest"
        if not values["quiet"]:
            ctx.out("Using default tag: latest")
    query: dict[str, str | None] = {"tag": tag or None, "compression": values["compression"] or None}
    if values["platform"]:
        from lodge.cli.platforms import platform_json

        query["platform"] = platform_json(values["platform"])
    auth = registry_auth(ctx, repository) or "e30="  # {}: the daemon wants the header
    messages = ctx.engine.stream_json("POST", f"/images/{quote(repository)}/push", query=query, auth=auth)
    show_progress(messages, quiet=values["quiet"])
    if values["quiet"]:
        ctx.out(_familiar(repository, tag))


def _bootstrap(ctx: Context, values: Values, arguments: list[str]) -> None:
    from lodge.cli.progress import show_progress

    query = {
        "image": arguments[0],
        "suite": values["suite"] or None,
        "mirror": values["mirror"] or None,
    }
    found = show_progress(
        ctx.engine.stream_json("POST", "/lodge/images/bootstrap", query=query), quiet=values["quiet"]
    )
    identifier = next((aux["ID"] for aux in reversed(found) if isinstance(aux, dict) and "ID" in aux), "")
    if values["quiet"] and identifier:
        ctx.out(identifier)


_PLATFORM = Flag("platform", STRING, "Of this platform, as os/architecture")
_QUIET = Flag("quiet", BOOL, "Show no progress", short="q")
_TRUST = Flag("disable-content-trust", BOOL, "Do not verify signatures", default=True, hidden=True)

PULL = Command(
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    _pull,
    flags=(
        Flag("all-tags", BOOL, "All tags of the repository", short="a"),
        Flag("platform", STRING, "Of this platform, as os/architecture; or all of them, as 'all'"),
        _QUIET,
        _TRUST,
    ),
    minimum=1,
    maximum=1,
    complete="image",
)
PUSH = Command(
    "[OPTIONS] NAME[:TAG]",
    "Upload an image to a registry",
    _push,
    flags=(
        Flag("all-tags", BOOL, "All tags of the repository", short="a"),
        Flag("compression", STRING, "Send layers as gzip[:LEVEL] or zstd[:LEVEL]"),
        _PLATFORM,
        _QUIET,
        _TRUST,
    ),
    minimum=1,
    maximum=1,
    complete="image",
)
BOOTSTRAP = Command(
    "[OPTIONS] NAME",
    "Make a base image without a registry: debian:SUITE, ubuntu:SUITE, busybox or host",
    _bootstrap,
    flags=(
        Flag("mirror", STRING, "Take packages from this mirror"),
        Flag("suite", STRING, "The distribution's release, where the tag does not name it"),
        _QUIET,
    ),
    minimum=1,
    maximum=1,
)
