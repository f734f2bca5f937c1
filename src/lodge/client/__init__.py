"""The engine's client: Docker's Engine API over a socket, blocking, made to start in a few milliseconds.

What it may touch: sockets and its own process's descriptors. It imports the standard library, `wire` and
`errors` only; whatever costs more than a millisecond to import is imported where it is needed.
The door at the other end is `lodge.api`; the command that uses this room is `lodge.cli`.
"""
