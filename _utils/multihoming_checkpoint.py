"""The way back, as data: what a run is about to touch, as it was before.

A checkpoint can be written down as JSON; another process, or the next boot, rolls back from it just
as the run itself does. What the kernel holds at that moment is read, as nobody can tell how far a
batch came, and what is in places is looked at, so that nothing that others wrote is lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import multihoming_backend as backend
import multihoming_files as files
import multihoming_kernel as kernel
import multihoming_model as model
import multihoming_plan as plan
import multihoming_work as work
from multihoming_edit import FILES, Edit, inverse
from multihoming_errors import ExpectedError
from multihoming_model import Nexthop, Route, Rule
from multihoming_numbers import MAIN
from multihoming_rules import Ours, Place
from multihoming_work import Work

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
# Once for a way back, once more for next hops that the rules of the time kept out of reach, and
# one to see that all is well.
_TRIES = 3


class Checkpoint(NamedTuple):
    """What a run may change, as it was.

    id
        Its own.
    boot
        The kernel's boot id: the kernel's side is of that boot, edits outlast it.
    tables
        Ids of the tables that were ours, or became so.
    into_main
        (place, table) of the rules into main that were ours, or became so.
    routes, rules
        What the kernel held of these, and main's default routes that the run replaces.
    in_main
        Keys (``Route.key``) of the routes in main that the run touches.
    defaults
        Main's default routes.
    edits
        With their texts before and after, in the order in which they are made.
    devices
        The interfaces that it is about.
    """

    id: str
    boot: str
    tables: tuple[int, ...]
    into_main: tuple[tuple[Place, int], ...]
    routes: tuple[Route, ...]
    rules: tuple[Rule, ...]
    in_main: tuple[tuple[Any, ...], ...]
    defaults: tuple[Route, ...]
    edits: tuple[Edit, ...]
    devices: tuple[str, ...] = ()

    @property
    def ours(self) -> Ours:
        """What is compared with the kernel."""
        return Ours(frozenset(self.tables), dict(self.into_main))


def take(done: Work) -> Checkpoint:
    """Return the checkpoint of a run that is about to begin."""
    routes, rules = done.current
    touched = (route.key for route in (*routes, *done.should[0]) if route.table == MAIN)
    return Checkpoint(
        id=uuid.uuid4().hex[:12],
        boot=(files.read(_BOOT_ID) or "").strip(),
        tables=tuple(sorted(done.goal.ours.tables)),
        into_main=tuple(done.goal.ours.into_main.items()),
        routes=tuple(routes),
        rules=tuple(rules),
        in_main=tuple(dict.fromkeys(touched)),
        defaults=done.seen.state.defaults,
        edits=(*done.before, *done.after),
        devices=tuple(done.devices),
    )


def of_edits(edits: tuple[Edit, ...]) -> Checkpoint:
    """Return the checkpoint of edits alone."""
    boot = (files.read(_BOOT_ID) or "").strip()
    return Checkpoint(uuid.uuid4().hex[:12], boot, (), (), (), (), (), (), edits)


# --- as JSON ----------------------------------------------------------------------------------


def to_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint in plain JSON types; texts keep bytes that are not UTF-8."""
    return {name: _plain(value) for name, value in checkpoint._asdict().items()}


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def from_json(data: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint that ``to_json`` made this of, or json.loads() of it."""
    return Checkpoint(
        id=data["id"],
        boot=data["boot"],
        tables=tuple(data["tables"]),
        into_main=tuple(((*place,), table) for place, table in data["into_main"]),
        routes=tuple(map(_route, data["routes"])),
        rules=tuple(map(_rule, data["rules"])),
        in_main=tuple(map(tuple, data["in_main"])),
        defaults=tuple(map(_route, data["defaults"])),
        edits=tuple(Edit(**edit) for edit in data["edits"]),
        devices=tuple(data["devices"]),
    )


def _route(data: Mapping[str, Any]) -> Route:
    hops = tuple(Nexthop(**hop) for hop in data["nexthops"])
    return Route(**{**data, "nexthops": hops, "other": _pairs(data["other"])})


def _rule(data: Mapping[str, Any]) -> Rule:
    return Rule(**{**data, "other": _pairs(data["other"])})


def _pairs(data: Any) -> tuple[tuple[str, str], ...]:
    return tuple((word, value) for word, value in data)


# --- back ---------------------------------------------------------------------------------------


def roll_back(checkpoint: Checkpoint) -> str:
    """Put back edits and kernel; return what could not be, empty when all is as before."""
    trouble = _undo(checkpoint.edits)
    try:
        trouble += _restore(checkpoint)[:10]
        activate(checkpoint.edits, checkpoint.devices)
    except ExpectedError as err:
        trouble.append(str(err))
    return "; ".join(trouble)


def _undo(edits: Sequence[Edit]) -> list[str]:
    """Take edits back, the last first, whether they were made or not.

    What can't be taken back because it was not made does not matter where an earlier edit of the
    same place can: the place is then as it was before both.
    """
    trouble: dict[str, str] = {}
    for edit in reversed(edits):
        trouble.pop(edit.place, None)
        try:
            write([inverse(edit)])
        except ExpectedError as err:
            trouble[edit.place] = str(err)
    return [*trouble.values()]


def write(edits: Iterable[Edit]) -> None:
    """Make edits in their order, each by its writer."""
    for edit in edits:
        if edit.writer == FILES:
            files.write([edit])
        else:
            backend.named(edit.writer).write([edit])


def activate(edits: Iterable[Edit], devices: Sequence[str]) -> None:
    """Let each backend that edits were made of take the kernel's side for its own."""
    for name in dict.fromkeys(edit.writer for edit in edits if edit.writer != FILES):
        backend.named(name).activate(devices)


def _restore(checkpoint: Checkpoint) -> list[str]:
    """Make the kernel what it was; return the steps that it does not take."""
    if not checkpoint.tables and not checkpoint.in_main:
        return []
    steps: list[model.Step] = []
    for _ in range(_TRIES):
        state = kernel.read(checkpoint.tables, defaults=bool(checkpoint.in_main))
        in_main = [route for route in state.defaults if route.key in checkpoint.in_main]
        now = work.held(checkpoint.ours, state, in_main)
        before = _before(checkpoint, in_main)
        steps = plan.steps(now, before) or plan.in_order(now[1], before[1])
        if not steps:
            return []
        kernel.commit(steps, force=True)
    return [f"ip -{step.family} {step.line}" for step in steps]


def _before(checkpoint: Checkpoint, in_main: list[Route]) -> tuple[list[Route], list[Rule]]:
    """Return what was there, with those of main's routes that only share a key with a changed one.

    IPv6 lets a route of router advertisements stand beside another.
    """
    own = [route for route in checkpoint.routes if route.table != MAIN]
    touched = {*checkpoint.routes, *in_main}
    return [*own, *(route for route in checkpoint.defaults if route in touched)], [
        *checkpoint.rules
    ]
