"""What this machine's apt knows: its mirrors, its options, the architecture's name; and a release's date.

Reads apt's configuration through apt's own commands and fetches small signed index files; the signatures are
checked later, by the apt that mmdebstrap runs. A date from here only names a version and sets clocks.
"""

from __future__ import annotations

import email.utils
import re
import subprocess
from collections.abc import Mapping

from lodge.errors import NotFound, Unavailable, Unsupported
from lodge.spec.platform import Platform

RELEASE_CAP = 4 << 20
"""Bytes read of an InRelease file; Debian's are a quarter of a megabyte."""

_ARCHITECTURES = {
    "linux/amd64": "amd64", "linux/386": "i386", "linux/arm64": "arm64", "linux/arm/v7": "armhf",
    "linux/arm/v6": "armel", "linux/ppc64le": "ppc64el", "linux/riscv64": "riscv64", "linux/s390x": "s390x",
    "linux/loong64": "loong64",
}  # fmt: skip

_OPTION = re.compile(r'(?P<name>Acquire::[A-Za-z0-9:_.-]+) "(?P<value>[^"]*)";')
_PASSED_ON = re.compile(
    r"Acquire::(Check-Valid-Until|Check-Date|Retries|https?::.*|.*Proxy.*)", re.IGNORECASE
)


def architecture(platform: Platform) -> str:
    """Return Debian's name of a platform; Unsupported when Debian has none."""
    name = _ARCHITECTURES.get(str(platform.normalised()))
    if name is None:
        raise Unsupported(f"there is no Debian architecture for {platform}")
    return name


def mirror(distribution: str) -> str:
    """Return this machine's own mirror of `debian` or `ubuntu`; Unavailable when its apt knows none."""
    listing = _output("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    for line in listing.splitlines():
        address = line.strip().rstrip("/")
        if re.search(rf"/{distribution}(-ports)?$", address) and address.startswith(("http:", "https:")):
            return address
    raise Unavailable(
        f"this machine's apt knows no mirror of {distribution}",
        hint="name one: lodge image bootstrap --mirror URL, or add it to apt's sources",
    )


def options() -> dict[str, str]:
    """Return the apt options that decide whether a mirror is reached and believed: proxies, date checks."""
    return parse_options(_output("apt-config", "dump"))


def parse_options(dump: str) -> dict[str, str]:
    """Read the lines of `apt-config dump` that matter here."""
    found = (_OPTION.fullmatch(line.strip()) for line in dump.splitlines())
    return {
        match["name"]: match["value"]
        for match in found
        if match and match["value"] and _PASSED_ON.fullmatch(match["name"])
    }


def release_date(address: str, suite: str, apt_options: Mapping[str, str]) -> int:
    """Return when `suite` of the mirror at `address` was last published, in seconds since the epoch.

    Raises NotFound when the mirror has no such suite, Unavailable when it cannot be reached.
    """
    text = _fetch(f"{address}/dists/{suite}/InRelease", apt_options)
    return parse_release_date(text)


def parse_release_date(text: str) -> int:
    """Read the `Date:` field of a Release file (wiki.debian.org/DebianRepository/Format).

    Raises Unavailable when there is none.
    """
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "Date":
            # RFC 5322 wants +0000 where apt writes UTC
            return int(email.utils.parsedate_to_datetime(value.strip().replace("UTC", "+0000")).timestamp())
    raise Unavailable("the mirror's Release file has no date")


def _fetch(address: str, apt_options: Mapping[str, str]) -> str:
    # Imported here: a hundred milliseconds that only a bootstrap has to spend.
    import urllib.error
    import urllib.request

    proxies = urllib.request.getproxies()
    for scheme in ("http", "https"):
        configured = apt_options.get(f"Acquire::{scheme}::Proxy")
        if configured:
            proxies[scheme] = configured
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    try:
        with opener.open(address, timeout=30) as response:
            body: bytes = response.read(RELEASE_CAP)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (403, 404, 410):
            raise NotFound(f"{address}: the mirror has no such release") from error
        raise Unavailable(f"{address}: the mirror answered {error.code} {error.reason}") from error
    except OSError as error:
        raise Unavailable(
            f"{address}: {error}", hint="is the mirror reachable? another one can be named"
        ) from error
    return body.decode(errors="replace")


def _output(*command: str) -> str:
    """What a command of apt prints; nothing when this machine has no apt."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""
