# vm-kernel.sh - sourced by vm.sh: Debian's cloud kernels, fetched once into $cache/VERSION as
#   vmlinux (uncompressed: QEMU boots it at once, where emulated decompression takes seconds), release (uname -r), and
#   the archive $base (busybox, the programs and modules below, the latter numbered in the order that insmod needs).
# shellcheck shell=bash
: "${here:?set by vm.sh: the folder of these scripts}" "${cache:?set by vm.sh}"
modules="virtio_pci virtio_blk crc32c_generic ext4 loop veth dummy nft_chain_nat nft_nat sch_netem tcp_diag udp_diag $MODS"
programs="runc nft redis-server redis-cli redis-benchmark"
# Named after what it is made from, so that runs with other modules do not change it under a run that boots.
base=base-$({ echo "$modules"; cat "$here/vm-kernel.sh"; } | cksum | cut -d' ' -f1).cpio

# fetch_kernel VERSION: 6.1 is bookworm's own kernel; others have a package that names the newest of their series.
fetch_kernel() {
  local k=$1 dir=$cache/$1 meta=linux-image-$1-cloud-amd64 unpacked
  [ "$k" != 6.1 ] || meta=linux-image-cloud-amd64
  if [ -s "$dir/$base" ]; then return; fi
  mkdir -p "$dir"
  unpacked=$dir/unpacked
  if [ ! -d "$unpacked" ]; then
    download_kernel "$meta" "$dir" || { apt-get update -qq && download_kernel "$meta" "$dir"; } ||
      { echo "vm: cannot fetch $meta: see what apt says above" >&2; exit 1; }
    rm -rf "$unpacked.part"; dpkg-deb -x "$dir"/*.deb "$unpacked.part"; mv "$unpacked.part" "$unpacked"; rm -f "$dir"/*.deb
  fi
  local image; image=$(echo "$unpacked"/boot/vmlinuz-*)
  echo "${image##*/vmlinuz-}" >"$dir/release"
  [ -s "$dir/vmlinux" ] || extract_vmlinux "$image" "$dir/vmlinux"
  base_archive "$unpacked" "$dir"
}

# download_kernel META DIR: the package that META depends on; fails when apt's lists are missing or out of date.
download_kernel() {
  local package
  package=$(apt-cache depends "$1" 2>/dev/null | awk '/Depends: linux-image-/{print $2; exit}')
  [ -n "$package" ] || return 1
  echo "vm: fetching $package"
  (cd "$2" && rm -f ./*.deb && apt-get download -qq -o APT::Sandbox::User=root "$package")
}

# extract_vmlinux BZIMAGE OUT: the ELF is one of the compressed streams inside; find it by magic number.
extract_vmlinux() {
  local image=$1 out=$2 magic tool offset
  while read -r magic tool; do
    for offset in $(LC_ALL=C grep -abo -P "$magic" "$image" | cut -d: -f1 | head -5); do
      tail -c +$((offset + 1)) "$image" | $tool >"$out.part" 2>/dev/null || :
      if [ "$(head -c4 "$out.part" | tr -d '\177')" = ELF ]; then mv "$out.part" "$out"; return; fi
    done
  done <<'END'
\x28\xb5\x2f\xfd zstd -dc
\xfd7zXZ\x00 xz -dc --single-stream
\x02\x21\x4c\x18 lz4 -dc
END
  rm -f "$out.part"; echo "vm: no ELF kernel found inside $image" >&2; exit 1
}

# base_archive UNPACKED DIR: busybox, programs with their libraries, empty folders, modules in order of dependency.
base_archive() {
  local dir=$2 root=$2/base tree release m
  release=$(cat "$dir/release"); tree=$1/lib/modules/$release; [ -d "$tree" ] || tree=$1/usr/lib/modules/$release
  [ -f "$tree/modules.dep" ] || depmod -b "${tree%/lib/modules/*}" "$release"
  rm -rf "$root"; mkdir -p "$root"/{bin,proc,sys,dev,tmp,run,etc,root,modules,disk,var/log}
  cp "$(command -v busybox)" "$root/bin/busybox"; ln -s busybox "$root/bin/sh"
  for m in $programs; do cp "$(command -v "$m")" "$root/bin/"; done
  for m in $(cd "$root/bin" && ldd $programs | grep -oE '(=> )?/[^ :]+ ' | grep -oE '/[^ ]+' | sort -u); do
    mkdir -p "$root$(dirname "$m")"; cp "$m" "$root$m"
  done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"; echo '127.0.0.1 localhost' >"$root/etc/hosts"
  local number=100 added=" "
  for m in $modules; do add_module "$m"; done
  (cd "$root" && find . | cpio -o -H newc --quiet) >"$dir/$base.part"
  mv "$dir/$base.part" "$dir/$base"; rm -rf "$root"
}

# add_module NAME: uses tree, root, number and added of base_archive.
add_module() {
  local pattern="/${1//[-_]/[-_]}[.]ko" line file
  line=$(grep -E "^[^:]*${pattern}[^:]*:" "$tree/modules.dep" | head -1) || :
  if [ -z "$line" ]; then
    grep -qE "$pattern" "$tree/modules.builtin" || { echo "vm: kernel $release has no module $1" >&2; exit 1; }
    return
  fi
  for file in $(echo "${line#*:}" | tr ' ' '\n' | tac) "${line%%:*}"; do
    case $added in *" $file "*) continue ;; esac
    added+="$file "; number=$((number + 1))
    case $file in
      *.xz) xz -dc "$tree/$file" >"$root/modules/$number.ko" ;;
      *.zst) zstd -qdc "$tree/$file" >"$root/modules/$number.ko" ;;
      *) cp "$tree/$file" "$root/modules/$number.ko" ;;
    esac
  done
}
