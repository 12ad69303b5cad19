"""The words of findings: remedies that can be pasted, evidence as ip and the files show it."""

from __future__ import annotations

import subprocess

import multihoming_finding as finding
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from multihoming_backend import Line
from multihoming_finding import Finding
from surveys import route, rule, survey

POLICY = {
    "tables": {"gateway1": 201},
    "rules": ["from 192.168.1.220 table 201 priority 20000"],
    "routes": {201: ["default via 192.168.1.254 dev eth1"]},
    "gateways": {"eth1": ["192.168.1.254", "192.168.1.253", "2001:db8:1::254"]},
}


def repair(dev="eth1", unknown="", **host):
    return finding.repair(survey(host), dev, unknown)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("/etc/rule-eth1", "/etc/rule-eth1"),
        ("my eth", "'my eth'"),
        ("größe", "'größe'"),
        ("caf\udce9", r"$'caf\xe9'"),
        ("it's \\ \udcffa", r"$'it\'s \\ \xffa'"),
    ],
)
def test_a_word_of_a_command_is_what_bash_reads(text, word):
    assert finding.word(text) == word
    done = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert done.stdout == text.encode(errors="surrogateescape")


# --- entries for the pillar -------------------------------------------------------------------


def test_an_interface_of_the_pillar_is_repaired_by_the_state():
    assert repair(declared=["eth1"], **POLICY) == "salt-call state.apply multihoming"
    assert repair(declared=["eth0"], **POLICY).startswith("tables: ")


def test_another_is_repaired_by_an_entry_with_its_table_and_a_gateway_of_each_family():
    assert repair(**POLICY) == (
        "tables: {gateway1: 201}, interfaces: "
        '{eth1: {table: gateway1, gateway: [192.168.1.254, "2001:db8:1::254"]}}'
    )


def test_a_gateway_that_nobody_knows_is_left_out_or_to_be_filled_in():
    assert repair(gateways={}) == "tables: {eth1: 202}, interfaces: {eth1: {table: eth1}}"
    assert repair(gateways={}, unknown="ROUTER") == (
        "tables: {eth1: 202}, interfaces: {eth1: {table: eth1, gateway: [ROUTER]}}"
    )
    assert repair(gateways={"eth1": "IPv4"}).endswith("{table: eth1}}")


@pytest.mark.parametrize(
    ("tables", "name"),
    [
        ({}, "eth1"),
        ({"uplink": 201}, "uplink"),
        ({"other": 7}, "eth1"),
        ({"eth1": 7}, "table201"),
        ({"eth1": 201}, "eth1"),
        ({"on": 201}, '"on"'),
    ],
)
def test_a_table_keeps_its_name_or_gets_the_interfaces(tables, name):
    said = repair(**{**POLICY, "tables": tables})
    assert said.startswith(f"tables: {{{name}: 201}}, interfaces: {{eth1: {{table: {name},")


@pytest.mark.parametrize("line", ["from 192.168.1.220 prohibit", "from 192.168.1.220 table main"])
def test_only_a_table_of_its_own_serves_an_interface(line):
    said = repair(rules=[f"{line} priority 5", "from 192.168.2.220 table 7 priority 6"])
    assert said == "tables: {eth1: 202}, interfaces: {eth1: {table: eth1}}"


def test_the_table_of_either_family_serves():
    links = {"eth1": ["192.168.1.220/24", "2001:db8:1::220/64"]}
    rules = ["from 2001:db8:1::220 table 7 priority 5"]
    assert repair(links=links, rules=rules).startswith("tables: {eth1: 7}")


def test_an_interface_that_is_not_there_gets_the_first_free_id():
    assert repair("eth9") == "tables: {eth9: 201}, interfaces: {eth9: {table: eth9}}"


NAMES = st.from_regex(r"[A-Za-z0-9_.@+=-]{1,15}", fullmatch=True) | st.sampled_from(
    "y Y n N yes No on OFF true False null Null ~ 1 1e3 0x1f 1_000 1.5 .5 1: nan .inf - = e1 "
    "eth1.100 10.0.0 1.2.3.4 12:30 2026-11-25".split()
)


@given(NAMES)
def test_yaml_reads_an_entry_for_any_interface_back_as_texts(name):
    links = {"eth0": "192.168.2.220/24", name: "192.168.1.220/24"}
    gateways = {name: ["192.168.1.254", "2001:db8:1::254"]}
    said = yaml.safe_load(f"{{{repair(name, links=links, gateways=gateways)}}}")
    ((dev, entry),) = said["interfaces"].items()
    ((table, id_),) = said["tables"].items()
    assert dev == name
    assert entry == {"table": table, "gateway": gateways[name]}
    assert (type(table), type(id_)) == (str, int)


# --- free ids ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "dev", "id_"),
    [
        ({}, None, 201),
        ({}, "eth0", 201),
        ({}, "eth1", 202),
        ({}, "eth9", 201),
        ({"tables": {"a": 201, "b": 203}}, None, 202),
        ({"tables": {"a": 201, "b": 203}}, "eth1", 204),
        ({"routes": {201: [], 202: ["10.0.0.0/8 dev eth0"]}}, "eth0", 203),
        ({"tables": {str(id_): id_ for id_ in range(201, 253)}}, None, 256),
    ],
)
def test_ids_that_nobody_has_are_free_and_each_interface_gets_another(host, dev, id_):
    assert finding.free_id(survey(host), dev) == id_


# --- whom it is about -------------------------------------------------------------------------


def about(item, **host):
    return finding.device_of(survey(host), item)


def test_a_route_is_about_the_interface_that_it_leaves_by():
    assert about(route("default via 10.0.0.1 dev eth7")) == "eth7"
    assert about(route("default nexthop via 10.0.0.1 dev a nexthop via 10.0.0.2 dev b")) == "a"
    assert about(route("blackhole default")) is None


def test_a_rule_from_an_address_is_about_the_interface_that_has_it():
    assert about(rule("from 192.168.1.220 table 7")) == "eth1"
    assert about(rule("from 192.168.1.220 prohibit")) == "eth1"
    assert about(rule("from 192.168.1.220 table main")) == "eth1"


@pytest.mark.parametrize("line", ["fwmark 1 table main", "fwmark 1 table default", "from all nop"])
def test_a_rule_into_the_kernels_tables_or_none_is_about_no_interface(line):
    assert about(rule(line)) is None


def test_another_rule_is_about_the_interface_that_its_table_is_for():
    mark = rule("fwmark 1 table 7")
    assert about(mark) is None
    # By its default route,
    routes = {7: ["10.0.0.0/8 dev eth0", "default via 192.168.1.254 dev eth1"]}
    assert about(mark, routes=routes) == "eth1"
    assert about(mark, routes={7: ["10.0.0.0/8 dev eth0"]}) == "eth0"
    # by another rule that leads there,
    other = ["from 10.0.0.1 table 7 priority 4", "from 192.168.1.220 table 7 priority 5"]
    assert about(mark, rules=[*other, "from 192.168.2.220 table 8 priority 3"]) == "eth1"
    # and by what files say of it.
    assert about(mark, files={"route-eth1": "10.0.0.0/8 dev eth1 table 7\n"}) == "eth1"
    assert about(mark, files={"route-eth1": "10.0.0.0/8 dev eth1 table 8\n"}) is None
    assert about(mark, files={"rule-eth1": "from 192.168.1.9 table 7\n"}) is None


# --- lines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 9, 10])
def test_ten_lines_are_shown_whole(count):
    lines = tuple(f"line {number}" for number in range(count))
    assert finding.cut(iter(lines)) == lines


def test_of_more_lines_ten_are_shown_and_the_others_counted():
    lines = [f"line {number}" for number in range(12)]
    assert finding.cut(lines[:11]) == (*lines[:10], "... and 1 more")
    assert finding.cut(lines) == (*lines[:10], "... and 2 more")


def test_rules_and_routes_are_shown_in_the_words_of_ip():
    line = "from 2001:db8::1 table 201 protocol 4 priority 5"
    assert finding.rule_text(rule(line)) == line
    assert finding.rule_line(rule(line)) == f"ip -6 rule: {line}"
    assert finding.item_line(rule(line)) == f"ip -6 rule: {line}"
    line = "default via 192.168.1.254 dev eth1 proto 4 table 201"
    assert finding.route_text(route(line)) == line
    assert finding.item_line(route(line)) == f"ip -4 route: {line}"


def test_a_rule_is_deleted_by_all_that_it_says():
    line = "not from 10.0.0.0/8 fwmark 0x1/0xff table 201 protocol 4 priority 5"
    assert finding.deletion(rule(line)) == f"ip -4 rule del {line}"
    assert finding.deletion(rule("from 2001:db8::1 table 7 priority 5")) == (
        "ip -6 rule del from 2001:db8::1 table 7 priority 5"
    )


def test_a_line_of_a_file_is_shown_without_the_white_space_around_it():
    line = Line("/etc/rule-eth1", "eth1", "\tfrom  10.0.0.1 table 7 \r")
    assert finding.file_line(line) == "/etc/rule-eth1: from  10.0.0.1 table 7"


def test_a_table_without_a_name_is_called_by_its_id():
    host = survey({"tables": {"gateway1": 201}})
    names = [finding.table_name(host, id_) for id_ in (201, 202, 254)]
    assert names == ["gateway1", "202", "main"]


def test_a_finding_becomes_plain_json_types():
    found = Finding("no-policy", "warning", None, "said", ("one", "two"), "done")
    assert found.as_dict() == {
        "id": "no-policy",
        "severity": "warning",
        "interface": None,
        "message": "said",
        "evidence": ["one", "two"],
        "remedy": "done",
    }
