"""What the kernel's answers come to, as far as it needs no kernel."""

import multihoming_reply_path as reply_path
import pytest
from multihoming_model import Answer, Link, LinkAddress, Route, Rule

FLOW = reply_path.Flow(4, "192.168.1.220", "203.0.113.10")
LOCAL = Rule(4, 0, 255)
MAIN = Rule(4, 32766, 254)
FAR = Route(4, 254, "default", via="192.168.2.254", dev="eth0")


def link(name, *addresses, kind="", flags=("UP", "LOWER_UP")):
    own = tuple(
        LinkAddress(4, address.partition("/")[0], int(address.partition("/")[2]), True, True)
        for address in addresses
    )
    return Link(name, 1, "UP" in flags, own, frozenset(flags), kind)


LINKS = {
    "lo": link("lo", "10.99.0.1/32", flags=("UP", "LOWER_UP", "LOOPBACK")),
    "vip": link("vip", "192.168.1.230/32", kind="dummy"),
    "eth0": link("eth0", "192.168.2.220/24"),
    "eth1": link("eth1", "192.168.1.220/24"),
}


def priorities(rules):
    return [rule.priority for rule in reply_path.matching(rules, FLOW)]


@pytest.mark.parametrize(
    ("selectors", "matches"),
    [
        ({}, True),
        ({"src": "192.168.1.220"}, True),
        ({"src": "192.168.1.0/24", "to": "203.0.113.0/24"}, True),
        ({"src": "192.168.1.221"}, False),
        ({"to": "10.0.0.0/8"}, False),
        ({"iif": "lo"}, True),
        ({"iif": "eth1"}, False),
        ({"oif": "eth1"}, False),
        ({"fwmark": "0x1"}, False),
        ({"fwmark": "0/0xff"}, True),
        ({"tos": 16}, False),
        ({"ipproto": 6}, False),
        ({"dport": "53"}, False),
        ({"uidrange": "0-1000"}, True),
        ({"uidrange": "1-1000"}, False),
        ({"other": (("l3mdev", ""),)}, False),
        ({"other": (("realms", "3"),)}, True),
    ],
)
def test_a_rule_matches_as_for_a_packet_without_mark_and_port(selectors, matches):
    rule = Rule(4, 10, 99, **selectors)
    assert priorities([rule]) == ([10] if matches else [])
    assert priorities([rule._replace(invert=True)]) == ([] if matches else [10])


def test_a_goto_leads_past_the_rules_between():
    rules = [Rule(4, 1, action="goto 5"), Rule(4, 2, 99), Rule(4, 5, action="nop"), MAIN]
    assert priorities(rules) == [32766]


def test_a_goto_without_target_is_passed_over():
    assert priorities([Rule(4, 1, action="goto 5"), Rule(4, 2, 99), MAIN]) == [2, 32766]


def test_a_suppressed_prefix_length_leads_on():
    specific = MAIN._replace(priority=9, suppress_prefixlength=0)
    assert reply_path.deciding([LOCAL, specific, MAIN], FLOW, FAR) == MAIN
    route = FAR._replace(to="203.0.113.0/24")
    assert reply_path.deciding([LOCAL, specific, MAIN], FLOW, route) == specific


def test_the_longest_refusing_route_counts_unless_it_is_a_throw():
    wide = Route(4, 254, "203.0.0.0/8", type="unreachable")
    narrow = wide._replace(to="203.0.113.0/24", type="prohibit")
    assert reply_path.refusal([MAIN], FLOW, [wide, narrow]) == (MAIN, narrow)
    throw = narrow._replace(type="throw")
    assert reply_path.refusal([MAIN], FLOW, [wide, throw]) == (None, None)


@pytest.mark.parametrize(
    ("address", "dev"),
    [("192.168.1.220", "eth1"), ("192.168.1.230", "eth1"), ("10.99.0.1", None)],
)
def test_where_the_network_delivers_an_address(address, dev):
    assert reply_path.entrance(FLOW._replace(address=address), LINKS) == dev


def test_a_gateway_of_the_other_family_is_told():
    route = FAR._replace(via=None, other=(("via", "inet6 fe80::1"),))
    assert reply_path.gateway(route) == "fe80::1"


def test_a_client_behind_an_interface_without_gateway_comes_in_there():
    links = {**LINKS, "docker0": link("docker0", "172.17.0.1/16")}
    flow = FLOW._replace(client="172.17.0.2")
    near = reply_path.neighbour(flow, links, Answer(Route(4, 254, "172.17.0.0/16", dev="docker0")))
    assert near == "docker0"
    assert reply_path.arrival(flow, links, near, near_has_gateway=False) == "docker0"
    assert reply_path.arrival(flow, links, near, near_has_gateway=True) == "eth1"
