"""The command `lodge-runtime`: an OCI runtime for other engines, over the wing `process`.

`main` reads the global flags and calls a verb; the verbs live in `lifecycle` (create, start, run, kill,
delete), `executing` (exec), `changes` (pause, resume, update), `reports` (state, list, ps, events) and
`documents` (spec, features). `flags` reads command lines, `container` is what all verbs know of a container,
`terminals` passes a terminal on, `seal` makes sure that nobody inside can write to this program's own file.
The spelling of flags, outputs and messages is runc's, for its callers depend on it.
"""

from __future__ import annotations

from lodge.runtime.command.main import main as main
