"""Tables, routes, rules and policies as plain data, to and from iproute2's words and JSON.

Pure: nothing here reads a file or starts a process. Values are kept the way ``ip -json`` prints
them (``default``, ``10.0.0.0/8``, ``192.168.1.220`` for a single address), so that two spellings
of the same thing are equal. The vocabulary is that of ip-route(8) and ip-rule(8).
"""

from __future__ import annotations

import re
import reprlib
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import netaddr

FAMILIES = (4, 6)

# linux/rtnetlink.h: the ids the kernel keeps for itself.
RESERVED_TABLES = {0: "unspec", 253: "default", 254: "main", 255: "local"}
# The three rules every namespace starts with; nobody but the kernel owns them.
KERNEL_PRIORITIES = (0, 32766, 32767)
MAIN_PRIORITY = 32766
MAIN = 254

U32 = 2**32 - 1
BOOT = 3  # RTPROT_BOOT: what `ip route add` stamps on a route when told nothing else
RA = 9  # RTPROT_RA: routes from router advertisements
UNSPEC = 0  # RTPROT_UNSPEC: what `ip rule add` leaves on a rule

ROUTE_TYPES = ("unicast", "blackhole", "unreachable", "prohibit")
RULE_ACTIONS = ("lookup", "blackhole", "unreachable", "prohibit", "nop")
SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}

_TYPE_NAMES = {
    "1": "unicast",
    "2": "local",
    "3": "broadcast",
    "4": "anycast",
    "5": "multicast",
    "6": "blackhole",
    "7": "unreachable",
    "8": "prohibit",
    "9": "throw",
    "10": "nat",
}
_PROTOCOLS = {"unspec": 0, "redirect": 1, "kernel": 2, "boot": 3, "static": 4, "ra": 9, "dhcp": 16}
_PROTOCOL_NAMES = {number: name for name, number in _PROTOCOLS.items()}
# A few names, so that hosts without /etc/protocols (many containers) understand them too.
_IPPROTOS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "sctp": 132}
_IPPROTOS |= {"ipv6-icmp": 58, "icmpv6": 58, "ospf": 89, "vrrp": 112, "dccp": 33, "udplite": 136}
_IPPROTO_NAMES = {number: name for name, number in _IPPROTOS.items() if name != "icmpv6"}


@dataclass(frozen=True)
class Table:
    """A routing table's name in rt_tables and its id (1..2^32-1)."""

    name: str
    id: int


@dataclass(frozen=True)
class Nexthop:
    """One leg of a multipath route."""

    via: str | None = None
    dev: str | None = None
    weight: int = 1
    onlink: bool = False


@dataclass(frozen=True)
class Route:
    """A route as the kernel holds it.

    ``other`` carries attributes outside the pillar's vocabulary (``advmss``, ``tos``, ...) as
    (word, value) pairs: a route that has any is never equal to one the pillar describes, and can
    still be put back.
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
        other = dict(self.other)
        selectors = (other.get("tos", ""), other.get("from", ""))
        return (self.family, self.table, self.to, self.metric, *selectors)

    @property
    def devices(self) -> tuple[str, ...]:
        """The interfaces it leaves by."""
        devs = [self.dev, *(hop.dev for hop in self.nexthops)]
        return tuple(dict.fromkeys(dev for dev in devs if dev))


@dataclass(frozen=True)
class Rule:
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


@dataclass(frozen=True)
class Policy:
    """What one interface wants: its table, the routes in it and the rules that lead there."""

    interface: str
    table: Table
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class LinkAddress:
    """A live address of an interface; ``usable`` once duplicate address detection is over."""

    family: int
    address: str
    length: int
    permanent: bool
    usable: bool


@dataclass(frozen=True)
class Link:
    """A live interface: admin state, its global addresses, ``ip link``'s flags and its kind."""

    name: str
    index: int
    up: bool
    addresses: tuple[LinkAddress, ...]
    flags: frozenset[str] = frozenset()
    kind: str = ""


@dataclass(frozen=True)
class Step:
    """One line for ``ip -batch``."""

    family: int
    line: str


@dataclass(frozen=True)
class Answer:
    """What the kernel says to ``ip route get``: a route, or the error with which it refuses."""

    route: Route | None
    error: str = ""


# --- values -----------------------------------------------------------------------------------


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80
_REPR.maxlevel = 2


def show(value: Any) -> str:
    """Return a value for a message: quoted, on one line and cut when it is long."""
    try:
        return _REPR.repr(dict(value) if isinstance(value, Mapping) else value)
    except ValueError:  # Python refuses to write numbers of thousands of digits
        return f"a {type(value).__name__} that is too large"


@lru_cache(maxsize=65536)
def parse_address(text: str) -> tuple[int, str]:
    """Return (family, canonical text) of an IP address.

    Raises ValueError when ``text`` is not a whole IPv4 or IPv6 address.
    """
    try:
        address = netaddr.IPAddress(str(text), flags=netaddr.INET_PTON)
    except (netaddr.AddrFormatError, ValueError, TypeError):
        raise ValueError(
            f"{show(text)} is not an IP address; write one like 192.168.1.254 or 2001:db8::1"
        ) from None
    return address.version, str(address)


@lru_cache(maxsize=65536)
def parse_interface(text: str) -> tuple[int, str, int]:
    """Return (family, address, prefix length) of ``192.168.1.220/24``.

    The mask may be a length or, for IPv4, a netmask. Raises ValueError otherwise, also when the
    length is missing.
    """
    address, slash, mask = str(text).partition("/")
    family, address = parse_address(address)
    if not slash:
        example = "192.168.1.220/24" if family == 4 else "2001:db8::220/64"
        raise ValueError(f"{show(text)} has no prefix length; write it like {example}")
    return family, address, _prefix_length(text, family, mask)


def _prefix_length(text: str, family: int, mask: str) -> int:
    bits = 32 if family == 4 else 128
    if mask.isascii() and mask.isdigit() and int(mask) <= bits:
        return int(mask)
    if family == 4 and mask.count(".") == 3:
        netmask = netaddr.IPAddress(parse_address(mask)[1])
        if netmask.is_netmask():
            return netmask.netmask_bits()
    raise ValueError(f"{show(text)} has no valid prefix length; write a number from 0 to {bits}")


@lru_cache(maxsize=65536)
def parse_prefix(text: str) -> tuple[int, str]:
    """Return (family, canonical text) of a prefix or single address.

    ``0.0.0.0/0`` and ``::/0`` become ``default``. Raises ValueError when bits are set beyond the
    prefix length, naming the prefix that was probably meant.
    """
    if "/" not in str(text):
        return parse_address(text)
    family, address, length = parse_interface(text)
    bits = 32 if family == 4 else 128
    value = int(netaddr.IPAddress(address))
    if value & ((1 << (bits - length)) - 1):
        fitting = netaddr.IPNetwork(f"{address}/{length}").cidr
        raise ValueError(f"{show(text)} has bits set beyond its length; write {fitting}")
    if length == 0:
        return family, "default"
    return family, address if length == bits else f"{address}/{length}"


@lru_cache(maxsize=65536)
def network_of(address: str, length: int) -> str:
    """Return the canonical prefix that an interface address lies in."""
    return parse_prefix(str(netaddr.IPNetwork(f"{address}/{length}").cidr))[1]


@lru_cache(maxsize=65536)
def network(prefix: str) -> netaddr.IPNetwork:
    """Return a canonical prefix as a network that answers ``in``."""
    return netaddr.IPNetwork(prefix)


def parse_device(text: Any) -> str:
    """Check an interface name as the kernel does (dev_valid_name()) and return it.

    Shell and glob characters are refused as well: the name becomes part of file names, and the
    network scripts expand the lines of these files unquoted.
    """
    if isinstance(text, bool | int | float):
        raise ValueError(
            f"{show(text)} is not an interface name but, to YAML, {type(text).__name__}; write it "
            "in quotes"
        )
    if not isinstance(text, str) or not text or text in (".", ".."):
        raise ValueError(f"{show(text)} is not an interface name; write one like eth1")
    if len(text.encode(errors="replace")) > 15:
        raise ValueError(
            f"{show(text)} is longer than the 15 bytes that the kernel allows; write the name that "
            "`ip link` shows"
        )
    if not re.fullmatch(r"[A-Za-z0-9_.@+=-]+", text) or text.startswith("-"):
        raise ValueError(
            f"{show(text)} is not an interface name; write one of letters, digits and _ . @ + = -"
        )
    return text


def c_number(text: str) -> int:
    """Read a number as strtoul() with base 0 does, which is what iproute2 uses: 010 is 8."""
    octal = re.fullmatch(r"0[0-7]+", text)
    return int(text, 8) if octal else parse_number(text, 0, U32)


def parse_number(value: Any, low: int, high: int) -> int:
    """Return a whole number within low..high; a string of digits or 0x... is accepted."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]+|0[xX][0-9a-fA-F]+", value):
        value = int(value, 0) if value[:2] in ("0x", "0X") else int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{show(value)} is not a number from {low} to {high}")
    return value


def _parts(value: Any, separator: str) -> tuple[str, str, str]:
    """Split a number or text like ``8000-8010``; raises ValueError when it is neither."""
    if isinstance(value, str):
        return value.partition(separator)
    return str(parse_number(value, 0, U32)), "", ""


def parse_fwmark(value: Any) -> str:
    """Return ``0x1`` or ``0x1/0xff``; mark and mask are u32. A mask of all ones is left out."""
    try:
        mark_text, slash, mask_text = _parts(value, "/")
        mark = parse_number(mark_text, 0, U32)
        mask = parse_number(mask_text, 0, U32) if slash else U32
    except ValueError:
        raise ValueError(
            f"{show(value)} is not a mark; write a number or mark/mask like 0x1/0xff"
        ) from None
    if mask == 0 or (mark == 0 and not slash):
        # The kernel takes mark 0 without a mask as "any mark".
        raise ValueError(f"{show(value)} matches every packet; write a mask too, like 0/0xff")
    if mark & ~mask:
        raise ValueError(
            f"{show(value)} never matches: the mark has bits outside the mask; "
            f"write {mark & mask:#x}/{mask:#x}"
        )
    return f"{mark:#x}" if mask == U32 else f"{_hex(mark)}/{mask:#x}"


def _hex(number: int) -> str:
    return f"{number:#x}" if number else "0"


def parse_tos(value: Any) -> int:
    """Return a TOS byte: a number or ``"0x10"``; the kernel refuses ECN bits and those above 28."""
    try:
        tos = parse_number(value, 4, 28)
    except ValueError:
        tos = 0
    if tos & ~0x1C or not tos:
        raise ValueError(
            f"{show(value)} is no TOS that the kernel takes; write one of 4, 8, 12, 16, 20, 24, 28"
        )
    return tos


def parse_ipproto(value: Any) -> int:
    """Return the number of an IP protocol given by number or name (``tcp``)."""
    if isinstance(value, str) and not value.isdigit():
        if value.lower() in _IPPROTOS:
            return _IPPROTOS[value.lower()]
        try:
            return socket.getprotobyname(value)
        except (OSError, ValueError):
            raise ValueError(
                f"{show(value)} is not a protocol; write a name like tcp or a number from 1 to 255"
            ) from None
    return parse_number(value, 1, 255)


def parse_ports(value: Any) -> str:
    """Return ``80`` or ``8000-8010``; ports are 1..65534 as the kernel allows in rules."""
    try:
        low, dash, high = _parts(value, "-")
        first = parse_number(low.strip(), 1, 65534)
        last = parse_number(high.strip(), 1, 65534) if dash else first
    except ValueError:
        raise ValueError(
            f'{show(value)} is not a port; write a number from 1 to 65534 or "8000-8010"'
        ) from None
    if last < first:
        raise ValueError(f'{show(value)} is not a range; write it as "{last}-{first}"')
    return str(first) if first == last else f"{first}-{last}"


def parse_uidrange(value: Any) -> str:
    """Return ``1000-1999``; a single uid is a range of one."""
    try:
        low, dash, high = _parts(value, "-")
        first = parse_number(low.strip(), 0, U32 - 1)
        last = parse_number(high.strip(), 0, U32 - 1) if dash else first
    except ValueError:
        raise ValueError(f'{show(value)} is not a uid range; write it like "1000-1999"') from None
    if last < first:
        raise ValueError(f'{show(value)} is not a range; write it as "{last}-{first}"')
    return f"{first}-{last}"


def parse_scope(value: Any) -> int:
    """Return the number of a scope: ``link``, ``host``, ``global``, ``site`` or 0..255."""
    if isinstance(value, str) and value in SCOPES:
        return SCOPES[value]
    try:
        return parse_number(value, 0, 255)
    except ValueError:
        raise ValueError(f"{show(value)} is not a scope; write link, host or global") from None


def parse_action(value: Any) -> str:
    """Return a rule's action; ``goto`` comes with the priority it jumps to (``goto 20100``)."""
    if value in RULE_ACTIONS:
        return value
    match = re.fullmatch(r"goto\s+([0-9]+)", value) if isinstance(value, str) else None
    if match and 0 < int(match[1]) <= U32:
        return f"goto {int(match[1])}"
    known = ", ".join(RULE_ACTIONS)
    raise ValueError(f"{show(value)} is not an action; write one of {known} or goto PRIORITY")


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

    IPv6 knows no scope, legs have no order, and a single leg is a plain next hop without weight.
    """
    changes: dict[str, Any] = {}
    if route.family == 6 and route.scope:
        changes["scope"] = 0
    if route.family == 6 and route.metric == 0:
        changes["metric"] = default_metric(6)
    if len(route.nexthops) == 1:
        (hop,) = route.nexthops
        changes.update(via=hop.via, dev=hop.dev, onlink=hop.onlink, nexthops=())
    elif route.nexthops:
        changes["nexthops"] = tuple(sorted(route.nexthops, key=_nexthop_order))
    return _replace(route, changes)


def _replace(route: Route, changes: dict[str, Any]) -> Route:
    return Route(**{**route.__dict__, **changes}) if changes else route


def _nexthop_order(hop: Nexthop) -> tuple[str, str, int]:
    return (hop.dev or "", hop.via or "", hop.weight)


# --- iproute2's words -------------------------------------------------------------------------


def route_words(route: Route, table: str | None = None) -> list[str]:
    """Return the words for ``ip route add``.

    table
        Written instead of the id; scopes and protocols then have their names as well. Without it
        all are numbers: in a batch iproute2 takes a name for the number that it read last (the
        caches in lib/rt_names.c).

    What iproute2 assumes anyway is left out, so the lines look like those people write:
    ``192.168.1.0/24 dev eth1 src 192.168.1.220 table gateway1``.
    """
    words = [] if route.type == "unicast" else [route.type]
    words += [_to_word(route)]
    words += _hop_words(route)
    words += _options(("src", route.src))
    if route.metric != default_metric(route.family):
        words += ["metric", str(route.metric)]
    if route.scope != default_scope(route.type, route.family, _has_gateway(route)):
        words += ["scope", _scope_word(route.scope) if table else str(route.scope)]
    words += _options(("mtu", route.mtu))
    if route.protocol != BOOT:
        words += ["proto", protocol_name(route.protocol) if table else str(route.protocol)]
    for name, value in route.other:
        words += [name, value]
    if route.onlink and not _is_shared(route):
        words += ["onlink"]
    words += ["table", table or str(route.table)]
    return words + _nexthop_words(route, onlink=True)


def route_delete_words(route: Route) -> list[str]:
    """Return the words for ``ip route del`` that name this very route among its likes."""
    words = [] if route.type == "unicast" else [route.type]
    words += [_to_word(route)]
    words += _hop_words(route)
    words += _options(("src", route.src))
    words += _options(("metric", route.metric or None), ("mtu", route.mtu))
    words += ["scope", str(route.scope)] if route.family == 4 else []
    words += ["proto", str(route.protocol)]
    for name, value in route.other:
        words += [name, value]
    words += ["table", str(route.table)]
    return words + _nexthop_words(route, onlink=False)


def _is_shared(route: Route) -> bool:
    """Tell whether the next hop is an object of its own (ip-nexthop(8)), named by its id only."""
    return "nhid" in dict(route.other)


def _hop_words(route: Route) -> list[str]:
    return [] if _is_shared(route) else _options(("via", route.via), ("dev", route.dev))


def _nexthop_words(route: Route, onlink: bool) -> list[str]:
    words = []
    for hop in () if _is_shared(route) else route.nexthops:
        words += ["nexthop", *_options(("via", hop.via), ("dev", hop.dev))]
        words += ["weight", str(hop.weight)] if hop.weight != 1 else []
        words += ["onlink"] if hop.onlink and onlink else []
    return words


def rule_words(rule: Rule, table: str | None = None) -> list[str]:
    """Return the words for ``ip rule add`` and ``ip rule del``; see ``route_words``.

    They look like those people write: ``from 192.168.1.220 table gateway1 priority 20000``.
    """
    words = ["not"] if rule.invert else []
    words += ["from", "all"] if rule.src is None and not _selects(rule) else []
    words += _options(("from", rule.src), ("to", rule.to), ("iif", rule.iif), ("oif", rule.oif))
    words += _options(("fwmark", rule.fwmark), ("tos", f"{rule.tos:#x}" if rule.tos else None))
    words += _options(("ipproto", rule.ipproto), ("sport", rule.sport), ("dport", rule.dport))
    words += _options(("uidrange", rule.uidrange))
    if rule.table:
        words += ["table", table or str(rule.table)]
    for name, value in rule.other:
        words += [name, value] if value else [name]
    words += _options(("suppress_prefixlength", rule.suppress_prefixlength))
    words += rule.action.split() if rule.action != "lookup" else []
    if rule.protocol:
        words += ["protocol", protocol_name(rule.protocol) if table else str(rule.protocol)]
    words += _options(("priority", rule.priority))
    return words


def _selects(rule: Rule) -> bool:
    named = (rule.src, rule.to, rule.iif, rule.oif, rule.fwmark, rule.ipproto)
    return any((*named, rule.sport, rule.dport, rule.uidrange, rule.tos))


def _options(*pairs: tuple[str, Any]) -> list[str]:
    return [word for name, value in pairs if value is not None for word in (name, str(value))]


def _to_word(route: Route) -> str:
    return "::/0" if route.to == "default" and route.family == 6 and not route.via else route.to


def _has_gateway(route: Route) -> bool:
    return bool(route.via or route.nexthops)


def _scope_word(scope: int) -> str:
    return {number: name for name, number in SCOPES.items()}.get(scope, str(scope))


def protocol_name(number: int) -> str:
    """Return iproute2's name of a routing protocol, else the number as text."""
    return _PROTOCOL_NAMES.get(number, str(number))


def ipproto_name(number: int) -> str:
    """Return the name of an IP protocol, else the number as text."""
    return _IPPROTO_NAMES.get(number, str(number))


# Words of `ip route add` and `ip rule add`. iproute2 accepts any abbreviation of those in the
# second row, in this order (matches() in lib/utils.c); those in the first must be whole.
_ROUTE_EXACT = frozenset(
    "src to via from tos expires preference scope mtu hoplimit advmss rtt rto_min onlink nexthop "
    "nhid dev oif encap ttl-propagate".split()
)
_ROUTE_ABBREVIABLE = tuple(
    "dsfield metric priority reordering window cwnd initcwnd initrwnd features quickack congctl "
    "rttvar ssthresh realms protocol table vrf pref".split()
)
_LOCKABLE = frozenset(
    "mtu hoplimit advmss rtt rttvar reordering window cwnd initcwnd initrwnd quickack congctl "
    "ssthresh".split()
)
_RULE_EXACT = frozenset(
    "not from to tos fwmark lookup sup_pl sup_group dev iif oif l3mdev uidrange ipproto sport "
    "dport type dscp flowlabel".split()
)
_RULE_ABBREVIABLE = tuple(
    "preference order priority dsfield realms protocol tun_id table suppress_prefixlength "
    "suppress_ifgroup goto nop".split()
)
_WORDS = {
    "route": (_ROUTE_EXACT, _ROUTE_ABBREVIABLE),
    "rule": (_RULE_EXACT, _RULE_ABBREVIABLE),
}
_INET = {4: "inet", 6: "inet6"}
_VALUELESS = ("not", "onlink", "nexthop", "l3mdev", "nop", "type")
_SYNONYMS = {"preference": "priority", "order": "priority", "dsfield": "tos", "lookup": "table"}
_SYNONYMS |= {"sup_pl": "suppress_prefixlength", "sup_group": "suppress_ifgroup"}
_ROUTE_SYNONYMS = {"priority": "metric", "preference": "metric", "dsfield": "tos", "oif": "dev"}


@lru_cache(maxsize=65536)
def _keyword(word: str, kind: str) -> str | None:
    """Return the whole word that iproute2 takes ``word`` for; kind is ``route`` or ``rule``."""
    exact, abbreviable = _WORDS[kind]
    if word in exact:
        return word
    return next((whole for whole in abbreviable if whole.startswith(word)), None)


def table_word(words: Iterable[str], kind: str) -> str | None:
    """Return the table named in a ``route`` or ``rule`` line, None when it names none."""
    rest = iter(words)
    for word in rest:
        name = _keyword(word, kind)
        if name is not None and name not in _VALUELESS:
            value = next(rest, None)
            if name in ("table", "lookup"):
                return value
    return None


def _table_id(text: str, tables: Mapping[str, int]) -> int:
    if text in tables:
        return tables[text]
    try:
        return c_number(text)
    except ValueError:
        raise ValueError(f"table {show(text)} is not in rt_tables") from None


def _loose_prefix(text: str, family: int) -> str | None:
    """Read a prefix as get_prefix() of iproute2 does, which pads ``10/8`` to ``10.0.0.0/8``."""
    if text in ("default", "all", "any"):
        return None
    if family == 4:
        address, slash, mask = text.partition("/")
        octets = address.split(".")
        text = ".".join(octets + ["0"] * (4 - len(octets))) + slash + mask
    found, prefix = parse_prefix(text)
    if found != family:
        raise ValueError(f"{show(text)} is not an IPv{family} prefix")
    return None if prefix == "default" else prefix


def route_from_words(words: list[str], family: int, tables: Mapping[str, int]) -> Route:
    """Read the words of ``ip -4|-6 route add`` as iproute2 does.

    words
        The line split at white space.
    tables
        Name -> id, from rt_tables.

    Raises ValueError when iproute2 would refuse the line or it says what this package can't hold.
    """
    fields: dict[str, Any] = {}
    other: list[tuple[str, str]] = []
    nexthops: list[dict[str, Any]] = []
    rest = list(words)
    if rest and rest[0] in (*_TYPE_NAMES.values(),):
        fields["type"] = rest.pop(0)
    while rest:
        word = rest.pop(0)
        name = _keyword(word, "route")
        name = _ROUTE_SYNONYMS.get(name or "", name)
        if name == "nexthop":
            nexthops.append({})
        elif name == "onlink":
            (nexthops[-1] if nexthops else fields)["onlink"] = True
        elif name is None and word == "weight" and nexthops:
            nexthops[-1]["weight"] = parse_number(_value(word, rest), 1, 256)
        elif name is None or name == "to":
            if "to" in fields:
                raise ValueError(f"{show(word)} is a word that ip does not expect there")
            fields["to"] = _loose_prefix(_value(word, rest) if name else word, family) or "default"
        else:
            if name == "via" and rest[:1] == [_INET[family]]:
                rest.pop(0)
            value = _value(word, rest)
            if name in _LOCKABLE and value == "lock":
                other.append((name, f"lock {_value(word, rest)}"))
            else:
                _read_route_word(name, value, family, tables, fields, nexthops, other)
    if "to" not in fields:
        raise ValueError("no destination")
    return _build_route(family, fields, tuple(Nexthop(**hop) for hop in nexthops), other)


def _value(word: str, rest: list[str]) -> str:
    if not rest:
        raise ValueError(f"{show(word)} lacks its value")
    return rest.pop(0)


def _read_route_word(
    name: str,
    value: str,
    family: int,
    tables: Mapping[str, int],
    fields: dict[str, Any],
    nexthops: list[dict[str, Any]],
    other: list[tuple[str, str]],
) -> None:
    place = nexthops[-1] if nexthops and name in ("via", "dev") else fields
    if name in ("via", "src"):
        found, place[name] = parse_address(value)
        if found != family:
            raise ValueError(f"{show(value)} is not an IPv{family} address")
    elif name == "dev":
        place[name] = value
    elif name in ("metric", "mtu"):
        place[name] = c_number(value)
    elif name == "scope":
        place[name] = parse_scope(value)
    elif name == "table":
        place[name] = _table_id(value, tables)
    elif name == "protocol":
        place[name] = _protocol(value)
    else:
        other.append((name, value))


def _protocol(text: Any) -> int:
    if text in _PROTOCOLS:
        return _PROTOCOLS[text]
    try:
        return parse_number(text, 0, 255)
    except ValueError:
        # A name from rt_protos that only this host knows: never equal to ours, still a value.
        return -1


def _build_route(
    family: int,
    fields: dict[str, Any],
    nexthops: tuple[Nexthop, ...],
    other: Iterable[tuple[str, str]],
) -> Route:
    fields.setdefault("table", 254)
    fields.setdefault("metric", default_metric(family))
    kind = fields.get("type", "unicast")
    fields.setdefault("scope", default_scope(kind, family, bool(fields.get("via") or nexthops)))
    return canonical(Route(family=family, nexthops=nexthops, other=tuple(sorted(other)), **fields))


def rule_from_words(words: list[str], family: int, tables: Mapping[str, int]) -> Rule:
    """Read the words of ``ip -4|-6 rule add`` as iproute2 does; see ``route_from_words``."""
    fields: dict[str, Any] = {"priority": None}
    other: list[tuple[str, str]] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name = _keyword(word, "rule")
        name = _SYNONYMS.get(name or "", name)
        if name == "not":
            fields["invert"] = True
        elif name == "type" or name in ("goto", "nop") or name is None:
            action = _value(word, rest) if name == "type" else word
            action = name if name in ("goto", "nop") else action
            action = f"goto {_value(word, rest)}" if action == "goto" else action
            fields["action"] = parse_action(action)
        elif name == "l3mdev":
            other.append((name, ""))
        else:
            _read_rule_word(name, _value(word, rest), family, tables, fields, other)
    return Rule(family=family, other=tuple(sorted(other)), **fields)


def _read_rule_word(
    name: str,
    value: str,
    family: int,
    tables: Mapping[str, int],
    fields: dict[str, Any],
    other: list[tuple[str, str]],
) -> None:
    if name in ("from", "to"):
        fields["src" if name == "from" else "to"] = _loose_prefix(value, family)
    elif name == "table":
        fields[name] = _table_id(value, tables)
    elif name == "protocol":
        fields[name] = _protocol(value)
    elif name in ("iif", "dev"):
        fields["iif"] = value
    elif name == "oif":
        fields[name] = value
    elif name in _RULE_VALUES:
        fields[name] = _RULE_VALUES[name](value)
    else:
        other.append((name, value))


_RULE_VALUES = {
    "priority": c_number,
    "fwmark": parse_fwmark,
    "tos": lambda value: int(value, 16),  # rtnl_dsfield_a2n() reads hexadecimal
    "ipproto": parse_ipproto,
    "sport": parse_ports,
    "dport": parse_ports,
    "uidrange": parse_uidrange,
    "suppress_prefixlength": lambda value: parse_number(value, 0, 128),
}


# --- ip -json -N -details -----------------------------------------------------------------------

_ROUTE_JSON_IGNORED = {"type", "dst", "gateway", "dev", "protocol", "scope", "metric", "prefsrc"}
_ROUTE_JSON_IGNORED |= {"flags", "metrics", "nexthops", "table", "expires", "used", "users", "age"}
_ROUTE_JSON_IGNORED |= {"error", "cache", "uid", "nh_info"}


def route_from_json(entry: Mapping[str, Any], family: int) -> Route:
    """Read one object of ``ip -json -N -details route show``, with ``table`` in it."""
    kind = _TYPE_NAMES.get(str(entry.get("type", "1")), str(entry.get("type")))
    other = {k: _json_text(v) for k, v in entry.items() if k not in _ROUTE_JSON_IGNORED}
    if other.get("pref") == "medium":
        del other["pref"]
    metrics = {k: v for group in entry.get("metrics", ()) for k, v in group.items()}
    mtu = metrics.get("mtu")
    plain = isinstance(mtu, int)  # a locked one is a text
    other.update({k: _json_text(v) for k, v in metrics.items() if k != "mtu" or not plain})
    return canonical(
        Route(
            family=family,
            table=int(entry["table"]),
            to=entry["dst"],
            type=kind,
            via=entry.get("gateway"),
            # IPv6 hangs its blackholes on lo; nobody asked for that.
            dev=entry.get("dev") if kind not in ROUTE_TYPES[1:] else None,
            src=entry.get("prefsrc"),
            metric=entry.get("metric", 0),
            scope=int(entry.get("scope", 0)),
            mtu=mtu if plain else None,
            onlink="onlink" in entry.get("flags", ()),
            nexthops=tuple(_nexthop_from_json(hop) for hop in entry.get("nexthops", ())),
            protocol=_protocol(str(entry.get("protocol", BOOT))),
            other=tuple(sorted(other.items())),
        )
    )


def _nexthop_from_json(entry: Mapping[str, Any]) -> Nexthop:
    return Nexthop(
        via=entry.get("gateway"),
        dev=entry.get("dev"),
        weight=entry.get("weight", 1),
        onlink="onlink" in entry.get("flags", ()),
    )


def _json_text(value: Any) -> str:
    if isinstance(value, Mapping):  # "via": {"family": "inet6", "host": "fe80::1"}
        return " ".join(str(part) for part in value.values())
    return "" if value is None else str(value)


_RULE_JSON_IGNORED = {"priority", "src", "srclen", "dst", "dstlen", "tos", "fwmark", "fwmask"}
_RULE_JSON_IGNORED |= {"iif", "iif_detached", "oif", "oif_detached", "uid_start", "uid_end"}
_RULE_JSON_IGNORED |= {"ipproto", "sport", "sport_start", "sport_end", "dport", "dport_start"}
_RULE_JSON_IGNORED |= {"dport_end", "table", "suppress_prefixlen", "action", "goto", "unresolved"}
_RULE_JSON_IGNORED |= {"nop", "not", "protocol", "flow_from", "flow_to"}


def rule_from_json(entry: Mapping[str, Any], family: int) -> Rule:
    """Read one object of ``ip -json -N -details rule show``."""
    other = {key: _json_text(entry[key]) for key in entry.keys() - _RULE_JSON_IGNORED}
    if "flow_to" in entry:
        realms = (entry.get("flow_from"), entry["flow_to"])
        other["realms"] = "/".join(str(realm) for realm in realms if realm is not None)
    return Rule(
        family=family,
        priority=entry["priority"],
        table=_int(entry.get("table")),
        src=_json_prefix(entry, "src", "srclen"),
        to=_json_prefix(entry, "dst", "dstlen"),
        iif=entry.get("iif"),
        oif=entry.get("oif"),
        fwmark=_json_fwmark(entry),
        tos=int(str(entry.get("tos", 0)), 0),
        ipproto=_json_ipproto(entry.get("ipproto")),
        sport=_json_range(entry, "sport"),
        dport=_json_range(entry, "dport"),
        uidrange=f"{entry['uid_start']}-{entry['uid_end']}" if "uid_start" in entry else None,
        invert="not" in entry,
        suppress_prefixlength=_int(entry.get("suppress_prefixlen")),
        action=_json_action(entry),
        protocol=_protocol(str(entry.get("protocol", UNSPEC))),
        other=tuple(sorted(other.items())),
    )


def _int(value: Any) -> int | None:
    return None if value is None else int(value)


def _json_prefix(entry: Mapping[str, Any], address: str, length: str) -> str | None:
    if entry.get(address, "all") in ("all", "default"):
        return None
    return f"{entry[address]}/{entry[length]}" if length in entry else entry[address]


def _json_fwmark(entry: Mapping[str, Any]) -> str | None:
    if "fwmark" not in entry:
        return None
    mark = _hex(int(str(entry["fwmark"]), 0))
    return f"{mark}/{int(str(entry['fwmask']), 0):#x}" if "fwmask" in entry else mark


def _json_ipproto(value: Any) -> int | None:
    if value is None:
        return None
    return parse_ipproto(str(value).removeprefix("ipproto-"))


def _json_range(entry: Mapping[str, Any], name: str) -> str | None:
    if name in entry:
        return str(entry[name])
    if f"{name}_start" in entry:
        return f"{entry[f'{name}_start']}-{entry[f'{name}_end']}"
    return None


def _json_action(entry: Mapping[str, Any]) -> str:
    if "goto" in entry:
        return f"goto {entry['goto']}"
    if "nop" in entry:
        return "nop"
    action = str(entry.get("action", "lookup"))
    return _TYPE_NAMES.get(action, action)


# --- for people -------------------------------------------------------------------------------


def route_dict(route: Route, names: Mapping[int, str]) -> dict[str, Any]:
    """Return a route in the pillar's words, plus ``family``, ``table`` and ``protocol``."""
    shown = {
        "family": route.family,
        "table": names.get(route.table, route.table),
        "to": route.to,
        "type": route.type,
        "via": route.via,
        "dev": route.dev,
        "src": route.src,
        "metric": route.metric or None,
        "scope": _scope_word(route.scope) if route.family == 4 else None,
        "mtu": route.mtu,
        "onlink": route.onlink or None,
        "nexthops": [_nexthop_dict(hop) for hop in route.nexthops] or None,
        "protocol": protocol_name(route.protocol),
        **dict(route.other),
    }
    return {key: value for key, value in shown.items() if value is not None}


def _nexthop_dict(hop: Nexthop) -> dict[str, Any]:
    shown = {"via": hop.via, "dev": hop.dev, "weight": hop.weight, "onlink": hop.onlink or None}
    return {key: value for key, value in shown.items() if value is not None}


def rule_dict(rule: Rule, names: Mapping[int, str]) -> dict[str, Any]:
    """Return a rule in the pillar's words, plus ``family``, ``table`` and ``protocol``."""
    shown = {
        "family": rule.family,
        "priority": rule.priority,
        "from": rule.src or "all",
        "to": rule.to,
        "iif": rule.iif,
        "oif": rule.oif,
        "fwmark": rule.fwmark,
        "tos": f"{rule.tos:#x}" if rule.tos else None,
        "ipproto": None if rule.ipproto is None else ipproto_name(rule.ipproto),
        "sport": rule.sport,
        "dport": rule.dport,
        "uidrange": rule.uidrange,
        "not": rule.invert or None,
        "suppress_prefixlength": rule.suppress_prefixlength,
        "action": rule.action,
        "table": names.get(rule.table, rule.table) if rule.table else None,
        "protocol": protocol_name(rule.protocol),
        **dict(rule.other),
    }
    return {key: value for key, value in shown.items() if value is not None}
