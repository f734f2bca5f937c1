"""Networks and the places of containers in them: decided here, made by the hands of the network room.

`book` keeps all networks, `wiring` opens the hands when a network is first needed, `creation`, `removal` and
`listing` do what their names say, `places` reads what a container asks for, `attaching` gives a starting
container its sandbox and takes it back, `joining` connects and disconnects. A container without a network of
its own (none, host, container:ID) comes past none of this.
"""
