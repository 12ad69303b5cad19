"""Routes, rules and links as plain data: what is the same is equal."""

from __future__ import annotations

import itertools

import multihoming_model as model
import pytest
from multihoming_model import Link, LinkAddress, Nexthop, Route, Rule, State
from played_host import changed
from surveys import route, rule

DEFAULT = Route(4, 7, "default", via="10.0.0.1", dev="eth1")


@pytest.mark.parametrize(
    ("line", "devices"),
    [
        ("default dev eth1", ("eth1",)),
        ("blackhole default", ()),
        ("default nexthop via 10.0.0.1 dev b nexthop via 10.0.0.2 dev a", ("b", "a")),
        ("default nexthop via 10.0.0.1 dev a nexthop via 10.0.0.2 dev a", ("a",)),
        ("default nexthop via 10.0.0.1 nexthop via 10.0.0.2 dev a", ("a",)),
    ],
)
def test_a_route_leaves_by_its_interfaces_each_once(line, devices):
    assert route(line).devices == devices


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"via": "10.0.0.2"}, True),
        ({"dev": "eth2"}, True),
        ({"protocol": 4}, True),
        ({"type": "blackhole"}, True),
        ({"other": (("advmss", "9"),)}, True),
        ({"to": "10.0.0.0/8"}, False),
        ({"metric": 5}, False),
        ({"table": 8}, False),
        ({"family": 6}, False),
        ({"other": (("tos", "0x10"),)}, False),
        ({"other": (("from", "10.0.0.0/8"),)}, False),
    ],
)
def test_the_kernel_tells_routes_of_a_table_apart_by_their_key(changes, same):
    assert (changed(DEFAULT, **changes).key == DEFAULT.key) is same


LEGS = (Nexthop("10.0.0.1", "eth1"), Nexthop(dev="eth2", encap="ip"))


@pytest.mark.parametrize(
    ("changes", "tunnel"),
    [
        ({}, False),
        ({"other": (("advmss", "9"),)}, False),
        ({"other": (("encap", "ip"),)}, True),
        ({"nexthops": LEGS[:1] * 2}, False),
        ({"nexthops": LEGS}, True),
        ({"nexthops": LEGS, "other": (("nhid", "7"),)}, False),
    ],
)
def test_a_route_leads_into_a_tunnel_by_itself_or_by_a_leg(changes, tunnel):
    assert model.is_encapsulated(changed(DEFAULT, **changes)) is tunnel


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (DEFAULT, DEFAULT),
        (changed(DEFAULT, scope=253), changed(DEFAULT, scope=253)),
        (Route(6, 7, "default", scope=253), Route(6, 7, "default", metric=1024)),
        (Route(6, 7, "default", metric=5), Route(6, 7, "default", metric=5)),
        (
            Route(4, 7, "default", nexthops=(Nexthop("10.0.0.1", "eth1", 9, True),)),
            changed(DEFAULT, onlink=True),
        ),
        (
            Route(4, 7, "default", nexthops=LEGS[1:], other=(("mtu", "lock 5"),)),
            Route(4, 7, "default", dev="eth2", other=(("encap", "ip"), ("mtu", "lock 5"))),
        ),
    ],
)
def test_a_route_is_canonical_as_the_kernel_reads_it_back(given, canonical):
    assert model.canonical(given) == canonical


LEGS = (Nexthop(dev="x"), Nexthop("a", "y"), Nexthop("b", "y", 1), Nexthop("b", "y", 2))


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("legs", list(itertools.permutations(LEGS)))
def test_the_order_of_next_hops_and_the_protocol_mean_nothing_to_packets(legs, protocol):
    given = Route(4, 7, "default", nexthops=legs, protocol=protocol)
    assert model.canonical(given) == given
    assert model.unordered(given) == changed(given, nexthops=LEGS)
    assert model.meaning(given) == changed(given, nexthops=LEGS, protocol=3)
    assert model.meaning(Rule(4, 5, 7, protocol=4)) == Rule(4, 5, 7)


@pytest.mark.parametrize(
    ("kind", "family", "has_gateway", "scope"),
    [
        ("unicast", 4, True, 0),
        ("unicast", 4, False, 253),
        ("unicast", 6, False, 0),
        ("local", 4, False, 254),
        ("nat", 4, True, 254),
        ("local", 6, False, 0),
        ("broadcast", 4, True, 253),
        ("multicast", 4, True, 253),
        ("anycast", 4, True, 253),
        ("blackhole", 4, False, 0),
        ("throw", 4, False, 0),
    ],
)
def test_the_scope_of_a_route_that_names_none(kind, family, has_gateway, scope):
    assert model.default_scope(kind, family, has_gateway) == scope


def test_the_metric_of_a_route_that_names_none():
    assert (model.default_metric(4), model.default_metric(6)) == (0, 1024)


def test_a_default_route_of_main():
    made = model.default_route(6, "fe80::1", "eth1", onlink=True)
    assert made == Route(6, 254, "default", via="fe80::1", dev="eth1", metric=1024, onlink=True)
    made = model.default_route(4, "10.0.0.1", "eth1", 7)
    assert made == Route(4, 254, "default", via="10.0.0.1", dev="eth1", metric=7)


@pytest.mark.parametrize(
    ("line", "catches"),
    [
        ("from all table 7 priority 5", True),
        ("from all prohibit priority 5", True),
        ("from all table 7 protocol static priority 5", True),
        ("-6 table 7 priority 5", True),
        ("from 10.0.0.0/8 table 7 priority 5", False),
        ("to 10.0.0.0/8 table 7 priority 5", False),
        ("not table 7 priority 5", False),
        ("iif lo table 7 priority 5", False),
        ("table 7 suppress_prefixlength 0 priority 5", False),
        ("l3mdev priority 1000", False),
    ],
)
def test_a_rule_without_a_selector_catches_every_packet(line, catches):
    assert model.is_catch_all(rule(line)) is catches


@pytest.mark.parametrize(
    ("line", "kernels"),
    [
        ("table local priority 0", True),
        ("table main priority 32766 protocol kernel", True),
        ("table default priority 32767", True),
        ("-6 table local priority 0", True),
        ("-6 table main priority 32766", True),
        ("-6 table default priority 32767", False),
        ("table main priority 0", False),
        ("table main priority 32765", False),
        ("from 10.0.0.0/8 table main priority 32766", False),
    ],
)
def test_the_rules_that_the_kernel_starts_with(line, kernels):
    assert model.is_kernels(rule(line)) is kernels


def test_a_link_knows_its_subnets_and_what_lies_in_them():
    addresses = [
        LinkAddress(4, "10.0.0.1", 8, True, True),
        LinkAddress(4, "10.0.0.2", 8, True, True),
        LinkAddress(6, "2001:db8::1", 64, True, True),
    ]
    link = Link("eth1", 1, True, tuple(addresses))
    assert link.subnets == ("10.0.0.0/8", "2001:db8::/64")
    held = [link.holds(text) for text in ("10.9.9.9", "2001:db8::9", "11.0.0.1", "2001:db9::1")]
    assert held == [True, True, False, False]
    assert not Link("eth1", 1, True, ()).holds("10.0.0.1")


def test_a_state_knows_the_rules_of_both_families():
    rules = {6: (Rule(6, 5, 7),), 4: (Rule(4, 1, 7), Rule(4, 2, 7))}
    assert [one.priority for one in State({}, rules, {}).all_rules] == [1, 2, 5]
