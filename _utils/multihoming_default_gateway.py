"""Main's default route on a host with several gateways: which one is meant, and how it gets there.

Pure. ``default_gateway: eth0`` makes eth0's gateway the one that main uses. Everything else in main
belongs to others, so the switch touches as little as it can: the route that wins now is replaced
where it stands, with its metric and attributes, and the defaults that the network manager made for
other interfaces go, as they would at the next restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import multihoming_attributes as attributes
import multihoming_iproute2 as iproute2
import multihoming_model as model
import multihoming_values as values
from multihoming_config import Config
from multihoming_model import DIRECT, Found, Link, Route
from multihoming_numbers import BOOT, RA, RENEWED

# What is part of the next hop.
_HOP = [entry for entry in attributes.ROUTE if entry.tells == attributes.HOP]
_HOP_FIELDS = tuple(entry.field for entry in _HOP if entry.field)
_hop = attributes.fields(_HOP)
# What a route says beside its next hop goes along, but for what `ip` does not take as it is read.
_LEFT_BEHIND = {entry.word for entry in attributes.ROUTE if entry in _HOP or not entry.carried}


class Chosen(NamedTuple):
    """The interface whose gateways main should use.

    gateways
        Family -> next hop; a family without one is left as it is.
    scripted
        The default routes that network managers make, if each interface had its way.
    protocol
        What the manager of that interface stamps on its routes.
    """

    interface: str
    gateways: Mapping[int, str]
    onlink: bool = False
    scripted: tuple[Route, ...] = ()
    protocol: int = BOOT


def choose(
    wanted: Config,
    links: Mapping[str, Link],
    found: Mapping[str, Found],
    defaults: Iterable[Route],
    errors: list[str],
) -> Chosen | None:
    """Return what ``default_gateway`` comes to on this host, None when nothing is to be done.

    links, found
        As in desired.policies().
    defaults
        Main's default routes.
    """
    name = wanted.default_gateway
    if name is None:
        return None
    declared = wanted.interfaces.get(name)
    problem = "is not on this host" if name not in links else ""
    problem = problem or ("" if links[name].up else "is down")
    if problem:
        if declared is None or not declared.optional:
            errors.append(
                f"default_gateway: {name} {problem}; write an interface that is there and up"
            )
        return None
    gateways = _gateways(links[name], wanted, found.get(name, Found()), defaults)
    if not gateways:
        errors.append(
            f"default_gateway: nothing tells the gateway of {name}; write `gateway: ADDRESS` under "
            f"`interfaces.{name}`"
        )
    onlink = declared is not None and declared.onlink
    for gateway in gateways.values() if declared is None else ():
        errors += _outside(gateway, links[name])
    return Chosen(name, gateways, onlink)


def _gateways(
    link: Link, wanted: Config, known: Found, defaults: Iterable[Route]
) -> Mapping[int, str]:
    """Return family -> next hop: the pillar's, the files', or that of a default route that stays.

    A default from router advertisements is the routers' business.
    """
    declared = wanted.interfaces.get(link.name)
    if declared and declared.gateways is not None:
        families = [own.family for own in link.addresses] if declared.direct else []
        return {**dict.fromkeys(families, DIRECT), **declared.gateways}
    mine = [route for route in defaults if route.dev == link.name and route.type == "unicast"]
    reached = [route for route in mine if route.via]
    direct = {route.family: DIRECT for route in mine if route.protocol != RA}
    if "POINTOPOINT" in link.flags:
        direct |= {own.family: DIRECT for own in link.addresses}
    live = {route.family: route.via or "" for route in reversed(reached) if route.protocol != RA}
    advertised = {route.family: route.via for route in reached if route.protocol == RA}
    own = {
        family: gateway
        for family, gateway in known.defaults.items()
        if gateway != advertised.get(family)
    }
    return {**direct, **own, **live, **known.gateways}


def _outside(gateway: str, link: Link) -> list[str]:
    variable = "IPV6_DEFAULTGW" if ":" in gateway else "GATEWAY"
    if gateway == DIRECT or link.holds(gateway) or values.is_link_local(gateway):
        return []
    return [
        f"default_gateway: {gateway} is outside of {link.name}'s subnets "
        f"({', '.join(link.subnets)}); correct {variable} in its file, or declare "
        f"{link.name} in `interfaces`, with "
        "`onlink: true`"
    ]


def switch(live: Iterable[Route], chosen: Chosen) -> tuple[list[Route], list[Route]]:
    """Return (main's default routes that change, what they should be).

    live
        Main's default routes, the winning one of each family first.
    """
    have: list[Route] = []
    want: list[Route] = []
    for family in chosen.gateways:
        standing = [route for route in live if route.family == family and _is_plain(route)]
        before, after = _switch(family, standing, chosen)
        have += before
        want += after
    return have, want


def after(live: Sequence[Route], chosen: Chosen) -> list[Route]:
    """Return main's default routes as they are once the switch is made."""
    have, want = switch(live, chosen)
    return sorted([*(route for route in live if route not in have), *want], key=_metric)


def _metric(route: Route) -> int:
    return route.metric


def in_the_way(live: Sequence[Route], chosen: Chosen) -> list[str]:
    """Return messages about routes of main that go before any gateway, and are not to be replaced.

    These are routes that send nothing, like ``blackhole default``.
    """
    errors = []
    for family in chosen.gateways:
        ours = [route for route in after(live, chosen) if route.family == family]
        first = next(route for route in ours if _is_for_all(route))
        if not _is_mine(first, chosen):
            errors.append(
                f"default_gateway: main's `{iproute2.text(first, 'main')}` goes "
                f"before any gateway of {chosen.interface}; remove it, or give it a higher metric"
            )
    return errors


def _is_for_all(route: Route) -> bool:
    return not any(route.key_words)


def _is_plain(route: Route) -> bool:
    return route.type == "unicast" and _is_for_all(route)


def _switch(
    family: int, standing: Sequence[Route], chosen: Chosen
) -> tuple[list[Route], list[Route]]:
    """Return (routes that change, what they should be) of one family, see ``switch``.

    The route that wins is replaced, unless it leads to the chosen gateway already; what the files
    made for other interfaces goes.
    """
    gone = [route for route in standing if _is_scripted(route, chosen)]
    kept = [route for route in standing if route not in gone]
    mine = next((route for route in kept if _is_mine(route, chosen)), None)
    rivals = [route for route in kept if route != mine and (not mine or _wins(route, mine))]
    if mine and not rivals:
        return gone, []
    winner = next(iter(rivals if mine else standing), None)
    # In place means with the winner's metric: `ip route replace` then swaps the two in one step,
    # and no packet finds main without a default.
    new = _in_place_of(winner, family, chosen)
    # Where the winner is of another interface's file, though, the next start will make the default
    # with the metric of our own file: that metric now, if nothing else wins over it.
    as_scripted = new._replace(metric=_scripted(family, chosen).metric)
    if winner in gone and not any(_wins(route, as_scripted) for route in kept):
        new = as_scripted
    new = _before_advertised(new, kept)
    # The chosen gateway's route may stand there behind the winner already; what it says stays.
    if mine and mine.metric == new.metric:
        new = mine
    # Routes of one metric share a key, so the new one takes the place of all of them; those of
    # router advertisements come again, and only lose.
    replaced = [route for route in standing if route == winner or route.metric == new.metric]
    return [*gone, *(route for route in replaced if route not in gone and not _is_ra(route))], [new]


def _is_scripted(route: Route, chosen: Chosen) -> bool:
    """Tell whether the network manager's files made the route, for another interface."""
    made = {_identity(scripted) for scripted in chosen.scripted}
    return route.dev != chosen.interface and _identity(route) in made


def _identity(route: Route) -> tuple[object, ...]:
    """Return what tells two default routes apart.

    How a route is used (its source, its MTU and whatever else somebody adds to it) is not among it.
    """
    return (route.key, route.type, route.protocol, _hop(route), route.nexthops)


def _scripted(family: int, chosen: Chosen) -> Route:
    """Return the default route that the files make for the chosen interface, or a plain one."""
    for route in chosen.scripted:
        if route.family == family and _is_mine(route, chosen):
            return route
    plain = model.default_route(
        family, chosen.gateways[family], chosen.interface, onlink=chosen.onlink
    )
    return plain._replace(protocol=chosen.protocol)


def _is_mine(route: Route, chosen: Chosen) -> bool:
    via = model.next_hop(chosen.gateways[route.family])
    return (route.via, route.dev) == (via, chosen.interface)


def _wins(route: Route, other: Route) -> bool:
    """Tell whether main may use ``route`` instead of ``other``."""
    return route.metric <= other.metric


def _is_ra(route: Route) -> bool:
    return route.protocol == RA


def _before_advertised(route: Route, others: Iterable[Route]) -> Route:
    """Return a route with a metric that wins over those that come again with an advertisement."""
    least = min((other.metric for other in others if _is_ra(other)), default=route.metric + 1)
    return route._replace(metric=max(1, least - 1)) if least <= route.metric else route


def _in_place_of(winner: Route | None, family: int, chosen: Chosen) -> Route:
    """Return the chosen interface's default with metric and attributes of the one that wins."""
    plain = _scripted(family, chosen)
    if winner is None or _is_ra(winner):
        return plain
    return winner._replace(
        **{name: getattr(plain, name) for name in _HOP_FIELDS},
        nexthops=(),
        src=None,
        other=tuple(pair for pair in winner.other if pair[0] not in _LEFT_BEHIND),
        protocol=chosen.protocol if winner.protocol in RENEWED else winner.protocol,
    )
