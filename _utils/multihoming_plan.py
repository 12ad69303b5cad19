"""Desired against current: the ordered steps that turn one into the other.

Pure. Routes come before the rules that lead to them and go after; a replacement is in place before
the old goes, so that no packet finds a gap. The way back is a plan as well, with the sides swapped.

The kernel compares rules loosely (see multihoming_rules). Where one stands in the way of another,
a copy of it that differs only in ``protocol`` stands in until both are in place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import multihoming_attributes as attributes
import multihoming_iproute2 as iproute2
import multihoming_rules as rules
from multihoming_model import Route, Rule, Step
from multihoming_numbers import FAMILIES

_Item = TypeVar("_Item", Route, Rule)

# Fields that most rules of a table differ in. To name one is to mean it, see rules.deletes().
_TELLING = tuple(entry.field for entry in attributes.RULE if entry.indexed)
# Protocols of stand-ins: numbers that nobody has registered (linux/rtnetlink.h, rt_protos).
_STAND_IN_PROTOCOLS = range(250, 200, -1)


class Differences(NamedTuple):
    """What the kernel gains and loses, for reports."""

    added: tuple[Route | Rule, ...]
    removed: tuple[Route | Rule, ...]


def steps(
    current: tuple[Sequence[Route], Sequence[Rule]],
    desired: tuple[Sequence[Route], Sequence[Rule]],
) -> list[Step]:
    """Return the steps from current to desired.

    current, desired
        (routes, rules) of the owned tables; the current rules in the kernel's order.
    """
    found: list[Step] = []
    for family in FAMILIES:
        coming, going = _route_steps(_of(family, current[0]), _of(family, desired[0]))
        opening, closing = _rule_steps(_of(family, current[1]), _of(family, desired[1]))
        found += [*coming, *opening, *closing, *going]
    return found


def differences(current: Iterable[Route | Rule], desired: Iterable[Route | Rule]) -> Differences:
    """Return what is in one and not in the other, in their order."""
    current, desired = list(current), list(desired)
    have, want = set(current), set(desired)
    return Differences(
        tuple(item for item in desired if item not in have),
        tuple(item for item in current if item not in want),
    )


def _of(family: int, items: Iterable[_Item]) -> list[_Item]:
    return [item for item in items if item.family == family]


# --- routes -----------------------------------------------------------------------------------


def _route_steps(
    current: Sequence[Route], desired: Sequence[Route]
) -> tuple[list[Step], list[Step]]:
    """Return (additions and replacements, removals)."""
    have = _by_key(current)
    want = _by_key(desired)
    coming: list[Step] = []
    going = [route for key, routes in have.items() for route in routes if key not in want]
    for key in sorted(want, key=lambda key: max(map(_reachable_first, want[key]))):
        steps, surplus = _steps_of_key(have.get(key, []), want[key])
        coming += steps
        going += surplus
    # The other way round: what others need to be reachable goes last.
    removals = [_route_step("del", route) for route in going]
    return coming, sorted(removals, key=lambda step: "via" not in step.line)


def _steps_of_key(
    standing: Sequence[Route], wanted: Sequence[Route]
) -> tuple[list[Step], list[Route]]:
    """Return (steps for the routes of one key, what is to be removed behind them).

    The kernel can hold several; with IPv4 the first counts.
    """
    if standing == wanted:
        return [], []
    surplus = [route for route in standing if route not in wanted]
    if len(standing) == len(wanted) == 1 and surplus:
        return [_route_step("replace", wanted[0])], []
    if not standing and len(wanted) == 1:
        return [_route_step("add", wanted[0])], []
    if wanted[0].family == 6:
        missing = [route for route in wanted if route not in standing]
        return [_route_step("append", route) for route in missing], surplus
    first, last = _longest_run(standing, wanted)
    steps = []
    for verb, routes in (("prepend", wanted[:first][::-1]), ("append", wanted[last:])):
        for route in routes:
            steps += [_route_step("del", route)] if route in standing else []
            steps += [_route_step(verb, route)]
    return steps, surplus


def _longest_run(standing: Sequence[Route], wanted: Sequence[Route]) -> tuple[int, int]:
    """Return the bounds of the longest run of ``wanted`` that stands in this order."""
    runs = [
        (first, last)
        for first in range(len(wanted))
        for last in range(first, len(wanted) + 1)
        if [route for route in standing if route in wanted[first:last]] == [*wanted[first:last]]
    ]
    return max(runs, key=lambda run: run[1] - run[0])


def _by_key(routes: Iterable[Route]) -> dict[tuple[object, ...], list[Route]]:
    found: dict[tuple[object, ...], list[Route]] = {}
    for route in routes:
        found.setdefault(route.key, []).append(route)
    return found


def _reachable_first(route: Route) -> bool:
    """Sort routes without a gateway first: the others' gateways may lie in them."""
    return bool(route.via or route.nexthops)


def _route_step(verb: str, route: Route) -> Step:
    words = iproute2.route_delete_words(route) if verb == "del" else iproute2.route_words(route)
    return Step(route.family, " ".join(["route", verb, *words]))


# --- rules ------------------------------------------------------------------------------------


def in_order(current: Sequence[Rule], before: Sequence[Rule]) -> list[Step]:
    """Return the steps that bring rules of equal priority back in the order that they were in.

    current, before
        The same rules, in the kernel's order. A new rule comes behind the others of its priority,
        so those that follow are added anew, while a copy of each stands in. Rules that the kernel
        can't tell apart stay as they are.
    """
    found: list[Step] = []
    groups: dict[tuple[int, int | None], list[Rule]] = {}
    for rule in before:
        groups.setdefault((rule.family, rule.priority), []).append(rule)
    for (family, priority), wanted in groups.items():
        there = [r for r in current if (r.family, r.priority) == (family, priority)]
        if there != wanted and not _is_confused(there):
            found += _moved(there, wanted)
    return found


def _is_confused(group: Sequence[Rule]) -> bool:
    return any(one is not other and rules.deletes(one, other) for one in group for other in group)


def _moved(there: Sequence[Rule], wanted: Sequence[Rule]) -> list[Step]:
    """Return the steps that move rules behind the first ones that stand in their order."""
    count = 0
    for rule in there:
        count += count < len(wanted) and rule == wanted[count]
    moved = wanted[count:]
    used = {rule.protocol for rule in there}
    protocol = next(number for number in _STAND_IN_PROTOCOLS if number not in used)
    copies = [rule._replace(protocol=protocol) for rule in moved]
    steps = [_rule_step("add", copy) for copy in copies]
    for rule in moved:
        steps += [_rule_step("del", rule), _rule_step("add", rule)]
    return steps + [_rule_step("del", copy) for copy in copies]


def _rule_steps(current: Sequence[Rule], desired: Sequence[Rule]) -> tuple[list[Step], list[Step]]:
    """Return (steps that add, steps that remove)."""
    opening: list[Step] = []
    closing: list[list[Step]] = []
    groups = {(rule.table, rule.priority) for rule in (*current, *desired)}
    have, want = _by_group(current), _by_group(desired)
    for group in sorted(groups, key=lambda group: (group[1] or 0, group[0] or 0)):
        first, rest = _group_steps(have.get(group, []), want.get(group, []))
        opening += first
        closing.append(rest)
    # A rule may count on those before it, so the last goes first.
    return opening, [step for steps in reversed(closing) for step in steps]


def _by_group(items: Iterable[Rule]) -> dict[tuple[Any, ...], list[Rule]]:
    found: dict[tuple[Any, ...], list[Rule]] = {}
    for rule in items:
        found.setdefault((rule.table, rule.priority), []).append(rule)
    return found


def _group_steps(current: list[Rule], desired: list[Rule]) -> tuple[list[Step], list[Step]]:
    """Return the steps for rules of one priority and table, simulating the kernel's list."""
    if len(current) == len(desired) and set(current) == set(desired):
        return [], []
    group = _Group(current, rules.loading_order(desired))
    group.add_missing()
    opening, group.steps = group.steps, []
    while surplus := group.surplus():
        for rule in surplus:
            group.remove(rule)
            group.add_missing()
    return opening, group.steps


class _Group:
    """The kernel's rules of one priority and table, as they change step by step."""

    def __init__(self, live: Sequence[Rule], desired: Sequence[Rule]) -> None:
        self.steps: list[Step] = []
        self._live: list[Rule] = []
        self._count: Counter[Rule] = Counter()
        self._desired = desired
        self._wanted = set(desired)
        self._stand_ins: set[Rule] = set()
        self._having: dict[tuple[str, Any], list[Rule]] = {}
        # Only rules from before can be in the way: desired ones come in their loading order.
        self._answers: dict[tuple[Any, ...], list[Rule]] = {}
        for rule in live:
            self._enter(rule)
            for key in rules.answers(rule):
                self._answers.setdefault(key, []).append(rule)
        self._missing = [rule for rule in desired if not self._count[rule]]

    def surplus(self) -> list[Rule]:
        """Return what is live and not desired, second copies too; stand-ins last."""
        rest = Counter(self._wanted)
        surplus = []
        for rule in self._live:
            rest[rule] -= 1
            if rest[rule] < 0:
                surplus.append(rule)
        surplus.sort(key=lambda rule: (rule in self._stand_ins, -rules.specificity(rule)))
        return surplus

    def add_missing(self) -> None:
        """Add what is desired and not live, with stand-ins for what is in the way."""
        pending: list[Rule] = []
        while self._missing or pending:
            if self._missing:  # taking a rule out of the way makes it missing
                pending = rules.loading_order([*pending, *self._missing])[::-1]
                self._missing = []
            rule = pending.pop()
            blockers = self._answers.get(rules.asked(rule), [])
            for blocker in sorted(set(blockers), key=rules.specificity):
                if self._count[blocker]:
                    self._stand_in(blocker)
                    self.remove(blocker)
            self._add(rule)

    def remove(self, rule: Rule) -> None:
        """Remove a rule; others that ``ip rule del`` takes instead get a stand-in first."""
        while self._count[rule]:
            hit = self._hits(rule)[0]
            if hit != rule and hit in self._wanted:
                self._stand_in(hit)
            self._leave(hit)
            self.steps.append(_rule_step("del", rule))
            if hit in self._wanted and not self._count[hit]:
                self._missing.append(hit)
            if hit == rule:
                return

    def _stand_in(self, rule: Rule) -> None:
        """Add a copy that does the same and that the kernel takes for another rule."""
        copies = (rule._replace(protocol=number) for number in _STAND_IN_PROTOCOLS)
        copy = next(copy for copy in copies if not self._refused(copy))
        self._stand_ins.add(copy)
        self._add(copy)

    def _refused(self, rule: Rule) -> bool:
        return any(rules.asked(rule) in rules.answers(other) for other in self._live)

    def _add(self, rule: Rule) -> None:
        self.steps.append(_rule_step("add", rule))
        self._enter(rule)

    def _hits(self, rule: Rule) -> list[Rule]:
        """Return the live rules that ``ip rule del`` may take for ``rule``, in its order."""
        named = ((field, getattr(rule, field)) for field in _TELLING)
        key = next((pair for pair in named if pair[1] is not None), None)
        candidates = self._having.get(key, []) if key else self._live
        return [other for other in candidates if rules.deletes(rule, other)]

    def _enter(self, rule: Rule) -> None:
        self._count[rule] += 1
        self._live.append(rule)
        for field in _TELLING:
            self._having.setdefault((field, getattr(rule, field)), []).append(rule)

    def _leave(self, rule: Rule) -> None:
        self._count[rule] -= 1
        _drop(self._live, rule)
        for field in _TELLING:
            _drop(self._having[field, getattr(rule, field)], rule)


def _drop(items: list[Rule], rule: Rule) -> None:
    """Remove this very object; most are near the end, and comparing rules is slow."""
    index = next(i for i in range(len(items) - 1, -1, -1) if items[i] is rule)
    del items[index]


def _rule_step(verb: str, rule: Rule) -> Step:
    return Step(rule.family, " ".join(["rule", verb, *iproute2.rule_words(rule)]))
