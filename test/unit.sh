#!/bin/bash
# unit.sh [GO-TEST-ARGUMENT...] - all Go tests on this kernel (default ./...), with the race detector, in random order.
# Prints a line for each package that passes, everything for one that fails, and every skip with its reason.
# MATRIX=1 compares what works on this kernel with docs/kernels.md (test/matrix.sh): when all tests run.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- ./...
log=$(mktemp "${TMPDIR:-/tmp}/viperprobe-unit.XXXXXX"); trap 'rm -f "$log"' EXIT
status=0
CGO_ENABLED=1 go test -race -shuffle=on -v "$@" | tee "$log" | awk '
  function flush(  i) { for (i = 0; i < n; i++) print held[i]; n = 0 }
  /^(ok|\?) /{ n = 0; print; fflush(); next }
  /^FAIL\t/{ flush(); print; fflush(); next }
  /^=== (RUN|PAUSE|CONT|NAME) |^ *--- PASS: /{ next }
  { held[n++] = $0 }
  END { flush() }' || status=1
count() { grep -cE "^ *--- $1: " "$log" || :; }
echo "unit: $(uname -r): $(count PASS) passed, $(count FAIL) failed, $(count SKIP) skipped"
awk -v r="$(uname -r)" -f test/skips.awk "$log"
[ -z "${MATRIX:-}" ] || test/matrix.sh "$(uname -r | cut -d. -f1,2)" "$log" || status=1
exit $status
