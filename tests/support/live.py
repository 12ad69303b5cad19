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
    shown = host.ip_json("-N", f"-{family}", "-details", "route", "show", "table", table)
    return [_short(route, _PLAIN_ROUTE) for route in shown]


def rules(host, family=4, table=None):
    """Return the rules, of one table when given, without what every plain rule says."""
    shown = host.ip_json("-N", f"-{family}", "-details", "rule", "show")
    return [
        _short(rule, _PLAIN_RULE)
        for rule in filter(None, shown)
        if table is None or rule.get("table") == str(table)
    ]


def kernel(host):
    """Return all rules and routes of both families, as `ip` words them."""
    shown = []
    for family in ("-4", "-6"):
        shown += host.ip("-N", "-details", family, "rule", "show").splitlines()
        shown += host.ip("-N", "-details", family, "route", "show", "table", "all").splitlines()
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
