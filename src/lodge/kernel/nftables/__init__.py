"""nf_tables by netlink: a ruleset as a value, its text in the words of nft(8), its bytes for the kernel.

`types` are the kinds of values in sets, `expressions` the parts of a rule, `ruleset` tables with chains, sets
and rules, `batch` one atomic transaction, `watch` what others did. No program and no library is needed.
"""
