"""How a sandbox is joined to the world: an object, picked where an engine is put together.

`contract` says what a provider does. `hands.NetworkHands` is one: a pair of links and a bridge, for an engine
that may administer the host's network. `pasta` is another: a program of the user's own translates between a
tap in the sandbox and ordinary sockets, so that no right at all is needed.
"""
