#!/bin/sh
# usage: sh enter.sh CMD ARG...
#
# Runs CMD in the lab: network, mount, process and host name namespaces of its own, with a private
# writable copy of /etc and an empty /run. Nothing done there reaches this machine, and everything
# in it, processes included, is gone when CMD ends or when this script is interrupted or killed.
# Works for root and for an ordinary user. The exit status is CMD's, or 125 if there is no lab.

# shellcheck disable=SC2086 # the variables with options hold several words, or none

PATH=$PATH:/usr/sbin:/sbin
flags='--mount --net --pid --uts --fork --kill-child --mount-proc --propagation private'

fail() {
	echo "enter.sh: $*" >&2
	exit 125
}

# A fresh tmpfs on DIRECTORY.
empty() {
	mount -t tmpfs -o mode=755 lab "$1" || fail "can't mount a tmpfs on $1"
}

# Files an ordinary user may not read are left out, and so is what can't be kept of their owners.
private_etc() {
	mkdir /run/etc && empty /run/etc
	cp -a /etc/. /run/etc/ 2>/dev/null
	chmod 755 /run/etc
	mount --bind /run/etc /etc || fail "can't mount a private copy of /etc"
	mkdir -p /etc/sysconfig/network-scripts
	# No name server can be reached: let look-ups fail at once instead of waiting for one.
	rm -f /etc/resolv.conf && : >/etc/resolv.conf
}

# /run keeps the names of network namespaces, so these end with the mount namespace.
furnish() {
	empty /run
	mkdir /run/lock
	[ "$(readlink -f /var/run)" = /run ] || empty /var/run
	private_etc
	mount -t sysfs lab /sys 2>/dev/null # else it goes on showing this machine's interfaces
	ip link set lo up || fail "can't bring up the loopback interface"
}

# This shell is the first process of its namespace: when it ends, the kernel ends all others.
# It lives on through Ctrl-C, which is for CMD to handle, and hands CMD's status on.
inside() {
	furnish
	MULTIHOMING_LAB=1
	export MULTIHOMING_LAB PATH
	"$@"
	exit $?
}

# Root in a container may lack the right to make namespaces, yet be allowed a user namespace.
choose_user() {
	user=
	if [ "$(id -u)" = 0 ] && unshare $flags true 2>/dev/null; then return; fi
	user='--user --map-root-user'
	why=$(unshare $user $flags true 2>&1) && return
	fail "can't make namespaces ($(echo "$why" | head -n 1)):" \
		"run as root, or allow user namespaces" \
		"(sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone," \
		"kernel.apparmor_restrict_unprivileged_userns), or start the container with --privileged"
}

if [ "$1" = --inside ]; then
	shift
	inside "$@"
fi
[ $# -gt 0 ] || fail "usage: sh enter.sh CMD ARG..."
for tool in ip unshare mount; do
	command -v $tool >/dev/null || fail "$tool is missing: install iproute2 and util-linux"
done
choose_user

# unshare itself sits out SIGTERM, so it must die with this shell, whatever kills this shell.
leash='setpriv --pdeathsig KILL'
$leash true 2>/dev/null || leash=
trap : INT # CMD gets Ctrl-C too; stay for its last words
$leash unshare $user $flags sh "$0" --inside "$@"
exit $?
