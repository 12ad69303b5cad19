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
from multihoming_model import Route
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
