#!/bin/busybox sh
# First program of the guest: loads the modules, lays a writable layer over the machine's own files, goes on in there.
bb=/bin/busybox
for module in $($bb cat /mods/order); do
    $bb insmod "/mods/$module" || echo "bench: $module was not loaded"
done
$bb mount -t proc proc /proc
for word in $($bb cat /proc/cmdline); do
    case "$word" in bench_out=*) out="${word#bench_out=}" ;; esac
done
plan9=trans=virtio,version=9p2000.L,msize=262144
$bb mount -t 9p -o "$plan9,cache=loose,ro" root /lower
$bb mount -t tmpfs tmpfs /rw
$bb mkdir /rw/u /rw/w
$bb mount -t overlay -o lowerdir=/lower,upperdir=/rw/u,workdir=/rw/w overlay /root
$bb mount -t proc proc /root/proc
$bb mount -t sysfs sysfs /root/sys
$bb mount -t devtmpfs devtmpfs /root/dev
$bb mkdir -p /root/dev/shm /root/dev/pts "/root$out"
$bb mount -t tmpfs tmpfs /root/dev/shm
$bb mount -t tmpfs tmpfs /root/run
$bb mount -t devpts devpts /root/dev/pts
$bb mount -t 9p -o "$plan9" out "/root$out"
$bb umount /proc
exec $bb switch_root /root /bin/sh "$out/start.sh" "$out"
