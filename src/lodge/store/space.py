"""A full disk, said in a way that people understand."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from lodge.errors import Exhausted


@contextmanager
def disk_full_is_exhausted(what: str) -> Iterator[None]:
    """Turn "no space" and "quota exceeded" inside the block into Exhausted; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Exhausted(
            f"{what}: no space left on the disk of the data root",
            hint="remove images or containers that are not needed (they can be removed without free space)",
        ) from error
