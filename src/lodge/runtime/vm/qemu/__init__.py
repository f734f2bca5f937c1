"""The hypervisor: which there are, its command line, its cage, its control socket."""
