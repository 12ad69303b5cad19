"""What a run has to do: a checked pillar, and what was seen of the host, become edits and steps.

Pure. Everything that is known of the outside comes in as ``Seen``, read once; the same comparison
tells afterwards whether the result holds.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import multihoming_adopt as adopt
import multihoming_backend as backend_
import multihoming_config as config
import multihoming_default_gateway as default_gateway
import multihoming_desired as desired
import multihoming_edit as edit_
import multihoming_iproute2 as iproute2
import multihoming_model as model
import multihoming_plan as plan
import multihoming_rt_tables as rt_tables
import multihoming_rules as rules
from multihoming_backend import Default, Kept
from multihoming_edit import FILES, FOLDER, Edit
from multihoming_errors import HostError
from multihoming_model import Found
from multihoming_numbers import MAIN

_RoutesAndRules = tuple[list[model.Route], list[model.Rule]]


class Seen(NamedTuple):
    """What a run needs of the outside.

    state
        The kernel's side: with the routes of every table that may be touched.
    keepers
        Interface -> name of its backend; of the host's interfaces and the declared ones.
    kept
        Name of a backend -> what it keeps, of every one that concerns the run.
    """

    tables: rt_tables.Tables
    state: model.State
    keepers: Mapping[str, str] = {}
    kept: Mapping[str, Kept] = {}


class Goal(NamedTuple):
    """What the host should be.

    tables
        Name -> id, to be registered.
    owned
        Names that are forgotten unless they are in ``tables``.
    ours
        What is compared: rules, routes and lines.
    chosen
        The interface whose gateways main should use, None to leave main alone.
    """

    tables: Mapping[str, int]
    owned: frozenset[str]
    ours: rules.Ours
    outcome: desired.Desired
    chosen: default_gateway.Chosen | None = None


class Work(NamedTuple):
    """What a run has to do, and its report.

    before, after
        Edits ahead of the kernel's steps and behind them. A table is registered before anything
        leads to it, and forgotten last; what is loaded at boot changes once the kernel has taken
        it.
    current, should
        What the kernel holds of what is ours, and what it should hold.
    settings
        Kernel settings that are kept besides, by Salt's own state.
    warnings
        What is wrong with the outcome that the pillar can't help.
    """

    goal: Goal
    seen: Seen
    before: tuple[Edit, ...]
    steps: tuple[model.Step, ...]
    after: tuple[Edit, ...]
    report: Mapping[str, Any]
    current: _RoutesAndRules
    should: _RoutesAndRules
    settings: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()

    @property
    def pending(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self.before or self.steps or self.after)

    @property
    def edits(self) -> list[Edit]:
        """All edits, one for each place."""
        return edit_.merged([*self.before, *self.after])

    @property
    def devices(self) -> list[str]:
        """The interfaces that it is about."""
        keepers = self.seen.keepers
        own = (policy.interface for policy in self.goal.outcome.policies.values())
        return [dev for dev in dict.fromkeys([*own, *self.report["interfaces"]]) if dev in keepers]


def folders(seen: Seen) -> list[str]:
    """Return the folders in which a run may write files, each ending in a slash."""
    kept = (folder for name in seen.kept for folder in backend_.named(name).FOLDERS)
    return [rt_tables.ETC.removesuffix("rt_tables"), rt_tables.DROP_INS + FOLDER, *kept]


def ids_to_read(
    tables: rt_tables.Tables, wanted: config.Config, scope: frozenset[str] | None
) -> set[int]:
    """Return the ids of the tables that a run may touch.

    scope
        Names of the only ones; None for all that are owned.
    """
    left = {table.id for table in tables.renumbered if scope is None or table.name in scope}
    return {*_owned(tables, scope).values(), *left, *wanted.tables.values()}


def needs_defaults(wanted: config.Config) -> bool:
    """Tell whether main's default routes matter."""
    return wanted.default_gateway is not None or any(
        interface.gateways is None or interface.keep_main_routes
        for interface in wanted.interfaces.values()
    )


def devices_to_read(wanted: config.Config, links: Mapping[str, model.Link]) -> list[str]:
    """Return the interfaces of which it matters what their configuration says."""
    open_ = [
        interface.dev
        for interface in wanted.interfaces.values()
        if (interface.addresses is None and not interface.all_addresses)
        or interface.gateways is None
    ]
    if any(interface.keep_main_routes for interface in wanted.interfaces.values()):
        open_ += (name for name, link in links.items() if "LOOPBACK" not in link.flags)
    if wanted.default_gateway:
        open_.append(wanted.default_gateway)
    return list(dict.fromkeys(open_))


def _owned(tables: rt_tables.Tables, scope: frozenset[str] | None) -> dict[str, int]:
    return {name: id_ for name, id_ in tables.owned.items() if scope is None or name in scope}


# --- the goal ---------------------------------------------------------------------------------


def decide(
    wanted: config.Config, seen: Seen, scope: frozenset[str] | None, errors: list[str]
) -> Work:
    """Return what has to be done.

    errors
        What is wrong already; with any, or with more, HostError is raised with all of them.
    """
    state = seen.state
    errors += rt_tables.conflicts(seen.tables, wanted.tables)
    found = _found(wanted, seen, errors)
    known = _with_live(found, wanted, state, state.defaults)
    chosen = default_gateway.choose(wanted, state.links, known, state.defaults, errors)
    chosen = _as_scripted(seen, chosen, errors)
    errors += default_gateway.in_the_way(state.defaults, chosen) if chosen else []
    staying = default_gateway.after(state.defaults, chosen) if chosen else state.defaults
    errors += _siblings_lost(found, wanted, state, staying)
    known = _with_live(found, wanted, state, staying)
    outcome = desired.policies(wanted, state.links, known)
    errors += outcome.errors
    if errors:
        raise HostError(errors)
    outcome = outcome._replace(policies=_stamped(outcome.policies, seen.keepers))
    skipped = {wanted.interfaces[name].table.id for name in outcome.skipped}
    tables = _without_others(wanted.tables, skipped, seen)
    forgettable = frozenset(_owned(seen.tables, scope) if scope is None else ())
    ids = frozenset(ids_to_read(seen.tables, wanted, scope) - skipped)
    ours = _ours(ids, seen, outcome)
    _check_places(ours, state.all_rules)
    switched = default_gateway.switch(state.defaults, chosen)[0] if chosen else []
    _check_encapsulated(held(ours, state, switched)[0], {**wanted.tables, **seen.tables.ids})
    if not wanted.take_over:
        _check_others(wanted, ours, seen, outcome)
    return compare(Goal(tables, forgettable, ours, outcome, chosen), seen)


def _found(wanted: config.Config, seen: Seen, errors: list[str]) -> dict[str, Found]:
    """Return what configurations say of interfaces, with errors for what can't be read."""
    found: dict[str, Found] = {}
    for kept in seen.kept.values():
        for name, problem in kept.unreadable.items():
            key = "default_gateway" if name == wanted.default_gateway else "keep_main_routes"
            entries = [each for each, entry in wanted.interfaces.items() if entry.dev == name]
            where = f"interfaces.{entries[0]}" if entries else key
            errors.append(f"{where}: {problem}")
        for name, said in kept.interfaces.items():
            found[name] = Found(said.addresses, said.gateways, dynamic=said.dynamic)
    return found


def _as_scripted(
    seen: Seen, chosen: default_gateway.Chosen | None, errors: list[str]
) -> default_gateway.Chosen | None:
    """Add the default routes that managers make, and what in their files contradicts."""
    if chosen is None:
        return None
    scripted: list[model.Route] = []
    problems: list[str] = []
    for name, kept in seen.kept.items():
        backend = backend_.named(name)
        scripted += backend.defaults(kept)
        problems += backend.problems(kept, _default(name, chosen, seen))
    errors += [f"default_gateway: {problem}" for problem in dict.fromkeys(problems)]
    stamps = backend_.named(seen.keepers.get(chosen.interface, backend_.NONE)).STAMPS
    return chosen._replace(scripted=tuple(scripted), protocol=stamps.route)


def _default(name: str, chosen: default_gateway.Chosen, seen: Seen) -> Default:
    own = seen.keepers.get(chosen.interface) == name
    return Default(chosen.interface, chosen.gateways, own)


def _stamped(
    policies: Mapping[str, model.Policy], keepers: Mapping[str, str]
) -> dict[str, model.Policy]:
    """Return the policies with the protocols that the loader of each interface's backend stamps."""
    usual = backend_.Stamps()
    stamped = {}
    for name, policy in policies.items():
        stamps = backend_.named(keepers[policy.interface]).STAMPS
        stamped[name] = policy if stamps == usual else _with_stamps(policy, stamps)
    return stamped


def _with_stamps(policy: model.Policy, stamps: backend_.Stamps) -> model.Policy:
    return policy._replace(
        routes=tuple(map(stamps.put_on, policy.routes)),
        rules=tuple(map(stamps.put_on, policy.rules)),
    )


def _ours(ids: frozenset[int], seen: Seen, outcome: desired.Desired) -> rules.Ours:
    """Return what is ours: the tables, and rules into main that are recorded or wanted."""
    made = [rule for policy in outcome.policies.values() for rule in policy.rules]
    wanted = {rules.place_into_main(rule) for rule in made} - {None}
    places = rules.places_into_main(made, ids) if wanted else {}
    into_main = {place: table for place, table in places.items() if place in wanted}
    recorded = seen.tables.keeping_main
    if recorded:
        # What a run that was killed has left in files may still name the old id.
        before = {table.name: table.id for table in seen.tables.renumbered}
        names = [seen.tables.ids, *([{**seen.tables.ids, **before}] if before else [])]
        lines = [line.item for each in names for line in lines_of(seen, each) if not line.lost]
        kept = [item for item in lines if isinstance(item, model.Rule)]
        held = [*seen.state.all_rules, *kept]
        into_main |= rules.places_recorded(
            held, {record for record in recorded if record[0] in ids}
        )
    return rules.Ours(ids, into_main)


def lines_of(seen: Seen, names: Mapping[str, int]) -> list[backend_.Line]:
    """Return the lines of all that is kept; names are name -> id, from rt_tables."""
    return [
        line for name, kept in seen.kept.items() for line in backend_.named(name).lines(kept, names)
    ]


def places(done: Work, name: str) -> list[str]:
    """Return where a backend has lines that are ours."""
    ids = {**done.seen.tables.ids, **done.goal.tables}
    lines = backend_.named(name).lines(done.seen.kept[name], ids)
    return [line.place for line in lines if line.item and line.item in done.goal.ours]


def _check_places(ours: rules.Ours, live: Iterable[model.Rule]) -> None:
    """Check that nobody else's rule stands where one of ours has to be.

    The kernel could not tell the two apart when it has to remove ours. Raises HostError.
    """
    foreign = [
        f"keep_main_routes: `{iproute2.text(rule, 'main')}` is somebody else's, and "
        "stands where a rule for that address has to be; give it another priority, or write "
        "another `priority` before keep_main_routes is applied"
        for rule in live
        if rule.table == MAIN and rule not in ours
        if (rule.family, rule.src, rule.priority) in ours.into_main
        if rules.deletes(rules.into_main(rule.family, rule.priority or 0, rule.src or ""), rule)
    ]
    if foreign:
        raise HostError(foreign)


def _check_encapsulated(current: Iterable[model.Route], names: Mapping[str, int]) -> None:
    """Check that no route that may go leads into a tunnel of its own.

    What is read of it is not enough to put it back. Raises HostError.
    """
    known = {id_: name for name, id_ in names.items()}
    errors = [
        _not_put_back(route, known.get(route.table, str(route.table)))
        for route in current
        if model.is_encapsulated(route)
    ]
    if errors:
        raise HostError(errors)


def _not_put_back(route: model.Route, table: str) -> str:
    why = f"`{iproute2.text(route, table)}` leads into a tunnel (encap), and could not be put back"
    if route.table == MAIN:
        return f"default_gateway: {why}; replace it by hand, or remove the key"
    metric = f" metric {route.metric}" if route.metric else ""
    return (
        f"tables.{table}: {why}; remove it (`ip -{route.family} route del {route.to}{metric} "
        f"table {route.table}`), or move it to a table of its own that is not managed"
    )


def _check_others(
    wanted: config.Config, ours: rules.Ours, seen: Seen, outcome: desired.Desired
) -> None:
    """Check that nothing of somebody else's stands in a table that becomes ours.

    Raises HostError.
    """
    others = ours.tables - seen.tables.owned_ids
    new = {name: id_ for name, id_ in wanted.tables.items() if id_ in others}
    if not new:
        return
    standing = _standing(new, seen)
    policies = outcome.policies.values()
    declared: list[Any] = [route for policy in policies for route in policy.routes]
    declared += [rule for policy in policies for rule in policy.rules]
    errors = adopt.taken_over(new, standing, declared)
    if errors:
        raise HostError(errors)


def _without_others(
    tables: Mapping[str, int], skipped: Iterable[int], seen: Seen
) -> dict[str, int]:
    """Leave out tables of skipped interfaces in which somebody else's things stand.

    Once registered they would be ours, and nothing says yet what of it is declared.
    """
    others = {*skipped} - seen.tables.owned_ids
    if not others:
        return dict(tables)
    new = {name: id_ for name, id_ in tables.items() if id_ in others}
    standing = _standing(new, seen) if new else {}
    return {name: id_ for name, id_ in tables.items() if not standing.get(id_)}


def _standing(new: Mapping[str, int], seen: Seen) -> dict[int, list[Any]]:
    """Return id -> routes and rules, live and of files, of tables that are not ours yet."""
    standing: dict[int, list[Any]] = {id_: [*seen.state.routes[id_]] for id_ in new.values()}
    # A name that gets another id still stands for the old one in files.
    lines = (line.item for line in lines_of(seen, {**new, **seen.tables.ids}) if not line.lost)
    for item in (*seen.state.all_rules, *lines):
        if item and item.table in standing:
            standing[item.table].append(item)
    return standing


def _with_live(
    found: Mapping[str, Found],
    wanted: config.Config,
    state: model.State,
    staying: Iterable[model.Route],
) -> dict[str, Found]:
    """Add the live gateways: main's default routes, else the one our table already has.

    staying
        Main's default routes at the end of the run: what goes tells nothing the next time. It does
        of declared interfaces of which nothing stays, as their tables have it by then.
    """
    now, then = desired.defaults_by_device(state.defaults), desired.defaults_by_device(staying)
    filled = {}
    for name in {**wanted.interfaces, **state.links}:
        interface = wanted.interfaces.get(name)
        dev = interface.dev if interface else name
        live = then.get(dev, {})
        if interface and interface.gateways is None:
            own = desired.own_defaults(interface, state.routes.get(interface.table.id, ()))
            live = {**own, **now.get(dev, {}), **live}
        filled[name] = desired.with_defaults(found.get(dev, Found()), live)
    return filled


def _siblings_lost(
    found: Mapping[str, Found],
    wanted: config.Config,
    state: model.State,
    staying: Iterable[model.Route],
) -> list[str]:
    """Name interfaces of which nothing tells any more that their clients have a gateway.

    Replies to these would then go there directly, past the interface that was asked.
    """
    if not any(interface.keep_main_routes for interface in wanted.interfaces.values()):
        return []
    declared = {interface.dev for interface in wanted.interfaces.values()}
    now, then = desired.defaults_by_device(state.defaults), desired.defaults_by_device(staying)
    errors = []
    for name in state.links:
        known = {**then.get(name, {}), **found.get(name, Found()).gateways}
        lost = now.get(name, {}).keys() - known.keys()
        if lost and name not in declared:
            errors.append(
                f"default_gateway: replaces the default route that tells keep_main_routes that "
                f"clients of {name} have a gateway; declare {name} in `interfaces`, or write its "
                "gateway in its configuration file"
            )
    return errors


# --- what separates the host from it ------------------------------------------------------------


def compare(goal: Goal, seen: Seen) -> Work:
    """Return what separates kernel, rt_tables and what backends keep from the goal."""
    tables, state = seen.tables, seen.state
    goal = goal._replace(outcome=_as_standing(goal, seen))
    registered, then = _registered(goal, tables)
    released, final = _released(goal, then)
    before = table_edits(tables, registered)
    after = [*_rendered(goal, seen, final), *table_edits(then, released)]

    policies = goal.outcome.policies.values()
    switched, switched_to = (
        ([], []) if not goal.chosen else default_gateway.switch(state.defaults, goal.chosen)
    )
    current = held(goal.ours, state, switched)
    should = (
        [route for policy in policies for route in policy.routes] + switched_to,
        [rule for policy in policies for rule in policy.rules],
    )
    steps = plan.steps(current, should)
    report = _report(goal, seen, final, steps, edit_.merged([*before, *after]), (current, should))
    return Work(goal, seen, tuple(before), tuple(steps), tuple(after), report, current, should)


def _as_standing(goal: Goal, seen: Seen) -> desired.Desired:
    """Return the outcome with what stands already as it stands, see ``multihoming_adopt``."""
    live: dict[int, list[Any]] = {id_: [*seen.state.routes[id_]] for id_ in goal.ours.tables}
    for rule in seen.state.all_rules:
        place = rules.place_into_main(rule)
        table = goal.ours.into_main.get(place, rule.table) if place else rule.table
        live.get(table or 0, []).append(rule)
    names = {**seen.tables.ids, **goal.tables}
    usual, owned = backend_.Stamps(), seen.tables.owned_ids
    stamping = {name for name in seen.keepers.values() if usual != backend_.named(name).STAMPS}
    policies = {
        name: adopt.as_standing(
            policy,
            live[policy.table.id],
            functools.partial(_in_files, seen, seen.keepers[policy.interface], names),
            policy.table.id in owned,
            seen.keepers[policy.interface] in stamping,
        )
        for name, policy in goal.outcome.policies.items()
    }
    return goal.outcome._replace(policies=policies)


def _in_files(seen: Seen, keeper: str, names: Mapping[str, int]) -> list[Any]:
    """Return what the loader of a backend makes of the lines that it keeps."""
    if keeper not in seen.kept:
        return []
    lines = backend_.named(keeper).lines(seen.kept[keeper], names)
    return [line.item for line in lines if line.item and not line.lost]


def _rendered(goal: Goal, seen: Seen, final: rt_tables.Tables) -> list[Edit]:
    """Return the backends' edits: each keeps the policies of its interfaces, and no others."""
    policies = _by_interface(goal.outcome.policies.values())
    return [
        edit
        for name, kept in seen.kept.items()
        for edit in backend_.named(name).render(
            kept,
            {dev: p for dev, p in policies.items() if seen.keepers.get(dev) == name},
            goal.ours,
            seen.tables.ids,
            final.ids,
            _default(name, goal.chosen, seen) if goal.chosen else None,
        )
    ]


def _by_interface(policies: Iterable[model.Policy]) -> dict[str, model.Policy]:
    """Return interface -> policy; what several say of one is one for its network manager."""
    found: dict[str, model.Policy] = {}
    for policy in policies:
        first = found.setdefault(policy.interface, policy)
        if first is not policy:
            found[policy.interface] = first._replace(
                routes=(*first.routes, *policy.routes), rules=(*first.rules, *policy.rules)
            )
    return found


def _registered(goal: Goal, tables: rt_tables.Tables) -> tuple[dict[str, str], rt_tables.Tables]:
    """Return (path -> text, tables) with what has to be recorded before the kernel changes."""
    named = rt_tables.register(tables, goal.tables)
    then = rt_tables.combine(tables, named)
    recorded = rt_tables.record(then, _records(goal))
    return {**named, **recorded}, rt_tables.combine(then, recorded)


def _released(goal: Goal, tables: rt_tables.Tables) -> tuple[dict[str, str], rt_tables.Tables]:
    """Return (path -> text, tables) without what need not be recorded once it has changed."""
    forgotten = rt_tables.forget(tables, goal.ours.tables, _records(goal))
    then = rt_tables.combine(tables, forgotten)
    released = rt_tables.release(then, goal.owned - goal.tables.keys())
    return {**forgotten, **released}, rt_tables.combine(then, released)


def _records(goal: Goal) -> list[rt_tables.Record]:
    """Return what has to be recorded: which interface a table serves, and rules into main."""
    records = []
    for dev, policy in goal.outcome.policies.items():
        places = filter(None, map(rules.place_into_main, policy.rules))
        priorities = {place[2] for place in places if place in goal.ours.into_main}
        records += [
            rt_tables.Record(rt_tables.KEEPING, policy.table, str(priority))
            for priority in sorted(priorities)
        ]
        records.append(rt_tables.Record(rt_tables.SERVING, policy.table, dev))
    return records


def held(ours: rules.Ours, state: model.State, in_main: Iterable[model.Route]) -> _RoutesAndRules:
    """Return what the kernel holds of what is ours, and the routes of main that matter."""
    routes = [route for id_ in sorted(ours.tables) for route in state.routes[id_]]
    return [*routes, *in_main], [rule for rule in state.all_rules if rule in ours]


def table_edits(before: rt_tables.Tables, after: Mapping[str, str]) -> list[Edit]:
    """Return the edits of rt_tables and its drop-ins that lead to other texts, by path.

    Folders that are made for our drop-in go away with it.
    """
    edits = [
        Edit(FILES, path, before.texts.get(path), None if rt_tables.is_empty(path, text) else text)
        for path, text in after.items()
    ]
    ours = next((edit for edit in edits if edit.place == rt_tables.OURS), None)
    if ours and ours.before is None:
        return [*(Edit(FILES, path + FOLDER, None, "") for path in before.missing), *edits]
    made = rt_tables.made(ours.before) if ours and ours.after is None else []
    return [*edits, *(Edit(FILES, path + FOLDER, "", None) for path in reversed(made))]


def is_record(edit: Edit) -> bool:
    """Tell whether an edit only records in rt_tables what is ours: nothing changes by it."""
    ours = (rt_tables.ETC, rt_tables.OURS)
    return edit.place in ours and rt_tables.only_records(edit.before, edit.after)


def diffs(edits: Iterable[Edit]) -> dict[str, str]:
    """Return place -> unified diff of the edits that change more than our records."""
    return edit_.diffs(edit for edit in edits if not is_record(edit))


# --- the report -------------------------------------------------------------------------------


def _report(
    goal: Goal,
    seen: Seen,
    final: rt_tables.Tables,
    steps: Iterable[model.Step],
    edits: Iterable[Edit],
    sides: tuple[_RoutesAndRules, _RoutesAndRules],
) -> dict[str, Any]:
    known = {**seen.tables.ids, **final.ids}
    current, should = sides
    commands = [f"ip -{step.family} {step.line}" for step in steps]
    differences = plan.differences([*current[0], *current[1]], [*should[0], *should[1]])
    devices = _devices(goal, seen, known, current[0]) if commands else {}
    return {
        "commands": commands,
        "files": diffs(edits),
        "interfaces": _interfaces(differences, devices, goal.ours, known),
        "tables": _tables(seen.tables, final),
        "notes": [f"{name} {why}: skipped" for name, why in goal.outcome.skipped.items()],
    }


def _devices(
    goal: Goal, seen: Seen, known: Mapping[str, int], routes: Iterable[model.Route]
) -> dict[int, str]:
    """Return table id -> the interface it serves: by policy, record, files, else live routes."""
    devices = {route.table: dev for route in routes for dev in route.devices[:1]}
    devices.update(served(lines_of(seen, known), goal.ours.tables, known))
    devices.update(seen.tables.serving)
    policies = goal.outcome.policies
    devices.update({policy.table.id: dev for dev, policy in policies.items()})
    return devices


def served(
    lines: Iterable[backend_.Line], ids: Iterable[int] | None, names: Mapping[str, int]
) -> dict[int, str]:
    """Return table id -> the interface whose configuration has lines for it.

    ids
        The only tables that are asked for; None for all.
    """
    found = ((iproute2.table_id(line.table, names), line.device) for line in lines if line.table)
    return {
        id_: dev for id_, dev in found if id_ is not None and dev and (ids is None or id_ in ids)
    }


def _interfaces(
    differences: plan.Differences,
    devices: Mapping[int, str],
    ours: rules.Ours,
    known: Mapping[str, int],
) -> dict[str, Any]:
    """Return interface -> {"routes"|"rules": {"added"|"removed": [iproute2's words]}}.

    Main's default routes stand under ``default_gateway``.
    """
    names = {id_: name for name, id_ in known.items()}
    report: dict[str, Any] = {}
    for verb, items in (("added", differences.added), ("removed", differences.removed)):
        for item in items:
            table = item.table or 0
            kind, name = "routes", names.get(table)
            if isinstance(item, model.Rule):
                kind, place = "rules", rules.place_into_main(item)
                table = ours.into_main.get(place, table) if place else table
            served_ = "default_gateway" if table == MAIN else devices.get(table)
            entry = report.setdefault(served_ or names.get(table) or str(table), {})
            entry.setdefault(kind, {}).setdefault(verb, []).append(iproute2.text(item, name))
    return report


def _tables(before: rt_tables.Tables, after: rt_tables.Tables) -> dict[str, Any]:
    """Return name -> old and new id of owned tables; adopting one where it stands is no change."""
    ids, new = before.ids, after.owned
    standing = {name: id_ for name, id_ in new.items() if ids.get(name) == id_}
    old = {**standing, **before.owned}
    return {
        name: {"old": old.get(name), "new": new.get(name)}
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    }
