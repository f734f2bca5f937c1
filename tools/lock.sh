#!/bin/sh
# Computes requirements/*.lock anew from pyproject.toml: every version and hash, for all platforms and
# Python versions that the project supports. `make lock` calls it; read the difference before committing.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" --quiet --disable-pip-version-check install 'uv>=0.9,<1'
compile() { # output, then what goes in
    out=$1
    shift
    "$work/venv/bin/uv" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --output-file "requirements/$out" "$@"
}
# pip is pinned too: the start-up scripts that an old one writes import `re`, which each start would pay
echo 'pip>=25' > "$work/build.in"
sed -n 's/^requires = \[\(.*\)\]$/\1/p' pyproject.toml | tr -d '" ' | tr ',' '\n' >> "$work/build.in"
compile build.lock --no-annotate "$work/build.in"
compile runtime.lock pyproject.toml
compile test.lock --extra test pyproject.toml
compile check.lock --extra check pyproject.toml
