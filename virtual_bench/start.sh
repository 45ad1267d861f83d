# Second program of the guest, on the machine's own files: starts udev, runs the command, leaves its status in "rc".
# The runner puts the command, the directory and the environment into "command.sh" beside this file.
out="$1"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
read -r seconds _ </proc/uptime
echo "$seconds" >"$out/started"
ip link set lo up 2>/dev/null || /bin/busybox ip link set lo up
mkdir -p /run/lock
/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add
udevadm settle --timeout=10
/bin/sh "$out/command.sh" </dev/null
echo $? >"$out/rc"
sync
/bin/busybox poweroff -f
