"""Short questions about a host."""

from __future__ import annotations

import multihoming_survey as survey_
import pytest
from surveys import link, route, rule, survey


@pytest.mark.parametrize(
    ("name", "said", "usable"),
    [
        ("eth1", {}, True),
        ("eth1", {"kind": "bridge"}, True),
        ("vip", {"kind": "dummy"}, True),
        ("eth1", {"up": False}, False),
        ("eth1", {"up": False, "carrier": True}, False),
        ("eth1", {"carrier": False}, False),
        ("lo", {}, False),
    ],
)
def test_packets_pass_an_interface_that_is_up_has_a_carrier_and_is_not_lo(name, said, usable):
    assert survey_.is_usable(link(name, said)) is usable


def test_addresses_of_a_family_can_be_used_once_their_detection_is_over():
    own = ["192.168.1.220/24", "2001:db8::1/64", "192.168.1.221/24", "2001:db8::2/64"]
    eth1 = link("eth1", {"addresses": own, "tentative": ["192.168.1.220/24", "2001:db8::2/64"]})
    assert survey_.addresses(eth1, 4) == ["192.168.1.221"]
    assert survey_.addresses(eth1, 6) == ["2001:db8::1"]


@pytest.mark.parametrize(
    ("line", "leads"),
    [
        ("from 192.168.1.220 table 7", True),
        ("from 192.168.1.0/24 table 7", True),
        ("from 192.168.1.221 table 7", False),
        ("from 192.168.2.0/24 table 7", False),
        ("not from 192.168.1.221 table 7", False),
        ("not from 192.168.1.220 table 7", False),
        ("from all table 7", False),
        ("to 192.168.1.220 table 7", False),
        ("from 192.168.1.220 table main", False),
        ("from 192.168.1.220 table default", False),
        ("from 192.168.1.220 table local", False),
        ("from 192.168.1.220 prohibit", False),
        ("from 2001:db8::/32 table 7", False),
    ],
)
def test_a_rule_leads_from_an_address_to_a_table_that_is_not_the_kernels(line, leads):
    assert survey_.ruled([rule("from 10.0.0.1 table 7"), rule(line)])("192.168.1.220") is leads


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([], "198.51.100.1"),
        (["default dev eth0"], "198.51.100.1"),
        (["198.51.0.0/16 dev eth0"], "203.0.113.1"),
        (["198.51.100.1 dev eth0", "unreachable 203.0.113.0/24"], "192.0.2.1"),
        (["128.0.0.0/1 dev eth0"], "240.0.0.1"),
        (["2001::/16 dev eth0"], "198.51.100.1"),
        (["local 198.51.100.1 dev lo"], "198.51.100.1"),
    ],
)
def test_a_far_client_is_one_that_only_default_routes_lead_to(lines, client):
    routes = {7: [route(line) for line in lines[:1]], 254: [route(line) for line in lines[1:]]}
    assert survey_.far_client(4, routes) == client


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["198.51.100.0/24 dev eth0"], "2001:db8:ffff:ffff::1"),
        (["2001:db8::/32 dev eth0"], "4000::1"),
        (["2001:db8::/32 dev eth0", "4000::/3 dev eth0"], "4000::1"),
    ],
)
def test_a_far_client_of_ipv6(lines, client):
    assert survey_.far_client(6, {254: [route(line) for line in lines]}) == client


def test_lines_that_are_lost_are_not_loaded():
    lines = "ADDRESS0=10.8.0.0\nNETMASK0=255.255.0.0\nADDRESS2=10.7.0.0\n"
    host = survey({"files": {"route-eth1": lines, "rule-eth1": "from 10.0.0.1 table 7\n"}})
    assert [line.raw for line in host.loaded] == ["10.8.0.0/16 dev eth1", "from 10.0.0.1 table 7"]
