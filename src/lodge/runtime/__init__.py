"""Containers as running programs: who makes them, keeps them, and tells what became of them.

An engine owns a `launcher.Launcher`, which owns the `zygote`; that forks a `monitor` for each container,
which talks to the engine by `messages` on a `link` and leaves an `exit_record`. A dwelling (`contract`) is
made by a wing: `process` on the host's own kernel, `oci` through an installed runc or crun; wings never
import each other. `logs` are the containers' logs, `files` the short-lived workers that copy files in and
out. `command` is the program lodge-runtime, an OCI runtime for other engines.
"""
