"""A checked pillar and what the host has: defaults, discovery, and what does not fit together."""

from __future__ import annotations

import re

import multihoming_config as config
import multihoming_desired as desired
import multihoming_iproute2 as iproute2
import multihoming_values as values
import pytest
from multihoming_model import Found, Link
from played_host import own as address

PEER = "192.168.9.220 peer 10.9.0.1/24"
REMEDY = re.compile(r"\b(write|remove|add|give|correct|bring it up|keep|narrow|try again)\b")


def link(name, *addresses, up=True):
    found = tuple(address(each) if isinstance(each, str) else each for each in addresses)
    return Link(name, len(name), up, found)


def host(*links):
    return {each.name: each for each in (link("lo"), *links)}


HOST = host(
    link("eth0", "192.168.2.220/24"),
    link("eth1", "192.168.1.220/24"),
    link("eth2", "10.0.0.99/8", "2001:db8::99/64"),
)


def outcome(interfaces, links=HOST, found=None, **top):
    """Return what becomes of interfaces, each of which gets a table."""
    tables = {f"t{number}": number for number in range(1, len(interfaces) + 1)}
    named = {
        name: {"table": table, **entry}
        for (name, entry), table in zip(interfaces.items(), tables, strict=True)
    }
    wanted, errors = config.parse({"tables": tables, "interfaces": named, **top})
    assert errors == []
    return desired.policies(wanted, links, found or {})


def lines(policy):
    """Return a policy as -4/-6 lines."""
    routes = [f"-{r.family} route {' '.join(iproute2.route_words(r))}" for r in policy.routes]
    return routes + [f"-{r.family} rule {' '.join(iproute2.rule_words(r))}" for r in policy.rules]


def policy(name, entry, links=HOST, found=None):
    made = outcome({name: entry}, links, found)
    assert made.errors == ()
    return lines(made.policies[name])


@pytest.mark.parametrize("more", [{}, {"src": "192.168.1.220"}, {"mtu": 1400}, {"metric": 0}])
def test_a_default_route_among_the_routes_takes_the_gateways_place(more):
    entry = {"routes": [{"to": "default", "via": "192.168.1.1", **more}]}
    found = {"eth1": Found(gateways={4: "192.168.1.254"}, defaults={4: "192.168.1.253"})}
    made = [line for line in policy("eth1", entry, found=found) if "default" in line]
    assert len(made) == 1
    assert made[0].startswith("-4 route default via 192.168.1.1 dev eth1")


@pytest.mark.parametrize(
    "more", [{"via": "192.168.1.1", "metric": 9}, {"type": "blackhole", "metric": 9}]
)
def test_a_default_route_for_the_worst_case_stands_beside_the_gateway(more):
    entry = {"routes": [{"to": "default", **more}]}
    found = {"eth1": Found(gateways={4: "192.168.1.254"})}
    made = [line for line in policy("eth1", entry, found=found) if "default" in line]
    assert len(made) == 2
    assert "-4 route default via 192.168.1.254 dev eth1 table 1" in made


def errors(interfaces, links=HOST, found=None):
    made = outcome(interfaces, links, found)
    for message in made.errors:
        assert message.startswith("interfaces.")
        assert message.isprintable()
        assert REMEDY.search(message), message
    return list(made.errors)


def found(addresses=(), gateways=None, defaults=None):
    own = tuple(values.parse_own_address(each) for each in addresses)
    return Found(own, gateways or {}, defaults or {})


# --- defaults and discovery -----------------------------------------------------------------------


def test_the_articles_policy():
    assert policy("eth1", {"gateway": "192.168.1.254"}) == [
        "-4 route 192.168.1.0/24 dev eth1 src 192.168.1.220 table 1",
        "-4 route default via 192.168.1.254 dev eth1 table 1",
        "-4 rule from 192.168.1.220 table 1 priority 20000",
    ]


def test_both_families():
    assert policy("eth2", {"gateway": ["10.0.0.1", "fe80::1"]}) == [
        "-4 route 10.0.0.0/8 dev eth2 src 10.0.0.99 table 1",
        "-6 route 2001:db8::/64 dev eth2 src 2001:db8::99 table 1",
        "-4 route default via 10.0.0.1 dev eth2 table 1",
        "-6 route default via fe80::1 dev eth2 table 1",
        "-4 rule from 10.0.0.99 table 1 priority 20000",
        "-6 rule from 2001:db8::99 table 1 priority 20000",
    ]


def sources(made, family=4):
    return [rule.src for rule in made.rules if rule.family == family and rule.src]


def discovered(live, files=()):
    links = host(link("eth1", *live))
    made = outcome({"eth1": {}}, links, {"eth1": found(files, GATEWAYS)})
    assert made.errors == ()
    return sources(made.policies["eth1"]), sources(made.policies["eth1"], 6)


GATEWAYS = {4: "10.0.0.254", 6: "fe80::1"}


@pytest.mark.parametrize(
    ("live", "files", "expected"),
    [
        (["10.0.0.1/24"], [], (["10.0.0.1"], [])),
        (["10.0.0.1/24", "10.0.0.2/24"], [], (["10.0.0.1", "10.0.0.2"], [])),
        (["10.0.0.1/24", "10.0.0.2/24"], ["10.0.0.2/24"], (["10.0.0.2"], [])),
        (["10.0.0.1/24", "2001:db8::1/64"], ["10.0.0.1/24"], (["10.0.0.1"], ["2001:db8::1"])),
        (["10.0.0.1/24", "2001:db8::1/64"], ["2001:db8::1/64"], (["10.0.0.1"], ["2001:db8::1"])),
        ([address("10.0.0.9/24", permanent=False), "10.0.0.1/24"], [], (["10.0.0.1"], [])),
        (
            [address("2001:db8::9/64", permanent=False), "2001:db8::1/64"],
            [],
            ([], ["2001:db8::1"]),
        ),
    ],
)
def test_addresses_are_those_of_the_files_then_the_live_permanent_ones(live, files, expected):
    assert discovered(live, files) == expected


def test_addresses_of_the_pillar_come_before_all_others():
    links = host(link("eth1", "10.0.0.1/24", "10.0.0.2/24", "2001:db8::1/64"))
    entry = {"addresses": ["10.0.0.2/24"], "gateway": "10.0.0.254"}
    made = outcome({"eth1": entry}, links, {"eth1": found(["10.0.0.1/24"])})
    assert made.errors == ()
    assert sources(made.policies["eth1"]) == ["10.0.0.2"]


@pytest.mark.parametrize(
    ("entry", "files", "live", "via"),
    [
        ({"gateway": "192.168.1.1"}, {4: "192.168.1.2"}, {4: "192.168.1.3"}, "192.168.1.1"),
        ({}, {4: "192.168.1.2"}, {4: "192.168.1.3"}, "192.168.1.2"),
        ({}, {}, {4: "192.168.1.3"}, "192.168.1.3"),
        ({}, {6: "fe80::1"}, {4: "192.168.1.3"}, "192.168.1.3"),
    ],
)
def test_the_gateway_is_the_pillars_then_the_files_then_the_live_one(entry, files, live, via):
    made = outcome({"eth1": entry}, HOST, {"eth1": found((), files, live)})
    assert made.errors == ()
    assert [route.via for route in made.policies["eth1"].routes if route.via] == [via]


def test_two_addresses_in_one_subnet_share_a_route():
    links = host(link("eth1", "10.0.0.1/24", "10.0.0.2/24"))
    assert policy("eth1", {"gateway": "10.0.0.254"}, links) == [
        "-4 route 10.0.0.0/24 dev eth1 src 10.0.0.1 table 1",
        "-4 route default via 10.0.0.254 dev eth1 table 1",
        "-4 rule from 10.0.0.1 table 1 priority 20000",
        "-4 rule from 10.0.0.2 table 1 priority 20000",
    ]


@pytest.mark.parametrize(
    ("own", "gateway"),
    [
        ("10.0.0.1/32", "10.9.9.9"),
        ("10.0.0.1/0", "10.9.9.9"),
        ("2001:db8::1/128", "2001:db8:9::9"),
        ("2001:db8::1/0", "2001:db8:9::9"),
    ],
)
def test_a_single_address_has_no_subnet(own, gateway):
    family = 6 if ":" in own else 4
    source = own.partition("/")[0]
    entry = {"gateway": gateway, "onlink": True}
    assert policy("eth1", entry, host(link("eth1", own))) == [
        f"-{family} route default via {gateway} dev eth1 onlink table 1",
        f"-{family} rule from {source} table 1 priority 20000",
    ]


def test_a_peers_network_is_the_subnet():
    assert policy("eth1", {"gateway": "10.9.0.254"}, host(link("eth1", PEER))) == [
        "-4 route 10.9.0.0/24 dev eth1 src 192.168.9.220 table 1",
        "-4 route default via 10.9.0.254 dev eth1 table 1",
        "-4 rule from 192.168.9.220 table 1 priority 20000",
    ]


def test_a_lone_peer_may_be_the_gateway():
    links = host(link("eth1", "198.18.7.33 peer 100.64.0.1/32"))
    assert policy("eth1", {"gateway": "100.64.0.1"}, links) == [
        "-4 route 100.64.0.1 dev eth1 src 198.18.7.33 table 1",
        "-4 route default via 100.64.0.1 dev eth1 table 1",
        "-4 rule from 198.18.7.33 table 1 priority 20000",
    ]


def test_the_pillars_subnet_counts_whatever_peer_there_is():
    entry = {"gateway": "192.168.9.254", "addresses": ["192.168.9.220/24"]}
    assert policy("eth1", entry, host(link("eth1", PEER)))[0] == (
        "-4 route 192.168.9.0/24 dev eth1 src 192.168.9.220 table 1"
    )


def test_an_address_with_two_peers_has_a_route_to_each_and_one_rule():
    own = ["198.18.7.33 peer 100.64.0.1/32", "198.18.7.33 peer 100.64.0.2/32"]
    for entry in ({}, {"addresses": own}):
        made = policy("eth1", {"gateway": "100.64.0.2", **entry}, host(link("eth1", *own)))
        assert [line.split()[2] for line in made] == ["100.64.0.1", "100.64.0.2", "default", "from"]


def test_a_siblings_lone_peer_is_its_router_and_no_client():
    links = host(
        link("eth1", "10.0.0.1/24"),
        link("eth2", "198.18.7.33 peer 100.64.0.1/32"),
        link("eth3", PEER),
    )
    found = {dev: Found(defaults={4: "100.64.0.1"}) for dev in ("eth2", "eth3")}
    entry = {"gateway": "10.0.0.254", "keep_main_routes": True}
    routes = [line for line in policy("eth1", entry, links, found) if " route " in line]
    assert [line.split()[2] for line in routes] == ["10.0.0.0/24", "default", "10.9.0.0/24"]


@pytest.mark.parametrize(
    ("own", "gateway"), [("10.0.0.0/31", "10.0.0.1"), ("10.0.0.1/31", "10.0.0.0")]
)
def test_point_to_point_networks_have_no_broadcast_address(own, gateway):
    assert errors({"eth1": {"gateway": gateway}}, host(link("eth1", own))) == []


def test_a_link_local_gateway_needs_no_subnet():
    links = host(link("eth1", "2001:db8::1/128"))
    assert errors({"eth1": {"gateway": "fe80::1"}}, links) == []


def test_a_default_route_of_its_own_needs_no_gateway():
    assert policy("eth1", {"routes": [{"to": "default"}]})[1:2] == [
        "-4 route default dev eth1 table 1"
    ]


# --- rules and routes without a family ------------------------------------------------------------


@pytest.mark.parametrize(("name", "families"), [("eth1", ["-4"]), ("eth2", ["-4", "-6"])])
def test_what_names_no_address_is_made_for_each_family_of_the_interface(name, families):
    entry = {
        "gateway": "192.168.1.1" if name == "eth1" else "10.0.0.1",
        "routes": [{"to": "default", "type": "blackhole", "metric": 9}],
        "rules": [{"fwmark": 1, "priority": 5}],
    }
    made = policy(name, entry)
    for what in (" route blackhole ", " rule fwmark 0x1 "):
        assert [each[:2] for each in made if what in each] == families


def test_what_names_an_address_is_made_for_its_family():
    entry = {"gateway": "10.0.0.1", "rules": [{"to": "2001:db8:9::/48"}, {"to": "172.16.0.0/12"}]}
    made = [each for each in policy("eth2", entry) if " rule to " in each]
    assert made == [
        "-6 rule to 2001:db8:9::/48 table 1 priority 20000",
        "-4 rule to 172.16.0.0/12 table 1 priority 20000",
    ]


def test_rules_take_the_interfaces_priority_unless_they_have_one():
    entry = {
        "gateway": "192.168.1.1",
        "priority": 7,
        "rules": [{"fwmark": 1}, {"fwmark": 2, "priority": 9}],
    }
    priorities = [each.split()[-1] for each in policy("eth1", entry) if " rule " in each]
    assert priorities == ["7", "7", "9"]


def test_legs_without_an_interface_leave_by_this_one():
    entry = {
        "routes": [
            {
                "to": "default",
                "nexthops": [{"via": "192.168.1.1"}, {"via": "10.0.0.1", "dev": "eth2"}],
            }
        ]
    }
    assert (
        "-4 route default table 1 nexthop via 192.168.1.1 dev eth1 nexthop via 10.0.0.1 dev eth2"
        in policy("eth1", entry)
    )


def test_routes_without_a_gateway_come_first():
    entry = {
        "gateway": "172.16.0.1",
        "routes": [{"to": "10.9.0.0/16", "via": "172.16.0.9"}, {"to": "172.16.0.0/12"}],
        "onlink": True,
    }
    made = [" via " in each for each in policy("eth1", entry) if " route " in each]
    assert made == sorted(made)


# --- errors of one interface ----------------------------------------------------------------------

GOOD = {"gateway": "192.168.1.254"}
BAD = [
    (
        "missing",
        {"eth9": GOOD},
        HOST,
        "interfaces.eth9: ",
        ["not on this host", "eth0, eth1, eth2", "`optional: true`"],
    ),
    ("missing from a host without any", {"eth9": GOOD}, host(), "interfaces.eth9: ", ["none"]),
    (
        "down",
        {"eth1": GOOD},
        host(link("eth1", "192.168.1.220/24", up=False)),
        "interfaces.eth1: ",
        ["is down", "ip link set eth1 up", "`optional: true`"],
    ),
    (
        "no address",
        {"eth1": GOOD},
        host(link("eth1")),
        "interfaces.eth1: ",
        ["no address", "`addresses: [ADDRESS/LENGTH]`"],
    ),
    (
        "dynamic address only",
        {"eth1": GOOD},
        host(link("eth1", address("192.168.1.9/24", permanent=False))),
        "interfaces.eth1: ",
        ["that stays", "`addresses: [ADDRESS/LENGTH]`", "`addresses: all`"],
    ),
    (
        "address of the pillar not there",
        {"eth1": {**GOOD, "addresses": ["192.168.1.9/24"]}},
        HOST,
        "interfaces.eth1.addresses: ",
        ["192.168.1.9", "192.168.1.220/24"],
    ),
    (
        "address of another interface",
        {"eth1": {"gateway": "10.0.0.1", "addresses": ["10.0.0.99/8"]}},
        HOST,
        "interfaces.eth1.addresses: ",
        ["10.0.0.99"],
    ),
    (
        "address still being checked",
        {"eth1": {"gateway": "fe80::1"}},
        host(link("eth1", address("2001:db8::1/64", usable=False))),
        "interfaces.eth1.addresses: ",
        ["duplicates", "try again"],
    ),
    (
        "no gateway to be found",
        {"eth1": {}},
        HOST,
        "interfaces.eth1.gateway: ",
        ["not given", "`gateway: ADDRESS`"],
    ),
    (
        "gateway outside of the peer's network",
        {"eth1": {"gateway": "192.168.9.254"}},
        host(link("eth1", PEER)),
        "interfaces.eth1.gateway: ",
        ["subnets (10.9.0.0/24)", "`onlink: true`"],
    ),
    (
        "gateway the broadcast address of the peer's network",
        {"eth1": {"gateway": "10.9.0.255"}},
        host(link("eth1", PEER)),
        "interfaces.eth1.gateway: ",
        ["broadcast address of 10.9.0.0/24"],
    ),
    (
        "address with a peer not there",
        {"eth1": {"gateway": "10.9.0.1", "addresses": ["192.168.9.9 peer 10.9.0.1/24"]}},
        host(link("eth1", PEER)),
        "interfaces.eth1.addresses: ",
        ["192.168.9.9", f"(there: {PEER})"],
    ),
    (
        "gateway outside",
        {"eth1": {"gateway": "10.0.0.1"}},
        HOST,
        "interfaces.eth1.gateway: ",
        ["10.0.0.1", "192.168.1.0/24", "`onlink: true`"],
    ),
    (
        "gateway of IPv6 outside",
        {"eth2": {"gateway": ["10.0.0.1", "2001:db8:1::1"]}},
        HOST,
        "interfaces.eth2.gateway: ",
        ["2001:db8:1::1", "2001:db8::/64"],
    ),
    (
        "gateway the own address",
        {"eth1": {"gateway": "192.168.1.220"}},
        HOST,
        "interfaces.eth1.gateway: ",
        ["192.168.1.220", "own address", "router"],
    ),
    (
        "gateway another own address",
        {"eth1": {"addresses": ["192.168.1.220/24"], "gateway": "192.168.1.221"}},
        host(link("eth1", "192.168.1.220/24", "192.168.1.221/24")),
        "interfaces.eth1.gateway: ",
        ["192.168.1.221", "own address"],
    ),
    (
        "gateway the own IPv6 address",
        {"eth2": {"gateway": "2001:db8::99"}},
        HOST,
        "interfaces.eth2.gateway: ",
        ["own address"],
    ),
    (
        "gateway of the wrong family",
        {"eth1": {"gateway": "2001:db8::1"}},
        HOST,
        "interfaces.eth1.gateway: ",
        ["2001:db8::1", "IPv6", "`addresses`"],
    ),
    (
        "gateway the network",
        {"eth1": {"gateway": "192.168.1.0"}},
        HOST,
        "interfaces.eth1.gateway: ",
        ["192.168.1.0", "network or broadcast", "router"],
    ),
    (
        "gateway the broadcast address",
        {"eth1": {"gateway": "192.168.1.255"}},
        HOST,
        "interfaces.eth1.gateway: ",
        ["192.168.1.255", "network or broadcast"],
    ),
    (
        "via outside",
        {"eth1": {**GOOD, "routes": [{"to": "10.9.0.0/16", "via": "10.0.0.1"}]}},
        HOST,
        "interfaces.eth1.routes[0]: ",
        ["10.0.0.1", "eth1", "`onlink: true`"],
    ),
    (
        "via the own address",
        {"eth1": {**GOOD, "routes": [{"to": "10.9.0.0/16", "via": "192.168.1.220"}]}},
        HOST,
        "interfaces.eth1.routes[0]: ",
        ["own address", "router"],
    ),
    (
        "leg outside",
        {
            "eth1": {
                **GOOD,
                "routes": [
                    {"to": "10.9.0.0/16", "nexthops": [{"via": "192.168.1.1"}, {"via": "10.0.0.1"}]}
                ],
            }
        },
        HOST,
        "interfaces.eth1.routes[0]: ",
        ["10.0.0.1"],
    ),
    (
        "leg outside of its interface",
        {
            "eth1": {
                **GOOD,
                "routes": [
                    {
                        "to": "10.9.0.0/16",
                        "nexthops": [{"via": "192.168.1.1"}, {"via": "172.16.0.1", "dev": "eth2"}],
                    }
                ],
            }
        },
        HOST,
        "interfaces.eth1.routes[0]: ",
        ["172.16.0.1", "eth2"],
    ),
    (
        "src not on the host",
        {"eth1": {**GOOD, "routes": [{"to": "10.9.0.0/16", "src": "192.168.1.9"}]}},
        HOST,
        "interfaces.eth1.routes[0].src: ",
        ["192.168.1.9", "this host"],
    ),
    (
        "default route twice",
        {"eth1": {**GOOD, "routes": [{"to": "default"}]}},
        HOST,
        "interfaces.eth1.routes: ",
        ["default", "twice", "metric"],
    ),
    (
        "subnet twice",
        {"eth1": {**GOOD, "routes": [{"to": "192.168.1.0/24"}]}},
        HOST,
        "interfaces.eth1.routes: ",
        ["192.168.1.0/24", "twice"],
    ),
    (
        "from-rule twice",
        {"eth1": {**GOOD, "rules": [{"from": "192.168.1.220"}]}},
        HOST,
        "interfaces.eth1.rules: ",
        ["from 192.168.1.220", "twice"],
    ),
    (
        "order of rules undefined",
        {
            "eth1": {
                **GOOD,
                "rules": [
                    {"fwmark": 1, "priority": 9},
                    {"fwmark": 1, "action": "blackhole", "priority": 9},
                ],
            }
        },
        HOST,
        "interfaces.eth1.rules: ",
        ["same priority", "priority of its own"],
    ),
]


@pytest.mark.parametrize(
    ("interfaces", "links", "start", "words"), [pytest.param(*case[1:], id=case[0]) for case in BAD]
)
def test_what_does_not_fit_the_host_is_named_with_its_remedy(interfaces, links, start, words):
    messages = errors(interfaces, links)
    (message,) = [each for each in messages if each.startswith(start)] or [str(messages)]
    assert message.startswith(start)
    assert [word for word in words if word not in message] == [], message


@pytest.mark.parametrize("extra", ["192.168.1.9/24", "172.16.0.1/32"])
def test_an_address_that_no_route_starts_from_may_come_later(extra):
    entry = {**GOOD, "addresses": ["192.168.1.220/24", extra]}
    assert policy("eth1", entry)[-1].startswith(f"-4 rule from {extra[:-3]} ")


def test_a_leg_by_an_interface_that_is_not_there():
    legs = [{"via": "192.168.1.1"}, {"via": "10.0.0.1", "dev": "eth7"}]
    messages = errors({"eth1": {**GOOD, "routes": [{"to": "10.9.0.0/16", "nexthops": legs}]}})
    assert len(messages) == 1
    assert messages[0].startswith("interfaces.eth1.routes[0].nexthops")
    assert "eth7 is not on this host" in messages[0]


GOOD_VIAS = [
    {"to": "10.9.0.0/16", "via": "10.0.0.1", "onlink": True},
    {"to": "10.9.0.0/16", "via": "192.168.1.7"},
    {"to": "2001:db8:9::/48", "via": "fe80::7"},
    {"to": "10.9.0.0/16", "src": "192.168.2.220"},
    {"to": "10.9.0.0/16", "nexthops": [{"via": "192.168.1.1"}, {"via": "10.0.0.1", "dev": "eth2"}]},
]


@pytest.mark.parametrize("route", GOOD_VIAS, ids=str)
def test_next_hops_that_are_reached(route):
    assert errors({"eth1": {**GOOD, "routes": [route]}}) == []


def test_a_next_hop_may_lie_in_a_route_of_the_table():
    routes = [{"to": "10.9.0.0/16", "via": "172.16.0.1"}, {"to": "172.16.0.0/12"}]
    assert errors({"eth1": {**GOOD, "routes": routes}}) == []


def test_next_hops_and_gateways_may_lie_in_any_subnet_of_the_interface():
    links = host(link("eth1", "192.168.1.220/24", "198.51.100.7/32"))
    routes = [{"to": "10.9.0.0/16", "via": "192.168.1.9"}]
    entry = {"addresses": ["198.51.100.7/32"], "gateway": "192.168.1.254", "routes": routes}
    assert policy("eth1", entry, links)[:2] == [
        "-4 route default via 192.168.1.254 dev eth1 table 1",
        "-4 route 10.9.0.0/16 via 192.168.1.9 dev eth1 table 1",
    ]
    named = outcome({"eth1": {**entry, "gateway": "203.0.113.1"}}, links).errors[0]
    assert "subnets (198.51.100.7, 192.168.1.0/24)" in named


def test_all_errors_come_together():
    messages = errors(
        {"eth9": GOOD, "eth1": {"gateway": "10.0.0.1", "addresses": ["192.168.1.9/24"]}, "eth2": {}}
    )
    assert sorted({message.split(": ")[0] for message in messages}) == [
        "interfaces.eth1.addresses",
        "interfaces.eth1.gateway",
        "interfaces.eth2.gateway",
        "interfaces.eth9",
    ]


# --- optional interfaces --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("links", "why"),
    [(HOST, "is not on this host"), (host(link("eth9", "10.0.0.1/8", up=False)), "is down")],
)
def test_an_optional_interface_is_skipped_and_said_so(links, why):
    made = outcome({"eth9": {**GOOD, "optional": True}}, links)
    assert (made.policies, made.skipped, made.errors) == ({}, {"eth9": why}, ())


def test_an_optional_interface_that_is_there_is_checked_like_any_other():
    assert errors({"eth1": {"gateway": "10.0.0.1", "optional": True}})


# --- two interfaces -------------------------------------------------------------------------------

TWO = {"eth1": {"gateway": "192.168.1.1"}, "eth2": {"gateway": "10.0.0.1"}}


def two(eth1=(), eth2=(), links=HOST):
    return errors(
        {
            "eth1": {**TWO["eth1"], "rules": list(eth1)},
            "eth2": {**TWO["eth2"], "rules": list(eth2)},
        },
        links,
    )


OVERLAPS = [
    ([{"from": "10.0.0.99"}], []),
    ([{"from": "10.0.0.0/8"}], []),
    ([{"from": "172.16.0.0/12"}], [{"from": "172.16.5.0/24"}]),
    ([{"fwmark": 1}], [{"fwmark": 1}]),
    ([{"from": "all"}], []),
]


@pytest.mark.parametrize(("one", "other"), OVERLAPS)
def test_rules_of_two_interfaces_that_overlap_are_an_error(one, other):
    messages = two(one, other)
    assert messages
    assert all("eth1" in each and "eth2" in each for each in messages)
    assert any("priorit" in each for each in messages)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([{"fwmark": 1}], [{"fwmark": 2, "priority": 9}]),
        ([{"from": "172.16.0.0/16", "priority": 9}], [{"from": "172.17.0.0/16", "priority": 9}]),
        ([{"fwmark": 1, "priority": 8}], [{"fwmark": 1, "priority": 9}]),
        ([{"dport": 80, "priority": 9}], [{"dport": 81, "priority": 9}]),
        # A packet may well match both; whether any does is for the administrator to know.
        ([{"from": "172.16.0.0/12", "priority": 9}], [{"dport": 80, "priority": 9}]),
        ([{"to": "10.0.0.0/8", "priority": 9}], [{"to": "2001:db8::/32", "priority": 9}]),
    ],
)
def test_rules_of_two_interfaces_that_are_apart_are_good(one, other):
    one = [{"priority": 9, **rule} for rule in one]
    assert two(one, other) == []


def test_one_address_on_two_interfaces_is_an_error():
    links = host(link("eth1", "192.168.1.220/24"), link("eth2", "192.168.1.220/24", "10.0.0.99/8"))
    messages = two(links=links)
    assert any("192.168.1.220" in each for each in messages)


def test_one_subnet_on_two_interfaces_is_good():
    links = host(link("eth1", "192.168.1.220/24"), link("eth2", "192.168.1.221/24"))
    entries = {"eth1": {"gateway": "192.168.1.1"}, "eth2": {"gateway": "192.168.1.1"}}
    assert errors(entries, links) == []


def test_a_broad_rule_before_the_from_rules_of_another_is_an_error():
    messages = two([{"from": "10.0.0.0/8", "priority": 100}])
    assert len(messages) == 1
    assert "10.0.0.99" in messages[0]
    assert "eth2" in messages[0]
