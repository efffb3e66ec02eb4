#!/bin/bash
# steps.sh TARGET... - make each target in turn, stop at the first that fails, and say where the time went.
set -u
cd "$(dirname "$0")/.."
table=
for step; do
  printf '\n== %s\n' "$step"
  start=$SECONDS
  "${MAKE:-make}" --no-print-directory "$step" </dev/null
  status=$?
  verdict=ok; [ $status = 0 ] || verdict="FAILED ($status)"
  table+=$(printf '%-10s %5d s  %s' "$step" $((SECONDS - start)) "$verdict")$'\n'
  [ $status = 0 ] || break
done
printf '\n== where the time went\n%s%-10s %5d s\n' "$table" total $SECONDS
exit $status
