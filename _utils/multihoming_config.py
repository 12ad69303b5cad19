"""The pillar, checked: what an administrator wrote becomes a Config, or a list of messages.

Pure, and the only room where messages about bad input without a look at the host are born. Every
message starts with the key it is about and says what to write instead. See README.md, "Pillar".
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import multihoming_backend as backends
import multihoming_model as model
import multihoming_rt_tables as rt_tables
from multihoming_attributes import KEY, ROUTE, RULE, Attribute, OfRule
from multihoming_model import DIRECT
from multihoming_numbers import KERNEL_PRIORITIES, MAIN_PRIORITY, RESERVED_TABLES, SCOPES, U32
from multihoming_values import (
    ROUTE_TYPES,
    Address,
    parse_action,
    parse_any_prefix,
    parse_device,
    parse_flag,
    parse_gateway,
    parse_number,
    parse_own_or_peers,
    parse_prefix,
    show,
)

DEFAULT_PRIORITY = 20000
# Words in place of addresses, and of a gateway.
ALL, NONE = "all", "none"

KEYS = (
    "tables",
    "interfaces",
    "priority",
    "keep_main_routes",
    "default_gateway",
    "sysctl",
    "backend",
    "take_over",
)
INTERFACE_KEYS = (
    "device",
    "table",
    "addresses",
    "gateway",
    "onlink",
    "priority",
    "keep_main_routes",
    "subnet_routes",
    "routes",
    "rules",
    "optional",
    "backend",
)
# What the table lets the pillar say, and what a route or rule is made of.
_ROUTE_SAID = [entry for entry in ROUTE if entry.pillar]
_RULE_SAID = [entry for entry in RULE if entry.pillar]
SELECTORS = tuple(entry.word for entry in _RULE_SAID if entry.selects)
_EFFECTS = tuple(entry.word for entry in _RULE_SAID if not entry.selects)
_LIMITS = tuple(entry.word for entry in _RULE_SAID if entry.limits)
ROUTE_KEYS = ("to", *(entry.word for entry in _ROUTE_SAID), "type", "nexthops")
NEXTHOP_KEYS = ("via", "dev", "weight")
RULE_KEYS = (*SELECTORS, "not", *_EFFECTS, "priority", "action")

_SETTING = re.compile(r"[a-z][A-Za-z0-9_/@-]*(\.[A-Za-z0-9_/@:-]+)+")
_MAX_SETTING = 4096  # a page: the most that the kernel takes at once

# Keys that the host's state is compared with: nothing can be said where they are wrong.
_CHECKED_ON_HOST = ("addresses", "device", "gateway", "onlink", "routes", "table")


class Spec(NamedTuple):
    """One entry of ``routes`` or ``rules``: normalised fields and where it stands in the pillar.

    ``family`` is None when no address in it says which; it is then made for each family.
    """

    where: str
    family: int | None
    fields: Mapping[str, Any]


class Interface(NamedTuple):
    """One entry of ``interfaces``; None means "find it out on the host".

    all_addresses
        Every live address of the interface, whoever configured it.
    prefixes
        (family, prefix) of sources whose replies go through the table, like those of a VPN's pool.
    direct
        What no gateway is given for is reached at the other end of the link.
    """

    name: str
    table: model.Table
    priority: int = DEFAULT_PRIORITY
    addresses: tuple[Address, ...] | None = None
    all_addresses: bool = False
    prefixes: tuple[tuple[int, str], ...] = ()
    gateways: Mapping[int, str] | None = None
    direct: bool = False
    onlink: bool = False
    keep_main_routes: bool = False
    subnet_routes: bool = True
    routes: tuple[Spec, ...] = ()
    rules: tuple[Spec, ...] = ()
    optional: bool = False
    backend: str | None = None
    device: str = ""

    @property
    def dev(self) -> str:
        """The interface that it is about: its name, where the entry does not say ``device``."""
        return self.device or self.name


class Config(NamedTuple):
    """A whole pillar, checked.

    ``interfaces`` holds the entries that can be checked against the host.
    """

    tables: Mapping[str, int] = {}
    interfaces: Mapping[str, Interface] = {}
    default_gateway: str | None = None
    sysctl: Mapping[str, str] = {}
    backend: str = backends.AUTO
    take_over: bool = False


def plain(data: Any) -> Any:
    """Return what Salt hands on as the plain types that people think of.

    Salt 3008 has lists and dictionaries of its own, whose values are shown as ``**********``; older
    ones have OrderedDict; and pillars in Python have what they like. What contains itself may do
    so.
    """
    made: dict[int, tuple[Any, Any]] = {}
    todo: list[tuple[Any, Any]] = []

    def copy(value: Any) -> Any:
        if not isinstance(value, Mapping | list | tuple):
            return _scalar(value)
        if id(value) not in made:
            made[id(value)] = (value, {} if isinstance(value, Mapping) else [])
            todo.append(made[id(value)])
        return made[id(value)][1]

    found = copy(data)
    while todo:
        value, empty = todo.pop()
        if isinstance(value, Mapping):
            empty.update((_scalar(key), copy(each)) for key, each in value.items())
        else:
            empty.extend(map(copy, value))
    return found


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return int.__int__(value) if whole else value


def joined(pillar: Any, there: bool, given: Mapping[str, Any]) -> tuple[Any, bool]:
    """Return the pillar's ``multihoming`` with the given keys in place of its own, and if it is so.

    there
        Whether the pillar has it.
    given
        Key -> value; what is None is not given.

    (None, False) without either.
    """
    pillar = plain(pillar)
    given = {key: plain(value) for key, value in given.items() if value is not None}
    if not given:
        return pillar, there
    return {**(pillar if isinstance(pillar, dict) else {}), **given}, True


def parse(data: Any) -> tuple[Config, list[str]]:
    """Check the pillar's ``multihoming`` and return (config, errors).

    data
        What stands under ``multihoming:``, whatever its type.

    All errors come together. With errors the config holds what is good, so that the host can be
    checked against it as well.

    .. code-block:: python

        parse({"tables": {"gateway1": 201}, "interfaces": {"eth1": {"table": "gateway1"}}})
    """
    errors: list[str] = []
    if not isinstance(data, Mapping) or not data:
        return Config(), [_not_a_pillar(data)]
    _unknown_keys("", data, KEYS, errors)
    tables = _tables(data, errors)
    priority = _checked("priority", data.get("priority", DEFAULT_PRIORITY), _from_priority, errors)
    common = {
        "priority": priority or DEFAULT_PRIORITY,
        "keep_main_routes": _flag("", data, "keep_main_routes", errors),
    }
    interfaces = _interfaces(data, tables, common, errors)
    default_gateway = None
    if "default_gateway" in data:
        default_gateway = _checked("default_gateway", data["default_gateway"], parse_device, errors)
    sysctl = _sysctl(data.get("sysctl", {}), errors)
    backend = _checked("backend", data.get("backend", "auto"), check_backend, errors)
    take_over = _flag("", data, "take_over", errors)
    found = Config(tables, interfaces, default_gateway, sysctl, backend or "auto", take_over)
    return found, errors


def _not_a_pillar(data: Any) -> str:
    remedy = (
        "write `tables:` and `interfaces:` below it, `tables: {}` and `interfaces: {}` to take "
        "everything away, or remove the key to leave the host alone"
    )
    if data is None or data in ({}, [], ""):
        return f"multihoming: is empty; {remedy}"
    return f"multihoming: is {_kind(data)}, not a dictionary; {remedy}"


def _kind(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "empty"
    if isinstance(value, Mapping):
        return "a dictionary"
    names = {list: "a list", str: "a string", bool: "a boolean", int: "a number"}
    return names.get(type(value), f"a {type(value).__name__}")


def _checked(where: str, value: Any, check: Callable[[Any], Any], errors: list[str]) -> Any:
    """Return ``check(value)``, or None with its message in ``errors``."""
    try:
        return check(value)
    except ValueError as err:
        errors.append(f"{where}: {err}")
        return None


def _unknown_keys(
    where: str, data: Mapping[Any, Any], known: Iterable[str], errors: list[str]
) -> None:
    known = tuple(known)
    for key in data:
        if key in known:
            continue
        near = difflib.get_close_matches(_shown(key), known, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"known keys are {', '.join(known)}"
        errors.append(f"{where}{'.' if where else ''}{_shown(key)}: unknown key; {hint}")


# --- tables -----------------------------------------------------------------------------------


def _tables(data: Mapping[str, Any], errors: list[str]) -> dict[str, int]:
    raw = data.get("tables")
    if not isinstance(raw, Mapping):
        errors.append(
            f"tables: is {'missing' if 'tables' not in data else _kind(raw)}; write names with "
            "their ids, like `gateway1: 201`, or {} for none"
        )
        return {}
    tables: dict[str, int] = {}
    names: dict[int, str] = {}
    for name, number in raw.items():
        problem = rt_tables.check_name(name) or rt_tables.check_id(number)
        twin = None if problem else names.setdefault(number, name)
        if problem:
            errors.append(f"tables.{_shown(name)}: {problem}")
        elif twin != name:
            errors.append(
                f"tables.{name}: id {number} already belongs to {twin!r}; write another id"
            )
        else:
            tables[name] = number
    return tables


def _shown(name: Any) -> str:
    fits = isinstance(name, str) and name.isprintable() and len(name) <= 80
    return name if fits else show(name)


# --- interfaces -------------------------------------------------------------------------------


def _interfaces(
    data: Mapping[str, Any],
    tables: Mapping[str, int],
    common: Mapping[str, Any],
    errors: list[str],
) -> dict[str, Interface]:
    raw = data.get("interfaces")
    if not isinstance(raw, Mapping):
        errors.append(
            f"interfaces: is {'missing' if 'interfaces' not in data else _kind(raw)}; write one "
            "entry for each interface, like `eth1: {table: gateway1}`, or {} for none"
        )
        return {}
    declared = data.get("tables")
    interfaces: dict[str, Interface] = {}
    users: dict[str, str] = {}
    for name, entry in raw.items():
        where = f"interfaces.{_shown(name)}"
        mine: list[str] = []
        further = isinstance(entry, Mapping) and "device" in entry
        _checked(where, name, _label if further else parse_device, mine)
        if isinstance(entry, Mapping):
            table = _table_of(str(name), entry, declared, users, mine)
            whole = {**common, **entry}
            _unknown_keys(where, entry, INTERFACE_KEYS, mine)
            interface = _interface(str(name), where, whole, (table, tables), mine)
            if interface and not any(_misleads(where, error) for error in mine):
                interfaces[name] = interface
        else:
            mine.append(
                f"{where}: is {_kind(entry)}, not a dictionary; write at least `table: NAME`"
            )
        errors += mine
    return interfaces


def _label(name: Any) -> str:
    """Check the name of an entry that says its interface in ``device``; raises ValueError."""
    if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_.@+=/:-]{1,64}", name):
        return name
    raise ValueError(
        f"{show(name)} is not a name for an entry; write the interface and what tells it from its "
        "others, like eth1/lan2"
    )


def _misleads(where: str, error: str) -> bool:
    """Tell whether, with this error, checks of the interface against the host make no sense."""
    return error.startswith((f"{where}:", *(f"{where}.{key}" for key in _CHECKED_ON_HOST)))


def _table_of(
    name: str,
    entry: Mapping[str, Any],
    declared: Any,
    users: dict[str, str],
    errors: list[str],
) -> str | None:
    table = entry.get("table")
    where = f"interfaces.{_shown(name)}.table"
    known = declared if isinstance(declared, Mapping) else {}
    if table is None:
        errors.append(f"{where}: is missing; write the name of a table declared in `tables`")
    elif isinstance(table, str | int) and table in (
        *RESERVED_TABLES,
        *RESERVED_TABLES.values(),
    ):
        errors.append(
            f"{where}: {show(table)} is the kernel's own table; declare one in `tables`, "
            "like `gateway1: 201`, and write its name"
        )
    elif not isinstance(table, str):
        errors.append(
            f"{where}: {show(table)} is not a name; write the name of a table declared in "
            "`tables`" + (f": {_listed(known)}" if known else "")
        )
    elif table not in known:
        errors.append(
            f"{where}: {show(table)} is not in `tables`; add `{_shown(table)}: ID` there"
            + (f", or write one of {_listed(known)}" if known else "")
        )
    elif table in users:
        errors.append(
            f"{where}: {show(table)} is already the table of {users[table]}; "
            "give each interface a table of its own"
        )
    else:
        users[table] = name
        return table
    return None


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(map(_shown, names))


def _interface(
    name: str,
    where: str,
    entry: Mapping[str, Any],
    table: tuple[str | None, Mapping[str, int]],
    errors: list[str],
) -> Interface | None:
    """Read one entry, with the keys of the top level that it inherits."""
    priority = _checked(f"{where}.priority", entry["priority"], _from_priority, errors)
    table_name, tables = table
    fields: dict[str, Any] = {
        **_addresses(f"{where}.addresses", entry, errors),
        **_gateways(f"{where}.gateway", entry, errors),
        "onlink": _flag(where, entry, "onlink", errors),
        "keep_main_routes": _flag(where, entry, "keep_main_routes", errors),
        "subnet_routes": _flag(where, entry, "subnet_routes", errors, default=True),
        "optional": _flag(where, entry, "optional", errors),
        "routes": _specs(where, entry, "routes", _route_spec, errors),
        "rules": _specs(where, entry, "rules", _rule_spec, errors),
    }
    if "device" in entry:
        fields["device"] = _checked(f"{where}.device", entry["device"], parse_device, errors)
        if "addresses" not in entry:
            errors.append(
                f"{where}.addresses: is missing; write those of {_shown(entry['device'])} whose "
                "replies go through this table"
            )
    if "backend" in entry:
        fields["backend"] = _checked(f"{where}.backend", entry["backend"], check_backend, errors)
    if table_name is None or table_name not in tables or priority is None:
        return None
    if fields["keep_main_routes"] and priority < 3:
        errors.append(
            f"{where}.priority: keep_main_routes needs two rules before the from-rule; write a "
            "number from 3 to 32765"
        )
        return None
    _goto_forward(where, fields["rules"], priority, errors)
    return Interface(name, model.Table(table_name, tables[table_name]), priority, **fields)


def _from_priority(value: Any) -> int:
    try:
        return parse_number(value, 1, MAIN_PRIORITY - 1)
    except ValueError:
        raise ValueError(
            f"{show(value)} is not a priority for from-rules; write a number from 1 to 32765, "
            "so that they run before the main table"
        ) from None


def _flag(
    where: str, entry: Mapping[str, Any], key: str, errors: list[str], default: bool = False
) -> bool:
    value = entry.get(key, default)
    if not isinstance(value, bool):
        place = f"{where}.{key}" if where else key
        errors.append(f"{place}: {show(value)} is not a boolean; write true or false")
    return value is True


def _addresses(where: str, entry: Mapping[str, Any], errors: list[str]) -> dict[str, Any]:
    """Return what ``addresses`` says, as fields of an Interface."""
    if "addresses" not in entry:
        return {}
    raw = entry["addresses"]
    if raw == ALL:
        return {"all_addresses": True}
    raw = [raw] if isinstance(raw, str) and raw else raw
    if not isinstance(raw, list):
        errors.append(
            f"{where}: is {_kind(raw)}; write a list like [192.168.1.220/24], `all` for all that "
            "the interface has, [] for none, or remove the key to use those of its configuration"
        )
        return {"addresses": ()}
    prefixes = [pool for text in raw if (pool := _pool(text))]
    own = [text for text in raw if not _pool(text)]
    found = [_checked(where, text, parse_own_or_peers, errors) for text in own]
    addresses: list[Address] = [address for address in found if address]
    seen: dict[tuple[str, str | None], Address] = {}
    for address in addresses:
        twin = seen.setdefault((address.address, address.peer), address)
        if twin is not address:
            errors.append(
                f"{where}: {address.address} stands there twice; write it once, as {twin}"
            )
    errors += [
        f"{where}: {prefix} stands there twice; write it once"
        for (_, prefix), count in Counter(prefixes).items()
        if count > 1
    ]
    return {"addresses": tuple(seen.values()), "prefixes": tuple(dict.fromkeys(prefixes))}


def _pool(text: Any) -> tuple[int, str] | None:
    """Return (family, prefix) of a whole prefix: that of an address has bits beyond its length."""
    try:
        family, prefix = parse_prefix(text) if isinstance(text, str) else (4, "")
    except ValueError:
        return None
    return (family, prefix) if "/" in prefix and not prefix.endswith(("/31", "/127")) else None


def _gateways(where: str, entry: Mapping[str, Any], errors: list[str]) -> dict[str, Any]:
    """Return what ``gateway`` says, as fields of an Interface."""
    if "gateway" not in entry:
        return {}
    raw = entry["gateway"]
    values = raw if isinstance(raw, list) else [raw]
    if not values or raw is None:
        errors.append(
            f"{where}: is empty; write an address like 192.168.1.254, `direct` where there is none "
            "on the link, `none` for no default route, or remove the key to use the interface's own"
        )
        return {}
    if NONE in values and len(values) > 1:
        errors.append(f"{where}: `none` stands beside others; write it alone, or remove it")
        return {"gateways": {}}
    gateways: dict[int, str] = {}
    for value in values:
        found = None
        if value not in (DIRECT, NONE):
            found = _checked(where, value, parse_gateway, errors)
        if found and found[0] in gateways:
            errors.append(
                f"{where}: {gateways[found[0]]} and {found[1]} are both IPv{found[0]}; "
                "write one gateway for each family, and `nexthops` in `routes` for more"
            )
        elif found:
            gateways[found[0]] = found[1]
    return {"gateways": gateways, "direct": DIRECT in values}


# --- routes and rules -------------------------------------------------------------------------


def _specs(
    where: str,
    entry: Mapping[str, Any],
    key: str,
    read: Callable[[str, Mapping[str, Any], list[str]], Spec | None],
    errors: list[str],
) -> tuple[Spec, ...]:
    raw = entry.get(key, [])
    if not isinstance(raw, list):
        errors.append(f"{where}.{key}: is {_kind(raw)}, not a list; write one `- ...` for each")
        return ()
    specs = []
    for index, item in enumerate(raw):
        place = f"{where}.{key}[{index}]"
        if not isinstance(item, Mapping) or not item:
            example = "{to: 10.0.0.0/8, via: 192.168.1.1}" if key == "routes" else "{fwmark: 1}"
            errors.append(f"{place}: is {_kind(item)}; write a dictionary like {example}")
            continue
        spec = read(place, item, errors)
        if spec:
            specs.append(spec)
    return tuple(specs)


def _said(
    where: str,
    item: Mapping[str, Any],
    entries: Iterable[Attribute],
    families: dict[str, int | None],
    errors: list[str],
) -> dict[str, Any]:
    """Return the fields of Route or Rule that an item says; ``families`` learns what tells one."""
    fields: dict[str, Any] = {}
    other: list[tuple[str, str]] = []
    for entry in entries:
        if entry.word not in item or entry.pillar is None:
            continue
        value = _checked(f"{where}.{entry.word}", item[entry.word], entry.pillar, errors)
        if entry.kind.family_told:
            families[entry.word], value = value or (None, None)
        elif len(entry.families) == 1:
            families[entry.word] = entry.families[0]
        if entry.field:
            fields[entry.field] = value
        else:
            other += entry.stored(value)
    return {**fields, "other": tuple(sorted(other))} if other else fields


def _one_of(value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{show(value)} is not known; write one of {', '.join(known)}")
    return str(value)


def _route_spec(where: str, item: Mapping[str, Any], errors: list[str]) -> Spec | None:
    before = len(errors)
    _unknown_keys(where, item, ROUTE_KEYS, errors)
    if "to" not in item:
        errors.append(f"{where}.to: is missing; write a prefix like 10.0.0.0/8, or default")
    families: dict[str, int | None] = {}
    found = _checked(f"{where}.to", item.get("to", "default"), parse_any_prefix, errors)
    families["to"], to = found or (None, None)
    fields = {"to": to or "default", **_said(where, item, _ROUTE_SAID, families, errors)}
    if "type" in item:
        fields["type"] = _checked(f"{where}.type", item["type"], _route_type, errors)
    fields["nexthops"] = _nexthops(where, item, families, errors)
    family = _one_family(where, families, errors)
    if len(errors) == before:
        errors += _route_contradictions(where, fields, item, family)
    return Spec(where, family, fields) if len(errors) == before else None


def _route_type(value: Any) -> str:
    return _one_of(value, ROUTE_TYPES)


def _nexthops(
    where: str, item: Mapping[str, Any], families: dict[str, int | None], errors: list[str]
) -> tuple[model.Nexthop, ...]:
    raw = item.get("nexthops", [])
    if not isinstance(raw, list) or ("nexthops" in item and not raw):
        errors.append(f"{where}.nexthops: is not a list of next hops; write `- via: ADDRESS`")
        return ()
    hops = []
    for index, leg in enumerate(raw):
        place = f"{where}.nexthops[{index}]"
        if not isinstance(leg, Mapping) or not {"via", "dev"} & set(leg):
            errors.append(f"{place}: names neither via nor dev; write `via: ADDRESS`")
            continue
        _unknown_keys(place, leg, NEXTHOP_KEYS, errors)
        via = _checked(f"{place}.via", leg["via"], parse_gateway, errors) if "via" in leg else None
        dev = leg.get("dev")
        if "dev" in leg:
            dev = _checked(f"{place}.dev", dev, parse_device, errors)
        weight = _checked(f"{place}.weight", leg.get("weight", 1), _weight, errors)
        if via:
            families[f"nexthops[{index}].via"] = via[0]
        hops.append(model.Nexthop(via[1] if via else None, dev, weight or 1))
    legs = [(hop.via, hop.dev) for hop in hops]
    if len(set(legs)) < len(legs):
        errors.append(f"{where}.nexthops: names a next hop twice; write it once, with a weight")
    return tuple(hops)


def _weight(value: Any) -> int:
    return parse_number(value, 1, 256)


def _one_family(where: str, families: Mapping[str, int | None], errors: list[str]) -> int | None:
    named = {key: family for key, family in families.items() if family}
    if len(set(named.values())) > 1:
        said = ", ".join(f"{key} is IPv{family}" for key, family in named.items())
        errors.append(f"{where}: {said}; write addresses of one family")
    return next(iter(named.values()), None)


_HOP_KEYS = ("via", "src", "nexthops", "onlink")
_USED_KEYS = tuple(
    entry.word for entry in _ROUTE_SAID if entry.tells != KEY and entry.word not in _HOP_KEYS
)


def _route_contradictions(
    where: str, fields: Mapping[str, Any], item: Mapping[str, Any], family: int | None
) -> list[str]:
    errors = []
    kind = fields.get("type") or "unicast"
    hops = fields["nexthops"]
    useless = [key for key in (*_HOP_KEYS, *_USED_KEYS) if key in item]
    if kind != "unicast" and useless:
        end = "to this host itself" if kind == "local" else "nowhere"
        errors.append(
            f"{where}: a {kind} route leads {end}; remove {', '.join(useless)}, or the type"
        )
    if hops and {"via", "onlink"} & set(item):
        errors.append(f"{where}: has both nexthops and via or onlink; move them into nexthops")
    elif fields.get("onlink") and not fields.get("via"):
        errors.append(f"{where}.onlink: there is no via that it could be about; add via")
    if any(not hop.via for hop in hops) and (family != 4 or len(hops) == 1):
        errors.append(
            f"{where}.nexthops: a next hop has no via, which only several of IPv4 can do without; "
            "add via"
        )
    scope = fields.get("scope") or 0
    if scope == SCOPES["nowhere"] or (scope >= SCOPES["link"] and (hops or fields.get("via"))):
        errors.append(
            f"{where}.scope: {show(item['scope'])} does not go with a next hop; remove scope"
        )
    return errors


def _rule_priority(value: Any) -> int:
    number = parse_number(value, 1, U32)
    if number in KERNEL_PRIORITIES:
        raise ValueError(
            f"{show(value)} is the kernel's own rule; write another number, like 20000"
        )
    return number


_RULE_STRUCTURE: dict[str, Callable[[Any], Any]] = {
    "priority": _rule_priority,
    "action": parse_action,
    "not": parse_flag,
}


def _rule_spec(where: str, item: Mapping[str, Any], errors: list[str]) -> Spec | None:
    before = len(errors)
    _unknown_keys(where, item, RULE_KEYS, errors)
    families: dict[str, int | None] = {}
    fields = _said(where, item, _RULE_SAID, families, errors)
    for key, check in _RULE_STRUCTURE.items():
        if key in item:
            fields[key] = _checked(f"{where}.{key}", item[key], check, errors)
    fields["invert"] = fields.pop("not", False)
    family = _one_family(where, families, errors)
    if len(errors) == before:
        _rule_contradictions(where, item, fields, family, errors)
    return Spec(where, family, fields) if len(errors) == before else None


def _rule_contradictions(
    where: str,
    item: Mapping[str, Any],
    fields: Mapping[str, Any],
    family: int | None,
    errors: list[str],
) -> None:
    named = [key for key in SELECTORS if key in item and item[key] is not False]
    limits = [key for key in _LIMITS if key in item]
    acts = item.get("action", "lookup") != "lookup"
    if not named and not limits and not acts:
        errors.append(
            f"{where}: selects every packet of the host; add a selector such as fwmark or to, "
            "or write `from: all` if that is meant"
        )
    if fields["invert"] and not any(_selects(fields, entry) for entry in _RULE_SAID):
        errors.append(f"{where}.not: there is no selector to negate; add one, or remove not")
    if acts:
        errors += [
            f"{where}.{key}: goes with a lookup only; remove it or the action" for key in limits
        ]
    length = fields.get("suppress_prefixlength")
    if length is not None and family == 4 and length > 32:
        errors.append(f"{where}.suppress_prefixlength: IPv4 has 32 bits; write 0 to 32")


def _selects(fields: Mapping[str, Any], entry: OfRule) -> bool:
    """Tell whether a rule selects by an entry; ``from: all`` selects nothing."""
    if entry.field:
        return entry.selects and fields.get(entry.field) is not None
    return entry.selects and entry.word in dict(fields.get("other", ()))


def _goto_forward(where: str, rules: Iterable[Spec], priority: int, errors: list[str]) -> None:
    for spec in rules:
        word, _, target = spec.fields.get("action", "").partition(" ")
        own = spec.fields.get("priority", priority)
        if word == "goto" and int(target) <= own:
            errors.append(
                f"{spec.where}.action: jumps back from priority {own} to {target}; "
                "the kernel only jumps forward, write a larger target"
            )


# --- the rest ---------------------------------------------------------------------------------


def check_backend(value: Any) -> str:
    """Return the name of a backend, or ``auto``; raises ValueError when there is none of it."""
    if value in backends.PLANNED:
        ways = ", ".join(backends.BACKENDS)
        raise ValueError(f"{show(value)} is not supported yet; write one of {ways}")
    return _one_of(value, (backends.AUTO, *backends.BACKENDS))


def _sysctl(raw: Any, errors: list[str]) -> dict[str, str]:
    if not isinstance(raw, Mapping):
        errors.append(f"sysctl: is {_kind(raw)}, not a dictionary; write `net.ipv4.ip_forward: 1`")
        return {}
    settings = {}
    for name, value in raw.items():
        where = f"sysctl.{_shown(name)}"
        if not isinstance(name, str) or not _SETTING.fullmatch(name):
            errors.append(f"{where}: is not a kernel setting; write one like net.ipv4.ip_forward")
        elif isinstance(value, bool):
            errors.append(f"{where}: {value} is a boolean; write {int(value)}")
        elif not _one_line(value):
            errors.append(
                f"{where}: {show(value)} is not a number or one line of text; write the value "
                "that `sysctl` shows"
            )
        else:
            settings[name] = str(value)
    return settings


def _one_line(value: Any) -> bool:
    if isinstance(value, int):
        return abs(value) < 2**64
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= _MAX_SETTING
