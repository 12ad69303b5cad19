"""Selectors of rules and attributes of routes: each said once, for every room that needs it.

Pure. There is an entry for each word of ``ip route add`` (ip-route(8), iproute_modify() in
iproute2's ip/iproute.c) and ``ip rule add`` (ip-rule(8), iprule_modify() in ip/iprule.c) that says
something about a route or rule: how its value is read and written, its keys in
``ip -json -N -details``, its number in linux/rtnetlink.h, how the kernel compares it, and whether
the pillar may say it. What a route or rule is made of besides (destination and type, table,
priority, action, protocol, ``not``, the legs of a multipath route) is structure, and known to the
rooms themselves.

A value lives in the field that the entry names, or in ``other`` as its text.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multihoming_numbers import FAMILIES, U32
from multihoming_values import (
    c_number,
    hex_number,
    ipproto_name,
    marks_meet,
    parse_address,
    parse_any_prefix,
    parse_device,
    parse_flag,
    parse_fwmark,
    parse_gateway,
    parse_ipproto,
    parse_loose_prefix,
    parse_number,
    parse_ports,
    parse_scope,
    parse_source,
    parse_tos,
    parse_uidrange,
    prefixes_meet,
    ranges_meet,
    scope_name,
    show,
)

# --- kinds of values --------------------------------------------------------------------------


def _as_it_is(value: Any) -> Any:
    return value


def _word(text: str, _family: int) -> str:
    return text


def _never(*_: Any) -> bool:
    return False


@dataclass(frozen=True, eq=False)
class Kind:
    """How values of one kind are read and written; they are canonical, so that the same is equal.

    read
        (text on a line, family) -> value, as iproute2 reads it; ValueError when it would refuse.
    json
        (object of ``ip -json``, key) -> value; other keys of the object may complete it.
    write
        Value -> text on a line; empty where the word alone says it.
    shown
        Value -> what people see.
    said
        What people see, or the text in ``other`` -> what stands in a pillar.
    meet
        Whether one packet can match two different values.
    nothing
        The value of a field when nothing is said.
    family_told
        The value tells the family, and the pillar's is read as (family, value).
    """

    read: Callable[[str, int], Any] = _word
    json: Callable[[Mapping[str, Any], str], Any] = operator.getitem
    write: Callable[[Any], str] = str
    shown: Callable[[Any], Any] = _as_it_is
    said: Callable[[Any], Any] = _as_it_is
    meet: Callable[[Any, Any], bool] = _never
    nothing: Any = None
    family_told: bool = False


def _read_address(text: str, family: int) -> str:
    found, address = parse_address(text)
    if found != family:
        raise ValueError(f"{show(text)} is not an IPv{family} address")
    return address


def _json_prefix(entry: Mapping[str, Any], key: str) -> str | None:
    if entry[key] in ("all", "default"):
        return None
    length = entry.get(f"{key}len")
    return entry[key] if length is None else f"{entry[key]}/{length}"


def _json_mark(entry: Mapping[str, Any], _key: str) -> str:
    mark = hex_number(int(str(entry["fwmark"]), 0))
    return f"{mark}/{int(str(entry['fwmask']), 0):#x}" if "fwmask" in entry else mark


def _json_tos(entry: Mapping[str, Any], key: str) -> int:
    return int(str(entry[key]), 0)


def _json_number(entry: Mapping[str, Any], key: str) -> int:
    return int(entry[key])


def _json_ipproto(entry: Mapping[str, Any], key: str) -> int:
    return parse_ipproto(str(entry[key]).removeprefix("ipproto-"))


def _json_ports(entry: Mapping[str, Any], key: str) -> str:
    name = key.removesuffix("_start")
    return str(entry[key]) if key == name else f"{entry[key]}-{entry[f'{name}_end']}"


def _json_uids(entry: Mapping[str, Any], _key: str) -> str:
    return f"{entry['uid_start']}-{entry['uid_end']}"


def _json_realms(entry: Mapping[str, Any], key: str) -> str:
    """Rules have them as ``flow_from`` and ``flow_to``, routes in an object of its own."""
    flow = entry[key] if key == "flow" else {"from": entry.get("flow_from"), "to": entry[key]}
    source = flow.get("from")
    return f"{source}/{flow['to']}" if source is not None else str(flow["to"])


def _json_features(entry: Mapping[str, Any], _key: str) -> str:
    known = [name for name in ("ecn", "tcp_usec_ts") if name in entry]
    return entry.get("features") or " ".join(known)


def _said_ports(ports: str) -> str | int:
    return int(ports) if ports.isdigit() else ports


TEXT = Kind()
DEVICE = Kind()
FLAG = Kind(
    read=lambda _text, _family: True,
    json=lambda _entry, _key: True,
    write=lambda _: "",
    shown=lambda value: value or None,
    said=lambda _: True,
    nothing=False,
)
NUMBER = Kind(lambda text, _: c_number(text), said=int)
ADDRESS = Kind(_read_address, family_told=True)
PREFIX = Kind(parse_loose_prefix, _json_prefix, meet=prefixes_meet, family_told=True)
MARK = Kind(lambda text, _: parse_fwmark(text), _json_mark, meet=marks_meet)
# rtnl_dsfield_a2n() reads hexadecimal.
TOS = Kind(lambda text, _: int(text, 16), _json_tos, hex, hex, nothing=0)
IPPROTO = Kind(lambda text, _: parse_ipproto(text), _json_ipproto, shown=ipproto_name)
PORTS = Kind(lambda text, _: parse_ports(text), _json_ports, said=_said_ports, meet=ranges_meet)
UIDS = Kind(lambda text, _: parse_uidrange(text), _json_uids, meet=ranges_meet)
SCOPE = Kind(lambda text, _: parse_scope(text), _json_number, shown=scope_name)
LENGTH = Kind(lambda text, _: parse_number(text, 0, 128), _json_number)
REALMS = Kind(json=_json_realms)
FEATURES = Kind(json=_json_features)
PREFERENCE = Kind()


# --- entries ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attribute:
    """What is known of one word.

    word
        Its name: iproute2's word, and the pillar's key.
    field
        The field of Route or Rule that has the value; without one it stands in ``other``.
    pillar
        Checks what the pillar says and returns the value; None where the pillar may not say it.
    spelled
        All words that iproute2 takes for it, in its order. Those with a * may be abbreviated
        (matches() in lib/utils.c), and the first that fits counts, over all entries.
    json, more
        Its keys, where they are not the word; those that come along and only complete it.
    families
        Those whose routes or rules can have it.
    usual
        The text that says no more than nothing.
    """

    word: str
    kind: Kind
    field: str = ""
    pillar: Callable[[Any], Any] | None = None
    spelled: str = ""
    json: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    families: tuple[int, ...] = FAMILIES
    usual: str = ""

    @property
    def is_flag(self) -> bool:
        """Tell whether the word says it all, without a value."""
        return self.kind is FLAG

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of ``ip -json`` that it is read from."""
        return self.json or (self.word,)

    def stored(self, value: Any) -> tuple[tuple[str, str], ...]:
        """Return a value as ``other`` has it; none when it says no more than nothing."""
        if value is None or value in (self.kind.nothing, self.usual):
            return ()
        return ((self.word, self.kind.write(value)),)

    def stored_word(self, text: str, family: int) -> tuple[tuple[str, str], ...]:
        """Return what a line says as ``other`` has it.

        A value that can't be read, as a name that only this host knows, stays as it is: never equal
        to ours, still a value.
        """
        try:
            return self.stored(self.kind.read(text, family))
        except ValueError:
            return ((self.word, text),)

    def stored_json(self, entry: Mapping[str, Any], key: str) -> tuple[tuple[str, str], ...]:
        """Return what ``ip -json`` says under a key as ``other`` has it."""
        return self.stored(self.kind.json(entry, key))


# What tells routes apart, see OfRoute.tells.
KEY = "key"  # the kernel holds both
HOP = "hop"  # another next hop


@dataclass(frozen=True)
class OfRoute(Attribute):
    """An attribute of a route.

    tells
        KEY where the kernel holds two routes of one destination that differ in it (fib_find_alias()
        in net/ipv4/fib_trie.c, fib6_add_rt2node() in net/ipv6/ip6_fib.c), HOP where it is part of
        the next hop; else it says how the route is used.
    carried
        It goes along when another next hop takes the place of the route's; never a part of a hop.
    rta, metric
        The number of the netlink attribute that is this value, as RTA_... or as RTAX_... .
    lockable
        ``lock`` may stand before the value: TCP and path MTU discovery then leave it alone.
    """

    tells: str = ""
    carried: bool = True
    rta: int = 0
    metric: int = 0
    lockable: bool = False


# How the kernel compares a selector with another rule's, see OfRule.compared (net/core/fib_rules.c,
# net/ipv4/fib_rules.c and net/ipv6/fib6_rules.c).
EXACTLY = "exactly"
LOOSELY = "loosely"  # what the new rule does not say is the same as anything
BY_MASK = "by mask"  # exactly; but asked to delete, mark and mask are compared each by itself


@dataclass(frozen=True)
class OfRule(Attribute):
    """A selector of a rule, or what the rule does besides its action.

    selects
        It tells packets apart.
    limits
        It lets the rule pass over what the lookup finds, and goes with a lookup only.
    compared
        EXACTLY, LOOSELY or BY_MASK.
    bare
        Whether a value selects what ``ip route get`` asks about: a packet of this host without
        mark, port and protocol.
    indexed
        Many rules of one priority and table differ in it, and it is worth to look them up by it.
    """

    selects: bool = True
    limits: bool = False
    compared: str = EXACTLY
    bare: Callable[[Any], bool] = _never
    indexed: bool = False


# --- routes -----------------------------------------------------------------------------------

# fib_metrics clamps the MTU to 65520 (net/ipv4/metrics.c), so more would never read back equal.
_MAX_MTU = 65520


def _number(low: int, high: int) -> Callable[[Any], int]:
    return lambda value: parse_number(value, low, high)


def _metric(
    number: int, word: str, kind: Kind = NUMBER, lockable: bool = True, **more: Any
) -> OfRoute:
    """Return one of RTA_METRICS."""
    return OfRoute(word, kind, metric=number, lockable=lockable, **more)


ROUTE: tuple[OfRoute, ...] = (
    OfRoute("via", ADDRESS, "via", parse_gateway, json=("gateway",), tells=HOP),
    OfRoute("dev", DEVICE, "dev", spelled="dev oif", tells=HOP),
    OfRoute("src", ADDRESS, "src", parse_source, json=("prefsrc",), rta=7),
    OfRoute("from", PREFIX, families=(6,), tells=KEY),
    OfRoute("tos", TOS, spelled="tos dsfield*", families=(4,), tells=KEY),
    OfRoute("expires", NUMBER, families=(6,)),
    OfRoute(
        "metric",
        NUMBER,
        "metric",
        _number(0, U32),
        spelled="metric* priority* preference",
        tells=KEY,
        rta=6,
    ),
    OfRoute("scope", SCOPE, "scope", parse_scope, tells=HOP),
    _metric(2, "mtu", field="mtu", pillar=_number(68, _MAX_MTU)),
    _metric(10, "hoplimit"),
    _metric(8, "advmss"),
    _metric(9, "reordering", spelled="reordering*"),
    # The kernel counts these two in eighths and quarters of a millisecond, as a plain number is.
    _metric(4, "rtt"),
    _metric(13, "rto_min", lockable=False),  # `ip` locks it unasked
    _metric(3, "window", spelled="window*"),
    _metric(7, "cwnd", spelled="cwnd*"),
    _metric(11, "initcwnd", spelled="initcwnd*"),
    _metric(14, "initrwnd", spelled="initrwnd*"),
    # Numbers that have no name here are shown in a way that `ip` does not read.
    _metric(
        12,
        "features",
        FEATURES,
        lockable=False,
        spelled="features*",
        json=("ecn", "tcp_usec_ts", "features"),
        carried=False,
    ),
    _metric(15, "quickack", spelled="quickack*"),
    _metric(16, "congctl", TEXT, spelled="congctl*", json=("congestion",)),
    _metric(5, "rttvar", spelled="rttvar*"),
    _metric(6, "ssthresh", spelled="ssthresh*"),
    OfRoute("realms", REALMS, spelled="realms*", json=("flow",), families=(4,), rta=11),
    OfRoute("onlink", FLAG, "onlink", parse_flag, tells=HOP),
    # A next hop that is an object of its own (ip-nexthop(8)).
    OfRoute("nhid", NUMBER, tells=HOP, rta=30),
    OfRoute("pref", PREFERENCE, spelled="pref*", families=(6,), usual="medium", rta=20),
    OfRoute("encap", TEXT, tells=HOP),
    OfRoute("ttl-propagate", TEXT),
    _metric(17, "fastopen_no_cookie", lockable=False, spelled="fastopen_no_cookie*"),
)

# --- rules ------------------------------------------------------------------------------------


def _of_the_host(dev: str) -> bool:
    return dev == "lo"


def _of_root(uids: str) -> bool:
    return uids.startswith("0-")


def _without_mark(mark: str) -> bool:
    return int(mark.partition("/")[0], 0) == 0


RULE: tuple[OfRule, ...] = (
    OfRule(
        "from",
        PREFIX,
        "src",
        parse_any_prefix,
        json=("src",),
        more=("srclen",),
        compared=LOOSELY,
        indexed=True,
    ),
    OfRule(
        "to",
        PREFIX,
        "to",
        parse_any_prefix,
        json=("dst",),
        more=("dstlen",),
        compared=LOOSELY,
        indexed=True,
    ),
    OfRule(
        "iif",
        DEVICE,
        "iif",
        parse_device,
        spelled="iif dev",
        more=("iif_detached",),
        bare=_of_the_host,
        indexed=True,
    ),
    OfRule("oif", DEVICE, "oif", parse_device, more=("oif_detached",)),
    OfRule(
        "fwmark",
        MARK,
        "fwmark",
        parse_fwmark,
        more=("fwmask",),
        compared=BY_MASK,
        bare=_without_mark,
    ),
    OfRule("tos", TOS, "tos", parse_tos, spelled="tos dsfield*", compared=LOOSELY),
    OfRule("ipproto", IPPROTO, "ipproto", parse_ipproto),
    OfRule(
        "sport",
        PORTS,
        "sport",
        parse_ports,
        json=("sport", "sport_start"),
        more=("sport_end",),
        indexed=True,
    ),
    OfRule(
        "dport",
        PORTS,
        "dport",
        parse_ports,
        json=("dport", "dport_start"),
        more=("dport_end",),
        indexed=True,
    ),
    OfRule(
        "uidrange",
        UIDS,
        "uidrange",
        parse_uidrange,
        json=("uid_start",),
        more=("uid_end",),
        bare=_of_root,
    ),
    OfRule("l3mdev", FLAG),
    OfRule("tun_id", NUMBER, spelled="tun_id*"),
    OfRule("dscp", TEXT, compared=LOOSELY),
    OfRule("flowlabel", TEXT, families=(6,), compared=LOOSELY),
    OfRule(
        "realms",
        REALMS,
        spelled="realms*",
        json=("flow_to",),
        more=("flow_from",),
        families=(4,),
        selects=False,
        compared=LOOSELY,
    ),
    OfRule(
        "suppress_prefixlength",
        LENGTH,
        "suppress_prefixlength",
        _number(0, 128),
        spelled="suppress_prefixlength* sup_pl",
        json=("suppress_prefixlen",),
        selects=False,
        limits=True,
    ),
    OfRule(
        "suppress_ifgroup",
        NUMBER,
        spelled="suppress_ifgroup* sup_group",
        selects=False,
        limits=True,
    ),
)

# --- what the rooms make of it ----------------------------------------------------------------


def by_word(table: Iterable[Any]) -> dict[str, Any]:
    """Return word -> entry."""
    return {entry.word: entry for entry in table}


def spellings(table: Iterable[Attribute]) -> Iterator[tuple[str, str, bool]]:
    """Yield (what iproute2 takes, the word that it means, whether it may be abbreviated)."""
    for entry in table:
        for spelling in (entry.spelled or entry.word).split():
            yield spelling.rstrip("*"), entry.word, spelling.endswith("*")


def fields(table: Iterable[Attribute]) -> Callable[[Any], tuple[Any, ...]]:
    """Return what gets the values of those entries that have a field, from a route or rule."""
    names = [entry.field for entry in table if entry.field]
    get = operator.attrgetter(*(names or ("other",)))
    if len(names) > 1:
        return get
    return (lambda item: (get(item),)) if names else (lambda _: ())  # get() returns no tuple


def nothing(table: Sequence[Attribute]) -> tuple[Any, ...]:
    """Return what ``fields`` gets of a route or rule that says nothing of it."""
    return tuple(entry.kind.nothing for entry in table if entry.field)
