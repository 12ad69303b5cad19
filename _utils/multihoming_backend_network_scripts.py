"""Backend ``network-scripts``: ifcfg-, route- and rule- files of RHEL and CentOS.

What the files mean is what ``ifup-routes`` and ``ifup-eth`` make of them: each line of route-DEV
becomes ``ip -4 route add LINE``, of rule-DEV ``ip -4 rule add LINE``, route6-DEV and rule6-DEV
alike with ``-6``; a route file with any ``ADDRESSn=`` line is sourced as shell instead. Lines that
lead to an owned table are ours, all others stay as they are. Files are read as data, never run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import multihoming_config as config
import multihoming_default_gateway as default_gateway
import multihoming_files as files
import multihoming_model as model
import multihoming_rules as rules_
import multihoming_shell as shell

NAME = "network-scripts"
FOLDER = "/etc/sysconfig/network-scripts"
NETWORK = "/etc/sysconfig/network"

_KINDS = ("route", "route6", "rule", "rule6")
_FILE = re.compile(r"(route6?|rule6?)-(.+)")
# Copies that ifup passes over (the same list as in network-functions).
_COPY = re.compile(r"(~|\.bak|\.old|\.orig|\.rpmnew|\.rpmorig|\.rpmsave)$")
_SOURCED = re.compile(r"^[ \t]*ADDRESS[0-9]+=", re.MULTILINE)
_PASSED_OVER = re.compile(r"[ \t]*(#.*)?", re.DOTALL)
# iproute2 reads the ids of rt_tables as signed numbers and passes over those that don't fit, so
# lines have to name such a table by its id.
_MAX_NAMED = 2**31 - 1
_LOST = "# never loaded: "


@dataclass(frozen=True)
class Line:
    """A line of a route or rule file.

    ours
        It leads to an owned table.
    item
        What the loader makes of it, None when it can't load it.
    """

    raw: str
    ours: bool = False
    item: model.Route | model.Rule | None = None


@dataclass(frozen=True)
class _Known:
    """What is owned, and names -> ids: all, and those that iproute2 can look up."""

    ours: rules_.Ours
    tables: Mapping[str, int]
    loadable: Mapping[str, int]


def in_charge() -> bool:
    """Tell whether this host's network is configured by network-scripts."""
    return os.path.isdir(FOLDER) and not os.path.isdir("/run/NetworkManager/devices")


def read() -> dict[str, str]:
    """Return path -> text of all route and rule files that the scripts would load."""
    texts = {}
    for name in files.names(FOLDER):
        if _FILE.fullmatch(name) and not _COPY.search(name):
            path = os.path.join(FOLDER, name)
            texts[path] = files.read(path) or ""
    return texts


def interfaces(
    devices: Iterable[str],
) -> tuple[dict[str, tuple[tuple[config.Address, ...], dict[int, str]]], dict[str, str]]:
    """Return what the interfaces' own files say of them, and what can't be understood.

    The first is interface -> (addresses, gateways by family), the second interface -> message
    naming the file and line of a value that can't be read as data.
    """
    found, errors = {}, {}
    named: dict[str, list[str]] = {}
    for name in files.names(FOLDER):
        if name.startswith("ifcfg-") and not _COPY.search(name):
            named.setdefault(name.removeprefix("ifcfg-").partition(":")[0], []).append(name)
    for dev in devices:
        try:
            found[dev] = _interface(dev, named.get(dev, []))
        except files.ContentError as err:
            errors[dev] = str(err)
    return found, errors


def _interface(dev: str, names: Iterable[str]) -> tuple[tuple[config.Address, ...], dict[int, str]]:
    """Return (addresses, gateways) of ifcfg-DEV and its aliases ifcfg-DEV:N."""
    addresses: list[config.Address] = []
    gateways: dict[int, str] = {}
    for name in names:
        path = os.path.join(FOLDER, name)
        values = shell.assignments(path, files.read(path) or "")
        addresses += _addresses(path, values)
        if name == f"ifcfg-{dev}":
            gateways = _gateways(path, values)
    return tuple(dict.fromkeys(addresses)), gateways


def device(path: str) -> str | None:
    """Return the interface a route or rule file is for."""
    match = _FILE.fullmatch(os.path.basename(path))
    return match[2] if match else None


def owned(
    texts: Mapping[str, str], ids: frozenset[int], tables: Mapping[str, int]
) -> dict[str, frozenset[int]]:
    """Return path -> ids of the owned tables that the file has lines for."""
    found = {}
    for path, text in texts.items():
        named = frozenset(
            id_ for raw in _logical_lines(text) if (id_ := _table(path, raw, tables)) in ids
        )
        if named:
            found[path] = named
    return found


def rules(texts: Mapping[str, str], tables: Mapping[str, int]) -> list[model.Rule]:
    """Return the rules that the files make the scripts load.

    texts
        Path -> text, from ``read``.
    tables
        Name -> id, from rt_tables.
    """
    items = (
        _item(path, raw, tables)
        for path, text in texts.items()
        if _kind(path).startswith("rule")
        for raw in _logical_lines(text)
        if not _PASSED_OVER.fullmatch(raw)
    )
    return [item for item in items if isinstance(item, model.Rule)]


def render(
    texts: Mapping[str, str],
    policies: Mapping[str, model.Policy],
    ours: rules_.Ours,
    tables: Mapping[str, int],
    future: Mapping[str, int],
) -> dict[str, str | None]:
    """Return path -> new text of the files to change; None deletes a file that says nothing more.

    texts
        Path -> text, from ``read``.
    policies
        Interface -> what its files have to say.
    ours
        What is owned: lines that make it are ours.
    tables
        Name -> id, from rt_tables as it is.
    future
        Name -> id, from rt_tables as it will be: the names that can be loaded.

    A file whose lines mean what they should stays as it is, to the letter.
    """
    paths = [*texts, *(_path(kind, dev) for dev in policies for kind in _KINDS)]
    loadable = {name: id_ for name, id_ in future.items() if id_ <= _MAX_NAMED}
    known = _Known(ours, {**tables, **future}, loadable)
    names = {id_: name for name, id_ in known.loadable.items()}
    edits = {}
    for path in dict.fromkeys(paths):
        text = texts.get(path, "")
        items = _items(path, policies.get(device(path) or ""))
        after = _render(path, text, items, known, names)
        if after != text:
            edits[path] = after or None
    return edits


def _path(kind: str, dev: str) -> str:
    return os.path.join(FOLDER, f"{kind}-{dev}")


def _family(path: str) -> int:
    return 6 if _kind(path).endswith("6") else 4


def _kind(path: str) -> str:
    return os.path.basename(path).partition("-")[0]


def _items(path: str, policy: model.Policy | None) -> list[model.Route] | list[model.Rule]:
    """Return what the file has to hold, in an order in which it can be loaded."""
    if policy is None:
        return []
    family = _family(path)
    if _kind(path).startswith("rule"):
        return rules_.loading_order(rule for rule in policy.rules if rule.family == family)
    return [route for route in policy.routes if route.family == family]


def _render(
    path: str,
    text: str,
    items: Sequence[model.Route | model.Rule],
    known: _Known,
    names: Mapping[int, str],
) -> str:
    lines = [_line(path, raw, known) for raw in _logical_lines(text)]
    sourced = _kind(path).startswith("route") and _SOURCED.search(text)
    ours = [line.item for line in lines if line.ours]
    if sourced and not ours and not items:
        return text
    if not sourced and _as_wanted(ours, items):
        return text
    if sourced:
        lines = _converted(path, text, lines)
    return _replaced(lines, [_text(item, names) for item in items])


def _as_wanted(
    ours: Sequence[model.Route | model.Rule | None], items: Sequence[model.Route | model.Rule]
) -> bool:
    if len(ours) != len(items) or set(ours) != set(items):
        return False
    return rules_.loadable(item for item in ours if isinstance(item, model.Rule))


def _logical_lines(text: str) -> list[str]:
    """Split a text into lines as bash's ``read`` does: a backslash at the end joins two."""
    lines: list[str] = []
    joined = False
    for raw in text.split("\n"):
        if joined:
            lines[-1] += f"\n{raw}"
        else:
            lines.append(raw)
        joined = (len(raw) - len(raw.rstrip("\\"))) % 2 == 1
    return lines


def _words(raw: str) -> list[str]:
    """Split a line as the shell does: at spaces and tabs only."""
    return re.split(r"[ \t]+", raw.replace("\\\n", "").strip(" \t\r"))


def _text(item: model.Route | model.Rule, names: Mapping[int, str]) -> str:
    name = names.get(item.table or 0)
    if isinstance(item, model.Rule):
        return " ".join(model.rule_words(item, name))
    return " ".join(model.route_words(item, name))


def _replaced(lines: Sequence[Line], block: list[str]) -> str:
    """Put our block where our first line stood, else at the end."""
    place = next((index for index, line in enumerate(lines) if line.ours), len(lines))
    before = [line.raw for line in lines[:place]]
    after = [line.raw for line in lines[place:] if not line.ours]
    while before and not before[-1] and not any(after):
        before.pop()
    kept = "\n".join([*before, *block, *after]).rstrip("\n")
    return f"{kept}\n" if kept else ""


def _table(path: str, raw: str, tables: Mapping[str, int]) -> int | None:
    """Return the id of the table that a line names."""
    if _PASSED_OVER.fullmatch(raw):
        return None
    name = model.table_word(_words(raw), "rule" if _kind(path).startswith("rule") else "route")
    if name is None or name in tables:
        return tables.get(name or "")
    try:
        return model.parse_number(name, 0, model.U32)
    except ValueError:
        return None


def _line(path: str, raw: str, known: _Known) -> Line:
    table = _table(path, raw, known.tables)
    if table in known.ours.tables:
        return Line(raw, True, _item(path, raw, known.loadable))
    if table == model.MAIN and known.ours.into_main:
        item = _item(path, raw, known.loadable)
        if item and item in known.ours:
            return Line(raw, True, item)
    return Line(raw)


def _item(path: str, raw: str, tables: Mapping[str, int]) -> model.Route | model.Rule | None:
    """Return what the loader makes of a line; a CR or a comment at its end spoils it."""
    if "\r" in raw:
        return None
    try:
        if _kind(path).startswith("rule"):
            return model.rule_from_words(_words(raw), _family(path), tables)
        route = model.route_from_words(_words(raw), _family(path), tables)
    except ValueError:
        return None
    return _through(route, device(path) or "")


def _through(route: model.Route, dev: str) -> model.Route:
    """Fill in the interface, which the kernel finds by the gateway when a line names none."""
    if route.via and not route.dev:
        route = replace(route, dev=dev)
    if any(hop.via and not hop.dev for hop in route.nexthops):
        hops = (replace(hop, dev=hop.dev or dev) for hop in route.nexthops)
        route = model.canonical(replace(route, nexthops=tuple(hops)))
    return route


# --- ADDRESSn files ---------------------------------------------------------------------------


def _converted(path: str, text: str, lines: Iterable[Line]) -> list[Line]:
    """Return the lines that say in ip's words what a sourced file did.

    Only ADDRESS0 up to the first gap was ever loaded. Lines that were not are kept as comments, so
    that the conversion brings nothing to life.
    """
    routes = _sourced_routes(path, shell.assignments(path, text))
    converted = [Line(route) for route in routes]
    kept: list[Line] = []
    for line in lines:
        variables = shell.assignments(path, line.raw)
        loaded = [name for name in variables if _is_loaded(name, len(routes))]
        if loaded:
            kept += converted
            converted = []
        if line.ours or _PASSED_OVER.fullmatch(line.raw):
            kept.append(line)
        elif not loaded or len(loaded) < len(variables):
            kept += [Line(f"{_LOST}{part.strip()}") for part in line.raw.split("\n")]
    return kept


def _is_loaded(name: str, count: int) -> bool:
    match = re.fullmatch(r"(?:ADDRESS|NETMASK|GATEWAY)([0-9]+)", name)
    return bool(match) and int(match[1]) < count  # type: ignore[index]


def _sourced_routes(path: str, values: Mapping[str, str]) -> list[str]:
    routes: list[str] = []
    while address := _value(values, f"ADDRESS{len(routes)}"):
        number = len(routes)
        mask = _value(values, f"NETMASK{number}") or _classful(address)
        gateway = _value(values, f"GATEWAY{number}")
        try:
            _, host, length = model.parse_interface(f"{address}/{mask}")
            via = f" via {_next_hop(gateway, 4)}" if gateway else ""
        except ValueError as err:
            raise files.ContentError(f"{path}: ADDRESS{number} to GATEWAY{number}: {err}") from None
        routes.append(f"{model.network_of(host, length)}{via} dev {device(path)}")
    return routes


def _classful(address: str) -> str:
    """Return the length that ipcalc assumes when there is no netmask."""
    octet = address.partition(".")[0]
    first = int(octet) if octet.isdecimal() else 0
    return "8" if first < 128 else "16" if first < 192 else "24"


# --- for people who look for faults -----------------------------------------------------------


@dataclass(frozen=True)
class Loaded:
    """A line of a route or rule file that the loader hands to ``ip``.

    table
        The name or number in it, None for main.
    item
        What it makes, None when that can't be told or it is refused.
    crlf
        It ends in CR, which spoils it.
    """

    path: str
    raw: str
    table: str | None
    item: model.Route | model.Rule | None
    crlf: bool = False


@dataclass(frozen=True)
class Profile:
    """The ifcfg file of an interface and what it sets, read as data."""

    name: str
    path: str
    device: str
    values: Mapping[str, str]

    def value(self, name: str) -> str:
        """Return a variable; empty when unset, or when only a shell could tell."""
        return plain(self.values, name)


def plain(values: Mapping[str, str], name: str) -> str:
    """Return a variable of ``assignments``; empty when unset, or when only a shell could tell."""
    return "" if shell.doubt(values, name) else values.get(name, "")


def loaded_lines(texts: Mapping[str, str], tables: Mapping[str, int]) -> list[Loaded]:
    """Return what the loader hands to ``ip``, of all files, in their order.

    texts
        Path -> text, from ``read``.
    tables
        Name -> id, of the tables that iproute2 can look up.
    """
    found = []
    for path, text in texts.items():
        for raw in _handed_over(path, text):
            kind = "rule" if _kind(path).startswith("rule") else "route"
            table = model.table_word(_words(raw), kind)
            item = _item(path, raw, tables)
            found.append(Loaded(path, raw.strip(), table, item, "\r" in raw))
    return found


def _handed_over(path: str, text: str) -> list[str]:
    if _is_sourced(path, text):
        try:
            return _sourced_routes(path, shell.assignments(path, text))
        except files.ContentError:
            return []
    return [raw for raw in _logical_lines(text) if not _PASSED_OVER.fullmatch(raw)]


def _is_sourced(path: str, text: str) -> bool:
    return _kind(path).startswith("route") and bool(_SOURCED.search(text))


def lost_lines(path: str, text: str) -> list[str]:
    """Return the lines of an ADDRESSn file that nothing is made of.

    These are lines in ip's words, and numbers that come after a gap.
    """
    if not _is_sourced(path, text):
        return []
    count = len(_handed_over(path, text))
    lost = []
    for raw in _logical_lines(text):
        named = [name for name in shell.assignments(path, raw) if f"{name}=" in raw]
        numbered = [name for name in named if re.fullmatch(r"(ADDRESS|NETMASK|GATEWAY)\d+", name)]
        in_vain = any(not _is_loaded(name, count) for name in numbered)
        if in_vain or not (named or _PASSED_OVER.fullmatch(raw)):
            lost.append(raw)
    return lost


def profiles() -> list[Profile]:
    """Return the ifcfg files in the order in which the network service brings them up.

    That is by name, numbers as numbers; lo, aliases and copies are no interfaces of their own.
    """
    found = []
    for name in sorted(files.names(FOLDER), key=_boot_order):
        if not name.startswith("ifcfg-") or _COPY.search(name) or ":" in name or name == "ifcfg-lo":
            continue
        path = os.path.join(FOLDER, name)
        values = shell.assignments(path, files.read(path) or "")
        own = name.removeprefix("ifcfg-")
        found.append(Profile(own, path, plain(values, "DEVICE") or own, values))
    return found


def static_addresses(profile: Profile) -> list[config.Address]:
    """Return the addresses that a profile sets, none when it can't be understood."""
    try:
        return _addresses(profile.path, profile.values)
    except files.ContentError:
        return []


def _boot_order(name: str) -> tuple[str, int, str]:
    match = re.fullmatch(r"(\D*)(\d{0,9})(.*)", name, re.DOTALL)
    return (match[1], int(match[2] or 0), match[3]) if match else (name, 0, "")


def is_false(value: str) -> bool:
    """Tell whether a value means no, as is_false() of the scripts does."""
    return value.lower() in ("no", "n", "false", "f", "off", "0")


# --- ifcfg ------------------------------------------------------------------------------------


def _value(values: Mapping[str, str], name: str) -> str:
    """Return a variable, empty when unset; raises ContentError when only a shell could tell."""
    if why := shell.doubt(values, name):
        raise files.ContentError(f"{why}, or give `addresses` and `gateway` in the pillar")
    return values.get(name, "")


def _addresses(path: str, values: Mapping[str, str]) -> list[config.Address]:
    found: list[tuple[str, str]] = []
    dynamic = _value(values, "BOOTPROTO").lower() in ("dhcp", "bootp")  # IPADDR has no effect then
    for index in () if dynamic else ("", *(str(number) for number in range(256))):
        address = _value(values, f"IPADDR{index}")
        if not address:
            if index and int(index) >= 2:
                break
            continue
        mask = _value(values, f"PREFIX{index}") or _value(values, f"NETMASK{index}")
        found.append((f"IPADDR{index}", f"{address}/{mask or _classful(address)}"))
    if _has_ipv6(values):
        more = _value(values, "IPV6ADDR_SECONDARIES").split()
        own = filter(None, [_value(values, "IPV6ADDR"), *more])
        found += [("IPV6ADDR", text if "/" in text else f"{text}/64") for text in own]
    return [_own(path, name, text) for name, text in found]


def _has_ipv6(values: Mapping[str, str]) -> bool:
    return not is_false(_value(values, "IPV6INIT"))


def _own(path: str, name: str, text: str) -> config.Address:
    try:
        address = config.parse_own_address(text)
    except ValueError as err:
        raise files.ContentError(f"{path}: {name}: {err}") from None
    if (address.family == 6) != name.startswith("IPV6"):
        raise files.ContentError(f"{path}: {name}: {model.show(text)} is of the other family")
    return address


def _gateways(path: str, values: Mapping[str, str]) -> dict[int, str]:
    gateways = {}
    named = {4: "GATEWAY", 6: "IPV6_DEFAULTGW"} if _has_ipv6(values) else {4: "GATEWAY"}
    for family, name in named.items():
        text = _value(values, name).partition("%")[0]
        if text:
            try:
                gateways[family] = _next_hop(text, family)
            except ValueError as err:
                raise files.ContentError(f"{path}: {name}: {err}") from None
    return gateways


def _next_hop(text: str, family: int) -> str:
    found, address = config.parse_gateway(text)
    if found != family:
        raise ValueError(f"{model.show(text)} is not IPv{family}; write an IPv{family} address")
    return address


# --- main's default route ---------------------------------------------------------------------

# What ifup-eth and ifup-ipv6 look at. Each sources /etc/sysconfig/network and then ifcfg-DEV over
# it. GATEWAYDEV and IPV6_DEFAULTDEV name the only interface that may make the default route.
_DEVICE_OF_DEFAULT = {4: "GATEWAYDEV", 6: "IPV6_DEFAULTDEV"}
_GATEWAY_OF_DEFAULT = {4: "GATEWAY", 6: "IPV6_DEFAULTGW"}
_METRIC6 = 1  # ifup-ipv6 adds its default route with it
_SIMPLE = re.compile(
    r"""(?P<head>(?:export[ \t]+)?(?P<name>\w+)=)
    (?P<value>[\w./:%+@-]*|"[\w./:%+@ -]*"|'[\w./:%+@ -]*')(?P<tail>[ \t\r]*|[ \t]+\#.*)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class _Nic:
    """What the scripts know when they bring an interface up.

    values
        All variables; ``own`` are those of its file alone.
    """

    device: str
    path: str
    values: Mapping[str, str]
    own: Mapping[str, str]

    def is_false(self, name: str) -> bool:
        """Tell whether a variable says no."""
        return is_false(_value(self.values, name))

    @property
    def is_static(self) -> bool:
        """Tell whether the addresses stand in the file."""
        return _value(self.values, "BOOTPROTO").lower() not in ("dhcp", "bootp")


def _nics() -> dict[str, _Nic]:
    """Return interface -> what its file and the global one say."""
    common = shell.assignments(NETWORK, files.read(NETWORK) or "")
    found = {}
    for name in files.names(FOLDER):
        dev = name.removeprefix("ifcfg-")
        if name.startswith("ifcfg-") and not _COPY.search(name) and ":" not in dev:
            path = os.path.join(FOLDER, name)
            own = shell.assignments(path, files.read(path) or "")
            found[dev] = _Nic(dev, path, shell.sourced_over(common, own), own)
    return found


def defaults(dev: str, gateways: Mapping[int, str]) -> tuple[list[model.Route], list[str]]:
    """Return (main's default routes that the scripts make, what is in the way of ``dev``).

    The first are those of every interface, as if there were no GATEWAYDEV.
    """
    nics = _nics()
    routes = [
        route for nic in nics.values() for family in (4, 6) for route in _default_made(nic, family)
    ]
    if dev not in nics:
        return routes, [
            f"there is no {FOLDER}/ifcfg-{dev}, so after a restart there would be no default route "
            "at all; write that file, or choose an interface that has one"
        ]
    problems = [problem for nic in nics.values() for problem in _in_the_way(nic, dev, gateways)]
    return routes, problems


def _default_made(nic: _Nic, family: int) -> list[model.Route]:
    """Return the default route that an interface makes when it comes up."""
    try:
        gateway = _gateways(nic.path, nic.values).get(family)
        metric = model.parse_number(_value(nic.values, "METRIC") or 0, 0, model.U32)
        unheard = family == 4 and (nic.is_false("DEFROUTE") or _outside(nic, gateway or ""))
    except (files.ContentError, ValueError):
        return []
    if not gateway or unheard:
        return []
    return [
        default_gateway.default_route(
            family, gateway, nic.device, metric if family == 4 else _METRIC6
        )
    ]


def _outside(nic: _Nic, gateway: str) -> str:
    """Return the subnet of the first address when the gateway lies outside: it is then ignored."""
    own = [address for address in _addresses(nic.path, nic.values) if address.family == 4]
    if not own or not gateway:
        return ""
    subnet = model.network_of(own[0].address, own[0].length)
    return "" if gateway in model.network(subnet) else subnet


def _in_the_way(nic: _Nic, dev: str, gateways: Mapping[int, str]) -> list[str]:
    """Return what keeps an interface's file from going along with ``dev`` as the default."""
    problems = []
    for family, gateway in gateways.items():
        try:
            problems += _overrides(nic, dev, family)
            if nic.device == dev:
                problems += _chosen_in_vain(nic, family, gateway)
        except files.ContentError as err:
            problems.append(str(err))
    return problems


def _overrides(nic: _Nic, dev: str, family: int) -> list[str]:
    name = _DEVICE_OF_DEFAULT[family]
    other = _value(nic.own, name)
    if other and other != dev:
        return [f"{nic.path}: {name}={other} counts for {nic.device}; remove that line"]
    gateway = _value(nic.own, "IPV6_DEFAULTGW") if family == 6 else ""
    scope = gateway.partition("%")[2]
    if scope and scope != dev:
        return [
            f"{nic.path}: IPV6_DEFAULTGW={gateway} makes a default route whatever else is said; "
            f"write it without %{scope}"
        ]
    return []


def _chosen_in_vain(nic: _Nic, family: int, gateway: str) -> list[str]:
    """Return why the chosen interface would make another default route, or none."""
    name = _GATEWAY_OF_DEFAULT[family]
    said = _gateways(nic.path, nic.values).get(family)
    where = nic.path if nic.own.get(name) else NETWORK
    common = _value(shell.assignments(NETWORK, files.read(NETWORK) or ""), name)
    problems = []
    if common and common.partition("%")[0] != gateway:
        problems.append(
            f"{NETWORK}: {name}={common} is the gateway of every interface that names none; remove "
            "that line"
        )
    if nic.is_false("ONBOOT"):
        problems.append(f"{nic.path}: ONBOOT=no, so it is down after a restart; write ONBOOT=yes")
    if family == 4 and nic.is_false("DEFROUTE"):
        problems.append(
            f"{nic.path}: DEFROUTE={_value(nic.values, 'DEFROUTE')} forbids the default route; "
            "remove that line"
        )
    if family == 4 and not nic.is_static:
        return problems  # the DHCP client makes it, and heeds GATEWAYDEV
    if not said:
        problems.append(
            f"{nic.path}: has no {name}, so there would be no IPv{family} default route after a "
            f"restart; write {name}={gateway}"
        )
    elif said != gateway:
        problems.append(
            f"{where}: {name}={said}, but the pillar says {gateway}; write the same in both"
        )
    elif family == 4:
        problems += _unheard(nic, said)
    return problems


def _unheard(nic: _Nic, gateway: str) -> list[str]:
    subnet = _outside(nic, gateway)
    if subnet:
        return [
            f"{nic.path}: GATEWAY={gateway} is outside of {subnet}, the subnet of the first "
            "address, and is ignored; write a gateway there, or put the address next to it first"
        ]
    own = next(iter(_addresses(nic.path, nic.values)), None)
    network = _value(nic.values, "NETWORK")
    if own and network and network != model.network_of(own.address, own.length).partition("/")[0]:
        return [
            f"{nic.path}: NETWORK={network} is not the network of {own}, so GATEWAY is ignored; "
            "remove that line"
        ]
    return []


def keep_default(dev: str, gateways: Iterable[int]) -> list[files.Edit]:
    """Return the edit of /etc/sysconfig/network that makes ``dev`` the default after a restart."""
    before = files.read(NETWORK)
    text = before or ""
    for family in gateways:
        text = _assigned(text, _DEVICE_OF_DEFAULT[family], dev)
    return [files.Edit(NETWORK, before, text)] if text != before else []


def chosen_default() -> dict[str, str]:
    """Return variable -> the interface that /etc/sysconfig/network names for the default route.

    Raises ContentError when only a shell could tell.
    """
    values = shell.assignments(NETWORK, files.read(NETWORK) or "")
    for name in _DEVICE_OF_DEFAULT.values():
        if why := shell.doubt(values, name):
            raise files.ContentError(why)
    return {name: dev for name in _DEVICE_OF_DEFAULT.values() if (dev := values.get(name))}


def _assigned(text: str, name: str, value: str) -> str:
    """Set a variable of a file that is sourced, where it stands if that is plain to see."""
    # What the last line says counts, whatever only a shell could tell of the lines before it.
    last = text.rstrip("\n").rpartition("\n")[2]
    if last == f"{name}={value}" or shell.assignments(NETWORK, text).get(name) == value:
        return text
    lines = text.splitlines(keepends=True)
    places = [number for number, line in enumerate(lines) if name in line]
    simple = _SIMPLE.fullmatch(lines[places[-1]].rstrip("\n")) if places else None
    if simple and simple["name"] == name and _is_plain(lines):
        lines[places[-1]] = f"{simple['head']}{value}{simple['tail']}\n"
        return "".join(lines)
    newline = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{newline}{name}={value}\n"


def _is_plain(lines: Iterable[str]) -> bool:
    """Tell whether a sourced file has nothing but assignments, blank lines and comments."""
    return all(
        _PASSED_OVER.fullmatch(line.strip()) or _SIMPLE.fullmatch(line.rstrip("\n"))
        for line in lines
    )
