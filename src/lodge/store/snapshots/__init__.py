"""The writable layer of each container, over the layers of its image.

`contract` says what a snapshotter does; `overlay` and `copying` do it; `furnished` makes the mount points
that containers need; `changes` compares a snapshot with what it was made from. Snapshots never mount: they
say what to mount.
"""
