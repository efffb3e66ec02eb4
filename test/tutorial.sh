#!/bin/bash
# tutorial.sh - type docs/tutorial.md: its blocks of sh in order, the first beside the others; about four minutes. Needs root.
# It runs in name spaces of its own, so that an instance that is there already is not in the way.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" != inside ]; then exec unshare --net --mount "$0" inside; fi
ip link set lo up
mount -t tmpfs none /run
root=$PWD
block() { awk -v want="$1" '/^```sh$/ { n++; on = n == want; next } /^```$/ { on = 0 } on' "$root/docs/tutorial.md"; }
work=$(mktemp -d "${TMPDIR:-/tmp}/viperprobe-tutorial.XXXXXX")
mkdir -p bin # a link to nothing is no place to build into
ln -s "$PWD"/{bin,cmd,examples,internal,catalogue,go.mod,go.sum,Makefile} "$work"
cd "$work"
bash -c "$(block 1)" >first.log 2>&1 &
first=$!
finish() {
	kill -TERM "$first" 2>/dev/null || :
	wait "$first" 2>/dev/null || :
	rm -rf "$work"
}
trap finish EXIT
for ((i = 0; ; i++)); do
	[ -S /run/viperprobe.sock ] && break
	[ "$i" -lt 600 ] || { cat first.log; echo "tutorial: nothing runs after a minute" >&2; exit 1; }
	sleep .1
done
for n in 2 3 4 5; do
	commands=$(block "$n")
	[ -n "$commands" ] || { echo "tutorial: docs/tutorial.md has no block $n" >&2; exit 1; }
	printf '\n$ %s\n' "$commands"
	bash -ec "$commands" || { cat first.log; echo "tutorial: block $n failed" >&2; exit 1; }
done
grep -q '^kind: CriticalMetrics' critical.yaml
grep -q '</html>' report.html
[ -z "${KEEP:-}" ] || cp report.html critical.yaml "$KEEP"
echo "tutorial: ok"
