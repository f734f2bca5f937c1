"""The wing `process`: containers on the host's own kernel.

`ProcessDwelling` is what a keeper holds; `Extras` is what the engine asks beyond an OCI config. Inside:
`plan` decides, `operation` and its subjects (`rootfs`, `mounts`, `cgroup_mount`, `devices`, `masks`, `names`,
`terminal`, `stages`) are the steps, `identity` makes the program, `init` is the child that does it all,
`dwelling` its keeper, `handshake` what they say to each other. Nothing here is imported after the clone.
"""

from __future__ import annotations

from lodge.runtime.process.dwelling import ProcessDwelling as ProcessDwelling
from lodge.runtime.process.extras import CopyUp as CopyUp
from lodge.runtime.process.extras import Extras as Extras
