"""A network manager that there is none of: a profile for each interface, in ip's lines.

It keeps ``profile:DEV`` and stamps routes and rules with protocols of its own, as some do. A line
``gateway ADDRESS`` is what the profile says of its interface. Pure, so that a host can be played.
"""

import multihoming_iproute2 as iproute2
from multihoming_backend import Kept, Line, Said, Stamps
from multihoming_edit import Edit
from multihoming_model import Rule
from multihoming_numbers import BOOT, STATIC

NAME = "profiles"
STAMPS = Stamps(route=STATIC, rule=BOOT)
FOLDERS = ()


def place(dev):
    return f"profile:{dev}"


def kept(texts, devices):
    own = {path: text for path, text in texts.items() if path.startswith(place(""))}
    said = {dev: Said(gateways=_gateways(own.get(place(dev), ""))) for dev in devices}
    return Kept(own, said)


def _gateways(text):
    found = [line.split()[1] for line in text.splitlines() if line.startswith("gateway ")]
    return {6 if ":" in address else 4: address for address in found}


def lines(kept, tables):
    return [
        _line(path, raw, tables)
        for path, text in kept.texts.items()
        for raw in text.splitlines()
        if not raw.startswith("gateway ")
    ]


def _line(path, raw, tables):
    family, kind, *words = raw.split()
    read = {"route": iproute2.route_from_words, "rule": iproute2.rule_from_words}[kind]
    item = STAMPS.put_on(read(words, int(family[1:]), tables))
    dev = path.removeprefix(place(""))
    return Line(path, dev, raw, iproute2.table_word(words, kind), item)


def defaults(kept):
    return []


def problems(kept, default):
    return []


def render(kept, policies, ours, tables, future, default=None):
    edits = []
    for path in dict.fromkeys([*kept.texts, *map(place, policies)]):
        before = kept.texts.get(path)
        foreign = [raw for raw in (before or "").splitlines() if raw.startswith("gateway ")]
        found = lines(Kept({path: before or ""}), tables)
        foreign += [line.raw for line in found if line.item not in ours]
        policy = policies.get(path.removeprefix(place("")))
        wanted = [*policy.routes, *policy.rules] if policy else []
        mine = [line.item for line in found if line.item in ours]
        after = "".join(f"{line}\n" for line in [*foreign, *map(_shown, wanted)])
        if mine != wanted:
            edits.append(Edit(NAME, path, before, after or None))
    return edits


def _shown(item):
    kind = "rule" if isinstance(item, Rule) else "route"
    return f"-{item.family} {kind} {iproute2.text(item)}"
