#!/bin/bash
# vendor.sh - fetch the report's plotting library, and axe-core for its tests, with npm: pinned, and only what vendor.sha256 names.
set -euo pipefail
cd "$(dirname "$0")"
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT

# fetch PACKAGE@VERSION FILE-IN-PACKAGE:FILE-HERE...
fetch() {
  local name=$1 tarball; shift
  tarball=$(cd "$tmp" && npm pack --silent "$name")
  rm -rf "$tmp/package"; tar -xzf "$tmp/$tarball" -C "$tmp"
  local pair
  for pair in "$@"; do install -m 644 "$tmp/package/${pair%%:*}" "${pair#*:}"; done
}
fetch d3@7.9.0 dist/d3.min.js:assets/d3.min.js LICENSE:assets/d3.LICENSE
fetch @observablehq/plot@0.6.17 dist/plot.umd.min.js:assets/plot.umd.min.js LICENSE:assets/plot.LICENSE
fetch axe-core@4.14.1 axe.min.js:testdata/axe.min.js LICENSE:testdata/axe.LICENSE
sha256sum --check vendor.sha256
