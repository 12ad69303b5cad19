"""How the kernel compares rules, and which rules meet the same packets.

Pure. The kernel compares loosely (net/core/fib_rules.c, net/ipv4/fib_rules.c and
net/ipv6/fib6_rules.c): ``ip rule add`` is refused when a more specific rule of the same priority
and table exists, ``ip rule del`` takes the first rule that has what it names, and neither looks at
``not``. Which selector is compared how stands in the table of ``multihoming_attributes``.
"""

import operator
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import multihoming_attributes as attributes
from multihoming_attributes import BY_MASK, LOOSELY, RULE
from multihoming_model import Route, Rule
from multihoming_numbers import MAIN, UNSPEC

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


# --- what a rule selects, and what it does ------------------------------------------------------

_EFFECTS = [entry for entry in RULE if not entry.selects]
_EFFECT_WORDS = {entry.word for entry in _EFFECTS if not entry.field}
_NO_EFFECTS = {entry.field: entry.kind.nothing for entry in _EFFECTS if entry.field}
_effects = attributes.fields(_EFFECTS)


def selection(rule: Rule) -> Rule:
    """Return a rule that selects the same and says nothing of where that leads, but its action."""
    other = tuple(pair for pair in rule.other if pair[0] not in _EFFECT_WORDS)
    return rule._replace(table=None, other=other, **_NO_EFFECTS)


def outcome(rule: Rule) -> tuple[object, ...]:
    """Return what becomes of the packets that a rule selects, its table aside."""
    words = tuple(pair for pair in rule.other if pair[0] in _EFFECT_WORDS)
    return (rule.action, words, *_effects(rule))


PLAIN_LOOKUP = outcome(Rule(4, None))


# --- what the kernel takes for the same ---------------------------------------------------------

_LOOSE = [entry for entry in RULE if entry.compared == LOOSELY and entry.field]
_LOOSE_WORDS = [entry.word for entry in RULE if entry.compared == LOOSELY and not entry.field]
_EXACT = [entry for entry in RULE if entry.compared != LOOSELY and entry.field]
_MASKED = [entry for entry in RULE if entry.compared == BY_MASK and entry.field]
_NAMED = [entry for entry in RULE if entry.compared != BY_MASK and entry.field]

_STRUCTURE = ("family", "table", "priority", "protocol", "action")
_exact = operator.attrgetter(*_STRUCTURE, *(entry.field for entry in _EXACT))
_all = operator.attrgetter(*_STRUCTURE, *(entry.field for entry in (*_EXACT, *_LOOSE)))
_loose, _masked, _named = (attributes.fields(each) for each in (_LOOSE, _MASKED, _NAMED))
_NO_WORDS = (None,) * len(_LOOSE_WORDS)
_NOTHING_LOOSE, _NOTHING_NAMED = attributes.nothing(_LOOSE), attributes.nothing(_NAMED)


def asked(rule: Rule) -> tuple[object, ...]:
    """Return the key under which rule_exists() looks for a copy of ``rule``."""
    if rule.other or " " in rule.action:
        exact, other = _compared(rule)
        return ((*exact, *_loose(rule)), other, _loose_words(rule))
    return (_all(rule), (), _NO_WORDS)


def answers(rule: Rule) -> set[tuple[object, ...]]:
    """Return the keys that a live rule answers to: a selector not asked for matches any value.

    That is how fib4_rule_compare() and fib6_rule_compare() treat source, destination, TOS and
    realms.
    """
    exact, other = _compared(rule)
    words = _loosened(_loose_words(rule), _NO_WORDS) if rule.other else (_NO_WORDS,)
    return {
        ((*exact, *fields), other, each)
        for fields in _loosened(_loose(rule), _NOTHING_LOOSE)
        for each in words
    }


def _compared(rule: Rule) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """Return what rule_exists() compares exactly; ``not`` and a goto's target are not among it."""
    if " " in rule.action:
        rule = rule._replace(action=_verb(rule))
    other = rule.other and tuple(pair for pair in rule.other if pair[0] not in _LOOSE_WORDS)
    return _exact(rule), other


def _loose_words(rule: Rule) -> tuple[object, ...]:
    """Return what rule_exists() compares loosely and has no field of its own."""
    other = dict(rule.other)
    return tuple(other.get(word) for word in _LOOSE_WORDS) if other else _NO_WORDS


def _loosened(values: tuple[object, ...], nothing: tuple[object, ...]) -> list[tuple[object, ...]]:
    """Return values with each that is named left out or not."""
    found = [values]
    for place, unsaid in enumerate(nothing):
        if values[place] != unsaid:
            found += [(*each[:place], unsaid, *each[place + 1 :]) for each in found]
    return found


def specificity(rule: Rule) -> int:
    """Return how many of the selectors it names that the kernel compares loosely."""
    named = sum(map(operator.ne, _loose(rule), _NOTHING_LOOSE))
    return named + sum(map(operator.ne, _loose_words(rule), _NO_WORDS))


def _verb(rule: Rule) -> str:
    return rule.action.partition(" ")[0]


def deletes(given: Rule, other: Rule) -> bool:
    """Tell whether rule_find() takes ``other`` when asked to delete ``given``."""
    return (
        _names(_named(given), _named(other))
        and all(map(_marks_match, _masked(given), _masked(other)))
        and (given.action == "lookup" or _verb(given) == _verb(other))
        and given.protocol in (0, other.protocol)
        and set(given.other) <= set(other.other)
    )


def _names(given: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Tell whether what is named is the same."""
    return given == other or all(
        value in (nothing, there)
        for value, there, nothing in zip(given, other, _NOTHING_NAMED, strict=True)
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


_SELECTORS = [entry for entry in RULE if entry.selects]
_MEET = [entry.kind.meet for entry in _SELECTORS if entry.field]
_MEET_BY_WORD = {entry.word: entry.kind.meet for entry in _SELECTORS if not entry.field}
_selected = attributes.fields(_SELECTORS)


def overlap(one: Rule, other: Rule) -> bool:
    """Tell whether one packet can match the selectors of both rules."""
    if one.family != other.family:
        return False
    if one.invert or other.invert:
        return True
    for place, (mine, its) in enumerate(zip(_selected(one), _selected(other), strict=True)):
        if mine and its and mine != its and not _MEET[place](mine, its):
            return False
    return not (one.other and other.other) or _others_meet(dict(one.other), dict(other.other))


def _others_meet(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return all(
        one[word] == other[word] or _MEET_BY_WORD[word](one[word], other[word])
        for word in one.keys() & other.keys() & _MEET_BY_WORD.keys()
    )
