#!/bin/bash
# matrix.sh KERNEL LOG - from the output of go test -v of all kernel tests, makes the list of families that work on a
# kernel, with their hooks and the exact tests that passed there, and compares it with test/kernels/KERNEL.tsv, of which
# docs/kernels.md is made (go test ./cmd/viperprobe -run Docs -update). UPDATE=1 replaces the file instead.
set -euo pipefail
cd "$(dirname "$0")/.."
kernel=$1 log=$2 want=test/kernels/$1.tsv
if [ ! -f "$want" ] && [ -z "${UPDATE:-}" ]; then
  echo "matrix: $kernel is none of the verified kernels: nothing to compare"
  exit
fi
got=$(mktemp "${TMPDIR:-/tmp}/viperprobe-matrix.XXXXXX"); trap 'rm -f "$got"' EXIT
awk '
  !sub(/^.*: matrix: /, "") { next }
  $1 == "hook" { name = $2; sub(/^hook [^ ]+ /, ""); hook[name] = $0; next }
  $1 == "exact" { for (i = 3; i <= NF; i++) if (!seen[$i, $2]++) tests[$i] = tests[$i] " " $2 }
  END {
    for (name in hook) {
      n = split(tests[name], t, " "); line = name "\t" hook[name] "\t"
      for (i = 2; i <= n; i++) for (j = i; j > 1 && t[j] < t[j-1]; j--) { swap = t[j]; t[j] = t[j-1]; t[j-1] = swap }
      for (i = 1; i <= n; i++) line = line (i > 1 ? " " : "") t[i]
      print line
    }
  }' "$log" | LC_ALL=C sort >"$got"
if [ -n "${UPDATE:-}" ]; then
  cp "$got" "$want"; chmod 644 "$want"
elif ! diff -u "$want" "$got"; then
  echo "matrix: what works on $kernel, by which hook and exact test, is not what $want says: make it work again, or make unit vm UPDATE=1"
  exit 1
fi
echo "matrix: $kernel: $(wc -l <"$got") families work, $(awk -F'\t' '$3 != ""' "$got" | wc -l) of them with an exact test"
