"""What a host does already, as the pillar that asks for just that.

Pure. Every table that rules lead to is tried with the interfaces that it may belong to: the entry
that would be written is read and applied to the host as any other, and kept when the outcome is
what the kernel holds. So what is exported is expressible by construction, and what is not has a
reason. A table is exported whole or not at all: once it is in the pillar it is owned, and whatever
the pillar does not say of it would go away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import multihoming_attributes as attributes
import multihoming_config as config
import multihoming_desired as desired
import multihoming_iproute2 as iproute2
import multihoming_model as model
import multihoming_rt_tables as rt_tables
import multihoming_rules as rules_
import multihoming_values as values
from multihoming_backend import Stamps
from multihoming_model import Found, Link, Route, Rule
from multihoming_numbers import FAMILIES, KERNEL, MAIN, PEOPLES, REFUSING, RESERVED_TABLES

# keep_main_routes depends on what the other entries say; they agree after two rounds.
_ROUNDS = 4
_ROUTE_SAID = {entry.word: entry for entry in attributes.ROUTE if entry.pillar}
_RULE_SAID = {entry.word: entry for entry in attributes.RULE if entry.pillar}
# Keys whose value tells the family, ``to`` among them.
_ADDRESSES = {
    entry.word for entry in (*_ROUTE_SAID.values(), *_RULE_SAID.values()) if entry.kind.family_told
}

_Item = Route | Rule
_Entry = dict[str, Any]


class Seen(NamedTuple):
    """What was read of the host.

    links
        Interface -> what it is.
    rules
        Family -> all rules, in the kernel's order.
    routes
        Table id -> its routes, of every table that ``tables_in_use`` names.
    tables
        rt_tables.
    served
        Table id -> the interface whose files have lines for it.
    found
        Interface -> what files and main's default routes say of it.
    unreadable
        Interface -> why its files can't be understood.
    declared
        Interface -> what is known of it once the pillar that comes of all this has its entry.
    stamps
        Interface -> the protocols that its network manager puts on routes and rules.
    """

    links: Mapping[str, Link]
    rules: Mapping[int, Sequence[Rule]]
    routes: Mapping[int, Sequence[Route]]
    tables: rt_tables.Tables
    served: Mapping[int, str] = {}
    found: Mapping[str, Found] = {}
    unreadable: Mapping[str, str] = {}
    declared: Mapping[str, Found] = {}
    stamps: Mapping[str, Stamps] = {}


class Export(NamedTuple):
    """The outcome: what stands under ``multihoming:``, and sentences about it.

    left_out
        What is not in the pillar, and what the pillar would change; each with its reason.
    notes
        What else is worth knowing.
    """

    pillar: Mapping[str, Any]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


class _Held(NamedTuple):
    """A table as the kernel holds it.

    named
        Its name stands in rt_tables.
    rules
        Those that lead to it; those into main as well, when they are taken as part of it.
    beside
        Main's rules that stand where ``keep_main_routes`` would have one, by place.
    """

    table: model.Table
    named: bool
    routes: tuple[Route, ...]
    rules: tuple[Rule, ...]
    beside: Mapping[rules_.Place, Sequence[Rule]]

    @property
    def word(self) -> str:
        """What people call the table."""
        return self.table.name if self.named else str(self.table.id)

    @property
    def items(self) -> tuple[_Item, ...]:
        """Its routes and rules."""
        return (*self.routes, *self.rules)


class _Fit(NamedTuple):
    """An entry for a table; with ``obstacles`` it will not do, ``changes`` are what it alters.

    into_main
        The rules into main that it declares.
    """

    dev: str
    entry: _Entry
    changes: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    into_main: tuple[Rule, ...] = ()


_Fits = dict[str, tuple[_Held, _Fit]]  # interface -> its table and the entry for it


def tables_in_use(rules: Mapping[int, Iterable[Rule]]) -> set[int]:
    """Return the ids of the tables that rules lead to, without the kernel's own."""
    named = {rule.table for family in rules.values() for rule in family}
    return {id_ for id_ in named if id_ is not None and id_ not in RESERVED_TABLES}


def export(seen: Seen) -> Export:
    """Return the pillar that describes what the host holds, and what it does not describe."""
    fits, left_out = _together(seen)
    for _ in range(_ROUNDS if _has_rules_into_main(seen) else 0):
        declared = _declared(seen, fits)
        if declared == seen.declared:
            break
        seen = seen._replace(declared=declared)
        fits, left_out = _together(seen)
    left_out += _foreign(seen, fits)
    notes = [
        f"{_title(held, dev)}: {why}" for dev, (held, fit) in fits.items() for why in fit.changes
    ]
    notes += _remarks(seen, fits)
    return Export(_pillar(seen, fits), tuple(left_out), tuple(notes))


def _together(seen: Seen) -> tuple[_Fits, list[str]]:
    """Return the entries that go together in one pillar, and why the other tables have none."""
    fits: _Fits = {}
    left_out: list[str] = []
    for held in _tables(seen):
        fit = _fitting(seen, held, fits)
        if fit.obstacles:
            left_out += [f"{_title(held, fit.dev)}: {why}" for why in fit.obstacles]
        else:
            fits[fit.dev] = held, fit
    kept, refused = _agreeing(seen, fits)
    return kept, left_out + refused


def _has_rules_into_main(seen: Seen) -> bool:
    return any(rules_.place_into_main(rule) for rules in seen.rules.values() for rule in rules)


def _declared(seen: Seen, fits: _Fits) -> dict[str, Found]:
    """Return what is known of the interfaces that have an entry, its gateways included."""
    known = {}
    for name, (held, fit) in fits.items():
        dev = _device(name, fit.entry)
        own = desired.defaults_by_device(held.routes).get(dev, {})
        known[name] = desired.with_own_defaults(seen.found.get(dev, Found()), own)
    return known


# --- tables -----------------------------------------------------------------------------------


def _tables(seen: Seen) -> Iterator[_Held]:
    """Yield every table that is used for anything, by id."""
    leading: dict[int, list[Rule]] = {}
    places: dict[rules_.Place, list[Rule]] = {}
    for family in FAMILIES:
        for rule in seen.rules.get(family, ()):
            leading.setdefault(rule.table or 0, []).append(rule)
            if rule.table == MAIN and rule.src and rule.priority:
                places.setdefault((family, rule.src, rule.priority), []).append(rule)
    used = {*leading, *seen.served, *(id_ for id_, routes in seen.routes.items() if routes)}
    names = _names(seen.tables, used)
    for id_ in sorted(used - RESERVED_TABLES.keys()):
        table = model.Table(names[id_], id_)
        routes, rules = seen.routes.get(id_, ()), leading.get(id_, ())
        beside = {
            place: places[place]
            for place in (rules_.places_into_main(rules, {id_}) if places else ())
            if place in places
        }
        yield _Held(table, table.name in seen.tables.ids, tuple(routes), tuple(rules), beside)


def _names(tables: rt_tables.Tables, used: Iterable[int]) -> dict[int, str]:
    """Return id -> name; one that has none gets a free one."""
    taken = tables.ids
    names = {id_: name for name, id_ in reversed(taken.items())}
    for id_ in used:
        name = f"table{id_}"
        while id_ not in names and name in taken:
            name += "_"
        names.setdefault(id_, name)
    return names


def _title(held: _Held, dev: str) -> str:
    known = [str(held.table.id) if held.named else "", dev]
    more = ", ".join(filter(None, known))
    return f"table {held.word} ({more})" if more else f"table {held.word}"


def _candidates(seen: Seen, held: _Held) -> list[str]:
    """Return the interfaces that a table may belong to, the likeliest first."""
    defaults = [route for route in held.routes if route.to == "default"]
    defaults.sort(key=lambda route: route.metric)
    known = sorted(dev for id_, dev in seen.tables.serving if id_ == held.table.id)
    likely = [dev for dev in known if dev in seen.links]
    likely += [dev for route in defaults for dev in route.devices]
    likely += [seen.served[held.table.id]] if held.table.id in seen.served else []
    likely += [dev for route in held.routes for dev in route.devices]
    sources = {rule.src for rule in held.rules}
    likely += [
        dev
        for dev, link in seen.links.items()
        if any(address.address in sources for address in link.addresses)
    ]
    return list(dict.fromkeys(likely))


def _fitting(seen: Seen, held: _Held, taken: _Fits) -> _Fit:
    """Return the best entry for a table."""
    problem = _table_problem(seen, held)
    if problem:
        return _Fit("", {}, obstacles=(problem,))
    fits: list[_Fit] = []
    for dev in _candidates(seen, held):
        fits += _tried(seen, held, dev, taken)
        if not fits[-1].changes and not fits[-1].obstacles:
            break
    good = [fit for fit in fits if not fit.obstacles]
    if not good:
        return [fit for fit in fits if fit.dev == fits[0].dev][-1]
    best = min(good, key=lambda fit: len(fit.changes))
    return best._replace(entry=_shortened(seen, held, best.dev, best.entry))


def _tried(seen: Seen, held: _Held, dev: str, taken: _Fits) -> list[_Fit]:
    """Return an interface's entries, up to the first that changes nothing."""
    obstacles = _obstacles(seen, held, dev)
    if obstacles:
        return [_Fit(dev, {}, obstacles=tuple(obstacles))]
    # A second table of an interface needs a name of its own for its entry.
    further = {"device": dev} if dev in taken else {}
    name = f"{dev}/{held.table.name}" if further else dev
    fits: list[_Fit] = []
    for whole, entry in _entries(seen, held, dev):
        fits.append(_checked(seen, whole, name, {**further, **entry}))
        if not fits[-1].changes and not fits[-1].obstacles:
            break
    return fits


def _table_problem(seen: Seen, held: _Held) -> str | None:
    """Return what keeps a table from any pillar."""
    name = held.table.name
    problem = rt_tables.check_name(name)
    if problem:
        return f"its name in rt_tables will not do: {problem}"
    conflicts = rt_tables.conflicts(seen.tables, {name: held.table.id})
    if conflicts:
        return conflicts[0]
    if _is_kernels(seen, held):
        return "the kernel keeps routes of its own in it, as in the table of a VRF"
    if not _candidates(seen, held):
        return "rules lead to it, but nothing says which interface it is for: it has no routes"
    return None


def _is_kernels(seen: Seen, held: _Held) -> bool:
    """Tell whether the kernel makes routes in a table: for a VRF, also to local addresses."""
    if any(link.vrf_table == held.table.id for link in seen.links.values()):
        return True
    by_hand = ("unicast", *REFUSING)
    return any(r.protocol == KERNEL and r.type not in by_hand for r in held.routes)


# --- what can't be said -----------------------------------------------------------------------


def _obstacles(seen: Seen, held: _Held, dev: str) -> list[str]:
    """Return what keeps a table from being the interface's."""
    if dev not in seen.links or not seen.links[dev].up:
        state = "is down" if dev in seen.links else "is not on this host"
        return [f"{dev} {state}, so the kernel holds no routes of it; bring it up and export again"]
    found = [(item, _why_not(item, dev)) for item in held.items]
    reasons = [f"`{_words(item, held.word)}` {why}" for item, why in found if why]
    if reasons:
        return reasons
    return [] if held.rules else ["no rule leads to it, so nothing is answered through it"]


def _why_not(item: _Item, dev: str) -> str | None:
    """Return why the pillar can't say a route or rule."""
    if item.protocol not in PEOPLES:
        return (
            f"belongs to whoever made it: its protocol is {iproute2.protocol_name(item.protocol)}"
        )
    said = _RULE_SAID if isinstance(item, Rule) else _ROUTE_SAID
    unknown = [name for name in map(_other_name, item.other) if not _is_said(name, said)]
    if unknown:
        return f"has {', '.join(unknown)}, for which the pillar has no word"
    return None if isinstance(item, Rule) else _why_no_route(item, dev)


def _other_name(pair: tuple[str, str]) -> str:
    name, value = pair
    return f"{name} lock" if value.startswith("lock ") else name


def _is_said(name: str, said: Mapping[str, attributes.Attribute]) -> bool:
    """Tell whether the pillar says what stands in ``other``, where a field holds what it can."""
    return name in said and not said[name].field


def _why_no_route(item: Route, dev: str) -> str | None:
    if item.type not in values.ROUTE_TYPES:
        return f"is of the type {item.type}, for which the pillar has no word"
    for word in ("onlink", "encap"):
        if any(getattr(hop, word) for hop in item.nexthops):
            return f"has a next hop with {word}, for which the pillar has no word"
    own = "lo" if item.type == "local" else dev
    if item.dev not in (None, own) and (not item.via or item.onlink):
        return f"leaves by {item.dev}, and the table would be {dev}'s"
    return None


def _words(item: _Item, name: str | None) -> str:
    name = "main" if item.table == MAIN else name
    words = (
        iproute2.rule_words(item, name)
        if isinstance(item, Rule)
        else iproute2.route_words(item, name)
    )
    return " ".join([f"-{item.family}", "rule" if isinstance(item, Rule) else "route", *words])


def _foreign(seen: Seen, fits: _Fits) -> list[str]:
    """Name the rules that lead to no table of ours, the kernel's first three aside."""
    declared = {rule for _, fit in fits.values() for rule in fit.into_main}
    # These go with their table, and a trial of the pillar says so.
    kept = seen.tables.keeping_main
    every = [rule for rules in seen.rules.values() for rule in rules]
    recorded = rules_.places_recorded(every, kept)
    names = {id_: name for name, id_ in seen.tables.ids.items()}
    return [
        f"`{_words(rule, names.get(rule.table or 0))}` leads to no table that the pillar can name, "
        "and stays as it is"
        for family in FAMILIES
        for rule in seen.rules.get(family, ())
        if (rule.table or 0) in RESERVED_TABLES and not model.is_kernels(rule)
        if rule not in declared and rules_.place_into_main(rule) not in recorded
    ]


# --- entries ----------------------------------------------------------------------------------


class _Way(NamedTuple):
    """How an entry says a table.

    from_rules
        The rules that become ``addresses``.
    any_default
        Take the best default route through the interface also where it has more to it, and where
        only something outside of the table tells how its gateway is reached.
    subnet_routes
        The routes to the addresses' subnets come of themselves.
    no_gateway
        No default route comes of itself.
    made
        Routes that come of ``keep_main_routes``.
    """

    dev: str
    from_rules: Sequence[Rule]
    addresses: Sequence[values.Address]
    any_default: bool = False
    subnet_routes: bool = True
    no_gateway: bool = False
    keep_main_routes: bool = False
    made: frozenset[Route] = frozenset()

    @property
    def rules(self) -> list[Rule]:
        """The rules that the addresses get."""
        if not self.keep_main_routes:
            return [*self.from_rules]
        return [
            each
            for rule in self.from_rules
            for each in rules_.keeping_main(
                rule.family, rule.priority or 0, rule.table or 0, rule.src or ""
            )
        ]


def _entries(seen: Seen, held: _Held, dev: str) -> Iterator[tuple[_Held, _Entry]]:
    """Yield the ways to say a table, with all that each means to say.

    Those with ``keep_main_routes`` come first, where each rule into main that it would own is one
    that it makes.
    """
    link = seen.links[dev]
    sets = _sets(held)
    from_rules = _from_rules(sets, link)
    into_main = [main for rule in from_rules for main in sets[rule]]
    if from_rules and {*into_main} == {main for each in held.beside.values() for main in each}:
        whole = held._replace(rules=(*held.rules, *into_main))
        ways = _ways(whole, dev, link, from_rules)
        # The routes to siblings lead through the gateway, where there is one.
        leading_out = any(route.to == "default" for route in held.routes)
        for way in (way for way in ways if way.no_gateway != leading_out):
            yield whole, _keeping_main(seen, whole, way)
    for way in _ways(held, dev, link, _from_rules(held.rules, link)):
        yield held, _entry(held, way, link)


def _ways(held: _Held, dev: str, link: Link, from_rules: Sequence[Rule]) -> Iterator[_Way]:
    """Yield the usual way first, then those that make less of their own."""
    own = [address for rule in from_rules for address in _addresses(rule, link)]
    usual = _Way(dev, from_rules, _sources_first(held, dev, own))
    yield usual
    # The table lacks the route to a subnet, or the default route, which that would add.
    yield usual._replace(subnet_routes=False)
    yield usual._replace(no_gateway=True)
    yield usual._replace(no_gateway=True, subnet_routes=False)
    # The default says more than `gateway` can, or its gateway is on no subnet: it then differs,
    # and what differs is told.
    yield usual._replace(any_default=True)
    yield usual._replace(any_default=True, subnet_routes=False)


def _sets(held: _Held) -> dict[Rule, Sequence[Rule]]:
    """Return the from-rules that have the whole set of ``keep_main_routes``, with main's rules."""
    there = {model.meaning(rule) for rule in held.rules} if held.beside else set()
    found = {}
    for rule in filter(_is_plain, held.rules) if there else ():
        source, priority = rule.src or "/", rule.priority or 0
        first, main, last = rules_.keeping_main(rule.family, priority, held.table.id, source)
        standing = held.beside.get((rule.family, source, priority - 1), ())
        fit = all(model.meaning(each) == main and each.protocol in PEOPLES for each in standing)
        if standing and fit and first in there and "/" not in source:
            found[last] = standing
    return found


def _from_rules(rules: Iterable[Rule], link: Link) -> list[Rule]:
    """Return the rules that become ``addresses``: of one priority, one for each address.

    Those of the interface's own addresses; else those of any address.
    """
    plain = [model.meaning(rule) for rule in rules if _is_plain(rule)]
    single = [rule for rule in plain if "/" not in (rule.src or "/")]
    live = {address.address for address in link.addresses}
    own = [rule for rule in single if rule.src in live]
    chosen = own or single
    if not chosen:
        return []
    counts = Counter(rule.priority for rule in chosen)
    priority = min(counts, key=lambda number: (-counts[number], number != config.DEFAULT_PRIORITY))
    return list(dict.fromkeys(rule for rule in chosen if rule.priority == priority))


def _is_plain(rule: Rule) -> bool:
    return model.meaning(rule) == Rule(rule.family, rule.priority, rule.table, src=rule.src)


def _addresses(rule: Rule, link: Link) -> list[values.Address]:
    """Return the address that a rule is for as the interface has it; with several peers, each.

    One that has no subnet, whatever its length, is written with its whole length.
    """
    lone = _lone(rule.family, rule.src or "")
    own = {address.peer: address for address in link.addresses if address.address == rule.src}
    found = [
        values.Address(rule.family, lone.address, address.length, peer=peer)
        for peer, address in own.items()
        if address.subnets
    ]
    return found or [lone]


def _lone(family: int, address: str) -> values.Address:
    """Return an address with its whole length, which has no subnet."""
    return values.Address(family, address, 32 if family == 4 else 128)


def _sources_first(
    held: _Held, dev: str, addresses: Iterable[values.Address]
) -> list[values.Address]:
    """Put the address first that is the source of the routes to its subnets, as people write it."""
    there = set(map(model.meaning, held.routes))

    def is_other(address: values.Address) -> bool:
        routes = _subnet_routes(held, dev, address)
        return not (routes and there.issuperset(routes))

    return sorted(addresses, key=is_other)


def _subnet_routes(held: _Held, dev: str, address: values.Address) -> list[Route]:
    return [
        _made(held, dev, address.family, to=subnet, src=address.address)
        for subnet in address.subnets
    ]


def _made(held: _Held, dev: str, family: int, **fields: Any) -> Route:
    """Return a route that every policy makes."""
    scope = model.default_scope("unicast", family, "via" in fields)
    metric = model.default_metric(family)
    return model.canonical(
        Route(family, held.table.id, dev=dev, scope=scope, metric=metric, **fields)
    )


def _is_plain_default(route: Route, dev: str) -> bool:
    plain = Route(
        route.family,
        route.table,
        "default",
        via=route.via,
        dev=dev,
        metric=model.default_metric(route.family),
        onlink=route.onlink,
    )
    return route.via is not None and model.meaning(route) == plain


def _gateways(held: _Held, way: _Way, link: Link) -> list[Route]:
    """Return the default routes that ``gateway`` can say, at most one of each family."""
    dev, found = way.dev, dict[int, Route]()
    families = {address.family for address in way.addresses or link.addresses}
    near = [own for own in (*way.addresses, *link.addresses) if own.family in families]
    for route in sorted(held.routes, key=lambda route: route.metric):
        via, family = route.via, route.family
        if route.to != "default" or not via or route.dev != dev or family in found:
            continue
        reached = _reached(via, family, near)
        if not way.any_default and not (
            _is_plain_default(route, dev) and (reached or route.onlink)
        ):
            continue
        onlink = route.onlink or not reached
        if all(other.onlink == onlink for other in found.values()):
            found[family] = _made(held, dev, family, to="default", via=via, onlink=onlink)
    return [found[family] for family in sorted(found)]


def _reached(gateway: str, family: int, addresses: Iterable[values.Address]) -> bool:
    if values.is_link_local(gateway):
        return any(address.family == family for address in addresses)
    return any(address.holds(gateway) for address in addresses)


def _keeping_main(seen: Seen, held: _Held, way: _Way) -> _Entry:
    """Return the entry with ``keep_main_routes``: without the routes that come of it.

    A route to the same subnet that stands in the entry keeps them away.
    """
    link = seen.links[way.dev]
    likely = _through_gateways(held, way, link)
    way = way._replace(keep_main_routes=True, made=likely)
    made, _ = _outcome(seen, held, way.dev, _entry(held, way, link))
    return _entry(held, way._replace(made=likely & set(made)), link)


def _through_gateways(held: _Held, way: _Way, link: Link) -> frozenset[Route]:
    """Return the routes through a gateway that have nothing more to them, the defaults aside."""
    gateways = {
        route.family: {"via": route.via, "onlink": route.onlink}
        for route in _gateways(held, way, link)
    }
    plain = {
        _made(held, way.dev, route.family, to=route.to, **gateways[route.family])
        for route in held.routes
        if route.family in gateways and route.to != "default"
    }
    return frozenset(plain & set(map(model.meaning, held.routes)))


def _entry(held: _Held, way: _Way, link: Link) -> _Entry:
    """Return what stands under the interface's name."""
    dev, addresses = way.dev, way.addresses
    priority = way.from_rules[0].priority if way.from_rules else config.DEFAULT_PRIORITY
    gateways = [] if way.no_gateway else _gateways(held, way, link)
    families = {address.family for address in addresses or link.addresses}
    own = {*gateways, *way.made}
    if way.subnet_routes:
        own |= {route for address in addresses for route in _subnet_routes(held, dev, address)}
    keys = {route.key for route in own}
    entry: _Entry = {
        "table": held.table.name,
        "addresses": [str(address) for address in addresses],
    }
    if gateways:
        vias = [route.via for route in gateways]
        entry["gateway"] = vias if len(vias) > 1 else vias[0]
        if gateways[0].onlink:
            entry["onlink"] = True
    elif way.no_gateway:
        entry["gateway"] = config.NONE
    if priority != config.DEFAULT_PRIORITY:
        entry["priority"] = priority
    if way.keep_main_routes:
        entry["keep_main_routes"] = True
    if not way.subnet_routes:
        entry["subnet_routes"] = False
    routes = [route for route in held.routes if route.key not in keys]
    entry["routes"] = _specs([(r.family, _route_spec(r, dev)) for r in routes], families, "to")
    made = set(way.rules)
    rules = [rule for rule in held.rules if model.meaning(rule) not in made]
    entry["rules"] = _specs([(r.family, _rule_spec(r, priority)) for r in rules], families, "from")
    return {key: value for key, value in entry.items() if value != [] or key == "addresses"}


def _specs(found: Sequence[tuple[int, _Entry]], families: set[int], pin: str) -> list[_Entry]:
    """Return the entries of a list, each once.

    One without an address is made for every family of the interface; where only some have it, the
    prefix of all addresses in ``pin`` says which.
    """
    having: dict[str, set[int]] = {}
    for family, spec in found:
        having.setdefault(repr(spec), set()).add(family)
    specs: list[_Entry] = []
    for family, spec in found:
        everywhere = _has_address(spec) or having[repr(spec)] == families
        pinned = spec if everywhere else {**spec, pin: "0.0.0.0/0" if family == 4 else "::/0"}
        if pinned not in specs:
            specs.append(pinned)
    return specs


def _has_address(spec: _Entry) -> bool:
    named = [spec[key] for key in spec.keys() & _ADDRESSES]
    named += [hop.get("via") for hop in spec.get("nexthops", ())]
    return any(text not in (None, "default", "all") for text in named)


def _route_spec(route: Route, dev: str) -> _Entry:
    """Return a route in the pillar's words, without what is so by default."""
    spec = iproute2.route_dict(route, {})
    usual = {"type": "unicast", "metric": model.default_metric(route.family)}
    reached = bool(route.via or route.nexthops)
    if route.scope == model.default_scope(route.type, route.family, reached):
        usual["scope"] = spec.get("scope")
    if route.via and route.dev != dev:
        spec["nexthops"] = [{"via": spec.pop("via"), "dev": route.dev}]
    for hop in spec.get("nexthops", ()):
        if hop.get("weight") == 1:
            del hop["weight"]
    return _said(spec, config.ROUTE_KEYS, _ROUTE_SAID, usual)


def _rule_spec(rule: Rule, priority: int | None) -> _Entry:
    """Return a rule in the pillar's words, without what is so by default."""
    usual = {"action": "lookup", "priority": priority, "from": "all"}
    spec = _said(iproute2.rule_dict(rule, {}), config.RULE_KEYS, _RULE_SAID, usual)
    return spec if not spec.keys().isdisjoint(config.SELECTORS) else {"from": "all", **spec}


def _said(
    shown: Mapping[str, Any],
    keys: Iterable[str],
    entries: Mapping[str, attributes.Attribute],
    usual: Mapping[str, Any],
) -> _Entry:
    """Return what a pillar says of a route or rule that is shown, in the order of its keys."""
    spec = {key: shown[key] for key in keys if key in shown and shown[key] != usual.get(key)}
    return {key: entries[key].kind.said(spec[key]) if key in entries else spec[key] for key in spec}


# --- checked ----------------------------------------------------------------------------------


def _checked(seen: Seen, held: _Held, dev: str, entry: _Entry) -> _Fit:
    """Return an entry with what it would do to the host; ``dev`` is its name."""
    device = _device(dev, entry)
    if "gateway" not in entry and device in seen.unreadable:
        return _Fit(dev, entry, obstacles=(seen.unreadable[device],))
    if "keep_main_routes" in entry and seen.unreadable:
        return _Fit(dev, entry, obstacles=tuple(seen.unreadable.values()))
    made, errors = _outcome(seen, held, dev, entry)
    if errors:
        return _Fit(dev, entry, obstacles=tuple(f"a pillar may not say it: {e}" for e in errors))
    changes, obstacles = _differences(held, made, entry)
    changes = [*_restamped(held, made, seen.stamps.get(device, Stamps())), *changes]
    into_main = tuple(rule for rule in held.rules if rule.table == MAIN)
    return _Fit(dev, entry, tuple(changes), tuple(obstacles), into_main)


def _device(name: str, entry: _Entry) -> str:
    return str(entry.get("device", name))


def _outcome(
    seen: Seen, held: _Held, dev: str, entry: _Entry, with_live: bool = True
) -> tuple[list[_Item], list[str]]:
    """Return (routes and rules, errors) that an entry comes to on the host.

    with_live
        Live default routes, those of the table among them, tell gateways.
    """
    table = held.table
    wanted, errors = config.parse({"tables": {table.name: table.id}, "interfaces": {dev: entry}})
    if errors:
        return [], errors
    said = seen.found.get(_device(dev, entry), Found())
    own = desired.own_defaults(wanted.interfaces[dev], held.routes)
    found = desired.with_own_defaults(said, own) if with_live else desired.with_defaults(said, {})
    outcome = desired.policies(wanted, seen.links, {**seen.found, **seen.declared, dev: found})
    if outcome.errors:
        return [], list(outcome.errors)
    policy = outcome.policies[dev]
    return [*policy.routes, *policy.rules], []


def _differences(held: _Held, made: Sequence[_Item], entry: _Entry) -> tuple[list[str], list[str]]:
    """Return (changes that keep every packet on its way, obstacles)."""
    name = held.word
    made = [*map(model.meaning, made)]
    changes = []
    there = dict.fromkeys(map(model.meaning, held.items))
    lost = dict.fromkeys(item for item in there if item not in set(made))
    obstacles = []
    for item in dict.fromkeys(item for item in made if item not in there):
        twin = next((old for old in lost if _goes_the_same_way(old, item)), None)
        if twin:
            del lost[twin]
            changes.append(f"`{_words(twin, name)}` would become `{_words(item, name)}`")
        elif _is_harmless(item, held):
            changes.append(f"`{_words(item, name)}` would be added: every policy has it")
        else:
            obstacles.append(
                f"`{_words(item, name)}` would be added, and the pillar has no word against it"
            )
    besides = "the subnets of the addresses get routes of their own"
    if "gateway" in entry:
        besides = "the subnets of the addresses and the gateway get routes of their own"
    obstacles += [f"`{_words(item, name)}` can't stand beside the rest: {besides}" for item in lost]
    return changes, obstacles


def _restamped(held: _Held, made: Iterable[_Item], stamps: Stamps) -> list[str]:
    """Name what stays but for its protocol, and what is there more than once.

    Where the loader stamps nothing of its own, routes and rules stay as they are.
    """
    changes = []
    wanted = set(map(model.meaning, made))
    staying = (item for item in held.items if model.meaning(item) in wanted)
    other = [item for item in staying if stamps != Stamps() and stamps.put_on(item) != item]
    if other:
        names = sorted({iproute2.protocol_name(item.protocol) for item in other})
        changes.append(
            f"{len(other)} of its routes and rules have the protocol {', '.join(names)}, and would "
            "be made anew as the network manager makes them"
        )
    counts = Counter(map(model.meaning, held.items))
    changes += [
        f"`{_words(item, held.word)}` is there {count} times, and would be there once"
        for item, count in counts.items()
        if count > 1
    ]
    return changes


def _goes_the_same_way(old: _Item, new: _Item) -> bool:
    """Tell whether a default route is only said in another way.

    A packet that comes to the table by its source address needs none from the route, and a gateway
    that the kernel has found once is on the link.
    """
    if isinstance(old, Rule) or isinstance(new, Rule) or old.to != "default":
        return False
    return old._replace(src=None, onlink=new.onlink) == new


def _is_harmless(item: _Item, held: _Held) -> bool:
    """Tell whether something that comes new keeps every packet on its way.

    Subnets are reached directly instead of through the router; but a sibling's subnet must not be
    reached through another router than before, and a default route must do what the best one does.
    """
    if isinstance(item, Rule) or item.to != "default":
        return isinstance(item, Rule) or item.via is None
    defaults = [
        model.meaning(route)
        for route in held.routes
        if (route.to, route.family) == ("default", item.family)
    ]
    best = min(defaults, key=lambda route: route.metric, default=None)
    return best is not None and best._replace(metric=item.metric, src=None) == item


def _shortened(seen: Seen, held: _Held, dev: str, entry: _Entry) -> _Entry:
    """Leave out what the interface's files (and, for addresses, its live ones) say as well.

    A gateway that only the live routes tell is written: they may change.
    """
    if _device(dev, entry) in seen.unreadable:
        return entry
    cases = (False, True)
    wanted = [set(_outcome(seen, held, dev, entry, case)[0]) for case in cases]
    for key in ("gateway", "addresses"):
        shorter = {name: value for name, value in entry.items() if name != key}
        made = [_outcome(seen, held, dev, shorter, case) for case in cases]
        if not any(errors for _, errors in made) and [set(items) for items, _ in made] == wanted:
            entry = shorter
    return entry


# --- the whole --------------------------------------------------------------------------------


def _agreeing(seen: Seen, fits: _Fits) -> tuple[_Fits, list[str]]:
    """Return the entries that go together in one pillar, and why the others don't."""
    if not _errors(seen, fits):
        return fits, []
    kept: _Fits = {}
    refused = []
    for dev, fit in fits.items():
        errors = _errors(seen, {**kept, dev: fit})
        if errors:
            title = _title(fit[0], dev)
            refused += [f"{title}: a pillar may not say it: {error}" for error in errors]
        else:
            kept[dev] = fit
    return kept, refused


def _errors(seen: Seen, fits: _Fits) -> list[str]:
    wanted, errors = config.parse(_pillar(seen, fits))
    found = {**seen.found, **_declared(seen, fits)}
    return [*errors, *desired.policies(wanted, seen.links, found).errors]


def _pillar(seen: Seen, fits: _Fits) -> dict[str, Any]:
    """Return the whole; names that are registered and unused stay registered."""
    tables = {held.table.name: held.table.id for held, _ in fits.values()}
    used = {held.table.id for held in _tables(seen)}
    tables.update({name: id_ for name, id_ in seen.tables.owned.items() if id_ not in used})
    return {"tables": tables, "interfaces": {dev: fit.entry for dev, (_, fit) in fits.items()}}


def _remarks(seen: Seen, fits: _Fits) -> list[str]:
    """Say which names are new, and which addresses may not last."""
    remarks = []
    for dev, (held, fit) in fits.items():
        if not held.named:
            remarks.append(
                f"table {held.word} has no name in rt_tables; write another one than "
                f"{held.table.name} if you like"
            )
        texts = fit.entry.get("addresses", ())
        written = {values.parse_own_or_peers(text).address for text in texts}
        remarks += [
            f"{dev}: {address.address} is a DHCP or temporary address; the pillar names it as it "
            "is now"
            for address in seen.links[_device(dev, fit.entry)].addresses
            if address.address in written and not address.permanent
        ]
    return remarks
