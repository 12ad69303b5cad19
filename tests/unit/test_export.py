"""What a host holds, as a pillar: the shortest that says just that, and what no pillar can say."""

from __future__ import annotations

import multihoming_config as config
import multihoming_desired as desired
import multihoming_export as export
import multihoming_iproute2 as iproute2
import multihoming_numbers as numbers
import multihoming_rt_tables as rt_tables
import multihoming_values as values
import pytest
from multihoming_export import Seen
from multihoming_model import Found, Link, Rule
from played_host import changed, own

NAMES = {"gateway1": 201, "gateway2": 202}
DEFAULT = "route default via 192.168.1.254 dev eth1 table 201"
SUBNET = "route 192.168.1.0/24 dev eth1 src 192.168.1.220 table 201"
RULE = "rule from 192.168.1.220 table 201 priority 20000"
ETH1 = (SUBNET, DEFAULT, RULE)
ETH1_6 = (
    "route 2001:db8:1::/64 dev eth1 src 2001:db8:1::220 table 201",
    "route default via 2001:db8:1::254 dev eth1 table 201",
    "rule from 2001:db8:1::220 table 201 priority 20000",
)
ETH2 = (
    "route 10.0.0.0/8 dev eth2 src 10.0.0.99 table 202",
    "route default via 10.0.0.1 dev eth2 table 202",
    "rule from 10.0.0.99 table 202 priority 20000",
)
PLAIN = {"table": "gateway1", "gateway": "192.168.1.254"}
V4 = {"addresses": ["192.168.1.220/24"]}


def link(name, *addresses, up=True, permanent=True):
    found = (own(text, permanent) for text in addresses)
    return Link(name, 1, up, tuple(found))


def links(*eth1, **kwargs):
    eth1 = eth1 or ("192.168.1.220/24",)
    there = (link("lo"), link("eth1", *eth1, **kwargs), link("eth2", "10.0.0.99/8"))
    return {each.name: each for each in there}


BOTH = links("192.168.1.220/24", "2001:db8:1::220/64")


def tables(text):
    return rt_tables.parse({rt_tables.ETC: text}, False)


def seen(*lines, there=None, names=NAMES, **kwargs):
    """Return a host with such lines of `ip`; the family is that of the first address."""
    routes, rules = {}, {4: [], 6: []}
    for family in (4, 6):
        rules[family].append(Rule(family, 0, 255, protocol=2))
    for line in lines:
        kind, *words = line.split()
        family = 6 if ":" in line or "-6" in words else 4
        words = [word for word in words if word != "-6"]
        if kind == "rule":
            rules[family].append(iproute2.rule_from_words(words, family, {}))
        else:
            route = iproute2.route_from_words(words, family, {})
            routes.setdefault(route.table, []).append(route)
    text = "".join(f"{id_} {name}\n" for name, id_ in names.items())
    return Seen(there or links(), rules, routes, tables(text), **kwargs)


def entry(*lines, **kwargs):
    """Return what stands under eth1; nothing is left out, and it comes to what is there."""
    host = seen(*lines, **kwargs)
    found = export.export(host)
    assert found.left_out == ()
    assert list(found.pillar["interfaces"]) == ["eth1"]
    assert_comes_to(host, found.pillar)
    return found.pillar["interfaces"]["eth1"]


def assert_comes_to(host, pillar):
    wanted, errors = config.parse(pillar)
    assert errors == []
    outcome = desired.policies(wanted, host.links, host.found)
    assert outcome.errors == ()
    for policy in outcome.policies.values():
        id_ = policy.table.id
        held = [r for rules in host.rules.values() for r in rules if r.table in (id_, numbers.MAIN)]
        assert sorted(map(repr, policy.routes)) == sorted(map(repr, host.routes[id_]))
        assert sorted(map(repr, policy.rules)) == sorted(map(repr, held))


def left_out(*lines, **kwargs):
    """Return the reasons; nothing is exported."""
    found = export.export(seen(*lines, **kwargs))
    assert found.pillar == {"tables": {}, "interfaces": {}}
    return "\n".join(found.left_out)


def test_tables_in_use_are_those_that_rules_lead_to_without_the_kernels():
    host = seen(
        RULE,
        "rule from 2001:db8::1 table 7 priority 5",
        "rule from 10.0.0.1 table 254 priority 5",
        "rule from 10.0.0.1 prohibit priority 6",
    )
    assert export.tables_in_use(host.rules) == {7, 201}


# --- what is short ----------------------------------------------------------------------------


def test_a_usual_table():
    assert entry(*ETH1) == PLAIN


def test_a_table_that_nothing_is_in_and_nothing_leads_to_is_none():
    host = seen(*ETH1)
    host = changed(host, routes={**host.routes, 202: ()})
    found = export.export(host)
    assert found.left_out == ()
    assert found.pillar == {"tables": {"gateway1": 201}, "interfaces": {"eth1": PLAIN}}


def test_both_families():
    gateways = ["192.168.1.254", "2001:db8:1::254"]
    assert entry(*ETH1, *ETH1_6, there=BOTH) == {"table": "gateway1", "gateway": gateways}


def test_one_family_of_two():
    assert entry(*ETH1, there=BOTH) == {**PLAIN, **V4}


def test_a_priority_of_its_own():
    rule = RULE.replace("20000", "100")
    assert entry(SUBNET, DEFAULT, rule) == {**PLAIN, "priority": 100}


def test_what_the_interfaces_files_say_is_not_repeated():
    found = {"eth1": Found((values.Address(4, "192.168.1.220", 24),), {4: "192.168.1.254"})}
    assert entry(*ETH1, found=found) == {"table": "gateway1"}


def test_what_the_interfaces_files_say_otherwise_is_written():
    found = {"eth1": Found((values.Address(4, "192.168.1.221", 24),), {4: "192.168.1.1"})}
    assert entry(*ETH1, found=found) == {**PLAIN, **V4}


def test_a_gateway_that_only_a_live_route_tells_is_written():
    assert entry(*ETH1, found={"eth1": Found(defaults={4: "192.168.1.254"})}) == PLAIN


def test_nothing_is_left_to_files_that_cannot_be_read():
    assert entry(*ETH1, unreadable={"eth1": "ifcfg-eth1 line 3: ..."}) == {**PLAIN, **V4}


def test_an_address_by_dhcp_is_written_and_named():
    host = seen(*ETH1, there=links(permanent=False))
    found = export.export(host)
    assert found.pillar["interfaces"]["eth1"] == {**PLAIN, **V4}
    assert "eth1: 192.168.1.220 is a DHCP or temporary address" in "\n".join(found.notes)


# --- what stands where ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "spec"),
    [
        (
            "10.9.0.0/16 via 192.168.1.3 metric 5 mtu 1400",
            {"via": "192.168.1.3", "metric": 5, "mtu": 1400},
        ),
        (
            "10.9.0.0/16 dev eth1 scope host src 192.168.1.220",
            {"src": "192.168.1.220", "scope": "host"},
        ),
        ("10.9.0.0/16 via 192.0.2.1 onlink", {"via": "192.0.2.1", "onlink": True}),
        ("blackhole 10.9.0.0/16", {"type": "blackhole"}),
        ("10.9.0.0/16 via 10.0.0.7 dev eth2", {"nexthops": [{"via": "10.0.0.7", "dev": "eth2"}]}),
        (
            "10.9.0.0/16 nexthop via 192.168.1.3 dev eth1 weight 2 nexthop via 10.0.0.7 dev eth2",
            {
                "nexthops": [
                    {"via": "192.168.1.3", "dev": "eth1", "weight": 2},
                    {"via": "10.0.0.7", "dev": "eth2"},
                ]
            },
        ),
    ],
)
def test_more_routes(line, spec):
    if "via" in spec:
        line += " dev eth1"
    made = entry(*ETH1, f"route {line} table 201")
    assert made == {**PLAIN, "routes": [{"to": "10.9.0.0/16", **spec}]}


@pytest.mark.parametrize(
    ("line", "spec"),
    [
        ("fwmark 0x1/0xff priority 30", {"fwmark": "0x1/0xff", "priority": 30}),
        ("from 10.20.0.0/16 to 10.9.0.0/16", {"from": "10.20.0.0/16", "to": "10.9.0.0/16"}),
        ("not iif eth2 priority 7", {"iif": "eth2", "not": True, "priority": 7}),
        (
            "ipproto tcp dport 80 tos 0x10 priority 8",
            {"ipproto": "tcp", "dport": 80, "tos": "0x10", "priority": 8},
        ),
        (
            "from all suppress_prefixlength 0 priority 9",
            {"from": "all", "suppress_prefixlength": 0, "priority": 9},
        ),
        (
            "from 10.66.0.0/16 prohibit priority 10",
            {"from": "10.66.0.0/16", "action": "prohibit", "priority": 10},
        ),
        (
            "oif eth1 goto 32766 priority 10",
            {"oif": "eth1", "action": "goto 32766", "priority": 10},
        ),
        (
            "uidrange 0-9 sport 1-99 priority 11",
            {"uidrange": "0-9", "sport": "1-99", "priority": 11},
        ),
        ("from 192.168.1.220 priority 99", {"from": "192.168.1.220", "priority": 99}),
    ],
)
def test_more_rules(line, spec):
    if "priority" not in line:
        line += " priority 20000"
    assert entry(*ETH1, f"rule {line} table 201") == {**PLAIN, "rules": [spec]}


def test_what_both_families_have_stands_once():
    lines = [
        f"{line} {family}"
        for family in ("", "-6")
        for line in (
            "rule fwmark 1 priority 30 table 201",
            "route unreachable default metric 4000 table 201",
        )
    ]
    made = entry(*ETH1, *ETH1_6, *lines, there=BOTH)
    assert made["rules"] == [{"fwmark": "0x1", "priority": 30}]
    assert made["routes"] == [{"to": "default", "type": "unreachable", "metric": 4000}]


def test_what_one_family_of_two_has_says_which():
    lines = [
        "rule fwmark 1 priority 30 table 201",
        "rule -6 fwmark 2 priority 31 table 201",
        "route -6 unreachable default metric 4000 table 201",
    ]
    made = entry(*ETH1, *ETH1_6, *lines, there=BOTH)
    assert [rule["from"] for rule in made["rules"]] == ["0.0.0.0/0", "::/0"]
    assert made["routes"][0]["to"] == "::/0"


def test_rules_of_several_addresses_at_the_priority_that_most_have():
    rules = [
        RULE,
        "rule from 192.168.1.221 table 201 priority 300",
        "rule from 192.168.1.222 table 201 priority 300",
    ]
    there = links("192.168.1.220/24", "192.168.1.221/24", "192.168.1.222/24")
    subnet = SUBNET.replace("src 192.168.1.220", "src 192.168.1.222")
    assert entry(subnet, DEFAULT, *rules, there=there) == {
        **PLAIN,
        "priority": 300,
        "addresses": ["192.168.1.222/24", "192.168.1.221/24"],
        "rules": [{"from": "192.168.1.220", "priority": 20000}],
    }


def test_of_priorities_that_as_many_have_the_usual_one():
    made = entry(SUBNET, DEFAULT, RULE.replace("20000", "99"), RULE)
    assert made == {**PLAIN, "rules": [{"from": "192.168.1.220", "priority": 99}]}


def test_an_address_without_a_route_to_its_subnet():
    made = entry(DEFAULT + " onlink", RULE)
    assert made == {**PLAIN, "onlink": True, "subnet_routes": False}


@pytest.mark.parametrize("length", [0, 32])
def test_an_address_that_has_no_subnet_is_alone(length):
    there = links("10.1.1.1/24", f"192.168.1.220/{length}")
    made = entry(DEFAULT + " onlink", RULE, there=there)
    assert made == {**PLAIN, "addresses": ["192.168.1.220/32"], "onlink": True}


PEER = "192.168.9.220 peer 10.9.0.1/24"
OF_PEER = (
    "route 10.9.0.0/24 dev eth1 src 192.168.9.220 table 201",
    "route default via 10.9.0.1 dev eth1 table 201",
    "rule from 192.168.9.220 table 201 priority 20000",
)


def test_an_address_with_a_peer():
    plain = {"table": "gateway1", "gateway": "10.9.0.1"}
    assert entry(*OF_PEER, there=links(PEER)) == plain
    there = links("192.168.1.220/24", PEER)
    assert entry(*OF_PEER, there=there) == {**plain, "addresses": [PEER]}


@pytest.mark.parametrize("more", ["", " onlink"])
def test_an_address_with_a_peer_without_a_route_to_its_network(more):
    made = entry(OF_PEER[1] + more, OF_PEER[2], there=links(PEER))
    plain = {"table": "gateway1", "gateway": "10.9.0.1", "subnet_routes": False}
    assert made == {**plain, **({"onlink": True} if more else {})}


def test_an_address_with_two_peers():
    own = [f"198.18.7.33 peer 100.64.0.{number}/32" for number in (1, 2)]
    lines = [f"route 100.64.0.{number} dev eth1 src 198.18.7.33 table 201" for number in (1, 2)]
    lines += ["route default via 100.64.0.2 dev eth1 table 201"]
    lines += ["rule from 198.18.7.33 table 201 priority 20000"]
    assert entry(*lines, there=links("10.1.1.1/24", *own)) == {
        "table": "gateway1",
        "addresses": own,
        "gateway": "100.64.0.2",
    }


def test_an_ipv6_address_whose_peer_the_table_does_not_reach():
    own = "2001:db8:9::220 peer 2001:db8:a::1/64"
    lines = [
        "route 2001:db8:9::/64 dev eth1 src 2001:db8:9::220 table 201",
        "route default via 2001:db8:9::1 dev eth1 table 201 onlink",
        "rule from 2001:db8:9::220 table 201 priority 20000",
    ]
    assert entry(*lines, there=links(own)) == {
        "table": "gateway1",
        "gateway": "2001:db8:9::1",
        "subnet_routes": False,
        "onlink": True,
        "routes": [{"to": "2001:db8:9::/64", "src": "2001:db8:9::220"}],
    }


def test_a_temporary_address_with_a_peer_is_told():
    host = seen(*OF_PEER, there=links(PEER, permanent=False))
    assert export.export(host).notes == (
        "eth1: 192.168.9.220 is a DHCP or temporary address; the pillar names it as it is now",
    )


def test_a_default_route_without_gateway():
    made = entry("route default dev eth1 table 201", RULE)
    assert made == {
        "table": "gateway1",
        "subnet_routes": False,
        "routes": [{"to": "default"}],
    }


@pytest.mark.parametrize(
    ("more", "spec"),
    [
        ("via 192.168.1.254 dev eth1 src 192.168.1.220", {"src": "192.168.1.220"}),
        ("via 192.168.1.254 dev eth1 mtu 1400", {"mtu": 1400}),
    ],
)
def test_a_default_route_with_more_to_it(more, spec):
    found = {"eth1": Found(defaults={4: "192.168.1.1"})}
    made = entry(SUBNET, f"route default {more} table 201", RULE, found=found)
    route = {"to": "default", "via": "192.168.1.254", **spec}
    assert made == {"table": "gateway1", "routes": [route]}


def test_a_route_to_the_subnet_without_source():
    assert entry(SUBNET.replace("src 192.168.1.220 ", ""), DEFAULT, RULE) == {
        **PLAIN,
        "subnet_routes": False,
        "routes": [{"to": "192.168.1.0/24"}],
    }


def test_one_of_two_subnets_without_a_route():
    there = links("192.168.1.220/24", "192.168.7.220/24")
    second = "rule from 192.168.7.220 table 201 priority 20000"
    assert entry(SUBNET, DEFAULT, RULE, second, there=there) == {
        **PLAIN,
        "subnet_routes": False,
        "routes": [{"to": "192.168.1.0/24", "src": "192.168.1.220"}],
    }


def test_what_people_stamp_is_as_it_was():
    lines = (SUBNET + " proto kernel", DEFAULT + " proto static", RULE + " protocol static")
    found = export.export(seen(*lines))
    assert found == export.export(seen(*ETH1))
    assert (found.left_out, found.notes) == ((), ())


def test_next_hops_in_any_order():
    hops = "nexthop via 192.168.1.9 dev eth1 nexthop via 192.168.1.254 dev eth1"
    made = entry(SUBNET, RULE, f"route default table 201 {hops}")
    legs = [{"via": "192.168.1.9", "dev": "eth1"}, {"via": "192.168.1.254", "dev": "eth1"}]
    assert made["routes"] == [{"to": "default", "nexthops": legs}]


def test_the_rule_of_an_address_that_is_elsewhere():
    rule = "rule from 192.0.2.55 table 201 priority 20000"
    made = entry(DEFAULT + " onlink", rule)
    assert made == {**PLAIN, "addresses": ["192.0.2.55/32"], "onlink": True}


# --- main's routes are kept -------------------------------------------------------------------

BEFORE = "rule from 192.168.1.220 suppress_prefixlength 0 table 201 priority 19998"
MAIN = BEFORE.replace("table 201 priority 19998", "table 254 priority 19999")
SIBLING = "route 10.0.0.0/8 via 192.168.1.254 dev eth1 table 201"
KEPT = (*ETH1, BEFORE, MAIN)
ETH2_HAS_A_GATEWAY = {"eth2": Found(defaults={4: "10.0.0.1"})}
KEEPING = {**PLAIN, "keep_main_routes": True}
RULES = [{"from": "192.168.1.220", "suppress_prefixlength": 0, "priority": 19998}]


def test_the_three_rules_and_the_routes_to_siblings():
    assert entry(*KEPT, SIBLING, found=ETH2_HAS_A_GATEWAY) == KEEPING


def test_a_host_without_siblings():
    assert entry(*KEPT) == KEEPING


def test_routes_to_siblings_where_none_would_be_made():
    route = {"to": "10.0.0.0/8", "via": "192.168.1.254"}
    assert entry(*KEPT, SIBLING) == {**KEEPING, "routes": [route]}


@pytest.mark.parametrize(
    ("more", "spec"),
    [("192.168.1.3", {"via": "192.168.1.3"}), ("192.168.1.254 mtu 1400", {"mtu": 1400})],
)
def test_other_routes_to_siblings_stand_for_those_that_would_be_made(more, spec):
    line = f"route 10.0.0.0/8 via {more} dev eth1 table 201"
    route = {"to": "10.0.0.0/8", "via": "192.168.1.254", **spec}
    assert entry(*KEPT, line, found=ETH2_HAS_A_GATEWAY) == {**KEEPING, "routes": [route]}


def test_a_further_route_to_a_sibling_brings_the_other_along():
    further = SIBLING.replace("254", "3") + " metric 50"
    assert entry(*KEPT, SIBLING, further, found=ETH2_HAS_A_GATEWAY)["routes"] == [
        {"to": "10.0.0.0/8", "via": "192.168.1.254"},
        {"to": "10.0.0.0/8", "via": "192.168.1.3", "metric": 50},
    ]


def test_what_the_others_declare_counts():
    eth2 = [line.replace("192.168.1.220", "10.0.0.99").replace("201", "202") for line in KEPT[2:]]
    back = "route 192.168.1.0/24 via 10.0.0.1 dev eth2 table 202"
    found = export.export(seen(*KEPT, SIBLING, *ETH2[:2], *eth2, back))
    assert found.left_out == ()
    assert found.pillar["interfaces"] == {
        "eth1": KEEPING,
        "eth2": {"table": "gateway2", "gateway": "10.0.0.1", "keep_main_routes": True},
    }


def test_the_gateway_of_a_table_that_is_left_out_does_not_count():
    more = ("route throw 10.9.0.0/16 table 202", SIBLING)
    found = export.export(seen(*KEPT, *ETH2, *more))
    route = {"to": "10.0.0.0/8", "via": "192.168.1.254"}
    assert found.pillar["interfaces"] == {"eth1": {**KEEPING, "routes": [route]}}


def foreign_in_main(*lines, **kwargs):
    """Return how many rules into main are left out; eth1's entry has the rule before it."""
    found = export.export(seen(*lines, **kwargs))
    assert "keep_main_routes" not in found.pillar["interfaces"]["eth1"]
    assert RULES[0] in found.pillar["interfaces"]["eth1"]["rules"]
    assert all("leads to no table" in why for why in found.left_out)
    return len(found.left_out)


def test_a_sibling_that_is_answered_directly():
    assert foreign_in_main(*KEPT, found=ETH2_HAS_A_GATEWAY) == 1


def test_a_sibling_whose_file_cannot_be_read():
    assert foreign_in_main(*KEPT, unreadable={"eth2": "ifcfg-eth2 line 3: $(x)"}) == 1


@pytest.mark.parametrize(
    "more",
    [
        MAIN + " protocol static",
        MAIN + " protocol 186",
        MAIN.replace("suppress_prefixlength 0 ", ""),
        MAIN.replace("19999", "299") + "\n" + RULE.replace("20000", "300"),
        MAIN.replace("19999", "301") + "\n" + BEFORE.replace("19998", "300"),
    ],
)
def test_a_rule_into_main_that_would_become_ours_and_is_not(more):
    assert foreign_in_main(*KEPT, *more.split("\n")) == 2


def test_a_daemons_rule_into_main_in_a_set_that_is_made_anew():
    own = [f"{line} protocol static" for line in (BEFORE, RULE)]
    assert foreign_in_main(SUBNET, DEFAULT, *own, MAIN + " protocol 186") == 1


@pytest.mark.parametrize("line", [BEFORE, MAIN, RULE])
def test_an_incomplete_set_claims_nothing(line):
    found = export.export(seen(*(each for each in KEPT if each != line)))
    assert "keep_main_routes" not in str(found.pillar)
    assert len([why for why in found.left_out if "table main" in why]) == (line != MAIN)


def test_an_address_without_the_set_among_others():
    there = links("192.168.1.220/24", "192.168.1.221/24")
    made = entry(*KEPT, RULE.replace("220", "221"), there=there)
    assert made == {**KEEPING, **V4, "rules": [{"from": "192.168.1.221"}]}


def test_both_families_keep_main():
    kept6 = [line.replace("192.168.1.220", "2001:db8:1::220") for line in (BEFORE, MAIN)]
    gateways = ["192.168.1.254", "2001:db8:1::254"]
    assert entry(*KEPT, *ETH1_6, *kept6, there=BOTH) == {**KEEPING, "gateway": gateways}


# --- tables -----------------------------------------------------------------------------------


def test_two_interfaces():
    found = export.export(seen(*ETH1, *ETH2))
    assert found.pillar == {
        "tables": NAMES,
        "interfaces": {"eth1": PLAIN, "eth2": {"table": "gateway2", "gateway": "10.0.0.1"}},
    }


def test_a_table_without_a_name_gets_a_free_one():
    found = export.export(seen(*ETH1, names={"table201": 7}))
    assert found.pillar["tables"] == {"table201_": 201}
    assert "no name" in found.notes[0]


@pytest.mark.parametrize(
    ("names", "why"),
    [({"1st": 201}, "is not a table name"), ({"one": 201, "two": 201}, "already calls table 201")],
)
def test_a_name_that_no_pillar_may_have(names, why):
    assert why in left_out(*ETH1, names=names)


def test_names_without_use_are_nobodys_business():
    assert export.export(seen()).pillar == {"tables": {}, "interfaces": {}}


def test_a_managed_name_without_use_stays_managed():
    host = seen()._replace(tables=tables(f"7 spare {rt_tables.MARKER}\n8 other\n"))
    assert export.export(host).pillar == {"tables": {"spare": 7}, "interfaces": {}}


def test_the_rules_that_every_host_has_are_not_mentioned():
    lines = ["rule from all table 254 priority 32766", "rule from all table 253 priority 32767"]
    assert export.export(seen(*lines)).left_out == ()


# --- what can't be said -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("route throw 10.9.0.0/16 table 201", "type throw"),
        ("route 10.9.0.0/16 via 192.168.1.3 dev eth1 advmss 500 table 201", "has advmss"),
        ("route 10.9.0.0/16 via 192.168.1.3 dev eth1 mtu lock 9 table 201", "has mtu lock"),
        ("route 10.9.0.0/16 via 192.168.1.3 dev eth1 proto 11 table 201", "its protocol is 11"),
        ("route local 10.9.0.1 dev eth1 proto kernel table 201", "VRF"),
        ("route local 10.9.0.1 dev eth1 table 201", "leaves by eth1"),
        ("route 10.9.0.0/16 dev eth2 table 201", "leaves by eth2"),
        (
            "route 10.9.0.0/16 table 201 nexthop via 192.168.1.3 dev eth1 onlink "
            "nexthop via 192.168.1.4 dev eth1",
            "has a next hop with onlink",
        ),
        ("rule fwmark 1 table 201 priority 30 realms 3", "has realms"),
        ("rule fwmark 1 table 201 priority 30 protocol 186", "its protocol is 186"),
        ("rule fwmark 1 table 201 priority 0", "rules[0].priority: 0 is not"),
        ("rule to 10.9.0.0/16 table 201 priority 20000 prohibit", "which comes first is undefined"),
        ("route default via 192.168.1.1 dev eth1 table 201", "can't stand beside the rest"),
    ],
)
def test_what_the_pillar_has_no_word_for_keeps_its_table_out(line, why):
    assert why in left_out(*ETH1, line)


def test_the_table_of_a_vrf_is_the_kernels():
    vrf = changed(link("red"), kind="vrf", vrf_table=201)
    assert "of a VRF" in left_out(*ETH1, there={**links(), "red": vrf})


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((SUBNET, DEFAULT), "no rule leads to it"),
        ((SUBNET, DEFAULT, RULE.replace("20000", "40000")), "a number from 1 to 32765"),
        (("rule from 192.0.2.9 table 201 priority 20000",), "which interface it is for"),
    ],
)
def test_what_every_policy_has(lines, why):
    assert why in left_out(*lines)


def test_a_source_address_of_the_subnet_that_is_elsewhere():
    subnet = SUBNET.replace("src 192.168.1.220", "src 192.168.1.9")
    assert "192.168.1.9 is not an address of this host" in left_out(subnet, DEFAULT, RULE)


NO_GATEWAY = {"table": "gateway1", "gateway": "none"}


def test_a_table_without_a_default_route():
    assert entry(SUBNET, RULE) == NO_GATEWAY
    blackhole = "route blackhole default table 201"
    found = {"eth1": Found(defaults={4: "192.168.1.1"})}
    routes = [{"to": "default", "type": "blackhole"}]
    assert entry(SUBNET, RULE, blackhole) == {"table": "gateway1", "routes": routes}
    assert entry(SUBNET, RULE, blackhole, found=found) == {**NO_GATEWAY, "routes": routes}


def test_a_table_for_marks_only():
    assert entry(DEFAULT, "rule fwmark 1 table 201 priority 30") == {
        **PLAIN,
        "addresses": [],
        "rules": [{"fwmark": "0x1", "priority": 30}],
    }


def test_a_default_route_of_its_own_beside_mains():
    found = {"eth1": Found(defaults={4: "192.168.1.1"})}
    made = entry(SUBNET, RULE, "route default dev eth1 metric 9 table 201", found=found)
    assert made == {**NO_GATEWAY, "routes": [{"to": "default", "metric": 9}]}


def test_a_table_where_files_cannot_be_read():
    lines = (SUBNET, RULE, "route default dev eth1 table 201")
    made = entry(*lines, unreadable={"eth1": "ifcfg-eth1 line 3: $(x)"})
    own = {"addresses": ["192.168.1.220/24"], "routes": [{"to": "default"}]}
    assert made == {**NO_GATEWAY, **own}


def test_a_table_of_an_interface_that_is_down():
    assert "eth1 is down" in left_out(*ETH1, there=links(up=False))


def test_a_table_that_only_files_know():
    assert "eth9 is not on this host" in left_out(served={201: "eth9"})


def test_a_second_table_of_an_interface():
    more = [
        "route default via 192.168.1.1 dev eth1 table 202",
        "rule fwmark 1 table 202 priority 3",
    ]
    host = seen(*ETH1, *more)
    found = export.export(host)
    marks = {"addresses": [], "gateway": "192.168.1.1", "rules": [{"fwmark": "0x1", "priority": 3}]}
    assert found.pillar["interfaces"] == {
        "eth1": PLAIN,
        "eth1/gateway2": {"device": "eth1", "table": "gateway2", **marks},
    }
    assert found.left_out == ()
    assert_comes_to(host, found.pillar)


def test_two_subnets_of_one_card_with_a_router_each():
    there = links("192.168.1.220/24", "10.7.0.220/16")
    second = [
        line.replace("201", "202").replace("192.168.1.0/24", "10.7.0.0/16")
        for line in (SUBNET, DEFAULT, RULE)
    ]
    second = [line.replace("192.168.1.", "10.7.0.") for line in second]
    host = seen(*ETH1, *second, there=there)
    found = export.export(host)
    assert found.left_out == ()
    assert found.pillar["interfaces"]["eth1/gateway2"] == {
        "device": "eth1",
        "table": "gateway2",
        "addresses": ["10.7.0.220/16"],
        "gateway": "10.7.0.254",
    }
    assert_comes_to(host, found.pillar)


def test_interfaces_that_contradict_each_other():
    more = [f"rule fwmark 1 table {id_} priority 30" for id_ in (201, 202)]
    found = export.export(seen(*ETH1, *ETH2, *more))
    assert list(found.pillar["interfaces"]) == ["eth1"]
    assert "overlap" in found.left_out[0]


@pytest.mark.parametrize(
    "line",
    [
        "rule from 192.168.1.220 table 254 priority 99",
        "rule from all table 255 priority 5",
        "rule from 10.0.0.0/8 goto 30000 priority 5",
        "rule from all l3mdev priority 1000",
        "rule from all table 254 priority 1",
    ],
)
def test_rules_into_no_table_of_ours_are_listed(line):
    found = export.export(seen(*ETH1, line))
    assert list(found.pillar["interfaces"]) == ["eth1"]
    assert "leads to no table" in found.left_out[0]


# --- what would change ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((SUBNET, DEFAULT.replace("168.1.254", "0.2.1"), RULE), "1 dev eth1 onlink table"),
        ((*ETH1, RULE + " protocol static"), "2 times"),
    ],
)
def test_what_changes_without_harm_is_exported_and_said(lines, why):
    found = export.export(seen(*lines))
    assert list(found.pillar["interfaces"]) == ["eth1"]
    assert found.left_out == ()
    assert why in "\n".join(found.notes)


def test_a_rule_for_the_whole_subnet():
    rule = "rule from 192.168.1.0/24 table 201 priority 20000"
    assert entry(DEFAULT, rule) == {**PLAIN, "addresses": [], "rules": [{"from": "192.168.1.0/24"}]}


def test_a_gateway_beside_another_address_than_the_one_that_is_asked():
    host = links("192.168.1.220/24", "198.51.100.7/32")
    rule = "rule from 198.51.100.7 table 201 priority 20000"
    assert entry(DEFAULT, rule, there=host) == {**PLAIN, "addresses": ["198.51.100.7/32"]}


def test_next_hops_in_a_subnet_that_only_main_has():
    routes = [{"to": "default", "via": "192.168.1.254", "metric": 101}]
    made = entry(f"{DEFAULT} metric 101", RULE)
    assert made == {"table": "gateway1", "subnet_routes": False, "routes": routes}


def test_a_default_route_that_would_go_before_another_is_harm():
    more = [DEFAULT + " metric 9", "route default via 192.168.1.1 dev eth1 metric 5 table 201"]
    found = export.export(seen(SUBNET, RULE, *more))
    routes = found.pillar["interfaces"].get("eth1", {})
    assert routes.get("gateway") in (None, "192.168.1.1")
    assert "via 192.168.1.254 dev eth1 table" not in "\n".join(found.notes)


@pytest.mark.parametrize("more", [{"metric": 9}, {"metric": 9, "mtu": 1400}])
def test_a_default_route_with_a_metric_is_the_only_one(more):
    words = " ".join(f"{word} {value}" for word, value in more.items())
    made = entry(SUBNET, RULE, f"{DEFAULT} {words}")
    assert made["routes"] == [{"to": "default", "via": "192.168.1.254", **more}]
