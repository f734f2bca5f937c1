"""Instructions -> graph: each stage that is needed becomes nodes and an image's configuration.

`arguments` knows what variables mean where, `state` a stage in the making, `converter` walks the stages;
`configuring`, `moving` and `running` do the instructions. No files, no processes: base images are asked for
through `resolver`.
"""
