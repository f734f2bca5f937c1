"""Getting an image that is not here: pull it, or say how to make it where no registry answers."""

from __future__ import annotations

from lodge.errors import LodgeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lodge.cli.command import Context


def split_reference(name: str) -> tuple[str, str]:
    """Repository and tag (or digest) of an image's name; the tag is empty when none is given."""
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    head, slash, last = name.rpartition("/")
    base, _, tag = last.partition(":")
    return f"{head}{slash}{base}", tag


def missing_image_hint(name: str) -> str | None:
    """How to make the image without a registry, None for one that Lodge cannot make."""
    repository, tag = split_reference(name)
    if repository.removeprefix("docker.io/").removeprefix("library/") in (
        "debian",
        "ubuntu",
        "busybox",
        "host",
    ):
        return f"without a registry: lodge image bootstrap {name if tag else repository}"
    return None


def fetch_image(ctx: Context, name: str, platform: str = "", *, quiet: bool = False) -> None:
    """Pull `name`, showing the progress on stderr."""
    from lodge.cli.credentials import registry_auth
    from lodge.cli.progress import show_progress

    repository, tag = split_reference(name)
    query = {"fromImage": repository, "tag": tag or "latest", "platform": platform or None}
    auth = registry_auth(ctx, repository)
    try:
        messages = ctx.engine.stream_json("POST", "/images/create", query=query, auth=auth)
        show_progress(messages, quiet=quiet, to_stderr=True)
    except LodgeError as error:
        error.hint = error.hint or missing_image_hint(name)
        raise
