#!/bin/bash
# Compares k-Shape with tslearn's, from equal starts, on one thread and on all cores.
#   test/bench-analysis/run.sh [sizes]     sizes: a regular expression, such as 60x1200 (default: all; minutes)
set -euo pipefail
cd "$(dirname "$0")/../.."
python=.cache/oracle/bin/python
if ! "$python" -c 'import tslearn' 2>/dev/null; then
	python3 -m venv .cache/oracle
	.cache/oracle/bin/pip -q install -r internal/analysis/testdata/requirements.txt
fi
out=.cache/bench-analysis.txt
go test -run '^$' -bench "KShape/${1:-.}/" -benchtime 5x ./internal/analysis | tee "$out"
for cores in 1 "$(nproc)"; do
	echo "$cores core(s)"
	OMP_NUM_THREADS=$cores OPENBLAS_NUM_THREADS=$cores NUMBA_NUM_THREADS=$cores "$python" test/bench-analysis/peer.py "$cores" <"$out"
done
