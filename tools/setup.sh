#!/bin/sh
# Brings a machine to where the Makefile's commands work. Idempotent; does nothing when nothing is missing.
#
#   tools/setup.sh run     what `make run` needs: a venv with the pinned packages, image-making tools
#   tools/setup.sh check   that, and the checkers and test libraries in the venv
#   tools/setup.sh test    that, a compiler and tools for privileged tests, and the peers of bench/peers.sh
#
# Packages of the system come by name from the machine's own apt; Python's come from its own package index,
# in the versions and with the hashes of requirements/*.lock. PYTHON and VENV can be set from outside.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}
purpose=${1:-run}

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

missing=
want() { # package, and the test that shows it is there already
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
has() { command -v "$1" || [ -x "/usr/sbin/$1" ]; }
library() { ldconfig -p | grep -qF "$1" || ls /usr/lib/*/"$1" /lib/*/"$1"; }

# The interpreter behind the name: `python3` may be a shim of a version manager.
interpreter() { "$PYTHON" -c 'import sys; print(sys.executable)' 2>/dev/null || true; }

system_packages() {
    python=$(interpreter)
    if [ -z "$python" ]; then
        missing="$missing python3 python3-venv"
    else
        case $python in
            /usr/bin/*) want python3-venv "$python" -c 'import ensurepip, venv' ;;
            *) "$python" -c 'import ensurepip, venv' || die "$python has no venv and ensurepip; set PYTHON to one that has" ;;
        esac
    fi
    want libseccomp2 library libseccomp.so.2
    want mmdebstrap has mmdebstrap
    want busybox-static has busybox
    want ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
    if [ "$purpose" = test ]; then
        want gcc has gcc
        want qemu-system-x86 has qemu-system-x86_64
        want erofs-utils has mkfs.erofs
        want libc6-dev test -e /usr/include/stdlib.h
        want iproute2 has ip
        want util-linux has unshare
        want mount has mount
        want e2fsprogs has lsattr
        want procps has ps
        want curl has curl
        want openssl has openssl
        want nftables has nft
        want docker-registry has docker-registry
        want skopeo has skopeo
        want passt has pasta
    fi
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || die "this system has no apt; install by hand:$missing"
    [ "$(id -u)" = 0 ] || die "must be root to install:$missing"
    say "apt-get install$missing"
    apt-get -qq update || say 'apt-get update failed; going on with the lists that there are'
    # shellcheck disable=SC2086  # a list of names
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null ||
        die "apt-get could not install:$missing"
}

virtual_environment() {
    python=$(interpreter)
    [ -n "$python" ] || die "$PYTHON does not run"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$python is $("$python" --version); Python 3.11 or newer is needed (set PYTHON)"
    locks="requirements/build.lock requirements/runtime.lock"
    [ "$purpose" = run ] || locks="$locks requirements/test.lock requirements/check.lock"
    version=$("$python" --version)
    stamp="$(cat requirements/*.lock pyproject.toml | sha256sum | cut -c 1-16) $version"
    ready=$VENV/.ready-all
    [ "$(cat "$ready" 2>/dev/null)" != "$stamp" ] || return 0 # a fuller venv serves the lesser purpose too
    if [ "$purpose" = run ]; then
        ready=$VENV/.ready-run
        [ "$(cat "$ready" 2>/dev/null)" != "$stamp" ] || return 0
    fi
    if [ "$("$VENV/bin/python" --version 2>/dev/null)" != "$version" ] || ! "$VENV/bin/python" -c 'import pip' 2>/dev/null; then
        say "making $VENV with $python"
        "$python" -m venv --clear "$VENV"
    fi
    pip="$VENV/bin/python -m pip --quiet --disable-pip-version-check"
    say "installing pinned packages into $VENV"
    for lock in $locks; do
        $pip install --require-hashes --requirement "$lock" || die "pip could not install $lock"
    done
    $pip install --no-deps --no-build-isolation --editable . || die 'pip could not install the project itself'
    # setuptools is needed to build only, and its start-up hook costs every start of `lodge`
    $pip uninstall --yes setuptools
    "$VENV/bin/python" -m compileall -q src
    echo "$stamp" > "$ready"
}

# Docker Engine, Podman, crun and runc in a root of their own, for the tests that hold Lodge against them or
# are driven by Docker's command. Where they can't be had, those tests say so and are skipped.
peers() {
    [ "$purpose" = test ] || return 0
    if [ "$(id -u)" = 0 ]; then
        bench/peers.sh build || say 'the peers could not be built; tests with them are skipped'
    fi
}

system_packages
virtual_environment
peers
