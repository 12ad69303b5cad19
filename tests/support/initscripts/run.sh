#!/bin/sh
# usage: sh run.sh SOURCE CMD ARG...
#
# Runs CMD where the real network-scripts are installed: ifup and ifdown in
# /etc/sysconfig/network-scripts, network in /etc/init.d. SOURCE is a checkout of
# github.com/fedora-sysv/initscripts, of the branch of any RHEL from 6 on. Only in the lab, and in
# the network namespace of the host they are for. All of it is gone when CMD ends.

set -e
if [ "$1" != --inside ]; then
	[ "$MULTIHOMING_LAB" = 1 ]
	exec unshare --mount sh "$0" --inside "$@"
fi
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$2" && pwd)
shift 2

mkdir -p /run/initscripts /run/lock/subsys /run/netreport
mount -t tmpfs lab /run/initscripts
mount -t sysfs lab /sys # as seen from this network namespace
cd /run/initscripts
mkdir sysconfig init.d bin sbin

# The lab's own files win.
cp -R "$source"/network-scripts "$source"/sysconfig/network-scripts sysconfig/ 2>/dev/null || :
echo NETWORKING=yes >sysconfig/network
cp -a /etc/sysconfig/. sysconfig/
cp "$(find "$source" -path '*/init.d/functions')" "$(find "$source" -path '*/init.d/network')" init.d/
chmod 755 sysconfig/network-scripts/if* init.d/network
mount --bind sysconfig /etc/sysconfig
mount --bind init.d /etc/init.d

# Red Hat's tools, as far as they matter here. Addresses are taken without asking who has them, and
# of the settings of sysctl.d, which are this machine's too, only those of the network are made.
stub() {
	printf '#!/bin/sh\n%s\n' "$2" >"$1"
	chmod 755 "$1"
}
for tool in bin/logger bin/systemctl bin/nmcli bin/sleep sbin/arping sbin/modprobe; do
	stub $tool :
done
stub sbin/consoletype 'echo pty'
cp "$(command -v sysctl)" real-sysctl
# shellcheck disable=SC2016 # for the stub to expand
stub sbin/sysctl 'case "$*" in *net.ipv[46].*) exec /run/initscripts/real-sysctl "$@" ;; esac'
cp "$here/ipcalc" bin/ipcalc
chmod 755 bin/ipcalc
ln -s /bin/bash bin/sh
ln -s /usr/bin/awk bin/gawk
for place in bin sbin; do
	mount -t overlay -o "lowerdir=/run/initscripts/$place:/usr/$place" lab "/usr/$place"
done
for tool in /usr/lib/systemd/systemd-sysctl /usr/sbin/dhclient; do
	[ ! -e $tool ] || mount --bind bin/logger $tool
done
cd /
exec "$@"
