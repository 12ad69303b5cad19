"""Questions about this host: which way a reply goes, what is wrong, what it does already.

Brings the rooms together like ``multihoming_host``; nothing is changed.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import multihoming_backend_none as none
import multihoming_config as config
import multihoming_desired as desired
import multihoming_diagnose as diagnose
import multihoming_export as export_
import multihoming_host as host
import multihoming_kernel as kernel
import multihoming_model as model
import multihoming_reply_path as reply_path
import multihoming_rt_tables as rt_tables
import multihoming_survey as survey
from multihoming_finding import Finding
from multihoming_host import HostError
from multihoming_numbers import BY_HAND, RESERVED_TABLES


def path_of_reply(address: Any, client: Any, interface: Any = None) -> dict[str, Any]:
    """Return which way a reply goes and whether it is lost; see ``multihoming.reply_path``.

    Raises HostError when there is no such flow on this host.
    """
    with host.as_host_error():
        names = {id_: name for name, id_ in host.read_tables().ids.items()}
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
            () if reply.route else _refusing(asked, rules),
        )
        setting = functools.partial(kernel.setting, 4)
        return reply_path.result(asked, arrives, answers, links, rules, setting, names)


def _has_gateway(family: int, link: model.Link) -> bool:
    answers = kernel.route_get(reply_path.ask_gateway(family, link))
    if any(reply_path.is_default(answer, link.name) for answer in answers):
        return True
    backend = next((backend for backend in host.BACKENDS if backend.in_charge()), none)
    found, _ = backend.interfaces([link.name])
    return any(family in gateways for _, gateways in found.values())


def _request(asked: reply_path.Flow, arrives: str | None) -> model.Answer | None:
    """Ask what becomes of the request; on lo packets bring their route along."""
    if arrives in (None, "lo"):
        return None
    return kernel.route_get([reply_path.ask_request(asked, arrives)])[0]


def _refusing(asked: reply_path.Flow, rules: Sequence[model.Rule]) -> tuple[model.Route, ...]:
    tables = [rule.table for rule in reply_path.matching(rules, asked) if rule.table]
    return kernel.refusing_routes(dict.fromkeys(tables), asked.family)


def findings(data: Any, there: bool) -> list[Finding]:
    """Return what is wrong with this host, the worst first; see ``multihoming.diagnose``.

    data, there
        The pillar's ``multihoming``, and whether there is one.

    Raises HostError when the host can't be looked at.
    """
    return examine(data, there)[1]


def examine(data: Any, there: bool) -> tuple[survey.Survey, list[Finding]]:
    """Return what this host is, with the findings; arguments and errors as in ``findings``."""
    with host.as_host_error():
        wanted, errors = config.parse(data) if there else (config.Config(), [])
        taken = survey.take(host.read_tables().ids, wanted)
        found = [diagnose.invalid_pillar(errors)] if errors else []
        return taken, found + diagnose.findings(taken)


# --- what is there already --------------------------------------------------------------------


def export(backend_name: str = "auto") -> dict[str, Any]:
    """Return the pillar for what this host does already; see ``multihoming.export``.

    Where ``auto`` finds no backend in charge, the pillar is one for the kernel only. Raises
    HostError.
    """
    with host.as_host_error():
        errors: list[str] = []
        backend = host.find_backend(backend_name, errors)
        if errors and backend_name != "auto":
            raise HostError(errors)
        outcome = export_.export(_seen(backend))
        pillar = dict(outcome.pillar)
        if not backend.in_charge():
            pillar["backend"] = backend.NAME
        left_out, notes = _trial(pillar)
        default, why_not = _default_gateway(backend, pillar, [*left_out, *notes])
    return {
        "multihoming": {**pillar, **default},
        "left_out": [*outcome.left_out, *left_out, *why_not],
        "notes": [*outcome.notes, *notes],
    }


def _seen(backend: ModuleType) -> export_.Seen:
    tables = host.read_tables()
    used = export_.tables_in_use(kernel.read().rules) | kernel.tables(BY_HAND)
    texts = backend.read()
    # `owned` looks for tables that it is told of; any number in the files may be one.
    numbers = {int(word) for text in texts.values() for word in re.findall(r"[0-9]{1,10}", text)}
    served_ = host.served(
        backend, texts, frozenset({*used, *numbers, *tables.ids.values()}), tables.ids
    )
    state = kernel.read({*used, *served_} - RESERVED_TABLES.keys(), defaults=True)
    said, unreadable = backend.interfaces(state.links)
    found = {
        dev: replace(
            desired.Found(*said.get(dev, ())),
            defaults=desired.gateways_through(dev, state.defaults),
        )
        for dev in state.links
    }
    return export_.Seen(state.links, state.rules, state.routes, tables, served_, found, unreadable)


def _default_gateway(
    backend: ModuleType, pillar: Mapping[str, Any], without: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Return the pillar's ``default_gateway`` when the files say so and it changes nothing.

    without
        What a trial of the pillar says without it.

    The second is why it is left out.
    """
    try:
        chosen = backend.chosen_default()
    except model.ContentError as err:
        return {}, [f"default_gateway: {err}"]
    if not chosen:
        return {}, []
    said = " and ".join(f"{name}={dev}" for name, dev in chosen.items())
    if len({*chosen.values()}) > 1:
        return {}, [f"default_gateway: {said} are two interfaces, and the pillar names one"]
    default = {"default_gateway": next(iter(chosen.values()))}
    left_out, notes = _trial({**pillar, **default})
    more = [text for text in (*left_out, *notes) if text not in without]
    return (
        ({}, [f"default_gateway: with {said}, {text}" for text in more]) if more else (default, [])
    )


def _trial(pillar: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return what the pillar would change on this host, and what it would only write down."""
    try:
        report = host.look(pillar).report
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
        lines = [] if path.startswith(os.path.dirname(rt_tables.ETC)) else diff.splitlines()[2:]
        changes += [f"would change: {path} without `{x[1:]}`" for x in lines if x[:1] == "-"]
        notes += [f"{path} would say `{x[1:]}`" for x in lines if x[:1] == "+"]
    return changes, notes
