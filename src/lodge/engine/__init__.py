"""Mind: what is wanted, what is, and the steps between. The importable library.

Decisions, rows and events; no system call and no HTTP here. `engine.models` holds the values,
`engine.state` the rows, and one module each speaks of containers, images, volumes and execs.
"""
