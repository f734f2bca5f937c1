"""Named volumes: directories that outlive containers, and what it takes to show them in one.

`store` is the room's door; `names` and `options` are the rules of a request, `record` the file that says
what a volume is, `mounting` what the runtime is told, `usage` how much a volume takes. This hand mounts
nothing: it returns values. Content of the image at a volume's place is copied into a fresh, empty volume by
the container's init (`runtime.process`), for only there the image's tree is to be seen.
"""

from __future__ import annotations

from lodge.volume.record import Volume as Volume
from lodge.volume.store import VolumeStore as VolumeStore
