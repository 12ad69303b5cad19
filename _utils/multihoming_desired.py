"""What should be: a checked pillar and what the host has become one policy for each interface.

Pure. Fills in what the pillar leaves to the host (addresses, gateways), and is where messages
about a pillar that does not fit its host are born.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import multihoming_iproute2 as iproute2
import multihoming_model as model
import multihoming_rules as rules_
import multihoming_values as values
import netaddr
from multihoming_config import Config, Interface, Spec
from multihoming_model import DIRECT, Found, Link, Nexthop, Policy, Route, Rule
from multihoming_numbers import FAMILIES
from multihoming_values import Address

_Claim = tuple[str, Rule]  # an interface and one of its rules


class _Uplink(NamedTuple):
    """A subnet of an interface that has a gateway."""

    interface: str
    family: int
    subnet: str


class Desired(NamedTuple):
    """The outcome.

    policies
        Interface -> policy.
    skipped
        Interface -> why an optional one is left alone.
    errors
        Messages; with any, the policies are incomplete.
    """

    policies: Mapping[str, Policy]
    skipped: Mapping[str, str]
    errors: tuple[str, ...]


def policies(wanted: Config, links: Mapping[str, Link], found: Mapping[str, Found]) -> Desired:
    """Return the policy of every interface that the pillar declares.

    links
        The host's interfaces.
    found
        Interface -> what files and live routes say of it; with ``keep_main_routes``, of all
        interfaces.
    """
    uplinks = _uplinks(wanted, links, found)
    beside: dict[str, list[Interface]] = {}
    for interface in wanted.interfaces.values():
        beside.setdefault(interface.dev, []).append(interface)
    made: dict[str, Policy] = {}
    skipped: dict[str, str] = {}
    errors: list[str] = []
    for name, interface in wanted.interfaces.items():
        problem = _absent(interface, links)
        if problem and interface.optional:
            skipped[name] = problem
        elif problem:
            errors.append(_absent_message(interface, problem, links))
        else:
            mine: list[str] = []
            others = _of_others(interface, beside[interface.dev])
            known = found.get(name, found.get(interface.dev, Found()))
            known = _of_these(known, interface, others)
            policy = _policy(interface, links, known, uplinks, others, mine)
            errors += mine
            if not mine:
                made[name] = policy
    errors += _contradictions(made, wanted)
    return Desired(made, skipped, tuple(errors))


def defaults_by_device(routes: Iterable[Route]) -> dict[str, dict[int, Nexthop]]:
    """Return interface -> family -> next hop of the first default route that leaves by it.

    One with a gateway goes before those without.
    """
    found: dict[str, dict[int, Nexthop]] = {}
    for route in routes:
        own = Nexthop(route.via, route.dev, onlink=route.onlink)
        for hop in route.nexthops or (own,):
            if route.to == "default" and route.type == "unicast" and hop.dev:
                there = found.setdefault(hop.dev, {})
                known = there.setdefault(route.family, hop)
                if hop.via and not known.via:
                    there[route.family] = hop
    return found


def with_defaults(known: Found, hops: Mapping[int, Nexthop]) -> Found:
    """Return what is known of an interface, with the next hops of live default routes."""
    return known._replace(
        defaults={family: hop.via or DIRECT for family, hop in hops.items()},
        onlink=frozenset(family for family, hop in hops.items() if hop.onlink),
    )


def with_own_defaults(known: Found, hops: Mapping[int, Nexthop]) -> Found:
    """Return what is known of an interface, with its table's next hops where nothing else tells."""
    own = with_defaults(known, hops)
    return known._replace(
        defaults={**own.defaults, **known.defaults},
        onlink=known.onlink | {family for family in own.onlink if family not in known.defaults},
    )


def _absent(interface: Interface, links: Mapping[str, Link]) -> str | None:
    if interface.dev not in links:
        return "is not on this host"
    if not links[interface.dev].up:
        return "is down"
    return None


def _absent_message(interface: Interface, problem: str, links: Mapping[str, Link]) -> str:
    where = f"interfaces.{interface.name}"
    if interface.dev in links:
        return (
            f"{where}: {interface.dev} {problem}, and takes no routes; bring it up with "
            f"`ip link set {interface.dev} up` (or ifup), or write `optional: true`"
        )
    there = ", ".join(sorted(name for name in links if name != "lo")) or "none"
    return (
        f"{where}: {interface.dev} {problem} (there: {there}); correct the name, or write "
        "`optional: true` if it may be missing"
    )


# --- one interface ----------------------------------------------------------------------------


def _policy(
    interface: Interface,
    links: Mapping[str, Link],
    found: Found,
    uplinks: Sequence[_Uplink],
    others: Collection[str],
    errors: list[str],
) -> Policy:
    link = links[interface.dev]
    addresses = _addresses(interface, link, found, others)
    where = f"interfaces.{interface.name}"
    problem = _unreached(interface, addresses, found)
    if problem:
        errors.append(f"{where}: {problem}")
        return Policy(interface.dev, interface.table)
    families = _families_of(interface, addresses, link)
    gateways = _gateways(interface, families, link, found)
    _check_live(where, addresses, link, errors)
    for family, gateway in gateways.items():
        _check_gateway((interface, link, addresses), family, gateway, found, errors)
    if not gateways and interface.gateways is None and not _has_default(interface):
        errors.append(
            f"{where}.gateway: is not given, and neither the interface's files nor the live "
            "routes tell; write `gateway: ADDRESS`, `direct` where there is none on the link, or "
            "`none` for a table without a default route"
        )
    hops = _hops(interface, gateways, found)
    routes = _own_routes(interface, addresses, hops)
    routes += _routes(interface, families, links, errors)
    if interface.keep_main_routes:
        there = {route.to for route in routes}
        routes += _sibling_routes(interface, addresses, hops, uplinks, there)
    rules = _from_rules(interface, addresses) + _rules(interface, families)
    _check_vias(interface, addresses, routes, links, errors)
    _check_twins(where, interface, routes, rules, errors)
    return Policy(interface.dev, interface.table, _ordered(routes), tuple(rules))


def _of_others(interface: Interface, beside: Iterable[Interface]) -> frozenset[str]:
    """Return the addresses that other entries of the same interface have."""
    return frozenset(
        address.address
        for other in beside
        if other.name != interface.name
        for address in other.addresses or ()
    )


def _of_these(found: Found, interface: Interface, others: Collection[str]) -> Found:
    """Return what is known of an interface; of several entries, a gateway is for those beside it.

    others
        The addresses of the other entries.
    """
    if not others or interface.addresses is None:
        return found

    def beside(gateways: Mapping[int, str]) -> dict[int, str]:
        own = interface.addresses or ()
        return {
            family: via
            for family, via in gateways.items()
            if via == DIRECT or any(address.holds(via) for address in own)
        }

    return found._replace(gateways=beside(found.gateways), defaults=beside(found.defaults))


def _addresses(
    interface: Interface, link: Link, found: Found, others: Collection[str]
) -> tuple[Address, ...]:
    """Return the addresses whose replies go through the table.

    Those of the interface's configuration, and where that says DHCP or SLAAC, the live ones too,
    but for temporary ones: nobody is asked at these.
    """
    if interface.addresses is not None:
        return interface.addresses
    live = [
        (address, Address(address.family, address.address, address.length, peer=address.peer))
        for address in link.addresses
    ]
    live = [(address, bare) for address, bare in live if bare.address not in others]
    if interface.all_addresses:
        return tuple(bare for _, bare in live)
    chosen: list[Address] = []
    for family in FAMILIES:
        mine = [(address, bare) for address, bare in live if address.family == family]
        own = [a for a in found.addresses if a.family == family and a.address not in others]
        stable = [bare for address, bare in mine if not address.temporary]
        permanent = [bare for address, bare in mine if address.permanent]
        if family in found.dynamic:
            chosen += dict.fromkeys([*own, *stable])
        else:
            chosen += own or permanent
    return tuple(chosen)


def _unreached(interface: Interface, addresses: Sequence[Address], found: Found) -> str | None:
    """Return why no packet would come to the table, and what to write."""
    if addresses or interface.prefixes or interface.rules:
        return None
    if interface.addresses is not None:
        return "no rule leads to its table; write `addresses`, or `rules`"
    dynamic = "its configuration says DHCP or SLAAC, and it has none yet; " if found.dynamic else ""
    return (
        f"{interface.dev} has no address of its own that stays ({dynamic}others than configured "
        "ones don't count); write `addresses: [ADDRESS/LENGTH]`, or `addresses: all` for all that "
        "it has"
    )


def _families_of(interface: Interface, addresses: Iterable[Address], link: Link) -> list[int]:
    """Return the families in which an interface has a policy."""
    families = {address.family for address in addresses}
    families |= {family for family, _ in interface.prefixes}
    families |= {*(interface.gateways or {})}
    if interface.addresses == () and not families:
        families = {address.family for address in link.addresses}
    return sorted(families)


def _gateways(
    interface: Interface, families: Sequence[int], link: Link, found: Found
) -> Mapping[int, str]:
    """Return family -> gateway of the default route, or ``DIRECT``."""
    others = dict.fromkeys(families, DIRECT)
    if interface.gateways is not None:
        return {**(others if interface.direct else {}), **interface.gateways}
    # Nobody but the other end is there to be asked.
    usual = others if "POINTOPOINT" in link.flags else {}
    known = {**usual, **found.defaults, **found.gateways}
    told = {*families} - _with_usual_default(interface.routes)
    return {family: known[family] for family in FAMILIES if family in known.keys() & told}


def _hops(interface: Interface, gateways: Mapping[int, str], found: Found) -> dict[int, Nexthop]:
    """Return family -> next hop; what main reaches with ``onlink`` the table does as well."""
    hops = {}
    for family, gateway in gateways.items():
        same = found.defaults.get(family) == gateway and family in found.onlink
        via = model.next_hop(gateway)
        hops[family] = Nexthop(via, onlink=via is not None and (interface.onlink or same))
    return hops


def _has_default(interface: Interface) -> bool:
    return any(spec.fields.get("to") == "default" for spec in interface.routes)


def _with_usual_default(specs: Iterable[Spec]) -> set[int]:
    """Return the families whose default route stands in ``routes``: no other is looked for."""
    return {
        family
        for family, metric in _defaults_said(specs)
        if metric in (None, 0, model.default_metric(family))
    }


def own_defaults(interface: Interface, held: Iterable[Route]) -> dict[int, Nexthop]:
    """Return family -> next hop of the default route that an interface's table has already.

    That is one which the key ``gateway`` could have made: the table tells nothing of families whose
    default routes the pillar writes in ``routes``.
    """
    said = {family for family, _ in _defaults_said(interface.routes)}
    usual = (
        route
        for route in held
        if route.family not in said and route.metric == model.default_metric(route.family)
    )
    return defaults_by_device(usual).get(interface.dev, {})


def _defaults_said(specs: Iterable[Spec]) -> list[tuple[int, int | None]]:
    """Return (family, metric) of the default routes that stand in an interface's ``routes``."""
    return [
        (family, spec.fields.get("metric"))
        for spec in specs
        if spec.fields["to"] == "default" and spec.fields.get("type") in (None, "unicast")
        for family in ((spec.family,) if spec.family else FAMILIES)
    ]


def _check_live(where: str, addresses: Sequence[Address], link: Link, errors: list[str]) -> None:
    """Check that the source addresses of the routes are there: the kernel refuses others."""
    live = {address.address: address for address in link.addresses}
    shown = ", ".join(map(str, link.addresses)) or "none"
    for address in _sources(addresses).values():
        if address.address not in live:
            errors.append(
                f"{where}.addresses: {address.address} is not on {link.name} (there: {shown}); "
                "add it to the interface first, or write the address that it has"
            )
        elif not live[address.address].usable:
            errors.append(
                f"{where}.addresses: {address.address} on {link.name} is still being checked for "
                "duplicates, or is one; try again in a few seconds, then look at `ip addr`"
            )


def _check_gateway(
    interface: tuple[Interface, Link, Sequence[Address]],
    family: int,
    gateway: str,
    found: Found,
    errors: list[str],
) -> None:
    settings, link, addresses = interface
    where = f"interfaces.{settings.name}.gateway"
    mine: list[Address] = [address for address in addresses if address.family == family]
    if settings.addresses == ():
        mine = [address for address in link.addresses if address.family == family]
    if gateway == DIRECT or (not mine and settings.prefixes):
        return
    inside = [address for address in mine if address.holds(gateway)]
    if not mine:
        errors.append(
            f"{where}: {gateway} is IPv{family}, but {settings.name} has no IPv{family} address; "
            f"remove it, or add an IPv{family} address to `addresses`"
        )
    elif gateway in {*_live(link), *(address.address for address in addresses)}:
        errors.append(f"{where}: {gateway} is {settings.name}'s own address; write the router's")
    elif (
        not inside
        and not values.is_link_local(gateway)
        and not settings.onlink
        and not link.holds(gateway)
        and not (settings.gateways is None and found.defaults.get(family) == gateway)
    ):
        there = [*mine, *(own for own in link.addresses if own.family == family)]
        near = [subnet for own in there for subnet in own.subnets or (own.address,)]
        subnets = ", ".join(dict.fromkeys(near))
        errors.append(
            f"{where}: {gateway} is outside of {settings.name}'s subnets ({subnets}); write the "
            "router's address there, or `onlink: true` if it is reached all the same"
        )
    for address in inside:
        ends = values.bounds(address.network)
        if family == 4 and address.length < 31 and values.number_of(gateway) in ends:
            errors.append(
                f"{where}: {gateway} is the network or broadcast address of {address.network}; "
                "write the router's address"
            )


def _sources(addresses: Iterable[Address]) -> dict[str, Address]:
    """Return subnet -> its first address; a single address (/32, /128) has no subnet to reach."""
    sources: dict[str, Address] = {}
    for address in addresses:
        for subnet in address.subnets:
            sources.setdefault(subnet, address)
    return sources


def _own_routes(
    interface: Interface, addresses: Iterable[Address], hops: Mapping[int, Nexthop]
) -> list[Route]:
    """Return what every policy has: its subnets, unless switched off, and the default route."""
    sources = _sources(addresses) if interface.subnet_routes else {}
    routes = [
        _route(interface, address.family, to=subnet, src=address.address)
        for subnet, address in sources.items()
    ]
    return routes + [_through(interface, family, "default", hop) for family, hop in hops.items()]


def _through(interface: Interface, family: int, to: str, hop: Nexthop) -> Route:
    return _route(interface, family, to=to, via=hop.via, onlink=hop.onlink)


def _uplinks(
    wanted: Config, links: Mapping[str, Link], found: Mapping[str, Found]
) -> list[_Uplink]:
    """Return the subnets whose clients have a gateway of their own there.

    An interface without a gateway (a bridge of containers, a VPN) has clients that know no way but
    through this host: for these, main is right.
    """
    if not any(interface.keep_main_routes for interface in wanted.interfaces.values()):
        return []
    uplinks = []
    for name, link in links.items():
        known = found.get(name, Found())
        families = {*_declared(wanted, name), *known.gateways, *known.defaults}
        uplinks += [
            _Uplink(name, own.family, subnet)
            for own in link.addresses
            for subnet in own.subnets
            if own.family in families
        ]
    # A lone peer is the router itself.
    return [uplink for uplink in dict.fromkeys(uplinks) if "/" in uplink.subnet]


def _declared(wanted: Config, name: str) -> Iterable[int]:
    """Return the families in which the pillar says how others are reached through an interface."""
    mine = [interface for interface in wanted.interfaces.values() if interface.dev == name]
    if any(interface.direct for interface in mine):
        return FAMILIES
    return [family for interface in mine for family in interface.gateways or ()]


def _sibling_routes(
    interface: Interface,
    addresses: Iterable[Address],
    hops: Mapping[int, Nexthop],
    uplinks: Iterable[_Uplink],
    there: Collection[str],
) -> list[Route]:
    """Return routes to the siblings' subnets, whose clients main would answer directly.

    there
        Where the table has routes to already.
    """
    own = [values.network(subnet) for subnet in _sources(addresses)]
    subnets = {
        uplink.subnet: uplink.family
        for uplink in uplinks
        if uplink.interface != interface.dev and uplink.family in hops
    }
    return [
        _through(interface, family, subnet, hops[family])
        for subnet, family in subnets.items()
        if subnet not in there and not any(values.network(subnet) in mine for mine in own)
    ]


def _from_rules(interface: Interface, addresses: Iterable[Address]) -> list[Rule]:
    priority, table = interface.priority, interface.table.id
    # One address may have several peers.
    own = dict.fromkeys((address.family, address.address) for address in addresses)
    own |= dict.fromkeys(interface.prefixes)
    if not interface.keep_main_routes:
        return [Rule(family, priority, table, src=address) for family, address in own]
    return [
        rule
        for family, address in own
        for rule in rules_.keeping_main(family, priority, table, address)
    ]


def _route(interface: Interface, family: int, **fields: Any) -> Route:
    kind = fields.get("type") or "unicast"
    nexthops = tuple(
        hop._replace(dev=hop.dev or interface.dev) for hop in fields.pop("nexthops", ())
    )
    if kind == "unicast" and not nexthops:
        fields["dev"] = interface.dev
    elif kind == "local":
        fields["dev"] = "lo"
    if fields.get("scope") is None or family == 6:
        reached = bool(fields.get("via") or nexthops)
        fields["scope"] = model.default_scope(kind, family, reached)
    if fields.get("metric") is None:
        fields["metric"] = model.default_metric(family)
    return model.canonical(
        Route(family=family, table=interface.table.id, nexthops=nexthops, **fields)
    )


def _routes(
    interface: Interface, families: Iterable[int], links: Mapping[str, Link], errors: list[str]
) -> list[Route]:
    routes = []
    for spec in interface.routes:
        src = spec.fields.get("src")
        if src and not any(src in _live(link) for link in (links[interface.dev], *links.values())):
            errors.append(
                f"{spec.where}.src: {src} is not an address of this host; add it to an interface "
                "first, or write one that it has"
            )
        for hop in spec.fields["nexthops"]:
            if hop.dev and hop.dev not in links:
                errors.append(
                    f"{spec.where}.nexthops: {hop.dev} is not on this host; correct the name"
                )
        routes += [_route(interface, family, **spec.fields) for family in _families(spec, families)]
    return routes


def _live(link: Link) -> Iterator[str]:
    return (address.address for address in link.addresses)


def _rules(interface: Interface, families: Iterable[int]) -> list[Rule]:
    rules = []
    for spec in interface.rules:
        fields = {"priority": interface.priority, **spec.fields}
        rules += [
            Rule(family=family, table=interface.table.id, **fields)
            for family in _families(spec, families)
        ]
    return rules


def _families(spec: Spec, families: Iterable[int]) -> Iterable[int]:
    return (spec.family,) if spec.family else families


def _ordered(routes: Iterable[Route]) -> tuple[Route, ...]:
    """Sort routes so that each next hop is reachable when its route is added."""
    return tuple(sorted(routes, key=lambda route: bool(route.via or route.nexthops)))


# --- contradictions ---------------------------------------------------------------------------


def _check_vias(
    interface: Interface,
    addresses: Sequence[Address],
    routes: Sequence[Route],
    links: Mapping[str, Link],
    errors: list[str],
) -> None:
    """Check that next hops of further routes lie on a link; the gateway is checked by itself.

    The kernel asks the table, then all others: main reaches the subnets of each interface.
    """
    own = {*_live(links[interface.dev]), *(address.address for address in addresses)}
    reached = {interface.dev: [*_attached(routes), *_subnets(links[interface.dev])]}
    near: set[tuple[str | None, str]] = set()
    for spec in interface.routes:
        hops = [(spec.fields.get("via"), interface.dev)]
        hops += [(hop.via, hop.dev or interface.dev) for hop in spec.fields["nexthops"]]
        for via, dev in () if spec.fields.get("onlink") else dict.fromkeys(hops):
            if via in own:
                errors.append(f"{spec.where}: {via} is {dev}'s own address; write the router's")
            elif via and dev in links and not values.is_link_local(via) and (via, dev) not in near:
                near.add((via, dev))
                if dev not in reached:
                    reached[dev] = _subnets(links[dev])
                if not any(via in network for network in reached[dev]):
                    errors.append(_far(spec.where, via, dev))


def _attached(routes: Iterable[Route]) -> list[netaddr.IPNetwork]:
    """Return the networks that the table reaches without a gateway."""
    everything = {4: "0.0.0.0/0", 6: "::/0"}
    return [
        values.network(everything[route.family] if route.to == "default" else route.to)
        for route in routes
        if route.dev and not route.via
    ]


def _subnets(link: Link) -> list[netaddr.IPNetwork]:
    return [values.network(subnet) for subnet in link.subnets]


def _far(where: str, via: str, dev: str) -> str:
    return (
        f"{where}: next hop {via} is outside of {dev}'s subnets; write a router's address there, "
        "or `onlink: true` if it is reached all the same"
    )


def _check_twins(
    where: str,
    interface: Interface,
    routes: Sequence[Route],
    rules: Sequence[Rule],
    errors: list[str],
) -> None:
    seen: dict[tuple[Any, ...], Route] = {}
    for route in routes:
        if route.key in seen:
            errors.append(
                f"{where}.routes: IPv{route.family} {route.to} with metric {route.metric} stands "
                "there twice (the interface's subnets and the gateway's default route count too); "
                "remove one, or write another metric"
            )
        seen[route.key] = route
    counts = Counter(rules)
    for rule in (rule for rule, count in counts.items() if count > 1):
        errors.append(
            f"{where}.rules: `{iproute2.text(rule)}` stands there twice (a from-rule "
            "for each address is made anyway); remove one"
        )
    errors += _order_matters(where, rules)


def _order_matters(where: str, rules: Sequence[Rule]) -> list[str]:
    """Name rules of one priority that overlap and do different things: their order is undefined."""
    errors = []
    named: set[frozenset[Rule]] = set()
    by_priority: dict[tuple[int, int | None], list[Rule]] = {}
    for rule in dict.fromkeys(rules):
        by_priority.setdefault((rule.family, rule.priority), []).append(rule)
    for group in by_priority.values():
        special = [
            rule for rule in group if rules_.outcome(rule) != rules_.PLAIN_LOOKUP or rule.invert
        ]
        meeting = _meeting(group)
        for one in special:
            for other in meeting(one):
                differ = rules_.outcome(one) != rules_.outcome(other)
                differ = differ and rules_.overlap(one, other)
                pair = frozenset((one, other))
                clash = differ or rules_.exclude_each_other(one, other)
                if one is not other and clash and pair not in named:
                    named.add(pair)
                    errors.append(
                        f"{where}.rules: `{iproute2.text(one)}` and "
                        f"`{iproute2.text(other)}` have the same priority, and which "
                        "comes first is undefined; give one of them a priority of its own"
                    )
    return errors


def _meeting(group: Sequence[Rule]) -> Callable[[Rule], Sequence[Rule]]:
    """Return what tells which rules of a group may meet another; two addresses never do."""
    singles: dict[str | None, list[Rule]] = {}
    for rule in group:
        singles.setdefault(rule.src if _is_of_one_address(rule) else None, []).append(rule)
    broad = singles.pop(None, [])
    return lambda rule: [*broad, *singles[rule.src]] if _is_of_one_address(rule) else group


def _is_of_one_address(rule: Rule) -> bool:
    return rule.src is not None and "/" not in rule.src and not rule.invert


def _contradictions(made: Mapping[str, Policy], wanted: Config) -> list[str]:
    """Name rules of different interfaces that claim the same packets, once a pair."""
    claims: dict[tuple[int, int | None], list[_Claim]] = {}
    for name, policy in made.items():
        for rule in policy.rules:
            claims.setdefault((rule.family, rule.priority), []).append((name, rule))
    errors: dict[tuple[str, str], str] = {}
    for group in claims.values():
        for one, other in _overlapping(group):
            errors.setdefault((one[0], other[0]), _claimed_twice(one, other))
    return [*errors.values(), *_overridden(made, wanted)]


def _overlapping(group: Sequence[_Claim]) -> list[tuple[_Claim, _Claim]]:
    """Return pairs of one priority that claim the same sources, or select by the very same.

    A mark and a source address, say, may well meet in one packet: that is for the administrator.
    """
    if len({name for name, _ in group}) < 2:
        return []
    pairs = []
    same: dict[Rule, _Claim] = {}
    singles: list[_Claim] = []
    broad: list[_Claim] = []
    for claim in group:
        rule = claim[1]
        selected = rules_.selection(rule)
        by_source = _plain(selected)
        twin = same.setdefault(selected, claim)
        if twin[0] != claim[0]:
            pairs.append((twin, claim))
        elif by_source and rule.src and "/" not in rule.src:
            singles.append(claim)
        elif rule.src or by_source:
            broad.append(claim)
    for index, claim in enumerate(broad):
        for other in (*broad[index + 1 :], *singles):
            if claim[0] != other[0] and rules_.overlap(claim[1], other[1]):
                pairs.append((claim, other))
    return pairs


def _plain(rule: Rule) -> bool:
    """Tell whether a rule looks up its table for a source, and that is all."""
    return rule == Rule(rule.family, rule.priority, rule.table, src=rule.src)


def _claimed_twice(one: _Claim, other: _Claim) -> str:
    return (
        f"interfaces.{one[0]} and interfaces.{other[0]}: "
        f"`{iproute2.text(one[1], '...')}` and "
        f"`{iproute2.text(other[1], '...')}` overlap, so which table answers is "
        "undefined; keep the address or selector with one interface, or write different priorities"
    )


def _overridden(made: Mapping[str, Policy], wanted: Config) -> list[str]:
    """Name from-rules that another interface's rule with a lower priority always goes before."""
    broad = [
        (name, rule)
        for name, policy in made.items()
        for rule in policy.rules
        if _plain(rule) and (rule.src is None or "/" in rule.src)
    ]
    errors = []
    for name, rule in broad:
        for other, policy in made.items():
            own = wanted.interfaces[other].priority
            for mine in policy.rules if other != name and (rule.priority or 0) < own else ():
                if mine.priority == own and _plain(mine) and rules_.overlap(rule, mine):
                    errors.append(
                        f"interfaces.{name}.rules: `{iproute2.text(rule)}` takes the "
                        f"replies of {mine.src} away from {other}; narrow it, or write a priority "
                        f"above {own}"
                    )
    return errors
