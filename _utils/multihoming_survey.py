"""What ``diagnose`` and ``diagram`` know of a host, as plain data, and short questions about it.

Pure; ``multihoming_examine`` takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import multihoming_values as values
from multihoming_backend import Kept, Line
from multihoming_model import Answer, Link, Route, Rule
from multihoming_numbers import FAMILIES, RESERVED_TABLES
from multihoming_reply_path import FAR, Flow, is_for_all


class Path(NamedTuple):
    """A flow through an interface, and what the kernel does with its reply and its request.

    refused
        The rule and the route that refuse the reply, as far as they are known.
    """

    flow: Flow
    arrives: str
    reply: Answer
    request: Answer
    refused: tuple[Rule | None, Route | None] = (None, None)


class Detour(NamedTuple):
    """A route of main, and how replies from an address go to a host that it leads to."""

    dev: str
    flow: Flow
    route: Route
    reply: Answer


class Survey(NamedTuple):
    """What a host is.

    holders
        Address -> the interface that has it.
    routes
        Table id -> routes, of main and of the tables that rules lead to; see the module.
    gateways
        (interface, family) -> next hops of default routes through it, in the kernel, in its file
        or in the pillar; a default route without one is an entry without next hops.
    far
        Family -> clients in other networks, one for each part of the internet.
    mains
        Family -> the route that the kernel takes to a far host.
    settings
        (interface or ``all``, name) -> net.ipv4.conf's.
    kept, lines
        Name of a backend -> what it keeps, and the routes and rules in it.
    in_charge
        Names of the backends that are in charge of any interface.
    strays
        Flows from far clients through interfaces of which nothing tells a gateway.
    filtered
        How many packets the reverse-path filter has dropped since the start.
    silent
        (interface, gateway) that does not answer; None when they could not be asked.
    declared
        The interfaces of the pillar.
    families
        Those that the kernel speaks.
    whole
        Main's routes are all there; of a full feed only some are.
    """

    links: Mapping[str, Link]
    holders: Mapping[str | None, str]
    rules: Mapping[int, tuple[Rule, ...]]
    routes: Mapping[int, tuple[Route, ...]]
    tables: Mapping[str, int]
    gateways: Mapping[tuple[str, int], tuple[str, ...]]
    mains: Mapping[int, Route]
    paths: tuple[Path, ...]
    detours: tuple[Detour, ...]
    settings: Mapping[tuple[str, str], int]
    kept: Mapping[str, Kept]
    lines: Mapping[str, tuple[Line, ...]]
    in_charge: frozenset[str]
    sockets: tuple[str, ...]
    silent: frozenset[tuple[str, str]] | None
    declared: frozenset[str]
    far: Mapping[int, tuple[str, ...]]
    strays: tuple[Path, ...] = ()
    filtered: int = 0
    families: tuple[int, ...] = FAMILIES
    whole: bool = True

    @property
    def loaded(self) -> list[Line]:
        """The lines that a manager makes something of, whether or not it runs."""
        return [line for lines in self.lines.values() for line in lines if not line.lost]


def is_usable(link: Link) -> bool:
    """Tell whether packets can pass an interface that leads to other hosts."""
    return link.up and "LOWER_UP" in link.flags and "LOOPBACK" not in link.flags


def addresses(link: Link, family: int) -> list[str]:
    """Return the addresses of an interface that can be used."""
    return [own.address for own in link.addresses if own.family == family and own.usable]


def ruled(rules: Iterable[Rule]) -> Callable[[str], bool]:
    """Return what tells whether a rule leads from an address to a table."""
    sources = [
        rule.src
        for rule in rules
        if rule.src and not rule.invert and rule.table not in (None, *RESERVED_TABLES)
    ]
    single = set(sources)
    prefixes = [values.network(src) for src in sources if "/" in src]
    return lambda address: address in single or any(address in prefix for prefix in prefixes)


def far_clients(
    family: int, routes: Mapping[int, Iterable[Route]], rules: Iterable[Rule]
) -> list[list[str]]:
    """Return addresses in other networks, those of each part of the internet together.

    What rules and routes say of somebody's prefix (a filter of what nobody has, like addresses for
    documentation) says nothing of the others: clients within are left out, unless all are. Only
    prefixes that are larger part the internet.
    """
    prefixes = {
        route.to
        for table in routes.values()
        for route in table
        if route.family == family and route.to != "default"
    }
    prefixes |= {prefix for rule in rules for prefix in (rule.src, rule.to) if prefix}
    naming = {client: _naming(client, prefixes) for client in FAR[family]}
    lengths = {client: _longest(named) for client, named in naming.items()}
    least = min(lengths.values())
    parts: dict[frozenset[str], list[str]] = {}
    for client in FAR[family]:
        if lengths[client] == least:
            part = frozenset(prefix for prefix in naming[client] if is_for_all(prefix))
            parts.setdefault(part, []).append(client)
    return list(parts.values())


def _naming(client: str, prefixes: Collection[str]) -> list[str]:
    """Return the prefixes that an address lies in."""
    number = values.number_of(client)
    found = [client] if client in prefixes else []
    for prefix in prefixes:
        if "/" in prefix:
            first, last = values.bounds(prefix)
            found += [prefix] if first <= number <= last else []
    return found


def _longest(prefixes: Iterable[str]) -> int:
    """Return the length of the longest prefix that is somebody's, 0 if none is."""
    named = (prefix for prefix in prefixes if not is_for_all(prefix))
    return max((int(prefix.partition("/")[2] or 128) for prefix in named), default=0)
