"""Whether an image is from whom it should be: policies, signatures as cosign makes them, attestations.

`policy` says what is wanted of a repository's images, `finding` gets signatures from a registry, `checking`
compares the two without a network. `cryptography` is imported when a signature is checked, and not before.
"""
