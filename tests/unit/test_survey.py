"""Short questions about a host."""

from __future__ import annotations

import multihoming_survey as survey_
import pytest
from multihoming_reply_path import FAR
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


def parts(family, lines):
    """Return the clients far away of a host with such routes and rules, by part of the internet."""
    rules = [rule(line.removeprefix("rule ")) for line in lines if line.startswith("rule ")]
    routes = [route(line) for line in lines if not line.startswith("rule ")]
    tables = {7: routes[:1], 254: routes[1:]}
    return survey_.far_clients(family, tables, [each for each in rules if each.family == family])


def first(family, lines):
    ((client, *_),) = parts(family, lines)
    return client


DOCUMENTATION = ("198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24")


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([], "198.51.100.1"),
        (["default dev eth0"], "198.51.100.1"),
        (["198.51.0.0/16 dev eth0"], "203.0.113.1"),
        (["198.51.100.1 dev eth0", "unreachable 203.0.113.0/24"], "192.0.2.1"),
        (["192.0.0.0/8 dev eth0", "198.51.100.0/25 dev eth0"], "203.0.113.1"),
        (["2001::/16 dev eth0"], "198.51.100.1"),
        (["local 198.51.100.1 dev lo"], "203.0.113.1"),
        (["blackhole 198.0.0.0/8"], "203.0.113.1"),
        ([f"blackhole {prefix}" for prefix in DOCUMENTATION], "45.67.89.10"),
        ([f"rule to {prefix} prohibit priority 5" for prefix in DOCUMENTATION], "45.67.89.10"),
        ([f"rule from {prefix} blackhole priority 5" for prefix in DOCUMENTATION], "45.67.89.10"),
        (["rule to 198.51.100.1 table 9 priority 5"], "203.0.113.1"),
        (["rule from 192.168.1.220 to 198.51.100.0/24 table 9 priority 5"], "203.0.113.1"),
        (["rule not to 198.51.100.0/24 table 9 priority 5"], "203.0.113.1"),
        (["rule from 192.168.1.220 table 9 priority 5"], "198.51.100.1"),
        (["rule from all prohibit priority 5"], "198.51.100.1"),
        (["rule to 2001:db8::/32 prohibit priority 5"], "198.51.100.1"),
    ],
)
def test_a_far_client_is_none_of_a_prefix_that_something_is_said_of(lines, client):
    assert first(4, lines) == client


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["198.51.100.0/24 dev eth0"], "2001:db8:ffff:ffff::1"),
        (["2001:db8::/32 dev eth0"], "2605:1234:5678::1"),
        (["2001::/16 dev eth0", "2600::/12 dev eth0"], "2a03:1234:5678::1"),
        (["rule to 2001:db8::/32 prohibit priority 5"], "2605:1234:5678::1"),
        (["unreachable 4000::/2", "unreachable fc00::/7"], "2001:db8:ffff:ffff::1"),
        (["2000::/3 via fe80::1 dev eth0"], "2001:db8:ffff:ffff::1"),
    ],
)
def test_a_far_client_of_ipv6(lines, client):
    assert first(6, lines) == client


@pytest.mark.parametrize(
    ("lines", "clients"),
    [
        (["0.0.0.0/1 dev tun0", "128.0.0.0/1 dev tun0"], ["198.51.100.1", "45.67.89.10"]),
        (["rule to 0.0.0.0/1 prohibit priority 5"], ["198.51.100.1", "45.67.89.10"]),
        (["rule to 0.0.0.0/8 prohibit priority 5"], ["198.51.100.1"]),
        (
            ["0.0.0.0/1 dev tun0", "rule to 192.0.0.0/3 table 9 priority 5", "64.0.0.0/2 dev tun0"],
            ["198.51.100.1", "45.67.89.10", "178.90.123.45", "78.90.12.34"],
        ),
        (
            ["0.0.0.0/1 dev tun0", *(f"blackhole {prefix}" for prefix in DOCUMENTATION)],
            ["45.67.89.10", "178.90.123.45"],
        ),
    ],
)
def test_large_prefixes_part_the_internet_and_each_part_has_its_client(lines, clients):
    assert [part[0] for part in parts(4, lines)] == clients


def test_the_clients_of_a_part_are_all_that_nothing_is_said_of():
    (clients,) = parts(4, [])
    assert clients == list(FAR[4])
    (clients,) = parts(6, ["2001::/16 dev eth0"])
    assert clients == list(FAR[6][1:])


def test_where_something_is_said_of_all_the_broadest_counts():
    lines = [f"{number}.0.0.0/8 dev eth0" for number in range(1, 224)]
    assert first(4, lines) == "198.51.100.1"
    lines += ["198.51.0.0/16 dev eth1", "203.0.113.1 dev eth1"]
    assert first(4, lines) == "192.0.2.1"


def test_lines_that_are_lost_are_not_loaded():
    lines = "ADDRESS0=10.8.0.0\nNETMASK0=255.255.0.0\nADDRESS2=10.7.0.0\n"
    host = survey({"files": {"route-eth1": lines, "rule-eth1": "from 10.0.0.1 table 7\n"}})
    assert [line.raw for line in host.loaded] == ["10.8.0.0/16 dev eth1", "from 10.0.0.1 table 7"]
