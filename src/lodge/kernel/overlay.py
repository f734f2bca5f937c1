"""Overlay file systems: option texts, mounting without a limit on layers, and a probe.

Source: the kernel's Documentation/filesystems/overlayfs.rst. Layers are given top first.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterable, Sequence

from lodge.kernel.mount import calls, fscontext

_ATTRIBUTES = calls.MS_RDONLY | calls.MS_NOSUID | calls.MS_NODEV | calls.MS_NOEXEC
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def options(lower: Sequence[str], upper: str = "", work: str = "", *, extra: Iterable[str] = ()) -> str:
    """The data text for mount(2); without `upper` the overlay is read-only. ValueError without a layer."""
    if not lower:
        raise ValueError("an overlay needs a lower layer")
    words = ["lowerdir=" + ":".join(escape(layer).replace(":", "\\:") for layer in lower)]
    if upper:
        words += [f"upperdir={escape(upper)}", f"workdir={escape(work)}"]
    return ",".join([*words, *extra])


def escape(path: str) -> str:
    """Protect what the kernel reads as syntax; a colon only means something in a list of layers."""
    return path.replace("\\", "\\\\").replace(",", "\\,")


def fsmount_overlay(
    lower: Sequence[str], upper: str = "", work: str = "", *, extra: Iterable[str] = (), attributes: int = 0
) -> int:
    """A detached overlay mount, for move_mount; when the fd is closed unattached nothing is left of it.

    Layers are handed over one by one ("lowerdir+", Linux 6.8), so neither their number nor odd characters in
    their names matter. EINVAL on older kernels.
    """
    context = fscontext.fsopen("overlay")
    try:
        for layer in lower:
            fscontext.fsconfig_string(context, "lowerdir+", layer)
        if upper:
            # These two are unescaped by the kernel even here, where no list is parsed.
            fscontext.fsconfig_string(context, "upperdir", upper.replace("\\", "\\\\"))
            fscontext.fsconfig_string(context, "workdir", work.replace("\\", "\\\\"))
        for word in extra:
            key, equals, value = word.partition("=")
            if equals:
                fscontext.fsconfig_string(context, key, value)
            else:
                fscontext.fsconfig_flag(context, key)
        fscontext.fsconfig_create(context)
        return fscontext.fsmount(context, attributes=attributes)
    finally:
        os.close(context)


def mount_overlay(
    target: str,
    lower: Sequence[str],
    upper: str = "",
    work: str = "",
    *,
    extra: Sequence[str] = (),
    flags: int = 0,
) -> None:
    """Mount an overlay, however many layers it has: `flags` are MS_RDONLY, NOSUID, NODEV and NOEXEC.

    By mount(2) while the options fit into a page, else layer by layer, and where the kernel is too old for
    that with names relative to the directory that all have in common. E2BIG when even those are too long.
    """
    try:
        calls.mount("overlay", target, "overlay", flags, options(lower, upper, work, extra=extra))
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise
    else:
        return
    try:
        # These four flags have the same numbers as MOUNT_ATTR_*.
        mount = fsmount_overlay(lower, upper, work, extra=extra, attributes=flags & _ATTRIBUTES)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        _mount_relative(target, lower, upper, work, extra, flags)
        return
    try:
        calls.move_mount(mount, "", calls.AT_FDCWD, target, calls.MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(mount)


def mount_data(target: str, data: str, flags: int = 0) -> None:
    """As `mount_overlay`, for a text of options such as `options` makes, of any length."""
    words = split(data, ",")
    layers: dict[str, str] = {}
    extra = []
    for word in words:
        key, _, value = word.partition("=")
        if key in ("lowerdir", "upperdir", "workdir"):
            layers[key] = value
        else:
            extra.append(word)
    lower = [unescape(layer) for layer in split(layers.get("lowerdir", ""), ":")]
    upper, work = unescape(layers.get("upperdir", "")), unescape(layers.get("workdir", ""))
    mount_overlay(target, lower, upper, work, extra=extra, flags=flags)


def split(text: str, separator: str) -> list[str]:
    """Split where the kernel does: not at a separator behind a backslash."""
    parts = [""]
    escaped = False
    for character in text:
        if character == separator and not escaped:
            parts.append("")
        else:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts


def unescape(text: str) -> str:
    """Undo `escape`, and the escape of a colon."""
    return _ESCAPED.sub(r"\1", text)


def _mount_relative(
    target: str, lower: Sequence[str], upper: str, work: str, extra: Sequence[str], flags: int
) -> None:
    """Mount with short names, from the directory that all layers are in."""
    paths = [*lower, *([upper, work] if upper else [])]
    top = os.path.commonpath(paths)
    *short, short_upper, short_work = (
        os.path.relpath(path, top) for path in (paths if upper else [*paths, top, top])
    )
    if not upper:
        short_upper = short_work = ""
    target = os.path.abspath(target)
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # SAFETY: the working directory is the whole process's: who mounts is a process with one thread.
        os.chdir(top)
        calls.mount("overlay", target, "overlay", flags, options(short, short_upper, short_work, extra=extra))
    finally:
        os.fchdir(here)
        os.close(here)


def supported(directory: str, *, extra: Sequence[str] = ()) -> bool:
    """Whether layers in this directory can be mounted (its file system may lack what overlay needs).

    In a user namespace ask with `extra=("userxattr",)`. Makes and removes a directory, mounts nothing
    visible.
    """
    probe = f"{directory}/.overlay-probe-{os.getpid()}-{time.monotonic_ns()}"
    names = [probe, *(f"{probe}/{name}" for name in ("lower", "upper", "work"))]
    try:
        for name in names:
            os.mkdir(name, 0o700)
        os.close(_probe(probe, extra))
    except OSError:
        return False
    finally:
        # The kernel leaves directories of its own in the work directory.
        for name in (f"{probe}/work/index", f"{probe}/work/work", *reversed(names)):
            try:
                os.rmdir(name)
            except OSError:
                pass
    return True


def _probe(probe: str, extra: Sequence[str]) -> int:
    try:
        return fsmount_overlay([f"{probe}/lower"], f"{probe}/upper", f"{probe}/work", extra=extra)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    context = fscontext.fsopen("overlay")
    try:
        for key, name in (("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work")):
            fscontext.fsconfig_string(context, key, f"{probe}/{name}")
        for word in extra:
            fscontext.fsconfig_flag(context, word)
        fscontext.fsconfig_create(context)
        return fscontext.fsmount(context)
    finally:
        os.close(context)
