"""Backend ``network-scripts``: route- and rule- files of RHEL and CentOS.

What the files mean is what ``ifup-routes`` makes of them: each line of route-DEV
becomes ``ip -4 route add LINE``, of rule-DEV ``ip -4 rule add LINE``, route6-DEV and rule6-DEV
alike with ``-6``; a route file with any ``ADDRESSn=`` line is sourced as shell instead. Lines that
lead to an owned table are ours, all others stay as they are. Files are read as data, never run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import multihoming_files as files
import multihoming_ifcfg as ifcfg
import multihoming_iproute2 as iproute2
import multihoming_model as model
import multihoming_rules as rules_
import multihoming_shell as shell
from multihoming_numbers import MAIN
from multihoming_values import c_number, network_of, parse_interface

NAME = "network-scripts"
# What the interfaces' own files say, and main's default route in them.
interfaces = ifcfg.interfaces
defaults = ifcfg.defaults
keep_default = ifcfg.keep_default
chosen_default = ifcfg.chosen_default

_KINDS = ("route", "route6", "rule", "rule6")
_FILE = re.compile(r"(route6?|rule6?)-(.+)")
_SOURCED = re.compile(r"^[ \t]*ADDRESS[0-9]+=", re.MULTILINE)
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
    return os.path.isdir(ifcfg.FOLDER) and not os.path.isdir("/run/NetworkManager/devices")


def read() -> dict[str, str]:
    """Return path -> text of all route and rule files that the scripts would load."""
    texts = {}
    for name in files.names(ifcfg.FOLDER):
        if _FILE.fullmatch(name) and not ifcfg.COPY.search(name):
            path = os.path.join(ifcfg.FOLDER, name)
            texts[path] = files.read(path) or ""
    return texts


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
        if not ifcfg.BLANK_OR_COMMENT.fullmatch(raw)
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
    return os.path.join(ifcfg.FOLDER, f"{kind}-{dev}")


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
        return iproute2.text(item, name)
    return iproute2.text(item, name)


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
    if ifcfg.BLANK_OR_COMMENT.fullmatch(raw):
        return None
    name = iproute2.table_word(_words(raw), "rule" if _kind(path).startswith("rule") else "route")
    if name is None or name in tables:
        return tables.get(name or "")
    try:
        return c_number(name)
    except ValueError:
        return None


def _line(path: str, raw: str, known: _Known) -> Line:
    table = _table(path, raw, known.tables)
    if table in known.ours.tables:
        return Line(raw, True, _item(path, raw, known.loadable))
    if table == MAIN and known.ours.into_main:
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
            return iproute2.rule_from_words(_words(raw), _family(path), tables)
        route = iproute2.route_from_words(_words(raw), _family(path), tables)
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
        if line.ours or ifcfg.BLANK_OR_COMMENT.fullmatch(line.raw):
            kept.append(line)
        elif not loaded or len(loaded) < len(variables):
            kept += [Line(f"{_LOST}{part.strip()}") for part in line.raw.split("\n")]
    return kept


def _is_loaded(name: str, count: int) -> bool:
    match = re.fullmatch(r"(?:ADDRESS|NETMASK|GATEWAY)([0-9]+)", name)
    return bool(match) and int(match[1]) < count  # type: ignore[index]


def _sourced_routes(path: str, values: Mapping[str, str]) -> list[str]:
    routes: list[str] = []
    while address := ifcfg.read(values, f"ADDRESS{len(routes)}"):
        number = len(routes)
        mask = ifcfg.read(values, f"NETMASK{number}") or ifcfg.classful(address)
        gateway = ifcfg.read(values, f"GATEWAY{number}")
        try:
            _, host, length = parse_interface(f"{address}/{mask}")
            via = f" via {ifcfg.next_hop(gateway, 4)}" if gateway else ""
        except ValueError as err:
            raise model.ContentError(f"{path}: ADDRESS{number} to GATEWAY{number}: {err}") from None
        routes.append(f"{network_of(host, length)}{via} dev {device(path)}")
    return routes


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
            table = iproute2.table_word(_words(raw), kind)
            item = _item(path, raw, tables)
            found.append(Loaded(path, raw.strip(), table, item, "\r" in raw))
    return found


def _handed_over(path: str, text: str) -> list[str]:
    if _is_sourced(path, text):
        try:
            return _sourced_routes(path, shell.assignments(path, text))
        except model.ContentError:
            return []
    return [raw for raw in _logical_lines(text) if not ifcfg.BLANK_OR_COMMENT.fullmatch(raw)]


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
        if in_vain or not (named or ifcfg.BLANK_OR_COMMENT.fullmatch(raw)):
            lost.append(raw)
    return lost
