"""Builds: the engine's fulfilment of what the build room declares.

`builds` is the face; `worker` does operations with `moving` (files), `running` (programs, with `mounts`) and
`fetching` (addresses); `memory` keeps results as rows; `bases` finds images; `exporting` makes them.
Loaded when the first build begins.
"""
