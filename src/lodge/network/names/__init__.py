"""The name server of sandboxes, at 127.0.0.11 as Docker's: what it answers, and whom it asks.

Bytes in, bytes out: `question` reads, `answers` writes, `book` knows who is called what, `resolver` decides
for one sandbox; `exchange` is a question to an upstream. `datagrams`, `streams` and `asking` have sockets.
Everything a container sends may be hostile: nothing is trusted, every queue has an end.
"""
