"""System call filters: `compiler` makes programs, `loader` installs them, `cache` keeps them on disk.

A program is bytes: `compile` it where libseccomp may be loaded, hand it to the process that is to be
filtered, and `load` it there, which takes one system call and no library. `words` holds the OCI spellings,
`enosys` the prologue for system calls that are newer than libseccomp, `profile` reads Docker's profile
files. Docker's default profile is next door in `kernel.seccomp_default`.
"""

from __future__ import annotations

from lodge.kernel.seccomp.cache import compile_cached as compile_cached
from lodge.kernel.seccomp.compiler import compile as compile  # noqa: A004 - the room's word for it
from lodge.kernel.seccomp.compiler import library_version as library_version
from lodge.kernel.seccomp.loader import load as load
from lodge.kernel.seccomp.profile import parse_profile as parse_profile
from lodge.kernel.seccomp.words import flag_bits as flag_bits
