"""``salt '*' state.apply multihoming``: a master and two minions with several NICs each."""

from copy import deepcopy

import pytest
from machines import LOOSE, OFF, STRICT
from salts import PILLAR

# table id -> the gateways of its default routes
GATEWAYS = {
    "alpha": {
        200 + number: {f"10.1.{number}.254", f"2001:db8:1:{number}::fe"} for number in range(3)
    },
    "beta": {301: {"10.2.3.254", "2001:db8:2:3::fe"}, 302: {"10.2.4.254", "2001:db8:2:4::fe"}},
}
GATEWAYS["alpha"][200] = {"10.1.0.254", "2001:db8:1::fe"}
TABLES = {"alpha": {"eth0": 200, "eth1": 201, "eth2": 202}, "beta": {"ens3": 301, "ens4": 302}}
DROP_IN = "/etc/iproute2/rt_tables.d/multihoming.conf"
SCRIPTS = "/etc/sysconfig/network-scripts"


def rules_of(server, tables, priority=20000):
    """Return the from-rules that lead each NIC's addresses to its table."""
    return sorted(
        (priority, address, tables[device]) for device, address in server.addresses(*tables)
    )


def assert_converged(server):
    """Claim that the kernel does what the pillar from the start says, and nothing else."""
    assert server.rules() == rules_of(server, TABLES[server.name])
    for table, gateways in GATEWAYS[server.name].items():
        assert server.gateways(table) == gateways


def assert_no_change(salt, servers):
    """Claim that one more run finds nothing to do, says so, and does nothing."""
    before = {name: server.state() for name, server in servers.items()}
    for name, states in salt.states().items():
        for state in states.values():
            assert state["result"] is True, f"{name}: {state}"
            assert state["changes"] == {}, f"{name}: {state}"
    assert {name: server.state() for name, server in servers.items()} == before


def apply_as_predicted(salt, minion):
    """Apply with ``test=True``, which must change nothing, then for real; return the changes."""
    predicted = salt.apply("test=True", minion=minion)
    done = salt.apply(minion=minion)
    assert done["result"] is True, done["comment"]
    assert predicted["result"] is None, predicted["comment"]
    assert predicted["changes"] == done["changes"]
    return done["changes"]


# --- from fresh minions to converged ones -----------------------------------------------------


def test_one_command_converges_fresh_minions(fresh, servers):
    assert not any(fresh.run("sys.list_functions", "multihoming").values())
    before = {name: server.state() for name, server in servers.items()}
    for states in fresh.states("test=True").values():
        assert all(state["result"] is not False for state in states.values()), states
        assert any("can't be predicted" in state["comment"] for state in states.values())
    assert {name: server.state() for name, server in servers.items()} == before
    assert not any(fresh.run("sys.list_functions", "multihoming").values())

    for states in fresh.states().values():
        assert {state["result"] for state in states.values()} == {True}, states
    for server in servers.values():
        assert_converged(server)
    assert_no_change(fresh, servers)


def test_the_files_say_the_same_as_the_kernel(converged, servers):
    alpha = servers["alpha"]
    assert "201 uplink1" in alpha.read(DROP_IN).splitlines()
    assert alpha.read(f"{SCRIPTS}/route-eth1").splitlines() == [
        "10.1.1.0/24 dev eth1 src 10.1.1.10 table uplink1",
        "default via 10.1.1.254 dev eth1 table uplink1",
    ]
    assert alpha.read(f"{SCRIPTS}/rule6-eth1").splitlines() == [
        "from 2001:db8:1:1::10 table uplink1 priority 20000",
    ]
    beta = servers["beta"]
    assert "301 front" in beta.read(DROP_IN).splitlines()
    assert "uplink1" not in beta.read(DROP_IN)
    assert beta.read(f"{SCRIPTS}/rule-ens3").splitlines() == [
        "from 10.2.3.10 table front priority 20000",
    ]
    assert converged.run("multihoming.list_files", minion="beta") == {
        f"{SCRIPTS}/{kind}-{device}": beta.read(f"{SCRIPTS}/{kind}-{device}")
        for kind in ("route", "route6", "rule", "rule6")
        for device in ("ens3", "ens4")
    }


def test_test_mode_predicts_the_run_and_changes_nothing(converged, servers):
    for server in servers.values():
        server.reset()
    before = {name: server.state() for name, server in servers.items()}
    predicted = converged.apply("test=True")
    assert {name: server.state() for name, server in servers.items()} == before
    assert {each["result"] for each in predicted.values()} == {None}
    done = converged.apply()
    assert {name: each["changes"] for name, each in predicted.items()} == {
        name: each["changes"] for name, each in done.items()
    }
    for name, each in converged.apply("test=True").items():
        assert (name, each["result"], each["changes"]) == (name, True, {})
    assert_no_change(converged, servers)


# --- packets ----------------------------------------------------------------------------------


def asked(server):
    """Ask every address under every filter; return (filter, address) -> what ``ask`` returns."""
    found = {}
    for rp_filter in (OFF, STRICT, LOOSE):
        server.host.rp_filter(rp_filter)
        for _device, address in server.addresses():
            found[rp_filter, address] = server.ask(address)
    return found


def without_policy(server):
    """Return what ``asked`` finds while all replies follow the main default route."""
    main, *_others = server.nics
    found = {}
    for rp_filter in (OFF, STRICT, LOOSE):
        for device, address in server.addresses():
            # The filter is for IPv4 only, and drops what would not be answered by the same NIC.
            dropped = rp_filter == STRICT and device != main and ":" not in address
            found[rp_filter, address] = (0, {device}, set()) if dropped else (1, {device}, {main})
    return found


def with_policy(server):
    """Return what ``asked`` finds once each reply leaves by the NIC that was asked."""
    return {
        (rp_filter, address): (1, {device}, {device})
        for rp_filter in (OFF, STRICT, LOOSE)
        for device, address in server.addresses()
    }


def test_each_reply_leaves_by_the_nic_that_was_asked(salt, servers):
    for server in servers.values():
        assert asked(server) == without_policy(server)
    assert all(each["result"] for each in salt.apply().values())
    for server in servers.values():
        assert asked(server) == with_policy(server)


def test_a_nic_is_reachable_while_the_one_of_the_main_default_is_down(converged, servers):
    alpha = servers["alpha"]
    with alpha.down("eth0"):
        for device, address in alpha.addresses("eth1", "eth2"):
            assert alpha.ask(address) == (1, {device}, {device})
    # What the kernel forgot with the link is put back.
    assert not alpha.gateways(200)
    apply_as_predicted(converged, "alpha")
    assert_converged(alpha)


# --- edits of the pillar ----------------------------------------------------------------------


def test_a_rule_and_a_route_come_and_go(converged, servers):
    alpha = servers["alpha"]
    pillar = deepcopy(PILLAR["alpha"])
    pillar["interfaces"]["eth1"]["routes"] = [{"to": "198.51.100.0/24", "via": "10.1.1.253"}]
    pillar["interfaces"]["eth1"]["rules"] = [{"fwmark": "0x7/0xff", "priority": 19000}]
    converged.pillar(alpha=pillar)
    changes = apply_as_predicted(converged, "alpha")
    assert changes["eth1"] == {
        "routes": {"added": ["198.51.100.0/24 via 10.1.1.253 dev eth1 table uplink1"]},
        "rules": {"added": ["fwmark 0x7/0xff table uplink1 priority 19000"] * 2},
    }
    for family in ("-4", "-6"):
        shown = alpha.host.ip("-N", family, "rule", "show", "priority", "19000")
        assert "fwmark 0x7/0xff lookup 201" in shown
    assert "198.51.100.0/24 via 10.1.1.253" in alpha.host.ip("route", "show", "table", "201")
    assert "198.51.100.0/24" in alpha.read(f"{SCRIPTS}/route-eth1")

    converged.pillar(alpha=PILLAR["alpha"])
    changes = apply_as_predicted(converged, "alpha")
    assert set(changes["eth1"]["routes"]) == set(changes["eth1"]["rules"]) == {"removed"}
    assert_converged(alpha)
    assert "198.51.100.0/24" not in alpha.read(f"{SCRIPTS}/route-eth1")
    assert_no_change(converged, servers)


def test_priority_gateway_and_table_id_may_change(converged, servers):
    alpha = servers["alpha"]
    pillar = deepcopy(PILLAR["alpha"])
    pillar["interfaces"]["eth1"]["priority"] = 15000
    pillar["interfaces"]["eth2"]["gateway"] = ["10.1.2.253", "2001:db8:1:2::fd"]
    pillar["tables"]["uplink0"] = 2000
    converged.pillar(alpha=pillar)
    apply_as_predicted(converged, "alpha")
    assert alpha.rules() == sorted(
        rules_of(alpha, {"eth1": 201}, 15000) + rules_of(alpha, {"eth0": 2000, "eth2": 202})
    )
    assert alpha.gateways(202) == {"10.1.2.253", "2001:db8:1:2::fd"}
    assert alpha.gateways(2000) == {"10.1.0.254", "2001:db8:1::fe"}
    assert alpha.gateways(200) == set()
    assert "2000 uplink0" in alpha.read(DROP_IN).splitlines()
    assert "200 uplink0" not in alpha.read(DROP_IN).splitlines()
    assert_no_change(converged, servers)


def test_an_interface_goes_and_comes_back(converged, servers):
    alpha = servers["alpha"]
    pillar = deepcopy(PILLAR["alpha"])
    del pillar["interfaces"]["eth2"], pillar["tables"]["uplink2"]
    converged.pillar(alpha=pillar)
    changes = apply_as_predicted(converged, "alpha")
    assert changes["tables"] == {"uplink2": {"old": 202, "new": None}}
    assert alpha.rules() == rules_of(alpha, {"eth0": 200, "eth1": 201})
    assert not alpha.host.ip("route", "show", "table", "202", check=False)
    assert not [path for path in alpha.files() if path.endswith("-eth2") and "ifcfg" not in path]
    assert "uplink2" not in alpha.read(DROP_IN)
    for _device, address in alpha.addresses("eth2"):
        assert alpha.ask(address) == (1, {"eth2"}, {"eth0"})

    converged.pillar(alpha=PILLAR["alpha"])
    changes = apply_as_predicted(converged, "alpha")
    assert changes["tables"] == {"uplink2": {"old": None, "new": 202}}
    assert_converged(alpha)
    assert_no_change(converged, servers)


def test_no_interfaces_and_no_tables_take_everything_away(converged, servers):
    alpha = servers["alpha"]
    foreign = ("from", "192.0.2.0/24", "table", "main", "priority", "5000")
    alpha.host.ip("rule", "add", *foreign)
    converged.pillar(alpha={"tables": {}, "interfaces": {}})
    apply_as_predicted(converged, "alpha")
    assert [rule[0] for rule in alpha.rules()] == [5000]
    assert alpha.files() == alpha.files(alpha.pristine)
    assert_converged(servers["beta"])


def test_a_minion_moves_to_other_tables_by_the_top_file(converged, servers):
    converged.pillar_file(
        "moved",
        {
            "multihoming": {
                "tables": {"storage": 77},
                "interfaces": {"eth1": {"table": "storage", "gateway": "10.1.1.254"}},
            }
        },
    )
    converged.top(alpha="moved", beta="beta")
    results = converged.apply()
    assert {each["result"] for each in results.values()} == {True}
    assert results["beta"]["changes"] == {}
    assert results["alpha"]["changes"]["tables"] == {
        "storage": {"old": None, "new": 77},
        **{f"uplink{number}": {"old": 200 + number, "new": None} for number in range(3)},
    }
    alpha = servers["alpha"]
    assert alpha.rules() == rules_of(alpha, {"eth1": 77})
    assert alpha.gateways(77) == {"10.1.1.254"}
    assert alpha.gateways(201) == set()
    assert_converged(servers["beta"])
    assert_no_change(converged, servers)


def test_a_minion_without_the_pillar_is_left_alone(converged, servers):
    before = servers["beta"].state()
    converged.top(alpha="alpha")
    results = converged.apply()
    assert (results["beta"]["result"], results["beta"]["changes"]) == (True, {})
    assert "left alone" in results["beta"]["comment"]
    assert servers["beta"].state() == before
    assert_converged(servers["beta"])


# --- what is wrong ----------------------------------------------------------------------------


def test_a_broken_pillar_touches_nothing_and_does_not_bother_others(salt, servers):
    broken = deepcopy(PILLAR["beta"])
    broken["tables"]["front"] = 254
    broken["interfaces"]["ens3"]["gatway"] = "10.2.3.254"
    broken["interfaces"]["ens4"]["gateway"] = "192.0.2.1"
    salt.pillar(beta=broken)
    before = servers["beta"].state()
    done = salt.raw("state.apply", "multihoming")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    results = salt.apply()
    assert results["alpha"]["result"] is True
    assert_converged(servers["alpha"])

    assert results["beta"]["result"] is False
    assert results["beta"]["changes"] == {}
    comment = results["beta"]["comment"]
    for key in ("tables.front", "interfaces.ens3.gatway", "interfaces.ens4.gateway"):
        assert any(line.startswith(f"{key}: ") for line in comment.splitlines()), comment
    assert servers["beta"].state() == before
    # Test mode and the functions say the same.
    assert salt.apply("test=True", minion="beta")["comment"] == comment
    salt.refresh()
    assert salt.run("multihoming.validate", minion="beta") == comment.splitlines()
    assert salt.run("multihoming.validate", minion="alpha") == []


@pytest.mark.parametrize("data", [None, ["eth1"]], ids=["null", "list"])
def test_a_pillar_of_the_wrong_shape_is_an_error_in_words(salt, servers, data):
    salt.pillar_file("beta", {"multihoming": data})
    before = servers["beta"].state()
    done = salt.raw("state.apply", "multihoming", minion="beta")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    result = next(iter(done.data.values()))
    assert (result["result"], result["changes"]) == (False, {})
    assert result["comment"].startswith("multihoming")
    assert servers["beta"].state() == before


# --- the functions over the master ------------------------------------------------------------


def test_plan_lists_the_lines_that_apply_runs(converged, servers):
    for server in servers.values():
        server.reset()
    before = {name: server.state() for name, server in servers.items()}
    converged.refresh()
    plans = converged.run("multihoming.plan")
    assert {name: server.state() for name, server in servers.items()} == before
    assert set(plans["alpha"]["interfaces"]) == {"eth0", "eth1", "eth2"}
    assert set(plans["beta"]["interfaces"]) == {"ens3", "ens4"}
    assert len([line for line in plans["beta"]["commands"] if " rule add " in line]) == 4
    assert DROP_IN in plans["beta"]["files"]
    # The lines are what they seem: run by hand, they leave the kernel as apply wants it.
    for line in plans["beta"]["commands"]:
        servers["beta"].host.ip(*line.split()[1:])
    assert_converged(servers["beta"])
    assert converged.run("multihoming.apply", minion="alpha") == plans["alpha"]
    assert_converged(servers["alpha"])


def test_the_functions_tell_what_is_there(converged):
    assert converged.run("multihoming.list_tables", minion="beta")["front"] == 301
    rules = converged.run("multihoming.list_rules", family=6, minion="beta")
    assert [(rule["from"], rule["table"]) for rule in rules if rule["priority"] == 20000] == [
        ("2001:db8:2:3::10", "front"),
        ("2001:db8:2:4::10", "back"),
    ]
    routes = converged.run("multihoming.list_routes", "front", minion="beta")
    assert {route["via"] for route in routes if route["to"] == "default"} == GATEWAYS["beta"][301]
    converged.refresh()
    desired = converged.run("multihoming.desired")
    assert desired["alpha"]["tables"] == PILLAR["alpha"]["tables"]
    assert desired["beta"]["interfaces"]["ens4"]["table"] == "back"


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("sys.doc", ["multihoming.plan", "multihoming.list_tables", "CLI Example:"]),
        ("sys.state_doc", ["multihoming.managed", "multihoming.interface_present", "tables:"]),
    ],
)
def test_the_documentation_can_be_read_over_the_master(converged, function, words):
    shown = converged.raw(function, "multihoming", "--out=nested", minion="alpha").stdout
    for word in words:
        assert word in shown
