"""What ifup-routes and ifdown-routes of RHEL 6, 7 and 8 make of the files, on a host of the lab."""

import json
from ipaddress import ip_network
from pathlib import Path

FOLDER = Path("/etc/sysconfig/network-scripts")

# As in ifup-routes: `read` strips the line, and $line is split and expanded unquoted.
_LINES = r"""
tell() {
    if ! said=$(ip "$proto" "$type" "$action" $line 2>&1); then
        echo "$1: $line: $said" | tr '\n' ' '; echo
    fi
}
each_line() {
    { cat "$1"; echo; } | while read line; do
        if [[ ! "$line" =~ ^[[:space:]]*(\#.*)?$ ]]; then
            tell "$1"
        fi
    done
}
action=$1; shift
for file in "$@"; do
    name=${file##*/}
    name=${name%%-*}
    type=${name%%6}
    proto=-4
    [ "$type" = "$name" ] || proto=-6
    each_line "$file"
done
"""
_SOURCED = r"""
. "$1"
number=0
while address=ADDRESS$number netmask=NETMASK$number gateway=GATEWAY$number; [ -n "${!address}" ]; do
    printf '["%s", "%s", "%s"]\n' "${!address}" "${!netmask}" "${!gateway}"
    number=$((number + 1))
done
"""


def _files(device, kinds):
    paths = [FOLDER / f"{kind}-{device}" for kind in kinds]
    return [path for path in paths if path.is_file()]


def _is_sourced(path):
    if not path.name.startswith("route"):
        return False
    lines = path.read_text().splitlines()
    return any(line.lstrip(" \t").startswith("ADDRESS") and "=" in line for line in lines)


def _run(host, action, paths):
    done = host.run("bash", "-c", _LINES, "network-scripts", action, *paths, check=False)
    return (done.stdout + done.stderr).splitlines()


def _source(host, path, device):
    complaints = []
    for line in host.run("bash", "-c", _SOURCED, "ifup", path).stdout.splitlines():
        address, netmask, gateway = json.loads(line)
        prefix = ip_network(f"{address}/{netmask}", strict=False)
        via = ["via", gateway] if gateway else []
        done = host.run("ip", "route", "add", prefix, *via, "dev", device, check=False)
        complaints += done.stderr.splitlines()
    return complaints


def ifup_routes(host, *devices):
    """Load the routes and rules of interfaces; return what `ip` complained about."""
    complaints = []
    for device in devices:
        for path in _files(device, ("route", "route6")):
            if _is_sourced(path):
                complaints += _source(host, path, device)
            else:
                complaints += _run(host, "add", [path])
        complaints += _run(host, "add", _files(device, ("rule", "rule6")))
    return complaints


def ifdown_routes(host, *devices):
    """Take the rules of interfaces away, as their files say; return the complaints."""
    return [
        complaint
        for device in devices
        for complaint in _run(host, "del", _files(device, ("rule", "rule6")))
    ]
