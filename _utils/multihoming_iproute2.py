"""Routes and rules in iproute2's words and JSON, and back.

Pure. Words are those of ``ip route`` and ``ip rule`` (ip-route(8), ip-rule(8)), read as iproute2
reads them; JSON is what ``ip -json -N -details`` prints.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import multihoming_attributes as attributes
from multihoming_model import Nexthop, Route, Rule, canonical, default_metric, default_scope
from multihoming_numbers import BOOT, PROTOCOLS, REFUSING, TYPES
from multihoming_values import (
    c_number,
    parse_action,
    parse_loose_prefix,
    parse_number,
    scope_name,
    show,
)

_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
_TYPE_NAMES = {str(number): name for name, number in TYPES.items()}

_ROUTE = attributes.by_word(attributes.ROUTE)
_RULE = attributes.by_word(attributes.RULE)

# --- words, written ---------------------------------------------------------------------------

# What a single next hop is made of has its own places; the rest is written in the table's order.
_HOP_WORDS = ("via", "dev", "onlink")
_USED = [entry for entry in attributes.ROUTE if entry.field and entry.word not in _HOP_WORDS]
_SELECTORS = [entry for entry in attributes.RULE if entry.field and entry.selects]
_EFFECTS = [entry for entry in attributes.RULE if entry.field and not entry.selects]

_SCOPE = _USED.index(_ROUTE["scope"])
# What `ip route del` passes over where it is not named.
_UNNAMED = tuple(0 if entry.word == "metric" else entry.kind.nothing for entry in _USED)
_used, _selectors, _effects = (attributes.fields(each) for each in (_USED, _SELECTORS, _EFFECTS))
_USED_WORDS = [(entry.word, entry.kind.write) for entry in _USED]
_SELECTOR_WORDS = [(entry.word, entry.kind.write) for entry in _SELECTORS]
_EFFECT_WORDS = [(entry.word, entry.kind.write) for entry in _EFFECTS]
_NO_EFFECTS = attributes.nothing(_EFFECTS)


def route_words(route: Route, table: str | None = None) -> list[str]:
    """Return the words for ``ip route add``.

    table
        Written instead of the id; scopes and protocols then have their names as well. Without it
        all are numbers: in a batch iproute2 takes a name for the number that it read last (the
        caches in lib/rt_names.c).

    What iproute2 assumes anyway is left out, so the lines look like those people write:
    ``192.168.1.0/24 dev eth1 src 192.168.1.220 table gateway1``.
    """
    words = _start(route)
    usual = _usual(route.family, route.type, _has_gateway(route))
    for place, value in enumerate(_used(route)):
        if value != usual[place]:
            word, write = _USED_WORDS[place]
            words += (word, scope_name(value) if table and place == _SCOPE else write(value))
    if route.protocol != BOOT:
        words += ["proto", protocol_name(route.protocol) if table else str(route.protocol)]
    words += _other_words(route)
    if route.onlink and not _is_shared(route):
        words += ["onlink"]
    words += ["table", table or str(route.table)]
    return words + _nexthop_words(route, onlink=True)


@lru_cache(maxsize=1024)
def _usual(family: int, route_type: str, has_gateway: bool) -> tuple[Any, ...]:
    """Return what iproute2 assumes where nothing is said of what ``_used`` gets."""
    scope = default_scope(route_type, family, has_gateway)
    known = {"metric": default_metric(family), "scope": scope}
    return tuple(known.get(entry.word, entry.kind.nothing) for entry in _USED)


def route_delete_words(route: Route) -> list[str]:
    """Return the words for ``ip route del`` that name this very route among its likes."""
    words = _start(route)
    for place, value in enumerate(_used(route)):
        if value != _UNNAMED[place] and place != _SCOPE:
            word, write = _USED_WORDS[place]
            words += (word, write(value))
    words += ["scope", str(route.scope)] if route.family == 4 else []
    words += ["proto", str(route.protocol)]
    words += _other_words(route)
    words += ["table", str(route.table)]
    return words + _nexthop_words(route, onlink=False)


def _start(route: Route) -> list[str]:
    """Return the words for type, destination and a single next hop."""
    words = [] if route.type == "unicast" else [route.type]
    everywhere = route.to == "default" and route.family == 6 and not route.via
    words.append("::/0" if everywhere else route.to)
    return words if _is_shared(route) else words + _options(("via", route.via), ("dev", route.dev))


def _other_words(item: Route | Rule) -> list[str]:
    return [word for name, value in item.other for word in ((name, value) if value else (name,))]


def _is_shared(route: Route) -> bool:
    """Tell whether the next hop is an object of its own (ip-nexthop(8)), named by its id only."""
    return bool(route.other) and "nhid" in dict(route.other)


def _nexthop_words(route: Route, onlink: bool) -> list[str]:
    words = []
    for hop in () if _is_shared(route) else route.nexthops:
        words += ["nexthop", *_options(("encap", hop.encap), ("via", hop.via), ("dev", hop.dev))]
        words += ["weight", str(hop.weight)] if hop.weight != 1 else []
        words += ["onlink"] if hop.onlink and onlink else []
    return words


def rule_words(rule: Rule, table: str | None = None) -> list[str]:
    """Return the words for ``ip rule add`` and ``ip rule del``; see ``route_words``.

    They look like those people write: ``from 192.168.1.220 table gateway1 priority 20000``.
    """
    words: list[str] = []
    for place, value in enumerate(_selectors(rule)):
        if value:  # no selector selects by 0
            word, write = _SELECTOR_WORDS[place]
            words += (word, write(value))
    words = words or ["from", "all"]
    if rule.invert:
        words.insert(0, "not")
    if rule.table:
        words += ["table", table or str(rule.table)]
    words += _other_words(rule)
    for place, value in enumerate(_effects(rule)):
        if value != _NO_EFFECTS[place]:
            word, write = _EFFECT_WORDS[place]
            words += (word, write(value))
    words += rule.action.split() if rule.action != "lookup" else []
    if rule.protocol:
        words += ["protocol", protocol_name(rule.protocol) if table else str(rule.protocol)]
    if rule.priority is not None:
        words += ["priority", str(rule.priority)]
    return words


def text(item: Route | Rule, table: str | None = None) -> str:
    """Return a route or rule as one line; ``table`` as in ``route_words``."""
    words = rule_words(item, table) if isinstance(item, Rule) else route_words(item, table)
    return " ".join(words)


def _options(*pairs: tuple[str, Any]) -> list[str]:
    return [word for name, value in pairs if value is not None for word in (name, str(value))]


def _has_gateway(route: Route) -> bool:
    return bool(route.via or route.nexthops)


def protocol_name(number: int) -> str:
    """Return iproute2's name of a routing protocol, else the number as text."""
    return _PROTOCOL_NAMES.get(number, str(number))


# --- words, read ------------------------------------------------------------------------------

# Words that say what a route or rule is made of; those with a * may be abbreviated. Where one of
# the table's fits an abbreviation as well, iproute2 tries that first.
_STRUCTURE = {
    "route": "to nexthop protocol* table* vrf*",
    "rule": "not type lookup preference* order* priority* protocol* table* goto* nop*",
}
_SYNONYMS = {"preference": "priority", "order": "priority", "lookup": "table"}
_TABLES = {"route": attributes.ROUTE, "rule": attributes.RULE}
_INET = {4: "inet", 6: "inet6"}
_VALUELESS = {"not", "nexthop", "nop", "type"}
_VALUELESS |= {each.word for each in (*_ROUTE.values(), *_RULE.values()) if each.is_flag}


def _vocabulary(kind: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return (what iproute2 takes as a whole -> word, [(what it takes abbreviated, word)])."""
    structure = [
        (each.rstrip("*"), _SYNONYMS.get(each.rstrip("*"), each.rstrip("*")), each.endswith("*"))
        for each in _STRUCTURE[kind].split()
    ]
    known = [*attributes.spellings(_TABLES[kind]), *structure]
    exact = {spelling: word for spelling, word, short in known if not short}
    return exact, [(spelling, word) for spelling, word, short in known if short]


_VOCABULARY = {kind: _vocabulary(kind) for kind in _TABLES}


@lru_cache(maxsize=65536)
def _keyword(word: str, kind: str) -> str | None:
    """Return what iproute2 takes ``word`` for, in our name; kind is ``route`` or ``rule``."""
    exact, abbreviable = _VOCABULARY[kind]
    if word in exact:
        return exact[word]
    return next((name for whole, name in abbreviable if whole.startswith(word)), None)


def table_word(words: Iterable[str], kind: str) -> str | None:
    """Return the table named in a ``route`` or ``rule`` line, None when it names none."""
    rest = iter(words)
    for word in rest:
        name = _keyword(word, kind)
        if name is not None and name not in _VALUELESS:
            value = next(rest, None)
            if name == "table":
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
        if name == "nexthop":
            nexthops.append({})
        elif name in _VALUELESS:
            _read_route_word(name, "", family, tables, fields, nexthops, other)
        elif name is None and word == "weight" and nexthops:
            nexthops[-1]["weight"] = parse_number(_value(word, rest), 1, 256)
        elif name is None or name == "to":
            if "to" in fields:
                raise ValueError(f"{show(word)} is a word that ip does not expect there")
            prefix = _value(word, rest) if name else word
            fields["to"] = parse_loose_prefix(prefix, family) or "default"
        else:
            if name == "via" and rest[:1] == [_INET[family]]:
                rest.pop(0)
            value = _value(word, rest)
            if value == "lock" and name in _ROUTE and _ROUTE[name].lockable:
                found = _ROUTE[name].stored_word(_value(word, rest), family)
                other += ((name, f"lock {text}") for name, text in found)
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
    entry = _ROUTE.get(name)
    if name == "table":
        fields[name] = _table_id(value, tables)
    elif name == "protocol":
        fields[name] = _protocol(value)
    elif entry is None:
        other.append((name, value))
    elif entry.field:
        place = nexthops[-1] if nexthops and name in _HOP_WORDS else fields
        place[entry.field] = entry.kind.read(value, family)
    else:
        other += entry.stored_word(value, family)


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
        if name == "not":
            fields["invert"] = True
        elif name == "type" or name in ("goto", "nop") or name is None:
            action = _value(word, rest) if name == "type" else word
            action = name if name in ("goto", "nop") else action
            action = f"goto {_value(word, rest)}" if action == "goto" else action
            fields["action"] = parse_action(action)
        else:
            value = "" if name in _VALUELESS else _value(word, rest)
            _read_rule_word(name, value, family, tables, fields, other)
    return Rule(family=family, other=tuple(sorted(other)), **fields)


def _read_rule_word(
    name: str,
    value: str,
    family: int,
    tables: Mapping[str, int],
    fields: dict[str, Any],
    other: list[tuple[str, str]],
) -> None:
    entry = _RULE.get(name)
    if name == "priority":
        fields[name] = c_number(value)
    elif name == "table":
        fields[name] = _table_id(value, tables)
    elif name == "protocol":
        fields[name] = _protocol(value)
    elif entry is None:
        other.append((name, value))
    elif entry.field:
        fields[entry.field] = entry.kind.read(value, family)
    else:
        other += entry.stored_word(value, family)


# --- ip -json -N -details -----------------------------------------------------------------------

_Read = Callable[[Mapping[str, Any], str], Any]


def _entries(table: Iterable[attributes.Attribute]) -> dict[str, attributes.Attribute]:
    """Return key of an object -> entry."""
    return {key: entry for entry in table for key in entry.keys}


def _readers(table: Iterable[attributes.Attribute]) -> dict[str, tuple[str, _Read]]:
    """Return key of an object -> (field, what reads it) for the entries that have a field."""
    known = _entries(entry for entry in table if entry.field)
    return {key: (entry.field, entry.kind.json) for key, entry in known.items()}


def _json_protocol(entry: Mapping[str, Any], key: str) -> int:
    return _protocol(str(entry[key]))


def _json_int(entry: Mapping[str, Any], key: str) -> int:
    return int(entry[key])


def _json_type(entry: Mapping[str, Any], key: str) -> str:
    kind = str(entry[key])
    return _TYPE_NAMES.get(kind, kind)


def _json_hops(entry: Mapping[str, Any], key: str) -> tuple[Nexthop, ...]:
    return tuple(_nexthop_from_json(hop) for hop in entry[key])


_ROUTE_JSON: dict[str, tuple[str, _Read]] = {
    "type": ("type", _json_type),
    "table": ("table", _json_int),
    "dst": ("to", operator.getitem),
    "protocol": ("protocol", _json_protocol),
    "flags": ("onlink", lambda entry, key: "onlink" in entry[key]),
    "nexthops": ("nexthops", _json_hops),
    **_readers(entry for entry in attributes.ROUTE if not entry.metric),
}
_ROUTE_ENTRIES = _entries(entry for entry in attributes.ROUTE if not entry.metric)
_METRIC_ENTRIES = _entries(entry for entry in attributes.ROUTE if entry.metric)
# What changes by itself, or repeats what is said elsewhere.
_ROUTE_JSON_PASSED = frozenset("expires used users age error cache uid nh_info".split())


def route_from_json(entry: Mapping[str, Any], family: int) -> Route:
    """Read one object of ``ip -json -N -details route show``, with ``table`` in it."""
    fields: dict[str, Any] = {}
    other: dict[str, str] = {}
    for key in entry:
        known = _ROUTE_JSON.get(key)
        if known:
            fields[known[0]] = known[1](entry, key)
        elif key == "metrics":
            for group in entry[key]:
                _read_metrics(group, fields, other)
        elif key not in _ROUTE_JSON_PASSED:
            other.update(_json_other(entry, key, _ROUTE_ENTRIES))
    if "nhid" in other:  # the tunnel is the object's
        other.pop("encap", None)
    # IPv6 hangs its blackholes on lo; nobody asked for that.
    if fields.get("type") in REFUSING and fields["type"] != "throw":
        fields["dev"] = None
    return canonical(Route(family=family, other=tuple(sorted(other.items())), **fields))


def _read_metrics(group: Mapping[str, Any], fields: dict[str, Any], other: dict[str, str]) -> None:
    for key, value in group.items():
        known = _METRIC_ENTRIES.get(key)
        if isinstance(value, str) and value.startswith("lock "):
            other[known.word if known else key] = value
        elif known and known.field:
            fields[known.field] = known.kind.json(group, key)
        else:
            other.update(_json_other(group, key, _METRIC_ENTRIES))


def _json_other(
    entry: Mapping[str, Any], key: str, known: Mapping[str, attributes.Attribute]
) -> tuple[tuple[str, str], ...]:
    """Return what stands under a key as ``other`` has it; what nobody knows is kept as well."""
    if key in known:
        return known[key].stored_json(entry, key)
    return ((key, _json_text(entry[key])),)


def _nexthop_from_json(entry: Mapping[str, Any]) -> Nexthop:
    return Nexthop(
        via=entry.get("gateway"),
        dev=entry.get("dev"),
        weight=entry.get("weight", 1),
        onlink="onlink" in entry.get("flags", ()),
        encap=entry.get("encap"),
    )


def _json_text(value: Any) -> str:
    if isinstance(value, Mapping):  # "via": {"family": "inet6", "host": "fe80::1"}
        return " ".join(str(part) for part in value.values())
    return "" if value is None else str(value)


_RULE_JSON: dict[str, tuple[str, _Read]] = {
    "priority": ("priority", operator.getitem),
    "table": ("table", _json_int),
    "protocol": ("protocol", _json_protocol),
    "not": ("invert", lambda _entry, _key: True),
    "action": ("action", _json_type),
    "goto": ("action", lambda entry, key: f"goto {entry[key]}"),
    "nop": ("action", lambda _entry, key: key),
    **_readers(attributes.RULE),
}
_RULE_ENTRIES = _entries(attributes.RULE)
_RULE_JSON_PASSED = frozenset(
    ("unresolved", *(key for entry in attributes.RULE for key in entry.more))
)


def rule_from_json(entry: Mapping[str, Any], family: int) -> Rule:
    """Read one object of ``ip -json -N -details rule show``."""
    fields: dict[str, Any] = {}
    other: dict[str, str] = {}
    for key in entry:
        known = _RULE_JSON.get(key)
        if known:
            fields[known[0]] = known[1](entry, key)
        elif key not in _RULE_JSON_PASSED:
            other.update(_json_other(entry, key, _RULE_ENTRIES))
    return Rule(family=family, other=tuple(sorted(other.items())), **fields)


# --- for people -------------------------------------------------------------------------------

_ROUTE_FIELDS = [entry for entry in attributes.ROUTE if entry.field]
_ROUTE_SHOWN = [(entry.word, entry.kind.shown) for entry in _ROUTE_FIELDS]
_SELECTORS_SHOWN = [(entry.word, entry.kind.shown) for entry in _SELECTORS]
_EFFECTS_SHOWN = [(entry.word, entry.kind.shown) for entry in _EFFECTS]
_route_fields = attributes.fields(_ROUTE_FIELDS)


def route_dict(route: Route, names: Mapping[int, str]) -> dict[str, Any]:
    """Return a route in the pillar's words, plus ``family``, ``table`` and ``protocol``."""
    shown: dict[str, Any] = {
        "family": route.family,
        "table": names.get(route.table, route.table),
        "to": route.to,
        "type": route.type,
    }
    for place, value in enumerate(_route_fields(route)):
        if value is not None and value is not False:
            word, plain = _ROUTE_SHOWN[place]
            shown[word] = plain(value)
    if not route.metric:
        del shown["metric"]
    if route.family == 6:
        del shown["scope"]
    if route.nexthops:
        shown["nexthops"] = [_nexthop_dict(hop) for hop in route.nexthops]
    shown["protocol"] = protocol_name(route.protocol)
    shown.update(route.other)
    return shown


def _nexthop_dict(hop: Nexthop) -> dict[str, Any]:
    shown = {**hop._asdict(), "onlink": hop.onlink or None}
    return {key: value for key, value in shown.items() if value is not None}


def rule_dict(rule: Rule, names: Mapping[int, str]) -> dict[str, Any]:
    """Return a rule in the pillar's words, plus ``family``, ``table`` and ``protocol``."""
    shown: dict[str, Any] = {"family": rule.family}
    if rule.priority is not None:
        shown["priority"] = rule.priority
    shown["from"] = "all"
    for place, value in enumerate(_selectors(rule)):
        if value:
            word, plain = _SELECTORS_SHOWN[place]
            shown[word] = plain(value)
    if rule.invert:
        shown["not"] = True
    for place, value in enumerate(_effects(rule)):
        if value != _NO_EFFECTS[place]:
            word, plain = _EFFECTS_SHOWN[place]
            shown[word] = plain(value)
    shown["action"] = rule.action
    if rule.table:
        shown["table"] = names.get(rule.table, rule.table)
    shown["protocol"] = protocol_name(rule.protocol)
    shown.update(rule.other)
    return shown
