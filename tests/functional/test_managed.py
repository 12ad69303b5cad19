"""``multihoming.managed``: what the pillar says is what the kernel and the files hold."""

from pathlib import Path

import article
import live
import pytest
from article import BY_HAND, NOTHING, by_hand, pillar, two

SCRIPTS = Path("/etc/sysconfig/network-scripts")
RT_TABLES = Path("/etc/iproute2/rt_tables")
DROP_IN = Path("/etc/iproute2/rt_tables.d/multihoming.conf")
FAMILIES = (4, 6)
# Priority 32765 is the last before the main table.
FOREIGN = (
    "-4 rule add from 192.168.2.220 table 99 priority 20000",
    "-4 rule add from 192.168.1.220 table 99 priority 20000",
    "-6 rule add from 2001:db8:1::220 table 99 priority 20000",
    "-4 rule add fwmark 7 table 99 priority 32765",
    "-4 route add default via 192.168.1.254 dev eth1 table 99",
    "-4 route add 172.30.0.0/16 via 192.168.1.9 dev eth1",
    "-6 route add fd00::/8 via 2001:db8:1::9 dev eth1",
)


def lines(kind, device="eth1"):
    path = SCRIPTS / f"{kind}-{device}"
    return path.read_text().splitlines() if path.exists() else None


# --- the article ------------------------------------------------------------------------------


def test_the_minimal_pillar_gives_the_articles_files(converge):
    whole = pillar(gateway="192.168.1.254")
    converge(whole)
    assert lines("route") == [
        "192.168.1.0/24 dev eth1 src 192.168.1.220 table gateway1",
        "default via 192.168.1.254 dev eth1 table gateway1",
    ]
    assert lines("rule") == ["from 192.168.1.220 table gateway1 priority 20000"]
    assert "201 gateway1" in DROP_IN.read_text().splitlines()


def test_the_minimal_pillar_gives_the_articles_rules_and_routes(converge, host):
    converge(pillar(gateway="192.168.1.254"))
    assert live.rules(host, table=201) == [
        {"priority": 20000, "src": "192.168.1.220", "table": "201"}
    ]
    assert live.routes(host, 201) == [
        {"dst": "default", "gateway": "192.168.1.254", "dev": "eth1"},
        {"dst": "192.168.1.0/24", "dev": "eth1", "scope": "253", "prefsrc": "192.168.1.220"},
    ]


def test_both_families_are_what_one_would_type(converge, host, twin):
    converge(pillar())
    by_hand(twin, *BY_HAND)
    assert live.kernel(host) == live.kernel(twin)


def test_an_interface_without_ipv6_gets_ipv4_only(converge, host):
    host.ip("-6", "address", "flush", "dev", "eth1", "scope", "global")
    converge(pillar(gateway="192.168.1.254"))
    assert live.rules(host, 6, table=201) == live.routes(host, 201, 6) == []
    assert lines("rule6") is lines("route6") is None


def test_the_changes_name_what_changed(converge):
    changes = converge(pillar())
    assert list(changes) == ["tables", "files", "eth1"]
    assert changes["tables"] == {"gateway1": {"old": None, "new": 201}}
    assert set(changes["files"]) == {
        str(DROP_IN),
        *(str(SCRIPTS / f"{kind}-eth1") for kind in ("route", "route6", "rule", "rule6")),
    }
    assert changes["eth1"]["rules"]["added"] == [
        f"from {address} table gateway1 priority 20000"
        for address in (article.ADDRESS, article.ADDRESS6)
    ]


def test_the_arguments_of_the_state_are_the_pillars_keys(minion, host, twin):
    done = minion.state("managed", "any name", **pillar())
    assert done["result"] is True
    by_hand(twin, *BY_HAND)
    assert live.kernel(host) == live.kernel(twin)


def test_the_example_pillar_can_be_applied(converge, host):
    import yaml  # noqa: PLC0415

    text = Path(__file__).parents[2].joinpath("pillar.example").read_text()
    host.ip("-6", "address", "add", "2001:db8:1::99/64", "nodad", "dev", "eth2")
    host.ip("address", "add", "198.51.100.63/24", "dev", "eth1")
    for device, net in (("eth0", "192.168.2"), ("eth1", "192.168.1")):
        own = f"IPADDR={net}.220\nPREFIX=24\nGATEWAY={net}.254\n"
        own += f"IPV6_DEFAULTGW=2001:db8:{net[-1]}::254\n"
        Path(f"/etc/sysconfig/network-scripts/ifcfg-{device}").write_text(own)
    whole = yaml.safe_load(text)["multihoming"]
    if Path("/proc/self/uid_map").read_text().split()[2] == "1":
        del whole["interfaces"]["eth2"]["rules"][3]["uidrange"]  # only uid 0 exists here
    converge(whole)


# --- a host without pillar, and bad pillars ---------------------------------------------------


@pytest.mark.parametrize("test", [True, False])
def test_without_pillar_the_host_is_left_alone_and_that_is_said(minion, host, test):
    by_hand(host, *FOREIGN)
    before = live.snapshot(host)
    ret = minion.state("managed", "multihoming", test=test)
    assert (ret["result"], ret["changes"]) == (True, {})
    assert "left alone" in ret["comment"]
    assert live.snapshot(host) == before


@pytest.mark.parametrize("data", [None, {}, [], "", ["tables"], "text", 7])
def test_a_pillar_that_is_no_dictionary_is_an_error(converge, refused, data):
    converge(pillar())
    assert refused(data).startswith("multihoming: ")


def test_all_errors_of_a_pillar_come_together(refused):
    whole = pillar(gatway="192.168.1.254", onlink="yes", gateway="10.1.1.1")
    whole["tables"]["gateway2"] = 255
    said = refused(whole).splitlines()
    assert [line.partition(":")[0] for line in said] == [
        "tables.gateway2",
        "interfaces.eth1.gatway",
        "interfaces.eth1.onlink",
    ]
    assert "did you mean `gateway`?" in said[1]


def test_what_the_host_says_against_a_pillar_comes_together(refused):
    whole = two(addresses=["10.0.0.98/8"])
    whole["interfaces"]["eth1"]["gateway"] = "172.16.0.1"
    whole["interfaces"]["eth7"] = {"table": "gateway7"}
    whole["tables"]["gateway7"] = 207
    said = refused(whole)
    for key in ("interfaces.eth1.gateway:", "interfaces.eth2.addresses:", "interfaces.eth7:"):
        assert key in said


def test_a_missing_interface_is_an_error_that_names_those_there(refused):
    whole = pillar()
    whole["interfaces"]["eth9"] = whole["interfaces"].pop("eth1")
    said = refused(whole)
    assert "interfaces.eth9" in said
    assert "eth0, eth1, eth2" in said


def test_an_interface_that_is_down_is_an_error(host, refused):
    host.ip("link", "set", "eth1", "down")
    assert "interfaces.eth1: eth1 is down" in refused(pillar())


# --- the keys of an interface -----------------------------------------------------------------


def test_addresses_choose_whose_replies_go_through_the_table(converge, host):
    host.ip("address", "add", "192.168.1.221/24", "dev", "eth1")
    converge(pillar(addresses=["192.168.1.221/24"], gateway="192.168.1.254"))
    assert [rule["src"] for rule in live.rules(host, table=201)] == ["192.168.1.221"]
    assert [route.get("prefsrc") for route in live.routes(host, 201)] == [None, "192.168.1.221"]
    assert live.rules(host, 6, table=201) == []


def test_every_address_of_the_interface_gets_a_rule(converge, host):
    host.ip("address", "add", "192.168.1.221/24", "dev", "eth1")
    host.ip("address", "add", "172.16.9.1/16", "dev", "eth1")
    converge(pillar())
    sources = [rule["src"] for rule in live.rules(host, table=201)]
    assert sorted(sources) == ["172.16.9.1", "192.168.1.220", "192.168.1.221"]
    assert "172.16.0.0/16" in [route["dst"] for route in live.routes(host, 201)]


def test_addresses_come_from_the_interfaces_file_before_the_live_ones(converge, host):
    host.ip("address", "add", "192.168.1.221/24", "dev", "eth1")
    (SCRIPTS / "ifcfg-eth1").write_text("DEVICE=eth1\nIPADDR=192.168.1.220\nPREFIX=24\n")
    converge(pillar())
    assert [rule["src"] for rule in live.rules(host, table=201)] == ["192.168.1.220"]


def test_the_gateway_comes_from_the_interfaces_file(converge, host):
    (SCRIPTS / "ifcfg-eth1").write_text(
        "DEVICE=eth1\nIPADDR=192.168.1.220\nNETMASK=255.255.255.0\nGATEWAY='192.168.1.253'\n"
        "IPV6ADDR=2001:db8:1::220/64\nIPV6_DEFAULTGW=2001:db8:1::253%eth1\n"
    )
    whole = pillar()
    del whole["interfaces"]["eth1"]["gateway"]
    converge(whole)
    found = [live.routes(host, 201, family) for family in FAMILIES]
    gateways = [route["gateway"] for routes in found for route in routes if "gateway" in route]
    assert gateways == ["192.168.1.253", "2001:db8:1::253"]


def test_the_gateway_comes_from_the_live_default_route(converge, host):
    whole = {"tables": {"gateway0": 200}, "interfaces": {"eth0": {"table": "gateway0"}}}
    converge(whole)
    assert live.routes(host, 200)[0]["gateway"] == "192.168.2.254"
    assert live.routes(host, 200, 6)[-1]["gateway"] == "2001:db8:2::254"


def test_without_any_gateway_it_must_be_given(refused):
    whole = pillar()
    del whole["interfaces"]["eth1"]["gateway"]
    assert "interfaces.eth1.gateway" in refused(whole)


def test_a_gateway_once_found_stays_when_the_main_default_goes(converge, converged, host):
    whole = {"tables": {"gateway0": 200}, "interfaces": {"eth0": {"table": "gateway0"}}}
    converge(whole)
    host.ip("-4", "route", "del", "default")
    host.ip("-6", "route", "del", "default")
    converged(whole)


def test_an_onlink_gateway_may_lie_outside_of_the_subnets(converge, host, twin):
    converge(pillar(gateway=["192.0.2.1", "2001:db8:77::1"], onlink=True))
    by_hand(
        twin,
        *(line for line in BY_HAND if "default" not in line),
        "-4 route add default via 192.0.2.1 dev eth1 onlink table 201",
        "-6 route add default via 2001:db8:77::1 dev eth1 onlink table 201",
    )
    assert live.tables(host, 201) == live.tables(twin, 201)


@pytest.mark.parametrize(
    ("top", "own", "found"),
    [(None, None, 20000), (150, None, 150), (None, 160, 160), (150, 160, 160)],
)
def test_the_interfaces_priority_goes_before_the_one_at_the_top(converge, host, top, own, found):
    whole = pillar(**({"priority": own} if own else {}))
    if top:
        whole["priority"] = top
    converge(whole)
    for family in FAMILIES:
        assert [rule["priority"] for rule in live.rules(host, family, 201)] == [found]


ROUTES = {
    "via": ({"to": "10.9.0.0/16", "via": "192.168.1.3"}, "10.9.0.0/16 via 192.168.1.3 dev eth1"),
    "link": ({"to": "10.9.0.0/16"}, "10.9.0.0/16 dev eth1"),
    "host": ({"to": "10.9.0.7"}, "10.9.0.7 dev eth1"),
    "src": (
        {"to": "10.9.0.0/16", "src": "192.168.2.220"},
        "10.9.0.0/16 dev eth1 src 192.168.2.220",
    ),
    "metric": ({"to": "10.9.0.0/16", "metric": 5}, "10.9.0.0/16 dev eth1 metric 5"),
    "metric 0": ({"to": "10.9.0.0/16", "metric": 0}, "10.9.0.0/16 dev eth1"),
    "scope": ({"to": "10.9.0.0/16", "scope": "host"}, "10.9.0.0/16 dev eth1 scope host"),
    "scope global": ({"to": "10.9.0.0/16", "scope": "global"}, "10.9.0.0/16 dev eth1 scope global"),
    "mtu": ({"to": "10.9.0.0/16", "mtu": 1400}, "10.9.0.0/16 dev eth1 mtu 1400"),
    "onlink": (
        {"to": "10.9.0.0/16", "via": "192.0.2.1", "onlink": True},
        "10.9.0.0/16 via 192.0.2.1 dev eth1 onlink",
    ),
    "default": (
        {"to": "default", "via": "192.168.1.3", "metric": 9},
        "default via 192.168.1.3 dev eth1 metric 9",
    ),
    "blackhole": ({"to": "10.9.0.0/16", "type": "blackhole"}, "blackhole 10.9.0.0/16"),
    "unreachable": ({"to": "10.9.0.0/16", "type": "unreachable"}, "unreachable 10.9.0.0/16"),
    "prohibit": (
        {"to": "10.9.0.0/16", "type": "prohibit", "metric": 2},
        "prohibit 10.9.0.0/16 metric 2",
    ),
    "nexthops": (
        {
            "to": "10.9.0.0/16",
            "nexthops": [{"via": "192.168.1.3", "weight": 2}, {"via": "10.0.0.1", "dev": "eth2"}],
        },
        "10.9.0.0/16 nexthop via 192.168.1.3 dev eth1 weight 2 nexthop via 10.0.0.1 dev eth2",
    ),
    "via 6": (
        {"to": "2001:db8:9::/48", "via": "2001:db8:1::3"},
        "2001:db8:9::/48 via 2001:db8:1::3 dev eth1",
    ),
    "link-local": (
        {"to": "2001:db8:9::/48", "via": "fe80::3"},
        "2001:db8:9::/48 via fe80::3 dev eth1",
    ),
    "link 6": ({"to": "2001:db8:9::/48"}, "2001:db8:9::/48 dev eth1"),
    "host 6": ({"to": "2001:db8:9::7"}, "2001:db8:9::7 dev eth1"),
    "src 6": (
        {"to": "2001:db8:9::/48", "src": "2001:db8:2::220"},
        "2001:db8:9::/48 dev eth1 src 2001:db8:2::220",
    ),
    "metric 6": ({"to": "2001:db8:9::/48", "metric": 5}, "2001:db8:9::/48 dev eth1 metric 5"),
    "metric 0 6": ({"to": "2001:db8:9::/48", "metric": 0}, "2001:db8:9::/48 dev eth1"),
    "mtu 6": ({"to": "2001:db8:9::/48", "mtu": 1400}, "2001:db8:9::/48 dev eth1 mtu 1400"),
    "onlink 6": (
        {"to": "2001:db8:9::/48", "via": "2001:db8:77::1", "onlink": True},
        "2001:db8:9::/48 via 2001:db8:77::1 dev eth1 onlink",
    ),
    "blackhole 6": ({"to": "2001:db8:9::/48", "type": "blackhole"}, "blackhole 2001:db8:9::/48"),
    "unreachable 6": (
        {"to": "2001:db8:9::/48", "type": "unreachable"},
        "unreachable 2001:db8:9::/48",
    ),
    "prohibit 6": ({"to": "2001:db8:9::/48", "type": "prohibit"}, "prohibit 2001:db8:9::/48"),
    "nexthops 6": (
        {
            "to": "2001:db8:9::/48",
            "nexthops": [
                {"via": "2001:db8:1::3"},
                {"via": "2001:db8:a::1", "dev": "eth2", "weight": 3},
            ],
        },
        "2001:db8:9::/48 nexthop via 2001:db8:1::3 dev eth1 "
        "nexthop via 2001:db8:a::1 dev eth2 weight 3",
    ),
}


def typed_route(verb, typed):
    """Return the line for `ip`; next hops come last in it."""
    plain, nexthop, legs = typed.partition(" nexthop")
    return f"-{6 if '::' in typed else 4} route {verb} {plain} table 201{nexthop}{legs}"


@pytest.mark.parametrize("name", ROUTES)
def test_a_route_is_what_one_would_type(converge, host, twin, name):
    route, typed = ROUTES[name]
    converge(pillar(routes=[route]))
    by_hand(twin, *BY_HAND, typed_route("add", typed))
    assert live.tables(host, 201) == live.tables(twin, 201)
    converge(pillar())
    by_hand(twin, typed_route("del", typed))
    assert live.tables(host, 201) == live.tables(twin, 201)


def test_a_route_without_addresses_is_made_for_each_family(converge, host, twin):
    converge(pillar(routes=[{"to": "default", "type": "blackhole", "metric": 4000}]))
    by_hand(
        twin,
        *BY_HAND,
        *(f"-{family} route add blackhole default metric 4000 table 201" for family in FAMILIES),
    )
    assert live.tables(host, 201) == live.tables(twin, 201)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_single_next_hop_is_a_plain_route(converge, host, twin, family):
    prefix, via = {4: ("10.9.0.0/16", "192.168.1.3"), 6: ("2001:db8:9::/48", "2001:db8:1::3")}[
        family
    ]
    converge(pillar(routes=[{"to": prefix, "nexthops": [{"via": via, "weight": 2}]}]))
    by_hand(twin, *BY_HAND, f"-{family} route add {prefix} via {via} dev eth1 table 201")
    assert live.tables(host, 201) == live.tables(twin, 201)


# What the kernel would refuse is said before anything is touched.
IMPOSSIBLE_ROUTES = [
    {"to": "10.9.0.0/16", "via": "192.168.1.3", "scope": "link"},
    {"to": "10.9.0.0/16", "via": "192.168.1.3", "scope": "host"},
    {"to": "10.9.0.0/16", "scope": "nowhere"},
    {
        "to": "10.9.0.0/16",
        "scope": "link",
        "nexthops": [{"via": "192.168.1.3"}, {"via": "192.168.1.4"}],
    },
    {"to": "2001:db8:9::/48", "nexthops": [{"dev": "eth1"}, {"dev": "eth2"}]},
    {"to": "2001:db8:9::/48", "nexthops": [{"via": "2001:db8:1::3"}, {"via": "2001:db8:1::3"}]},
    {"to": "10.9.0.0/16", "via": "172.20.0.1"},
    {"to": "10.9.0.0/16", "via": "192.168.1.220"},
    {"to": "10.9.0.0/16", "src": "192.168.1.7"},
    {"to": "192.168.1.0/24"},
    {"to": "default", "via": "192.168.1.3"},
]


@pytest.mark.parametrize("route", IMPOSSIBLE_ROUTES, ids=str)
def test_a_route_that_the_kernel_would_refuse_is_an_error(refused, route):
    assert "interfaces.eth1.routes" in refused(pillar(routes=[route]))


RULES = {
    "from": ({"from": "10.20.0.0/16"}, "from 10.20.0.0/16"),
    "from host": ({"from": "10.20.0.7"}, "from 10.20.0.7"),
    "to": ({"to": "10.20.0.0/16"}, "to 10.20.0.0/16"),
    "from to": ({"from": "10.1.0.0/16", "to": "10.20.0.0/16"}, "from 10.1.0.0/16 to 10.20.0.0/16"),
    "from 6": ({"from": "2001:db8:9::/48"}, "from 2001:db8:9::/48"),
    "to 6": ({"to": "2001:db8:9::/48"}, "to 2001:db8:9::/48"),
    "iif": ({"iif": "eth0"}, "iif eth0"),
    "oif": ({"oif": "eth1"}, "oif eth1"),
    "iif missing": ({"iif": "ppp0"}, "iif ppp0"),
    "fwmark": ({"fwmark": 7}, "fwmark 7"),
    "fwmark mask": ({"fwmark": "0x1/0xff"}, "fwmark 0x1/0xff"),
    "fwmark 0": ({"fwmark": "0/0xff"}, "fwmark 0/0xff"),
    "tos": ({"tos": "0x10"}, "tos 0x10"),
    "tos number": ({"tos": 4}, "tos 0x04"),
    "ipproto": ({"ipproto": "tcp"}, "ipproto tcp"),
    "ipproto number": ({"ipproto": 132}, "ipproto 132"),
    "sport": ({"ipproto": "udp", "sport": 53}, "ipproto udp sport 53"),
    "dport": ({"dport": "8000-8010"}, "dport 8000-8010"),
    "uidrange": ({"uidrange": 0}, "uidrange 0-0"),
    "not": ({"fwmark": 7, "not": True, "priority": 5}, "not fwmark 7 priority 5"),
    "priority": ({"to": "10.20.0.0/16", "priority": 77}, "to 10.20.0.0/16 priority 77"),
    "priority behind main": (
        {"to": "10.20.0.0/16", "priority": 40000},
        "to 10.20.0.0/16 priority 40000",
    ),
    "suppress": (
        {"iif": "eth0", "suppress_prefixlength": 0, "priority": 5},
        "iif eth0 suppress_prefixlength 0 priority 5",
    ),
    "blackhole": ({"from": "10.20.0.0/16", "action": "blackhole"}, "from 10.20.0.0/16 blackhole"),
    "unreachable": (
        {"from": "10.20.0.0/16", "action": "unreachable"},
        "from 10.20.0.0/16 unreachable",
    ),
    "prohibit": ({"from": "10.20.0.0/16", "action": "prohibit"}, "from 10.20.0.0/16 prohibit"),
    "nop": ({"from": "10.20.0.0/16", "action": "nop"}, "from 10.20.0.0/16 nop"),
    "goto": ({"from": "10.20.0.0/16", "action": "goto 32766"}, "from 10.20.0.0/16 goto 32766"),
    "all": ({"from": "all"}, ""),
}


def typed_rules(typed):
    """Return the lines that make a rule, in each family that its addresses allow."""
    prefixes = [word for word in typed.split() if "/" in word or "." in word]
    addresses = [word for word in prefixes if "." in word or ":" in word]
    families = FAMILIES if not addresses else (6,) if ":" in addresses[0] else (4,)
    priority = "" if "priority" in typed else "priority 20000"
    return [f"-{family} rule add {typed} table 201 {priority}" for family in families]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_what_one_would_type_until_it_goes(converge, host, twin, name):
    rule, typed = RULES[name]
    converge(pillar())
    held = live.kernel(host)
    converge(pillar(rules=[rule]))
    # The kernel takes the general rule first, and nothing is as general as `from all`.
    by_hand(twin, *(() if typed else typed_rules(typed)), *BY_HAND)
    by_hand(twin, *(typed_rules(typed) if typed else ()))
    assert live.tables(host, 201) == live.tables(twin, 201)
    converge(pillar())
    assert sorted(live.kernel(host)) == sorted(held)


# --- missing interfaces -----------------------------------------------------------------------


def test_an_optional_interface_that_is_missing_is_skipped_and_said(
    minion, converge, converged, host
):
    whole = two(optional=True)
    whole["interfaces"]["eth9"] = whole["interfaces"].pop("eth2")
    converge(whole)
    assert live.rules(host, table=202) == []
    assert "eth9 is not on this host: skipped" in minion.state("managed", "x", whole)["comment"]


def test_an_optional_interface_that_is_down_keeps_its_files(converge, converged, host):
    converge(two(optional=True))
    files = [lines(kind, "eth2") for kind in ("rule", "rule6", "route", "route6")]
    host.ip("link", "set", "eth2", "down")
    converged(two(optional=True))
    assert [lines(kind, "eth2") for kind in ("rule", "rule6", "route", "route6")] == files


def test_what_a_link_down_took_comes_back(converge, host):
    converge(two(optional=True))
    held = live.tables(host, 201, 202)
    host.ip("link", "set", "eth2", "down")
    host.ip("link", "set", "eth2", "up")
    host.ip("-6", "address", "replace", "2001:db8:a::99/64", "nodad", "dev", "eth2")
    host.wait_ready()
    assert live.tables(host, 201, 202) != held
    converge(two(optional=True))
    assert live.tables(host, 201, 202) == held


# --- sysctl -----------------------------------------------------------------------------------


def test_a_kernel_setting_is_kept(converge, host):
    whole = {**pillar(), "sysctl": {"net.ipv4.ip_forward": 1}}
    changes = converge(whole)
    assert host.sysctl("net.ipv4.ip_forward") == "1"
    assert changes["sysctl"] == {"net.ipv4.ip_forward": "1"}
    assert any("net.ipv4.ip_forward" in text for text in live.texts().values())


def test_a_kernel_setting_alone_is_foretold(converge, host):
    converge(pillar())
    assert list(converge({**pillar(), "sysctl": {"net.ipv4.ip_forward": 1}})) == ["sysctl"]


# --- backend none -----------------------------------------------------------------------------


def test_backend_none_touches_the_kernel_and_rt_tables_only(converge, host, twin):
    changes = converge({**pillar(), "backend": "none"})
    by_hand(twin, *BY_HAND)
    assert live.kernel(host) == live.kernel(twin)
    assert set(changes["files"]) == {str(DROP_IN)}
    assert list(SCRIPTS.iterdir()) == []


def test_without_a_supported_manager_the_remedy_is_named(refused):
    SCRIPTS.rmdir()
    assert "backend: none" in refused(pillar())


# --- pillar edits -----------------------------------------------------------------------------


def test_an_interface_is_added(converge, host):
    converge(pillar())
    held = live.tables(host, 201)
    assert set(converge(two())) == {"tables", "eth2", "files"}
    assert live.tables(host, 201) == held
    assert [rule["src"] for rule in live.rules(host, table=202)] == ["10.0.0.99"]


def test_an_interface_is_removed(converge, host, twin):
    converge(two())
    changes = converge(pillar())
    assert set(changes) == {"tables", "eth2", "files"}
    assert changes["tables"] == {"gateway2": {"old": 202, "new": None}}
    by_hand(twin, *BY_HAND)
    assert live.kernel(host) == live.kernel(twin)
    assert [path.name for path in SCRIPTS.iterdir() if "eth2" in path.name] == []


def test_a_table_gets_another_id(converge, host, twin):
    converge(pillar())
    whole = pillar()
    whole["tables"]["gateway1"] = 301
    assert converge(whole)["tables"] == {"gateway1": {"old": 201, "new": 301}}
    by_hand(twin, *(line.replace("table 201", "table 301") for line in BY_HAND))
    assert live.kernel(host) == live.kernel(twin)


def test_a_table_gets_another_name(converge, host, twin):
    converge(pillar())
    whole = pillar(table="uplink")
    whole["tables"] = {"uplink": 201}
    changes = converge(whole)
    assert changes["tables"]["uplink"] == {"old": None, "new": 201}
    assert lines("rule") == ["from 192.168.1.220 table uplink priority 20000"]
    by_hand(twin, *BY_HAND)
    assert live.kernel(host) == live.kernel(twin)


def test_two_interfaces_swap_their_tables(converge, host):
    converge(two())
    whole = two(table="gateway1")
    whole["interfaces"]["eth1"]["table"] = "gateway2"
    converge(whole)
    assert [rule["src"] for rule in live.rules(host, table=201)] == ["10.0.0.99"]
    assert [rule["src"] for rule in live.rules(host, table=202)] == ["192.168.1.220"]
    assert {route["dev"] for route in live.routes(host, 201)} == {"eth2"}


def test_two_tables_swap_their_ids(converge, host):
    converge(two())
    whole = two()
    whole["tables"] = {"gateway1": 202, "gateway2": 201}
    converge(whole)
    assert [rule["src"] for rule in live.rules(host, table=202)] == ["192.168.1.220"]
    assert lines("rule") == ["from 192.168.1.220 table gateway1 priority 20000"]


def test_the_priority_changes(converge, host, twin):
    converge(pillar())
    converge(pillar(priority=100))
    by_hand(twin, *(line.replace("20000", "100") for line in BY_HAND))
    assert live.kernel(host) == live.kernel(twin)


def test_the_gateway_changes(converge, host, twin):
    converge(pillar())
    converge(pillar(gateway=["192.168.1.1", "2001:db8:1::1"]))
    by_hand(twin, *(line.replace("254 dev", "1 dev") for line in BY_HAND))
    assert live.kernel(host) == live.kernel(twin)


def test_a_rule_gets_another_selector(converge, host):
    converge(pillar(rules=[{"to": "10.20.0.0/16"}, {"fwmark": 1}]))
    converge(pillar(rules=[{"to": "10.20.0.0/17"}, {"fwmark": "1/3"}]))
    found = {str((rule.get("dst"), rule.get("dstlen"))) for rule in live.rules(host, table=201)}
    assert found == {"('10.20.0.0', 17)", "(None, None)"}
    assert [rule["fwmask"] for rule in live.rules(host, 6, 201) if "fwmask" in rule] == ["0x3"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_general_and_a_special_rule_of_one_priority_come_in_any_order(converge, host, order):
    both = [{"to": "10.20.0.0/16"}, {"from": "10.1.0.0/16", "to": "10.20.0.0/16"}]
    converge(pillar(rules=[both[order[0]]]))
    converge(pillar(rules=both))
    assert len(live.rules(host, table=201)) == 3
    converge(pillar(rules=[both[order[1]]]))
    assert len(live.rules(host, table=201)) == 2


def test_interfaces_and_tables_without_entries_take_everything_away(converge, host, twin):
    converge(two(routes=[{"to": "default", "type": "blackhole", "metric": 9}]))
    converge(NOTHING)
    assert live.kernel(host) == live.kernel(twin)
    assert list(SCRIPTS.iterdir()) == []
    assert not DROP_IN.exists()


def test_nothing_declared_on_a_fresh_host_is_nothing_to_do(converged):
    converged(NOTHING)


# --- what is not ours -------------------------------------------------------------------------


def test_foreign_rules_and_routes_survive(converge, host, twin):
    for each in (host, twin):
        by_hand(each, *FOREIGN)
    for whole in (pillar(), two(), NOTHING):
        converge(whole)
    assert live.kernel(host) == live.kernel(twin)


def test_foreign_lines_survive_in_their_order(converge):
    RT_TABLES.write_text("# mine\n100\tstorage # do not touch\n\n0x65 backup\n")
    rule = SCRIPTS / "rule-eth1"
    rule.write_text("# from the network team\nfrom 10.1.0.0/16 table storage priority 9\n")
    route = SCRIPTS / "route-eth1"
    route.write_text("10.9.0.0/16 via 192.168.1.9 # kept\n\n172.16.0.0/12 via 192.168.1.8\n")
    before = live.texts()
    converge(two())
    assert live.texts()[str(RT_TABLES)] == before[str(RT_TABLES)]
    assert rule.read_text().startswith(before[str(rule)])
    assert route.read_text().startswith(before[str(route)])
    converge(NOTHING)
    assert live.texts() == before


def test_a_foreign_table_without_name_is_not_touched(converge, host):
    by_hand(host, "-4 rule add from 10.7.0.0/16 table 4242 priority 5")
    by_hand(host, "-4 route add default via 192.168.1.9 dev eth1 table 4242")
    converge(pillar())
    converge(NOTHING)
    assert len(live.rules(host, table=4242)) == len(live.routes(host, 4242)) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kernels_own_rules_are_never_touched(converge, host, family):
    own = [rule for rule in live.rules(host, family) if rule["priority"] in (0, 32766, 32767)]
    converge(pillar(rules=[{"from": "all", "priority": 32765}]))
    converge(NOTHING)
    assert live.rules(host, family) == own


# --- drift ------------------------------------------------------------------------------------

REPLACED = "-4 route replace default via 192.168.1.254 table 201"
OWN_RULE = "-4 rule add from 192.168.1.220 table 201 priority 20000"
OWN_RULE6 = "-6 rule add from 2001:db8:1::220 table 201 priority 20000"
DRIFT = {
    "a rule deleted": "-4 rule del from 192.168.1.220 table 201",
    "an IPv6 rule deleted": "-6 rule del from 2001:db8:1::220 table 201",
    "a route deleted": "-4 route del default table 201",
    "a route replaced": "-4 route replace default via 192.168.1.9 table 201",
    "an IPv6 route deleted": "-6 route del default table 201",
    "an IPv6 route replaced": "-6 route replace default via 2001:db8:1::9 table 201",
    "a route with another protocol": f"{REPLACED} proto static",
    "a route more": "-4 route add 10.9.0.0/16 via 192.168.1.9 table 201",
    "a route with advmss": f"{REPLACED} advmss 1200",
    "a route with a locked MTU": f"{REPLACED} mtu lock 1400",
    "a route with a locked advmss": f"{REPLACED} advmss lock 1200",
    "a route with a lock and no more": f"{REPLACED} mtu lock 0",
    "a route with congctl": f"{REPLACED} congctl reno",
    "a route with features": f"{REPLACED} features ecn",
    "a route with rto_min": f"{REPLACED} rto_min 100ms",
    "a route with another metric": "-4 route add default via 192.168.1.254 metric 5 table 201",
    "a route appended": "-4 route append default via 192.168.1.9 table 201",
    "an IPv6 route appended": "-6 route append default via 2001:db8:1::9 table 201",
    "a route with a TOS": "-4 route add default via 192.168.1.9 tos 0x10 table 201",
    "a route of type throw": "-4 route add throw 10.9.0.0/16 table 201",
    "a local route": "-4 route add local 10.9.0.1 dev eth1 table 201",
    "a rule more": "-4 rule add from 10.20.0.0/16 table 201 priority 30000",
    "a rule more without priority": "-4 rule add from 10.20.0.0/16 table 201",
    "an IPv6 rule more": "-6 rule add from all table 201 priority 30000",
    "a rule with another protocol": f"{OWN_RULE} protocol static",
    "an IPv6 rule with another protocol": f"{OWN_RULE6} protocol static",
    "the rule at another priority too": "-4 rule add from 192.168.1.220 table 201 priority 9",
    "a rule with realms": "-4 rule add from 10.20.0.0/16 table 201 priority 30000 realms 3",
    "a rule with suppress_ifgroup": "-4 rule add from 10.20.0.0/16 table 201 suppress_ifgroup 5",
    "a rule with tun_id": "-4 rule add from 10.20.0.0/16 table 201 priority 30000 tun_id 5",
    "a goto rule": "-4 rule add from 10.20.0.0/16 table 201 goto 31000 priority 30000",
    "a from-all rule before": "-4 rule add from all table 201 priority 20000 fwmark 3",
}


@pytest.mark.parametrize("name", DRIFT)
def test_drift_in_the_kernel_is_seen_and_repaired(converge, host, name):
    converge(pillar())
    held = live.kernel(host)
    by_hand(host, DRIFT[name])
    assert live.kernel(host) != held
    assert set(converge(pillar())) == {"eth1"}
    assert live.kernel(host) == held


def test_only_the_lock_of_an_mtu_differs(converge, host):
    whole = pillar(routes=[{"to": "10.9.0.0/16", "via": "192.168.1.9", "mtu": 1400}])
    converge(whole)
    held = live.kernel(host)
    by_hand(host, "-4 route replace 10.9.0.0/16 via 192.168.1.9 mtu lock 1400 table 201")
    assert set(converge(whole)) == {"eth1"}
    assert live.kernel(host) == held


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_protocol_of_a_rule_differs(converge, host, family):
    converge(pillar())
    held = live.kernel(host)
    own = {4: article.ADDRESS, 6: article.ADDRESS6}[family]
    by_hand(
        host,
        f"-{family} rule add from {own} table 201 priority 20000 protocol static",
        f"-{family} rule del from {own} table 201 priority 20000 protocol unspec",
    )
    converge(pillar())
    assert live.kernel(host) == held


def test_a_rule_that_has_got_realms(converge, host):
    converge(pillar())
    held = live.kernel(host)
    by_hand(host, OWN_RULE.replace("add", "del"), f"{OWN_RULE} realms 3")
    assert set(converge(pillar())) == {"eth1"}
    assert live.kernel(host) == held


def test_the_same_rule_three_times_over(converge, host):
    converge(pillar())
    held = live.kernel(host)
    by_hand(host, *(f"{OWN_RULE} protocol {number}" for number in (3, 4, 99)))
    converge(pillar())
    assert live.kernel(host) == held


def test_a_flushed_table_is_filled_again(converge, host):
    converge(pillar())
    held = live.kernel(host)
    host.ip("-4", "route", "flush", "table", "201")
    host.ip("-6", "route", "flush", "table", "201")
    assert set(converge(pillar())) == {"eth1"}
    assert live.kernel(host) == held


def test_a_link_that_was_down_gets_its_routes_back(converge, host):
    converge(pillar())
    host.ip("link", "set", "eth1", "down")
    host.ip("link", "set", "eth1", "up")
    host.ip("-6", "address", "replace", "2001:db8:1::220/64", "nodad", "dev", "eth1")
    host.wait_ready()
    assert live.routes(host, 201) == []
    changes = converge(pillar())
    assert set(changes) == {"eth1"}
    assert set(changes["eth1"]) == {"routes"}
    assert [route["dst"] for route in live.routes(host, 201)] == ["default", "192.168.1.0/24"]


def test_an_address_that_was_deleted_and_added_gets_its_route_back(converge, host):
    converge(pillar())
    held = live.tables(host, 201)
    host.ip("address", "del", "192.168.1.220/24", "dev", "eth1")
    host.ip("address", "add", "192.168.1.220/24", "dev", "eth1")
    assert live.tables(host, 201) != held
    converge(pillar())
    assert live.tables(host, 201) == held


@pytest.mark.parametrize("kind", ["rule", "rule6", "route", "route6"])
def test_a_deleted_file_is_written_again(converge, kind):
    converge(pillar())
    text = lines(kind)
    (SCRIPTS / f"{kind}-eth1").unlink()
    changes = converge(pillar())
    assert set(changes) == {"files"}
    assert lines(kind) == text


def test_a_line_too_much_in_a_file_goes(converge):
    converge(pillar())
    text = lines("rule")
    with (SCRIPTS / "rule-eth1").open("a") as file:
        file.write("from 10.20.0.0/16 table gateway1\n")
    converge(pillar())
    assert lines("rule") == text


def test_a_deleted_drop_in_is_written_again(converge, host):
    converge(pillar())
    text = DROP_IN.read_text()
    DROP_IN.unlink()
    converge(pillar())
    assert DROP_IN.read_text() == text


def test_the_files_of_an_interface_that_is_gone_go_with_its_table(converge, host):
    converge(two())
    host.ip("link", "delete", "eth2")
    converge(pillar())
    assert [path.name for path in SCRIPTS.iterdir() if "eth2" in path.name] == []
    assert live.rules(host, table=202) == live.rules(host, 6, 202) == []


@pytest.mark.parametrize(
    "default",
    [
        {"via": "192.168.1.254"},
        {"via": "192.168.1.254", "src": "192.168.1.220", "mtu": 1400},
        {"nexthops": [{"via": "192.168.1.254"}, {"via": "10.0.0.1", "dev": "eth2"}]},
    ],
    ids=["via", "more", "nexthops"],
)
def test_a_default_route_among_the_routes_stays_the_only_one(converge, host, default):
    eth1 = {"table": "gateway1", "addresses": ["192.168.1.220/24"]}
    routes = [{"to": "default", **default}]
    converge({"tables": {"gateway1": 201}, "interfaces": {"eth1": {**eth1, "routes": routes}}})
    assert [route["dst"] for route in live.routes(host, 201)].count("default") == 1
