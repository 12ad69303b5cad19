"""Which default route main should have: what tells one from another, and what goes along."""

from __future__ import annotations

from collections import namedtuple

import multihoming_attributes as attributes
import multihoming_default_gateway as default_gateway
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multihoming_model import Nexthop, Route, default_route

ETH0 = default_route(4, "192.168.2.254", "eth0")
ETH1 = default_route(4, "192.168.1.254", "eth1")
# eth0's file makes a default route too; eth1 is to be main's.
CHOSEN = default_gateway.Chosen("eth1", {4: "192.168.1.254"}, scripted=(ETH0, ETH1))
BEHIND = {"metric": 9}

# What else a default route can say, by field.
OTHERWISE = {
    "family": 6,
    "table": 9,
    "to": "10.0.0.0/8",
    "type": "blackhole",
    "via": "192.168.2.1",
    "dev": "eth2",
    "src": "192.168.2.220",
    "metric": 5,
    "scope": 253,
    "mtu": 1400,
    "onlink": True,
    "nexthops": (Nexthop("192.168.2.1", "eth0"), Nexthop("192.168.2.2", "eth0")),
    "protocol": 4,
    "other": (("advmss", "1400"),),
}
USED = {"src", "mtu", "other"}


def is_gone(route, **more):
    """Tell whether a route goes because the files made it for another interface."""
    standing = ETH1._replace(**BEHIND)
    chosen = CHOSEN._replace(scripted=(ETH0._replace(**more), ETH1))
    gone, _ = default_gateway.switch([standing, route], chosen)
    return route in gone


def test_there_is_another_value_of_every_field():
    assert set(OTHERWISE) == {*Route._fields}


def test_what_the_files_made_for_another_interface_goes():
    route = ETH0._replace(metric=10)
    assert is_gone(route, metric=10)
    assert not is_gone(route)


@pytest.mark.parametrize("name", OTHERWISE)
def test_how_a_route_is_used_makes_it_no_other(name):
    made = default_gateway._is_scripted(ETH0._replace(**{name: OTHERWISE[name]}), CHOSEN)
    assert made == (name in USED)


@given(
    st.lists(
        st.sampled_from([e.word for e in attributes.ROUTE if not e.field and not e.tells])
        | st.just("newer"),
        unique=True,
    )
)
def test_attributes_without_a_field_make_it_no_other(words):
    route = ETH0._replace(other=tuple((word, "7") for word in sorted(words)))
    assert default_gateway._is_scripted(route, CHOSEN)


def test_a_new_field_makes_it_no_other():
    class Newer(namedtuple("Newer", [*Route._fields, "ttl"])):
        key = Route.key

    route = Newer(*ETH0, ttl=64)
    assert default_gateway._is_scripted(route, CHOSEN)
    assert not default_gateway._is_scripted(route._replace(metric=5), CHOSEN)


@pytest.mark.parametrize("other", [(("tos", "0x10"),), (("from", "2001:db8:5::/48"),)])
def test_a_route_for_some_packets_is_no_default_of_the_host(other):
    route = ETH0._replace(metric=10, other=other)
    assert not is_gone(route, metric=10)
    assert not default_gateway._is_scripted(ETH0._replace(other=other), CHOSEN)


# --- in the place of the one that wins ------------------------------------------------------------


def put_in_place_of(winner):
    _, (new,) = default_gateway.switch([winner], CHOSEN._replace(scripted=()))
    return new


def test_how_the_route_that_wins_is_used_goes_along():
    winner = ETH0._replace(metric=5, mtu=1400, other=(("advmss", "1000"), ("realms", "5")))
    assert put_in_place_of(winner) == winner._replace(via=ETH1.via, dev="eth1")


def test_what_is_its_next_hop_or_only_its_own_stays_behind():
    other = (("congctl", "reno"), ("encap", "1"), ("features", "ecn"), ("nhid", "7"))
    winner = ETH0._replace(src="192.168.2.220", scope=200, onlink=True, other=other)
    assert put_in_place_of(winner) == ETH1._replace(other=(("congctl", "reno"),))


def test_several_next_hops_give_way_to_one():
    winner = ETH0._replace(via=None, dev=None, mtu=1400, nexthops=OTHERWISE["nexthops"])
    assert put_in_place_of(winner) == ETH1._replace(mtu=1400)


def test_another_family_s_router_stays_behind():
    winner = ETH0._replace(via=None, other=(("via", "inet6 fe80::1"),))
    assert put_in_place_of(winner) == ETH1
