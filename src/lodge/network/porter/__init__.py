"""The porter: a small process that answers names and guards published ports, and outlives lodged.

`client` is the engine's end and the only module that others call; `messages` is the vocabulary between the
two. The process itself starts in `main`; it answers with `lodge.network.names` and forwards with
`lodge.network.proxy`. One an engine, executed afresh, with one thread and few modules: its memory counts.
"""
