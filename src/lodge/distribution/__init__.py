"""Where images come from: made on this machine (`bootstrap`), or pulled from and pushed to registries.

May touch the net and its own cache directory; what it gets it hands to a store that the caller gives.
"""
