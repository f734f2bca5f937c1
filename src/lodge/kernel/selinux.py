"""SELinux: only whether it is there and enforces. Labels are written through `procfs.write_label`."""

from __future__ import annotations

_ENFORCE = "/sys/fs/selinux/enforce"


def enabled() -> bool:
    """Whether the kernel has a policy loaded, enforced or not."""
    return _read() is not None


def enforcing() -> bool:
    """Whether violations are refused and not only logged."""
    return _read() == b"1"


def _read() -> bytes | None:
    try:
        with open(_ENFORCE, "rb") as file:
            return file.read().strip()
    except OSError:
        return None
