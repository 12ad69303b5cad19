"""Taking a survey: everything that ``diagnose`` looks at, read once; nothing is changed.

Thin: what is found is handed on as it is. The kernel is asked about packets in two batches, and a
full BGP feed in main is not read: only routes that people, DHCP and router advertisements make.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import multihoming_backend as backend
import multihoming_config as config
import multihoming_diagnose as diagnose
import multihoming_host as host
import multihoming_kernel as kernel
import multihoming_look as look
import multihoming_neighbours as neighbours
import multihoming_reply_path as reply_path
import multihoming_values as values
import netaddr
from multihoming_backend import AUTO, Kept
from multihoming_errors import as_host_error
from multihoming_finding import Finding
from multihoming_model import Answer, Link, Route, Rule, Step
from multihoming_numbers import FAMILIES, MAIN, NOT_OF_DAEMONS, RESERVED_TABLES
from multihoming_reply_path import Flow
from multihoming_survey import Detour, Path, Survey, addresses, far_clients, is_usable, ruled

_RESERVED = frozenset(RESERVED_TABLES)
# Enough to see a fault; every address with every other NIC and route would be a million packets.
_MOST_SIBLINGS = 8
_MOST_ROUTES = 64
_MOST_OF_MAIN = 2000
# Kinds of links (`ip -details link`) that lead to other hosts like a NIC, which has none.
_NICS = ("", "veth", "vlan", "bond", "team", "macvlan", "ipvlan")
_SETTINGS = ("rp_filter", "arp_ignore", "arp_announce", "arp_filter")


def examine(data: Any, there: bool) -> tuple[Survey, list[Finding]]:
    """Return what this host is, and what is wrong with it, the worst first.

    data, there
        The pillar's ``multihoming``, and whether there is one.

    Raises HostError when the host can't be looked at.
    """
    with as_host_error():
        wanted, errors = config.parse(data) if there else (config.Config(), [])
        taken = take(look.read_tables().ids, wanted)
        if there and isinstance(data, Mapping) and data:
            errors += look.unkept(wanted, taken.links)
            host.settings_of(wanted, errors)
        found = [diagnose.invalid_pillar(errors)] if errors else []
        return taken, found + diagnose.findings(taken)


def take(tables: Mapping[str, int], wanted: config.Config) -> Survey:
    """Look at the host.

    tables
        Name -> id, from rt_tables.
    wanted
        The pillar; an empty one on a host without. With its backend ``none`` it does not matter
        what network managers keep.

    Raises KernelError and FileError.
    """
    state = kernel.read()
    kept = _kept(wanted, state.links)
    lines = {name: tuple(backend.named(name).lines(each, tables)) for name, each in kept.items()}
    items: list[Route | Rule] = [*state.all_rules]
    items += [line.item for each in lines.values() for line in each if line.item]
    led = sorted({item.table for item in items if item.table} - _RESERVED)
    main, whole = kernel.main_routes(state.links, NOT_OF_DAEMONS, _MOST_OF_MAIN)
    routes = {**kernel.policy_routes(led, state.links), MAIN: main}
    far, mains = _far(state.rules, routes)
    if not whole:
        routes[MAIN] = (*main, *(route for route in mains.values() if route not in main))
    gateways = _gateways(routes, kept.values(), wanted)
    usable = {name: link for name, link in state.links.items() if is_usable(link)}
    holders: dict[str | None, str] = {
        address.address: name for name, link in state.links.items() for address in link.addresses
    }
    own = {address for address in holders if address}
    routers = {gateway for hops in gateways.values() for gateway in hops}
    paths = _explained(_paths(usable, gateways, far, own | routers), state.rules)
    detours = _detours(usable, gateways, state.rules, routes, own)
    strays = _strays(usable, gateways, state.rules, far, mains)
    return Survey(
        links=state.links,
        holders=holders,
        rules=state.rules,
        routes=routes,
        tables=tables,
        gateways=gateways,
        far=far,
        mains=mains,
        paths=paths,
        detours=detours,
        settings=_settings(state.links),
        kept=kept,
        lines=lines,
        in_charge=frozenset(look.in_charge(state.links)) & kept.keys(),
        sockets=tuple(_wildcard_sockets()),
        silent=_silent(usable, gateways),
        strays=strays,
        filtered=_filtered_packets(),
        declared=frozenset(interface.dev for interface in wanted.interfaces.values()),
        families=kernel.families(),
        whole=whole,
    )


def _kept(wanted: config.Config, links: Iterable[str]) -> dict[str, Kept]:
    """Look at what each manager keeps, also of those that don't run: their files may mislead."""
    names = [*backend.BACKENDS] if wanted.backend == AUTO else [wanted.backend]
    names += [
        each.backend for each in wanted.interfaces.values() if each.backend not in (None, AUTO)
    ]
    return {name: backend.named(name).look(links, True) for name in dict.fromkeys(names)}


# --- gateways ---------------------------------------------------------------------------------


def _gateways(
    routes: Mapping[int, Sequence[Route]], kept: Iterable[Kept], wanted: config.Config
) -> dict[tuple[str, int], tuple[str, ...]]:
    found: dict[tuple[str, int], list[str]] = {}
    for interface in wanted.interfaces.values():
        for family, gateway in (interface.gateways or {}).items():
            found.setdefault((interface.dev, family), []).append(gateway)
        for family in FAMILIES if interface.direct else ():
            found.setdefault((interface.dev, family), [])
    for each in kept:
        for dev, said in each.interfaces.items():
            for family, gateway in said.gateways.items():
                found.setdefault((dev, family), []).append(gateway)
    # The policy's own table knows better than main.
    for id_ in sorted(routes, key=lambda id_: id_ == MAIN):
        for route in routes[id_]:
            for dev, via in _hops(route) if route.to == "default" else ():
                found.setdefault((dev, route.family), []).extend([via] if via else [])
    return {key: tuple(dict.fromkeys(hops)) for key, hops in found.items()}


def _hops(route: Route) -> Iterator[tuple[str, str | None]]:
    for hop in route.nexthops:
        if hop.dev:
            yield hop.dev, hop.via
    if route.dev and route.type == "unicast":
        yield route.dev, route.via


def _silent(
    usable: Mapping[str, Link], gateways: Mapping[tuple[str, int], Iterable[str]]
) -> frozenset[tuple[str, str]] | None:
    asked = {}
    for (dev, family), hops in gateways.items():
        link = usable.get(dev)
        if link is None or "NOARP" in link.flags or not addresses(link, family):
            continue
        for gateway in hops:
            asked[dev, gateway] = _source(link, family, gateway)
    return neighbours.silent(asked) if asked else frozenset()


def _source(link: Link, family: int, gateway: str) -> str:
    """Return the interface's address next to a gateway, else its first."""
    mine = [own for own in link.addresses if own.family == family and own.usable]
    near = (own for own in mine if own.holds(gateway))
    return next(near, mine[0]).address


# --- packets ----------------------------------------------------------------------------------


def _far(
    rules: Mapping[int, Iterable[Rule]], routes: Mapping[int, Sequence[Route]]
) -> tuple[dict[int, tuple[str, ...]], dict[int, Route]]:
    """Return family -> clients in other networks, and family -> main's route to these.

    The kernel knows more routes than were read: of each part of the internet the client counts that
    it treats like others.
    """
    parts = {family: far_clients(family, routes, rules[family]) for family in kernel.families()}
    known = [client for each in parts.values() for part in each for client in part]
    asked = [Step(values.family_of(client), f"route get fibmatch {client}") for client in known]
    answers = dict(zip(known, kernel.route_get(asked), strict=True))
    far = {
        family: tuple(min(part, key=lambda client: _oddity(answers[client])) for part in each)
        for family, each in parts.items()
    }
    found = {family: [answers[client].route for client in each] for family, each in far.items()}
    mains = {family: next(filter(None, each), None) for family, each in found.items()}
    return far, {family: route for family, route in mains.items() if route}


def _oddity(answer: Answer) -> int:
    """Return how little the way to a client says of others."""
    if answer.route is None or answer.route.type != "unicast":
        return 2
    return 0 if reply_path.is_for_all(answer.route.to) else 1


def _paths(
    usable: Mapping[str, Link],
    gateways: Mapping[tuple[str, int], Iterable[str]],
    far: Mapping[int, Sequence[str]],
    own: set[str],
) -> tuple[Path, ...]:
    flows: list[tuple[Flow, str]] = []
    for family in kernel.families():
        devices = [dev for dev, found in gateways if found == family and dev in usable]
        clients = {dev: _clients(usable[dev], family, own) for dev in devices}
        for dev in devices:
            others = [other for other in devices if other != dev][:_MOST_SIBLINGS]
            near = [client for other in others for client in clients[other]]
            mine = addresses(usable[dev], family)
            flows += [
                (Flow(family, address, client), dev)
                for address in mine
                for client in (*far[family], *near)
            ]
    return _asked(flows)


def _explained(paths: Iterable[Path], rules: Mapping[int, Sequence[Rule]]) -> tuple[Path, ...]:
    """Tell of the first reply of each interface that is lost what refuses it."""
    explained = []
    told = set()
    for path in paths:
        refused = path.refused
        if path.reply.route is None and path.arrives not in told:
            told.add(path.arrives)
            mine = rules[path.flow.family]
            refused = reply_path.refusal(mine, path.flow, refusing(path.flow, mine))
        explained.append(path._replace(refused=refused))
    return tuple(explained)


def _asked(flows: Sequence[tuple[Flow, str]]) -> tuple[Path, ...]:
    """Ask the kernel what becomes of reply and request of each flow, through an interface."""
    asked = [
        step
        for flow, dev in flows
        for step in (reply_path.ask_reply(flow)[0], reply_path.ask_request(flow, dev))
    ]
    answers = kernel.route_get(asked)
    return tuple(
        Path(flow, dev, answers[2 * number], answers[2 * number + 1])
        for number, (flow, dev) in enumerate(flows)
    )


def _strays(
    usable: Mapping[str, Link],
    gateways: Mapping[tuple[str, int], Iterable[str]],
    rules: Mapping[int, Iterable[Rule]],
    far: Mapping[int, Sequence[str]],
    mains: Mapping[int, Route],
) -> tuple[Path, ...]:
    """Ask about interfaces that may have a router, though nothing tells."""
    flows: list[tuple[Flow, str]] = []
    for family, main in mains.items():
        has_rule = ruled(rules[family])
        for dev, link in usable.items():
            known = (dev, family) in gateways or dev in main.devices
            mine = [address for address in addresses(link, family) if not has_rule(address)][:1]
            if mine and not known and _may_have_router(link):
                flows += [(Flow(family, mine[0], client), dev) for client in far[family]]
    return _asked(flows)


def _may_have_router(link: Link) -> bool:
    """Tell whether an interface is a NIC, not a bridge of this host's own or a tunnel."""
    return link.kind in _NICS and not {"POINTOPOINT", "NOARP"} & set(link.flags)


def _clients(link: Link, family: int, own: set[str]) -> list[str]:
    """Return one other host of each of an interface's subnets."""
    subnets = [subnet for subnet in link.subnets if values.family_of(subnet) == family]
    return [host for subnet in sorted(subnets) if (host := _host(subnet, own))]


def _host(prefix: str, own: set[str]) -> str | None:
    """Return an address of a prefix that is not this host's; None for a single address."""
    network = values.network(prefix)
    if network.size < 2:
        return None
    plain = range(1, 5) if network.size > 2 else range(2)
    for number in plain:
        address = str(netaddr.IPAddress(network.first + number, network.version))
        if address not in own and number < network.size - (network.size > 2):
            return address
    return None


def _detours(
    usable: Mapping[str, Link],
    gateways: Mapping[tuple[str, int], Iterable[str]],
    rules: Mapping[int, Iterable[Rule]],
    routes: Mapping[int, Sequence[Route]],
    own: set[str],
) -> tuple[Detour, ...]:
    """Ask how replies from addresses with a policy go where main's own routes lead."""
    flows: list[tuple[str, Flow, Route]] = []
    for family in kernel.families():
        has_rule = ruled(rules[family])
        targets = _targets(family, gateways, routes[MAIN], own)
        for dev, link in usable.items():
            mine = [address for address in addresses(link, family) if has_rule(address)][:1]
            flows += [
                (dev, Flow(family, address, host), route)
                for address in mine
                for route, host in targets
            ]
    answers = kernel.route_get([reply_path.ask_reply(flow)[1] for _, flow, _ in flows])
    return tuple(Detour(*flow, answer) for flow, answer in zip(flows, answers, strict=True))


def _targets(
    family: int,
    gateways: Mapping[tuple[str, int], Iterable[str]],
    routes: Iterable[Route],
    own: set[str],
) -> list[tuple[Route, str]]:
    """Return main's routes for more than a NIC's own subnet, with a host that each leads to."""
    targets = []
    for route in routes:
        elsewhere = route.family != family or reply_path.is_for_all(route.to)
        if elsewhere or route.type != "unicast":
            continue
        connected = not route.via and not route.nexthops
        if route.dev == "lo" or (connected and (route.dev, family) in gateways):
            continue
        if values.is_link_local(str(values.network(route.to).network)):
            continue
        host = route.to if "/" not in route.to else _host(route.to, own)
        if host and host not in own:
            targets.append((route, host))
        if len(targets) == _MOST_ROUTES:
            break
    return targets


# --- settings, sockets ------------------------------------------------------------------------


def _settings(links: Mapping[str, Link]) -> dict[tuple[str, str], int]:
    devices = [name for name, link in links.items() if addresses(link, 4)]
    return {
        (dev, name): kernel.setting(4, dev, name) or 0
        for dev in ("all", *devices)
        for name in _SETTINGS
    }


def _proc_net(name: str) -> str:
    # As the asking thread's network namespace has it (Linux 3.17), which is the process's.
    folder = "/proc/thread-self/net" if os.path.isdir("/proc/thread-self/net") else "/proc/net"
    try:
        with open(os.path.join(folder, name), encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _wildcard_sockets() -> Iterator[str]:
    """Return ADDRESS:PORT of UDP sockets that take requests on every address."""
    low, high = _ephemeral_ports()
    seen = set()
    for name, wildcard in (("udp", "0.0.0.0"), ("udp6", "[::]")):
        for line in _proc_net(name).splitlines()[1:]:
            words = line.split()
            local, _, port_text = words[1].rpartition(":")
            port = int(port_text, 16)
            connected = words[2].rpartition(":")[2] != "0000"
            client = low <= port <= high or port in (68, 546)
            if set(local) == {"0"} and not connected and not client:
                seen.add((port, f"udp {wildcard}:{port}"))
    yield from (shown for _, shown in sorted(seen))


def _filtered_packets() -> int:
    """Return the counter IPReversePathFilter, 0 where the kernel has none."""
    names, values = ([], [])  # type: tuple[list[str], list[str]]
    for line in _proc_net("netstat").splitlines():
        if line.startswith("TcpExt:"):
            names, values = values, line.split()
    counters = dict(zip(names, values, strict=False))
    return int(counters.get("IPReversePathFilter", 0))


def _ephemeral_ports() -> tuple[int, int]:
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
            low, high = map(int, file.read().split())
    except (OSError, ValueError):
        return 32768, 60999
    return low, high


# --- why there is no way --------------------------------------------------------------------------


def refusing(asked: reply_path.Flow, rules: Sequence[Rule]) -> tuple[Route, ...]:
    """Ask for the routes that refuse, of the tables that a reply's rules lead to."""
    tables = [rule.table for rule in reply_path.matching(rules, asked) if rule.table]
    return kernel.refusing_routes(dict.fromkeys(tables), asked.family)
