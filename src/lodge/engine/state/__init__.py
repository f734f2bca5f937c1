"""Rows: what is wanted, and the last that is known, in SQLite. One writer, the engine's thread.

`database` opens and migrates; `rows` speaks of containers, execs and volumes.
"""
