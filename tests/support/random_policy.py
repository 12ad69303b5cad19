"""Random pillars over the whole vocabulary, and what the kernel has to hold because of them.

Routes and rules are compared as what `ip -json -N -details` prints of them; what it prints is
worked out here from the pillar alone, without the project's code.
"""

from ipaddress import ip_interface, ip_network
from pathlib import Path

NICS = {
    "eth0": ("192.168.2.220/24", "2001:db8:2::220/64"),
    "eth1": ("192.168.1.220/24", "2001:db8:1::220/64"),
    "eth2": ("10.0.0.99/8", "2001:db8:a::99/64"),
}
IDS = (1, 201, 252, 256, 70000, 4294967295)
OTHER_TABLES = (150, 199)

_PREFIXES = {
    4: ("172.16.0.0/12", "172.16.1.0/24", "203.0.113.7", "198.51.100.0/25", "10.64.0.0/10"),
    6: ("2001:db8:f::/48", "2001:db8:f:1::/64", "2001:db8:c0::7", "fd00::/8"),
}
_SELECTED = {
    4: (*_PREFIXES[4], "0.0.0.0/0", "172.16.1.7", "192.0.2.0/24"),
    6: (*_PREFIXES[6], "::/0", "2001:db8:f:1::7"),
}
_MARKS = (1, "0x1/0xff", "0/0xff", "0x10/0xf0", 4294967295)
_SPECIAL = {"blackhole": "6", "unreachable": "7", "prohibit": "8"}
_PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, 132: 132, "ipv6-icmp": 58}


def family_of(text):
    """Return the address family of a prefix or address."""
    return 6 if ":" in text else 4


def highest_uid():
    """Return the last uid that exists here; in a user namespace there may be one only."""
    start, _outside, count = map(int, Path("/proc/self/uid_map").read_text().split()[:3])
    return min(start + count - 1, 60000)


# --- pillars ----------------------------------------------------------------------------------


def pillar(rng, crossing=False):
    """Return a random pillar; most are good.

    The kernel looks for next hops through the rules, where the table itself does not tell. With
    ``crossing`` there are next hops on other interfaces, else rules that can hide these.
    """
    devices = rng.sample(list(NICS), rng.randint(0, len(NICS)))
    ids = rng.sample(IDS, len(devices))
    tables = {f"table{id_}": id_ for id_ in ids}
    whole = {
        "tables": tables,
        "interfaces": {
            device: _interface(rng, device, table, crossing)
            for device, table in zip(devices, tables, strict=True)
        },
    }
    if rng.random() < 0.3:
        whole["priority"] = rng.choice((100, 30000))
    _maybe(rng, whole, 0.2, "keep_main_routes", lambda: True)
    return whole


def _interface(rng, device, table, crossing):
    entry = {"table": table}
    families = (4, 6)
    if rng.random() < 0.2:
        families = (rng.choice(families),)
        entry["addresses"] = [a for a in NICS[device] if family_of(a) in families]
    entry["gateway"] = [_neighbour(rng, device, family) for family in families]
    _maybe(rng, entry, 0.3, "keep_main_routes", lambda: rng.random() < 0.7)
    if rng.random() < 0.4:
        entry["priority"] = rng.choice((20000, 100 + int(device[-1]), 30000))
    entry["routes"] = _several(rng, 6, lambda: _route(rng, device, families, crossing))
    entry["rules"] = _several(rng, 8, lambda: _rule(rng, device, families, crossing))
    return entry


def _several(rng, most, make):
    made = []
    for _ in range(rng.randint(0, most)):
        item = make()
        if item not in made:
            made.append(item)
    return made


def _neighbour(rng, device, family):
    own = next(ip_interface(a) for a in NICS[device] if family_of(a) == family)
    return str(own.network.network_address + rng.randint(1, 90))


def _maybe(rng, entry, share, key, choose):
    if rng.random() < share:
        entry[key] = choose()


def _route(rng, device, families, crossing):
    family = rng.choice(families)
    route = {"to": rng.choice((*_PREFIXES[family], "default"))}
    kind = rng.choice(("plain", "via", "onlink", "nexthops", "special"))
    if kind == "special":
        route["type"] = rng.choice(sorted(_SPECIAL))
    elif kind == "via":
        route["via"] = _neighbour(rng, device, family)
    elif kind == "onlink":
        route |= {"via": "192.0.2.9" if family == 4 else "2001:db8:99::9", "onlink": True}
    elif kind == "nexthops":
        route["nexthops"] = _hops(rng, device, family, crossing)
    if kind != "special":
        own = next(a for a in NICS[device] if family_of(a) == family)
        _maybe(rng, route, 0.3, "src", lambda: own.partition("/")[0])
        _maybe(rng, route, 0.3, "mtu", lambda: rng.choice((1280, 1400, 9000)))
    if kind == "plain":
        _maybe(rng, route, 0.2, "scope", lambda: rng.choice(("link", "host")))
    _maybe(rng, route, 0.7, "metric", lambda: rng.choice((0, 1, 50, 1024, 4294967295)))
    if route["to"] == "default":
        route.setdefault("metric", 77)
        if route["metric"] in (0, 1024):
            route["metric"] = 78
    return route


def _hops(rng, device, family, crossing):
    devices = rng.sample(sorted(NICS), rng.randint(1, 3)) if crossing else [device] * 2
    vias = {_neighbour(rng, other, family): other for other in (device, *devices)}
    hops = []
    for via, other in vias.items():
        hop = {"via": via}
        if other != device or rng.random() < 0.5:
            hop["dev"] = other
        _maybe(rng, hop, 0.5, "weight", lambda: rng.choice((1, 2, 256)))
        hops.append(hop)
    return hops


def _rule(rng, device, families, crossing):
    family = rng.choice(families)
    rule = {}
    _maybe(rng, rule, 0.5, "from", lambda: rng.choice(_SELECTED[family]))
    _maybe(rng, rule, 0.4, "to", lambda: rng.choice(_SELECTED[family]))
    _maybe(rng, rule, 0.2, "iif", lambda: rng.choice(("eth0", "lo", "ppp0")))
    _maybe(rng, rule, 0.1, "oif", lambda: rng.choice(("eth1", "ppp1")))
    _maybe(rng, rule, 0.3, "fwmark", lambda: rng.choice(_MARKS))
    _maybe(rng, rule, 0.2, "tos", lambda: rng.choice((4, "0x10", 28)))
    _maybe(rng, rule, 0.3, "ipproto", lambda: rng.choice(list(_PROTOCOLS)))
    _maybe(rng, rule, 0.2, "sport", lambda: rng.choice((53, "1-65534", "8000-8010")))
    _maybe(rng, rule, 0.2, "dport", lambda: rng.choice((80, "8000-8010")))
    _maybe(rng, rule, 0.1, "uidrange", lambda: f"0-{highest_uid()}")
    if not rule:
        rule["from"] = rng.choice(_SELECTED[family])
    _maybe(rng, rule, 0.15, "suppress_prefixlength", lambda: rng.choice((0, 16, 32)))
    common = (20000, 20001, 20002, 30001)
    own = tuple(21000 + 100 * int(device[-1]) + offset for offset in range(8))
    _maybe(rng, rule, 0.9, "priority", lambda: rng.choice(own if rng.random() < 0.8 else common))
    if "suppress_prefixlength" not in rule:
        actions = ("blackhole", "unreachable", "prohibit", "nop", "goto 31000", "lookup")
        _maybe(rng, rule, 0.25, "action", lambda: rng.choice(actions))
    if crossing:
        rule["to"] = rng.choice(_PREFIXES[family])
    elif {"iif", "fwmark", "sport"} & set(rule):
        _maybe(rng, rule, 0.15, "not", lambda: rng.random() < 0.8)
    return rule


# --- what the kernel has to hold --------------------------------------------------------------


def expected(whole):
    """Return (routes, rules) that the pillar asks for, each a list of sorted tuples."""
    routes, rules = [], []
    for device, entry in whole["interfaces"].items():
        id_ = whole["tables"][entry["table"]]
        addresses = [ip_interface(a) for a in entry.get("addresses", NICS[device])]
        families = [address.version for address in addresses]
        default = entry.get("priority", whole.get("priority", 20000))
        for address in addresses:
            own = {"to": str(address.network), "src": str(address.ip)}
            routes.append(_kernel_route(own, address.version, device, id_))
            for table, rule in _from_rules(whole, entry, str(address.ip), default):
                rules.append(_kernel_rule(rule, address.version, table or id_, default))
        for gateway in entry["gateway"]:
            route = {"to": "default", "via": gateway}
            routes.append(_kernel_route(route, family_of(gateway), device, id_))
        if _keeps_main(whole, entry):
            for route in _to_siblings(whole, device, entry):
                routes.append(_kernel_route(route, family_of(route["via"]), device, id_))
        for route in entry["routes"]:
            for family in _families(route, ("to", "via", "src"), families):
                routes.append(_kernel_route(route, family, device, id_))
        for rule in entry["rules"]:
            for family in _families(rule, ("from", "to"), families):
                rules.append(_kernel_rule(rule, family, id_, default))
    return sorted(routes), sorted(rules)


def _keeps_main(whole, entry):
    return entry.get("keep_main_routes", whole.get("keep_main_routes", False))


def _from_rules(whole, entry, address, priority):
    """Return (table, rule) for an address; None is the interface's own table."""
    last = (None, {"from": address, "priority": priority})
    if not _keeps_main(whole, entry):
        return [last]
    both = {"from": address, "suppress_prefixlength": 0}
    return [
        (None, {**both, "priority": priority - 2}),
        (254, {**both, "priority": priority - 1}),
        last,
    ]


def _to_siblings(whole, device, entry):
    """Return routes to the subnets of NICs with a gateway: the declared ones, and eth0."""
    routes = []
    for gateway in entry["gateway"]:
        for other, addresses in NICS.items():
            declared = whole["interfaces"].get(other, {}).get("gateway", ())
            has_gateway = {family_of(each) for each in declared} | (
                {4, 6} if other == "eth0" else set()
            )
            for address in addresses:
                same = family_of(address) == family_of(gateway)
                if other != device and same and family_of(address) in has_gateway:
                    routes.append({"to": str(ip_interface(address).network), "via": gateway})
    return routes


def _families(item, keys, families):
    said = [item[key] for key in keys if item.get(key, "default") != "default"]
    said += [hop["via"] for hop in item.get("nexthops", ())]
    return [family_of(said[0])] if said else families


def _kernel_route(route, family, device, table):
    via, hops = route.get("via"), route.get("nexthops", ())
    if len(hops) == 1:  # a single leg is a plain route
        via, device, hops = hops[0]["via"], hops[0].get("dev", device), ()
    reached = via or hops
    special = route.get("type") in _SPECIAL
    scope = {"link": 253, "host": 254}.get(route.get("scope"), 0 if reached or special else 253)
    shown = {
        "family": family,
        "table": str(table),
        "dst": _bare(route["to"]),
        "type": _SPECIAL.get(route.get("type"), "1"),
        "protocol": "3",
        "scope": str(scope if family == 4 else 0),
        "gateway": via,
        "dev": None if special or hops else device,
        "prefsrc": route.get("src"),
        "metric": route.get("metric") or (1024 if family == 6 else None),
        "mtu": route.get("mtu"),
        "flags": "onlink" if route.get("onlink") else None,
        "nexthops": _kernel_hops(hops, device),
    }
    return _items(shown)


def _kernel_hops(hops, device):
    legs = [(hop["via"], hop.get("dev", device), hop.get("weight", 1)) for hop in hops]
    return str(sorted(legs)) if legs else None


def _bare(prefix):
    if prefix == "default":
        return prefix
    net = ip_network(prefix)
    if net.prefixlen == 0:
        return "default"
    return str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net)


def _items(shown):
    return tuple(sorted((k, str(v)) for k, v in shown.items() if v is not None))


def _kernel_rule(rule, family, table, priority):
    action, _, target = rule.get("action", "lookup").partition(" ")
    proto = rule.get("ipproto")
    shown = {
        "family": family,
        "priority": rule.get("priority", priority),
        "table": str(table),
        "src": _selected(rule.get("from")),
        "dst": _selected(rule.get("to")),
        "iif": rule.get("iif"),
        "oif": rule.get("oif"),
        "fwmark": _mark(rule.get("fwmark")),
        "tos": int(str(rule.get("tos", 0)), 0) or None,
        "ipproto": None if proto is None else _PROTOCOLS[proto],
        "sport": rule.get("sport"),
        "dport": rule.get("dport"),
        "uidrange": rule.get("uidrange"),
        "suppress": rule.get("suppress_prefixlength"),
        "action": _SPECIAL.get(action, action),
        "goto": target or None,
        "not": True if rule.get("not") else None,
        "protocol": "0",
    }
    return _items(shown)


def _selected(prefix):
    bare = _bare(prefix) if prefix else "default"
    return None if bare == "default" else bare


def _mark(mark):
    if mark is None:
        return None
    value, _, mask = str(mark).partition("/")
    return int(value, 0), int(mask or "0xffffffff", 0)


# --- what it holds ----------------------------------------------------------------------------


def held(host, tables):
    """Return (routes, rules) of the tables in the kernel, in the form of ``expected``.

    Rules into main for an address are there as well.
    """
    routes, rules = [], []
    for family in (4, 6):
        options = ("-N", f"-{family}", "-details")
        for route in host.ip_json(*options, "route", "show", "table", "all"):
            if int(route.get("table", 254)) in tables:
                routes.append(_read_route(route, family))
        for rule in filter(None, host.ip_json(*options, "rule", "show")):
            if int(rule["table"]) in tables or is_into_main(rule):
                rules.append(_read_rule(rule, family))
    return sorted(routes), sorted(rules)


def is_into_main(rule):
    """Tell whether a rule leads from one of the NICs' addresses into main."""
    own = {cidr.partition("/")[0] for addresses in NICS.values() for cidr in addresses}
    return rule["table"] == "254" and rule["src"] in own


def _read_route(route, family):
    special = route["type"] in _SPECIAL.values()
    hops = [(hop["gateway"], hop["dev"], hop["weight"]) for hop in route.get("nexthops", ())]
    shown = {
        "family": family,
        "dst": route["dst"],
        "dev": None if special else route.get("dev"),
        "mtu": next((m["mtu"] for m in route.get("metrics", ()) if "mtu" in m), None),
        "flags": " ".join(route.get("flags", ())) or None,
        "nexthops": str(sorted(hops)) if hops else None,
        "metric": route.get("metric"),
    }
    for key in ("table", "type", "protocol", "scope", "gateway", "prefsrc"):
        shown[key] = route.get(key)
    return _items(shown)


def _read_rule(rule, family):
    action = "goto" if "goto" in rule else "nop" if "nop" in rule else rule.get("action", "lookup")
    shown = {
        "family": family,
        "src": _read_prefix(rule, "src"),
        "dst": _read_prefix(rule, "dst"),
        "fwmark": _read_mark(rule),
        "tos": int(rule.get("tos", "0"), 0) or None,
        "ipproto": rule["ipproto"].removeprefix("ipproto-") if "ipproto" in rule else None,
        "sport": _read_range(rule, "sport"),
        "dport": _read_range(rule, "dport"),
        "uidrange": f"{rule['uid_start']}-{rule['uid_end']}" if "uid_start" in rule else None,
        "suppress": rule.get("suppress_prefixlen"),
        "action": action,
        "not": True if "not" in rule else None,
    }
    for key in ("priority", "table", "iif", "oif", "goto", "protocol"):
        shown[key] = rule.get(key)
    return _items(shown)


def _read_prefix(rule, end):
    if rule.get(end, "all") == "all":
        return None
    return f"{rule[end]}/{rule[f'{end}len']}" if f"{end}len" in rule else rule[end]


def _read_mark(rule):
    if "fwmark" not in rule:
        return None
    return int(rule["fwmark"], 0), int(rule.get("fwmask", "0xffffffff"), 0)


def _read_range(rule, port):
    if f"{port}_start" in rule:
        return f"{rule[f'{port}_start']}-{rule[f'{port}_end']}"
    return rule.get(port)
