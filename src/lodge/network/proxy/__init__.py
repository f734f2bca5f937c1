"""The user-space way to a published port, for traffic that the kernel's does not take.

`streams` relays connections of TCP and SCTP, `datagrams` conversations by UDP; `door` chooses. Everything has
an end: connections by the files that the process may open, conversations by number and idle time, buffers by
one chunk each way.
"""
