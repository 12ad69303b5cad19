"""Hosts written as data: what data/surveys.yaml says of one, made a survey."""

from __future__ import annotations

import os

import multihoming_backend_network_scripts as network_scripts
import multihoming_ifcfg as ifcfg
import multihoming_iproute2 as iproute2
import multihoming_values as values
from multihoming_backend import Kept
from multihoming_model import Answer, Link, Route, Rule
from multihoming_numbers import FAMILIES, KERNEL_RULES, MAIN, RESERVED_TABLES
from multihoming_reply_path import Flow
from multihoming_survey import Detour, Path, Survey, far_clients
from played_host import own

KEYS = frozenset(
    "links tables rules missing_rules routes gateways mains paths strays detours settings files "
    "unloaded in_charge sockets silent declared filtered families whole".split()
)
KERNELS = {name: id_ for id_, name in RESERVED_TABLES.items()}
# The server of the first article, as far as a host does not say otherwise.
LINKS = {"eth0": "192.168.2.220/24", "eth1": "192.168.1.220/24"}
MAINS = ["default via 192.168.2.254 dev eth0"]
GATEWAYS = {"eth0": "192.168.2.254"}


def survey(host):
    """Return the survey of a host; what it does not say is as on a healthy one."""
    if unknown := set(host) - KEYS:
        raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
    tables = {**KERNELS, **host.get("tables", {})}
    links = {name: link(name, said) for name, said in host.get("links", LINKS).items()}
    holders = {own.address: each.name for each in links.values() for own in each.addresses}
    routes = routes_of({"main": MAINS, **host.get("routes", {})}, tables)
    texts = {place(name): text for name, text in host.get("files", {}).items()}
    unloaded = {place(name): tuple(why) for name, why in host.get("unloaded", {}).items()}
    kept = Kept(texts, {}, {}, unloaded)

    rules = rules_of(host.get("rules", ()), host.get("missing_rules", ()), tables)
    far = {
        family: tuple(part[0] for part in far_clients(family, routes, rules[family]))
        for family in FAMILIES
    }

    def paths(key):
        return tuple(path(said, holders, far, tables) for said in host.get(key, ()))

    return Survey(
        links=links,
        holders=holders,
        rules=rules,
        routes=routes,
        tables=tables,
        gateways=gateways_of(host.get("gateways", GATEWAYS)),
        mains=mains_of(host["mains"], tables) if "mains" in host else first_defaults(routes),
        paths=paths("paths"),
        strays=paths("strays"),
        detours=tuple(detour(said, holders, tables) for said in host.get("detours", ())),
        settings=settings_of(host.get("settings", {})),
        kept={"network-scripts": kept, "none": Kept()},
        lines={"network-scripts": tuple(network_scripts.lines(kept, tables)), "none": ()},
        in_charge=frozenset(host.get("in_charge", ["network-scripts"] if texts else [])),
        sockets=tuple(host.get("sockets", ())),
        silent=silent_of(host.get("silent", {})),
        declared=frozenset(host.get("declared", ())),
        far=far,
        filtered=host.get("filtered", 0),
        families=tuple(host.get("families", FAMILIES)),
        whole=host.get("whole", True),
    )


def as_list(said):
    """Return a list: one thing may stand for a list of it."""
    return said if isinstance(said, list) else [said]


def place(name):
    """Return a file's path: those without one are in the scripts' folder."""
    return ifcfg.NETWORK if name == "network" else os.path.join(ifcfg.FOLDER, name)


def link(name, said):
    """Return a link: its addresses, or a mapping with more."""
    said = said if isinstance(said, dict) else {"addresses": said}
    up = said.get("up", True)
    flags = {"UP"} if up else set()
    flags |= {"LOWER_UP"} if said.get("carrier", up) else {"NO-CARRIER"} if up else set()
    flags |= {"LOOPBACK"} if name == "lo" else {"BROADCAST"}
    flags |= set(said.get("flags", ()))
    tentative = said.get("tentative", ())
    texts = [text for text in as_list(said.get("addresses", [])) if text]
    addresses = tuple(own(text, True, text not in tentative) for text in texts)
    return Link(name, 1, up, addresses, frozenset(flags), said.get("kind", ""))


def family_and_words(line):
    """Return (family, words) of a line; ``-6`` or an IPv6 address in it make it IPv6."""
    words = str(line).split()
    family = 6 if "-6" in words or any(":" in word for word in words) else 4
    return family, [word for word in words if word not in ("-4", "-6")]


def rule(line, tables=KERNELS):
    """Return the rule of a line."""
    family, words = family_and_words(line)
    return iproute2.rule_from_words(words, family, tables)


def route(line, tables=KERNELS, table=None):
    """Return the route of a line, in a table."""
    family, words = family_and_words(line)
    suffix = [] if table is None else ["table", str(table)]
    return iproute2.route_from_words([*words, *suffix], family, tables)


def rules_of(lines, missing, tables):
    """Return family -> the kernel's rules and those of the lines, in the kernel's order."""
    absent = {(family, int(words[0])) for family, words in map(family_and_words, missing)}
    found = {
        family: [
            Rule(family, priority, table, protocol=2)
            for priority, table in KERNEL_RULES[family]
            if (family, priority) not in absent
        ]
        for family in FAMILIES
    }
    for line in lines:
        made = rule(line, tables)
        found[made.family].append(made)
    return {
        family: tuple(sorted(each, key=lambda one: one.priority)) for family, each in found.items()
    }


def routes_of(said, tables):
    """Return table id -> routes."""
    found = {}
    for name, lines in said.items():
        id_ = tables.get(name, name)
        found[id_] = tuple(route(line, tables, id_) for line in lines or ())
    return found


def gateways_of(said):
    """Return (interface, family) -> next hops; ``IPv4`` and ``IPv6`` are ways without one."""
    found = {}
    for dev, hops in said.items():
        for hop in as_list(hops):
            if hop in ("IPv4", "IPv6"):
                found.setdefault((dev, int(hop[-1])), [])
            else:
                found.setdefault((dev, values.family_of(hop)), []).append(hop)
    return {key: tuple(hops) for key, hops in found.items()}


def mains_of(lines, tables):
    """Return family -> main's route to far hosts."""
    return {each.family: each for each in (route(line, tables) for line in lines)}


def first_defaults(routes):
    """Return family -> main's default route that counts."""
    found = {}
    for each in sorted(routes[MAIN], key=lambda one: one.metric):
        if each.to == "default":
            found.setdefault(each.family, each)
    return found


def path(said, holders, far, tables):
    """Return a request and its reply: ``asked``, ``by``, and the kernel's answers."""
    address = said["asked"]
    family = values.family_of(address)
    asked = Flow(family, address, said.get("by", far[family][0]))
    taken = Answer(Route(family, 255, address, "local", dev="lo"))
    request = Answer(None, said["dropped"]) if "dropped" in said else taken
    refused = (
        rule(said["by_rule"], tables) if "by_rule" in said else None,
        route(said["by_route"], tables) if "by_route" in said else None,
    )
    return Path(asked, holders[address], answer(said, tables), request, refused)


def answer(said, tables):
    """Return what the kernel says of a reply: its route, or the error with which it is lost."""
    return Answer(None, said["lost"]) if "lost" in said else Answer(route(said["reply"], tables))


def detour(said, holders, tables):
    """Return how replies go where a route of main's leads."""
    address = said["asked"]
    asked = Flow(values.family_of(address), address, said["by"])
    return Detour(holders[address], asked, route(said["route"], tables), answer(said, tables))


def settings_of(said):
    """Return (interface or all, name) -> value, of ``eth1.rp_filter: 1``."""
    return {tuple(key.rsplit(".", 1)): value for key, value in said.items()}


def silent_of(said):
    """Return the silent gateways; None when they could not be asked."""
    if said is None:
        return None
    return frozenset((dev, hop) for dev, hops in said.items() for hop in as_list(hops))
