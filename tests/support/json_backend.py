"""A draft of a backend, for tests of the contract: policies as ip's lines in a JSON file."""

import json

import multihoming_files as files
import multihoming_iproute2 as iproute2
from multihoming_backend import Claim, Kept, Line, Said, Stamps
from multihoming_edit import Edit
from multihoming_model import Rule
from multihoming_numbers import STATIC

NAME = "json"
STAMPS = Stamps(route=STATIC, rule=STATIC)
PATIENCE = 0.2
FOLDERS = ()
PLACE = "/etc/iproute2/policies.json"
activated = []


def claims(devices):
    text = files.read(PLACE)
    return {dev: Claim(PLACE) for dev in devices if text and dev in json.loads(text)}


def look(devices, default=False):
    text = files.read(PLACE)
    return Kept({} if text is None else {PLACE: text}, {dev: Said() for dev in devices})


def unloaded(places):
    return {}


def _line(dev, raw, tables):
    family, kind, *words = raw.split()
    read = {"route": iproute2.route_from_words, "rule": iproute2.rule_from_words}[kind]
    table = iproute2.table_word(words, kind)
    return Line(PLACE, dev, raw, table, read(words, int(family), tables))


def lines(kept, tables):
    said = json.loads(kept.texts.get(PLACE, "{}"))
    return [_line(dev, raw, tables) for dev, raws in said.items() for raw in raws]


def defaults(kept):
    return []


def chosen_default(kept):
    return {}


def problems(kept, default):
    return []


def render(kept, policies, ours, tables, future, default=None):
    before = json.loads(kept.texts.get(PLACE, "{}"))
    said = {dev: [] for dev in [*before, *policies]}
    for line in lines(kept, tables):
        said[line.device] += [line.raw] if line.item not in ours else []
    for dev, policy in policies.items():
        for item in (*policy.routes, *policy.rules):
            kind = "rule" if isinstance(item, Rule) else "route"
            said[dev].append(f"{item.family} {kind} {iproute2.text(item)}")
    same = {dev: sorted(said[dev]) for dev in said} == {dev: sorted(before[dev]) for dev in before}
    return [] if same else [Edit(NAME, PLACE, kept.texts.get(PLACE), json.dumps(said))]


def write(edits):
    files.write(edits)


def activate(devices):
    activated.append(list(devices))


def findings(kept, survey):
    return []
