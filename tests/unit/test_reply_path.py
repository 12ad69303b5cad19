"""What the kernel's answers come to, as far as it needs no kernel."""

import ipaddress

import multihoming_reply_path as reply_path
import pytest
from multihoming_model import Answer, Link, LinkAddress, Route, Rule, Step
from multihoming_reply_path import Answers, Flow
from played_host import changed
from surveys import rule

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


FLOW6 = Flow(6, "2001:db8:1::220", "2001:db8:9::1")
NAMES = {201: "gateway1", 254: "main", 255: "local"}
TAKEN = Answer(Route(4, 255, "192.168.1.220", "local", dev="lo"))
UNREACHABLE = Answer(None, "Network is unreachable")
REFUSED = Answer(None, "Invalid cross-device link")
OFF, STRICT, LOOSE = 0, 1, 2


def filtered(mode, dev="eth1"):
    """Return the reverse-path filter of an interface of which it says ``mode``."""
    return reply_path.rp_filter(dev, lambda name, _: mode if name == dev else 0)


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


# --- the question -----------------------------------------------------------------------------


def test_a_flow_is_named_by_two_addresses_however_they_are_written():
    links = {
        **LINKS,
        "eth2": Link("eth2", 1, True, (LinkAddress(6, "2001:db8::1", 64, True, True),)),
    }
    assert reply_path.flow("192.168.1.220", "203.0.113.10", LINKS) == FLOW
    assert reply_path.flow("2001:DB8::1", "2001:db8:0::9", links) == Flow(
        6, "2001:db8::1", "2001:db8::9"
    )


LINK_LOCAL = (
    "is link-local and answered on its own segment, whatever the routes say; write the client's "
    "global address"
)


@pytest.mark.parametrize(
    ("address", "client", "message"),
    [
        (
            "192.168.1.221",
            "203.0.113.10",
            "address: 192.168.1.221 is not on this host (there: 10.99.0.1, 192.168.1.230, "
            "192.168.2.220, 192.168.1.220); write one that is, without its prefix length",
        ),
        (
            "192.168.1.220",
            "2001:db8::1",
            "client: 2001:db8::1 is IPv6, but 192.168.1.220 is IPv4; write an IPv4 address",
        ),
        (
            "192.168.1.220/24",
            "203.0.113.10",
            "address: '192.168.1.220/24' is not an IP address; write one like 192.168.1.254 or "
            "2001:db8::1",
        ),
        (
            "192.168.1.220",
            None,
            "client: None is not an IP address; write one like 192.168.1.254 or 2001:db8::1",
        ),
        ("192.168.1.220", "169.254.1.1", f"client: 169.254.1.1 {LINK_LOCAL}"),
        *(
            (
                "192.168.1.220",
                client,
                f"client: no request comes from {client}; write the address of a host that asks",
            )
            for client in ("0.0.0.0", "255.255.255.255", "224.0.0.5", "127.0.0.1")
        ),
    ],
)
def test_what_names_no_flow_is_told(address, client, message):
    with pytest.raises(ValueError) as caught:
        reply_path.flow(address, client, LINKS)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("client", "said"),
    [
        ("fe80::1", "link-local"),
        ("ff02::1", "no request"),
        ("::1", "no request"),
        ("::", "no request"),
    ],
)
def test_no_request_comes_from_such_a_client_in_ipv6(client, said):
    links = {"eth1": Link("eth1", 1, True, (LinkAddress(6, "2001:db8::1", 64, True, True),))}
    with pytest.raises(ValueError, match=f"^client: .*{said}"):
        reply_path.flow("2001:db8::1", client, links)


def test_of_many_addresses_twenty_are_named():
    links = {"eth1": link("eth1", *(f"10.0.0.{number}/8" for number in range(1, 22)))}
    with pytest.raises(ValueError, match=r"\(there: 10\.0\.0\.1, .*, 10\.0\.0\.20, \.\.\.\)"):
        reply_path.flow("10.1.1.1", "203.0.113.10", links)
    links = {"eth1": link("eth1", *(f"10.0.0.{number}/8" for number in range(1, 21)))}
    with pytest.raises(ValueError, match=r", 10\.0\.0\.20\)"):
        reply_path.flow("10.1.1.1", "203.0.113.10", links)
    with pytest.raises(ValueError, match=r"\(there: none\)"):
        reply_path.flow("10.1.1.1", "203.0.113.10", {})


def test_an_interface_is_named_as_it_is():
    assert reply_path.check_interface("eth1", LINKS) == "eth1"
    odd = {name: link(name) for name in ("caf\udce9", "größe")}
    for name in ("caf\udce9", "caf\\xe9"):
        assert reply_path.check_interface(name, odd) == "caf\udce9"
    # The other is what the command line gives in the locale POSIX.
    for name in ("größe", "größe".encode().decode("ascii", "surrogateescape")):
        assert reply_path.check_interface(name, odd) == "größe"
    for name, shown in (("eth9", "'eth9'"), (7, "7"), (["eth1"], "['eth1']")):
        with pytest.raises(ValueError) as caught:
            reply_path.check_interface(name, LINKS)
        assert str(caught.value) == (
            f"interface: {shown} is not on this host (there: eth0, eth1, lo, vip)"
        )


def test_an_address_is_held_by_the_interface_that_has_it():
    assert reply_path.holder("192.168.1.230", LINKS) == "vip"
    assert reply_path.holder("192.168.1.231", LINKS) is None


def test_the_kernel_is_asked_for_the_way_of_the_reply_its_route_and_the_plain_one():
    assert reply_path.ask_reply(FLOW) == [
        Step(4, "route get 203.0.113.10 from 192.168.1.220"),
        Step(4, "route get fibmatch 203.0.113.10 from 192.168.1.220"),
        Step(4, "route get fibmatch 203.0.113.10"),
    ]
    assert {step.family for step in reply_path.ask_reply(FLOW6)} == {6}


def test_the_kernel_is_asked_for_the_way_of_the_request():
    line = "route get 192.168.1.220 from 203.0.113.10 iif eth1"
    assert reply_path.ask_request(FLOW, "eth1") == Step(4, line)


def test_the_kernel_is_asked_for_a_default_route_through_an_interface_from_each_address():
    own = (LinkAddress(4, "10.0.0.1", 8, True, True), LinkAddress(6, "2001:db8::1", 64, True, True))
    link = Link("eth1", 1, True, own)
    for family, address, reserved in ((4, "10.0.0.1", "240.0.0.1"), (6, "2001:db8::1", "4000::1")):
        asked = reply_path.ask_gateway(family, link)
        for source in ("", f"from {address} "):
            lines = [f"route get fibmatch {client} {source}oif eth1" for client in asked_of(family)]
            assert {Step(family, line) for line in lines} <= {*asked}
        assert len(asked) == 2 * len(asked_of(family))
        # Even a full feed has no route but a default there.
        assert reserved in asked_of(family)


def asked_of(family):
    return reply_path._WITH_DEFAULT[family]


@pytest.mark.parametrize("family", [4, 6])
def test_hosts_far_away_are_in_unrelated_networks_of_the_internet(family):
    internet = ipaddress.ip_network("2000::/3" if family == 6 else "0.0.0.0/0")
    far = [ipaddress.ip_address(client) for client in reply_path.FAR[family]]
    assert all(client in internet for client in far)
    assert [client for client in far if not client.is_global]
    everyday = [client for client in far if client.is_global]
    assert len({client.packed[0] for client in everyday}) == len(everyday) >= 5
    if family == 4:
        assert {client.packed[0] >> 5 for client in far} == set(range(7))


@pytest.mark.parametrize(
    ("prefix", "for_all"),
    [
        ("default", True),
        ("0.0.0.0/1", True),
        ("192.0.0.0/7", True),
        ("192.0.0.0/8", False),
        ("10.0.0.1", False),
        ("2000::/3", True),
        ("2600::/11", True),
        ("2600::/12", False),
        ("2001:db8::1", False),
    ],
)
def test_a_prefix_means_the_internet_when_it_is_larger_than_anybodys(prefix, for_all):
    assert reply_path.is_for_all(prefix) is for_all


@pytest.mark.parametrize(
    ("answer", "default"),
    [
        (Answer(FAR), True),
        (Answer(changed(FAR, dev="eth1")), False),
        (Answer(changed(FAR, to="0.0.0.0/1")), True),
        (Answer(changed(FAR, to="240.0.0.0/8")), False),
        (UNREACHABLE, False),
    ],
)
def test_an_interface_has_a_default_route_if_the_kernel_answers_with_one(answer, default):
    assert reply_path.is_default(answer, "eth0") is default


# --- where the request arrives ----------------------------------------------------------------


def test_an_address_of_nobody_is_delivered_nowhere():
    assert reply_path.entrance(changed(FLOW, address="192.168.1.99"), LINKS) is None


def test_a_virtual_interface_is_no_entrance_for_the_address_of_another():
    links = {**LINKS, "vip2": link("vip2", "192.168.1.231/24", kind="dummy")}
    assert reply_path.entrance(changed(FLOW, address="192.168.1.231"), links) == "eth1"
    del links["eth1"]
    assert reply_path.entrance(changed(FLOW, address="192.168.1.231"), links) is None


NEAR = Route(4, 254, "203.0.113.0/24", dev="docker0")


@pytest.mark.parametrize(
    ("route", "near"),
    [
        (NEAR, "docker0"),
        (changed(NEAR, dev="eth1"), None),
        (changed(NEAR, via="10.0.0.1"), None),
        (changed(NEAR, other=(("via", "inet6 fe80::1"),)), None),
        (changed(NEAR, to="default"), None),
        (changed(NEAR, type="local"), None),
        (None, None),
    ],
)
def test_a_client_is_next_to_an_interface_that_leads_to_it_without_a_router(route, near):
    assert reply_path.neighbour(FLOW, LINKS, Answer(route)) == near


def test_a_client_in_the_entrances_subnet_is_next_to_no_other():
    flow = changed(FLOW, client="192.168.1.9")
    assert reply_path.neighbour(flow, LINKS, Answer(NEAR)) is None
    astray = changed(flow, address="10.99.0.1")  # delivered nowhere
    assert reply_path.neighbour(astray, LINKS, Answer(NEAR)) == "docker0"


def test_what_the_host_asks_itself_arrives_on_lo():
    flow = changed(FLOW, client="192.168.2.220")
    assert reply_path.arrival(flow, LINKS, "docker0", near_has_gateway=False) == "lo"


def test_a_request_arrives_where_the_address_is_unless_the_client_is_near_another():
    assert reply_path.arrival(FLOW, LINKS, None, near_has_gateway=False) == "eth1"
    assert reply_path.arrival(changed(FLOW, address="10.99.0.1"), LINKS, None, False) is None


# --- which rule -------------------------------------------------------------------------------


def test_a_goto_leads_to_the_very_rule_and_to_none_before():
    rules = [
        rule("goto 5 priority 1"),
        rule("table 7 priority 4"),
        rule("table 8 priority 5"),
        MAIN,
    ]
    assert priorities(rules) == [5, 32766]
    # One that does not match leads nowhere.
    assert priorities([rule("from 10.0.0.1 goto 5 priority 1"), *rules[1:]]) == [4, 5, 32766]


def test_rules_that_refuse_are_met():
    rules = [rule("prohibit priority 1"), rule("from 10.0.0.1 blackhole priority 2")]
    assert priorities(rules) == [1]


@pytest.mark.parametrize(
    ("selectors", "matches"),
    [
        ({"src": "192.168.1.0/25"}, False),
        ({"src": "192.168.1.128/25"}, True),
        ({"to": "203.0.113.10"}, True),
        ({"to": "203.0.113.1"}, False),
        ({"sport": "53"}, False),
        ({"ipproto": 17, "dport": "53"}, False),
        ({"fwmark": "0x0/0x1"}, True),
        ({"fwmark": "0x10/0xff"}, False),
        ({"uidrange": "0-0"}, True),
        ({"uidrange": "10-20"}, False),
        ({"oif": "lo"}, False),
        ({"tos": 4, "src": "192.168.1.220"}, False),
        ({"other": (("suppress_ifgroup", "1"),)}, True),
        ({"other": (("realms", "3"), ("tun_id", "3"))}, False),
        ({"suppress_prefixlength": 0}, True),
    ],
)
def test_a_rule_matches_by_all_of_its_selectors(selectors, matches):
    assert priorities([Rule(4, 10, 99, **selectors)]) == ([10] if matches else [])


def test_the_deciding_rule_leads_to_the_routes_table():
    other, mine = rule("table 7 priority 5"), rule("table 8 priority 6")
    route = changed(FAR, table=8)
    assert reply_path.deciding([LOCAL, other, mine, MAIN], FLOW, route) == mine
    assert reply_path.deciding([LOCAL, other, MAIN], FLOW, route) is None


@pytest.mark.parametrize("kind", ["local", "broadcast"])
@pytest.mark.parametrize("first", [LOCAL, MAIN])
def test_local_routes_are_found_in_local_or_main(kind, first):
    route = Route(4, 7, "192.168.2.220", kind, dev="lo")
    assert reply_path.deciding([rule("table 7 priority 0"), first], FLOW, route) == first


def test_a_prefix_length_is_suppressed_up_to_the_limit():
    limited = changed(MAIN, priority=9, suppress_prefixlength=24)
    for length, expected in ((23, MAIN), (24, MAIN), (25, limited)):
        route = changed(FAR, to=f"203.0.112.0/{length}")
        assert reply_path.deciding([limited, MAIN], FLOW, route) == expected


def test_a_rule_that_refuses_is_the_reason_without_a_route():
    prohibit = rule("prohibit priority 5")
    route = Route(4, 254, "default", type="unreachable")
    assert reply_path.refusal([prohibit, MAIN], FLOW, [route]) == (prohibit, None)


def test_a_refusing_route_counts_in_the_table_of_a_rule_and_for_its_client():
    far = Route(4, 254, "default", type="blackhole")
    elsewhere = [changed(far, table=9), changed(far, to="10.0.0.0/8")]
    assert reply_path.refusal([MAIN], FLOW, elsewhere) == (None, None)
    assert reply_path.refusal([MAIN], FLOW, [*elsewhere, far]) == (MAIN, far)


def test_after_a_throw_the_next_table_counts():
    first = rule("table 7 priority 5")
    throw, far = Route(4, 7, "default", type="throw"), Route(4, 254, "default", type="blackhole")
    assert reply_path.refusal([first, MAIN], FLOW, [throw, far]) == (MAIN, far)


# --- the reverse-path filter --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "own", "mode"),
    [
        (0, 0, "off"),
        (None, None, "off"),
        (1, 0, "strict"),
        (0, 1, "strict"),
        (2, 1, "loose"),
        (1, 2, "loose"),
        (0, 7, "loose"),
    ],
)
def test_of_the_filters_settings_the_larger_counts(every, own, mode):
    values = {("all", "rp_filter"): every, ("eth1", "rp_filter"): own}
    found = reply_path.rp_filter("eth1", lambda *key: values[key])
    assert found == {"all": every or 0, "eth1": own or 0, "mode": mode}


@pytest.mark.parametrize(
    ("mode", "error", "reply", "filters"),
    [
        (STRICT, "Invalid cross-device link", FAR, True),
        (STRICT, "Invalid argument", FAR, True),
        (LOOSE, "Invalid cross-device link", None, True),
        (OFF, "Invalid cross-device link", FAR, False),
        (STRICT, "No route to host", FAR, False),
        (STRICT, "Invalid argument", changed(FAR, dev="eth1"), False),
        (STRICT, "Invalid argument", changed(FAR, type="local"), False),
        (STRICT, "Invalid argument", None, True),
    ],
)
def test_the_filter_refuses_what_has_another_way_back(mode, error, reply, filters):
    request = Answer(None, error)
    found = reply_path.is_filters("eth1", request, Answer(reply), filtered(mode))
    assert found is filters


@pytest.mark.parametrize(
    ("reply", "way"),
    [
        (FAR, "finds that the way back to 203.0.113.10 is eth0"),
        (None, "finds no way back to 203.0.113.10"),
    ],
)
def test_the_filters_reason_names_settings_and_way_back(reply, way):
    assert reply_path.filter_reason(FLOW, "eth1", reply, filtered(LOOSE)) == (
        "eth1 drops the request: loose reverse-path filtering (net.ipv4.conf.all.rp_filter=0, "
        f"eth1=2: the larger counts) {way}"
    )


# --- the result -------------------------------------------------------------------------------

RIGHT = Route(4, 201, "default", via="192.168.1.254", dev="eth1")
RULE = Rule(4, 20000, 201, src="192.168.1.220")
RULES = [LOCAL, RULE, MAIN]


def result(reply, matched=None, request=TAKEN, refusing=(), **more):
    """Return the result for the flow, as on a host with a policy on eth1."""
    asked = {"arrives": "eth1", "links": LINKS, "rules": RULES, "mode": OFF, "flow": FLOW, **more}
    answers = Answers(reply, matched or reply, request, refusing)
    return reply_path.result(
        asked["flow"],
        asked["arrives"],
        answers,
        asked["links"],
        asked["rules"],
        lambda name, key: asked["mode"] if (name, key) == ("eth1", "rp_filter") else 0,
        NAMES,
    )


def test_a_reply_that_leaves_where_it_should():
    assert result(Answer(RIGHT), mode=STRICT) == {
        "address": "192.168.1.220",
        "client": "203.0.113.10",
        "family": 4,
        "arrives": "eth1",
        "leaves": "eth1",
        "via": "192.168.1.254",
        "rule": {
            "family": 4,
            "priority": 20000,
            "from": "192.168.1.220",
            "action": "lookup",
            "table": "gateway1",
            "protocol": "unspec",
        },
        "table": "gateway1",
        "route": {
            "family": 4,
            "table": "gateway1",
            "to": "default",
            "type": "unicast",
            "via": "192.168.1.254",
            "dev": "eth1",
            "scope": "global",
            "protocol": "boot",
        },
        "symmetric": True,
        "dropped": False,
        "reason": None,
        "rp_filter": {"all": 0, "eth1": 1, "mode": "strict"},
    }


def test_a_reply_that_leaves_elsewhere():
    found = result(Answer(FAR), rules=[LOCAL, MAIN])
    assert (found["symmetric"], found["dropped"], found["reason"]) == (False, False, None)
    assert (found["leaves"], found["via"], found["table"]) == ("eth0", "192.168.2.254", "main")
    assert found["rule"]["priority"] == 32766


def test_the_route_is_told_as_it_stands_in_the_table_of_its_rule():
    # The kernel answers with table main for what it found in a table 7 that nobody names.
    rules = [rule("table 7 priority 5")]
    matched = Answer(changed(FAR, to="203.0.113.0/24", table=7))
    found = result(Answer(FAR), matched, rules=rules)
    assert (found["table"], found["route"]["table"], found["route"]["to"]) == (
        7,
        7,
        "203.0.113.0/24",
    )


def test_without_a_rule_that_led_there_the_route_is_told_as_it_is():
    found = result(Answer(FAR), UNREACHABLE, rules=[LOCAL])
    assert (found["rule"], found["table"], found["route"]["dev"]) == (None, "main", "eth0")


def test_what_the_host_asks_itself_meets_no_filter():
    local = Answer(Route(4, 255, "192.168.2.220", "local", dev="lo"))
    flow = changed(FLOW, client="192.168.2.220")
    found = result(local, request=None, arrives="lo", flow=flow, mode=STRICT)
    assert (found["rp_filter"], found["symmetric"], found["dropped"]) == (None, True, False)
    assert found["rule"]["priority"] == 0


def test_without_a_place_to_arrive_nothing_is_said_of_symmetry_and_filter():
    found = result(Answer(RIGHT), request=None, arrives=None)
    assert (found["arrives"], found["symmetric"], found["rp_filter"]) == (None, None, None)
    assert not found["dropped"]


def test_ipv6_has_no_filter():
    links = {**LINKS, "eth1": Link("eth1", 1, True, (), frozenset({"UP", "LOWER_UP"}))}
    route = Route(6, 254, "default", via="2001:db8:1::254", dev="eth1", metric=1024)
    found = result(
        Answer(route),
        request=REFUSED,
        flow=FLOW6,
        links=links,
        rules=[Rule(6, 32766, 254)],
        mode=STRICT,
    )
    assert found["rp_filter"] is None
    assert found["reason"] == (
        "eth1 drops the request: the kernel takes no packet from 2001:db8:9::1 there "
        "(Invalid cross-device link)"
    )


DOWN = {**LINKS, "eth1": link("eth1", "192.168.1.220/24", flags=("BROADCAST",))}
UNPLUGGED = {**LINKS, "eth1": link("eth1", "192.168.1.220/24", flags=("UP", "BROADCAST"))}
ETH0_DOWN = {**LINKS, "eth0": link("eth0", "192.168.2.220/24", flags=("BROADCAST",))}
PROHIBIT = Route(4, 254, "203.0.113.0/24", type="prohibit")
REASONS = {
    "down": (
        {"reply": Answer(FAR), "links": DOWN},
        "the request can't arrive: eth1 is down; bring it up with `ip link set eth1 up` or ifup",
    ),
    "no carrier": (
        {"reply": UNREACHABLE, "links": UNPLUGGED},
        "the request can't arrive: eth1 has no carrier; look at its cable or at the switch",
    ),
    "the way out is down": (
        {"reply": Answer(FAR), "links": ETH0_DOWN},
        "the reply can't leave: eth0 is down; bring it up with `ip link set eth0 up` or ifup",
    ),
    "not its own": (
        {"reply": Answer(FAR), "request": Answer(FAR)},
        "eth1 does not take the request for its own: its route is `default via 192.168.2.254 "
        "dev eth0 table 254`",
    ),
    "filter": (
        {"reply": Answer(FAR), "request": REFUSED, "mode": STRICT},
        "eth1 drops the request: strict reverse-path filtering (net.ipv4.conf.all.rp_filter=0, "
        "eth1=1: the larger counts) finds that the way back to 203.0.113.10 is eth0",
    ),
    "filter without a way back": (
        {"reply": UNREACHABLE, "request": REFUSED, "mode": LOOSE},
        "eth1 drops the request: loose reverse-path filtering (net.ipv4.conf.all.rp_filter=0, "
        "eth1=2: the larger counts) finds no way back to 203.0.113.10",
    ),
    "no such source": (
        {"reply": Answer(FAR), "request": Answer(None, "Invalid argument")},
        "eth1 drops the request: the kernel takes no packet from 203.0.113.10 there "
        "(Invalid argument)",
    ),
    "no host": (
        {"reply": Answer(changed(FAR, type="broadcast"))},
        "203.0.113.10 is no host: the route to it is of type broadcast",
    ),
    "no route": (
        {"reply": UNREACHABLE},
        "there is no route back to 203.0.113.10 (Network is unreachable)",
    ),
    "a route refuses": (
        {"reply": UNREACHABLE, "refusing": (PROHIBIT,)},
        "a prohibit route for 203.0.113.0/24 in table main refuses the reply",
    ),
    "an unreachable route refuses": (
        {"reply": UNREACHABLE, "refusing": (changed(PROHIBIT, type="unreachable", table=201),)},
        "an unreachable route for 203.0.113.0/24 in table gateway1 refuses the reply",
    ),
    "a blackhole in a table without a name": (
        {
            "reply": UNREACHABLE,
            "refusing": (Route(4, 7, "default", type="blackhole"),),
            "rules": [rule("table 7 priority 5")],
        },
        "a blackhole route for default in table 7 refuses the reply",
    ),
    "a rule refuses": (
        {"reply": UNREACHABLE, "rules": [rule("from 192.168.1.220 prohibit priority 5"), MAIN]},
        "the rule `from 192.168.1.220 prohibit priority 5` refuses the reply",
    ),
}


@pytest.mark.parametrize("name", REASONS)
def test_the_reason_for_which_a_packet_is_lost(name):
    asked, reason = REASONS[name]
    found = result(**asked)
    assert (found["dropped"], found["reason"]) == (True, reason)


def test_a_lost_reply_is_told_with_the_rule_and_route_that_refuse():
    found = result(UNREACHABLE, refusing=(PROHIBIT,))
    assert (found["rule"]["priority"], found["route"]["type"]) == (32766, "prohibit")
    assert (found["table"], found["leaves"], found["symmetric"]) == ("main", None, None)
    found = result(UNREACHABLE, rules=[rule("prohibit priority 5")])
    assert (found["rule"]["action"], found["route"], found["table"]) == ("prohibit", None, None)


def test_links_that_do_not_tell_their_flags_or_are_unknown_are_no_reason():
    links = {**LINKS, "eth1": Link("eth1", 1, True, LINKS["eth1"].addresses)}
    assert result(Answer(RIGHT), links=links)["reason"] is None
    assert result(Answer(changed(RIGHT, dev="eth7")))["reason"] is None
