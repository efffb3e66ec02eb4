#!/bin/bash
# steps.sh TARGET... - make each target in turn, the rest too when one fails, and say where the time went.
set -u
cd "$(dirname "$0")/.." || exit
table=() failed=0
for step; do
  printf '\n== %s\n' "$step"
  start=$SECONDS
  if "${MAKE:-make}" --no-print-directory "$step" </dev/null; then verdict=ok; else verdict=FAILED failed=1; fi
  table+=("$(printf '%-10s %5d s  %s' "$step" $((SECONDS - start)) "$verdict")")
done
printf '\n== where the time went\n'
printf '%s\n' "${table[@]}"
printf '%-10s %5d s\n' total $SECONDS
exit $failed
