#!/bin/bash
# Makes the Python environment with the libraries that the analysis is compared with, pinned, in .cache/oracle; does
# nothing where it is there already.
set -euo pipefail
cd "$(dirname "$0")/../.."
pins=internal/analysis/testdata/requirements.txt
if ! cmp -s "$pins" .cache/oracle/made; then
	python3 -c "import ensurepip" 2>/dev/null || test/tools.sh python3-venv
	python3 -m venv .cache/oracle
	.cache/oracle/bin/pip -q --disable-pip-version-check install -r "$pins"
	cp "$pins" .cache/oracle/made
fi
