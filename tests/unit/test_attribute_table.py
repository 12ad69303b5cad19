"""The table of attributes, held to the rooms that take theirs from it.

What is said once has to do everywhere: each entry is tried as if the pillar might say it, in rooms
that are loaded anew with just that entry changed.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import multihoming_attributes as attributes
import multihoming_config as config
import multihoming_export as export
import multihoming_iproute2 as iproute2
import multihoming_numbers as numbers
import multihoming_values as values
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from multihoming_model import Nexthop, Route, Rule, canonical
from strategies import DEVICES, addresses, marks, prefixes, ranges

HERE = Path(__file__).parent
SAMPLES = yaml.safe_load((HERE / "data/attributes.yaml").read_text())
TABLES = {"routes": attributes.ROUTE, "rules": attributes.RULE}
ENTRIES = [(kind, entry) for kind, table in TABLES.items() for entry in table]
# What a route or rule is made of, which is no entry.
STRUCTURE = {
    "routes": {"family", "table", "to", "type", "nexthops", "protocol", "other"},
    "rules": {"family", "table", "priority", "invert", "action", "protocol", "other"},
}
PILLAR_STRUCTURE = {"routes": {"to", "type", "nexthops"}, "rules": {"not", "priority", "action"}}


def named(value):
    return value if isinstance(value, str) else getattr(value, "word", None)


def entries(*without):
    pairs = [pair for pair in ENTRIES if pair[1].word not in without]
    return pytest.mark.parametrize(("kind", "entry"), pairs, ids=named)


# --- the table ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TABLES)
def test_a_word_stands_there_once(kind):
    words = [entry.word for entry in TABLES[kind]]
    keys = [key for entry in TABLES[kind] for key in (*entry.keys, *entry.more)]
    held = [entry.field for entry in TABLES[kind] if entry.field]
    for found in (words, keys, held):
        assert sorted(set(found)) == sorted(found)


@pytest.mark.parametrize("kind", TABLES)
def test_there_is_an_example_of_every_entry(kind):
    assert list(SAMPLES[kind]) == [entry.word for entry in TABLES[kind]]


@pytest.mark.parametrize(("kind", "model"), [("routes", Route), ("rules", Rule)])
def test_every_field_is_an_entrys_or_structure(kind, model):
    held = {entry.field for entry in TABLES[kind] if entry.field}
    assert held | STRUCTURE[kind] == {*model._fields}
    assert not held & STRUCTURE[kind]


@pytest.mark.parametrize("model", [Route, Rule])
def test_a_field_of_which_nothing_is_said_has_its_kinds_value_for_that(model):
    entries = {entry.field: entry for _, entry in ENTRIES if entry.field}
    # A route always has these two.
    for name in entries.keys() & {*model._fields} - {"metric", "scope", "to"}:
        assert model._field_defaults[name] == entries[name].kind.nothing


def test_what_a_leg_of_a_route_has_are_parts_of_a_next_hop():
    hops = {entry.word for entry in attributes.ROUTE if entry.tells == attributes.HOP}
    assert {*Nexthop._fields} - {"weight"} <= hops


@pytest.mark.parametrize(
    ("kind", "keys"), [("routes", config.ROUTE_KEYS), ("rules", config.RULE_KEYS)]
)
def test_a_key_of_the_pillar_is_an_entrys_word_or_structure(kind, keys):
    said = {entry.word for entry in TABLES[kind] if entry.pillar}
    assert said | PILLAR_STRUCTURE[kind] == set(keys)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [("routes", (*config.ROUTE_KEYS, *config.NEXTHOP_KEYS)), ("rules", config.RULE_KEYS)],
)
def test_the_readme_names_every_key_of_the_pillar(kind, keys):
    text = (HERE.parents[1] / "README.md").read_text()
    (row,) = re.findall(rf"^\| `interfaces\.DEV\.{kind}` \|.*$", text, re.MULTILINE)
    assert [key for key in keys if f"`{key}`" not in row] == []


def test_numbers_of_the_kernel_stand_there_once():
    for name in ("rta", "metric"):
        found = [getattr(entry, name) for entry in attributes.ROUTE if getattr(entry, name)]
        assert sorted(set(found)) == sorted(found)


# Each word that iproute2 takes abbreviated, in the order in which iproute_modify() in ip/iproute.c
# and iprule_modify() in ip/iprule.c try them, and what it is here.
CHAINS = {
    "route": "dsfield=tos metric priority=metric reordering window cwnd initcwnd initrwnd features "
    "quickack congctl rttvar ssthresh realms protocol table vrf pref fastopen_no_cookie",
    "rule": "preference=priority order=priority priority dsfield=tos realms protocol tun_id table "
    "suppress_prefixlength suppress_ifgroup goto nop",
}


@pytest.mark.parametrize("kind", CHAINS)
def test_an_abbreviation_means_what_it_means_to_iproute2(kind):
    chain = [word.split("=") for word in CHAINS[kind].split()]
    prefixes = {whole[0][:length] for whole in chain for length in range(1, len(whole[0]) + 1)}
    known = attributes.spellings(TABLES[f"{kind}s"])
    whole_words = {"to", *(spelling for spelling, _, short in known if not short)}
    for prefix in sorted(prefixes - whole_words):
        meant = next(word for word in chain if word[0].startswith(prefix))
        assert (prefix, iproute2._keyword(prefix, kind)) == (prefix, meant[-1])


# --- each entry, in words and JSON --------------------------------------------------------------


BASES = {4: ("10.9.0.0/16", "192.168.1.3"), 6: ("2001:db8:9::/48", "2001:db8:1::3")}


def base_of(kind, word):
    """Return (family, words, JSON) of what an example is added to."""
    sample = SAMPLES[kind][word]
    family = sample.get("family", 4)
    if kind == "rules":
        entry = next(entry for entry in attributes.RULE if entry.word == word)
        source = "10.20.0.0/16" if family == 4 else "2001:db8:20::/48"
        address, _, length = source.partition("/")
        words = "" if entry.selects else f"from {source}"
        shown = {"src": "all"} if entry.selects else {"src": address, "srclen": int(length)}
        return family, f"{words} table 201 priority 30", {"priority": 30, "table": "201", **shown}
    to, via = (
        ("10.9.0.0/16", "192.168.1.3") if family == 4 else ("2001:db8:9::/48", "2001:db8:1::3")
    )
    shown = {"type": "1", "table": "201", "dst": to, "dev": "eth1", "flags": []}
    shown |= {"scope": "0", "metric": 1024} if family == 6 else {"scope": "0"}
    if word == "scope":
        return family, f"{to} dev eth1 table 201", shown
    dev = "" if word == "dev" else "dev eth1"
    via = "" if sample.get("direct") else f"via {via}"
    shown |= {"gateway": via.removeprefix("via ")} if via else {}
    return family, f"{to} {via} {dev} table 201", shown


def from_words(kind, family, words):
    reader = iproute2.route_from_words if kind == "routes" else iproute2.rule_from_words
    return reader(words.split(), family, {})


def from_json(kind, family, shown):
    reader = iproute2.route_from_json if kind == "routes" else iproute2.rule_from_json
    return reader(shown, family)


def to_words(item):
    words = iproute2.rule_words(item) if isinstance(item, Rule) else iproute2.route_words(item)
    return " ".join(words)


def item_of(kind, word):
    family, words, _ = base_of(kind, word)
    return from_words(kind, family, f"{words} {SAMPLES[kind][word]['line']}")


# A next hop that is an object of its own is written by its number, and read back without the rest.
@entries("nhid")
def test_words_are_written_as_they_were_read(kind, entry):
    item = item_of(kind, entry.word)
    assert from_words(kind, item.family, to_words(item)) == item
    assert f" {SAMPLES[kind][entry.word]['line']} " in f" {to_words(item)} "


@entries()
def test_other_spellings_are_the_same(kind, entry):
    family, words, _ = base_of(kind, entry.word)
    for line in SAMPLES[kind][entry.word].get("same", ()):
        assert from_words(kind, family, f"{words} {line}") == item_of(kind, entry.word)


# What expires counts down, and is passed over.
@entries("expires")
def test_json_says_the_same_as_the_words(kind, entry):
    family, _, shown = base_of(kind, entry.word)
    sample = SAMPLES[kind][entry.word]
    assert from_json(kind, family, {**shown, **sample["json"]}) == item_of(kind, entry.word)


@entries()
def test_an_entry_makes_a_difference(kind, entry):
    family, words, _ = base_of(kind, entry.word)
    assert from_words(kind, family, words) != item_of(kind, entry.word)


@entries()
def test_people_see_what_the_pillar_would_say(kind, entry):
    show = iproute2.route_dict if kind == "routes" else iproute2.rule_dict
    shown = show(item_of(kind, entry.word), {})[entry.word]
    assert entry.kind.said(shown) == SAMPLES[kind][entry.word]["says"]


@pytest.mark.parametrize("word", [entry.word for entry in attributes.ROUTE if entry.lockable])
def test_a_locked_metric_is_another_and_no_pillar_says_it(word):
    line = SAMPLES["routes"][word]["line"].replace(word, f"{word} lock")
    family, words, shown = base_of("routes", word)
    locked = from_words("routes", family, f"{words} {line}")
    assert locked != item_of("routes", word)
    assert from_words("routes", family, to_words(locked)) == locked
    (metrics,) = SAMPLES["routes"][word]["json"]["metrics"]
    group = {key: f"lock {value}" for key, value in metrics.items()}
    assert from_json("routes", family, {**shown, "metrics": [group]}) == locked
    assert f"has {word} lock, for which" in export._why_not(locked, "eth1")


def test_a_router_of_the_other_family_is_no_via_of_the_pillar():
    shown = {"type": "1", "table": "201", "dst": "default", "dev": "eth1", "scope": "0"}
    route = iproute2.route_from_json({**shown, "via": {"family": "inet6", "host": "fe80::1"}}, 4)
    assert "has via, for which the pillar has no word" in export._why_not(route, "eth1")


# --- any value, and any together ------------------------------------------------------------------

U32 = st.integers(0, numbers.U32)
REALM = st.integers(1, 65535).map(str)
ROUTERS = {4: st.sampled_from(["192.168.1.9", "10.0.0.1"]), 6: st.just("fe80::9")}
# By family.
VALUES = {
    attributes.FLAG: lambda _: st.just(True),
    attributes.NUMBER: lambda _: U32,
    attributes.LENGTH: lambda family: st.integers(0, 32 if family == 4 else 128),
    attributes.SCOPE: lambda family: st.sampled_from([0, 200, 253, 254, 7] if family == 4 else [0]),
    attributes.TOS: lambda _: st.sampled_from([4, 8, 16, 28]),
    attributes.IPPROTO: lambda _: st.integers(1, 255),
    attributes.DEVICE: lambda _: DEVICES,
    attributes.ADDRESS: addresses,
    attributes.PREFIX: prefixes,
    attributes.MARK: lambda _: marks(),
    attributes.PORTS: lambda _: ranges(1, 65534).map(values.parse_ports),
    attributes.UIDS: lambda _: ranges(0, numbers.U32 - 1),
    attributes.REALMS: lambda _: st.tuples(REALM, REALM).map("/".join) | REALM,
}
NARROWER = {"mtu": lambda _: st.integers(68, 65520), "via": lambda family: ROUTERS[family]}


def values_of(entry):
    others = VALUES.get(entry.kind, lambda _: st.sampled_from(["ecn", "high", "reno"]))
    return NARROWER.get(entry.word, others)


@st.composite
def items(draw, kind, entry):
    """Draw (value, a route or rule of which nothing else is said)."""
    family = draw(st.sampled_from(entry.families))
    value = draw(values_of(entry)(family))
    said = {entry.field: value} if entry.field else {"other": entry.stored(value)}
    if kind == "rules":
        return value, Rule(**{"family": family, "priority": 30, "table": 201, **said})
    to, via = BASES[family]
    route = {"family": family, "table": 201, "to": to, "via": via, "dev": "eth1", **said}
    return value, canonical(Route(**route))


@entries("nhid")
@settings(max_examples=30)
@given(data=st.data())
def test_any_value_survives_words_people_and_pillar(kind, entry, data):
    value, item = data.draw(items(kind, entry))
    assert from_words(kind, item.family, to_words(item)) == item
    show = iproute2.route_dict if kind == "routes" else iproute2.rule_dict
    shown = show(item, {})
    assert json.loads(json.dumps(shown)) == shown
    if entry.pillar and entry.word in shown:
        with suppress(ValueError):  # a pillar may say less than the kernel holds
            read = entry.pillar(entry.kind.said(shown[entry.word]))
            held = item.metric if entry.word == "metric" else value  # 0 is IPv6's usual one
            assert (read[1] if entry.kind.family_told else read) == held


ALONE = {"nhid", "expires", "via", "dev", "scope"}
TOGETHER = {kind: [e.word for e in table if e.word not in ALONE] for kind, table in TABLES.items()}


@pytest.mark.parametrize("kind", TOGETHER)
@settings(max_examples=200)
@given(data=st.data(), family=st.sampled_from(numbers.FAMILIES))
def test_any_of_them_go_together(kind, data, family):
    fitting = [word for word in TOGETHER[kind] if SAMPLES[kind][word].get("family", 4) == family]
    words = data.draw(st.lists(st.sampled_from(fitting), unique=True))
    _, line, shown = base_of(kind, fitting[-1])
    line = " ".join([line, *(SAMPLES[kind][word]["line"] for word in words)])
    metrics = {}
    for word in words:
        shown.update(SAMPLES[kind][word]["json"])
        for group in SAMPLES[kind][word]["json"].get("metrics", ()):
            metrics.update(group)
    item = from_words(kind, family, line)
    assert from_words(kind, family, to_words(item)) == item
    assert from_json(kind, family, {**shown, **({"metrics": [metrics]} if metrics else {})}) == item


# --- each entry, as if the pillar might say it ---------------------------------------------------

ROOMS = "attributes config desired export iproute2 model plan rt_tables rules values".split()


@contextmanager
def rooms_saying(word):
    """Load all rooms anew; in their table the pillar may say ``word``, and nothing else differs."""
    before = _take_out()
    try:
        rooms = SimpleNamespace(attributes=importlib.import_module("multihoming_attributes"))
        for table in ("ROUTE", "RULE"):
            changed = [_said(rooms, entry, word) for entry in getattr(rooms.attributes, table)]
            setattr(rooms.attributes, table, tuple(changed))
        for name in ROOMS:
            setattr(rooms, name, importlib.import_module(f"multihoming_{name}"))
        yield rooms
    finally:
        _take_out()
        sys.modules.update(before)


def _take_out():
    names = [name for name in sys.modules if name.startswith("multihoming_")]
    return {name: sys.modules.pop(name) for name in names}


def _said(rooms, entry, word):
    room = rooms.attributes
    checks = {
        room.FLAG: room.parse_flag,
        room.NUMBER: lambda value: room.parse_number(value, 0, room.U32),
        room.PREFIX: room.parse_any_prefix,
        room.TOS: room.parse_tos,
    }
    if entry.word != word or entry.pillar:
        return entry
    return replace(entry, pillar=checks.get(entry.kind, str))


def pillar_saying(kind, word):
    """Return a pillar whose eth1 has one more route or rule, which says the word."""
    item = {word: SAMPLES[kind][word]["says"]}
    _, _, shown = base_of(kind, word)
    if kind == "routes":
        via = {"via": shown["gateway"]} if "gateway" in shown else {}
        item = {"to": shown["dst"], **via, **item}
    else:
        source = {} if shown["src"] == "all" else {"from": f"{shown['src']}/{shown['srclen']}"}
        item = {**source, **item, "priority": 30}
    gateways = ["192.168.1.254", "2001:db8:1::254"]
    entry = {"table": "gateway1", "gateway": gateways, kind: [item]}
    return {"tables": {"gateway1": 201}, "interfaces": {"eth1": entry}}


def host_with(rooms, routes=(), rules=()):
    """Return what a host with eth1 holds: these, and the kernel's first rules."""
    parsed = map(rooms.values.parse_interface, ("192.168.1.220/24", "2001:db8:1::220/64"))
    addresses = tuple(rooms.model.LinkAddress(*each, True, True) for each in parsed)
    links = {"eth1": rooms.model.Link("eth1", 1, True, addresses)}
    kernels = [rooms.model.Rule(family, 0, 255, protocol=2) for family in (4, 6)]
    ordered = sorted((*kernels, *rules), key=lambda rule: rule.priority)
    held = {family: [rule for rule in ordered if rule.family == family] for family in (4, 6)}
    names = rooms.rt_tables.parse({rooms.rt_tables.ETC: "201 gateway1\n"}, False)
    return rooms.export.Seen(links, held, {201: routes}, names)


def policy_of(rooms, pillar):
    wanted, errors = rooms.config.parse(pillar)
    assert errors == []
    outcome = rooms.desired.policies(wanted, host_with(rooms).links, {})
    assert outcome.errors == ()
    return outcome.policies["eth1"]


def read_both(rooms, kind, word):
    """Return the example read from words and from JSON."""
    sample = SAMPLES[kind][word]
    family, words, shown = base_of(kind, word)
    room = rooms.iproute2
    if kind == "routes":
        readers = room.route_from_words, room.route_from_json
    else:
        readers = room.rule_from_words, room.rule_from_json
    line = f"{words} {sample['line']}".split()
    return readers[0](line, family, {}), readers[1]({**shown, **sample["json"]}, family)


# Those that are left out are made by what the pillar says in other words, or of no use in it. The
# kernel takes no table beside l3mdev; here it is the selector without a value.
@entries("dev", "expires", "nhid", "encap")
def test_to_let_the_pillar_say_it_is_one_entry(kind, entry):
    pillar = pillar_saying(kind, entry.word)
    with rooms_saying(entry.word) as rooms:
        policy = policy_of(rooms, pillar)
        line, shown = read_both(rooms, kind, entry.word)
        assert line == shown
        assert line in (policy.routes if kind == "routes" else policy.rules)
        found = rooms.export.export(host_with(rooms, policy.routes, policy.rules))
        assert found.left_out == ()
        assert policy_of(rooms, found.pillar) == policy
        (said,) = found.pillar["interfaces"]["eth1"][kind]
        assert said[entry.word] == SAMPLES[kind][entry.word]["says"]


@pytest.mark.parametrize("entry", [e for e in attributes.RULE if e.selects], ids=named)
def test_a_selector_that_the_pillar_may_say_can_be_negated(entry):
    pillar = pillar_saying("rules", entry.word)
    rule = pillar["interfaces"]["eth1"]["rules"][0]
    rule["not"] = True
    with rooms_saying(entry.word) as rooms:
        line, _ = read_both(rooms, "rules", entry.word)
        assert line._replace(invert=True) in policy_of(rooms, pillar).rules


ONE_FAMILY = [(kind, entry) for kind, entry in ENTRIES if len(entry.families) == 1]


@pytest.mark.parametrize(("kind", "entry"), ONE_FAMILY, ids=named)
def test_what_one_family_only_has_says_which(kind, entry):
    pillar = pillar_saying(kind, entry.word)
    item = {"to": "default", "metric": 9} if kind == "routes" else {"priority": 30, "iif": "eth1"}
    item[entry.word] = SAMPLES[kind][entry.word]["says"]
    pillar["interfaces"]["eth1"][kind] = [item]
    with rooms_saying(entry.word) as rooms:
        wanted, errors = rooms.config.parse(pillar)
        assert errors == []
        (spec,) = getattr(wanted.interfaces["eth1"], kind)
        assert (spec.family,) == entry.families


UNSAID = [(kind, entry) for kind, entry in ENTRIES if not entry.pillar and not entry.field]


@pytest.mark.parametrize(("kind", "entry"), UNSAID, ids=named)
def test_what_the_pillar_may_not_say_is_an_unknown_key_and_is_left_out(kind, entry):
    _, errors = config.parse(pillar_saying(kind, entry.word))
    assert f"{kind}[0].{entry.word}: unknown key" in errors[0]
    why = export._why_not(item_of(kind, entry.word), "eth1")
    assert why == f"has {entry.word}, for which the pillar has no word"
