"""Control groups: `contract` is what both versions promise; `detect` picks the one that this host has.

`v1` and `v2` perform; `v1_plan` and `v2_plan` are the pure part (which file gets which text), `v1_stats`
and `v2_stats` read the figures; `devices` reduces device rules, `bpf` makes a program of them for v2;
`tree` walks, kills and removes directories; `files` reads and writes single files. See cgroups(7).
"""

from __future__ import annotations

from lodge.kernel.cgroups.contract import BlockDeviceFigure as BlockDeviceFigure
from lodge.kernel.cgroups.contract import Cgroup as Cgroup
from lodge.kernel.cgroups.contract import CgroupStats as CgroupStats
from lodge.kernel.cgroups.contract import Hierarchy as Hierarchy
from lodge.kernel.cgroups.detect import detect as detect
