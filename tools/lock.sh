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
sed -n 's/^requires = \[\(.*\)\]$/\1/p' pyproject.toml | tr -d '" ' | tr ',' '\n' > "$work/build.in"
compile build.lock "$work/build.in"
sed -i '/via -r/d' requirements/build.lock
compile runtime.lock pyproject.toml
compile test.lock --extra test pyproject.toml
compile check.lock --extra check pyproject.toml
