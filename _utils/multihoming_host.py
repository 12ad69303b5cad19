"""One run on this host: look, decide, commit, verify; and edits of single tables.

Brings the rooms together; each of them knows only its own side. Looking writes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import multihoming_backend as backend
import multihoming_checkpoint as checkpoint
import multihoming_config as config
import multihoming_edit as edit_
import multihoming_files as files
import multihoming_iproute2 as iproute2
import multihoming_kernel as kernel
import multihoming_look as look_
import multihoming_rt_tables as rt_tables
import multihoming_sysctl as sysctl
import multihoming_work as work
from multihoming_edit import FILES, Edit
from multihoming_errors import ExpectedError, HostError, as_host_error
from multihoming_text import shown
from multihoming_work import Work, is_record

log = logging.getLogger(__name__)

ABSENT = "no `multihoming` pillar on this minion: the host is left alone"
_IMPORTED = time.time()
# How often a slow manager is looked at before its time is over.
_TRIES = 5


def is_outdated() -> bool:
    """Tell whether a sync has brought newer shared code than this process has imported."""
    folder = os.path.dirname(__file__)
    shared = [name for name in os.listdir(folder) if re.fullmatch(r"multihoming_\w+\.py", name)]
    newest = max((os.path.getmtime(os.path.join(folder, name)) for name in shared), default=0.0)
    return newest > _IMPORTED


def look(data: Any, scope: Iterable[str] | None = None) -> Work:
    """Return what has to be done for ``data``, the pillar's ``multihoming``.

    scope
        Names of the only tables to touch; None for all that are owned.

    Raises HostError with all that is wrong, before anything is touched.
    """
    with as_host_error():
        return _look(data, None if scope is None else frozenset(scope))


def _look(data: Any, scope: frozenset[str] | None) -> Work:
    wanted, errors = config.parse(data)
    if not isinstance(data, Mapping) or not data:
        raise HostError(errors)
    settings, skipped = settings_of(wanted, errors)
    seen = look_.look(wanted, scope, errors)
    done = work.decide(wanted, seen, scope, errors)
    refused = files.refused(edit.place for edit in done.edits if edit.place.startswith("/"))
    if refused:
        raise HostError(refused)
    report = {**done.report, "notes": [*done.report["notes"], *skipped]}
    return done._replace(report=report, settings=settings, warnings=tuple(_gone_at_reboot(done)))


def settings_of(wanted: config.Config, errors: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the kernel settings that can be kept on this host, and notes.

    errors
        Gets a message for each that can't.
    """
    optional = [name for name, each in wanted.interfaces.items() if each.optional]
    settings, skipped = sysctl.present(wanted.sysctl, optional)
    errors += sysctl.problems(settings)
    return settings, skipped


def _gone_at_reboot(done: Work) -> list[str]:
    """Say which of our files nothing will load; ``diagnose`` has those of others too."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for name, kept in done.seen.kept.items():
        places = work.places(done, name) if kept.unloaded else []
        places += [edit.place for edit in done.edits if edit.writer == name and edit.after]
        gone = [edit.place for edit in done.edits if edit.writer == name and edit.after is None]
        wanted = [place for place in dict.fromkeys(places) if place not in gone]
        for place, reason in backend.named(name).unloaded(wanted).items():
            reasons.setdefault(reason, []).append(place)
    return [
        f"gone at reboot, as nothing will load {', '.join(places)}: {why}; remedy: {remedy}"
        for (why, remedy), places in reasons.items()
    ]


class Keeper(NamedTuple):
    """Who keeps kernel settings.

    path
        The file in which.
    keep
        Called with the settings. Raises what is expected when one can't be kept.
    """

    path: str
    keep: Callable[[Mapping[str, str]], None]


def apply(data: Any, scope: Iterable[str] | None = None, keeper: Keeper | None = None) -> Work:
    """Do what ``look`` returns, all or nothing, and verify it by looking again.

    keeper
        Keeps the settings once all else holds; a strict reverse-path filter before would drop
        packets. None to leave them.

    Raises HostError; what was done until then is undone.
    """
    need_root()
    with as_host_error(), files.lock():
        done = look(data, scope)
        files.sweep([*work.folders(done.seen), *(edit.place for edit in done.edits)])
        if done.pending or (keeper and done.settings):
            _commit(done, keeper)
    recorded = [
        f"comments in {edit.place} record what is managed" for edit in done.edits if is_record(edit)
    ]
    return done._replace(report={**done.report, "notes": [*done.report["notes"], *recorded]})


def need_root() -> None:
    """Raise HostError unless this process may change the network."""
    if os.geteuid() != 0:
        raise HostError(
            [
                "changing routes, rules and their files needs root; run salt-call with sudo, or "
                "the minion as root"
            ]
        )


# --- doing ------------------------------------------------------------------------------------


def _commit(done: Work, keeper: Keeper | None) -> None:
    way_back = checkpoint.take(done) if done.pending else checkpoint.of_edits(())
    settings = sysctl.take(done.settings, keeper.path) if keeper and done.settings else None
    with _or_back(way_back, settings):
        if done.pending:
            checkpoint.write(done.before)
            kernel.commit(done.steps)
            checkpoint.write(done.after)
            checkpoint.activate(done.after, done.devices)
            _verify(done)
        if keeper and settings:
            keeper.keep(done.settings)


@contextlib.contextmanager
def _or_back(
    way_back: checkpoint.Checkpoint, settings: sysctl.Before | None = None
) -> Iterator[None]:
    """Roll back when anything goes wrong within; what is expected becomes a HostError."""
    try:
        yield
    except BaseException as err:
        log.warning("rolling back: %s", shown(str(err)))
        left = [*sysctl.put_back(settings)] if settings else []
        left += filter(None, [checkpoint.roll_back(way_back)])
        if not isinstance(err, ExpectedError):
            raise
        failed = f"putting back failed too: {'; '.join(left)}"
        outcome = failed if left else "everything is as it was before"
        raise HostError([f"{err}; {outcome}"]) from err


def _verify(done: Work) -> None:
    """Look again; raise HostError when the host is not what it should be.

    A manager may need a while until it has taken over what was edited.
    """
    writers = {edit.writer for edit in done.after} - {FILES}
    patience = max((backend.named(name).PATIENCE for name in writers), default=0.0)
    tries = _TRIES if patience else 1
    for number in range(tries):
        time.sleep(patience / (_TRIES - 1) if number else 0)
        left = work.compare(done.goal, look_.again(done.goal, done.seen))
        if not left.pending:
            return
    differing = [*left.report["commands"], *left.report["files"]]
    raise HostError(["the changes did not hold; still differing: " + "; ".join(differing[:10])])


# --- single tables and interfaces -------------------------------------------------------------


def register_table(name: Any, id_: Any) -> list[Edit]:
    """Return the edits of rt_tables that give ``name`` the id; raises HostError."""
    problems = [rt_tables.check_name(name), rt_tables.check_id(id_)]
    if any(problems):
        raise HostError([problem for problem in problems if problem])
    with as_host_error():
        tables = look_.read_tables()
        conflicts = rt_tables.conflicts(tables, {name: id_})
        if conflicts:
            raise HostError(conflicts)
        if id_ not in tables.owned_ids and any(_held(id_)):
            return _left_alone(name, id_, tables)
        texts = rt_tables.register(tables, {name: id_})
        then = rt_tables.combine(tables, texts)
        unused = {table.id for table in then.renumbered if not any(_held(table.id))}
        return work.table_edits(tables, {**texts, **rt_tables.forget(then, unused, ())})


def _held(id_: int) -> tuple[int, int]:
    """Return how many rules lead to a table, and how many routes it has."""
    state = kernel.read([id_])
    return sum(rule.table == id_ for rule in state.all_rules), len(state.routes[id_])


def _left_alone(name: str, id_: int, tables: rt_tables.Tables) -> list[Edit]:
    """Leave alone a name whose table somebody uses; raise HostError where it would be a new one.

    Once it is ours, so is all that stands in it.
    """
    if tables.ids.get(name) == id_:
        return []
    raise HostError(
        [
            f"table {id_} is used by somebody else, whose rules and routes it has; choose another "
            f"id, or declare it with its interface (`multihoming.interface_present` with "
            f"`table_id: {id_}`, or the pillar), where what stands in it can be adopted"
        ]
    )


def release_table(name: Any, in_use: bool = False) -> list[Edit]:
    """Return the edits of rt_tables that take ``name`` away; raises HostError.

    With ``in_use`` rules may lead to the table and routes may be in it.
    """
    problem = rt_tables.check_name(name)
    if problem:
        raise HostError([problem])
    with as_host_error():
        tables = look_.read_tables()
        if not in_use:
            _check_unused(name, tables)
        return work.table_edits(tables, rt_tables.release(tables, [name]))


def _check_unused(name: str, tables: rt_tables.Tables) -> None:
    if name not in tables.ids:
        return
    leading, routes = _held(tables.ids[name])
    if leading or routes:
        raise HostError(
            [
                f"table {name} is in use: {leading} rules lead to it and it has "
                f"{routes} routes; remove them first with "
                "multihoming.interface_absent, or the table's entry in the pillar"
            ]
        )


def commit_table(find: Callable[..., list[Edit]], *arguments: Any) -> list[Edit]:
    """Make the edits that ``register_table`` or ``release_table`` finds, and return them."""
    need_root()
    with as_host_error(), files.lock():
        edits = find(*arguments)
        files.sweep([rt_tables.ETC, rt_tables.OURS])
        with _or_back(checkpoint.of_edits(tuple(edits))):
            checkpoint.write(edits)
        return edits


def all_diffs(edits: Iterable[Edit]) -> dict[str, str]:
    """Return path -> unified diff of edits, our records included."""
    return edit_.diffs(edits)


def diffs(edits: Iterable[Edit]) -> dict[str, str]:
    """Return path -> unified diff of the edits that change more than our records."""
    return work.diffs(edits)


def owned_files(backend_name: str = backend.AUTO) -> dict[str, str]:
    """Return place -> text of what backends keep that has lines for owned tables."""
    with as_host_error():
        errors: list[str] = []
        seen = _kept(backend_name, errors)
        if errors:
            raise HostError(errors)
        ids, names = {*seen.tables.owned.values()}, seen.tables.ids
        return {
            line.place: kept.texts[line.place]
            for name, kept in seen.kept.items()
            for line in backend.named(name).lines(kept, names)
            if iproute2.table_id(line.table, names) in ids
        }


def tables_of(dev: str, backend_name: str = backend.AUTO) -> list[str]:
    """Return the owned tables that serve an interface: as recorded, else as its files say.

    Where neither tells, as on a host of an older version, a table serves the interface by which
    its best default route leaves.
    """
    with as_host_error():
        seen = _kept(backend_name, [])
        recorded = seen.tables.serving
        known = {id_ for id_, _ in recorded}
        guessed = {item for item in _guessed(seen).items() if item[0] not in known}
        return [name for name, id_ in seen.tables.owned.items() if (id_, dev) in recorded | guessed]


def check_is_name(table: Any) -> None:
    """Raise HostError where something else stands in the place of a table's name."""
    if not isinstance(table, str):
        raise HostError([f"table: {rt_tables.check_name(table)}"])


def check_table_of(dev: str, table: Any) -> str:
    """Return a table's name; raises HostError when it is recorded as another interface's."""
    check_is_name(table)
    with as_host_error():
        tables = look_.read_tables()
    id_ = tables.owned.get(table)
    others = sorted(other for of, other in tables.serving if of == id_)
    if others and dev not in others:
        raise HostError(
            [
                f"table: {table} is the table of {' and '.join(others)}; write that as `name`, or "
                "another table"
            ]
        )
    return table


def _guessed(seen: work.Seen) -> dict[int, str]:
    """Return table id -> the interface of its files, else of its best default route."""
    routes = seen.state.routes
    metrics = sorted((route for each in routes.values() for route in each), key=lambda r: -r.metric)
    found = {r.table: r.dev for r in metrics if r.to == "default" and r.dev}
    return {**found, **work.served(work.lines_of(seen, seen.tables.ids), routes, seen.tables.ids)}


def _kept(backend_name: str, errors: list[str]) -> work.Seen:
    """Look at what is kept, and at the owned tables; errors tell when nobody is in charge."""
    tables = look_.read_tables()
    state = kernel.read(tables.owned.values())
    keepers, names = look_.backends(backend_name, state.links, errors)
    return work.Seen(tables, state, keepers, look_.keep(names, keepers, []))
