"""An OCI distribution registry of our own: a door beside the Engine API.

Over a directory, or over the engine's own store.
"""
