"""What the kernel and the files hold, read without any of the project's code."""

import os
from pathlib import Path

# Everything that may be written to.
CONFIGURATION = [
    Path("/etc", name) for name in ("iproute2", "sysconfig", "sysctl.d", "sysctl.conf")
]
LOCK = Path("/run/multihoming.lock")

# What `ip -json -N -details` says of a plain entry.
_PLAIN_ROUTE = {"type": "1", "protocol": "3", "scope": "0", "flags": [], "pref": "medium"}
_PLAIN_RULE = {"protocol": "0", "src": "all"}


def _short(entry, plain):
    return {key: value for key, value in entry.items() if plain.get(key, ...) != value}


def routes(host, table, family=4):
    """Return the routes of a table, without what every plain route says."""
    # Not `table N`: that is an error before the first route is in it.
    shown = host.ip_json("-N", f"-{family}", "-details", "route", "show", "table", "all")
    mine = [route for route in shown if route.pop("table", "254") == str(table)]
    return [_short(route, _PLAIN_ROUTE) for route in mine]


def rules(host, family=4, table=None):
    """Return the rules, of one table when given, without what every plain rule says."""
    shown = host.ip_json("-N", f"-{family}", "-details", "rule", "show")
    return [
        _short(rule, _PLAIN_RULE)
        for rule in filter(None, shown)
        if table is None or rule.get("table") == str(table)
    ]


def kernel(host):
    """Return all rules and routes of both families, as `ip` words them.

    Without the table ``local``, where the kernel keeps random link-local addresses.
    """
    shown = []
    for family in ("-4", "-6"):
        shown += host.ip("-N", "-details", family, "rule", "show").splitlines()
        table = host.ip("-N", "-details", family, "route", "show", "table", "all").splitlines()
        shown += sorted(line for line in table if " table 255 " not in line)
    return shown


def files():
    """Return path -> everything about each file that may be written to."""
    paths = [path for top in CONFIGURATION for path in (top, *top.rglob("*"))]
    return {str(path): _file(path) for path in paths if path.exists() or path.is_symlink()}


def _file(path):
    status = os.lstat(path)
    content = path.read_bytes() if path.is_file() else None
    link = os.readlink(path) if path.is_symlink() else None
    return content, link, status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns


def texts():
    """Return path -> text of each file that may be written to."""
    return {path: file[0].decode() for path, file in files().items() if file[0] is not None}


def snapshot(host):
    """Return kernel, files and lock: all that looking must leave alone."""
    return kernel(host), files(), LOCK.exists()


def tables(host, *ids):
    """Return what the tables hold and which rules lead there, both families, in no order."""
    held = []
    for family in (4, 6):
        for table in ids:
            held += [str((family, table, route)) for route in routes(host, table, family)]
            held += [str((family, table, rule)) for rule in rules(host, family, table)]
    return sorted(held)
