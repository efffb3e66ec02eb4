#!/bin/bash
# pictures.sh REPORT.html FOLDER - check a report in Chromium and write the documentation's screenshots of it. Wants the
# Debian packages chromium, pngquant and fonts-inter.
set -euo pipefail
[ $# = 2 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
report=$(realpath "$1") folder=$(realpath "$2")
cd "$(dirname "$0")"
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
go test . -count 1 -run 'TestPage$' -page "$report" -pictures "$tmp"
rm "$tmp"/report-whole-*
for f in "$tmp"/*.png; do pngquant --speed 1 --strip --output "$folder/$(basename "$f")" --force 64 "$f"; done
ls -l "$folder"/report-*.png
