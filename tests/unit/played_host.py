"""A host as data: links, a played kernel, texts of files. What a run sees of it, and does to it.

See data/hosts/policies.yaml for the words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import multihoming_backend as backend
import multihoming_backend_network_scripts as network_scripts
import multihoming_desired as desired
import multihoming_export as export
import multihoming_ifcfg as ifcfg
import multihoming_iproute2 as iproute2
import multihoming_rt_tables as rt_tables
import multihoming_values as values
import multihoming_work as work
import profiles_backend
from kernel_double import Kernel
from multihoming_backend import Claim, Kept, Said
from multihoming_model import Found, Link, LinkAddress, State
from multihoming_numbers import MAIN, RESERVED_TABLES

STOCK = "255\tlocal\n254\tmain\n253\tdefault\n0\tunspec\n"


def changed(item, **fields):
    """Return plain data with other fields, whichever way it is declared."""
    known = item._asdict() if hasattr(item, "_asdict") else vars(item)
    return type(item)(**{**known, **fields})


# --- what is written in the data ------------------------------------------------------------------


def own(text, permanent=True, usable=True):
    """Return a live address, of ``192.168.1.220/24`` or ``198.18.7.33 peer 100.64.0.1/32``."""
    here, _, other = text.rpartition(" peer ")
    family, address, length = values.parse_interface(other)
    peer = address if here else None
    return LinkAddress(family, here or address, length, permanent, usable, peer=peer)


def link(name, number, said):
    """Return a link; addresses are words of a text, or have their own keys."""
    said = {"addresses": said} if isinstance(said, str | None) else said
    addresses = [
        own(text, permanent, usable)
        for key, permanent, usable in (
            ("addresses", True, True),
            ("dynamic", False, True),
            ("tentative", True, False),
        )
        for text in (said.get(key) or "").split()
    ]
    flags = frozenset(said.get("flags", ()))
    return Link(name, number, said.get("up", True), tuple(addresses), flags, said.get("kind", ""))


def family_and_words(line):
    """Split a line of `ip`; one without -4 or -6 is of the family of its first address."""
    first, *rest = line.split()
    if first in ("-4", "-6"):
        return int(first[1]), rest
    return (6 if ":" in line else 4), [first, *rest]


def rule(line, names):
    family, words = family_and_words(line)
    return iproute2.rule_from_words(words, family, names)


def route(said, names):
    """Return a route of a line; ``other`` are attributes that a line can't say."""
    line, other = (said["route"], said["other"]) if isinstance(said, dict) else (said, {})
    family, words = family_and_words(line)
    read = iproute2.route_from_words(words, family, names)
    return changed(read, other=tuple(sorted({**dict(read.other), **other}.items())))


def place(name):
    """Return the path of a file that the data call by its name."""
    if name.startswith("rt_tables"):
        return f"/etc/iproute2/{name}"
    return ifcfg.NETWORK if name == "network" else f"{ifcfg.FOLDER}/{name}"


def short(path):
    return (
        path.removeprefix("/etc/iproute2/")
        .removeprefix(f"{ifcfg.FOLDER}/")
        .replace(ifcfg.NETWORK, "network")
    )


# --- the host -------------------------------------------------------------------------------------


@dataclass
class Host:
    """A host; ``texts`` has all files that anybody may read, by path."""

    links: dict
    kernel: Kernel
    texts: dict
    drop_in: bool
    managers: frozenset
    shared_hops: dict

    def copy(self):
        return replace(self, kernel=self.kernel.copy(), texts=dict(self.texts))

    def __eq__(self, other):
        return (self.kernel, self.texts) == (other.kernel, other.texts)

    __hash__ = None

    @property
    def tables(self):
        names = [path for path in self.texts if path.startswith("/etc/iproute2/")]
        return rt_tables.parse({path: self.texts[path] for path in names}, self.drop_in)

    def do(self, command):
        self.kernel.run(command)

    def write(self, edit):
        """Make an edit, which has to fit what is there."""
        assert self.texts.pop(edit.place, None) == edit.before
        if edit.after is not None:
            self.texts[edit.place] = edit.after

    # --- what a run sees --------------------------------------------------------------------------

    def see(self, wanted, scope=None, errors=None):
        """Return what a run for a configuration reads, as multihoming_look does."""
        ids = work.ids_to_read(self.tables, wanted, scope)
        state = self.state(ids, work.needs_defaults(wanted))
        keepers, names = self._keepers(wanted, [] if errors is None else errors)
        chosen = wanted.default_gateway is not None
        kept = self._kept(names, keepers, work.devices_to_read(wanted, self.links), chosen)
        return work.Seen(self.tables, state, keepers, kept)

    def see_again(self, goal, seen):
        """Return what the outcome of a run is compared with."""
        state = self.state(goal.ours.tables, goal.chosen is not None)
        kept = self._kept(seen.kept, seen.keepers, [], goal.chosen is not None)
        return work.Seen(self.tables, state, seen.keepers, kept)

    def see_all(self, wanted):
        """Return what an export is made of, as multihoming_ask does."""
        keepers, names = self._keepers(wanted, [])
        kept = self._kept(names, keepers, list(self.links), True)
        lines = work.lines_of(work.Seen(self.tables, None, keepers, kept), self.tables.ids)
        served = work.served(lines, None, self.tables.ids)
        used = {int(live["table"]) for found in self.kernel.routes.values() for live in found.live}
        used |= export.tables_in_use(self.state((), False).rules) | served.keys()
        state = self.state(used - RESERVED_TABLES.keys(), True)
        return export.Seen(
            *(self.links, state.rules, state.routes, self.tables, served),
            found=_found(kept, state),
            unreadable={dev: why for each in kept.values() for dev, why in each.unreadable.items()},
            stamps={dev: backend.named(name).STAMPS for dev, name in keepers.items()},
        )

    def state(self, ids, defaults):
        rules = {
            family: tuple(rule_of(live, family) for live in rules.live)
            for family, rules in self.kernel.rules.items()
        }
        routes = [
            route_of(live, family, self.shared_hops)
            for family, routes in self.kernel.routes.items()
            for live in routes.live
        ]
        found = {id_: tuple(route for route in routes if route.table == id_) for id_ in ids}
        main = [route for route in routes if route.table == MAIN] if defaults else []
        main.sort(key=lambda route: route.metric)
        return State(self.links, rules, found, tuple(main))

    def _claims(self, devices):
        claims = {name: {} for name in backend.BACKENDS}
        for dev in devices:
            if "network-scripts" in self.managers:
                path = place(f"ifcfg-{dev}")
                claims["network-scripts"][dev] = Claim(path, sure=path in self.texts)
            if (path := profiles_backend.place(dev)) in self.texts:
                claims["profiles"][dev] = Claim(path)
        return claims

    def _keepers(self, wanted, errors):
        devices = list(dict.fromkeys([*self.links, *wanted.interfaces]))
        written = {
            dev: (wanted.interfaces[dev].backend if dev in wanted.interfaces else None)
            or wanted.backend
            for dev in devices
        }
        asked = backend.AUTO in {*written.values(), wanted.backend}
        claims = self._claims(devices) if asked else {}
        found, trouble = backend.choose(devices, written, claims)
        errors += [
            f"interfaces.{dev}.backend: {why}"
            for dev, why in trouble.items()
            if dev in wanted.interfaces
        ]
        claiming = [name for name, claimed in claims.items() if claimed]
        named = [] if wanted.backend == backend.AUTO else [wanted.backend]
        names = dict.fromkeys([*claiming, *named, *found.values()])
        return {dev: found.get(dev, backend.NONE) for dev in devices}, names

    def _kept(self, names, keepers, devices, default=False):
        own = {name: [dev for dev in devices if keepers.get(dev) == name] for name in names}
        kept = {name: Kept() for name in names}
        if "network-scripts" in kept:
            kept["network-scripts"] = self._scripts(own["network-scripts"], default)
        if "profiles" in kept:
            kept["profiles"] = profiles_backend.kept(self.texts, own["profiles"])
        return kept

    def _scripts(self, devices, default=False):
        texts = {
            path: text
            for path, text in self.texts.items()
            if path.startswith("/etc/sysconfig/")
            if devices or default or network_scripts.device(path)
        }
        found, unreadable = ifcfg.interfaces(texts, devices) if devices else ({}, {})
        return Kept(texts, found, unreadable)


def _found(kept, state):
    """Return interface -> what its configuration and main's default routes say of it."""
    said = {dev: each for found in kept.values() for dev, each in found.interfaces.items()}
    live = desired.defaults_by_device(state.defaults)
    told = {dev: said.get(dev, Said()) for dev in state.links}
    return {
        dev: desired.with_defaults(
            Found(each.addresses, each.gateways, dynamic=each.dynamic), live.get(dev, {})
        )
        for dev, each in told.items()
    }


def host(said):
    """Return the host that the data describe."""
    links = {"lo": Link("lo", 1, True, (), frozenset(["LOOPBACK"]))}
    for number, (name, entry) in enumerate(said["links"].items(), 2):
        links[name] = link(name, number, entry)
    drop_ins = said.get("rt_tables.d")
    texts = {rt_tables.ETC: said.get("rt_tables", STOCK)}
    texts.update({f"{rt_tables.DROP_INS}/{name}": text for name, text in (drop_ins or {}).items()})
    texts.update({place(name): text for name, text in said.get("files", {}).items()})
    profiles = said.get("profiles", {})
    texts.update({profiles_backend.place(dev): text for dev, text in profiles.items()})
    managers = frozenset(["network-scripts"] if "files" in said else [])
    made = Host(links, Kernel(), texts, drop_ins is not None, managers, {})
    names = made.tables.ids
    for line in (*said.get("routes", ()), *said.get("main", ())):
        read = route(line, names)
        if hop_id := dict(read.other).get("nhid"):
            made.shared_hops[hop_id] = (read.via, read.dev, read.nexthops)
        words = iproute2.route_words(read)
        made.do(f"ip -{read.family} route append {' '.join(words)}")
    for line in said.get("rules", ()):
        read = rule(line, names)
        made.do(f"ip -{read.family} rule add {' '.join(iproute2.rule_words(read))}")
    return made


# --- the played kernel's, as the product reads it -------------------------------------------------


def rule_of(live, family=4):
    words = []
    for key, value in live.items():
        if key == "not":
            words += ["not"]
        elif key == "mark":
            words += ["fwmark", f"{value:#x}/{live['mask']:#x}"]
        elif key == "action":
            words += [value, live["target"]] if value == "goto" else [value]
        elif key not in ("mask", "target"):
            words += [key, value]
    return iproute2.rule_from_words(words, family, {})


def route_of(live, family=4, shared_hops=None):
    words = [live["type"]] if live["type"] != "unicast" else []
    words += ["onlink"] if live.get("onlink") else []
    for key, value in live.items():
        if key not in ("type", "onlink", "nexthop", "via6", "encap"):
            words += [value] if key == "to" else [key, value]
    for leg in live.get("nexthop", ()):
        words += ["nexthop", *leg.split()]
    read = iproute2.route_from_words(words, family, {})
    if "via6" in live or "encap" in live:
        more = {"via": f"inet6 {live['via6']}"} if "via6" in live else {"encap": live["encap"]}
        read = changed(read, other=tuple(sorted({**dict(read.other), **more}.items())))
    if live.get("nhid"):
        via, dev, hops = shared_hops[live["nhid"]]
        read = changed(read, via=via, dev=dev, nexthops=hops)
    return read
