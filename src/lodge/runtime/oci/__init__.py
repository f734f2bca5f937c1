"""The wing `oci`: a dwelling made by an installed OCI runtime (runc, crun and their like).

`dwelling` implements the contract, `command` runs the runtime's commands and explains their failures,
`console` receives a terminal from it, `program` holds a process that is not the keeper's own child from the
start.
"""
