"""Base images of Debian and Ubuntu, made by mmdebstrap from a mirror: the same bytes for the same release.

Plan, print, do: `plan` finds out everything (suite, mirror, dates) and returns a `Recipe`, which is a value;
`Recipe.command` is what will be run; `write_layer` runs it and passes on the tar. What runs is mmdebstrap: it
needs root or user namespaces, works in a directory of its own and mounts in a namespace of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from lodge.distribution import apt
from lodge.distribution.layer_cache import Sink
from lodge.errors import InvalidArgument, NotFound, Unavailable
from lodge.spec.platform import Platform

VERSIONS = {
    "debian": {
        "latest": "trixie", "11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky",
        "unstable": "sid",
    },
    "ubuntu": {
        "latest": "noble", "20.04": "focal", "22.04": "jammy", "24.04": "noble", "25.10": "questing",
        "26.04": "resolute",
    },
}  # fmt: skip
"""Tags that people use, to the suite's name on the mirror. Other tags are taken for a suite as they are."""

KEYRINGS = {
    "debian": ("debian-archive-keyring.gpg", "debian-archive-keyring"),
    "ubuntu": ("ubuntu-archive-keyring.gpg", "ubuntu-keyring (in Debian since 13)"),
}
"""The file with the keys of a distribution's archive, and the package that brings it."""

COMPONENTS = {"debian": "main", "ubuntu": "main universe"}

SLIM_WITHOUT = ("doc", "groff", "info", "linda", "lintian", "locale", "man")
"""Folders of /usr/share that a slim image leaves out, now and in what is installed in it later."""

_SUITE = re.compile(r"[a-z][a-z0-9.-]{1,40}")
_CHUNK = 1 << 20
_TOLD = ("I: downloading", "I: extracting", "I: installing", "I: creating")
"""Of the lines in which mmdebstrap says where it is, the ones that concern whoever waits."""
_KEY_FOLDER = Path("/usr/share/keyrings")
_MERGED_USR = "/usr/share/mmdebstrap/hooks/maybe-merged-usr"

# Run by mmdebstrap when all packages are configured, with the root as $1. What belongs to the machine that
# made the image leaves; what suits a container enters: no service starts by being installed, apt keeps no
# copy of what it downloaded.
_CUSTOMIZE = r"""
set -e
root=$1
rm -f "$root/etc/resolv.conf" "$root/etc/hostname" "$root/etc/apt/apt.conf.d/99mmdebstrap"
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cat > "$root/etc/apt/apt.conf.d/90container" <<'END'
Acquire::GzipIndexes "true";
Acquire::Languages "none";
Apt::AutoRemove::SuggestsImportant "false";
Binary::apt::APT::Keep-Downloaded-Packages "false";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
END
rm -rf "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old "$root"/var/log/apt "$root"/var/log/*.log
rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives "$root"/var/lib/apt/lists
mkdir -p "$root/var/cache/apt/archives/partial" "$root/var/lib/apt/lists/partial"
"""


class Recipe(msgspec.Struct, frozen=True):
    """Everything that decides the bytes of an image: two equal recipes make equal images.

    `released` is the newest date of the suites, in seconds since the epoch; no file's time is later.
    `apt_options` decide only whether the mirror can be reached.
    """

    distribution: str
    suite: str
    slim: bool
    architecture: str
    sources: tuple[str, ...]
    released: int
    apt_options: tuple[tuple[str, str], ...] = ()

    def command(self) -> list[str]:
        """Return the mmdebstrap command that writes the image's tar to its standard output."""
        words = ["mmdebstrap", "--variant=minbase", "--format=tar", f"--architectures={self.architecture}"]
        # mmdebstrap's own cleaning runs apt once more, which leaves caches that differ from run to run
        words += ["--skip=cleanup/apt", '--aptopt=APT::Install-Recommends "false"']
        # Ubuntu's required packages do without it
        words.append("--include=apt")
        if self.distribution == "debian":
            # without the hook, Debian 12 gets usrmerge and all of perl with it
            words.append(f"--hook-dir={_MERGED_USR}")
        words.append(f"--keyring={_KEY_FOLDER / KEYRINGS[self.distribution][0]}")
        words += [f'--aptopt={name} "{value}"' for name, value in self.apt_options]
        if self.slim:
            words += [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in SLIM_WITHOUT]
            # licences ask to travel with what they license
            words.append("--dpkgopt=path-include=/usr/share/doc/*/copyright")
        words.append(f"--customize-hook={_CUSTOMIZE}")
        return [*words, self.suite, "-", *self.sources]


def parse_tag(distribution: str, tag: str) -> tuple[str, bool]:
    """Return suite and slimness of a tag: `bookworm-slim`, `12`, `latest`. InvalidArgument when malformed."""
    base, dash, last = tag.rpartition("-")
    slim = bool(dash) and last == "slim"
    name = base if slim else tag
    suite = VERSIONS[distribution].get(name, name)
    if not _SUITE.fullmatch(suite):
        raise InvalidArgument(
            f"{distribution}:{tag}: not the name of a release",
            hint=f"for example {distribution}:{'bookworm-slim' if distribution == 'debian' else 'noble'}",
        )
    return suite, slim


def family(distribution: str, suite: str, slim: bool, platform: Platform) -> str:
    """Return the name of the line of images that replace each other as a release is updated."""
    return f"{distribution}-{suite}{'-slim' if slim else ''}-{apt.architecture(platform)}"


def plan(distribution: str, tag: str, platform: Platform, *, mirror: str | None = None) -> Recipe:
    """Find out what `distribution:tag` is made of today; asks the mirror for the dates of its suites.

    Raises InvalidArgument, NotFound (no such suite there), Unsupported (no such architecture), Unavailable.
    """
    suite, slim = parse_tag(distribution, tag)
    debian_architecture = apt.architecture(platform)
    address = (mirror or apt.mirror(distribution)).rstrip("/")
    options = apt.options()
    dates = [apt.release_date(address, suite, options)]
    sources = [_source(distribution, address, suite)]
    for companion_address, companion in companions(distribution, address, suite):
        try:
            dates.append(apt.release_date(companion_address, companion, options))
        except NotFound:
            continue  # sid has neither updates nor security; a private mirror may carry the main suite alone
        sources.append(_source(distribution, companion_address, companion))
    return Recipe(
        distribution=distribution,
        suite=suite,
        slim=slim,
        architecture=debian_architecture,
        sources=tuple(sources),
        released=max(dates),
        apt_options=tuple(sorted(options.items())),
    )


def companions(distribution: str, address: str, suite: str) -> list[tuple[str, str]]:
    """Return where the updates and security fixes of a suite are published, as (mirror, suite) pairs."""
    if distribution == "ubuntu":
        return [(address, f"{suite}-updates"), (address, f"{suite}-security")]
    if suite == "sid":
        return []
    return [(address, f"{suite}-updates"), (f"{address}-security", f"{suite}-security")]


def _source(distribution: str, address: str, suite: str) -> str:
    return f"deb {address} {suite} {COMPONENTS[distribution]}"


def check_tools(distribution: str) -> None:
    """Raise Unavailable, naming the package, when this machine cannot make images of the distribution."""
    if shutil.which("mmdebstrap") is None:
        raise Unavailable(
            "mmdebstrap is not installed, and the image is made by it",
            hint="install the package mmdebstrap (apt-get install mmdebstrap)",
        )
    file, package = KEYRINGS[distribution]
    if not (_KEY_FOLDER / file).exists():
        raise Unavailable(
            f"the keys of the {distribution} archive are not installed",
            hint=f"install the package {package}",
        )


def write_layer(recipe: Recipe, sink: Sink, *, work: Path, progress: Callable[[str], None]) -> None:
    """Run the recipe and write the tar that comes out; `progress` hears what mmdebstrap is at.

    `work` is a directory on a file system that allows device nodes and programs. Raises Unavailable with
    mmdebstrap's own last words when it fails. Whatever happens, mmdebstrap has ended and its files are gone.
    """
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work, prefix="mmdebstrap-") as temporary:
        environment = _environment(os.environ, recipe.released, temporary)
        # SAFETY: mmdebstrap gets a session of its own and stdin from nowhere; it is ended and reaped below.
        with subprocess.Popen(
            recipe.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        ) as process:
            words = _Words(process, progress)
            try:
                _copy(process, sink)
            except BaseException:
                process.terminate()  # it removes its own root directory on SIGTERM
                raise
            finally:
                status = process.wait()
                words.join()
    if status != 0:
        raise Unavailable(
            f"mmdebstrap could not make {recipe.distribution}:{recipe.suite} (exit {status}): {words.last()}",
            hint="the same command by hand: " + " ".join(_quoted(word) for word in recipe.command()[:-1]),
        )


def _copy(process: subprocess.Popen[bytes], sink: Sink) -> None:
    assert process.stdout is not None
    # the pipe itself: a buffered read would wait for a whole chunk before it could fail
    while block := os.read(process.stdout.fileno(), _CHUNK):
        sink.write(block)


def _environment(outer: Mapping[str, str], released: int, temporary: str) -> dict[str, str]:
    """What mmdebstrap may see: nothing of the caller's but the way to the network."""
    kept = {name: value for name, value in outer.items() if name.lower().endswith("_proxy")}
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SOURCE_DATE_EPOCH": str(released),
        "TMPDIR": temporary,
    }


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[A-Za-z0-9=:/._+-]+", word) else f"'{word}'"


class _Words(threading.Thread):
    """Reads what mmdebstrap says, so that it never blocks; passes on its information, keeps its end."""

    def __init__(self, process: subprocess.Popen[bytes], progress: Callable[[str], None]) -> None:
        super().__init__(name="mmdebstrap", daemon=True)
        assert process.stderr is not None
        self.pipe = process.stderr
        self.progress = progress
        self.kept: list[str] = []
        self.start()

    def run(self) -> None:
        for raw in self.pipe:
            line = raw.decode(errors="replace").strip()
            self.kept = [*self.kept[-19:], line]
            if line.startswith(_TOLD):
                self.progress(line[3:].removesuffix("...").capitalize())

    def last(self) -> str:
        """The last lines that tell of an error, or else the last lines."""
        errors = [line for line in self.kept if line.startswith(("E:", "Err:", "W:", "dpkg:"))]
        return "; ".join((errors or self.kept)[-3:]) or "it said nothing"
