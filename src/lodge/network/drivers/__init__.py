"""One object a kind of network: it makes the network's links on the host and an interface in a sandbox.

`contract` says what a driver does; `bridge`, `parent` (macvlan, ipvlan), `overlay` are the drivers, `table`
picks one. The host's own network and none at all are the engine's: nothing is made for them.
"""
