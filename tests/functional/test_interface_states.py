"""Single interfaces and tables, for people who compose their own SLS."""

from pathlib import Path

import live
import pytest
from article import BY_HAND, GATEWAY, GATEWAY6, by_hand, pillar, two

RT_TABLES = Path("/etc/iproute2/rt_tables")
DROP_IN = Path("/etc/iproute2/rt_tables.d/multihoming.conf")
SCRIPTS = Path("/etc/sysconfig/network-scripts")
ETH1 = {"table": "gateway1", "table_id": 201, "gateway": [GATEWAY, GATEWAY6]}
ETH2 = {"table": "gateway2", "table_id": 202, "gateway": ["10.0.0.1", "2001:db8:a::1"]}


def owned():
    text = DROP_IN.read_text() if DROP_IN.exists() else ""
    return [line for line in text.splitlines() if not line.startswith("#")]


@pytest.fixture
def state(converge):
    """Converge on one state: state(function, name, arguments)."""

    def run(function, name, **kwargs):
        return converge(None, function, name, **kwargs)

    return run


@pytest.fixture
def nothing_to_do(converged):
    def run(function, name, **kwargs):
        converged(None, function, name, **kwargs)

    return run


# --- interface_present ------------------------------------------------------------------------


def test_an_interface_gets_what_one_would_type(state, host, twin):
    changes = state("interface_present", "eth1", **ETH1)
    by_hand(twin, *BY_HAND)
    assert live.kernel(host) == live.kernel(twin)
    assert set(changes) == {"tables", "files", "eth1"}


def test_an_interface_is_the_same_as_in_the_pillar(state, converged):
    state("interface_present", "eth1", **ETH1)
    converged(pillar())


def test_a_second_interface_leaves_the_first_alone(state, host, converged):
    state("interface_present", "eth1", **ETH1)
    held = live.tables(host, 201)
    assert set(state("interface_present", "eth2", **ETH2)) == {"tables", "files", "eth2"}
    assert live.tables(host, 201) == held
    converged(two())


def test_every_key_of_an_interface_is_an_argument(state, host):
    state(
        "interface_present",
        "eth1",
        **ETH1,
        addresses=["192.168.1.220/24", "2001:db8:1::220/64"],
        priority=150,
        onlink=False,
        optional=False,
        routes=[{"to": "10.9.0.0/16", "via": "192.168.1.9"}],
        rules=[{"fwmark": 7, "priority": 5}],
    )
    assert [rule["priority"] for rule in live.rules(host, table=201)] == [5, 150]
    assert "10.9.0.0/16" in [route["dst"] for route in live.routes(host, 201)]


def test_drift_elsewhere_is_not_looked_at(state, nothing_to_do, host):
    state("interface_present", "eth1", **ETH1)
    state("interface_present", "eth2", **ETH2)
    host.ip("-4", "route", "flush", "table", "202")
    nothing_to_do("interface_present", "eth1", **ETH1)


def test_drift_of_the_interface_is_repaired(state, host):
    state("interface_present", "eth1", **ETH1)
    held = live.kernel(host)
    host.ip("-4", "rule", "del", "table", "201")
    assert set(state("interface_present", "eth1", **ETH1)) == {"eth1"}
    assert live.kernel(host) == held


def test_the_id_may_be_left_out_when_the_name_is_known(state, host):
    state("table_present", "gateway1", id=201)
    state("interface_present", "eth1", table="gateway1", gateway=[GATEWAY, GATEWAY6])
    assert len(live.rules(host, table=201)) == 1


def test_without_id_test_mode_says_that_it_cannot_predict(minion, host):
    ret = minion.state("interface_present", "eth1", test=True, table="gateway1", gateway=GATEWAY)
    assert ret["result"] is None
    assert "table_id" in ret["comment"]


def test_without_id_an_unknown_table_is_an_error(minion, host):
    before = live.snapshot(host)[:2]
    ret = minion.state("interface_present", "eth1", table="gateway1", gateway=GATEWAY)
    assert (ret["result"], ret["changes"]) == (False, {})
    assert "multihoming.table_present" in ret["comment"]
    assert live.snapshot(host)[:2] == before


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"gateway": "172.16.0.1"}, "gateway"),
        ({"table_id": 254}, "table"),
        ({"table": "main"}, "table"),
        ({"rules": [{"form": "10.0.0.0/8"}]}, "rules[0].form"),
        ({"backend": "networkd"}, "backend"),
    ],
)
def test_bad_arguments_are_refused(refused, wrong, key):
    assert key in refused(None, "interface_present", "eth1", **{**ETH1, **wrong})


# --- interface_absent -------------------------------------------------------------------------


def test_an_interface_goes_and_its_tables_name_stays(state, host, twin):
    state("interface_present", "eth1", **ETH1)
    changes = state("interface_absent", "eth1")
    assert set(changes) == {"files", "eth1"}
    assert live.kernel(host) == live.kernel(twin)
    assert list(SCRIPTS.iterdir()) == []
    assert owned() == ["201 gateway1"]


def test_the_other_interfaces_stay(state, host):
    state("interface_present", "eth1", **ETH1)
    state("interface_present", "eth2", **ETH2)
    held = live.tables(host, 201)
    state("interface_absent", "eth2")
    assert live.tables(host, 201) == held
    assert live.tables(host, 202) == []


def test_an_interface_that_no_longer_exists_goes_too(state, host):
    state("interface_present", "eth2", **ETH2)
    host.ip("link", "delete", "eth2")
    state("interface_absent", "eth2")
    assert live.tables(host, 202) == []
    assert list(SCRIPTS.iterdir()) == []


@pytest.mark.parametrize("name", ["eth1", "eth9"])
def test_an_interface_without_policy_is_absent_already(nothing_to_do, name):
    nothing_to_do("interface_absent", name)


def test_the_table_can_be_named(state, host):
    state("interface_present", "eth1", **ETH1)
    state("interface_absent", "eth1", table="gateway1")
    assert live.tables(host, 201) == []


def test_a_foreign_table_is_never_emptied(nothing_to_do, host):
    RT_TABLES.write_text(RT_TABLES.read_text() + "99 foreign\n")
    by_hand(host, "-4 rule add from 192.168.1.220 table 99 priority 5")
    nothing_to_do("interface_absent", "eth1", table="foreign")
    assert len(live.rules(host, table=99)) == 1


# --- tables -----------------------------------------------------------------------------------


def test_a_table_gets_a_name(state):
    changes = state("table_present", "gateway1", id=201)
    assert changes["tables"] == {"gateway1": {"old": None, "new": 201}}
    assert owned() == ["201 gateway1"]


def test_a_table_gets_another_id(state):
    state("table_present", "gateway1", id=201)
    changes = state("table_present", "gateway1", id=301)
    assert changes["tables"] == {"gateway1": {"old": 201, "new": 301}}
    assert owned() == ["301 gateway1"]


def test_a_table_loses_its_name(state):
    before = live.texts()
    state("table_present", "gateway1", id=201)
    changes = state("table_absent", "gateway1")
    assert changes["tables"] == {"gateway1": {"old": 201, "new": None}}
    assert live.texts() == before


def test_a_table_without_name_is_absent_already(nothing_to_do):
    nothing_to_do("table_absent", "gateway1")


def test_a_table_in_use_keeps_its_name(state, refused):
    state("interface_present", "eth1", **ETH1)
    assert "gateway1 is in use" in refused(None, "table_absent", "gateway1")


def test_other_tables_stay(state):
    state("table_present", "gateway1", id=201)
    state("table_present", "gateway2", id=202)
    state("table_absent", "gateway1")
    assert owned() == ["202 gateway2"]


@pytest.mark.parametrize("id_", [0, 253, 254, 255, -1, 2**32, True, "201", None, 1.5])
def test_an_id_that_no_table_can_have_is_refused(refused, id_):
    refused(None, "table_present", "gateway1", id=id_)


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "a\nb", "$(x)", "main", "local", "default", "1a", "-a", "all", 7]
)
def test_a_name_that_no_table_can_have_is_refused(refused, name):
    refused(None, "table_present", name, id=201)


@pytest.mark.parametrize("name", ["main", "local", "default", "unspec"])
def test_the_kernels_own_names_cannot_be_taken_away(refused, name):
    refused(None, "table_absent", name)


def test_a_name_that_is_taken_is_refused(refused):
    RT_TABLES.write_text("301 gateway1\n")
    assert "301" in refused(None, "table_present", "gateway1", id=201)


def test_an_id_that_is_taken_is_refused(refused):
    RT_TABLES.write_text("201 other\n")
    assert "other" in refused(None, "table_present", "gateway1", id=201)
