"""The monitor: one process a container, which outlives the daemon and holds what must not get lost.

It holds the dwelling, the program's pidfd and streams, the log file and the exec sessions, and writes the
exit record. One thread, one poll loop, forked from the zygote with everything imported. `birth` turns a fork
into a monitor, `keeper` answers the engine, `session` is one program with its streams, `outlet`, `inlet` and
`client` are the three ends of those, `execs` the further programs, `hub` the links to engines, `loop` the
poll loop, `wings` chooses the dwelling, a `midwife` makes those of the wing process and `delivered` holds
them, `foreign` helps external runtimes, `order` reads orders, `memory` hears of its lack, `escape` knows the
detach keys.
"""
