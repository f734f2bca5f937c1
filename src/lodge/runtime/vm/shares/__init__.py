"""The host's side of FUSE: directories of the host, and no more than these, for one machine."""
