"""The implementations that this host can show: each test of the suite runs against every one of them.

Version 1 is the real thing where its controllers are mounted. Version 2 is the real thing where a cgroup2
is mounted, as on hybrid hosts with the few controllers that version 1 left it. What needs a controller is
skipped where there is none; `on_version_2.sh` beside this file runs the suite on a full version 2 on any
host, and the files of one are recorded in tests/unit/kernel/cgroups/test_v2.py.
"""

import os
from collections.abc import Iterator

import pytest

from lodge.kernel.cgroups import Cgroup, Hierarchy
from lodge.kernel.cgroups.detect import V1_CONTROLLERS
from lodge.kernel.cgroups.v1 import V1Hierarchy, V1Mount
from lodge.kernel.cgroups.v2 import V2Hierarchy
from lodge.kernel.mount import mountinfo


def version_1() -> Hierarchy | None:
    mounts = []
    for mount in mountinfo():
        names = tuple(name for name in V1_CONTROLLERS if name in mount.super_options)
        if mount.fstype == "cgroup" and names:
            mounts.append(V1Mount(mount.mount_point, names, mount.root))
    return V1Hierarchy(mounts) if mounts else None


def version_2() -> Hierarchy | None:
    for mount in mountinfo():
        if mount.fstype == "cgroup2":
            return V2Hierarchy(mount.mount_point, mount.root)
    return None


@pytest.fixture(params=[version_1, version_2], ids=["v1", "v2"])
def hierarchy(request: pytest.FixtureRequest) -> Hierarchy:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    found: Hierarchy | None = request.param()
    if found is None:
        pytest.skip("this host has none of this version")
    return found


@pytest.fixture
def parent(hierarchy: Hierarchy) -> Iterator[str]:
    name = f"/lodge-contract-{os.getpid()}"
    yield name
    group = hierarchy.group(name)
    group.kill()
    group.remove()


@pytest.fixture
def group(hierarchy: Hierarchy, parent: str) -> Cgroup:
    made = hierarchy.group(f"{parent}/group")
    made.create()
    return made
