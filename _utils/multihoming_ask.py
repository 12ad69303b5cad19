"""Questions about this host: which way a reply goes, what is wrong, what it does already.

Brings the rooms together like ``multihoming_host``; nothing is changed.
"""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import multihoming_desired as desired
import multihoming_examine as examine_
import multihoming_export as export_
import multihoming_host as host
import multihoming_kernel as kernel
import multihoming_look as look
import multihoming_model as model
import multihoming_reply_path as reply_path
import multihoming_rt_tables as rt_tables
import multihoming_values as values
import multihoming_work as work
from multihoming_backend import AUTO, NONE, Kept, Said, named
from multihoming_errors import ContentError, HostError, as_host_error
from multihoming_finding import SEVERITIES, Finding
from multihoming_model import Found
from multihoming_numbers import PEOPLES, RESERVED_TABLES


def path_of_reply(address: Any, client: Any, interface: Any = None) -> dict[str, Any]:
    """Return which way a reply goes and whether it is lost; see ``multihoming.reply_path``.

    Raises HostError when there is no such flow on this host.
    """
    with as_host_error():
        names = {id_: name for name, id_ in look.read_tables().ids.items()}
        state = kernel.read()
        links = state.links
        try:
            asked = reply_path.flow(address, client, links)
            given = None if interface is None else reply_path.check_interface(interface, links)
        except ValueError as err:
            raise HostError([str(err)]) from None
        rules = state.rules[asked.family]
        reply, matched, plain = kernel.route_get(reply_path.ask_reply(asked))
        near = None if given else reply_path.neighbour(asked, links, plain)
        has_gateway = near is not None and _has_gateway(asked.family, links[near])
        arrives = given or reply_path.arrival(asked, links, near, has_gateway)
        answers = reply_path.Answers(
            reply,
            matched,
            _request(asked, arrives),
            () if reply.route else examine_.refusing(asked, rules),
        )
        setting = functools.partial(kernel.setting, 4)
        return reply_path.result(asked, arrives, answers, links, rules, setting, names)


def _has_gateway(family: int, link: model.Link) -> bool:
    answers = kernel.route_get(reply_path.ask_gateway(family, link))
    if any(reply_path.is_default(answer, link.name) for answer in answers):
        return True
    keepers, names = look.backends(AUTO, [link.name], [])
    kept = look.keep(names, keepers, [link.name]).values()
    return any(family in said.gateways for each in kept for said in each.interfaces.values())


def _request(asked: reply_path.Flow, arrives: str | None) -> model.Answer | None:
    """Ask what becomes of the request; on lo packets bring their route along."""
    if arrives in (None, "lo"):
        return None
    return kernel.route_get([reply_path.ask_request(asked, arrives)])[0]


def findings(data: Any, there: bool, severity: Any = None) -> list[Finding]:
    """Return what is wrong with this host, the worst first; see ``multihoming.diagnose``.

    data, there
        The pillar's ``multihoming``, and whether there is one.
    severity
        The least that is returned; None for all.

    Raises HostError when there is no such severity, or the host can't be looked at.
    """
    if severity is not None and severity not in SEVERITIES:
        ways = ", ".join(SEVERITIES)
        raise HostError([f"severity: {values.show(severity)} is not known; write one of {ways}"])
    asked = SEVERITIES[: SEVERITIES.index(severity or SEVERITIES[-1]) + 1]
    return [each for each in examine_.examine(data, there)[1] if each.severity in asked]


# --- what is there already --------------------------------------------------------------------


def export(backend_name: str = AUTO) -> dict[str, Any]:
    """Return the pillar for what this host does already; see ``multihoming.export``.

    Where ``auto`` finds no backend in charge, the pillar is one for the kernel only. Raises
    HostError.
    """
    with as_host_error():
        links = kernel.read().links
        keepers, names = look.backends(backend_name, links, [])
        kept = look.keep(names, keepers, links, True)
        outcome = export_.export(_seen(kept, keepers))
        pillar = dict(outcome.pillar)
        if not names or names != look.in_charge(links):
            pillar["backend"] = NONE if backend_name == AUTO else backend_name
        left_out, notes = _trial(pillar)
        default, why_not = _default_gateway(kept, pillar, [*left_out, *notes])
    return {
        "multihoming": {**pillar, **default},
        "left_out": [*outcome.left_out, *left_out, *why_not],
        "notes": [*outcome.notes, *notes],
    }


def _seen(kept: Mapping[str, Kept], keepers: Mapping[str, str]) -> export_.Seen:
    tables = look.read_tables()
    lines = [line for name, each in kept.items() for line in named(name).lines(each, tables.ids)]
    served = work.served(lines, None, tables.ids)
    used = export_.tables_in_use(kernel.read().rules) | kernel.tables(PEOPLES) | served.keys()
    state = kernel.read(used - RESERVED_TABLES.keys(), defaults=True)
    return export_.Seen(
        state.links,
        state.rules,
        state.routes,
        tables,
        served,
        _found(kept, state),
        {dev: why for each in kept.values() for dev, why in each.unreadable.items()},
        stamps={dev: named(name).STAMPS for dev, name in keepers.items()},
    )


def _found(kept: Mapping[str, Kept], state: model.State) -> dict[str, Found]:
    """Return interface -> what its configuration and main's default routes say of it."""
    live = desired.defaults_by_device(state.defaults)
    said = {dev: said for each in kept.values() for dev, said in each.interfaces.items()}
    told = {dev: said.get(dev, Said()) for dev in state.links}
    return {
        dev: desired.with_defaults(
            Found(each.addresses, each.gateways, dynamic=each.dynamic), live.get(dev, {})
        )
        for dev, each in told.items()
    }


def _default_gateway(
    kept: Mapping[str, Kept], pillar: Mapping[str, Any], without: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Return the pillar's ``default_gateway`` when the files say so and it changes nothing.

    without
        What a trial of the pillar says without it.

    The second is why it is left out.
    """
    chosen: dict[str, str] = {}
    try:
        for name, each in kept.items():
            chosen |= named(name).chosen_default(each)
    except ContentError as err:
        return {}, [f"default_gateway: {err}"]
    if not chosen:
        return {}, []
    said = " and ".join(f"{name}={dev}" for name, dev in chosen.items())
    if len({*chosen.values()}) > 1:
        return {}, [f"default_gateway: {said} are two interfaces, and the pillar names one"]
    default = {"default_gateway": next(iter(chosen.values()))}
    left_out, notes = _trial({**pillar, **default})
    more = [f"default_gateway: with {said}, {t}" for t in (*left_out, *notes) if t not in without]
    return ({}, more) if more else (default, [])


def _trial(pillar: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return what the pillar would change on this host, and what it would only write down."""
    try:
        report = host.look({**pillar, "take_over": True}).report
    except HostError as err:
        return [f"this pillar would be refused: {error}" for error in err.errors], []
    changes = [f"would change: `{command}`" for command in report["commands"]]
    notes = []
    for name, ids in report["tables"].items():
        if ids["new"] is None:
            changes.append(f"would change: rt_tables without {name} ({ids['old']})")
        else:
            notes.append(f"rt_tables would call table {ids['new']} {name}")
    for path, diff in report["files"].items():
        if not path.startswith(os.path.dirname(rt_tables.ETC)):
            pairs = _paired(diff.split("\n")[2:])
            changes += [
                f"would change: {path}: `{old}` becomes `{new}`"
                if new
                else f"would change: {path} without `{old}`"
                for old, new in pairs
                if old
            ]
            notes += [f"{path} would say `{new}`" for old, new in pairs if not old]
    return changes, notes


def _paired(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Return (line that goes, line that comes in its place) of a diff; one may be empty."""
    going = [line[1:] for line in lines if line[:1] == "-"]
    coming = [line[1:] for line in lines if line[:1] == "+"]
    pairs = []
    for old in going:
        new = next(iter(difflib.get_close_matches(old, coming, 1, 0.5)), "")
        if new:
            coming.remove(new)
        pairs.append((old, new))
    return pairs + [("", new) for new in coming]
