"""What `make run` does once all is installed: an engine, a base image, a program in it, each step timed.

Uses the public `lodge` command only, as a person would; the commands are shown, so that they can be repeated.
Everything stays for the next time: the engine goes on running, the image is kept.
"""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

LODGE = Path(sys.executable).parent / "lodge"
RECIPES = ("debian", "ubuntu")
HELLO = 'echo "Hello from process $$, user $(id -un), on host $(hostname)"; cat /etc/os-release || true'


class StepFailed(Exception):
    """A command ended with an error; what it said is on the terminal already."""


def main(arguments: list[str]) -> int:
    """Run the steps for the image that was named, or for one like this machine; return the exit code."""
    image = arguments[0] if arguments and arguments[0] else like_this_machine()
    try:
        step("Starting the engine (the command does it by itself when there is none)", "version", quiet=True)
        image = provide(image)
        run = ("run", "--rm", "--network", "none", image)
        step("Running a program in it, isolated", *run, "sh", "-c", HELLO)
        step("And once more, a program that does nothing: what isolation itself takes", *run, "true")
    except StepFailed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    where = os.path.relpath(LODGE)
    print(
        f"\nIt goes on running. Try:\n    {where} run --rm -it --network none {image} sh\n    {where} --help"
    )
    return 0


def like_this_machine() -> str:
    """A base image of the same release as this machine, where that can be made; else Debian 12."""
    lines = Path("/etc/os-release").read_text().splitlines()
    fields = dict(line.partition("=")[::2] for line in lines if "=" in line)
    name, release = fields.get("ID", "").strip('"'), fields.get("VERSION_CODENAME", "").strip('"')
    return f"{name}:{release}" if name in RECIPES and release else "debian:bookworm"


def provide(image: str) -> str:
    """Have the image in the store; where its mirror cannot be reached, busybox serves."""
    listed = subprocess.run([LODGE, "images", "-q", image], capture_output=True, text=True, check=False)
    if listed.stdout.strip():
        print(f"\n== {image} is here from an earlier time")
        return image
    try:
        step("Making a base image from the distribution's own packages", "image", "bootstrap", image)
    except StepFailed as failure:
        print(f"{failure}; going on with busybox, which needs no mirror", file=sys.stderr)
        step("Making a base image of busybox", "image", "bootstrap", "busybox")
        return "busybox"
    return image


def step(title: str, *words: str, quiet: bool = False) -> None:
    """Say what happens, do it, say how long it took; raises StepFailed."""
    print(f"\n== {title}\n$ lodge {shlex.join(words)}", flush=True)
    started = time.perf_counter()
    code = lodge(*words, quiet=quiet)
    spent = time.perf_counter() - started
    if code != 0:
        raise StepFailed(f"`lodge {shlex.join(words)}` ended with exit code {code}")
    print(f"   {spent * 1000:,.0f} ms" if spent < 1 else f"   {spent:.1f} s", flush=True)


def lodge(*words: str, quiet: bool = False) -> int:
    """Exit code of the command; with `quiet` its output is thrown away, errors are not."""
    silence = subprocess.DEVNULL if quiet else None
    return subprocess.run([LODGE, *words], stdout=silence, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
