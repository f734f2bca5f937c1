"""Containers: one module for each part of a life, and `facade` for whoever calls the engine.

`creation` makes one, `starting` brings it to life, `ending` is what its death leads to (restart, removal,
waiters), `stopping` signals it, `removal` removes it; `recovery` meets again, after the engine's own death,
those who lived on. All of them work on residents (`engine.census`) and change states through
`engine.lifecycle` alone.
"""
