"""From flags to the API's words: the pure half of `run`, `create`, `update` and `exec`.

Each module knows the grammar of one subject (mounts, ports, networks, limits) and returns the JSON shapes of
Docker's API; `container` puts them together. Nothing here talks to the engine or to the terminal.
"""
