"""The wing `vm`: an image in a machine of its own. `dwelling` fulfils the contract, the rest serves it.

`parts` makes what a machine is made of, `qemu` runs the hypervisor, `shares` serves the host's files to it,
`porter` carries streams between its agent and the keeper, `protocol` is what is said to the agent.
"""
