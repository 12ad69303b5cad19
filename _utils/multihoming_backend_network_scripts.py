"""Backend ``network-scripts``: route- and rule- files of RHEL and CentOS.

What the files mean is what ``ifup-routes`` makes of them: each line of route-DEV
becomes ``ip -4 route add LINE``, of rule-DEV ``ip -4 rule add LINE``, route6-DEV and rule6-DEV
alike with ``-6``; a route file with any ``ADDRESSn=`` line is sourced as shell instead. Lines that
lead to an owned table are ours, all others stay as they are. Files are read as data, never run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import multihoming_files as files
import multihoming_ifcfg as ifcfg
import multihoming_iproute2 as iproute2
import multihoming_model as model
import multihoming_rules as rules_
import multihoming_shell as shell
import multihoming_values as values
from multihoming_backend import Backend, Claim, Default, Kept, Line, Stamps
from multihoming_edit import Edit
from multihoming_errors import ContentError
from multihoming_lazy import room
from multihoming_numbers import MAIN
from multihoming_values import network_of, parse_interface

NAME = "network-scripts"
STAMPS = Stamps()  # the scripts run plain `ip route add` and `ip rule add`
PATIENCE = 0.0
FOLDERS: Sequence[str] = (f"{ifcfg.FOLDER}/", "/etc/sysconfig/")

_KINDS = ("route", "route6", "rule", "rule6")
_FILE = re.compile(r"(route6?|rule6?)-(.+)")
_SOURCED = re.compile(r"^[ \t]*ADDRESS[0-9]+=", re.MULTILINE)
# iproute2 reads the ids of rt_tables as signed numbers and passes over those that don't fit, so
# lines have to name such a table by its id.
_MAX_NAMED = 2**31 - 1
_LOST = "# never loaded: "
_NETWORKMANAGER = "/run/NetworkManager/devices"
_SCRIPT = os.path.join(ifcfg.FOLDER, "ifup-routes")
_DISPATCHERS = tuple(
    os.path.join(folder, "10-ifcfg-rh-routes.sh")
    for folder in ("/etc/NetworkManager/dispatcher.d", "/usr/lib/NetworkManager/dispatcher.d")
)


class _Line(NamedTuple):
    """A line of a route or rule file.

    ours
        It leads to an owned table.
    item
        What the loader makes of it, None when it can't load it.
    """

    raw: str
    ours: bool = False
    item: model.Route | model.Rule | None = None


class _Known(NamedTuple):
    """What is owned, and names -> ids: all, and those that iproute2 can look up."""

    ours: rules_.Ours
    tables: Mapping[str, int]
    loadable: Mapping[str, int]


# --- looking ----------------------------------------------------------------------------------


def claims(devices: Iterable[str]) -> dict[str, Claim]:
    """Claim every interface where the scripts are there and NetworkManager does not run.

    The claim is sure of one that has an ifcfg file.
    """
    if not os.path.isdir(ifcfg.FOLDER) or os.path.isdir(_NETWORKMANAGER):
        return {}
    names = set(files.names(ifcfg.FOLDER))
    return {
        dev: Claim(os.path.join(ifcfg.FOLDER, f"ifcfg-{dev}"))
        if f"ifcfg-{dev}" in names
        else Claim(ifcfg.FOLDER, sure=False)
        for dev in devices
    }


def look(devices: Iterable[str], default: bool = False) -> Kept:
    """Read the route and rule files, and where anything in them is asked for the ifcfg files."""
    devices = list(devices)
    with_ifcfg = default or bool(devices)
    names = [name for name in files.names(ifcfg.FOLDER) if _is_read(name, with_ifcfg)]
    paths = [os.path.join(ifcfg.FOLDER, name) for name in names]
    paths += [ifcfg.NETWORK] if with_ifcfg else []
    texts = {path: text for path in paths if (text := files.read(path)) is not None}
    found, unreadable = ifcfg.interfaces(texts, devices) if devices else ({}, {})
    return Kept(texts, found, unreadable, unloaded(filter(device, texts)))


def _is_read(name: str, with_ifcfg: bool) -> bool:
    if _FILE.fullmatch(name):
        return not ifcfg.COPY.search(name)
    return with_ifcfg and ifcfg.is_ifcfg(name)


def unloaded(paths: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return path -> why nothing loads a route or rule file, and the remedy."""
    if os.path.isdir(_NETWORKMANAGER):
        has_dispatcher = any(map(os.path.exists, _DISPATCHERS))
        reasons = ((path, _unheard_by_networkmanager(path, has_dispatcher)) for path in paths)
        return {path: reason for path, reason in reasons if reason}
    if os.access(_SCRIPT, os.X_OK):
        return {}
    missing = (f"there is no {_SCRIPT} that could be run", "dnf install network-scripts")
    return dict.fromkeys(paths, missing)


def _unheard_by_networkmanager(path: str, has_dispatcher: bool) -> tuple[str, str] | None:
    if not files.exists(os.path.join(ifcfg.FOLDER, f"ifcfg-{device(path)}")):
        return (
            "NetworkManager is in charge, and has no ifcfg file for that interface",
            "nmcli connection modify CONNECTION +ipv4.routes ROUTE +ipv4.routing-rules RULE",
        )
    if _kind(path).startswith("rule") and not has_dispatcher:
        return (
            f"NetworkManager is in charge, without {os.path.basename(_DISPATCHERS[0])}, its "
            "dispatcher script for rule files",
            "dnf install NetworkManager-dispatcher-routing-rules",
        )
    return None


def device(path: str) -> str | None:
    """Return the interface a route or rule file is for; None when it is no such file."""
    match = _FILE.fullmatch(path.rpartition("/")[2])
    return match[2] if match else None


# --- main's default route -----------------------------------------------------------------------


def defaults(kept: Kept) -> list[model.Route]:
    """Return main's default routes that the scripts make."""
    return ifcfg.defaults(kept.texts)


def chosen_default(kept: Kept) -> dict[str, str]:
    """Return GATEWAYDEV and IPV6_DEFAULTDEV of /etc/sysconfig/network, where they are set."""
    return ifcfg.chosen_default(kept.texts)


def problems(kept: Kept, default: Default) -> list[str]:
    """Return what in the files is in the way of the default route, with the remedy."""
    return ifcfg.problems(kept.texts, default)


# --- what the files should say ------------------------------------------------------------------


def render(
    kept: Kept,
    policies: Mapping[str, model.Policy],
    ours: rules_.Ours,
    tables: Mapping[str, int],
    future: Mapping[str, int],
    default: Default | None = None,
) -> list[Edit]:
    """Return the edits of the files; one that says nothing more is deleted.

    A file whose lines mean what they should stays as it is, to the letter.
    """
    written = filter(device, kept.texts)
    paths = [*written, *(_path(kind, dev) for dev in policies for kind in _KINDS)]
    loadable = {name: id_ for name, id_ in future.items() if id_ <= _MAX_NAMED}
    known = _Known(ours, {**tables, **future}, loadable)
    names = {id_: name for name, id_ in known.loadable.items()}
    edits = []
    for path in dict.fromkeys(paths):
        text = kept.texts.get(path, "")
        items = _items(path, policies.get(device(path) or ""))
        after = _render(path, text, items, known, names) if text or items else ""
        if after != text:
            edits.append(Edit(NAME, path, kept.texts.get(path), after or None))
    if default:
        before = kept.texts.get(ifcfg.NETWORK)
        after = ifcfg.keep_default(kept.texts, default)
        edits += [Edit(NAME, ifcfg.NETWORK, before, after)] if after != before else []
    return edits


def write(edits: Sequence[Edit]) -> None:
    """Write the files."""
    files.write(edits)


def activate(_devices: Sequence[str]) -> None:
    """Do nothing: the scripts read the files when an interface comes up, and not before."""


def _path(kind: str, dev: str) -> str:
    return os.path.join(ifcfg.FOLDER, f"{kind}-{dev}")


def _family(path: str) -> int:
    return 6 if _kind(path).endswith("6") else 4


def _kind(path: str) -> str:
    return path.rpartition("/")[2].partition("-")[0]


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
    block = [_text(item, names) for item in items]
    # Most lines are just what we would write: these need not be read.
    written = dict(zip(block, items, strict=True))
    lines = [_line(path, raw, known, written) for raw in _logical_lines(text)]
    sourced = _kind(path).startswith("route") and _SOURCED.search(text)
    ours = [line for line in lines if line.ours]
    if sourced and not ours and not items:
        return text
    if not sourced and ([line.raw for line in ours] == block or _as_wanted(ours, items)):
        return text
    if sourced:
        lines = _converted(path, text, lines)
    texts = dict(zip(items, block, strict=True))
    standing = {model.unordered(line.item) for line in lines if line.ours and line.item}
    merged = _merged(lines, texts)
    if not _is_loadable(merged, standing):
        merged = _in_one_block(merged, items)
    return "\n".join(line.raw for line in merged)


def _as_wanted(ours: Sequence[_Line], items: Sequence[model.Route | model.Rule]) -> bool:
    said = {model.unordered(line.item) for line in ours if line.item}
    if len(ours) != len(items) or said != set(map(model.unordered, items)):
        return False
    return _is_loadable(ours, said)


def _is_loadable(lines: Sequence[_Line], standing: Collection[Any]) -> bool:
    """Tell whether the loader can add what lines of ours say in their order.

    standing
        What was in the file before: it needs no new route to reach its gateways.
    """
    items = [line.item for line in lines if line.ours and line.item]
    if not rules_.loadable(item for item in items if isinstance(item, model.Rule)):
        return False
    new = [item for item in items if model.unordered(item) not in standing]
    later: dict[Any, Any] = {
        item: values.network(item.to)
        for item in new
        if isinstance(item, model.Route) and not _next_hops(item) and item.to != "default"
    }
    for item in items if later else ():
        later.pop(item, None)
        if any(via in network for via in _next_hops(item) for network in later.values()):
            return False
    return True


def _next_hops(item: Any) -> list[str]:
    if isinstance(item, model.Rule):
        return []
    hops = (item.via, *(hop.via for hop in item.nexthops))
    return [via for via in hops if via and not values.is_link_local(via)]


def _merged(lines: Sequence[_Line], texts: Mapping[model.Route | model.Rule, str]) -> list[_Line]:
    """Return the lines, those of ours that mean what they should as they are.

    texts
        What the file has to hold -> the line for it, in an order in which it can be loaded.

    What is new comes where something of ours goes, else beside our other lines, else at the end.
    """
    wanted = {model.unordered(item): _Line(raw, True, item) for item, raw in texts.items()}
    missing = dict(wanted)
    stays = [
        not line.ours or missing.pop(model.unordered(line.item), None) is not None for line in lines
    ]
    new, going = [*missing.values()], len(lines) - sum(stays)
    merged: list[_Line] = []
    for line, stay in zip(lines, stays, strict=True):
        going -= not stay
        # The last of the places takes all that is left.
        count = 0 if stay else 1 if going else len(new)
        merged += [line] if stay else new[:count]
        new = new[count:]
    if not any(line.ours for line in merged):
        return [*merged[:-1], *new, *merged[-1:]]
    order = {key: number for number, key in enumerate(wanted)}
    for line in new:
        merged.insert(_place(line, merged, order), line)
    return merged


def _place(new: _Line, lines: Sequence[_Line], order: Mapping[Any, int]) -> int:
    """Return where a line goes: before the first of ours that it goes before in ``order``."""
    number = order[model.unordered(new.item)]
    ours = [(n, order[model.unordered(line.item)]) for n, line in enumerate(lines) if line.ours]
    return next((n for n, other in ours if other > number), ours[-1][0] + 1)


def _in_one_block(lines: Sequence[_Line], items: Iterable[model.Route | model.Rule]) -> list[_Line]:
    """Return the lines with ours where the first of them stands, in the order of ``items``."""
    ours = {model.unordered(line.item): line for line in lines if line.ours}
    place = next(number for number, line in enumerate(lines) if line.ours)
    block = [ours[model.unordered(item)] for item in items]
    return [*lines[:place], *block, *(line for line in lines[place:] if not line.ours)]


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
    return iproute2.text(item, names.get(item.table or 0))


def _table(path: str, raw: str, tables: Mapping[str, int]) -> int | None:
    """Return the id of the table that a line names."""
    if ifcfg.BLANK_OR_COMMENT.fullmatch(raw):
        return None
    kind = "rule" if _kind(path).startswith("rule") else "route"
    return iproute2.table_id(iproute2.table_word(_words(raw), kind), tables)


def _line(
    path: str, raw: str, known: _Known, written: Mapping[str, model.Route | model.Rule]
) -> _Line:
    if raw in written:
        return _Line(raw, True, written[raw])
    table = _table(path, raw, known.tables)
    if table in known.ours.tables:
        return _Line(raw, True, _item(path, raw, known.loadable))
    if table == MAIN and known.ours.into_main:
        item = _item(path, raw, known.loadable)
        if item and item in known.ours:
            return _Line(raw, True, item)
    return _Line(raw)


def _item(path: str, raw: str, tables: Mapping[str, int]) -> model.Route | model.Rule | None:
    """Return what the loader makes of a line; a CR or a comment at its end spoils it."""
    if "\r" in raw:
        return None
    try:
        if _kind(path).startswith("rule"):
            return iproute2.rule_from_words(_words(raw), _family(path), tables)
        route = iproute2.route_from_words(_words(raw), _family(path), tables)
    except ValueError:
        return None
    return _through(route, device(path) or "")


def _through(route: model.Route, dev: str) -> model.Route:
    """Fill in the interface, which the kernel finds by the gateway when a line names none."""
    if route.via and not route.dev:
        route = route._replace(dev=dev)
    if any(hop.via and not hop.dev for hop in route.nexthops):
        hops = (hop._replace(dev=hop.dev or dev) for hop in route.nexthops)
        route = model.canonical(route._replace(nexthops=tuple(hops)))
    return route


# --- ADDRESSn files ---------------------------------------------------------------------------


def _converted(path: str, text: str, lines: Iterable[_Line]) -> list[_Line]:
    """Return the lines that say in ip's words what a sourced file did.

    Only ADDRESS0 up to the first gap was ever loaded. Lines that were not are kept as comments, so
    that the conversion brings nothing to life.
    """
    routes = _sourced_routes(path, shell.assignments(path, text))
    converted = [_Line(route) for route in routes]
    kept: list[_Line] = []
    for line in lines:
        variables = shell.assignments(path, line.raw)
        loaded = [name for name in variables if _is_loaded(name, len(routes))]
        if loaded:
            kept += converted
            converted = []
        if line.ours or ifcfg.BLANK_OR_COMMENT.fullmatch(line.raw):
            kept.append(line)
        elif not loaded or len(loaded) < len(variables):
            kept += [_Line(f"{_LOST}{part.strip()}") for part in line.raw.split("\n")]
    return kept


def _is_loaded(name: str, count: int) -> bool:
    match = re.fullmatch(r"(?:ADDRESS|NETMASK|GATEWAY)([0-9]+)", name)
    return bool(match) and int(match[1]) < count  # type: ignore[index]


def _sourced_routes(path: str, said: Mapping[str, str]) -> list[str]:
    routes: list[str] = []
    while address := ifcfg.read(said, f"ADDRESS{len(routes)}"):
        number = len(routes)
        mask = ifcfg.read(said, f"NETMASK{number}") or ifcfg.classful(address)
        gateway = ifcfg.read(said, f"GATEWAY{number}")
        try:
            _, host, length = parse_interface(f"{address}/{mask}")
            via = f" via {ifcfg.next_hop(gateway, 4)}" if gateway else ""
        except ValueError as err:
            raise ContentError(f"{path}: ADDRESS{number} to GATEWAY{number}: {err}") from None
        routes.append(f"{network_of(host, length)}{via} dev {device(path)}")
    return routes


# --- what is in the files -----------------------------------------------------------------------


def lines(kept: Kept, tables: Mapping[str, int]) -> list[Line]:
    """Return the lines of all route and rule files, in their order, comments left out.

    Those of an ADDRESSn file are what the loader makes of it, and then what gets lost in it: lines
    in ip's words, and numbers that come after a gap.
    """
    # No more than these can be looked up by the loader.
    loadable = {name: id_ for name, id_ in tables.items() if id_ <= _MAX_NAMED}
    return [
        line
        for path, text in kept.texts.items()
        if device(path)
        for line in _lines_of(path, text, loadable)
    ]


def _lines_of(path: str, text: str, tables: Mapping[str, int]) -> Iterator[Line]:
    dev, kind = device(path), "rule" if _kind(path).startswith("rule") else "route"
    sourced = kind == "route" and bool(_SOURCED.search(text))
    for raw in _sourced_lines(path, text) if sourced else _said(text):
        item = _item(path, raw, tables)
        yield Line(path, dev, raw, iproute2.table_word(_words(raw), kind), item)
    for raw in _lost_lines(path, text) if sourced else ():
        yield Line(path, dev, raw, iproute2.table_word(_words(raw), kind), lost=True)


def _said(text: str) -> list[str]:
    return [raw for raw in _logical_lines(text) if not ifcfg.BLANK_OR_COMMENT.fullmatch(raw)]


def _sourced_lines(path: str, text: str) -> list[str]:
    try:
        return _sourced_routes(path, shell.assignments(path, text))
    except ContentError:
        return []


def _lost_lines(path: str, text: str) -> Iterator[str]:
    count = len(_sourced_lines(path, text))
    for raw in _logical_lines(text):
        named = [name for name in shell.assignments(path, raw) if f"{name}=" in raw]
        numbered = [name for name in named if re.fullmatch(r"(ADDRESS|NETMASK|GATEWAY)\d+", name)]
        in_vain = any(not _is_loaded(name, count) for name in numbered)
        if in_vain or not (named or ifcfg.BLANK_OR_COMMENT.fullmatch(raw)):
            yield raw


def findings(kept: Kept, survey: Any) -> Iterable[Any]:
    """Return what is wrong with the files; see ``multihoming_network_scripts_checks``."""
    found: Iterable[Any] = room("multihoming_network_scripts_checks").findings(kept, survey)
    return found


if TYPE_CHECKING:
    import multihoming_backend_network_scripts as this_module

    KEPT_CONTRACT: Backend = this_module
