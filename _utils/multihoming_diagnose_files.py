"""Checks of what network managers keep, whichever they are: lines that fail or have no effect.

Pure; see ``multihoming_diagnose``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import multihoming_rt_tables as rt_tables
import multihoming_survey as survey_
import multihoming_values as values
from multihoming_backend import Line
from multihoming_finding import (
    APPLY,
    Finding,
    cut,
    device_of,
    file_line,
    free_id,
    item_line,
    repair,
    route_text,
    rule_text,
)
from multihoming_model import Route, Rule, is_kernels, meaning
from multihoming_numbers import BY_HAND, MAIN, U32
from multihoming_survey import Survey

_MOST_LINES = 10


def unknown_table(survey: Survey) -> Iterator[Finding]:
    """A line names a table that rt_tables does not know."""
    for path, lines in _by_place(survey.loaded):
        lost = [line for line in lines if _is_unknown(survey, line.table)]
        for name in dict.fromkeys(line.table for line in lost):
            yield Finding(
                "unknown-table",
                "error",
                lost[0].device,
                f"{path}: table {values.show(name)} is not in rt_tables, and lines with it fail",
                cut(file_line(line) for line in lost if line.table == name),
                _naming(survey, name or "", path),
            )


def _is_unknown(survey: Survey, name: str | None) -> bool:
    if name is None or name in survey.tables:
        return False
    try:
        values.parse_number(name, 0, U32)
    except ValueError:
        return True
    return False


def _naming(survey: Survey, name: str, path: str) -> str:
    if rt_tables.check_name(name):
        return f"write a table's name or id instead in {path}"
    return f"salt-call multihoming.set_table {name} {free_id(survey)}"


def files_not_loaded(survey: Survey) -> Iterator[Finding]:
    """Routes and rules are kept where nothing will load them."""
    devices = {line.place: line.device for lines in survey.lines.values() for line in lines}
    reasons: dict[tuple[str, str], list[str]] = {}
    for kept in survey.kept.values():
        for path, reason in kept.unloaded.items():
            reasons.setdefault(reason, []).append(path)
    for (why, remedy), paths in reasons.items():
        about = {devices.get(path) for path in paths}
        yield Finding(
            "files-not-loaded",
            "error",
            about.pop() if len(about) == 1 else None,
            f"nothing will load {paths[0]}{' and others' if paths[1:] else ''}: {why}",
            cut(paths),
            remedy,
        )


def not_persistent(survey: Survey) -> Iterator[Finding]:
    """Rules and routes that are live, and in no file: gone after a reboot."""
    if not survey.in_charge:
        return
    kept = {meaning(line.item) for line in survey.loaded if line.item}
    found: dict[str | None, list[str]] = {}
    for item in _made_by_hand(survey):
        bare = meaning(item)
        if bare not in kept and not (
            isinstance(bare, Rule) and bare._replace(priority=None) in kept
        ):
            found.setdefault(device_of(survey, item), []).append(item_line(item))
    for dev, lines in found.items():
        yield Finding(
            "not-persistent",
            "warning",
            dev,
            f"{len(lines)} live rules and routes are in no file, and gone after a reboot",
            cut(lines),
            repair(survey, dev) if dev else APPLY,
        )


def _made_by_hand(survey: Survey) -> Iterator[Route | Rule]:
    for rules in survey.rules.values():
        for rule in rules:
            if rule.protocol in BY_HAND and not is_kernels(rule):
                yield rule
    for table, routes in survey.routes.items():
        for route in routes if table != MAIN else ():
            if route.protocol in BY_HAND:
                yield route


def not_live(survey: Survey) -> Iterator[Finding]:
    """Lines of files that the kernel does not have."""
    live: set[Route | Rule] = {meaning(rule) for rules in survey.rules.values() for rule in rules}
    live |= {rule._replace(priority=None) for rule in live if isinstance(rule, Rule)}
    live |= {meaning(route) for routes in survey.routes.values() for route in routes}
    for path, lines in _by_place(_in_force(survey)):
        link = survey.links.get(lines[0].device or "")
        missing = [
            line
            for line in lines
            if line.item and meaning(line.item) not in live and _is_told(survey, line.item)
        ]
        if link and survey_.is_usable(link) and missing:
            yield Finding(
                "not-live",
                "warning",
                link.name,
                f"{path}: the kernel does not have what {len(missing)} of its lines say",
                cut(map(file_line, missing)),
                " && ".join(map(_command, missing[:_MOST_LINES])),
            )


def _in_force(survey: Survey) -> Iterator[Line]:
    """Return the lines that the manager which runs makes something of, as they stand."""
    for name in survey.in_charge:
        unloaded = survey.kept[name].unloaded
        yield from (
            line for line in survey.lines[name] if not line.lost and line.place not in unloaded
        )


def _is_told(survey: Survey, item: Route | Rule) -> bool:
    return survey.whole or isinstance(item, Rule) or item.table != MAIN


def _by_place(lines: Iterable[Line]) -> Iterator[tuple[str, list[Line]]]:
    for place, group in itertools.groupby(lines, lambda line: line.place):
        yield place, list(group)


def _command(line: Line) -> str:
    """Return what the loader runs for a line."""
    item = line.item
    if isinstance(item, Rule):
        return f"ip -{item.family} rule add {rule_text(item)}"
    return f"ip -{item.family} route add {route_text(item)}" if item else ""


CHECKS: tuple[Callable[[Survey], Iterable[Finding]], ...] = (
    unknown_table,
    files_not_loaded,
    not_persistent,
    not_live,
)
