#!/bin/sh
# Runs the kernel room's tests where control groups are version 2 with all controllers, whatever this host has:
# in User Mode Linux (Debian's package user-mode-linux, Linux 6.1, no virtualisation needed), whose root is this
# machine's own files, read-only. It is also the proof for a kernel older than this one.
#
#   tests/contract/cgroups/on_version_2.sh [tests...]     default: tests/contract/cgroups tests/privileged/kernel
#
# LODGE_UML is a directory that keeps the unpacked package; PYTHON an interpreter with the tests' requirements.
set -eu
project=$(cd "$(dirname "$0")/../../.." && pwd)
python=${PYTHON:-$project/.venv/bin/python}
cache=${LODGE_UML:-${XDG_CACHE_HOME:-$HOME/.cache}/lodge-uml}
limit=${LIMIT:-600}

if [ ! -x "$cache/usr/bin/linux.uml" ]; then
    mkdir -p "$cache"
    (cd "$cache" && apt-get -qq download user-mode-linux && dpkg-deb -x user-mode-linux_*.deb . && rm -f user-mode-linux_*.deb)
fi

# The guest sees this directory through its root; /tmp is a file system of its own there.
work=$(mktemp -d /var/tmp/lodge-uml.XXXXXX)
trap 'rm -rf "$work"' EXIT INT TERM
overlay=$(find "$cache" -name overlay.ko | head -n 1)
[ -z "$overlay" ] || cp "$overlay" "$work/overlay.ko"

cat > "$work/load.py" <<'END'
"""Load a kernel module: the guest has no modprobe."""
import ctypes
import os
import sys

if os.path.exists(sys.argv[1]):
    ctypes.CDLL(None).syscall(313, os.open(sys.argv[1], os.O_RDONLY), b"", 0)
END
cat > "$work/init" <<END
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
export HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /tmp
mkdir -p /dev/pts && mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t cgroup2 none /sys/fs/cgroup
$python $work/load.py $work/overlay.ko
cd $project
$python -m pytest -q --color=no -p no:cacheprovider ${*:-tests/contract/cgroups tests/privileged/kernel}
echo "finished: \$?"
echo o > /proc/sysrq-trigger
END
chmod 755 "$work/init"

TMPDIR=/dev/shm timeout "$limit" "$cache/usr/bin/linux.uml" mem=1500M uml_dir="$work" root=/dev/root \
    rootfstype=hostfs rootflags=/ ro con=null con0=null,fd:1 quiet init="$work/init" < /dev/null > "$work/log" 2>&1 || true
sed -n '/Run .* as init process/,$p' "$work/log" | grep . || cat "$work/log"
grep -q '^finished: 0' "$work/log"
