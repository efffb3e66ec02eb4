#!/bin/bash
# peers.sh COMMAND... - run the benchmark COMMAND with -peer flags for cAdvisor and netdata, which it builds and
# installs where they are missing (root). Nothing of them keeps running, and nothing listens but on loopback.
set -euo pipefail
cd "$(dirname "$0")/../.."
had=$(command -v netdata || :)
test/tools.sh netdata netdata-core
[ -n "$had" ] || systemctl disable --quiet netdata # nor does it start at the next boot
mkdir -p .cache/bin
(cd test/bench/cadvisor && go build -o ../../../.cache/bin/cadvisor .)

# netdata as Debian ships it, once a second, but for these: folders of its own, every cgroup looked at (its own
# patterns leave out what no container runtime named), and nobody told of anything.
home=$PWD/.cache/netdata port=29999
rm -rf "$home" && mkdir -p "$home"/{cache,lib,log,run,conf}
touch "$home/conf/.opt-out-from-anonymous-statistics"
cat >"$home/conf/netdata.conf" <<X
[global]
  run as user = root
[directories]
  cache = $home/cache
  lib = $home/lib
  log = $home/log
  lock = $home/run
  config = $home/conf
[web]
  bind to = 127.0.0.1:$port
[health]
  enabled = no
[cloud]
  enabled = no
[registry]
  enabled = no
[plugin:cgroups]
  check for new cgroups every = 5
  enable by default cgroups matching = *
  enable by default cgroups names matching = *
X
version=$(cd test/bench/cadvisor && go list -m -f '{{.Version}}' github.com/google/cadvisor/lib)
DISABLE_TELEMETRY=1 exec "$@" \
  -peer "cAdvisor ${version#v}=http://127.0.0.1:28080/metrics@.cache/bin/cadvisor -listen 127.0.0.1:28080" \
  -peer "netdata $(dpkg-query -W -f='${Version}' netdata-core)=http://127.0.0.1:$port/api/v1/allmetrics?format=prometheus@netdata -D -c .cache/netdata/conf/netdata.conf"
