"""What a picture of this host shows, from a survey and the kernel; ``diagram`` draws it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import multihoming_diagram as diagram
import multihoming_examine as examine
import multihoming_kernel as kernel
import multihoming_reply_path as reply_path
from multihoming_diagram import Finding, Nic, Picture, Reply
from multihoming_errors import HostError
from multihoming_model import Link
from multihoming_numbers import MAIN
from multihoming_reply_path import Flow
from multihoming_survey import Survey

# Interface -> family -> the gateways of its default routes.
_Gateways = Mapping[str, Mapping[int, tuple[str, ...]]]


def draw(format: Any, data: Any, there: bool, name: str) -> str:
    """Return this host's picture as ``text``, ``mermaid`` or ``svg``.

    data, there
        The pillar's ``multihoming``, and whether there is one.
    name
        The host's.

    Raises HostError or KernelError.
    """
    try:
        diagram.check_format(format)
        return diagram.draw(picture(data, there, name), format)
    except diagram.DiagramError as err:
        raise HostError([str(err)]) from None


def picture(data: Any, there: bool, name: str) -> Picture:
    """Return what there is to draw; arguments and errors as in ``draw``."""
    survey, found = examine.examine(data, there)
    gateways = _gateways(survey)
    clients = {family: survey.far[family][0] for family in survey.families}
    replies = _replies(survey, gateways, clients)
    used = {dev for reply in replies for dev in (reply.arrives, reply.leaves)}
    nics = [
        _nic(survey, link, gateways.get(dev, {}), replies)
        for dev, link in survey.links.items()
        if dev in used or ("LOOPBACK" not in link.flags and (link.addresses or dev in gateways))
    ]
    asked = sorted({family for reply in replies for family in reply.families})
    return Picture(
        name,
        tuple(nics),
        replies,
        tuple(clients[family] for family in asked),
        tuple(Finding(each.id, each.severity, each.interface, each.message) for each in found),
    )


def _gateways(survey: Survey) -> _Gateways:
    found: dict[str, dict[int, tuple[str, ...]]] = {}
    for (dev, family), hops in survey.gateways.items():
        found.setdefault(dev, {})[family] = hops
    # The survey leaves out what a routing daemon made.
    for family, route in survey.mains.items():
        for dev in route.devices if route.to == "default" else ():
            found.setdefault(dev, {}).setdefault(family, ())
    return found


def _nic(
    survey: Survey,
    link: Link,
    gateways: Mapping[int, tuple[str, ...]],
    replies: Iterable[Reply],
) -> Nic:
    known = [gateway for family in sorted(gateways) for gateway in gateways[family]]
    known += [via for reply in replies if reply.leaves == link.name for via in reply.via]
    return Nic(
        link.name,
        tuple(map(str, link.addresses)),
        tuple(dict.fromkeys(known)),
        tuple(family for family in survey.mains if _is_main(survey, family, link.name)),
        _state(link),
        bool(gateways),
    )


def _is_main(survey: Survey, family: int, dev: str) -> bool:
    route = survey.mains[family]
    return route.to == "default" and route.table == MAIN and dev in route.devices


def _state(link: Link) -> str:
    if not link.up:
        return "down"
    return "" if "LOWER_UP" in link.flags else "no carrier"


def _replies(survey: Survey, gateways: _Gateways, clients: Mapping[int, str]) -> tuple[Reply, ...]:
    """Ask for the replies of every address for which requests come in from a gateway."""
    flows = [
        (link.name, Flow(own.family, own.address, clients[own.family]))
        for link in survey.links.values()
        for own in link.addresses
        if own.family in gateways.get(link.name, {})
    ]
    asked = [
        [*reply_path.ask_reply(flow), reply_path.ask_request(flow, dev)] for dev, flow in flows
    ]
    answers = iter(kernel.route_get([step for steps in asked for step in steps]))
    names = {id_: name for name, id_ in survey.tables.items()}
    setting = functools.partial(kernel.setting, 4)
    replies = []
    for dev, flow in flows:
        rules = survey.rules[flow.family]
        reply, matched, _, request = (next(answers) for _ in range(4))
        refusing = () if reply.route else examine.refusing(flow, rules)
        told = reply_path.Answers(reply, matched, request, refusing)
        path = reply_path.result(flow, dev, told, survey.links, rules, setting, names)
        replies.append(_reply(dev, path))
    return tuple(replies)


def _reply(dev: str, path: Mapping[str, Any]) -> Reply:
    return Reply(
        addresses=(path["address"],),
        arrives=dev,
        leaves=path["leaves"],
        via=(path["via"],) if path["via"] else (),
        table=None if path["table"] is None else str(path["table"]),
        reason=path["reason"],
    )
