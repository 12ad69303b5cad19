"""What a run reads, what it has to do, and how that is reported; whole hosts are in test_hosts."""

from __future__ import annotations

import json

import multihoming_config as config
import multihoming_iproute2 as iproute2
import multihoming_rt_tables as rt_tables
import multihoming_work as work
import played_host
import pytest
from multihoming_backend import Kept, Line
from multihoming_edit import FILES, Edit
from multihoming_errors import HostError
from multihoming_model import Table
from multihoming_rules import Ours
from played_host import changed

LINKS = {"eth0": "192.168.2.220/24", "eth1": "192.168.1.220/24", "eth2": None}
ETH1 = {"table": "gateway1", "gateway": "192.168.1.254"}
WHOLE = {**ETH1, "addresses": ["192.168.1.220/24"]}


def checked(eth1=None, **more):
    """Return a checked pillar; eth1 is what it says of that interface."""
    interfaces = {} if eth1 is None else {"eth1": eth1}
    pillar = {"tables": {"gateway1": 201}, "interfaces": interfaces, "backend": "none", **more}
    wanted, errors = config.parse(pillar)
    assert errors == []
    return wanted


def decided(eth1=None, host=None, scope=None, **more):
    wanted = checked(eth1, **more)
    host = played_host.host({"links": LINKS, **(host or {})})
    return work.decide(wanted, host.see(wanted, scope), scope, [])


# --- what is read -------------------------------------------------------------------------------

OURS = "201 gateway1 # multihoming\n202 gateway2 # multihoming\n100 others\n"


@pytest.mark.parametrize(
    ("scope", "ids"),
    [
        (None, {201, 202, 300}),
        (frozenset(), {300}),
        (frozenset(["gateway2"]), {202, 300}),
        (frozenset(["others", "nobody"]), {300}),
    ],
)
def test_tables_that_a_run_may_touch_are_the_owned_ones_in_scope_and_the_wanted(scope, ids):
    tables = rt_tables.parse({rt_tables.ETC: OURS}, False)
    assert work.ids_to_read(tables, checked(tables={"new": 300}), scope) == ids


@pytest.mark.parametrize(
    ("eth1", "more", "needed"),
    [
        (None, {}, False),
        (WHOLE, {}, False),
        (ETH1, {}, False),
        ({"table": "gateway1"}, {}, True),
        ({**WHOLE, "keep_main_routes": True}, {}, True),
        (None, {"default_gateway": "eth0"}, True),
    ],
)
def test_mains_defaults_matter_where_they_tell_a_gateway_or_change(eth1, more, needed):
    assert work.needs_defaults(checked(eth1, **more)) is needed


@pytest.mark.parametrize(
    ("eth1", "more", "devices"),
    [
        (None, {}, []),
        (WHOLE, {}, []),
        (ETH1, {}, ["eth1"]),
        ({**WHOLE, "gateway": None}, {}, ["eth1"]),
        (WHOLE, {"default_gateway": "eth0"}, ["eth0"]),
        (ETH1, {"default_gateway": "eth1"}, ["eth1"]),
        ({**WHOLE, "keep_main_routes": True}, {}, ["eth0", "eth1", "eth2"]),
        ({**ETH1, "keep_main_routes": True}, {"default_gateway": "eth2"}, ["eth1", "eth0", "eth2"]),
    ],
)
def test_files_are_read_of_interfaces_that_they_tell_something_of(eth1, more, devices):
    eth1 = {key: value for key, value in eth1.items() if value} if eth1 else eth1
    links = played_host.host({"links": LINKS}).links
    assert work.devices_to_read(checked(eth1, **more), links) == devices


# --- what is to be done ---------------------------------------------------------------------------


def test_a_run_with_nothing_to_do_is_not_pending():
    done = decided()
    assert not decided(host={"rt_tables": "201 gateway1 # multihoming\n"}).pending
    assert done.pending
    for side in ("before", "steps", "after"):
        nothing = {"before": (), "steps": (), "after": ()}
        assert changed(done, **{**nothing, side: ("something",)}).pending
        assert not changed(done, **nothing).pending


def test_a_host_of_which_nothing_is_kept():
    host = played_host.host({"links": LINKS, "rules": ["from 10.0.0.1 table 201 priority 5"]})
    seen = work.Seen(host.tables, host.state({201}, False))
    done = work.decide(checked(take_over=True), seen, None, [])
    assert done.report["commands"] == ["ip -4 rule del from 10.0.0.1 table 201 priority 5"]
    assert done.devices == []


def test_a_table_is_named_before_anything_leads_to_it_and_forgotten_last():
    comes = decided(ETH1)
    assert [edit.after for edit in comes.before] == [
        f"{played_host.STOCK}201 gateway1 # interface: eth1 # multihoming\n"
    ]
    assert comes.after == ()
    goes = decided(host={"rt_tables": "201 gateway1 # multihoming\n", "files": {}}, tables={})
    assert goes.before == ()
    assert [edit.after for edit in goes.after] == [""]


def test_files_for_the_next_start_come_behind_the_kernels_steps():
    done = decided(ETH1, {"files": {}}, backend="network-scripts")
    assert [played_host.short(edit.place) for edit in done.before] == ["rt_tables"]
    assert [played_host.short(edit.place) for edit in done.after] == ["route-eth1", "rule-eth1"]


def test_a_file_is_forgotten_behind_what_led_to_it():
    host = {
        "rt_tables": "201 gateway1 # multihoming\n",
        "files": {"rule-eth1": "from 10.0.0.1 table gateway1 priority 5\n"},
    }
    done = decided(host=host, tables={}, backend="network-scripts")
    assert [played_host.short(edit.place) for edit in done.after] == ["rule-eth1", "rt_tables"]


def test_edits_of_one_place_are_one():
    done = decided(ETH1, {"rt_tables": "201 old # multihoming\n"})
    (comes,), (goes,) = done.before, done.after
    assert (comes.after, goes.before) == (
        "201 old # multihoming\n201 gateway1 # interface: eth1 # multihoming\n",
    ) * 2
    assert done.edits == [Edit(FILES, rt_tables.ETC, comes.before, goes.after)]


@pytest.mark.parametrize(
    ("eth1", "more", "devices"),
    [
        (None, {}, []),
        (ETH1, {}, ["eth1"]),
        (ETH1, {"default_gateway": "eth1"}, ["eth1"]),
        ({**ETH1, "optional": True}, {}, ["eth1"]),
    ],
)
def test_the_interfaces_that_a_run_is_about(eth1, more, devices):
    assert decided(eth1, **more).devices == devices


def test_it_is_also_about_an_interface_that_loses_its_policy():
    host = {
        "rt_tables": "201 gateway1 # multihoming\n202 gateway2 # multihoming\n",
        "routes": ["default via 192.168.2.1 dev eth0 table 202", "default dev eth7 table 201"],
    }
    assert decided(host=host, tables={}).devices == ["eth0"]


def test_without_default_gateway_main_is_left_alone():
    done = decided(host={"main": ["default via 192.168.2.254 dev eth0"]})
    assert done.goal.chosen is None
    assert done.current == done.should == ([], [])


def test_a_goal_of_nothing_chosen_leaves_main_alone():
    host = played_host.host({"links": LINKS, "main": ["default via 192.168.2.254 dev eth0"]})
    outcome = decided().goal.outcome
    goal = work.Goal({}, frozenset(), Ours(frozenset()), outcome)
    assert not work.compare(goal, work.Seen(host.tables, host.state((), True))).pending


def test_what_is_wrong_already_is_raised_with_the_rest():
    wanted = checked({**ETH1, "gateway": "10.0.0.1"})
    seen = played_host.host({"links": LINKS, "rt_tables": "201 other\n"}).see(wanted)
    with pytest.raises(HostError) as caught:
        work.decide(wanted, seen, None, ["interfaces.eth1.gatway: unknown key"])
    assert [message.split(":")[0] for message in caught.value.errors] == [
        "interfaces.eth1.gatway",
        "tables.gateway1",
        "interfaces.eth1.gateway",
    ]


def test_a_message_alone_is_enough_to_do_nothing():
    wanted = checked()
    with pytest.raises(HostError, match=r"^sysctl: wrong$"):
        work.decide(wanted, played_host.host({"links": LINKS}).see(wanted), None, ["sysctl: wrong"])


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"eth1": ETH1}, "interfaces.eth1"),
        ({"eth1": {**WHOLE, "keep_main_routes": True}}, "keep_main_routes"),
        ({"default_gateway": "eth0"}, "default_gateway"),
    ],
)
def test_a_file_that_only_a_shell_understands_is_named_where_it_matters(more, key):
    name = "ifcfg-eth1" if key.startswith("interfaces") else "ifcfg-eth0"
    host = {"links": LINKS, "files": {name: "GATEWAY=$(router)\n"}}
    wanted = checked(
        more.get("eth1"), **{k: v for k, v in more.items() if k != "eth1"}, backend="auto"
    )
    with pytest.raises(HostError) as caught:
        work.decide(wanted, played_host.host(host).see(wanted), None, [])
    assert caught.value.errors[0].startswith(f"{key}: /etc/sysconfig/network-scripts/{name} line 1")


# --- records ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "before", "after", "record"),
    [
        (rt_tables.ETC, "201 gateway1\n", "201 gateway1 # multihoming\n", True),
        (rt_tables.OURS, None, "# adopted 201 gateway1\n", True),
        (rt_tables.ETC, "201 gateway1\n", "201 gateway2\n", False),
        (rt_tables.ETC, "", "201 gateway1\n", False),
        ("/etc/sysconfig/network", "# a\n", "# b\n", False),
    ],
)
def test_an_edit_of_comments_in_rt_tables_is_a_record(place, before, after, record):
    assert work.is_record(Edit(FILES, place, before, after)) is record


def test_our_drop_in_is_deleted_when_it_says_nothing_any_more():
    before = {rt_tables.OURS: "201 a\n", rt_tables.ETC: "1 b\n"}
    edits = work.table_edits(
        rt_tables.parse(before, True), {rt_tables.OURS: "", rt_tables.ETC: "", "/etc/new": "2 c\n"}
    )
    assert edits == [
        Edit(FILES, rt_tables.OURS, "201 a\n", None),
        Edit(FILES, rt_tables.ETC, "1 b\n", ""),
        Edit(FILES, "/etc/new", None, "2 c\n"),
    ]


def test_owned_and_declared_no_more_is_released_unless_out_of_scope():
    host = {"rt_tables": "201 gateway1 # multihoming\n202 gateway2 # multihoming\n"}
    gone = {"gateway2": {"old": 202, "new": None}}
    assert decided(host=host).report["tables"] == gone
    assert decided(host=host, scope=frozenset(["gateway1"])).report["tables"] == {}


def test_what_is_recorded_of_a_skipped_interface_stays():
    rt = "201 gateway1 # multihoming\n# keep_main_routes 201 gateway1 19999\n"
    rules = [
        "from 192.168.9.9 table 201 suppress_prefixlength 0 priority 19998",
        "from 192.168.9.9 table main suppress_prefixlength 0 priority 19999",
        "from 192.168.9.9 table 201 priority 20000",
    ]
    eth9 = {"eth9": {"table": "gateway1", "optional": True, "keep_main_routes": True}}
    done = decided(host={"rt_tables": rt, "rules": rules}, interfaces=eth9)
    assert not done.pending
    assert done.report["notes"] == ["eth9 is not on this host: skipped"]


# --- the report ---------------------------------------------------------------------------------


def test_a_report_is_plain_json_with_the_same_keys_always():
    for done in (decided(), decided(ETH1), decided({**ETH1, "optional": True})):
        assert json.loads(json.dumps(done.report)) == done.report
        assert list(done.report) == ["commands", "files", "interfaces", "tables", "notes"]


def test_files_are_reported_as_what_changes_in_them():
    diff = decided(ETH1, {"rt_tables": "254 main\n"}).report["files"]
    assert diff == {
        "/etc/iproute2/rt_tables": (
            "--- /etc/iproute2/rt_tables\n+++ /etc/iproute2/rt_tables\n@@ -1 +1,2 @@\n 254 main\n"
            "+201 gateway1 # interface: eth1 # multihoming\n"
        )
    }


def test_a_record_is_no_change_of_files():
    done = decided(host={"rt_tables": "201 gateway1\n"})
    assert done.report["files"] == done.report["tables"] == {}
    assert done.pending


def test_a_rule_into_main_is_reported_under_its_interface():
    added = decided({**ETH1, "keep_main_routes": True}).report["interfaces"]["eth1"]["rules"][
        "added"
    ]
    assert "from 192.168.1.220 table main suppress_prefixlength 0 priority 19999" in added


def test_what_is_in_a_table_without_name_or_interface_is_reported_under_its_number():
    host = {
        "rt_tables": "201 gateway1 # multihoming\n",
        "rules": ["from 10.0.0.1 table 201 priority 5"],
    }
    report = decided(host=host, tables={"gateway1": 300}).report["interfaces"]
    assert report == {"201": {"rules": {"removed": ["from 10.0.0.1 table 201 priority 5"]}}}


def lines(*texts):
    found = [text.split(maxsplit=1) for text in texts]
    return [
        Line("place", None if dev == "-" else dev, raw, iproute2.table_word(raw.split(), "rule"))
        for dev, raw in found
    ]


@pytest.mark.parametrize(
    ("ids", "served"), [(None, {201: "eth1", 5: "eth2"}), ({201}, {201: "eth1"}), ((), {})]
)
def test_tables_are_served_by_the_interfaces_whose_configuration_leads_there(ids, served):
    said = lines(
        "eth1 from 10.0.0.1 table gateway1",
        "eth2 from 10.0.0.1 table 5",
        "eth3 from 10.0.0.1 table nowhere",
        "eth4 from 10.0.0.1",
        "- from 10.0.0.1 table 6",
    )
    assert work.served(said, ids, {"gateway1": 201}) == served


def test_lines_come_from_all_managers():
    host = played_host.host(
        {
            "links": LINKS,
            "files": {"rule-eth1": "from 10.0.0.1 table gateway1 priority 5\n"},
            "rt_tables": "201 gateway1\n",
        }
    )
    seen = changed(host.see(checked()), kept={"none": Kept(), "network-scripts": host._scripts([])})
    found = work.lines_of(seen, seen.tables.ids)
    assert [(line.device, line.item.table) for line in found] == [("eth1", 201)]


def test_what_the_kernel_holds_of_ours_and_of_main():
    host = played_host.host(
        {
            "links": LINKS,
            "routes": [
                "default via 192.168.1.254 dev eth1 table 202",
                "default via 192.168.1.9 dev eth1 table 201",
            ],
            "rules": ["from 10.0.0.1 table 201 priority 5", "from 10.0.0.1 table 9 priority 5"],
        }
    )
    main = [played_host.route("default dev eth0", {})]
    routes, rules = work.held(Ours(frozenset({202, 201})), host.state({201, 202}, False), main)
    assert [route.table for route in routes] == [201, 202, 254]
    assert [rule.table for rule in rules] == [201]


def test_a_goal_is_compared_with_what_is_seen_later():
    done = decided(ETH1)
    again = work.compare(done.goal, done.seen)
    assert again.steps == done.steps
    assert done.goal.tables == {"gateway1": 201}
    assert done.goal.outcome.policies["eth1"].table == Table("gateway1", 201)
