"""One run on this host: look, plan, commit, verify.

Brings the rooms together; each of them knows only its own side. Looking writes nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import multihoming_backend_network_scripts as network_scripts
import multihoming_backend_none as none
import multihoming_config as config
import multihoming_default_gateway as default_gateway
import multihoming_desired as desired
import multihoming_files as files
import multihoming_iproute2 as iproute2
import multihoming_kernel as kernel
import multihoming_model as model
import multihoming_plan as plan
import multihoming_rt_tables as rt_tables
import multihoming_rules as rules
from multihoming_files import Edit
from multihoming_numbers import FAMILIES, MAIN

BACKENDS = (network_scripts, none)

_IMPORTED = time.time()
_RoutesAndRules = tuple[list[model.Route], list[model.Rule]]
# Once for a way back, once more for next hops that the rules of the time kept out of reach, and
# one to see that all is well.
_ROLL_BACKS = 3


def is_outdated() -> bool:
    """Tell whether a sync has brought newer shared code than this process has imported."""
    folder = os.path.dirname(__file__)
    shared = [name for name in os.listdir(folder) if re.fullmatch(r"multihoming_\w+\.py", name)]
    newest = max((os.path.getmtime(os.path.join(folder, name)) for name in shared), default=0.0)
    return newest > _IMPORTED


class HostError(Exception):
    """What keeps a run from its end; ``errors`` holds one message each."""

    def __init__(self, errors: Sequence[str]) -> None:
        """Take the messages."""
        super().__init__("\n".join(errors))
        self.errors = list(errors)


# What an administrator can run into; anything else is a mistake of ours.
EXPECTED = (
    HostError,
    kernel.KernelError,
    files.FileError,
    model.ContentError,
    rt_tables.TableError,
)


@dataclass(frozen=True)
class Goal:
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

    backend: ModuleType
    tables: Mapping[str, int]
    owned: frozenset[str]
    ours: rules.Ours
    outcome: desired.Desired
    chosen: default_gateway.Chosen | None = None


@dataclass(frozen=True)
class Work:
    """What a run has to do, and its report.

    before, after
        Edits of files ahead of the kernel's steps and behind them. A table is registered before
        anything leads to it, and forgotten last; what is loaded at boot changes once the kernel
        has taken it.
    defaults
        Main's default routes before the run.
    """

    goal: Goal
    before: tuple[Edit, ...]
    steps: tuple[model.Step, ...]
    after: tuple[Edit, ...]
    report: Mapping[str, Any]
    current: _RoutesAndRules
    should: _RoutesAndRules
    defaults: tuple[model.Route, ...] = ()

    @property
    def pending(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self.before or self.steps or self.after)


def look(data: Any, scope: Iterable[str] | None = None) -> Work:
    """Return what has to be done for ``data``, the pillar's ``multihoming``.

    scope
        Names of the only tables to touch; None for all that are owned.

    Raises HostError with all that is wrong, before anything is touched.
    """
    with as_host_error():
        return _look(data, None if scope is None else frozenset(scope))


def apply(data: Any, scope: Iterable[str] | None = None) -> Work:
    """Do what ``look`` returns, all or nothing, and verify it by looking again.

    Raises HostError; what was done until then is undone.
    """
    need_root()
    with as_host_error(), files.lock():
        work = look(data, scope)
        if work.pending:
            _commit(work)
    recorded = [
        f"comments in {edit.path} record what is managed"
        for edit in _merged([*work.before, *work.after])
        if is_record(edit)
    ]
    return replace(work, report={**work.report, "notes": [*work.report["notes"], *recorded]})


def need_root() -> None:
    """Raise HostError unless this process may change the network."""
    if os.geteuid() != 0:
        raise HostError(
            [
                "changing routes, rules and their files needs root; run salt-call with sudo, or "
                "the minion as root"
            ]
        )


@contextlib.contextmanager
def as_host_error() -> Iterator[None]:
    """Turn what the rooms raise into a HostError."""
    try:
        yield
    except HostError:
        raise
    except EXPECTED as err:
        raise HostError([str(err)]) from err


# --- looking ----------------------------------------------------------------------------------


def _look(data: Any, scope: frozenset[str] | None) -> Work:
    wanted, errors = config.parse(data)
    if not isinstance(data, Mapping) or not data:
        raise HostError(errors)
    tables = read_tables()
    errors += rt_tables.conflicts(tables, wanted.tables)
    backend = find_backend(wanted.backend, errors)
    owned = {name: id_ for name, id_ in tables.owned.items() if scope is None or name in scope}
    ids = {*owned.values(), *wanted.tables.values()}
    state = kernel.read(sorted(ids), defaults=_needs_defaults(wanted))
    found = _found(backend, wanted, state, errors)
    known = _with_live(found, wanted, state, state.defaults)
    chosen = default_gateway.choose(wanted, state.links, known, state.defaults, errors)
    chosen = _as_scripted(backend, chosen, errors)
    errors += default_gateway.in_the_way(state.defaults, chosen) if chosen else []
    staying = default_gateway.after(state.defaults, chosen) if chosen else state.defaults
    errors += _siblings_lost(found, wanted, state, staying)
    known = _with_live(found, wanted, state, staying)
    outcome = desired.policies(wanted, state.links, known)
    errors += outcome.errors
    if errors:
        raise HostError(errors)
    skipped = {wanted.interfaces[name].table.id for name in outcome.skipped}
    forgettable = frozenset(owned if scope is None else ())
    ours = _ours(frozenset(ids - skipped), tables, backend, state, outcome)
    _check_places(ours, _rules(state))
    goal = Goal(backend, wanted.tables, forgettable, ours, outcome, chosen)
    return _compare(goal, tables, state)


def _as_scripted(
    backend: ModuleType, chosen: default_gateway.Chosen | None, errors: list[str]
) -> default_gateway.Chosen | None:
    """Add the default routes that the backend's files make, and what in them contradicts."""
    if chosen is None:
        return None
    scripted, problems = backend.defaults(chosen.interface, chosen.gateways)
    errors += [f"default_gateway: {problem}" for problem in dict.fromkeys(problems)]
    return replace(chosen, scripted=tuple(scripted))


def _rules(state: kernel.State) -> list[model.Rule]:
    return [rule for family in FAMILIES for rule in state.rules[family]]


def _ours(
    ids: frozenset[int],
    tables: rt_tables.Tables,
    backend: ModuleType,
    state: kernel.State,
    outcome: desired.Desired,
) -> rules.Ours:
    """Return what is ours: the tables, and rules into main that are recorded or wanted."""
    made = [rule for policy in outcome.policies.values() for rule in policy.rules]
    wanted = {rules.place_into_main(rule) for rule in made} - {None}
    places = rules.places_into_main(made, ids) if wanted else {}
    into_main = {place: table for place, table in places.items() if place in wanted}
    known = tables.ids
    recorded = {(known[name], priority) for name, priority in tables.keeping_main}
    if recorded:
        held = [*_rules(state), *backend.rules(backend.read(), known)]
        into_main |= rules.places_recorded(held, {kept for kept in recorded if kept[0] in ids})
    return rules.Ours(ids, into_main)


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


def read_tables() -> rt_tables.Tables:
    """Return rt_tables and its drop-ins as they stand; raises TableError or FileError."""
    names = files.names(rt_tables.DROP_INS)
    paths, drop_in = rt_tables.sources(
        os.path.exists(rt_tables.ETC), os.path.isdir(rt_tables.DROP_INS), names
    )
    texts = {path: text for path in paths if (text := files.read(path)) is not None}
    return rt_tables.parse(texts, drop_in)


def choose_backend(name: str = "auto") -> ModuleType:
    """Return the backend of that name, or the one in charge; raises HostError when none is."""
    errors: list[str] = []
    backend = find_backend(name, errors)
    if errors:
        raise HostError(errors)
    return backend


def find_backend(name: str, errors: list[str]) -> ModuleType:
    """Return the backend of that name, or the one in charge; ``none``, and an error, without."""
    for backend in BACKENDS:
        if name == backend.NAME or (name == "auto" and backend.in_charge()):
            return backend
    errors.append(
        "backend: no network manager that is supported was found on this host; write "
        "`backend: network-scripts`, or `backend: none` for the kernel only (gone at reboot)"
    )
    return none


def _needs_defaults(wanted: config.Config) -> bool:
    """Tell whether main's default routes matter."""
    return wanted.default_gateway is not None or any(
        interface.gateways is None or interface.keep_main_routes
        for interface in wanted.interfaces.values()
    )


def _devices_to_read(wanted: config.Config, state: kernel.State) -> list[str]:
    """Return the interfaces of which it matters what the backend's files say."""
    open_ = [
        name
        for name, interface in wanted.interfaces.items()
        if interface.addresses is None or interface.gateways is None
    ]
    if any(interface.keep_main_routes for interface in wanted.interfaces.values()):
        open_ += (name for name, link in state.links.items() if "LOOPBACK" not in link.flags)
    if wanted.default_gateway:
        open_.append(wanted.default_gateway)
    return list(dict.fromkeys(open_))


def _found(
    backend: ModuleType, wanted: config.Config, state: kernel.State, errors: list[str]
) -> dict[str, desired.Found]:
    """Return what the backend's files say of interfaces, with errors for what can't be read."""
    found, problems = backend.interfaces(_devices_to_read(wanted, state))
    for name, problem in problems.items():
        key = "default_gateway" if name == wanted.default_gateway else "keep_main_routes"
        errors.append(f"{f'interfaces.{name}' if name in wanted.interfaces else key}: {problem}")
    return {name: desired.Found(*said) for name, said in found.items()}


def _with_live(
    found: Mapping[str, desired.Found],
    wanted: config.Config,
    state: kernel.State,
    staying: Sequence[model.Route],
) -> dict[str, desired.Found]:
    """Add the live gateways: main's default routes, else the one our table already has.

    staying
        Main's default routes at the end of the run: what goes tells nothing the next time. It does
        of declared interfaces of which nothing stays, as their tables have it by then.
    """
    filled = {}
    for name in {**wanted.interfaces, **state.links}:
        known = found.get(name, desired.Found())
        interface = wanted.interfaces.get(name)
        live = desired.gateways_through(name, staying)
        if interface and interface.gateways is None:
            own = desired.gateways_through(name, state.routes.get(interface.table.id, ()))
            live = {**own, **desired.gateways_through(name, state.defaults), **live}
        filled[name] = desired.Found(known.addresses, known.gateways, live)
    return filled


def _siblings_lost(
    found: Mapping[str, desired.Found],
    wanted: config.Config,
    state: kernel.State,
    staying: Sequence[model.Route],
) -> list[str]:
    """Name interfaces of which nothing tells any more that their clients have a gateway.

    Replies to these would then go there directly, past the interface that was asked.
    """
    if not any(interface.keep_main_routes for interface in wanted.interfaces.values()):
        return []
    errors = []
    for name in state.links:
        in_file = found.get(name, desired.Found()).gateways
        known = {**desired.gateways_through(name, staying), **in_file}
        lost = desired.gateways_through(name, state.defaults).keys() - known.keys()
        if lost and name not in wanted.interfaces:
            errors.append(
                f"default_gateway: replaces the default route that tells keep_main_routes that "
                f"clients of {name} have a gateway; declare {name} in `interfaces`, or write its "
                "gateway in its configuration file"
            )
    return errors


def _compare(goal: Goal, tables: rt_tables.Tables, state: kernel.State) -> Work:
    """Return what separates kernel and files from the goal."""
    registered, then = _registered(goal, tables)
    released, final = _released(goal, then)
    known = {**tables.ids, **final.ids}

    texts = goal.backend.read()
    rendered = goal.backend.render(texts, goal.outcome.policies, goal.ours, tables.ids, final.ids)
    before = _edits(tables.texts, registered)
    after = [Edit(path, texts.get(path), text) for path, text in rendered.items()]
    if goal.chosen:
        after += goal.backend.keep_default(goal.chosen.interface, goal.chosen.gateways)
    after += _edits(then.texts, released)

    policies = goal.outcome.policies.values()
    switched, switched_to = (
        ([], []) if not goal.chosen else default_gateway.switch(state.defaults, goal.chosen)
    )
    current = _current(goal, state, switched)
    should = (
        [route for policy in policies for route in policy.routes] + switched_to,
        [rule for policy in policies for rule in policy.rules],
    )
    steps = plan.steps(current, should)
    differences = plan.differences([*current[0], *current[1]], [*should[0], *should[1]])
    devices = _devices(goal, texts, known, current[0]) if steps else {}
    edits = _merged([*before, *after])
    report = {
        "commands": [f"ip -{step.family} {step.line}" for step in steps],
        "files": {edit.path: files.diff(edit) for edit in edits if not is_record(edit)},
        "interfaces": _interfaces(differences, devices, goal.ours, known),
        "tables": _tables(tables, final),
        "notes": [f"{name} {why}: skipped" for name, why in goal.outcome.skipped.items()],
    }
    sides = (current, should, state.defaults)
    return Work(goal, tuple(before), tuple(steps), tuple(after), report, *sides)


def _registered(goal: Goal, tables: rt_tables.Tables) -> tuple[dict[str, str], rt_tables.Tables]:
    """Return (path -> text, tables) with what has to be recorded before the kernel changes."""
    named = rt_tables.register(tables, goal.tables)
    then = rt_tables.combine(tables, named) if named else tables
    kept = rt_tables.keep_main(then, sorted(_keeping_main(goal)))
    return {**named, **kept}, rt_tables.combine(then, kept) if kept else then


def _released(goal: Goal, tables: rt_tables.Tables) -> tuple[dict[str, str], rt_tables.Tables]:
    """Return (path -> text, tables) without what need not be recorded once it has changed."""
    ids = tables.ids
    compared = {record for record in tables.keeping_main if ids[record[0]] in goal.ours.tables}
    forgotten = rt_tables.forget_main(tables, compared - _keeping_main(goal))
    then = rt_tables.combine(tables, forgotten) if forgotten else tables
    gone = goal.owned - goal.tables.keys()
    released = rt_tables.release(then, gone) if gone else {}
    edited = {**forgotten, **released}
    return edited, rt_tables.combine(tables, edited) if edited else tables


def _keeping_main(goal: Goal) -> set[tuple[str, int]]:
    """Return (table's name, priority) of the rules into main that should be."""
    return {
        (policy.table.name, place[2])
        for policy in goal.outcome.policies.values()
        for rule in policy.rules
        if (place := rules.place_into_main(rule)) and place in goal.ours.into_main
    }


def _current(goal: Goal, state: kernel.State, in_main: Iterable[model.Route]) -> _RoutesAndRules:
    """Return what the kernel holds of what is ours, and the routes of main that matter."""
    routes = [route for id_ in sorted(goal.ours.tables) for route in state.routes[id_]]
    return [*routes, *in_main], [rule for rule in _rules(state) if rule in goal.ours]


def _edits(before: Mapping[str, str], after: Mapping[str, str]) -> list[Edit]:
    return [
        Edit(path, before.get(path), None if rt_tables.is_empty(path, text) else text)
        for path, text in after.items()
    ]


def _merged(edits: Iterable[Edit]) -> list[Edit]:
    """Join edits of one file, and leave out those that cancel each other."""
    merged: dict[str, Edit] = {}
    for edit in edits:
        before = merged[edit.path].before if edit.path in merged else edit.before
        merged[edit.path] = Edit(edit.path, before, edit.after)
    return [edit for edit in merged.values() if edit.before != edit.after]


def _devices(
    goal: Goal, texts: Mapping[str, str], known: Mapping[str, int], routes: Iterable[model.Route]
) -> dict[int, str]:
    """Return table id -> the interface it serves, by policy, else files, else live routes."""
    devices = {route.table: dev for route in routes for dev in route.devices[:1]}
    devices.update(served(goal.backend, texts, goal.ours.tables, known))
    policies = goal.outcome.policies
    devices.update({policy.table.id: dev for dev, policy in policies.items()})
    return devices


def served(
    backend: ModuleType, texts: Mapping[str, str], ids: frozenset[int], known: Mapping[str, int]
) -> dict[int, str]:
    """Return table id -> the interface whose files have lines for it."""
    owned = backend.owned(texts, ids, known)
    return {id_: backend.device(path) for path, named in owned.items() for id_ in named}


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
            name = names.get(table)
            if isinstance(item, model.Rule):
                kind, words = "rules", iproute2.rule_words(item, name)
                place = rules.place_into_main(item)
                table = ours.into_main.get(place, table) if place else table
            else:
                kind, words = "routes", iproute2.route_words(item, name)
            served = "default_gateway" if table == MAIN else devices.get(table)
            entry = report.setdefault(served or names.get(table) or str(table), {})
            entry.setdefault(kind, {}).setdefault(verb, []).append(" ".join(words))
    return report


def is_record(edit: Edit) -> bool:
    """Tell whether an edit only records in rt_tables what is ours: nothing changes by it."""
    ours = (rt_tables.ETC, rt_tables.OURS)
    return edit.path in ours and rt_tables.only_records(edit.before, edit.after)


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


# --- doing ------------------------------------------------------------------------------------


def _commit(work: Work) -> None:
    done: list[Edit] = []
    try:
        files.commit(work.before)
        done += work.before
        kernel.commit(work.steps)
        files.commit(work.after)
        done += work.after
        _verify(work.goal)
    except BaseException as err:
        left = _roll_back(work, done)
        if not isinstance(err, EXPECTED):
            raise
        outcome = f"putting back failed too: {left}" if left else "everything is as it was before"
        raise HostError([f"{err}; {outcome}"]) from err


def _roll_back(work: Work, done: Sequence[Edit]) -> str:
    """Put back files and kernel; return what could not be, empty when all is as before.

    The way back is planned from what the kernel holds now: nobody can tell how far a batch came.
    """
    trouble = files.restore(done)
    steps: list[model.Step] = []
    try:
        for _ in range(_ROLL_BACKS):
            state = _state(work.goal)
            in_main = [route for route in state.defaults if route.key in _keys_in_main(work)]
            now = _current(work.goal, state, in_main)
            steps = plan.steps(now, _before(work, in_main))
            if not steps:
                return trouble
            kernel.commit(steps, force=True)
    except EXPECTED as err:
        return "; ".join(filter(None, [trouble, str(err)]))
    left = [f"ip -{step.family} {step.line}" for step in steps]
    return "; ".join(filter(None, [trouble, *left[:10]]))


def _state(goal: Goal) -> kernel.State:
    return kernel.read(sorted(goal.ours.tables), defaults=goal.chosen is not None)


def _keys_in_main(work: Work) -> set[tuple[Any, ...]]:
    """Return the keys of the routes in main that a run changes."""
    routes = (*work.current[0], *work.should[0])
    return {route.key for route in routes if route.table == MAIN}


def _before(work: Work, in_main: Iterable[model.Route]) -> _RoutesAndRules:
    """Return what was there, with those of main's routes that only share a key with a changed one.

    IPv6 lets a route of router advertisements stand beside another.
    """
    others = [route for route in in_main if route in work.defaults]
    routes, rules_ = work.current
    return [*routes, *(route for route in others if route not in routes)], rules_


def _verify(goal: Goal) -> None:
    """Look again; raise HostError when kernel or files are not what they should be."""
    left = _compare(goal, read_tables(), _state(goal))
    if left.pending:
        differing = [*left.report["commands"], *left.report["files"]]
        raise HostError(["the changes did not hold; still differing: " + "; ".join(differing[:10])])


# --- single tables and interfaces -------------------------------------------------------------


def register_table(name: Any, id_: Any) -> list[Edit]:
    """Return the edits of rt_tables that give ``name`` the id; raises HostError."""
    problems = [rt_tables.check_name(name), rt_tables.check_id(id_)]
    if any(problems):
        raise HostError([problem for problem in problems if problem])
    with as_host_error():
        tables = read_tables()
        conflicts = rt_tables.conflicts(tables, {name: id_})
        if conflicts:
            raise HostError(conflicts)
        return _edits(tables.texts, rt_tables.register(tables, {name: id_}))


def release_table(name: Any) -> list[Edit]:
    """Return the edits of rt_tables that take ``name`` away; raises HostError."""
    problem = rt_tables.check_name(name)
    if problem:
        raise HostError([problem])
    with as_host_error():
        tables = read_tables()
        _check_unused(name, tables)
        return _edits(tables.texts, rt_tables.release(tables, [name]))


def _check_unused(name: str, tables: rt_tables.Tables) -> None:
    if name not in tables.ids:
        return
    id_ = tables.ids[name]
    state = kernel.read([id_])
    leading = [rule for rule in _rules(state) if rule.table == id_]
    if leading or state.routes[id_]:
        raise HostError(
            [
                f"table {name} is in use: {len(leading)} rules lead to it and it has "
                f"{len(state.routes[id_])} routes; remove them first with "
                "multihoming.interface_absent, or the table's entry in the pillar"
            ]
        )


def commit_table(find: Callable[..., list[Edit]], *arguments: Any) -> list[Edit]:
    """Make the edits that ``register_table`` or ``release_table`` finds, and return them."""
    need_root()
    with as_host_error(), files.lock():
        edits = find(*arguments)
        files.commit(edits)
        return edits


def tables_of(dev: str, backend_name: str = "auto") -> list[str]:
    """Return the owned tables that serve an interface, by its files and the live routes."""
    with as_host_error():
        tables = read_tables()
        owned = tables.owned
        state = kernel.read(owned.values())
        backend = choose_backend(backend_name)
        ids = frozenset(owned.values())
        devices = {r.table: dev for id_ in ids for r in state.routes[id_] for dev in r.devices}
        devices.update(served(backend, backend.read(), ids, tables.ids))
    return [name for name, id_ in owned.items() if devices.get(id_) == dev]
