"""What others made, in tables that are ours or become so: taken as it stands, or left to them.

Pure. Somebody who has set up a host by hand writes a protocol that no loader would (``proto
static``, or ``proto kernel`` copied from ``ip route show``) and names the next hops of a multipath
route in an order of his own: what is wanted is then wanted just so. What stands in a table that
was nobody's of ours, and is neither declared nor replaced by what is, stays his.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import multihoming_iproute2 as iproute2
import multihoming_rules as rules
from multihoming_model import Policy, Route, Rule, meaning
from multihoming_numbers import PEOPLES, UNSPEC

Item = Route | Rule


# --- as it stands -------------------------------------------------------------------------------


def as_standing(
    policy: Policy,
    live: Collection[Item],
    lines: Callable[[], Iterable[Item]],
    owned: bool,
    stamped: bool,
) -> Policy:
    """Return a policy in which what stands already is wanted as it stands.

    live
        What the kernel holds of its table, in the kernel's order.
    lines
        Returns what the loader makes of the lines of files; it is only asked when that matters.
    owned
        The table was ours before: what its files say of protocols counts, else what is live.
    stamped
        The network manager puts protocols of its own on all that it loads: none other is wanted.
    """
    there = set(live)
    if all(item in there for item in (*policy.routes, *policy.rules)):
        return policy
    standing = _by_meaning(live)
    written = _by_meaning(lines())
    if not standing and not written:
        return policy

    def like(item: Any) -> Any:
        if item in there:
            return item
        key = meaning(item)
        at_hand, in_file = standing.get(key, []), written.get(key, [])
        hops = [*at_hand, *in_file]
        if hops and isinstance(item, Route):
            item = item._replace(nexthops=hops[0].nexthops)
        made = [*in_file, *at_hand] if owned else at_hand
        if made and made[0].protocol in PEOPLES and not stamped:
            item = item._replace(protocol=made[0].protocol)
        return item

    return policy._replace(
        routes=tuple(map(like, policy.routes)), rules=tuple(map(like, policy.rules))
    )


def _by_meaning(items: Iterable[Item]) -> dict[Item, list[Any]]:
    found: dict[Item, list[Any]] = {}
    for item in items:
        found.setdefault(meaning(item), []).append(item)
    return found


# --- somebody else's ----------------------------------------------------------------------------


def somebody_elses(standing: Iterable[Item], declared: Sequence[Item]) -> list[Item]:
    """Return what stands in a table and is neither declared nor replaced by what is.

    standing
        Routes of the table and rules that lead to it, live or in files.
    declared
        What the table's policy has, all of it.
    """
    wanted = set(map(meaning, declared))
    routes: dict[Any, list[Route]] = {}
    selecting = set()
    for item in declared:
        if isinstance(item, Rule):
            selecting.add(_selecting(item))
        else:
            routes.setdefault((item.family, item.to), []).append(item)
    return [
        item
        for item in dict.fromkeys(map(meaning, standing))
        if item not in wanted
        and (
            _selecting(item) not in selecting
            if isinstance(item, Rule)
            else not any(_replaces(new, item) for new in routes.get((item.family, item.to), ()))
        )
    ]


def _selecting(rule: Rule) -> tuple[Any, ...]:
    """Return what a rule selects and does, wherever it stands."""
    selection = rules.selection(rule)._replace(priority=None, protocol=UNSPEC)
    return (selection, rules.outcome(rule))


def _replaces(new: Route, old: Route) -> bool:
    """Tell whether a declared route comes in place of one that goes the same way.

    That is one with the same key by the same interface, or with another metric by the same next
    hop.
    """
    if {new.type, old.type} != {"unicast"} or not {*new.devices} & {*old.devices}:
        return False
    return new.key == old.key or (
        (new.via, new.dev, new.nexthops) == (old.via, old.dev, old.nexthops)
        and new.key_words == old.key_words
    )


def taken_over(
    names: Mapping[str, int], standing: Mapping[int, Sequence[Item]], declared: Iterable[Item]
) -> list[str]:
    """Return what speaks against making tables ours in which somebody else's things stand.

    names
        Table's name -> id, of those that were not ours before.
    standing
        Id -> what stands there.
    """
    wanted: dict[int | None, list[Item]] = {}
    for item in declared:
        wanted.setdefault(item.table, []).append(item)
    errors = []
    for name, id_ in ((name, id_) for name, id_ in names.items() if standing.get(id_)):
        others = somebody_elses(standing[id_], wanted.get(id_, ()))
        if others:
            shown = ", ".join(f"`{_shown(item, name)}`" for item in others[:10])
            more = f" and {len(others) - 10} more" if len(others) > 10 else ""
            errors.append(
                f"tables.{name}: table {id_} was not managed before, and has {shown}{more}, which "
                "the pillar does not declare; write another id, or declare what is there "
                "(`multihoming.export` shows how), or `take_over: true` at top level if it may go"
            )
    return errors


def _shown(item: Item, name: str) -> str:
    kind = "rule" if isinstance(item, Rule) else "route"
    return f"ip -{item.family} {kind} {iproute2.text(item, name)}"
