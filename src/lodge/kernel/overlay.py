"""Overlay file systems: option texts, mounting without a limit on layers, and a probe.

Source: the kernel's Documentation/filesystems/overlayfs.rst. Layers are given top first.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Sequence

from lodge.kernel.mount import calls, fscontext

# mount(2) copies at most one page of options, and cuts the rest off.
_PAGE = os.sysconf("SC_PAGE_SIZE")


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
    """Mount an overlay, by mount(2) while the options fit into a page, else layer by layer.

    `flags` are MS_* for the page, and MS_RDONLY, NOSUID, NODEV, NOEXEC alike for layers.
    """
    data = options(lower, upper, work, extra=extra)
    if len(os.fsencode(data)) < _PAGE:
        calls.mount("overlay", target, "overlay", flags, data)
        return
    # The lowest four flags have the same numbers as MOUNT_ATTR_*.
    mount = fsmount_overlay(lower, upper, work, extra=extra, attributes=flags & 0xF)
    try:
        calls.move_mount(mount, "", calls.AT_FDCWD, target, calls.MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(mount)


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
