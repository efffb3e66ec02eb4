#!/bin/bash
# Records real Redis and nginx under open-loop load beside a neighbour that takes their CPU, and analyses the recording.
#   examples/record.sh [FOLDER] [SECONDS-OF-A-RUN]      about 14 minutes; 5 with 20 seconds, which show less
# Needs root, redis-server and nginx (make tools), and two CPUs, better with nothing else on them. Everything runs on
# the loopback, in cgroups of its own, and is taken back at the end. FOLDER (default: recording) must not exist.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-recording} seconds=${2:-80}
[ ! -e "$out" ] || { echo "record.sh: $out is there already: name another folder" >&2; exit 2; }
make -s build
go run ./test/record -viperprobe bin/viperprobe -out "$out" -seconds "$seconds"
bin/viperprobe analyze "$out" --task overload --hold-out bursts,neighbour-steps --cost "$out/costs.csv"
