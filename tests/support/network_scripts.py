"""What ifup, ifdown and `service network restart` of RHEL 6, 7 and 8 do, on a host of the lab.

Static addresses, default routes, routes and rules, as far as they go into one. With the environment
variable MULTIHOMING_INITSCRIPTS, a checkout of github.com/fedora-sysv/initscripts, the real scripts
do it. What is returned is what they complain about.
"""

import json
import os
from ipaddress import ip_interface, ip_network
from pathlib import Path

FOLDER = Path("/etc/sysconfig/network-scripts")
GLOBAL = FOLDER.with_name("network")
REAL = os.environ.get("MULTIHOMING_INITSCRIPTS")

_RUN = Path(__file__).with_name("initscripts") / "run.sh"
# As in the functions is_false of the scripts.
_FALSE = ("no", "n", "false", "f", "off", "0")
# What the real scripts, and bash about a file it can't make sense of, say besides `ip`.
_CHATTER = (
    *("deprecated", "will be removed", "advised to switch", "  OK  ", "Determining if"),
    *("using ip route replace instead", ": line "),
)

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
_VARIABLES = r"""
set -a
for file in "$@"; do [ ! -f "$file" ] || . "$file"; done
exec env -0
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


def _real(host, *argv):
    done = host.run("sh", _RUN, REAL, *argv, check=False)
    said = (line.strip() for line in (done.stdout + done.stderr).splitlines())
    return [line for line in said if line and not any(word in line for word in _CHATTER)]


def ifup_routes(host, *devices):
    """Load the routes and rules of interfaces; return what `ip` complained about."""
    complaints = []
    for device in devices:
        if REAL:
            complaints += _real(host, FOLDER / "ifup-routes", device)
            continue
        for path in _files(device, ("route", "route6")):
            if _is_sourced(path):
                complaints += _source(host, path, device)
            else:
                complaints += _run(host, "add", [path])
        complaints += _run(host, "add", _files(device, ("rule", "rule6")))
    return complaints


def ifdown_routes(host, *devices):
    """Take the rules of interfaces away, as their files say; return the complaints."""
    complaints = []
    for device in devices:
        if REAL:
            complaints += _real(host, FOLDER / "ifdown-routes", device)
        else:
            complaints += _run(host, "del", _files(device, ("rule", "rule6")))
    return complaints


def ifup(host, device, *boot):
    """Bring an interface up as its file says; with ``"boot"``, only if it is to be up then."""
    if REAL:
        return _real(host, FOLDER / "ifup", device, *boot)
    values = _variables(host, GLOBAL, FOLDER / f"ifcfg-{device}")
    if boot and _is_false(values, "ONBOOT"):
        return []
    host.ip("link", "set", device, "up")
    complaints = _ipv4(host, device, values)
    if not _is_false(values, "IPV6INIT"):
        complaints += _ipv6(host, device, values)
    return complaints + ifup_routes(host, device)


def ifdown(host, device):
    """Take an interface down: its addresses, routes and rules."""
    if REAL:
        return _real(host, FOLDER / "ifdown", device)
    host.ip("-6", "route", "flush", "dev", device, "scope", "global")
    host.ip("address", "flush", "dev", device, "scope", "global")
    host.ip("link", "set", device, "down")
    return ifdown_routes(host, device)


def restart(host, order=None):
    """Take all interfaces down and those up again that are to be up at boot.

    The scripts go through them by name; in another order it is done one by one.
    """
    if REAL and order is None:
        return _real(host, "/etc/init.d/network", "restart")
    found = sorted(path.name.removeprefix("ifcfg-") for path in FOLDER.glob("ifcfg-*"))
    devices = order or [device for device in found if device != "lo"]
    are_up = {link["ifname"] for link in host.ip_json("link") if "UP" in link["flags"]}
    complaints = [line for device in devices if device in are_up for line in ifdown(host, device)]
    return complaints + [line for device in devices for line in ifup(host, device, "boot")]


def _variables(host, *files):
    """Return the variables that a shell has after it sourced the files."""
    text = host.run("env", "-i", "bash", "-c", _VARIABLES, "ifup", *files).stdout
    return dict(variable.split("=", 1) for variable in text.split("\0") if variable)


def _is_false(values, name):
    return values.get(name, "").lower() in _FALSE


def _complaints(host, *args):
    return host.run("ip", *args, check=False).stderr.splitlines()


def _ipv4(host, device, values):
    found = []
    for number in ("", *map(str, range(256))):
        address = values.get(f"IPADDR{number}")
        if address:
            mask = values.get(f"PREFIX{number}") or values.get(f"NETMASK{number}")
            found.append(ip_interface(f"{address}/{mask}"))
        elif number and int(number) >= 2:
            break
    complaints = []
    for address in found:
        complaints += _complaints(host, "address", "add", address, "brd", "+", "dev", device)
    return complaints + (_default4(host, device, values, found[0].network) if found else [])


def _default4(host, device, values, network):
    """The last one up replaces a default of the same metric."""
    chosen = values.get("GATEWAYDEV")
    gateway = values.get("GATEWAY")
    if values.get("DEFROUTE") == "no" or chosen not in (None, "", device):
        return []
    named = values.get("NETWORK") or str(network.network_address)
    inside = gateway and ip_network(f"{gateway}/{network.netmask}", strict=False) == network
    inside = inside and named == str(network.network_address)
    if not inside and not chosen:
        return []
    route = ["via", gateway] if inside else []
    for word, name in (("metric", "METRIC"), ("src", "SRCADDR"), ("dev", "GATEWAYDEV")):
        route += [word, values[name]] if values.get(name) else []
    return _complaints(host, "route", "replace", "default", *route)


def _ipv6(host, device, values):
    complaints = []
    for address in (values.get("IPV6ADDR", ""), *values.get("IPV6ADDR_SECONDARIES", "").split()):
        if address:
            own = address if "/" in address else f"{address}/64"
            complaints += _complaints(host, "-6", "address", "replace", own, "dev", device)
    return complaints + _default6(host, device, values)


def _default6(host, device, values):
    """The first one up stays: the others find that there is a default."""
    gateway, _, scope = values.get("IPV6_DEFAULTGW", "").partition("%")
    through = scope or values.get("IPV6_DEFAULTDEV")
    if not gateway and through == device:
        return [f"Given IPv6 default device '{device}' requires an explicit nexthop"]
    if not gateway or through not in (None, "", device):
        return []
    dev = ["dev", through] if through else []
    route = ("::/0", "via", gateway, *dev, "metric", "1")
    said = _complaints(host, "-6", "route", "add", *route)
    return [line for line in said if "File exists" not in line]
