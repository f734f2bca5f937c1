"""The kernel by its own names: system calls, namespaces, mounts, control groups, capabilities, filters.

This room knows no container. It is the only place with ctypes. A wrapper keeps the kernel's name, is short
and raises OSError with the errno, its message and the path. Nothing here is imported late: the fork server
loads what it needs before the first fork, for after a chroot or setns an import would read the container's
files.

`syscalls` is the keyhole that all others look through. `mount`, `namespaces`, `process`, `capabilities`,
`overlay`, `sockets`, `tty`, `inotify`, `netlink` wrap one kernel interface each; `paths` resolves names in a
foreign root; `procfs` writes to /proc safely; `seccomp` compiles and loads filters (`seccomp_default` is
Docker's profile); `cgroups` are control groups of both versions; `apparmor`, `selinux` and `system` report.
"""
