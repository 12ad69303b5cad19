"""The pillar, checked: every bad input is named with its key and a remedy, and none raises."""

from __future__ import annotations

import copy
import json
import re
from collections import OrderedDict
from datetime import date
from pathlib import Path
from types import MappingProxyType

import multihoming_config as config
import multihoming_model as model
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
BASE = {
    "tables": {"gateway1": 201},
    "interfaces": {"eth1": {"table": "gateway1", "gateway": "192.168.1.254"}},
}
CASES = yaml.safe_load((HERE / "data/bad_pillars.yaml").read_text())
ROUTE, RULE = "interfaces.eth1.routes[0]", "interfaces.eth1.rules[0]"

# What a message has to contain to count as help.
REMEDY = re.compile(
    r"\b(write|remove|add|give|choose|move|start with|did you mean|known keys are|are allowed)\b"
    r"|from [0-9]+ to [0-9]+"
)


def merged(base, change):
    """Return ``base`` with ``change`` merged into it."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    return {
        **base,
        **{
            key: merged(base[key], value) if key in base else value for key, value in change.items()
        },
    }


def pillar_of(case):
    """Return (pillar, the key that the keys in ``says`` are relative to)."""
    if "pillar" in case:
        return case["pillar"], ""
    if "merge" in case:
        return merged(BASE, case["merge"]), ""
    if "route" in case:
        return with_interface({"routes": [case["route"]]}), ROUTE
    if "rule" in case:
        return with_interface({"rules": [case["rule"]]}), RULE
    return with_interface(case["interface"]), ""


def with_interface(change):
    return merged(BASE, {"interfaces": {"eth1": change}})


def errors_of(pillar):
    return config.parse(pillar)[1]


def well_put(message):
    """Tell whether a message is one short line that names a key and a remedy."""
    return message.isprintable() and bool(REMEDY.search(message)) and 0 < message.find(": ") < 200


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{group}: {case['name']}")
        for group, cases in CASES.items()
        for case in cases
    ],
)
def test_bad_input_is_named_with_its_remedy(case):
    pillar, start = pillar_of(case)
    errors = errors_of(pillar)
    expected = {
        f"{start}.{key}".strip(".") if start else key: words for key, words in case["says"].items()
    }
    assert len(errors) == len(expected), errors
    for key, words in expected.items():
        (message,) = [error for error in errors if error.startswith(f"{key}: ")] or [str(errors)]
        assert message.startswith(f"{key}: ")
        assert [word for word in words if word not in message] == [], message
        assert well_put(message), message


def test_all_errors_of_a_pillar_come_together():
    pillar = {
        "tables": {"gateway1": 254, "a/b": 5, "gateway2": 202},
        "interfaces": {
            "eth1": {"table": "gateway1", "gateway": "224.0.0.1", "adresses": []},
            "eth 2": {"table": "gateway2", "addresses": ["10.0.0.1/40"], "onlink": "yes"},
            "eth3": {"table": "gateway2", "routes": [{}, {"to": "x"}], "rules": [{"sport": 0}]},
            "eth4": None,
        },
        "priority": 0,
        "sysctl": {"net.ipv4.ip_forward": True},
        "backend": "nmstate",
        "sysctls": {},
    }
    assert sorted(error.split(": ")[0] for error in errors_of(pillar)) == [
        "backend",
        "interfaces.eth 2",
        "interfaces.eth 2.addresses",
        "interfaces.eth 2.onlink",
        "interfaces.eth1.adresses",
        "interfaces.eth1.gateway",
        "interfaces.eth3.routes[0]",
        "interfaces.eth3.routes[1].to",
        "interfaces.eth3.rules[0].sport",
        "interfaces.eth3.table",
        "interfaces.eth4",
        "priority",
        "sysctl.net.ipv4.ip_forward",
        "sysctls",
        "tables.a/b",
        "tables.gateway1",
    ]


def test_what_is_good_is_kept_beside_errors():
    pillar = merged(BASE, {"tables": {"gateway2": 0}, "interfaces": {"eth2": None}})
    wanted, errors = config.parse(pillar)
    assert len(errors) == 2
    assert wanted.tables == {"gateway1": 201}
    assert list(wanted.interfaces) == ["eth1"]


# --- wrong types everywhere -------------------------------------------------------------------

SAMPLES = {
    "null": [None],
    "boolean": [True, False],
    "number": [7],
    "float": [1.5, float("nan"), float("inf")],
    "string": ["no such thing", ""],
    "list": [["no such thing"], [[]], [None]],
    "dictionary": [{"no such thing": 1}, {}],
}
FULL = {
    "tables": {"gateway1": 201},
    "interfaces": {
        "eth1": {
            "table": "gateway1",
            "addresses": ["192.168.1.220/24"],
            "gateway": "192.168.1.254",
            "onlink": False,
            "priority": 20100,
            "optional": True,
            "routes": [
                {
                    "to": "10.0.0.0/8",
                    "via": "192.168.1.1",
                    "src": "192.168.1.220",
                    "metric": 5,
                    "scope": "global",
                    "mtu": 1400,
                    "onlink": True,
                    "type": "unicast",
                },
                {"to": "default", "nexthops": [{"via": "192.168.1.1", "dev": "eth1", "weight": 2}]},
            ],
            "rules": [
                {
                    "from": "10.0.0.0/8",
                    "to": "172.16.0.0/12",
                    "iif": "eth0",
                    "oif": "eth1",
                    "fwmark": "0x1/0xff",
                    "tos": 16,
                    "ipproto": "tcp",
                    "sport": 80,
                    "dport": "8000-8010",
                    "uidrange": "1000-1999",
                    "not": False,
                    "suppress_prefixlength": 0,
                    "priority": 20050,
                    "action": "lookup",
                }
            ],
        }
    },
    "priority": 20000,
    "sysctl": {"net.ipv4.ip_forward": 1},
    "backend": "auto",
}
# Kinds with a meaning of their own, which some other test looks at.
_NUMBERS = {"number"}
MEANINGFUL = {
    ("default_gateway",): set(SAMPLES),
    ("priority",): _NUMBERS,
    ("tables",): {"dictionary"},
    ("interfaces",): {"dictionary"},
    ("sysctl",): {"dictionary"},
    ("sysctl", "net.ipv4.ip_forward"): _NUMBERS | {"string"},
    ("tables", "gateway1"): _NUMBERS,
    ("interfaces", "eth1"): {"dictionary"},
}
_BY_KEY = {
    "onlink": {"boolean"},
    "optional": {"boolean"},
    "not": {"boolean"},
    **dict.fromkeys(("priority", "metric", "weight", "fwmark", "ipproto"), _NUMBERS),
    **dict.fromkeys(("sport", "dport", "uidrange", "suppress_prefixlength", "scope"), _NUMBERS),
}
_ACCEPTS_EMPTY_LIST = ("routes", "rules")


def places(value, path=()):
    """Yield the path of everything in a pillar."""
    if path:
        yield path
    items = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, child in items:
        yield from places(child, (*path, key))


def replaced(value, path, new):
    """Return a copy of a pillar with what stands at ``path`` replaced."""
    value = copy.deepcopy(value)
    place = value
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = new
    return value


def shown(path):
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def wrong_values():
    for path in places(FULL):
        fine = MEANINGFUL.get(path, _BY_KEY.get(path[-1], set()))
        for kind, values in SAMPLES.items():
            if kind not in fine:
                for value in values:
                    yield pytest.param(path, value, id=f"{shown(path)}={value!r}")


@pytest.mark.parametrize(("path", "value"), list(wrong_values()))
def test_wrong_type_is_an_error_of_that_key(path, value):
    errors = errors_of(replaced(FULL, path, value))
    place = shown(path)
    # Members of a plain list are named by the list.
    owner = shown(path[:-1]) if path[-2:-1] == ("addresses",) else place
    assert [error for error in errors if error.startswith(owner)], errors
    assert [error for error in errors if not well_put(error)] == []


def test_the_full_pillar_is_good():
    assert errors_of(FULL) == []


# --- huge, deep and recursive -----------------------------------------------------------------


@pytest.mark.parametrize("path", list(places(FULL)), ids=shown)
@pytest.mark.parametrize("value", ["x" * 100_000, "9" * 5000, ["y"] * 50_000], ids="xyz")
def test_huge_value_gives_a_readable_message(path, value):
    errors = errors_of(replaced(FULL, path, value))
    assert errors
    assert max(len(error) for error in errors) < 2000


@pytest.mark.parametrize("path", list(places(FULL)), ids=shown)
def test_huge_number_gives_a_message(path):
    errors = errors_of(replaced(FULL, path, 10**5000))
    assert all("set_int_max_str_digits" not in error for error in errors)


@pytest.mark.parametrize("name", ["t" * 100_000, "9" * 5000, 10**5000], ids=["t", "9", "number"])
@pytest.mark.parametrize("place", ["tables", "interfaces", "sysctl", ""])
def test_huge_key_is_an_error(place, name):
    pillar = merged(FULL, {place: {name: 1}} if place else {name: 1})
    assert errors_of(pillar)


def test_thousands_of_tables_and_interfaces_are_good():
    tables = {f"t{n}": n + 1000 for n in range(3000)}
    interfaces = {f"eth{n}": {"table": f"t{n}"} for n in range(3000)}
    wanted, errors = config.parse({"tables": tables, "interfaces": interfaces})
    assert errors == []
    assert len(wanted.interfaces) == 3000


@pytest.mark.parametrize("path", list(places(FULL)), ids=shown)
def test_value_that_contains_itself_is_no_trap(path):
    value = {}
    value["table"] = value
    loop = [value]
    loop.append(loop)
    for bad in (value, loop):
        assert isinstance(errors_of(replaced(FULL, path, bad)), list)


def test_value_nested_deeply_is_an_error():
    value = "x"
    for _ in range(200):
        value = [value]
    assert [error[:23] for error in errors_of(with_interface({"gateway": value}))] == [
        "interfaces.eth1.gateway"
    ]


# --- as Salt hands it on ----------------------------------------------------------------------


class Masked:
    """A container that does not show what is in it, as those of Salt 3008."""

    def __repr__(self):
        return "**********"


class MaskedDict(Masked, dict):
    pass


class MaskedList(Masked, list):
    pass


class Text(str):
    __slots__ = ()

    def __repr__(self):
        return "**********"

    __str__ = __repr__


class Number(int):
    def __repr__(self):
        return "**********"

    __str__ = __repr__


def masked(value, mapping=MaskedDict, sequence=MaskedList, text=Text):
    if isinstance(value, dict):
        items = ((text(key), masked(each, mapping, sequence)) for key, each in value.items())
        return mapping(dict(items))
    if isinstance(value, list):
        return sequence(masked(each, mapping, sequence) for each in value)
    if isinstance(value, str):
        return text(value)
    return Number(value) if type(value) is int else value


NESTED = {"a": [{"b": [1, ["c", {"d": None, "e": True}]]}, 2.5, "f"], "g": {}, "h": []}


@pytest.mark.parametrize(
    "value",
    [
        NESTED,
        masked(NESTED),
        masked(NESTED, MappingProxyType),
        masked(NESTED, OrderedDict, tuple),
    ],
    ids=["plain", "masked", "proxies", "ordered"],
)
def test_what_salt_hands_on_becomes_plain(value):
    found = config.plain(value)
    assert (found, repr(found)) == (NESTED, repr(NESTED))
    kinds = {type(each) for each in everything(found)}
    assert kinds <= {dict, list, str, int, float, bool, type(None)}


def everything(value):
    yield value
    if isinstance(value, dict | list):
        yield from (inner for each in value for inner in everything(each))
    if isinstance(value, dict):
        yield from (inner for each in value.values() for inner in everything(each))


@pytest.mark.parametrize("value", [None, b"\xe9", 2.5, True, "", date(2024, 2, 1)])
def test_what_is_no_container_stays(value):
    assert config.plain(value) is value


def test_making_plain_leaves_the_pillar_as_it_is():
    value = masked(NESTED)
    config.plain(value)["a"].clear()
    assert value == NESTED
    assert type(value["a"]) is MaskedList


def test_making_plain_of_what_contains_itself_comes_to_an_end():
    loop = MaskedList()
    loop.append(MaskedDict(again=loop))
    found = config.plain(loop)
    assert found[0]["again"] is found
    deep = MaskedList()
    for _ in range(10_000):
        deep = MaskedList([deep])
    assert type(config.plain(deep)) is list


@pytest.mark.parametrize("wrap", [masked, lambda value: masked(value, OrderedDict, tuple)])
@pytest.mark.parametrize(("path", "value"), list(wrong_values()))
def test_messages_say_what_was_written(wrap, path, value):
    pillar = replaced(FULL, path, value)
    assert errors_of(config.plain(wrap(pillar))) == errors_of(pillar)


# --- good pillars -----------------------------------------------------------------------------

GOOD_ROUTES = [
    {"to": "default"},
    {"to": "all"},
    {"to": "0.0.0.0/0", "via": "192.168.1.1"},
    {"to": "::/0", "via": "fe80::1"},
    {"to": "10.0.0.1"},
    {"to": "10.0.0.1/32"},
    {"to": "10.0.0.0/255.0.0.0"},
    {"to": "2001:DB8::/32"},
    {"to": "default", "metric": 0},
    {"to": "default", "metric": 4294967295},
    {"to": "default", "metric": "100"},
    {"to": "default", "mtu": 68},
    {"to": "default", "mtu": 65520},
    {"to": "default", "scope": "link"},
    {"to": "default", "scope": 200},
    {"to": "default", "type": "blackhole", "metric": 9},
    {"to": "default", "via": "192.0.2.1", "onlink": True},
    {"to": "default", "via": "192.0.2.1", "onlink": False},
    {"to": "default", "nexthops": [{"dev": "eth1"}, {"via": "10.0.0.1", "weight": 256}]},
]
GOOD_RULES = [
    {"from": "all"},
    {"from": "default", "to": "10.0.0.0/8"},
    {"fwmark": 1},
    {"fwmark": 4294967295},
    {"fwmark": "0/0xff"},
    {"fwmark": "0xFF/0xFF"},
    {"tos": 4},
    {"tos": 28},
    {"tos": "0x10"},
    {"ipproto": 1},
    {"ipproto": 255},
    {"ipproto": "udp"},
    {"ipproto": "TCP"},
    {"sport": 1},
    {"dport": 65534},
    {"dport": "1-65534"},
    {"dport": "80-80"},
    {"uidrange": 0},
    {"uidrange": "0-4294967294"},
    {"fwmark": 1, "not": True},
    {"fwmark": 1, "not": False},
    {"fwmark": 1, "suppress_prefixlength": 0},
    {"to": "2001:db8::/32", "suppress_prefixlength": 128},
    {"fwmark": 1, "priority": 1},
    {"fwmark": 1, "priority": 4294967295},
    {"action": "goto 20001"},
    {"fwmark": 1, "action": "goto 4294967295"},
    {"fwmark": 1, "action": "nop"},
    {"action": "unreachable", "priority": 40000},
    {"iif": "lo"},
    {"oif": "eth1.100"},
    {"iif": "a23456789012345"},
]


@pytest.mark.parametrize("route", GOOD_ROUTES, ids=json.dumps)
def test_good_route_gives_no_error(route):
    assert errors_of(with_interface({"routes": [route]})) == []


@pytest.mark.parametrize("rule", GOOD_RULES, ids=json.dumps)
def test_good_rule_gives_no_error(rule):
    assert errors_of(with_interface({"rules": [rule]})) == []


@pytest.mark.parametrize("number", [1, 252, 256, 2147483648, 4294967295])
def test_good_id_gives_no_error(number):
    assert errors_of({"tables": {"gateway1": number}, "interfaces": {}}) == []


@pytest.mark.parametrize("name", ["a", "_", "T-1.b_c", "n" * 64, "mainly", "ALL", "table"])
def test_good_table_name_gives_no_error(name):
    assert errors_of({"tables": {name: 5}, "interfaces": {"eth1": {"table": name}}}) == []


@pytest.mark.parametrize("name", ["eth1", "a" * 15, "1", "wan@lan", "br-lan", "eth0.100", "_x"])
def test_good_interface_name_gives_no_error(name):
    assert errors_of({"tables": {"t": 5}, "interfaces": {name: {"table": "t"}}}) == []


@pytest.mark.parametrize(
    "address",
    [
        "192.168.1.220/24",
        "192.168.1.220/255.255.255.0",
        "10.0.0.0/31",
        "10.0.0.1/32",
        "2001:db8::1/64",
        "2001:db8::/127",
        "2001:db8::/128",
        "fe80::1/64",
    ],
)
def test_good_address_gives_no_error(address):
    assert errors_of(with_interface({"addresses": [address]})) == []
    assert errors_of(with_interface({"addresses": address})) == []


@pytest.mark.parametrize(
    "gateway", ["192.168.1.254", "fe80::1", ["10.0.0.1", "2001:db8::1"], ["2001:DB8::1"]]
)
def test_good_gateway_gives_no_error(gateway):
    assert errors_of(with_interface({"gateway": gateway})) == []


@pytest.mark.parametrize("backend", ["auto", "network-scripts", "none"])
def test_good_backend_gives_no_error(backend):
    assert config.parse({**BASE, "backend": backend})[0].backend == backend


def test_settings_are_kept_as_text():
    wanted, errors = config.parse({**BASE, "sysctl": {"net.ipv4.ip_forward": 1, "a.b/c": "4 5"}})
    assert errors == []
    assert wanted.sysctl == {"net.ipv4.ip_forward": "1", "a.b/c": "4 5"}


def test_nothing_declared_is_good():
    assert config.parse({"tables": {}, "interfaces": {}}) == (config.Config(), [])


def test_defaults():
    wanted, errors = config.parse(
        {"tables": {"gateway1": 201}, "interfaces": {"eth1": {"table": "gateway1"}}}
    )
    assert errors == []
    assert wanted.backend == "auto"
    assert wanted.interfaces == {
        "eth1": config.Interface("eth1", model.Table("gateway1", 201), priority=20000)
    }


def test_priority_at_the_top_goes_for_all_that_have_none():
    pillar = {
        "tables": {"a": 1, "b": 2},
        "interfaces": {"eth1": {"table": "a"}, "eth2": {"table": "b", "priority": 5}},
        "priority": 100,
    }
    wanted, _ = config.parse(pillar)
    assert [each.priority for each in wanted.interfaces.values()] == [100, 5]


def test_spellings_of_one_value_are_equal():
    one = {
        "addresses": ["2001:DB8:0::1/64", "10.0.0.1/255.0.0.0"],
        "gateway": ["2001:0db8::2"],
        "routes": [{"to": "::/0", "via": "2001:DB8::3", "metric": "5", "scope": "global"}],
        "rules": [
            {"from": "10.0.0.1/32", "fwmark": "0x0A/0xFFFFFFFF", "ipproto": 6, "dport": "80-80"}
        ],
    }
    other = {
        "addresses": ["2001:db8::1/64", "10.0.0.1/8"],
        "gateway": "2001:db8::2",
        "routes": [{"to": "::/0", "via": "2001:db8::3", "metric": 5, "scope": 0}],
        "rules": [{"from": "10.0.0.1", "fwmark": 10, "ipproto": "tcp", "dport": 80}],
    }
    assert config.parse(with_interface(one)) == config.parse(with_interface(other))


def test_the_family_of_a_route_or_rule_is_the_one_of_its_addresses():
    wanted, _ = config.parse(
        with_interface(
            {
                "routes": [{"to": "default"}, {"to": "default", "via": "fe80::1"}],
                "rules": [{"fwmark": 1}, {"from": "10.0.0.0/8"}],
            }
        )
    )
    interface = wanted.interfaces["eth1"]
    assert [spec.family for spec in (*interface.routes, *interface.rules)] == [None, 6, None, 4]


# --- the example ------------------------------------------------------------------------------

EXAMPLE = yaml.safe_load((HERE.parents[1] / "pillar.example").read_text())["multihoming"]


def test_the_example_is_good():
    assert errors_of(EXAMPLE) == []


def test_the_example_shows_every_key():
    interfaces = EXAMPLE["interfaces"].values()
    routes = [route for each in interfaces for route in each.get("routes", [])]
    legs = [leg for route in routes for leg in route.get("nexthops", [])]
    rules = [rule for each in interfaces for rule in each.get("rules", [])]
    assert set(config.KEYS) - set(EXAMPLE) <= {"default_gateway"}
    assert {key for each in interfaces for key in each} == set(config.INTERFACE_KEYS)
    assert {key for route in routes for key in route} == set(config.ROUTE_KEYS)
    assert {key for leg in legs for key in leg} == set(config.NEXTHOP_KEYS)
    assert {key for rule in rules for key in rule} == set(config.RULE_KEYS)


# --- properties -------------------------------------------------------------------------------

WORDS = sorted({word for path in places(FULL) for word in path if isinstance(word, str)})
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([*WORDS, "10.0.0.1", "10.0.0.0/8", "::1", "default", "goto 5", "main", 254])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text() | st.integers() | st.none(), inner)
    ),
    max_leaves=20,
)


def assert_handled(pillar):
    wanted, errors = config.parse(pillar)
    assert [error for error in errors if not error.isprintable() or ": " not in error] == []
    assert errors or set(wanted.interfaces) == set(pillar["interfaces"])


@given(VALUES)
def test_any_value_is_handled(value):
    assert_handled(value)


@given(st.dictionaries(st.sampled_from(config.KEYS), VALUES, min_size=1))
def test_any_values_of_known_keys_are_handled(pillar):
    assert_handled(pillar)


@settings(max_examples=400)
@given(st.sampled_from(list(places(FULL))), VALUES)
def test_a_good_pillar_with_one_value_replaced_is_handled(path, value):
    assert_handled(replaced(FULL, path, value))


@settings(max_examples=200)
@given(
    st.sampled_from([p for p in places(FULL) if p[-1] not in ("tables", "interfaces")]),
    st.sampled_from(WORDS) | st.text() | st.integers() | st.none() | st.booleans(),
    VALUES,
)
def test_a_good_pillar_with_one_key_more_is_handled(path, key, value):
    assert_handled(replaced(FULL, (*path[:-1], key) if isinstance(path[-1], str) else path, value))


@given(st.dictionaries(st.text(), st.integers(), max_size=5))
def test_tables_are_kept_exactly_when_there_is_no_error(tables):
    wanted, errors = config.parse({"tables": tables, "interfaces": {}})
    assert bool(errors) == (dict(wanted.tables) != tables)
