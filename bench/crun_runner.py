"""Runs `crun run` for each line of its input (a container's name) and answers with the milliseconds it took.

A process of its own, since it lives in a mount namespace without cgroup2 (see `peers.sh legacy`), while the
benchmark and the engines live in the machine's.
"""

import os
import sys
import time


def main() -> None:
    """Serve until the end of the input."""
    program, bundle, state = sys.argv[1:]
    null = os.open(os.devnull, os.O_RDWR)
    for line in sys.stdin:
        command = [program, "--root", state, "run", "--bundle", bundle, line.strip()]
        started = time.perf_counter()
        pid = os.posix_spawn(program, command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 0)])
        _, status = os.waitpid(pid, 0)
        spent = (time.perf_counter() - started) * 1000
        if status != 0:
            raise SystemExit(f"crun run failed with status {os.waitstatus_to_exitcode(status)}")
        print(f"{spent:.3f}", flush=True)


if __name__ == "__main__":
    main()
