"""A host with bytes that are no UTF-8 wherever there can be any, as old CentOS hosts have them."""

import json
import os

import salt.payload
from article import ADDRESS, ADDRESS6, GATEWAY, GATEWAY6, pillar
from hosts import connect

WORD = b"caf\xe9"
# As it stands in a Python string, and as it is to be shown.
TEXT = "caf\udce9"
SHOWN = "caf\\xe9"
VALID = "größe"

PILLAR = {**pillar(), "default_gateway": "eth1", "take_over": True}
COMMENT = b"# caf\xe9, and gr\xc3\xb6\xc3\x9fe\n"
IFCFG = b"""\
%bNAME='caf\xe9'
IPADDR=%b
PREFIX=24
GATEWAY=%b
IPV6ADDR=%b/64
IPV6_DEFAULTGW=%b
""" % (COMMENT, *map(str.encode, (ADDRESS, GATEWAY, ADDRESS6, GATEWAY6)))
SCRIPTS = {
    b"ifcfg-eth1": IFCFG,
    b"ifcfg-caf\xe9": b"%bIPADDR=10.77.0.1\nPREFIX=24\n" % COMMENT,
    b"route-eth1": b"%b10.9.0.0/16 via 192.168.1.9\n" % COMMENT,
    b"route6-eth1": COMMENT,
    b"rule-eth1": b"%bfrom 10.9.0.1 table caf\xe9\n" % COMMENT,
    b"rule6-eth1": COMMENT,
    b"route-caf\xe9": b"%b10.6.0.0/16 dev caf\xe9 table th\xe9\n" % COMMENT,
    b"rule-gr\xc3\xb6\xc3\x9fe": b"%biif caf\xe9 table 77 # caf\xe9\n" % COMMENT,
}
# Bytes of a path -> bytes of the file.
FILES = {
    b"/etc/iproute2/rt_tables": b"254\tmain\n%b77\tcaf\xe9\n79\tgr\xc3\xb6\xc3\x9fe\n" % COMMENT,
    b"/etc/iproute2/rt_tables.d/caf\xe9.conf": b"%b78\tth\xe9\n" % COMMENT,
    b"/etc/sysconfig/network": b"%bNETWORKING=yes\n" % COMMENT,
    **{b"/etc/sysconfig/network-scripts/" + name: raw for name, raw in SCRIPTS.items()},
}


def write(path, raw, root=b"/etc"):
    """Write one of the files; ``root`` is where /etc is."""
    place = os.path.join(root, os.path.relpath(path, b"/etc"))
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "wb") as file:
        file.write(raw)


def read(path, root=b"/etc"):
    """Return the bytes of a file."""
    with open(os.path.join(root, os.path.relpath(path, b"/etc")), "rb") as file:
        return file.read()


def furnish(host, router):
    """Give a host all of the files, an alias of eth1, and interfaces and rules with such names.

    The router is behind these interfaces, and answers.
    """
    for path, raw in FILES.items():
        write(path, raw)
    host.ip("link", "set", "eth1", "alias", f"{TEXT} \x1b {VALID}")
    for name, net in ((TEXT, 77), (VALID, 78)):
        connect(host, name, router, f"net{net}")
        for each, number in ((host, 1), (router, 9)):
            device = name if each is host else f"net{net}"
            each.address(device, f"10.{net}.0.{number}/24", f"2001:db8:{net}::{number}/64")
        for gateway in (f"10.{net}.0.9", f"2001:db8:{net}::9"):
            family = "-6" if ":" in gateway else "-4"
            route = ("default", "via", gateway, "dev", name, "table", net)
            host.ip(family, "route", "add", *route)
            source = gateway[:-1] + "1"
            host.ip(family, "rule", "add", "from", source, "table", net, "priority", 5000)
    host.ip("rule", "add", "iif", TEXT, "table", "77", "priority", "5001")
    host.wait_ready()


def sendable(value):
    """Assert that a result can be sent to a master and printed; return all of its texts."""
    assert salt.payload.loads(salt.payload.dumps(value)) == value
    assert json.loads(json.dumps(value, ensure_ascii=False).encode()) == value
    return "\n".join(_texts(value))


def _texts(value):
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [str(value)]
