"""The execution module's functions, through the real loader."""

import json
import shlex
from pathlib import Path

import live
import pytest
from article import ADDRESS, BY_HAND, NOTHING, by_hand, pillar, two
from minion import NO_PILLAR
from salt.exceptions import CommandExecutionError

RT_TABLES = Path("/etc/iproute2/rt_tables")
DROP_IN = Path("/etc/iproute2/rt_tables.d/multihoming.conf")
SCRIPTS = Path("/etc/sysconfig/network-scripts")
OWN = {"local": 255, "main": 254, "default": 253, "unspec": 0}
EMPTY = {"commands": [], "files": {}, "interfaces": {}}


@pytest.fixture
def call(minion, host):
    """Call a function of the module; what it returns is plain JSON, to the letter."""

    def run(function, *args, **kwargs):
        returned = minion.call(function, *args, **kwargs)
        assert json.loads(json.dumps(returned)) == returned
        return returned

    return run


@pytest.fixture
def reading(call, host):
    """Call a function that may not write anything, not even a lock."""

    def run(function, *args, **kwargs):
        before = live.snapshot(host)
        returned = call(function, *args, **kwargs)
        assert live.snapshot(host) == before
        return returned

    return run


def pick(returned, *keys):
    return {key: returned[key] for key in keys}


def test_everything_is_synced(minion):
    for kind in ("modules", "states", "utils"):
        files = (Path(__file__).parents[2] / f"_{kind}").glob("*.py")
        assert set(minion.synced[kind]) == {f"{kind}.{file.stem}" for file in files}


def test_the_version_is_that_of_the_checkout(reading):
    path = Path(__file__).parents[2] / "_utils/multihoming_version.py"
    assert path.read_text().endswith(f'\nVERSION = "{reading("version")}"\n')


# --- tables -----------------------------------------------------------------------------------


def test_list_tables_on_a_fresh_host(reading):
    assert reading("list_tables") == OWN


def test_list_tables_reads_drop_ins_and_hexadecimal_ids(reading):
    RT_TABLES.write_text("0x65\tbackup # comment\n")
    DROP_IN.with_name("other.conf").write_text("100 storage\n")
    DROP_IN.with_name("other.txt").write_text("99 unread\n")
    assert reading("list_tables") == {**OWN, "backup": 101, "storage": 100}


def test_set_table_writes_the_name_and_returns_the_diff(call):
    returned = call("set_table", "gateway1", 201)
    assert list(returned) == [str(DROP_IN)]
    assert "+201 gateway1" in returned[str(DROP_IN)].splitlines()
    assert call("list_tables")["gateway1"] == 201


def test_set_table_again_changes_nothing(call):
    call("set_table", "gateway1", 201)
    before = live.files()
    assert call("set_table", "gateway1", 201) == {}
    assert live.files() == before


def test_set_table_gives_another_id(call):
    call("set_table", "gateway1", 201)
    call("set_table", "gateway1", 202)
    assert call("list_tables")["gateway1"] == 202


def test_delete_table_takes_the_name_away(call):
    before = live.texts()
    call("set_table", "gateway1", 201)
    call("delete_table", "gateway1")
    assert live.texts() == before


def test_delete_table_of_an_unknown_name_changes_nothing(call):
    assert call("delete_table", "gateway1") == {}


def test_delete_table_refuses_a_table_in_use(call):
    call("apply", pillar=pillar())
    with pytest.raises(CommandExecutionError, match="gateway1 is in use"):
        call("delete_table", "gateway1")


@pytest.mark.parametrize("id_", [0, 254, -1, 2**32, True, "x", None])
def test_set_table_refuses_an_impossible_id(call, id_):
    with pytest.raises(CommandExecutionError):
        call("set_table", "gateway1", id_)


# --- what the kernel holds --------------------------------------------------------------------


@pytest.mark.parametrize("family", [4, 6, "inet", "ipv6"])
def test_list_rules_of_one_family(reading, family):
    number = 6 if "6" in str(family) else 4
    assert {rule["family"] for rule in reading("list_rules", family=family)} == {number}


def test_list_rules_in_the_order_in_which_they_run(reading, host):
    by_hand(host, "-4 rule add fwmark 0x1/0xff table 99 priority 9")
    by_hand(host, "-4 rule add from 10.0.0.0/8 prohibit priority 7")
    rules = reading("list_rules", family=4)
    assert [rule["priority"] for rule in rules] == [0, 7, 9, 32766, 32767]
    assert pick(rules[1], "from", "action") == {"from": "10.0.0.0/8", "action": "prohibit"}
    assert pick(rules[2], "fwmark", "table") == {"fwmark": "0x1/0xff", "table": 99}


def test_list_rules_names_the_table(call, reading):
    call("apply", pillar=pillar())
    rule = next(rule for rule in reading("list_rules") if rule["from"] == ADDRESS)
    assert pick(rule, "table", "priority") == {"table": "gateway1", "priority": 20000}


def test_list_rules_refuses_another_family(call):
    with pytest.raises(CommandExecutionError, match="write 4 or 6"):
        call("list_rules", family=5)


def test_list_routes_of_a_table_by_name_or_id(call, reading):
    call("apply", pillar=pillar())
    named = reading("list_routes", "gateway1")
    assert named == reading("list_routes", 201) == reading("list_routes", "201")
    assert sorted(route["to"] for route in named) == [
        "192.168.1.0/24",
        "2001:db8:1::/64",
        "default",
        "default",
    ]


def test_list_routes_of_all_tables_but_local(call, reading, host):
    call("apply", pillar=pillar())
    tables = {route["table"] for route in reading("list_routes")}
    assert tables == {"main", "gateway1"}


def test_list_routes_of_one_family(reading):
    assert {route["family"] for route in reading("list_routes", family=6)} == {6}


def test_list_routes_tells_all_of_a_route(reading, host):
    by_hand(host, "-4 route add 10.9.0.0/16 via 192.168.1.3 dev eth1 metric 5 mtu 1400 table 77")
    assert reading("list_routes", 77) == [
        {
            "family": 4,
            "table": 77,
            "to": "10.9.0.0/16",
            "type": "unicast",
            "via": "192.168.1.3",
            "dev": "eth1",
            "metric": 5,
            "scope": "global",
            "mtu": 1400,
            "protocol": "boot",
        }
    ]


def test_list_routes_of_an_empty_table_is_empty(reading):
    assert reading("list_routes", 4242) == []


def test_list_routes_of_an_unknown_name_is_an_error(call):
    with pytest.raises(CommandExecutionError, match="is not in rt_tables"):
        call("list_routes", "nowhere")


# --- files ------------------------------------------------------------------------------------


def test_list_files_shows_what_is_ours(call, reading):
    call("apply", pillar=pillar())
    (SCRIPTS / "rule-eth0").write_text("from 10.0.0.0/8 table 99\n")
    files = reading("list_files", pillar=pillar())
    assert {Path(path).name for path in files if path.startswith(str(SCRIPTS))} == {
        "route-eth1",
        "route6-eth1",
        "rule-eth1",
        "rule6-eth1",
    }
    assert all(Path(path).read_text() == text for path, text in files.items())


def test_list_files_on_a_fresh_host_is_empty(reading):
    assert reading("list_files") == {}


# --- the pillar -------------------------------------------------------------------------------


def test_validate_of_a_good_pillar_is_empty(reading):
    assert reading("validate", pillar=pillar()) == []


def test_validate_without_pillar_is_empty(reading):
    assert reading("validate") == []


def test_validate_returns_all_errors(reading):
    errors = reading("validate", pillar={"tables": {"main": 0}, "interfaces": [], "x": 1})
    assert [error.partition(":")[0] for error in errors] == ["x", "tables.main", "interfaces"]


def test_the_exit_status_of_validate_tells(minion, host):
    bad = {"tables": {"main": 0}, "interfaces": []}
    for whole, code in ((bad, 2), (pillar(), 0), (bad, 2), (NO_PILLAR, 0), (None, 2)):
        modules = minion.modules(whole)
        modules["multihoming.validate"]()
        assert modules.pack["__context__"]["retcode"] == code


def test_validate_says_in_words_that_a_pillar_is_good(reading):
    assert reading("validate", words=True, pillar=pillar()).startswith("valid: ")
    assert "left alone" in reading("validate", words=True)
    bad = {"tables": {"main": 0}, "interfaces": [], "x": 1}
    assert reading("validate", words=True, pillar=bad).splitlines() == reading(
        "validate", pillar=bad
    )


def test_desired_shows_defaults_and_discoveries(reading):
    whole = reading("desired", pillar=pillar())
    assert whole["tables"] == {"gateway1": 201}
    eth1 = whole["interfaces"]["eth1"]
    assert eth1["table"] == "gateway1"
    assert [(rule["from"], rule["priority"]) for rule in eth1["rules"]] == [
        ("192.168.1.220", 20000),
        ("2001:db8:1::220", 20000),
    ]


def test_desired_is_what_the_kernel_is_then_listed_with(call, reading):
    desired = reading("desired", pillar=two())
    call("apply", pillar=two())
    for name, table in (("eth1", "gateway1"), ("eth2", "gateway2")):
        listed = [rule for rule in reading("list_rules") if rule.get("table") == table]
        assert listed == desired["interfaces"][name]["rules"]
        routes = reading("list_routes", table)
        wanted = desired["interfaces"][name]["routes"]
        assert sorted(map(str, routes)) == sorted(map(str, wanted))


def test_arguments_go_before_the_pillar(reading):
    whole = reading("desired", pillar=pillar(), priority=77)
    assert {rule["priority"] for rule in whole["interfaces"]["eth1"]["rules"]} == {77}


# --- plan and apply ---------------------------------------------------------------------------


def test_plan_without_pillar_is_empty_and_says_why(reading):
    plan = reading("plan")
    assert pick(plan, *EMPTY) == EMPTY
    assert "left alone" in plan["notes"][0]


@pytest.mark.parametrize("backend", ["network-scripts", "none"])
def test_apply_returns_what_plan_foretold_and_is_then_empty(call, reading, backend):
    whole = {**two(), "backend": backend}
    foretold = reading("plan", pillar=whole)
    assert foretold["commands"]
    assert call("apply", pillar=whole) == foretold
    assert pick(reading("plan", pillar=whole), *EMPTY) == EMPTY
    assert pick(call("apply", pillar=whole), *EMPTY) == EMPTY


STEPS = [
    pillar(),
    two(priority=99, rules=[{"to": "10.20.0.0/16"}, {"from": "10.1.0.0/16", "to": "10.20.0.0/16"}]),
    two(rules=[{"to": "10.20.0.0/16", "not": True, "priority": 9}], priority=99),
    {**two(), "tables": {"gateway1": 202, "gateway2": 201}},
    pillar(routes=[{"to": "default", "type": "blackhole", "metric": 9}]),
    NOTHING,
]


def test_the_commands_typed_by_hand_give_what_apply_gives(call, reading, host, twin):
    for whole in STEPS:
        for line in reading("plan", pillar=whole)["commands"]:
            twin.run(*shlex.split(line))
        call("apply", pillar=whole)
        assert live.kernel(twin) == live.kernel(host)


def test_the_diffs_are_what_changes_in_the_files(call, reading):
    foretold = reading("plan", pillar=pillar())["files"]
    before = live.texts()
    call("apply", pillar=pillar())
    after = live.texts()
    assert {path for path in after if after[path] != before.get(path)} == set(foretold)
    for path, diff in foretold.items():
        added = [line[1:] for line in diff.splitlines()[2:] if line.startswith("+")]
        assert added == after[path].splitlines()


def test_apply_refuses_a_bad_pillar_with_every_error(call):
    bad = pillar(gateway="172.16.0.1")
    bad["tables"]["gateway9"] = 999
    bad["interfaces"]["eth9"] = {"table": "gateway9"}
    with pytest.raises(CommandExecutionError) as raised:
        call("apply", pillar=bad)
    assert "interfaces.eth1.gateway" in str(raised.value)
    assert "interfaces.eth9" in str(raised.value)


def test_apply_takes_arguments_without_pillar(call, host, twin):
    call("apply", **pillar())
    by_hand(twin, *BY_HAND)
    assert live.kernel(host) == live.kernel(twin)
