#!/bin/bash
# Takes the CPUs away from everything else for 10 seconds, six times, with 20 seconds of rest: trouble to look at.
#   examples/disturb.sh [ROUNDS]
# Every process that it starts ends by itself.
set -euo pipefail
rounds=${1:-6} busy=$((4 * $(nproc)))
for ((round = 1; round <= rounds; round++)); do
	sleep 20
	echo "round $round of $rounds"
	for ((i = 0; i < busy; i++)); do
		timeout 10 sh -c 'while :; do :; done' &
	done
	wait || true
done
