"""Routes and rules in iproute2's words and JSON, and back.

Pure. Words are those of ``ip route`` and ``ip rule`` (ip-route(8), ip-rule(8)), read as iproute2
reads them; JSON is what ``ip -json -N -details`` prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from multihoming_model import Nexthop, Route, Rule, canonical, default_metric, default_scope
from multihoming_numbers import BOOT, IPPROTOS, PROTOCOLS, SCOPES, TYPES, UNSPEC
from multihoming_values import (
    ROUTE_TYPES,
    c_number,
    hex_number,
    parse_action,
    parse_address,
    parse_fwmark,
    parse_ipproto,
    parse_number,
    parse_ports,
    parse_prefix,
    parse_scope,
    parse_uidrange,
    show,
)

_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
_IPPROTO_NAMES = {number: name for name, number in IPPROTOS.items() if name != "icmpv6"}
_TYPE_NAMES = {str(number): name for name, number in TYPES.items()}

# --- words, written ---------------------------------------------------------------------------


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


def text(item: Route | Rule, table: str | None = None) -> str:
    """Return a route or rule as one line; ``table`` as in ``route_words``."""
    words = rule_words(item, table) if isinstance(item, Rule) else route_words(item, table)
    return " ".join(words)


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


def table_id(text: str | None, tables: Mapping[str, int]) -> int | None:
    """Return the id of a table in a line, by name or number; None when there is no such name."""
    if text is None or text in tables:
        return tables.get(text or "")
    try:
        return c_number(text)
    except ValueError:
        return None


def _table_id(text: str, tables: Mapping[str, int]) -> int:
    found = table_id(text, tables)
    if found is None:
        raise ValueError(f"table {show(text)} is not in rt_tables")
    return found


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
    if text in PROTOCOLS:
        return PROTOCOLS[text]
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
    mark = hex_number(int(str(entry["fwmark"]), 0))
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
