#!/bin/busybox sh
# shellcheck shell=dash
# vm-init.sh - the guest's first process: make a small machine, run each test binary in its folder, report, power off.
export PATH=/bin HOME=/root TERM=dumb VIPERPROBE_VM=1
busybox=/bin/busybox
# The kernel unpacks us into rootfs, which pivot_root refuses to leave (runc needs that): move to a tmpfs first.
if [ "$1" != moved ]; then
  $busybox mkdir /new && $busybox mount -t tmpfs -o mode=755 root /new
  for f in /*; do [ "$f" = /new ] || $busybox cp -a "$f" /new/; done
  exec $busybox switch_root /new /init moved
fi
$busybox mount -t proc proc /proc; $busybox mount -t sysfs sysfs /sys; $busybox mount -t devtmpfs dev /dev
$busybox --install -s /bin
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts; mount -t tmpfs shm /dev/shm; mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
stty -F /dev/ttyS0 -onlcr -echo 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for c in $(cat /sys/fs/cgroup/cgroup.controllers); do echo "+$c" >/sys/fs/cgroup/cgroup.subtree_control; done
mount -t tracefs tracefs /sys/kernel/tracing; mount -t debugfs debugfs /sys/kernel/debug; mount -t bpf bpf /sys/fs/bpf
for m in /modules/*.ko; do insmod "$m" || echo "vm: insmod $m refused"; done
ip link set lo up
mount -t ext4 /dev/vdb /disk || echo "vm: /dev/vdb not mounted"
echo 5 >/proc/sys/kernel/printk # from here on warnings and oopses are part of the output
set --
while IFS= read -r flag; do set -- "$@" "$flag"; done </src/flags
echo VM-UP
status=0
while IFS= read -r folder; do
  echo "=== PACKAGE $folder"
  cd "/src/$folder" && ./vm.test "$@" </dev/null 2>&1 || status=$?
done </src/order
echo; echo "VM-EXIT $status"
sync; reboot -f
