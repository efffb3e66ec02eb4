#!/bin/bash
# tools.sh [PACKAGE...] - install the Debian packages that the tests use, and these, and only what is missing.
# Nothing is started: packages with a daemon (redis-server, nginx, prometheus) ask policy-rc.d first.
set -euo pipefail
build=(gcc libc6-dev make git binutils clang-14 llvm-14 libbpf-dev bpftool shellcheck)
vms=(qemu-system-x86 busybox-static cpio kmod zstd xz-utils lz4 e2fsprogs)
workloads=(redis-server redis-tools nginx-light postgresql wrk fio runc iproute2 nftables)
browsers=(chromium)
oracles=(bpftrace libbpf-tools prometheus systemd)

missing=()
for p in "${build[@]}" "${vms[@]}" "${workloads[@]}" "${browsers[@]}" "${oracles[@]}" "$@"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
if [ ${#missing[@]} = 0 ]; then echo "tools: nothing missing"; exit 0; fi
if [ "$(id -u)" != 0 ]; then
  echo "tools: installing packages needs root; run: sudo make tools (missing: ${missing[*]})" >&2; exit 1
fi

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
install=(apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
echo "tools: installing ${missing[*]}"
apt-get update -qq
"${install[@]}" "${missing[@]}" </dev/null
