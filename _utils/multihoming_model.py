"""Tables, routes, rules and policies as plain data.

Pure: nothing here reads a file or starts a process. The vocabulary is that of ip-route(8) and
ip-rule(8); values are canonical (see ``multihoming_values``), so that what is the same is equal.
"""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import multihoming_attributes as attributes
from multihoming_numbers import BOOT, FAMILIES, KERNEL_RULES, MAIN, SCOPES, UNSPEC
from multihoming_values import Address

_KEY = [entry for entry in attributes.ROUTE if entry.tells == attributes.KEY]
_key = operator.attrgetter("family", "table", "to", *(entry.field for entry in _KEY if entry.field))
_KEY_WORDS = [entry.word for entry in _KEY if not entry.field]
_NO_WORDS = ("",) * len(_KEY_WORDS)


class Table(NamedTuple):
    """A routing table's name in rt_tables and its id (1..2^32-1)."""

    name: str
    id: int


class Nexthop(NamedTuple):
    """One leg of a multipath route; the kernel keeps and compares legs in their order.

    encap
        The kind of tunnel that it leads into.
    """

    via: str | None = None
    dev: str | None = None
    weight: int = 1
    onlink: bool = False
    encap: str | None = None


class Route(NamedTuple):
    """A route as the kernel holds it.

    ``other`` carries the attributes that have no field here (``advmss``, ``tos``, ...) as (word,
    text) pairs, sorted: what the pillar has no word for makes a route unequal to all that it
    describes, and can still be put back.
    """

    family: int
    table: int
    to: str
    type: str = "unicast"
    via: str | None = None
    dev: str | None = None
    src: str | None = None
    metric: int = 0
    scope: int = 0
    mtu: int | None = None
    onlink: bool = False
    nexthops: tuple[Nexthop, ...] = ()
    protocol: int = BOOT
    other: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells two routes of one table apart for the kernel."""
        return (*_key(self), *(self.key_words if self.other else _NO_WORDS))

    @property
    def key_words(self) -> tuple[str, ...]:
        """What of its key stands in ``other``: empty texts for a route to all packets."""
        other = dict(self.other)
        return tuple(other.get(word, "") for word in _KEY_WORDS)

    @property
    def devices(self) -> tuple[str, ...]:
        """The interfaces it leaves by."""
        devs = [self.dev, *(hop.dev for hop in self.nexthops)]
        return tuple(dict.fromkeys(dev for dev in devs if dev))


def is_encapsulated(route: Route) -> bool:
    """Tell whether a route leads into a tunnel of its own (``encap`` in ip-route(8)).

    Where the next hop is an object, the tunnel is that one's.
    """
    other = dict(route.other)
    return "encap" in other or ("nhid" not in other and any(hop.encap for hop in route.nexthops))


class Rule(NamedTuple):
    """A policy rule as the kernel holds it; ``src`` and ``to`` are None for all."""

    family: int
    priority: int | None
    table: int | None = None
    src: str | None = None
    to: str | None = None
    iif: str | None = None
    oif: str | None = None
    fwmark: str | None = None
    tos: int = 0
    ipproto: int | None = None
    sport: str | None = None
    dport: str | None = None
    uidrange: str | None = None
    invert: bool = False
    suppress_prefixlength: int | None = None
    action: str = "lookup"
    protocol: int = UNSPEC
    other: tuple[tuple[str, str], ...] = ()


class Policy(NamedTuple):
    """What one interface wants: its table, the routes in it and the rules that lead there."""

    interface: str
    table: Table
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class LinkAddress(Address):
    """A live address of an interface; ``usable`` once duplicate address detection is over.

    ``permanent`` are those without an end, ``temporary`` those of RFC 8981, which nobody is asked
    at.
    """

    permanent: bool
    usable: bool
    temporary: bool = False


@dataclass(frozen=True)
class Link:
    """A live interface: admin state, its global addresses, ``ip link``'s flags and its kind.

    ``vrf_table`` is the table of a VRF, in which the kernel keeps routes of its own.
    """

    name: str
    index: int
    up: bool
    addresses: tuple[LinkAddress, ...]
    flags: frozenset[str] = frozenset()
    kind: str = ""
    vrf_table: int | None = None

    @property
    def subnets(self) -> tuple[str, ...]:
        """The subnets of its addresses, each once."""
        return tuple(dict.fromkeys(subnet for own in self.addresses for subnet in own.subnets))

    def holds(self, address: str) -> bool:
        """Tell whether an address lies in one of its subnets."""
        return any(own.holds(address) for own in self.addresses)


# In place of a gateway: all is reached at the other end of the link, as over ppp.
DIRECT = "direct"


class Found(NamedTuple):
    """What is known of an interface besides its entry in the pillar.

    addresses, gateways
        From its configuration; gateways are family -> next hop.
    defaults
        Family -> gateway of the live default route through it, or ``DIRECT``.
    onlink
        The families of which that route has the flag.
    dynamic
        The families whose addresses come from DHCP or router advertisements.
    """

    addresses: tuple[Address, ...] = ()
    gateways: Mapping[int, str] = {}
    defaults: Mapping[int, str] = {}
    onlink: frozenset[int] = frozenset()
    dynamic: frozenset[int] = frozenset()


class State(NamedTuple):
    """What the kernel holds of what this package looks at.

    rules
        Family -> every rule of the host, in the order the kernel runs them.
    routes
        Table id -> its routes, both families; only the tables that were asked for.
    defaults
        Main's default routes, the one that counts first; empty unless asked for.
    """

    links: Mapping[str, Link]
    rules: Mapping[int, tuple[Rule, ...]]
    routes: Mapping[int, tuple[Route, ...]]
    defaults: tuple[Route, ...] = ()

    @property
    def all_rules(self) -> list[Rule]:
        """The rules of both families."""
        return [rule for family in FAMILIES for rule in self.rules[family]]


class Step(NamedTuple):
    """One line for ``ip -batch``."""

    family: int
    line: str


class Answer(NamedTuple):
    """What the kernel says to ``ip route get``: a route, or the error with which it refuses."""

    route: Route | None
    error: str = ""


def default_metric(family: int) -> int:
    """Return the metric the kernel gives a route that names none (IP6_RT_PRIO_USER is 1024)."""
    return 0 if family == 4 else 1024


def default_scope(route_type: str, family: int, has_gateway: bool) -> int:
    """Return the scope iproute2 gives a route that names none (iproute_modify())."""
    if family == 6:
        return SCOPES["global"]
    if route_type in ("local", "nat"):
        return SCOPES["host"]
    if route_type in ("broadcast", "multicast", "anycast"):
        return SCOPES["link"]
    return SCOPES["link"] if route_type == "unicast" and not has_gateway else SCOPES["global"]


def canonical(route: Route) -> Route:
    """Return the route the way the kernel reads it back.

    IPv6 knows no scope, and a single leg is a plain next hop without weight.
    """
    changes: dict[str, Any] = {}
    if route.family == 6 and route.scope:
        changes["scope"] = 0
    if route.family == 6 and route.metric == 0:
        changes["metric"] = default_metric(6)
    if len(route.nexthops) == 1:
        (hop,) = route.nexthops
        changes.update(via=hop.via, dev=hop.dev, onlink=hop.onlink, nexthops=())
        if hop.encap:
            changes["other"] = tuple(sorted([*route.other, ("encap", hop.encap)]))
    return route._replace(**changes) if changes else route


def unordered(item: Any) -> Any:
    """Return a route whose next hops are sorted: in whichever order, they share its traffic."""
    if not isinstance(item, Route) or not item.nexthops:
        return item
    return item._replace(nexthops=tuple(sorted(item.nexthops, key=_leg)))


def _leg(hop: Nexthop) -> tuple[str, str, int]:
    return (hop.dev or "", hop.via or "", hop.weight)


def meaning(item: Any) -> Any:
    """Return a route or rule without what makes no difference to packets.

    That is who made it, and the order of the next hops that share its traffic.
    """
    usual = UNSPEC if isinstance(item, Rule) else BOOT
    return unordered(item if item.protocol == usual else item._replace(protocol=usual))


def default_route(
    family: int, gateway: str, dev: str, metric: int = 0, onlink: bool = False
) -> Route:
    """Return a default route of main, as ``ip route add`` makes it; see ``next_hop``."""
    via = next_hop(gateway)
    scope = default_scope("unicast", family, via is not None)
    route = Route(family, MAIN, "default", via=via, dev=dev, metric=metric, scope=scope)
    return canonical(route._replace(onlink=onlink and via is not None))


def next_hop(gateway: str) -> str | None:
    """Return a gateway as a route has it, None for ``DIRECT``."""
    return None if gateway == DIRECT else gateway


def is_catch_all(rule: Rule) -> bool:
    """Tell whether a rule selects every packet."""
    plain = Rule(rule.family, rule.priority, rule.table, action=rule.action, protocol=rule.protocol)
    return rule == plain


def is_kernels(rule: Rule) -> bool:
    """Tell whether a rule is one that the kernel starts with."""
    return (rule.priority, rule.table) in KERNEL_RULES[rule.family] and is_catch_all(rule)
