"""Networks of containers: links, addresses, rules, ports, names. The engine's hands for all of them.

The words are in `contract`; the engine calls `hands.NetworkHands`. Touches links, the firewall and the
namespaces that it is given; knows no container beyond its id, no image, no API.
"""
