"""Routes and rules as iproute2 writes them, in words and in JSON, and back."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import multihoming_iproute2 as iproute2
import multihoming_model as model
import multihoming_numbers as numbers
import multihoming_values as values
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from multihoming_model import Nexthop, Route, Rule
from played_host import changed
from strategies import FAMILIES, marks, prefixes, ranges, routes, rules

DATA = Path(__file__).parent / "data"
WORDS = yaml.safe_load((DATA / "words.yaml").read_text())
JSON = json.loads((DATA / "ip.json").read_text())
TABLES = {"gateway1": 201, "main": 254}


def reader_of(kind):
    return iproute2.route_from_words if kind == "routes" else iproute2.rule_from_words


def read(kind, line, family=4):
    return reader_of(kind)(line.split(), family, TABLES)


def words(item, table=None):
    to_words = iproute2.route_words if isinstance(item, Route) else iproute2.rule_words
    return " ".join(to_words(item, table))


# --- lines people write -----------------------------------------------------------------------

LINES = [(kind, case) for kind in ("rules", "routes") for case in WORDS[kind]]


@pytest.mark.parametrize(
    ("kind", "case"), LINES, ids=lambda v: v if isinstance(v, str) else v["line"]
)
def test_line_is_written_the_way_it_was_read(kind, case):
    item = read(kind, case["line"], case.get("family", 4))
    assert words(item, "gateway1" if item.table else None) == case["line"]


@pytest.mark.parametrize(
    ("kind", "line", "other", "family"),
    [
        pytest.param(kind, case["line"], other, case.get("family", 4), id=str(other))
        for kind, case in LINES
        for other in case.get("same", ())
    ],
)
def test_spellings_that_iproute2_accepts_are_equal(kind, line, other, family):
    assert read(kind, str(other), family) == read(kind, line, family)


@pytest.mark.parametrize(
    ("kind", "line"),
    [(kind, line) for kind in ("rules", "routes") for line in WORDS["refused"][kind]],
)
def test_line_that_iproute2_refuses_is_an_error(kind, line):
    with pytest.raises(ValueError, match=r"\w"):
        reader_of(kind)(line.split(), 4, TABLES)


@pytest.mark.parametrize(
    ("kind", "line", "name"),
    [
        ("rule", "from 10.0.0.1 table gateway1", "gateway1"),
        ("rule", "from 10.0.0.1 lookup 5", "5"),
        ("rule", "from 10.0.0.1 tab x pri 5", "x"),
        ("rule", "from 10.0.0.1 priority 5", None),
        ("rule", "table", None),
        ("rule", "from 10.0.0.1 look 5", None),
        ("route", "default via 10.0.0.1 t 5", "5"),
        ("route", "default via 10.0.0.1", None),
    ],
)
def test_table_named_in_a_line(kind, line, name):
    assert iproute2.table_word(line.split(), kind) == name


def test_what_the_pillar_can_not_say_makes_a_route_unequal():
    plain = read("routes", "default via 10.0.0.1 dev eth1 table 5")
    for extra in ("advmss 1400", "realms 5", "initcwnd 10", "tos 0x10", "from 10.0.0.0/8"):
        assert read("routes", f"default via 10.0.0.1 dev eth1 {extra} table 5") != plain


def test_a_locked_mtu_is_not_an_mtu():
    locked = "default via 10.0.0.1 dev eth1 mtu lock 1400 table 5"
    assert read("routes", locked) != read("routes", locked.replace("lock ", ""))
    assert words(read("routes", locked)) == locked


def test_what_the_pillar_can_not_say_makes_a_rule_unequal():
    plain = read("rules", "from 10.0.0.1 table 5 priority 5")
    for extra in ("realms 5", "suppress_ifgroup 1", "tun_id 7", "proto 99"):
        assert read("rules", f"from 10.0.0.1 table 5 priority 5 {extra}") != plain


MESSAGES = [
    ("routes", "", "no destination"),
    ("routes", "via 10.0.0.1", "no destination"),
    ("routes", "default via", "'via' lacks its value"),
    ("routes", "to", "'to' lacks its value"),
    ("routes", "default mtu lock", "'mtu' lacks its value"),
    ("routes", "default 10.0.0.0/8", "'10.0.0.0/8' is a word that ip does not expect there"),
    ("routes", "default to 10.0.0.0/8", "'to' is a word that ip does not expect there"),
    ("routes", "default weight 2", "'weight' is a word that ip does not expect there"),
    ("routes", "default nexthop via 10.0.0.1 weight 257", "257 is not a number from 1 to 256"),
    ("routes", "default nexthop via 10.0.0.1 weight 0", "0 is not a number from 1 to 256"),
    ("routes", "default via 2001:db8::1", "'2001:db8::1' is not an IPv4 address"),
    ("routes", "default src 2001:db8::1", "'2001:db8::1' is not an IPv4 address"),
    ("routes", "default table nowhere", "table 'nowhere' is not in rt_tables"),
    ("routes", "default metric x", "'x' is not a number from 0 to 4294967295"),
    ("routes", "default scope x", "'x' is not a scope; write link, host or global"),
    ("rules", "from", "'from' lacks its value"),
    ("rules", "table nowhere", "table 'nowhere' is not in rt_tables"),
    ("rules", "goto", "'goto' lacks its value"),
    ("rules", "suppress_prefixlength 129", "129 is not a number from 0 to 128"),
    ("rules", "priority x", "'x' is not a number from 0 to 4294967295"),
]


@pytest.mark.parametrize(("kind", "line", "message"), MESSAGES)
def test_what_is_wrong_with_a_line_is_told(kind, line, message):
    with pytest.raises(ValueError) as caught:
        read(kind, line)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("line", "route"),
    [
        ("default", Route(4, 254, "default", scope=253)),
        ("to 10/8 oif eth1", Route(4, 254, "10.0.0.0/8", dev="eth1", scope=253)),
        ("default via inet 10.0.0.1", Route(4, 254, "default", via="10.0.0.1")),
        ("local 10.0.0.1 dev lo", Route(4, 254, "10.0.0.1", "local", dev="lo", scope=254)),
        ("nat 10.0.0.1", Route(4, 254, "10.0.0.1", "nat", scope=254)),
        ("broadcast 10.0.0.1", Route(4, 254, "10.0.0.1", "broadcast", scope=253)),
        ("multicast 224.0.0.0/4", Route(4, 254, "224.0.0.0/4", "multicast", scope=253)),
        ("anycast 10.0.0.1", Route(4, 254, "10.0.0.1", "anycast", scope=253)),
        ("blackhole default", Route(4, 254, "default", "blackhole")),
        ("throw default t gateway1", Route(4, 201, "default", "throw")),
        (
            "default dev eth1 proto 186 priority 010",
            Route(4, 254, "default", dev="eth1", metric=8, scope=253, protocol=186),
        ),
        (
            "default dev eth1 proto bgp",
            Route(4, 254, "default", dev="eth1", scope=253, protocol=-1),
        ),
        (
            "default dev eth1 proto 256",
            Route(4, 254, "default", dev="eth1", scope=253, protocol=-1),
        ),
        (
            "default dev eth1 dsfield 0x10 tos 4",
            Route(
                4, 254, "default", dev="eth1", scope=253, other=(("tos", "0x10"), ("tos", "0x4"))
            ),
        ),
        (
            "default via 10.0.0.1 onlink mtu lock 1400",
            Route(4, 254, "default", via="10.0.0.1", onlink=True, other=(("mtu", "lock 1400"),)),
        ),
        (
            "default dev eth1 advmss lock 9 pref high",
            Route(
                4,
                254,
                "default",
                dev="eth1",
                scope=253,
                other=(("advmss", "lock 9"), ("pref", "high")),
            ),
        ),
        (
            "default nexthop via 10.0.0.2 dev b onlink nexthop dev a weight 256 src 10.0.0.9",
            Route(
                4,
                254,
                "default",
                src="10.0.0.9",
                nexthops=(Nexthop("10.0.0.2", "b", 1, True), Nexthop(None, "a", 256)),
            ),
        ),
        (
            "default nexthop via 10.0.0.2 dev b weight 9 onlink",
            Route(4, 254, "default", via="10.0.0.2", dev="b", onlink=True),
        ),
    ],
)
def test_a_line_of_ip_route_means(line, route):
    assert read("routes", line) == route


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("not", Rule(4, None, invert=True)),
        ("dev eth0 oif eth1 ta 7", Rule(4, None, 7, iif="eth0", oif="eth1")),
        ("type prohibit pri 5", Rule(4, 5, action="prohibit")),
        ("nop pref 010", Rule(4, 8, action="nop")),
        ("goto 5", Rule(4, None, action="goto 5")),
        ("l3mdev realms 3", Rule(4, None, other=(("l3mdev", ""), ("realms", "3")))),
        (
            "tos 10 ipproto udp sport 53 dport 80-90 uidrange 1-2",
            Rule(4, None, tos=16, ipproto=17, sport="53", dport="80-90", uidrange="1-2"),
        ),
        (
            "sup_group 7 sup_pl 0 table main",
            Rule(4, None, 254, suppress_prefixlength=0, other=(("suppress_ifgroup", "7"),)),
        ),
        (
            "to 10.1/16 lookup gateway1 proto static",
            Rule(4, None, 201, to="10.1.0.0/16", protocol=4),
        ),
    ],
)
def test_a_line_of_ip_rule_means(line, rule):
    assert read("rules", line) == rule


@pytest.mark.parametrize("kind", ["routes", "rules"])
def test_a_prefix_of_ipv4_is_refused_in_a_line_of_ipv6(kind):
    with pytest.raises(ValueError, match=r"^'10\.0\.0\.0/8' is not an IPv6 prefix$"):
        read(kind, "to 10.0.0.0/8", 6)


LOCKABLE = """
mtu hoplimit advmss rtt rttvar reordering window cwnd initcwnd initrwnd quickack congctl ssthresh
""".split()
PLAIN = (
    "from expires preference rto_min encap ttl-propagate features realms vrf pref nhid tos".split()
)


# As `ip -json` has it, so that what a line says is what the kernel holds.
CANONICAL = {"from": "5.0.0.0", "tos": "0x5"}


@pytest.mark.parametrize("word", sorted({*LOCKABLE, *PLAIN} - {"mtu", "preference"}))
def test_a_word_of_ip_route_that_the_pillar_does_not_know_is_kept_with_its_value(word):
    assert read("routes", f"default dev eth1 {word} 5").other == ((word, CANONICAL.get(word, "5")),)


@pytest.mark.parametrize("word", LOCKABLE)
def test_a_metric_of_a_route_may_be_locked(word):
    assert read("routes", f"default dev eth1 {word} lock 5").other == ((word, "lock 5"),)


@pytest.mark.parametrize("word", "suppress_ifgroup tun_id realms dscp flowlabel".split())
def test_a_word_of_ip_rule_that_the_pillar_does_not_know_is_kept_with_its_value(word):
    assert read("rules", f"{word} 5 table 7").other == ((word, "5"),)


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("d", "tos"),
        ("r", "reordering"),
        ("w", "window"),
        ("c", "cwnd"),
        ("co", "congctl"),
        ("i", "initcwnd"),
        ("initr", "initrwnd"),
        ("f", "features"),
        ("q", "quickack"),
        ("rt", "rttvar"),
        ("s", "ssthresh"),
        ("rea", "realms"),
        ("v", "vrf"),
        ("pref", "pref"),
    ],
)
def test_a_word_of_ip_route_may_be_cut_as_iproute2_takes_it(short, whole):
    said = read("routes", f"default dev eth1 {short} 5").other
    assert said == ((whole, CANONICAL.get(whole, "5")),)


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("metric", "metric"),
        ("m", "metric"),
        ("p", "metric"),
        ("preference", "metric"),
        ("pro", "protocol"),
        ("t", "table"),
    ],
)
def test_a_word_of_ip_route_that_the_pillar_knows_may_be_cut_too(short, whole):
    assert getattr(read("routes", f"default dev eth1 {short} 5"), whole) == 5


@pytest.mark.parametrize(
    ("short", "fields"),
    [
        ("p 5", {"priority": 5}),
        ("o 5", {"priority": 5}),
        ("pri 5", {"priority": 5}),
        ("d 8", {"tos": 8}),
        ("r 5", {"other": (("realms", "5"),)}),
        ("pro 5", {"protocol": 5}),
        ("t 5", {"other": (("tun_id", "5"),)}),
        ("ta 5", {"table": 5}),
        ("s 0", {"suppress_prefixlength": 0}),
        ("suppress_i 5", {"other": (("suppress_ifgroup", "5"),)}),
        ("g 5", {"action": "goto 5"}),
        ("n", {"action": "nop"}),
        ("type nop", {"action": "nop"}),
        ("type goto 5", {"action": "goto 5"}),
        ("type unreachable", {"action": "unreachable"}),
    ],
)
def test_a_word_of_ip_rule_may_be_cut_as_iproute2_takes_it(short, fields):
    assert read("rules", f"from 10.0.0.1 {short}") == Rule(
        4, **{"priority": None, "src": "10.0.0.1", **fields}
    )


def test_words_that_must_be_whole_are_no_actions_when_cut():
    with pytest.raises(ValueError, match=r"^'look' is not an action; write one of lookup, "):
        read("rules", "from 10.0.0.1 look 7")


def test_a_line_of_ipv6_means():
    assert read("routes", "default via 2001:db8::1", 6) == Route(
        6, 254, "default", via="2001:db8::1", metric=1024
    )
    assert read("routes", "local ::1 dev lo metric 0", 6).metric == 1024
    assert read("rules", "from 2001:db8::/32 table 7", 6) == Rule(6, None, 7, src="2001:db8::/32")


@pytest.mark.parametrize(
    ("line", "family", "command"),
    [
        (
            "default via 10.0.0.1 dev eth1 table 7",
            4,
            "default via 10.0.0.1 dev eth1 scope 0 proto 3 table 7",
        ),
        (
            "10.0.0.0/8 dev eth1 src 10.0.0.2 metric 5 mtu 1400 proto 4 table 7",
            4,
            "10.0.0.0/8 dev eth1 src 10.0.0.2 metric 5 mtu 1400 scope 253 proto 4 table 7",
        ),
        (
            "blackhole default metric 9 advmss 5 table 7",
            4,
            "blackhole default metric 9 scope 0 proto 3 advmss 5 table 7",
        ),
        (
            "default via 10.0.0.1 dev eth1 onlink table 7",
            4,
            "default via 10.0.0.1 dev eth1 scope 0 proto 3 table 7",
        ),
        (
            "default nhid 5 via 10.0.0.1 dev eth1 onlink table 7",
            4,
            "default scope 0 proto 3 nhid 5 table 7",
        ),
        (
            "default table 7 nexthop via 10.0.0.1 dev a onlink nexthop via 10.0.0.2 dev b weight 5",
            4,
            "default scope 0 proto 3 table 7 nexthop via 10.0.0.1 dev a nexthop via 10.0.0.2 dev b "
            "weight 5",
        ),
        ("::/0 dev eth1 table 7", 6, "::/0 dev eth1 metric 1024 proto 3 table 7"),
        (
            "default via 2001:db8::1 dev eth1 table 7",
            6,
            "default via 2001:db8::1 dev eth1 metric 1024 proto 3 table 7",
        ),
    ],
)
def test_a_route_is_deleted_by_what_tells_it_from_its_likes(line, family, command):
    assert " ".join(iproute2.route_delete_words(read("routes", line, family))) == command


def test_a_shared_next_hop_is_named_by_its_id_only():
    route = read("routes", "default nhid 5 via 10.0.0.1 dev eth1 onlink table 7")
    assert words(route) == "default nhid 5 table 7"
    legs = (Nexthop("10.0.0.1", "eth1"), Nexthop("10.0.0.2", "eth2"))
    several = changed(route, via=None, dev=None, onlink=False, nexthops=legs)
    assert words(several) == "default nhid 5 table 7"


@pytest.mark.parametrize(
    ("item", "numbered", "named"),
    [
        (
            Route(4, 201, "default", dev="eth1", scope=200, protocol=16),
            "default dev eth1 scope 200 proto 16 table 201",
            "default dev eth1 scope site proto dhcp table gateway1",
        ),
        (
            Route(4, 201, "default", dev="eth1", scope=7, protocol=99),
            "default dev eth1 scope 7 proto 99 table 201",
            "default dev eth1 scope 7 proto 99 table gateway1",
        ),
        (
            Rule(4, 5, 201, protocol=2),
            "from all table 201 protocol 2 priority 5",
            "from all table gateway1 protocol kernel priority 5",
        ),
        (
            Rule(4, 5, 201, protocol=99),
            "from all table 201 protocol 99 priority 5",
            "from all table gateway1 protocol 99 priority 5",
        ),
    ],
)
def test_names_are_written_with_the_name_of_the_table_only(item, numbered, named):
    assert (iproute2.text(item), iproute2.text(item, "gateway1")) == (numbered, named)


@pytest.mark.parametrize(
    "selector",
    [
        *("to 10.0.0.1", "iif eth0", "oif eth0", "fwmark 0x1", "tos 0x10", "ipproto 6"),
        *("sport 53", "dport 53", "uidrange 1-2"),
    ],
)
def test_from_all_is_written_where_nothing_else_selects(selector):
    line = f"{selector} table 7 priority 5"
    assert words(read("rules", line)) == line
    assert words(read("rules", f"from all {line}")) == line


@pytest.mark.parametrize(
    ("kind", "line", "table"),
    [
        ("route", "default table 5", "5"),
        ("route", "onlink table 5", "5"),
        ("route", "via table table 5", "5"),
        ("route", "nexthop via 10.0.0.1 table 5", "5"),
        ("route", "10.0.0.0/8 table", None),
        ("rule", "not table 5", "5"),
        ("rule", "l3mdev table 5", "5"),
        ("rule", "nop table 5", "5"),
        ("rule", "iif table", None),
        ("rule", "garbage lookup 5", "5"),
    ],
)
def test_the_table_of_a_line_is_the_value_of_that_word(kind, line, table):
    assert iproute2.table_word(line.split(), kind) == table


def test_the_id_of_a_table_is_its_names_or_itself():
    assert iproute2.table_id("gateway1", TABLES) == 201
    assert iproute2.table_id("0xc9", TABLES) == 201
    assert iproute2.table_id("nowhere", TABLES) is None
    assert iproute2.table_id("4294967296", TABLES) is None
    assert iproute2.table_id(None, TABLES) is None


# --- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", JSON["rules"], ids=lambda case: case["line"])
def test_rule_in_json_equals_its_line(case):
    family = case.get("family", 4)
    rule = iproute2.rule_from_json(case["json"], family)
    assert rule == iproute2.rule_from_words(case["line"].split(), family, {})
    assert rule == iproute2.rule_from_words(iproute2.rule_words(rule), family, {})


@pytest.mark.parametrize("case", JSON["routes"], ids=lambda case: case["line"])
def test_route_in_json_equals_its_line(case):
    family = case.get("family", 4)
    route = iproute2.route_from_json({"table": "9", **case["json"]}, family)
    assert route == iproute2.route_from_words(case["line"].split(), family, {})
    assert route == iproute2.route_from_words(iproute2.route_words(route), family, {})


@pytest.mark.parametrize("case", JSON["foreign rules"], ids=lambda case: case["line"])
def test_foreign_rule_in_json_can_be_put_back(case):
    rule = iproute2.rule_from_json(case["json"], 4)
    assert rule == iproute2.rule_from_words(case["line"].split(), 4, {})
    assert iproute2.rule_from_words(iproute2.rule_words(rule), 4, {}) == rule


def test_what_the_kernel_tells_beside_a_route_is_no_part_of_it():
    entry = {"dst": "default", "dev": "eth1", "table": "7", "pref": "medium"}
    more = dict.fromkeys("expires used users age error cache uid nh_info".split(), 7)
    plain = Route(6, 7, "default", dev="eth1", metric=1024)
    assert iproute2.route_from_json({**entry, **more}, 6) == plain
    high = iproute2.route_from_json({**entry, "pref": "high", "oddity": None}, 6)
    assert high == changed(plain, other=(("oddity", ""), ("pref", "high")))


def test_a_route_in_json_with_all_that_it_can_say():
    entry = {
        "dst": "default",
        "type": "1",
        "gateway": "10.0.0.1",
        "dev": "eth1",
        "prefsrc": "10.0.0.2",
    }
    entry |= {"metric": 5, "scope": "200", "flags": ["onlink"], "protocol": "4", "table": "7"}
    entry |= {"metrics": [{"mtu": 1400, "advmss": 9}]}
    assert iproute2.route_from_json(entry, 4) == Route(
        4,
        7,
        "default",
        via="10.0.0.1",
        dev="eth1",
        src="10.0.0.2",
        metric=5,
        scope=200,
        mtu=1400,
        onlink=True,
        protocol=4,
        other=(("advmss", "9"),),
    )
    locked = iproute2.route_from_json({**entry, "metrics": [{"mtu": "lock 1400"}]}, 4)
    assert (locked.mtu, locked.other) == (None, (("mtu", "lock 1400"),))
    via = {"family": "inet6", "host": "fe80::1"}
    assert iproute2.route_from_json({**entry, "via": via}, 4).other[-1] == ("via", "inet6 fe80::1")


@pytest.mark.parametrize(
    ("kind", "dev"),
    [("6", None), ("7", None), ("8", None), ("1", "lo"), ("2", "lo"), ("9", "lo")],
)
def test_routes_that_refuse_hang_on_no_interface(kind, dev):
    entry = {"dst": "default", "type": kind, "dev": "lo", "table": "7"}
    assert iproute2.route_from_json(entry, 6).dev == dev


def test_a_type_that_nobody_knows_is_kept_as_its_number():
    assert iproute2.route_from_json({"dst": "default", "type": "77", "table": 7}, 4).type == "77"


def test_legs_in_json():
    hops = [{"gateway": "10.0.0.2", "dev": "b", "weight": 5, "flags": ["onlink"]}, {"dev": "a"}]
    route = iproute2.route_from_json({"dst": "default", "table": 7, "nexthops": hops}, 4)
    assert route.nexthops == (Nexthop("10.0.0.2", "b", 5, True), Nexthop(dev="a"))


def test_a_leg_into_a_tunnel_is_shown_as_one():
    hops = [{"dev": "a", "encap": "ip"}, {"gateway": "10.0.0.2", "dev": "b"}]
    route = iproute2.route_from_json({"dst": "default", "table": 7, "nexthops": hops}, 4)
    legs = "nexthop encap ip dev a nexthop via 10.0.0.2 dev b"
    assert iproute2.text(route) == f"default table 7 {legs}"
    shown = iproute2.route_dict(route, {})["nexthops"]
    assert shown == [
        {"dev": "a", "weight": 1, "encap": "ip"},
        {"via": "10.0.0.2", "dev": "b", "weight": 1},
    ]


def test_the_tunnel_of_a_next_hop_that_is_an_object_is_not_the_routes():
    entry = {"dst": "default", "table": 7, "dev": "a", "nhid": 7, "encap": "ip"}
    assert iproute2.route_from_json(entry, 4).other == (("nhid", "7"),)


@pytest.mark.parametrize(
    ("entry", "fields"),
    [
        ({}, {}),
        ({"src": "default", "dst": "all"}, {}),
        (
            {"src": "10.0.0.0", "srclen": 8, "dst": "10.1.0.1"},
            {"src": "10.0.0.0/8", "to": "10.1.0.1"},
        ),
        ({"dst": "10.1.0.0", "dstlen": 16}, {"to": "10.1.0.0/16"}),
        ({"fwmark": "0x1"}, {"fwmark": "0x1"}),
        ({"fwmark": "0", "fwmask": "0xff"}, {"fwmark": "0/0xff"}),
        ({"ipproto": "ipproto-6"}, {"ipproto": 6}),
        ({"sport": 53, "dport_start": 1, "dport_end": 2}, {"sport": "53", "dport": "1-2"}),
        ({"sport_start": 1, "sport_end": 2, "dport": 53}, {"sport": "1-2", "dport": "53"}),
        ({"uid_start": 1, "uid_end": 2}, {"uidrange": "1-2"}),
        ({"goto": 7, "unresolved": None}, {"action": "goto 7"}),
        ({"nop": None}, {"action": "nop"}),
        ({"action": "8"}, {"action": "prohibit"}),
        ({"action": "77"}, {"action": "77"}),
        ({"not": None, "table": "7", "tos": "0x10"}, {"invert": True, "table": 7, "tos": 16}),
        (
            {"iif": "a", "iif_detached": None, "oif": "b", "oif_detached": None},
            {"iif": "a", "oif": "b"},
        ),
        ({"suppress_prefixlen": 0, "protocol": "4"}, {"suppress_prefixlength": 0, "protocol": 4}),
        ({"flow_to": 3}, {"other": (("realms", "3"),)}),
        ({"flow_from": 2, "flow_to": 3}, {"other": (("realms", "2/3"),)}),
        ({"l3mdev": None, "dscp": 7}, {"other": (("dscp", "7"), ("l3mdev", ""))}),
    ],
)
def test_a_rule_in_json_means(entry, fields):
    assert iproute2.rule_from_json({"priority": 5, **entry}, 4) == Rule(4, 5, **fields)


# --- round trips --------------------------------------------------------------------------------


@given(rules())
def test_rule_survives_its_words(rule):
    assert iproute2.rule_from_words(iproute2.rule_words(rule), rule.family, {}) == rule


@given(rules())
def test_rule_survives_its_words_with_the_name_of_its_table(rule):
    named = rule._replace(table=201) if rule.table else rule
    assert (
        iproute2.rule_from_words(iproute2.rule_words(named, "gateway1"), rule.family, TABLES)
        == named
    )


@given(routes())
def test_route_survives_its_words(route):
    assert iproute2.route_from_words(iproute2.route_words(route), route.family, {}) == route


@given(routes())
def test_canonical_twice_is_canonical(route):
    assert model.canonical(route) == route


@given(st.sampled_from(["rule", "route"]), st.lists(st.text(min_size=1), max_size=6), FAMILIES)
def test_reading_any_words_gives_an_item_or_a_value_error(kind, line, family):
    reader = iproute2.rule_from_words if kind == "rule" else iproute2.route_from_words
    try:
        reader(line, family, {})
    except ValueError as err:
        assert str(err)


VOCABULARY = sorted(
    {word for _, case in LINES for word in case["line"].split()}
    | {"lookup", "pref", "nexthop", "weight", "onlink", "advmss", "lock", "nhid", "l3mdev", "vrf"}
)


@settings(max_examples=300)
@given(st.sampled_from(["rule", "route"]), st.lists(st.sampled_from(VOCABULARY), max_size=9))
def test_what_was_read_is_written_and_read_as_the_same(kind, line):
    reader = iproute2.rule_from_words if kind == "rule" else iproute2.route_from_words
    try:
        item = reader(line, 4, TABLES)
    except ValueError:
        return
    if item.table == 0:
        return  # table 0 asks for main; nobody owns either
    assert reader(words(item).split(), 4, TABLES) == item


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("10.0.0.0/8", (4, "10.0.0.0/8")),
        ("10.0.0.0/255.0.0.0", (4, "10.0.0.0/8")),
        ("10.0.0.1", (4, "10.0.0.1")),
        ("10.0.0.1/32", (4, "10.0.0.1")),
        ("0.0.0.0/0", (4, "default")),
        ("::/0", (6, "default")),
        ("2001:DB8::/32", (6, "2001:db8::/32")),
        ("2001:db8:0:0::1/128", (6, "2001:db8::1")),
        ("::ffff:10.0.0.1", (6, "::ffff:10.0.0.1")),
    ],
)
def test_prefix_is_normalised(text, prefix):
    assert values.parse_prefix(text) == prefix


ODD = [
    (6, text) for text in ("::1.2.3.4", "::ffff:1.2.3.4", "::ffff:0:0", "::2", "1:0:0:2:0:0:0:3")
]


@given(
    FAMILIES.flatmap(lambda v: st.tuples(st.just(v), st.ip_addresses(v=v))) | st.sampled_from(ODD)
)
def test_address_is_written_as_the_kernel_prints_it(pair):
    family, text = pair[0], str(pair[1])
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    printed = socket.inet_ntop(kind, socket.inet_pton(kind, text))
    assert values.parse_address(text) == (family, printed)


BAD_VALUES = [
    (
        values.parse_prefix,
        ["", "/", "10", "10/8", "10.0.0.1/8", "10.0.0.0/33", "x", "::/129", "1.1.1.1/ 8"],
    ),
    (values.parse_prefix, ["10.0.0.0/08x", "10.0.0.0/+8", "default", "10.0.0.0/٨", "fe80::1%eth0"]),
    (
        values.parse_address,
        ["", "1", "1.2.3", "1.2.3.4.5", "1.2.3.4/32", "::1::", "01.2.3.4", "\0"],
    ),
    (values.parse_interface, ["10.0.0.1", "10.0.0.1/", "10.0.0.1/-1", "10.0.0.1/33", "::1/129"]),
    (
        values.parse_device,
        ["", ".", "..", "a b", "a/b", "a:b", "a\n", "-a", "é", "a" * 16, None, 1],
    ),
    (values.parse_fwmark, [0, -1, 2**32, True, None, "", "1/0", "2/1", "x", 1.0, "1/2/3", "0x"]),
    (values.parse_tos, [0, 1, 2, 3, 5, 0x20, 256, -4, True, None, "4.0", [], "lowdelay"]),
    (values.parse_ipproto, [0, 256, -1, True, None, [], "nosuchproto", "", "tcp "]),
    (values.parse_ports, [0, 65535, -1, True, None, "", "-", "1-", "-1", "2-1", "1-2-3", 80.0, []]),
    (values.parse_uidrange, [-1, 2**32 - 1, True, None, "", "-", "2-1", "1-4294967295", "root"]),
    (values.parse_scope, [-1, 256, True, None, "", "universe", [], 1.0]),
    (
        values.parse_action,
        ["", None, "drop", "goto", "goto 0", "goto -1", "goto 4294967296", "goto 1 2"],
    ),
]


@pytest.mark.parametrize(
    ("parse", "value"),
    [
        pytest.param(parse, value, id=f"{parse.__name__}({value!r})")
        for parse, values in BAD_VALUES
        for value in values
    ],
)
def test_bad_value_is_a_value_error_that_shows_it(parse, value):
    with pytest.raises(ValueError, match=r"\w \w"):
        parse(value)


LIMITS = [
    (values.parse_fwmark, 1, "0x1"),
    (values.parse_fwmark, numbers.U32, "0xffffffff"),
    (values.parse_fwmark, "0xFFFFFFFF/0xffffffff", "0xffffffff"),
    (values.parse_fwmark, "0/1", "0/0x1"),
    (values.parse_tos, "0x1c", 28),
    (values.parse_ipproto, 1, 1),
    (values.parse_ipproto, "255", 255),
    (values.parse_ipproto, "SCTP", 132),
    (values.parse_ports, 1, "1"),
    (values.parse_ports, "65534", "65534"),
    (values.parse_ports, "1-65534", "1-65534"),
    (values.parse_ports, "80-80", "80"),
    (values.parse_uidrange, 0, "0-0"),
    (values.parse_uidrange, "0-4294967294", "0-4294967294"),
    (values.parse_scope, "link", 253),
    (values.parse_scope, 255, 255),
    (values.parse_action, "goto 4294967295", "goto 4294967295"),
    (values.parse_action, "goto  01", "goto 1"),
    (values.parse_device, "a" * 15, "a" * 15),
]


@pytest.mark.parametrize(("parse", "value", "expected"), LIMITS)
def test_value_at_its_limit_is_good(parse, value, expected):
    assert parse(value) == expected


@given(marks())
def test_parsing_a_mark_twice_changes_nothing(mark):
    assert values.parse_fwmark(mark) == mark


@given(FAMILIES.flatmap(prefixes))
def test_parsing_a_prefix_twice_changes_nothing(prefix):
    assert values.parse_prefix(prefix)[1] == prefix


@given(ranges(1, 65534))
def test_parsing_ports_twice_changes_nothing(ports):
    assert values.parse_ports(values.parse_ports(ports)) == values.parse_ports(ports)


@given(ranges(0, numbers.U32 - 1))
def test_parsing_uids_twice_changes_nothing(uids):
    assert values.parse_uidrange(uids) == uids


@given(st.integers(1, 255))
def test_name_of_a_protocol_reads_as_its_number(number):
    assert values.parse_ipproto(values.ipproto_name(number)) == number


@given(st.sampled_from([parse for parse, _ in BAD_VALUES]), st.text() | st.integers() | st.none())
def test_parsing_anything_gives_a_value_or_a_value_error(parse, value):
    if not isinstance(value, str) and parse in (values.parse_prefix, values.parse_interface):
        value = str(value)
    try:
        once = parse(value)
    except ValueError:
        return
    again = {values.parse_address: 1, values.parse_prefix: 1}.get(parse)
    if parse is not values.parse_interface and once not in ((4, "default"), (6, "default")):
        assert parse(once[again] if again else once) == once


# --- for people ---------------------------------------------------------------------------------


@given(rules())
def test_rule_for_people_names_its_table_and_is_plain(rule):
    shown = iproute2.rule_dict(rule, {rule.table: "mine"} if rule.table else {})
    assert json.loads(json.dumps(shown)) == shown
    assert shown.get("table") == ("mine" if rule.table else None)
    assert shown["priority"] == rule.priority


@given(routes())
def test_route_for_people_names_its_table_and_is_plain(route):
    shown = iproute2.route_dict(route, {route.table: "mine"})
    assert json.loads(json.dumps(shown)) == shown
    assert (shown["table"], shown["to"]) == ("mine", route.to)


def test_a_rule_for_people():
    line = (
        "not from 10.0.0.0/8 to 10.1.0.0/16 iif a oif b fwmark 0x1 tos 0x10 ipproto 6 sport 1 "
        "dport 2-3 uidrange 4-5 table 201 suppress_prefixlength 0 protocol 4 priority 6"
    )
    rule = changed(read("rules", line), other=(("realms", "3"),))
    assert iproute2.rule_dict(rule, {201: "gateway1"}) == {
        "family": 4,
        "priority": 6,
        "from": "10.0.0.0/8",
        "to": "10.1.0.0/16",
        "iif": "a",
        "oif": "b",
        "fwmark": "0x1",
        "tos": "0x10",
        "ipproto": "tcp",
        "sport": "1",
        "dport": "2-3",
        "uidrange": "4-5",
        "not": True,
        "suppress_prefixlength": 0,
        "action": "lookup",
        "table": "gateway1",
        "protocol": "static",
        "realms": "3",
    }
    assert iproute2.rule_dict(Rule(6, 5, action="goto 7", protocol=99), {}) == {
        "family": 6,
        "priority": 5,
        "from": "all",
        "action": "goto 7",
        "protocol": "99",
    }
    assert iproute2.rule_dict(Rule(4, 5, 7), {})["table"] == 7


def test_a_route_for_people():
    line = "10.0.0.0/8 via 10.0.0.1 dev a src 10.0.0.2 metric 5 mtu 1400 onlink advmss 9 table 201"
    assert iproute2.route_dict(read("routes", line), {201: "gateway1"}) == {
        "family": 4,
        "table": "gateway1",
        "to": "10.0.0.0/8",
        "type": "unicast",
        "via": "10.0.0.1",
        "dev": "a",
        "src": "10.0.0.2",
        "metric": 5,
        "scope": "global",
        "mtu": 1400,
        "onlink": True,
        "protocol": "boot",
        "advmss": "9",
    }
    legs = "default table 7 nexthop via 10.0.0.1 dev a onlink nexthop dev b weight 2"
    shown = iproute2.route_dict(read("routes", legs), {})
    assert shown["nexthops"] == [
        {"via": "10.0.0.1", "dev": "a", "weight": 1, "onlink": True},
        {"dev": "b", "weight": 2},
    ]
    assert (shown["table"], "metric" in shown, "onlink" in shown) == (7, False, False)
    assert "scope" not in iproute2.route_dict(Route(6, 7, "default", dev="a"), {})


@pytest.mark.parametrize(
    ("number", "name"), [(6, "tcp"), (58, "ipv6-icmp"), (1, "icmp"), (99, "99"), (253, "253")]
)
def test_the_name_of_an_ip_protocol(number, name):
    assert values.ipproto_name(number) == name


@pytest.mark.parametrize(("number", "name"), [(0, "unspec"), (3, "boot"), (9, "ra"), (99, "99")])
def test_the_name_of_a_routing_protocol(number, name):
    assert iproute2.protocol_name(number) == name


# --- addresses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "other", "held"),
    [
        ("192.168.1.220/24", "192.168.1.254", True),
        ("192.168.1.220/24", "192.168.2.1", False),
        ("192.168.1.220/24", "::ffff:192.168.1.1", False),
        ("192.168.1.220/32", "192.168.1.220", True),
        ("2001:db8::1/64", "2001:db8::ffff", True),
        ("2001:db8::1/64", "0.0.0.1", False),
    ],
)
def test_an_address_knows_what_lies_in_its_network(own, other, held):
    assert values.Address(*values.parse_interface(own)).holds(other) is held


@pytest.mark.parametrize("address", ["fe80::1", "fe8f::1", "fe90::1", "febf:ffff::1"])
def test_link_local_is_all_of_fe80_10(address):
    assert values.is_link_local(address)


@pytest.mark.parametrize("address", ["fec0::1", "fe00::1", "2001:db8::fe80", "169.254.1.1", "::"])
def test_nothing_else_is_link_local(address):
    assert not values.is_link_local(address)
