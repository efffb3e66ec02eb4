#!/bin/bash
# vm.sh [-k KERNEL]... PACKAGE|TEST-BINARY... [-- TEST-FLAG...]
#
# Runs Go tests as root on Debian's cloud kernels (default: -k 6.1 -k 6.12) under QEMU without KVM, all kernels at once.
# Each package is compiled to a static test binary (tag vm) and started in its own folder of the guest, with its testdata.
# The guest has cgroup v2 with every controller, tracefs, busybox, runc, nft, Redis, a blank disk /dev/vda, an ext4 one on
# /disk, and VIPERPROBE_VM=1 in the environment. Example: test/vm.sh -k 6.12 ./internal/probe -- -test.run Sched
#   TIMEOUT=1500 seconds per kernel · MEM=1024 MiB · CPUS=4 that are possible, of which 2 are there · MODS="more kernel modules" · KEEP=1 keeps the work folder
#   MATRIX=1 compares what works with docs/kernels.md (matrix.sh): when all tests run
# Fails when a test fails, when a kernel panics or oopses, on time-out, and when nothing ran. Prints every skip.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); repo=${here%/*}; cache=$repo/.cache/kernels
TIMEOUT=${TIMEOUT:-1500} MEM=${MEM:-1024} CPUS=${CPUS:-4} MODS=${MODS:-} KEEP=${KEEP:-} MATRIX=${MATRIX:-}
# shellcheck source=vm-kernel.sh
. "$here/vm-kernel.sh"

kernels=() subjects=()
while [ $# -gt 0 ]; do
  case $1 in
    -k) kernels+=("${2:?-k needs a kernel, such as 6.12}"); shift 2 ;;
    --) shift; break ;;
    -*) echo "vm: unknown flag $1 (test flags go behind --)" >&2; exit 2 ;;
    *) subjects+=("$1"); shift ;;
  esac
done
[ ${#subjects[@]} -gt 0 ] || { echo "vm: no package given; usage: test/vm.sh [-k KERNEL]... PACKAGE... [-- TEST-FLAG...]" >&2; exit 2; }
[ ${#kernels[@]} -gt 0 ] || kernels=(6.1 6.12)
for t in qemu-system-x86_64 busybox runc nft redis-server cpio zstd xz mkfs.ext4; do
  command -v $t >/dev/null || { echo "vm: $t is missing; run: make tools" >&2; exit 1; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/viperprobe-vm.XXXXXX")
children=()
cleanup() {
  [ ${#children[@]} = 0 ] || kill "${children[@]}" 2>/dev/null || :
  if [ -n "$KEEP" ]; then echo "vm: kept $work" >&2; else rm -rf "$work"; fi
}
trap cleanup EXIT; trap 'exit 130' INT TERM

# payload: the part of the guest that is the same for every kernel.
payload() {
  local root=$work/payload s folder
  mkdir -p "$root/src"; cp "$here/vm-init.sh" "$root/init"; chmod 755 "$root/init"
  for s in "${subjects[@]}"; do
    if [ -f "$s" ]; then
      folder=$(basename "$s"); mkdir -p "$root/src/$folder"; cp "$s" "$root/src/$folder/vm.test"
    else
      folder=$(cd "$repo" && go list -f '{{.Dir}}' "$s"); folder=${folder#"$repo"/}; mkdir -p "$root/src/$folder"
      (cd "$repo" && CGO_ENABLED=0 go test -c -tags vm -o "$root/src/$folder/vm.test" "$s")
      [ -f "$root/src/$folder/vm.test" ] || { echo "vm: $s has no tests" >&2; return 1; }
      [ ! -d "$repo/$folder/testdata" ] || cp -r "$repo/$folder/testdata" "$root/src/$folder/"
    fi
    echo "$folder" >>"$root/src/order"
  done
  printf '%s\n' -test.v "-test.timeout=$((TIMEOUT * 9 / 10))s" "$@" >"$root/src/flags"
  (cd "$root" && find . | cpio -o -H newc --quiet) >"$work/payload.cpio"; rm -rf "$root"
}

# boot KERNEL: run the payload, tagging every line of output; leaves the guest's words in $work/KERNEL.log.
boot() {
  local k=$1 dir=$cache/$1 release start=$EPOCHREALTIME line status=125 up=- log=$work/$1.log
  release=$(cat "$dir/release")
  cat "$dir/$base" "$work/payload.cpio" >"$work/$k.cpio"
  truncate -s 64M "$work/$k.raw" "$work/$k.ext4"; mkfs.ext4 -q "$work/$k.ext4"
  mkfifo "$work/$k.out"
  # thread=single: with one host thread per CPU, QEMU 7.2 panics guests that patch their own text ("Oops: int3").
  timeout -k 5 "$TIMEOUT" qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -monitor none \
    -M q35 -accel tcg,thread=single,tb-size=256 -cpu max,la57=off -smp "2,maxcpus=$CPUS" -m "$MEM" -serial stdio \
    -drive "file=$work/$k.raw,if=virtio,format=raw,cache=unsafe" -drive "file=$work/$k.ext4,if=virtio,format=raw,cache=unsafe" \
    -kernel "$dir/vmlinux" -initrd "$work/$k.cpio" \
    -append "console=ttyS0 panic=-1 oops=panic reboot=t nokaslr mitigations=off random.trust_cpu=on no_timer_check tsc=reliable cryptomgr.notests psi=1 quiet loglevel=1" \
    </dev/null >"$work/$k.out" 2>&1 & local qemu=$!
  trap 'kill $qemu 2>/dev/null || :' EXIT
  while IFS= read -r line; do
    line=${line%$'\r'}
    case $line in
      VM-UP) up=$(elapsed "$start") ;;
      VM-EXIT\ *) status=${line#VM-EXIT } ;;
      *) printf '%s\n' "$line" >>"$log"; printf '%-5s| %s\n' "$k" "$line" ;;
    esac
  done <"$work/$k.out"
  local q=0; wait $qemu || q=$?
  if [ $q = 124 ]; then status=124; fi
  echo "$status $release $up $(elapsed "$start")" >"$work/$k.status"
}

# verdict KERNEL: one line per kernel, every skip with its reason; status 0 only if tests ran and all passed.
verdict() {
  local k=$1 log=$work/$1.log status release up total why=ok passed failed skipped
  touch "$log"
  read -r status release up total <"$work/$k.status"
  count() { grep -cE "^ *--- $1: " "$log" || :; }
  passed=$(count PASS) failed=$(count FAIL) skipped=$(count SKIP)
  case $status in
    0) [ "$passed" -gt 0 ] || { why="FAILED: no test ran"; status=1; } ;;
    124) why="FAILED: time-out after $TIMEOUT s (TIMEOUT=)" ;;
    125) why="FAILED: the guest died without a verdict (panic, or it did not boot)" ;;
    *) why="FAILED: tests ended with status $status" ;;
  esac
  printf 'vm: %-28s %s passed, %s failed, %s skipped; up after %s s, done after %s s: %s\n' "$release" "$passed" "$failed" "$skipped" "$up" "$total" "$why"
  awk -v r="$release" -f "$here/skips.awk" "$log"
  [ -z "$MATRIX" ] || "$here/matrix.sh" "$k" "$log" || status=1
  return "$status"
}

elapsed() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN{ printf "%.1f", b - a }'; }

mkdir -p "$cache"
( flock 9; for k in "${kernels[@]}"; do fetch_kernel "$k"; done ) 9>"$cache/lock"
start=$EPOCHREALTIME
payload "$@"
echo "vm: ${subjects[*]} compiled in $(elapsed "$start") s; booting ${kernels[*]}"
for k in "${kernels[@]}"; do boot "$k" & children+=($!); done
for c in "${children[@]}"; do wait "$c" || :; done
children=()
rc=0
for k in "${kernels[@]}"; do verdict "$k" || rc=1; done
exit $rc
