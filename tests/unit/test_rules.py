"""How the kernel compares rules, in a played one; and what overlaps, by brute force."""

from __future__ import annotations

import contextlib
from functools import partial
from ipaddress import ip_address, ip_network
from itertools import product

import multihoming_rules as rules
import multihoming_values as values
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_double import RefusedError, Rules
from multihoming_model import Route, Rule
from played_host import changed
from test_plan import MORE_RULES, RULES, line


def refuses(kernel, rule):
    try:
        kernel.copy().run(line("add", rule))
    except RefusedError:
        return True
    return False


@settings(max_examples=200)
@given(MORE_RULES, MORE_RULES)
def test_a_rule_answers_exactly_to_what_the_kernel_refuses_beside_it(live, new):
    assert (rules.asked(new) in rules.answers(live)) == refuses(Rules([line("add", live)]), new)


@settings(max_examples=200)
@given(MORE_RULES, MORE_RULES)
def test_rules_exclude_each_other_when_the_kernel_never_holds_both(one, other):
    both_ways = refuses(Rules([line("add", one)]), other) and refuses(
        Rules([line("add", other)]), one
    )
    assert rules.exclude_each_other(one, other) == both_ways


@settings(max_examples=200)
@given(st.lists(MORE_RULES, max_size=6))
def test_loadable_is_what_the_kernel_takes_in_that_order(wanted):
    kernel, taken = Rules(), True
    for rule in wanted:
        taken = taken and not refuses(kernel, rule)
        if taken:
            kernel.run(line("add", rule))
    assert rules.loadable(wanted) == taken


@settings(max_examples=200)
@given(st.lists(MORE_RULES, max_size=6))
def test_rules_that_can_be_loaded_at_all_can_in_loading_order(wanted):
    pairs = [(a, b) for i, a in enumerate(wanted) for b in wanted[i + 1 :]]
    if not any(rules.exclude_each_other(*pair) for pair in pairs):
        Rules(line("add", rule) for rule in rules.loading_order(wanted))


@settings(max_examples=200)
@given(MORE_RULES, MORE_RULES)
def test_deleting_takes_what_the_kernel_takes(given_rule, live):
    if (given_rule.table, given_rule.priority) != (live.table, live.priority):
        return
    kernel = Rules([line("add", live)])
    with contextlib.suppress(RefusedError):
        kernel.run(line("del", given_rule))
    assert rules.deletes(given_rule, live) == (list(kernel) == [])


@pytest.mark.parametrize(
    ("given_mark", "live_mark"),
    [
        (None, "0x1/0x1"),
        ("0/0x1", "0x1/0x1"),
        ("0/0x1", "0x1"),
        ("0/0x3", "0x1/0x1"),
        ("0/0x1", None),
        ("0x1/0x1", "0x1/0x1"),
        ("0x1/0x1", "0x1"),
        ("0x1", "0/0x1"),
    ],
)
def test_deleting_compares_mark_and_mask_each_by_itself(given_mark, live_mark):
    given_rule, live = (Rule(4, 5, 7, fwmark=mark) for mark in (given_mark, live_mark))
    kernel = Rules([line("add", live)])
    with contextlib.suppress(RefusedError):
        kernel.run(line("del", given_rule))
    assert rules.deletes(given_rule, live) == (list(kernel) == [])


# --- overlap --------------------------------------------------------------------------------------

SOURCES = [None, "10.0.0.0/30", "10.0.0.0/31", "10.0.0.1", "10.0.0.2"]
SELECTORS = st.builds(
    partial(Rule),
    family=st.just(4),
    priority=st.just(5),
    src=st.sampled_from(SOURCES),
    to=st.sampled_from([None, None, "10.0.0.1"]),
    iif=st.sampled_from([None, None, "eth0", "eth1"]),
    fwmark=st.sampled_from([None, None, "0x1", "0x2", "0x1/0x1", "0/0x1", "0x2/0x2", "0x3/0x3"]),
    tos=st.sampled_from([0, 0, 4, 8]),
    ipproto=st.sampled_from([None, None, 6, 17]),
    dport=st.sampled_from([None, None, "1", "1-2", "2-3"]),
    uidrange=st.sampled_from([None, None, "0-0", "0-1", "1-1"]),
)
PACKETS = {
    "src": ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.9"],
    "to": ["10.0.0.1", "10.0.0.9"],
    "iif": ["eth0", "eth1", "eth9"],
    "mark": range(4),
    "tos": [0, 4, 8],
    "ipproto": [6, 17, 1],
    "dport": [1, 2, 3, 9],
    "uid": [0, 1, 9],
}


def packets(selected):
    """Return every packet, as far as the selectors that are named can tell them apart."""
    values = (found if name in selected else found[:1] for name, found in PACKETS.items())
    return (dict(zip(PACKETS, each, strict=True)) for each in product(*values))


def matches(rule, packet):
    return (
        _inside(packet["src"], rule.src)
        and _inside(packet["to"], rule.to)
        and rule.iif in (None, packet["iif"])
        and _marked(packet["mark"], rule.fwmark)
        and rule.tos in (0, packet["tos"])
        and rule.ipproto in (None, packet["ipproto"])
        and _within(packet["dport"], rule.dport)
        and _within(packet["uid"], rule.uidrange)
    )


def _inside(address, prefix):
    return prefix is None or ip_address(address) in ip_network(prefix)


def _marked(mark, fwmark):
    wanted, _, mask = (fwmark or "0/0").partition("/")
    return not (mark ^ int(wanted, 0)) & int(mask or "0xffffffff", 0)


def _within(number, text):
    low, _, high = (text or "0-99999").partition("-")
    return int(low) <= number <= int(high or low)


@settings(max_examples=100)
@given(SELECTORS, SELECTORS)
def test_overlap_agrees_with_trying_every_packet(one, other):
    names = {"src": "src", "to": "to", "iif": "iif", "mark": "fwmark", "tos": "tos"}
    names |= {"ipproto": "ipproto", "dport": "dport", "uid": "uidrange"}
    selected = {name for name, key in names.items() if getattr(one, key) or getattr(other, key)}
    met = any(matches(one, packet) and matches(other, packet) for packet in packets(selected))
    assert rules.overlap(one, other) == met


@settings(max_examples=200)
@given(RULES | SELECTORS, RULES | SELECTORS)
def test_overlap_is_symmetric(one, other):
    assert rules.overlap(one, other) == rules.overlap(other, one)


@given(RULES | SELECTORS)
def test_a_rule_overlaps_itself(rule):
    assert rules.overlap(rule, rule)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (("tun_id", "7"), ("tun_id", "8"), False),
        (("tun_id", "7"), ("tun_id", "7"), True),
        (("tun_id", "7"), ("l3mdev", ""), True),
        (("realms", "3"), ("realms", "4"), True),
        (("newer", "3"), ("newer", "4"), True),
    ],
)
def test_selectors_without_a_field_overlap(one, other, meet):
    assert rules.overlap(Rule(4, 5, other=(one,)), Rule(4, 5, other=(other,))) == meet


def test_families_never_overlap():
    assert not rules.overlap(Rule(4, 5), Rule(6, 5))


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (None, None, True),
        (None, "10.0.0.1", True),
        ("10.0.0.0/8", "10.1.0.0/16", True),
        ("10.1.0.0/16", "10.0.0.0/8", True),
        ("10.0.0.1", "10.0.0.0/8", True),
        ("10.0.0.0/8", "11.0.0.0/8", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::/32", "2001:db8:1::/48", True),
        ("2001:db8::1", "2001:db9::/32", False),
    ],
)
def test_prefixes_meet(one, other, meet):
    assert values.prefixes_meet(one, other) == meet


PREFIXES = st.tuples(st.integers(0, 255), st.integers(24, 32)).map(
    lambda pair: values.network_of(f"10.0.0.{pair[0]}", pair[1])
)


@given(PREFIXES, PREFIXES)
def test_prefixes_meet_when_they_share_an_address(one, other):
    assert values.prefixes_meet(one, other) == ip_network(one).overlaps(ip_network(other))


# --- rules into main --------------------------------------------------------------------------

SOURCE = "192.168.1.220"
KEEPING = rules.keeping_main(4, 20000, 201, SOURCE)


def test_replies_go_by_the_tables_routes_then_mains_and_then_the_tables_default():
    first, second, third = KEEPING
    assert first == Rule(4, 19998, 201, src=SOURCE, suppress_prefixlength=0)
    assert second == Rule(4, 19999, 254, src=SOURCE, suppress_prefixlength=0)
    assert third == Rule(4, 20000, 201, src=SOURCE)
    assert second == rules.into_main(4, 19999, SOURCE)


@pytest.mark.parametrize("neighbour", [KEEPING[0], KEEPING[2]])
@pytest.mark.parametrize("protocol", [0, 186])
def test_a_rule_into_main_is_known_by_either_of_its_neighbours(neighbour, protocol):
    stamped = changed(neighbour, protocol=protocol)
    assert rules.places_into_main([stamped], {201}) == {(4, SOURCE, 19999): 201}


@pytest.mark.parametrize(
    "other",
    [
        {"src": None},
        {"priority": None},
        {"table": 202},
        {"table": None, "action": "prohibit"},
        {"fwmark": "0x1"},
        {"suppress_prefixlength": 1},
        {"to": "10.0.0.0/8"},
        {"invert": True},
    ],
)
def test_any_other_rule_is_nobodys_neighbour(other):
    assert rules.places_into_main([changed(KEEPING[2], **other)], {201}) == {}


@pytest.mark.parametrize("protocol", [0, 4])
def test_the_place_of_a_rule_into_main_is_family_source_and_priority(protocol):
    rule = changed(KEEPING[1], protocol=protocol)
    assert rules.place_into_main(rule) == (4, SOURCE, 19999)


@pytest.mark.parametrize(
    "other",
    [
        {"src": None},
        {"priority": None},
        {"table": 201},
        {"suppress_prefixlength": None},
        {"tos": 16},
    ],
)
def test_what_could_not_have_been_made_has_no_place(other):
    assert rules.place_into_main(changed(KEEPING[1], **other)) is None


def test_only_recorded_places_count():
    held = [*KEEPING, *rules.keeping_main(6, 300, 202, "2001:db8::1")]
    assert rules.places_recorded(held, {(201, 19999)}) == {(4, SOURCE, 19999): 201}
    assert rules.places_recorded(held, {(202, 299)}) == {(6, "2001:db8::1", 299): 202}
    assert rules.places_recorded(held, {(202, 19999), (201, 299)}) == {}
    assert rules.places_recorded(held, ()) == {}


def test_ours_are_the_tables_and_the_recorded_rules_into_main():
    ours = rules.Ours(frozenset({201}), {(4, SOURCE, 19999): 201})
    assert all(rule in ours for rule in KEEPING)
    assert Route(4, 201, "default") in ours
    for other in (
        Rule(4, 5, 202),
        Route(4, 254, "default"),
        changed(KEEPING[1], priority=500),
        changed(KEEPING[1], family=6),
        changed(KEEPING[1], fwmark="0x1"),
    ):
        assert other not in ours
    assert KEEPING[1] not in rules.Ours(frozenset({201}))


# --- deleting -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "other", "taken"),
    [
        (None, "0x1", True),
        ("0x1", "0x1", True),
        ("0x1", "0x2", False),
        ("0x1", None, False),
        ("0x1/0xff", "0x1", False),
        # a mark of 0 names nothing, only its mask counts
        ("0", "0x5", True),
        ("0", "0x5/0xff", False),
        ("0/0xff", "0x5/0xff", True),
        ("0/0xff", "0x5", False),
        ("0/0xff", None, False),
        ("0/0xffffffff", "0x5", True),
    ],
)
def test_marks_of_a_rule_to_delete(given_, other, taken):
    assert rules.deletes(Rule(4, 5, 7, fwmark=given_), Rule(4, 5, 7, fwmark=other)) is taken


@pytest.mark.parametrize(
    ("given_", "other", "taken"),
    [
        ((), (), True),
        ((), (("tun_id", "7"),), True),
        ((("tun_id", "7"),), (("realms", "1"), ("tun_id", "7")), True),
        ((("tun_id", "7"),), (("tun_id", "8"),), False),
        ((("tun_id", "7"),), (), False),
    ],
)
def test_further_attributes_of_a_rule_to_delete(given_, other, taken):
    assert rules.deletes(Rule(4, 5, 7, other=given_), Rule(4, 5, 7, other=other)) is taken
