"""Images as archives: `save`, `load` and `import`."""

from __future__ import annotations

import os
import sys

from lodge.cli.command import ANY, Command, Failure
from lodge.cli.flags import BOOL, LIST, STRING, Flag
from lodge.cli.images import split_reference
from lodge.client.attach import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lodge.cli.command import Context
    from lodge.cli.flags import Values
    from lodge.client.http1 import Response

_PIECE = 1 << 20


def save_body(response: Response, path: str) -> None:
    """Write a body to stdout, or to `path`, which appears only when it is complete."""
    if not path:
        if os.isatty(1):
            raise Failure("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        sys.stdout.flush()
        while data := response.read():
            write_all(1, data)
        return
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise Failure(f'invalid output path: directory "{folder}" does not exist')
    if os.path.exists(path) and not os.path.isfile(path):
        raise Failure(f'invalid output path: "{path}" is not a regular file')
    temporary = os.path.join(folder, f".{os.path.basename(path)}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        while data := response.read():
            write_all(descriptor, data)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(descriptor)


def read_pieces(descriptor: int) -> Iterator[bytes]:
    """A file's bytes in large pieces."""
    while piece := os.read(descriptor, _PIECE):
        yield piece


def _save(ctx: Context, values: Values, names: list[str]) -> None:
    if not values["output"] and os.isatty(1):
        raise Failure("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    query: dict[str, list[str]] = {"names": names}
    if values["platform"]:
        from lodge.cli.platforms import platform_json

        query["platform"] = [platform_json(text) for text in values["platform"]]
    response = ctx.engine.open("GET", "/images/get", query=query)
    try:
        save_body(response, values["output"])
    finally:
        ctx.engine.release(response)


def _load(ctx: Context, values: Values, _arguments: list[str]) -> None:
    from lodge.cli.progress import show_progress

    descriptor = _open_input(values["input"])
    query: dict[str, bool | list[str]] = {"quiet": values["quiet"] or not os.isatty(1)}
    if values["platform"]:
        from lodge.cli.platforms import platform_json

        query["platform"] = [platform_json(text) for text in values["platform"]]
    messages = ctx.engine.stream_json("POST", "/images/load", query=query, body=read_pieces(descriptor))
    show_progress(messages)


def _open_input(path: str) -> int:
    if path:
        try:
            return os.open(path, os.O_RDONLY)
        except OSError as error:
            raise Failure(f"open {path}: {(error.strerror or '').lower()}") from error
    if os.isatty(0):
        raise Failure("requested load from stdin, but stdin is empty")
    return 0


def _import(ctx: Context, values: Values, arguments: list[str]) -> None:
    from lodge.cli.progress import show_progress

    source = arguments[0]
    repository, tag = split_reference(arguments[1]) if len(arguments) > 1 else ("", "")
    is_link = source.startswith(("http://", "https://"))
    query: dict[str, str | list[str] | None] = {
        "fromSrc": source if is_link else "-",
        "repo": repository or None,
        "tag": tag or None,
        "message": values["message"] or None,
        "changes": values["change"] or None,
        "platform": values["platform"] or None,
    }
    body = None
    if not is_link:
        body = read_pieces(0 if source == "-" else _open_input(source))
    messages = ctx.engine.stream_json("POST", "/images/create", query=query, body=body)
    show_progress(messages)


_PLATFORM = Flag("platform", LIST, "Only of this platform, as os/architecture")

SAVE = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    "Save one or more images to a tar archive (to stdout unless told otherwise)",
    _save,
    flags=(Flag("output", STRING, "Write to this file", short="o"), _PLATFORM),
    minimum=1,
    maximum=ANY,
    complete="image",
)
LOAD = Command(
    "[OPTIONS]",
    "Load images from a tar archive or stdin",
    _load,
    flags=(
        Flag("input", STRING, "Read from this file", short="i"),
        _PLATFORM,
        Flag("quiet", BOOL, "Show no progress", short="q"),
    ),
)
IMPORT = Command(
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Make an image from a tar archive of a file system",
    _import,
    flags=(
        Flag("change", LIST, "A Dockerfile instruction to apply", short="c"),
        Flag("message", STRING, "A comment in its history", short="m"),
        Flag("platform", STRING, "Its platform, as os/architecture"),
    ),
    minimum=1,
    maximum=2,
)
