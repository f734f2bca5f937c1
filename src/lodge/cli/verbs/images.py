"""Images in the store: `images`, `history`, `tag`, `rmi`."""

from __future__ import annotations

import time

from lodge.cli.command import ANY, Command, Failure
from lodge.cli.filters import encode_filters
from lodge.cli.flags import BOOL, FILTER, LIST, STRING, Flag
from lodge.cli.human import ago, shorten, size, size_short
from lodge.cli.images import split_reference
from lodge.client.engine import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from lodge.cli.command import Context
    from lodge.cli.flags import Values

_NONE = "<none>"


def _images(ctx: Context, values: Values, arguments: list[str]) -> None:
    filters = list(values["filter"])
    if arguments:
        filters.append(("reference", arguments[0]))
    query = {"all": values["all"], "filters": encode_filters(filters)}
    rows = list(_rows(ctx.engine.call("GET", "/images/json", query=query), values["digests"]))
    truncate = not values["no-trunc"]
    if values["quiet"] and not values["format"]:
        for row in rows:
            ctx.out(_image_id(row["Id"], truncate))
        return
    from lodge.cli.formatting import print_list

    default = ["Repository", "Tag", "ID", "CreatedSince", "Size"]
    if values["digests"]:
        default.insert(2, "Digest")
    layout = values["format"] or ctx.config().get("imagesFormat") or ""
    print_list(layout, rows, _columns(truncate), default)


def _rows(images: list[dict[str, Any]], digests: bool) -> Iterator[dict[str, Any]]:
    """One row a name: an image with three tags is listed three times, one without any once."""
    for image in images:
        by_repository = {
            name.partition("@")[0]: name.partition("@")[2]
            for name in image.get("RepoDigests") or ()
            if name != "<none>@<none>"
        }
        tags = [name for name in image.get("RepoTags") or () if name != "<none>:<none>"]
        for name in tags:
            repository, tag = split_reference(name)
            digest = by_repository.get(repository, _NONE)
            yield {**image, "Repository": repository, "Tag": tag, "Digest": digest}
        untagged = {} if tags and not digests else by_repository
        named = {split_reference(name)[0] for name in tags}
        for repository, digest in untagged.items():
            if repository not in named:
                yield {**image, "Repository": repository, "Tag": _NONE, "Digest": digest}
        if not tags and not by_repository:
            yield {**image, "Repository": _NONE, "Tag": _NONE, "Digest": _NONE}


def _image_id(identifier: str, truncate: bool) -> str:
    return identifier.partition(":")[2][:12] if truncate else identifier


def _columns(truncate: bool) -> dict[str, tuple[str, Callable[[Any], Any]]]:
    from lodge.cli.times import stamp

    def shared(row: dict[str, Any]) -> str:
        return "N/A" if row.get("SharedSize", -1) == -1 else size_short(row["SharedSize"])

    return {
        "Containers": ("CONTAINERS", lambda _row: "N/A"),
        "CreatedAt": ("CREATED AT", lambda row: stamp(row["Created"])),
        "CreatedSince": ("CREATED", lambda row: _since(row["Created"])),
        "Digest": ("DIGEST", lambda row: row["Digest"]),
        "ID": ("IMAGE ID", lambda row: _image_id(row["Id"], truncate)),
        "Repository": ("REPOSITORY", lambda row: row["Repository"]),
        "SharedSize": ("SHARED SIZE", shared),
        "Size": ("SIZE", lambda row: size_short(row["Size"])),
        "Tag": ("TAG", lambda row: row["Tag"]),
        "UniqueSize": ("UNIQUE SIZE", lambda _row: "N/A"),
        "VirtualSize": ("SIZE", lambda row: size(row["Size"])),
    }


def _since(seconds: float) -> str:
    return "N/A" if seconds <= 0 else ago(time.time() - seconds)


def _history(ctx: Context, values: Values, arguments: list[str]) -> None:
    from lodge.cli.formatting import print_list
    from lodge.cli.times import rfc3339

    query = {}
    if "platform" in values:
        from lodge.cli.platforms import platform_json

        query["platform"] = platform_json(values["platform"])
    layers = ctx.engine.call("GET", f"/images/{quote(arguments[0])}/history", query=query)
    truncate, human = not values["no-trunc"], values["human"]

    def identifier(layer: dict[str, Any]) -> str:
        return _image_id(layer["Id"], truncate) or str(layer["Id"])

    def created_by(layer: dict[str, Any]) -> str:
        text = str(layer["CreatedBy"]).replace("\t", " ")
        return shorten(text, 45) if truncate else text

    if values["quiet"]:
        for layer in layers:
            ctx.out(identifier(layer))
        return
    columns: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "Comment": ("COMMENT", lambda layer: layer["Comment"]),
        "CreatedAt": ("CREATED AT", lambda layer: rfc3339(layer["Created"])),
        "CreatedBy": ("CREATED BY", created_by),
        "CreatedSince": ("CREATED", lambda layer: _since(layer["Created"])),
        "ID": ("IMAGE", identifier),
        "Size": ("SIZE", lambda layer: size_short(layer["Size"]) if human else str(layer["Size"])),
    }
    created = "CreatedSince" if human else "CreatedAt"
    print_list(values["format"], layers, columns, ("ID", created, "CreatedBy", "Size", "Comment"))


def _tag(ctx: Context, _values: Values, arguments: list[str]) -> None:
    repository, tag = split_reference(arguments[1])
    if "@" in arguments[1]:
        raise Failure("refusing to create a tag with a digest reference")
    query = {"repo": repository, "tag": tag or None}
    ctx.engine.call("POST", f"/images/{quote(arguments[0])}/tag", query=query)


def _rmi(ctx: Context, values: Values, names: list[str]) -> int:
    from lodge.client.failures import Refused, RefusedNotFound

    query: dict[str, Any] = {"force": values["force"], "noprune": values["no-prune"]}
    if "platform" in values:
        from lodge.cli.platforms import platform_json

        query["platforms"] = [platform_json(text) for text in values["platform"]]
    failures = []
    for name in names:
        try:
            answer = ctx.engine.call("DELETE", f"/images/{quote(name)}", query=query)
        except Refused as error:
            if not (values["force"] and isinstance(error, RefusedNotFound)):
                failures.append(error)
            else:
                ctx.err(f"Error response from daemon: {error.message}")
            continue
        for deed in answer:
            verb = "Untagged" if deed.get("Untagged") else "Deleted"
            ctx.out(f"{verb}: {deed[verb]}")
    for failure in failures:
        ctx.err(f"Error response from daemon: {failure.message}")
    return 1 if failures else 0


IMAGES = Command(
    "[OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    _images,
    flags=(
        Flag("all", BOOL, "Show those between the layers too", short="a"),
        Flag("digests", BOOL, "Show digests"),
        Flag("filter", FILTER, "Show only those with name=value", short="f"),
        Flag("format", STRING, "Print by a Go template, as json, or as a table of your own"),
        Flag("no-trunc", BOOL, "Do not shorten anything"),
        Flag("quiet", BOOL, "Print IDs only", short="q"),
        Flag("tree", BOOL, "", hidden=True, refuses="there is no view as a tree yet"),
    ),
    maximum=1,
    complete="image",
)
HISTORY = Command(
    "[OPTIONS] IMAGE",
    "Show how an image came to be",
    _history,
    flags=(
        Flag("format", STRING, "Print by a Go template, as json, or as a table of your own"),
        Flag("human", BOOL, "Sizes and dates as people read them", short="H", default=True),
        Flag("no-trunc", BOOL, "Do not shorten anything"),
        Flag("platform", STRING, "Of this platform, as os/architecture"),
        Flag("quiet", BOOL, "Print IDs only", short="q"),
    ),
    minimum=1,
    maximum=1,
    complete="image",
)
TAG = Command(
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Give an image a further name",
    _tag,
    minimum=2,
    maximum=2,
    complete="image",
)
RMI = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    _rmi,
    flags=(
        Flag("force", BOOL, "Remove it although it is in use", short="f"),
        Flag("no-prune", BOOL, "Keep parents without a name"),
        Flag("platform", LIST, "Remove only this platform's part"),
    ),
    minimum=1,
    maximum=ANY,
    complete="image",
)
