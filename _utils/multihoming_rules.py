"""How the kernel compares rules, and which rules meet the same packets.

Pure. The kernel compares loosely (net/core/fib_rules.c, net/ipv4/fib_rules.c and
net/ipv6/fib6_rules.c): ``ip rule add`` is refused when a more specific rule of the same priority
and table exists, ``ip rule del`` takes the first rule that has what it names, and neither looks at
``not``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import multihoming_values as values
from multihoming_model import Route, Rule
from multihoming_numbers import MAIN, U32, UNSPEC

# (family, source, priority): what tells apart the rules into main that keep_main_routes makes.
Place = tuple[int, str, int]


@dataclass(frozen=True)
class Ours:
    """What is owned: every rule and route of these tables, and the rules into main that go along.

    into_main
        Place -> table that it goes along with, see ``places_into_main``.
    """

    tables: frozenset[int]
    into_main: Mapping[Place, int] = field(default_factory=dict)

    def __contains__(self, item: Route | Rule) -> bool:
        """Tell whether a rule or route is owned."""
        if item.table in self.tables:
            return True
        return isinstance(item, Rule) and place_into_main(item) in self.into_main


def keeping_main(family: int, priority: int, table: int, source: str) -> list[Rule]:
    """Return the rules for one address whose replies may use main's routes but for its default.

    Those of the table that are no default come first, then main's, then the table's default.
    """
    return [
        Rule(family, priority - 2, table, src=source, suppress_prefixlength=0),
        into_main(family, priority - 1, source),
        Rule(family, priority, table, src=source),
    ]


def into_main(family: int, priority: int, source: str) -> Rule:
    """Return the rule that lets replies use main's routes but for its default."""
    return Rule(family, priority, MAIN, src=source, suppress_prefixlength=0)


def places_into_main(rules: Iterable[Rule], tables: Collection[int]) -> dict[Place, int]:
    """Return place -> table of the rules into main that ``keeping_main`` makes for ``tables``.

    Such a rule is known by its neighbours: the rules into the table right before and behind it.
    """
    places: dict[Place, int] = {}
    for rule in rules:
        if rule.table in tables and rule.src and rule.priority and rule.table:
            offset = -1 if rule.suppress_prefixlength is None else 1
            made = keeping_main(rule.family, rule.priority + offset + 1, rule.table, rule.src)
            if rule._replace(protocol=UNSPEC) in made:
                places[rule.family, rule.src, rule.priority + offset] = rule.table
    return places


def places_recorded(rules: Iterable[Rule], kept: Collection[tuple[int, int]]) -> dict[Place, int]:
    """Return those of ``places_into_main`` whose (table, priority) is recorded."""
    places = places_into_main(rules, {table for table, _ in kept}) if kept else {}
    return {place: table for place, table in places.items() if (table, place[2]) in kept}


def place_into_main(rule: Rule) -> Place | None:
    """Return the place of a rule into main that ``keeping_main`` could have made."""
    if rule.table != MAIN or rule.src is None or rule.priority is None:
        return None
    made = into_main(rule.family, rule.priority, rule.src)
    return (rule.family, rule.src, rule.priority) if rule._replace(protocol=0) == made else None


def loading_order(rules: Iterable[Rule]) -> list[Rule]:
    """Return rules in an order in which ``ip rule add`` takes them all: the general ones first."""
    return sorted(rules, key=lambda rule: (rule.priority or 0, specificity(rule)))


def loadable(rules: Iterable[Rule]) -> bool:
    """Tell whether ``ip rule add`` takes the rules one after the other in this order."""
    taken: set[tuple[object, ...]] = set()
    for rule in rules:
        if asked(rule) in taken:
            return False
        taken |= answers(rule)
    return True


def exclude_each_other(one: Rule, other: Rule) -> bool:
    """Tell whether the kernel refuses to hold both rules, in whichever order they are added."""
    return asked(one) in answers(other) and asked(other) in answers(one)


def asked(rule: Rule) -> tuple[object, ...]:
    """Return the key under which rule_exists() looks for a copy of ``rule``."""
    return (*_exact(rule), rule.src, rule.to, rule.tos)


def answers(rule: Rule) -> set[tuple[object, ...]]:
    """Return the keys that a live rule answers to: a selector not asked for matches any value.

    That is how fib4_rule_compare() and fib6_rule_compare() treat source, destination and TOS.
    """
    base = _exact(rule)
    return {
        (*base, src, to, tos)
        for src in (rule.src, None)
        for to in (rule.to, None)
        for tos in (rule.tos, 0)
    }


def _exact(rule: Rule) -> tuple[object, ...]:
    """Return what rule_exists() compares exactly; ``not`` and a goto's target are not among it."""
    return (
        rule.family,
        rule.table,
        rule.priority,
        _verb(rule),
        rule.iif,
        rule.oif,
        rule.fwmark,
        rule.suppress_prefixlength,
        rule.uidrange,
        rule.ipproto,
        rule.sport,
        rule.dport,
        rule.protocol,
        rule.other,
    )


def specificity(rule: Rule) -> int:
    """Return how many of the selectors it names that the kernel compares loosely."""
    return sum((rule.src is not None, rule.to is not None, rule.tos != 0))


def _verb(rule: Rule) -> str:
    return rule.action.partition(" ")[0]


def deletes(given: Rule, other: Rule) -> bool:
    """Tell whether rule_find() takes ``other`` when asked to delete ``given``."""
    named = ("iif", "oif", "suppress_prefixlength", "uidrange", "ipproto", "sport", "dport")
    return (
        given.src in (None, other.src)
        and given.to in (None, other.to)
        and given.tos in (0, other.tos)
        and all(getattr(given, name) in (None, getattr(other, name)) for name in named)
        and _marks_match(given.fwmark, other.fwmark)
        and (given.action == "lookup" or _verb(given) == _verb(other))
        and given.protocol in (0, other.protocol)
        and set(given.other) <= set(other.other)
    )


def _marks_match(given: str | None, other: str | None) -> bool:
    if given is None or given == other:
        return True
    mark, _, mask = given.partition("/")
    other_mark, _, other_mask = (other or "").partition("/")
    if mark != "0":
        return False
    # A mark of 0 names nothing; only the mask counts.
    return bool(other_mark) and (mask or "0xffffffff") == (other_mask or "0xffffffff")


# --- what overlaps ----------------------------------------------------------------------------


def overlap(one: Rule, other: Rule) -> bool:
    """Tell whether one packet can match the selectors of both rules."""
    if one.family != other.family:
        return False
    if one.invert or other.invert:
        return True
    exact = ("iif", "oif", "ipproto")
    return (
        all(_alike(getattr(one, name), getattr(other, name)) for name in exact)
        and (not one.tos or not other.tos or one.tos == other.tos)
        and all(
            _ranges_meet(getattr(one, name), getattr(other, name))
            for name in ("sport", "dport", "uidrange")
        )
        and _masks_meet(one.fwmark, other.fwmark)
        and prefixes_meet(one.src, other.src)
        and prefixes_meet(one.to, other.to)
    )


def _alike(one: object, other: object) -> bool:
    return one is None or other is None or one == other


def _ranges_meet(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return True
    first, last = _bounds(one)
    other_first, other_last = _bounds(other)
    return first <= other_last and other_first <= last


def _bounds(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    return int(low), int(high) if dash else int(low)


def _masks_meet(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return True
    mark, mask = _mark(one)
    other_mark, other_mask = _mark(other)
    return not (mark ^ other_mark) & mask & other_mask


def _mark(text: str) -> tuple[int, int]:
    mark, slash, mask = text.partition("/")
    return int(mark, 0), int(mask, 0) if slash else U32


def prefixes_meet(one: str | None, other: str | None) -> bool:
    """Tell whether two prefixes (None for all) share an address."""
    if one is None or other is None or one == other:
        return True
    if "/" not in one and "/" not in other:
        return False
    first, second = values.network(one), values.network(other)
    return first in second or second in first
