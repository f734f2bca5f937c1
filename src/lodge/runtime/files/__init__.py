"""Files of a container, in and out: short-lived workers, forked from the zygote, one for each job.

`orders` is the talk with the engine, `entry` brings a worker into a container's root (of a running one, or of
one that is stopped, by mounts that nobody else sees), `names` are Docker's rules for paths, `worker` does it.
"""
