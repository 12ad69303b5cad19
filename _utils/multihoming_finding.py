"""One finding of ``diagnose``, and the words of its evidence and its remedy.

Pure. Evidence is as ``ip`` or the file shows it; a remedy can be pasted.
"""

import itertools
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import multihoming_iproute2 as iproute2
import multihoming_rt_tables as rt_tables
from multihoming_backend import Line
from multihoming_model import Route, Rule
from multihoming_numbers import FAMILIES, RESERVED_TABLES
from multihoming_survey import Survey
from multihoming_text import shown

SEVERITIES = ("error", "warning", "info")
APPLY = "salt-call state.apply multihoming"
_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_MOST_LINES = 10


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    interface
        The one that it is about, None when it is about the host.
    evidence
        Lines as ``ip`` or the file shows them.
    remedy
        A line for the pillar, or a command.
    """

    id: str
    severity: str
    interface: str | None
    message: str
    evidence: tuple[str, ...]
    remedy: str

    def as_dict(self) -> dict[str, Any]:
        """Return it in plain JSON types."""
        return {**self.__dict__, "evidence": list(self.evidence)}


def repair(survey: Survey, dev: str, unknown: str = "") -> str:
    """Return what gives an interface its policy: the state, or an entry for the pillar.

    unknown
        What stands there for a gateway of which nothing is known.
    """
    if dev in survey.declared:
        return APPLY
    hops = [next(iter(survey.gateways.get((dev, family), ())), None) for family in FAMILIES]
    gateways = ", ".join(_yaml(gateway) for gateway in hops if gateway) or unknown
    table = _table_of(survey, dev) or free_id(survey, dev)
    name = _yaml(_name_for(survey, table, dev))
    gateway = f", gateway: [{gateways}]" if gateways else ""
    return f"tables: {{{name}: {table}}}, interfaces: {{{_yaml(dev)}: {{table: {name}{gateway}}}}}"


def _name_for(survey: Survey, table: int, dev: str) -> str:
    """Return a table's name, else one that it may be given."""
    if table in survey.tables.values():
        return table_name(survey, table)
    spare = dev not in survey.tables and rt_tables.check_name(dev) is None
    return dev if spare else f"table{table}"


def _yaml(text: str) -> str:
    """Return a text as YAML reads it back, within braces and brackets too."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*|\d+(\.\d+){3}", text)
    return text if plain and text.lower() not in _YAML_WORDS else json.dumps(text)


def word(text: str) -> str:
    """Return a text as one word of a command, as bash reads it; bytes that are no UTF-8 too."""
    if shown(text) == text:
        return shlex.quote(text)
    escaped = shown(re.sub(r"['\\]", r"\\\g<0>", text))
    return f"$'{escaped}'"


def _table_of(survey: Survey, dev: str) -> int | None:
    """Return the table that serves an interface already."""
    own = survey.links[dev].addresses if dev in survey.links else ()
    sources = {address.address for address in own}
    for rules in survey.rules.values():
        for rule in rules:
            if rule.src in sources and rule.table not in (None, *RESERVED_TABLES):
                return rule.table
    return None


def free_id(survey: Survey, dev: str | None = None) -> int:
    """Return an id that no table has; each interface gets another."""
    taken = {*survey.tables.values(), *survey.routes, *RESERVED_TABLES}
    free = (number for number in itertools.count(201) if number not in taken)
    place = sorted(survey.links).index(dev) if dev and dev in survey.links else 0
    return next(itertools.islice(free, place, None))


def device_of(survey: Survey, item: Route | Rule) -> str | None:
    """Return the interface that a rule or route is about."""
    if isinstance(item, Route):
        return next(iter(item.devices), None)
    if item.src in survey.holders:
        return survey.holders[item.src]
    if item.table in (None, *RESERVED_TABLES):
        return None
    return next(_served(survey, item.table or 0), None)


def _served(survey: Survey, table: int) -> Iterator[str]:
    """Return the interfaces that a table is for: by its routes, its other rules, and the files."""
    live = survey.routes.get(table, ())
    for route in sorted(live, key=lambda route: route.to != "default"):
        yield from route.devices
    for rules in survey.rules.values():
        for rule in rules:
            if rule.table == table and rule.src in survey.holders:
                yield survey.holders[rule.src]
    for line in survey.loaded:
        if isinstance(line.item, Route) and line.item.table == table:
            yield from line.item.devices


def table_name(survey: Survey, table: int) -> str:
    """Return a table's name, its id where it has none."""
    names = {id_: name for name, id_ in survey.tables.items()}
    return names.get(table, str(table))


def cut(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the first lines, and how many more there are."""
    every = list(lines)
    more = len(every) - _MOST_LINES
    return tuple(every) if more <= 0 else (*every[:_MOST_LINES], f"... and {more} more")


def rule_text(rule: Rule) -> str:
    """Return a rule in the words of ``ip rule``."""
    return iproute2.text(rule)


def rule_line(rule: Rule) -> str:
    """Return a rule as evidence."""
    return f"ip -{rule.family} rule: {rule_text(rule)}"


def route_text(route: Route) -> str:
    """Return a route in the words of ``ip route``."""
    return iproute2.text(route)


def item_line(item: Route | Rule) -> str:
    """Return a route or rule as evidence."""
    if isinstance(item, Rule):
        return rule_line(item)
    return f"ip -{item.family} route: {route_text(item)}"


def file_line(line: Line) -> str:
    """Return a line of what a manager keeps as evidence."""
    return f"{line.place}: {line.raw.strip()}"


def deletion(rule: Rule) -> str:
    """Return the command that deletes a rule."""
    return f"ip -{rule.family} rule del {rule_text(rule)}"
