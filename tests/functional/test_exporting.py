"""Hosts set up by hand, exported: the pillar that describes them changes nothing on them."""

import json
import os
import random
import re
from ipaddress import ip_interface
from pathlib import Path

import live
import network_scripts
import pytest
import random_policy as policy
import salt.utils.yaml
from article import BY_HAND, by_hand, pillar
from salt.exceptions import CommandExecutionError

RT_TABLES = Path("/etc/iproute2/rt_tables")
DROP_IN = Path("/etc/iproute2/rt_tables.d/multihoming.conf")
SCRIPTS = Path("/etc/sysconfig/network-scripts")
SEED = int(os.environ.get("MULTIHOMING_SEED", "1"))
STEPS = int(os.environ.get("MULTIHOMING_STEPS", "60"))
GATEWAYS = ["192.168.1.254", "2001:db8:1::254"]


def name_tables(**tables):
    lines = "".join(f"{id_} {name}\n" for name, id_ in tables.items())
    RT_TABLES.write_text(RT_TABLES.read_text() + lines)


@pytest.fixture
def export(minion, host):
    """Export: nothing is written, and what is returned survives JSON and YAML."""

    def run(**kwargs):
        before = live.snapshot(host)
        found = minion.call("export", **kwargs)
        assert live.snapshot(host) == before
        assert json.loads(json.dumps(found)) == found
        text = salt.utils.yaml.safe_dump(found["multihoming"])
        assert salt.utils.yaml.safe_load(text) == found["multihoming"]
        return found

    return run


@pytest.fixture
def adopt(minion, host, export):
    """Export and apply: kernel and scripts stay as they are. Return the pillar.

    All that is new is the record of which tables are managed.
    """

    def run(**kwargs):
        found = export(**kwargs)
        assert found["left_out"] == []
        held, scripts = live.kernel(host), files_of_the_scripts()
        assert not changed(minion.call("plan", **found["multihoming"]))
        assert not changed(minion.call("apply", **found["multihoming"]))
        assert (live.kernel(host), files_of_the_scripts()) == (held, scripts)
        assert not any(minion.call("plan", **found["multihoming"]).values())
        assert export(**kwargs) == {**found, "notes": []}
        return found["multihoming"]

    return run


def changed(report):
    """Return what a run changes, but for the names that tables without one get."""
    unnamed = any(name.startswith("table") for name in report["tables"])
    files = report["files"]
    if unnamed:
        files = {path: diff for path, diff in files.items() if path != str(DROP_IN)}
    else:
        assert report["tables"] == {}
    kinds = {"commands": report["commands"], "files": files, "interfaces": report["interfaces"]}
    return {kind: what for kind, what in kinds.items() if what}


def files_of_the_scripts():
    return {path: text for path, text in live.texts().items() if path.startswith(str(SCRIPTS))}


# --- the article ------------------------------------------------------------------------------


def write(**files):
    for name, text in files.items():
        (SCRIPTS / name.replace("_", "-")).write_text(text)


@pytest.fixture
def article(host):
    """The article's host: files made by hand, and loaded by the scripts."""
    name_tables(gateway1=201)
    write(
        route_eth1="192.168.1.0/24 dev eth1 src 192.168.1.220 table gateway1\n"
        "default via 192.168.1.254 table gateway1\n",
        rule_eth1="from 192.168.1.220 table gateway1 priority 100\n",
        ifcfg_eth1="DEVICE=eth1\nIPADDR=192.168.1.220\nPREFIX=24\nGATEWAY=192.168.1.254\n",
    )
    assert network_scripts.ifup_routes(host, "eth1") == []


@pytest.mark.usefixtures("article")
def test_files_made_by_hand_are_adopted_to_the_letter(adopt):
    assert adopt() == {
        "tables": {"gateway1": 201},
        "interfaces": {
            "eth1": {"table": "gateway1", "addresses": ["192.168.1.220/24"], "priority": 100}
        },
    }


@pytest.mark.usefixtures("article")
def test_there_is_nothing_more_to_say(export):
    assert export()["notes"] == []


def test_a_table_without_a_name_gets_one_and_that_is_said(export, host):
    by_hand(host, *BY_HAND)
    notes = export()["notes"]
    assert "rt_tables would call table 201 table201" in notes


def test_a_host_that_does_nothing_of_the_kind(export):
    assert export() == {
        "multihoming": {"tables": {}, "interfaces": {}},
        "left_out": [],
        "notes": [],
    }


def test_what_only_the_kernel_holds_goes_into_files(minion, host, export):
    name_tables(gateway1=201)
    by_hand(host, *BY_HAND)
    found = export()
    assert found["left_out"] == []
    assert (
        f"{SCRIPTS}/rule-eth1 would say `from 192.168.1.220 table gateway1 priority 20000`"
        in (found["notes"])
    )
    held = live.kernel(host)
    minion.call("apply", **found["multihoming"])
    assert live.kernel(host) == held
    assert (SCRIPTS / "rule-eth1").is_file()
    assert export() == {**found, "notes": []}


@pytest.mark.usefixtures("article")
def test_lines_that_the_kernel_does_not_hold_are_named(export):
    write(rule_eth1=(SCRIPTS / "rule-eth1").read_text() + "fwmark 7 table gateway1 priority 9\n")
    assert export()["left_out"] == [
        f"would change: {SCRIPTS}/rule-eth1 without `fwmark 7 table gateway1 priority 9`"
    ]


@pytest.mark.usefixtures("article")
def test_files_of_a_card_that_is_not_there(export):
    name_tables(gateway9=209)
    write(rule_eth9="from 192.0.2.9 table gateway9 priority 100\n")
    write(rule_eth8="from 192.0.2.9 table 208 priority 100\n")
    found = export()
    assert list(found["multihoming"]["interfaces"]) == ["eth1"]
    assert [text.partition(", so")[0] for text in found["left_out"]] == [
        "table 208 (eth8): eth8 is not on this host",
        "table gateway9 (209, eth9): eth9 is not on this host",
    ]


@pytest.mark.usefixtures("article")
def test_an_ifcfg_that_cannot_be_read_is_not_relied_on(adopt):
    write(ifcfg_eth1="IPADDR=$(hostname -i)\n")
    eth1 = adopt()["interfaces"]["eth1"]
    assert (eth1["addresses"], eth1["gateway"]) == (["192.168.1.220/24"], "192.168.1.254")


def test_without_a_network_manager_it_is_for_the_kernel_only(adopt, host):
    SCRIPTS.rmdir()
    by_hand(host, *BY_HAND)
    assert adopt() == {
        "tables": {"table201": 201},
        "interfaces": {"eth1": {"table": "table201", "gateway": GATEWAYS}},
        "backend": "none",
    }


def test_the_backend_is_the_pillars(minion, host):
    assert minion.call("export", pillar={"backend": "none"})["multihoming"]["backend"] == "none"


def test_a_backend_that_does_not_exist_is_an_error(minion, host):
    with pytest.raises(CommandExecutionError, match="backend"):
        minion.call("export", backend="netplan")


@pytest.mark.parametrize(
    ("line", "route"),
    [
        (
            "nexthop via 192.168.1.254 dev eth1 nexthop via 10.0.0.1 dev eth2",
            {
                "nexthops": [
                    {"via": "192.168.1.254", "dev": "eth1"},
                    {"via": "10.0.0.1", "dev": "eth2"},
                ]
            },
        ),
        (
            "via 192.168.1.254 dev eth1 src 192.168.1.220 mtu 1400",
            {"via": "192.168.1.254", "src": "192.168.1.220", "mtu": 1400},
        ),
    ],
)
def test_a_default_route_with_more_to_it(adopt, host, line, route):
    by_hand(host, BY_HAND[0], BY_HAND[2], f"-4 route add default table 201 {line}")
    adopted = adopt(backend="none")["interfaces"]["eth1"]
    assert adopted["routes"] == [{"to": "default", **route}]


@pytest.mark.parametrize(
    "lines",
    [
        [f"{BY_HAND[1]} metric 101", BY_HAND[2]],
        [f"{BY_HAND[1]} src 192.168.1.220", BY_HAND[2]],
        [f"{BY_HAND[4]} src 2001:db8:1::220", BY_HAND[5]],
        [*BY_HAND[1:3], "route add 10.8.0.0/24 via 192.168.1.9 table 201"],
        [f"{BY_HAND[1]} metric 101", "rule add fwmark 1 table 201"],
        [
            "route add default table 201 nexthop via 192.168.1.254 dev eth1 "
            "nexthop via 10.0.0.1 dev eth2",
            BY_HAND[2],
        ],
    ],
)
def test_next_hops_that_main_reaches(adopt, host, lines):
    by_hand(host, *lines)
    eth1 = adopt(backend="none")["interfaces"]["eth1"]
    assert eth1.get("subnet_routes", True) is (eth1["addresses"] == [])


@pytest.mark.parametrize("more", ["", " src 198.51.100.7"])
def test_the_gateway_of_a_lone_address_lies_in_the_subnet_of_another(adopt, host, more):
    by_hand(
        host,
        "address add 198.51.100.7/32 dev eth1",
        f"{BY_HAND[1]}{more}",
        "rule add from 198.51.100.7 table 201 priority 20000",
    )
    eth1 = adopt(backend="none")["interfaces"]["eth1"]
    assert eth1["addresses"] == ["198.51.100.7/32"]
    assert "onlink" not in eth1


@pytest.mark.parametrize("source", ["192.168.1.0/24", "192.168.1.128/25", "10.8.0.0/24"])
@pytest.mark.parametrize("more", [BY_HAND[:1], ()], ids=["subnet", "default only"])
def test_a_rule_for_a_whole_prefix(adopt, host, source, more):
    by_hand(host, *more, BY_HAND[1], f"rule add from {source} table 201 priority 20000")
    eth1 = adopt(backend="none")["interfaces"]["eth1"]
    assert (eth1["addresses"], eth1["rules"]) == ([], [{"from": source}])


# --- main's routes are kept -------------------------------------------------------------------

ARTICLE = ("192.168.1.220", "192.168.1.0/24", "192.168.1.254", "eth1", 201)
THIRD = ("10.0.0.99", "10.0.0.0/8", "10.0.0.1", "eth2", 202)
V4 = {"table": "table201", "addresses": ["192.168.1.220/24"], "gateway": "192.168.1.254"}


def kept_by_hand(host, nic=ARTICLE, siblings=("192.168.2.0/24",)):
    """Do by hand what keep_main_routes does, IPv4 only."""
    address, subnet, gateway, dev, table = nic
    both = f"suppress_prefixlength 0 from {address}"
    by_hand(
        host,
        f"route add {subnet} dev {dev} src {address} table {table}",
        f"route add default via {gateway} dev {dev} table {table}",
        *(f"route add {to} via {gateway} dev {dev} table {table}" for to in siblings),
        f"rule add {both} table {table} priority 19998",
        f"rule add {both} table main priority 19999",
        f"rule add from {address} table {table} priority 20000",
    )


def test_mains_routes_kept_by_hand(adopt, host):
    kept_by_hand(host)
    assert adopt(backend="none")["interfaces"] == {"eth1": {**V4, "keep_main_routes": True}}


def test_mains_routes_kept_by_files(adopt, host):
    name_tables(gateway1=201)
    write(
        route_eth1="192.168.1.0/24 dev eth1 src 192.168.1.220 table gateway1\n"
        "default via 192.168.1.254 table gateway1\n"
        "192.168.2.0/24 via 192.168.1.254 dev eth1 table gateway1\n",
        rule_eth1="from 192.168.1.220 table gateway1 suppress_prefixlength 0 priority 98\n"
        "from 192.168.1.220 table main suppress_prefixlength 0 priority 99\n"
        "from 192.168.1.220 table gateway1 priority 100\n",
        ifcfg_eth1="DEVICE=eth1\nIPADDR=192.168.1.220\nPREFIX=24\nGATEWAY=192.168.1.254\n",
    )
    assert network_scripts.ifup_routes(host, "eth1") == []
    assert adopt()["interfaces"]["eth1"] == {
        "table": "gateway1",
        "addresses": ["192.168.1.220/24"],
        "priority": 100,
        "keep_main_routes": True,
    }


def test_tables_that_know_of_each_other(adopt, host):
    kept_by_hand(host, siblings=("192.168.2.0/24", "10.0.0.0/8"))
    kept_by_hand(host, THIRD, siblings=("192.168.2.0/24", "192.168.1.0/24"))
    found = adopt(backend="none")["interfaces"]
    assert [entry.get("keep_main_routes") for entry in found.values()] == [True, True]
    assert not [entry for entry in found.values() if "routes" in entry]


def test_a_table_without_a_default_route_keeps_mains_routes_as_well(minion, host, export):
    whole = pillar(keep_main_routes=True, gateway="none")
    minion.call("apply", **whole, backend="none")
    found = export(backend="none")
    assert found["multihoming"]["interfaces"]["eth1"]["keep_main_routes"] is True
    assert found["left_out"] == []


def test_another_way_to_a_sibling_stands_in_routes(adopt, host):
    kept_by_hand(host, siblings=())
    by_hand(host, "route add 192.168.2.0/24 via 192.168.1.3 dev eth1 table 201")
    route = {"to": "192.168.2.0/24", "via": "192.168.1.3"}
    eth1 = adopt(backend="none")["interfaces"]["eth1"]
    assert eth1 == {**V4, "keep_main_routes": True, "routes": [route]}


def test_mains_rule_is_foreign_where_siblings_are_answered_directly(minion, export, host):
    kept_by_hand(host, siblings=())
    found = export(backend="none")
    rule = {"from": "192.168.1.220", "suppress_prefixlength": 0, "priority": 19998}
    assert found["multihoming"]["interfaces"] == {"eth1": {**V4, "rules": [rule]}}
    assert found["left_out"] == [
        "`-4 rule from 192.168.1.220 table main suppress_prefixlength 0 priority 19999` leads to "
        "no table that the pillar can name, and stays as it is"
    ]
    held = live.kernel(host)
    minion.call("apply", **found["multihoming"])
    minion.call("apply", tables={}, interfaces={}, backend="none")
    assert live.rules(host, 4, 254)[0]["priority"] == 19999
    assert len(live.kernel(host)) == len(held) - 4


@pytest.mark.parametrize(
    "more",
    [
        "rule add from 192.168.1.220 table main suppress_prefixlength 0 priority 19999 proto 186",
        "rule add from 192.168.1.220 table main priority 19999",
    ],
)
def test_what_somebody_else_has_in_the_place_of_mains_rule_stays(minion, export, host, more):
    kept_by_hand(host)
    by_hand(host, more)
    held = live.kernel(host)
    found = export(backend="none")
    assert "keep_main_routes" not in str(found["multihoming"])
    minion.call("apply", **found["multihoming"])
    assert live.kernel(host) == held
    assert not changed(minion.call("plan", **found["multihoming"]))


def test_mains_rule_beside_a_further_rule_is_nobodys_to_own(minion, export, host):
    kept_by_hand(host)
    foreign = "from 192.168.1.220 table main suppress_prefixlength 0 priority 299"
    by_hand(host, f"rule add {foreign}", "rule add from 192.168.1.220 table 201 priority 300")
    held = live.kernel(host)
    found = export(backend="none")
    assert f"`-4 rule {foreign}`" in str(found["left_out"])
    for _ in range(2):
        minion.call("apply", **found["multihoming"])
        assert live.kernel(host) == held


def test_mains_rule_of_a_managed_table_that_is_left_out_would_go_with_it(minion, host, export):
    minion.call("apply", **pillar(keep_main_routes=True), backend="none")
    by_hand(host, "-4 route add throw 10.9.0.0/16 table 201")
    left_out = "\n".join(export(backend="none")["left_out"])
    rule = "from 192.168.1.220 table 254 suppress_prefixlength 0 priority 19999"
    assert f"would change: `ip -4 rule del {rule}`" in left_out
    assert "stays as it is" not in left_out


# --- the default gateway ----------------------------------------------------------------------

NETWORK = SCRIPTS.parent / "network"


@pytest.fixture
def eth0(host):
    """eth0 has its IPv4 gateway from a file, and no other."""
    by_hand(host, "-6 route del default")
    write(
        ifcfg_eth0="DEVICE=eth0\nONBOOT=yes\nIPADDR=192.168.2.220\nPREFIX=24\n"
        "GATEWAY=192.168.2.254\n"
    )


@pytest.mark.usefixtures("eth0", "article")
def test_the_default_gateway_that_the_files_name(adopt):
    NETWORK.write_text("NETWORKING=yes\nGATEWAYDEV=eth0\n")
    found = adopt()
    assert found["default_gateway"] == "eth0"
    assert list(found["interfaces"]) == ["eth1"]
    assert NETWORK.read_text() == "NETWORKING=yes\nGATEWAYDEV=eth0\n"


@pytest.mark.usefixtures("eth0")
def test_the_default_gateway_of_both_families(adopt, host):
    by_hand(host, "-6 route add default via 2001:db8:2::254 metric 1")
    path = SCRIPTS / "ifcfg-eth0"
    more = "IPV6INIT=yes\nIPV6ADDR=2001:db8:2::220/64\nIPV6_DEFAULTGW=2001:db8:2::254\n"
    path.write_text(path.read_text() + more)
    NETWORK.write_text("GATEWAYDEV=eth0\nIPV6_DEFAULTDEV=eth0\n")
    assert adopt() == {"tables": {}, "interfaces": {}, "default_gateway": "eth0"}


@pytest.mark.usefixtures("eth0", "article")
def test_no_default_gateway_where_no_file_names_it(adopt):
    NETWORK.write_text("NETWORKING=yes\n")
    assert "default_gateway" not in adopt()


@pytest.mark.usefixtures("eth0", "article")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("GATEWAYDEV=eth1\n", "with GATEWAYDEV=eth1, would change: `ip -4 route"),
        ("IPV6_DEFAULTDEV=eth0\n", "would say `GATEWAYDEV=eth0`"),
        ("GATEWAYDEV=eth7\n", "eth7 is not on this host"),
        ("GATEWAYDEV=eth0\nIPV6_DEFAULTDEV=eth1\n", "are two interfaces"),
        ("GATEWAYDEV=$(cat /dev)\n", f"{NETWORK} line 1"),
        ("GATEWAYDEV='a b'\n", "is not"),
    ],
)
def test_a_default_gateway_that_would_change_something_is_left_out(export, text, why):
    NETWORK.write_text(text)
    found = export()
    assert list(found["multihoming"]) == ["tables", "interfaces"]
    assert list(found["multihoming"]["interfaces"]) == ["eth1"]
    assert found["left_out"][0].startswith("default_gateway: ")
    assert why in "\n".join(found["left_out"])


# --- what can't be said -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-4 route add throw 10.9.0.0/16 table 201", "type throw"),
        ("-4 route add 10.9.0.0/16 via 192.168.1.3 tos 0x10 table 201", "has tos"),
        ("-4 route add 10.9.0.0/16 via 192.168.1.3 realms 3 table 201", "has realms"),
        ("-4 route add 10.9.0.0/16 nhid 7 table 201", "has nhid"),
        ("-4 route add 10.9.0.0/16 via 192.168.1.3 mtu lock 1400 table 201", "has mtu lock,"),
        ("-4 route add 10.9.0.0/16 via inet6 fe80::1 dev eth1 table 201", "has via"),
        ("-4 route add 10.9.0.0/16 dev eth2 table 201", "leaves by eth2"),
        ("-4 route add local 10.9.0.1 dev eth1 proto kernel table 201", "VRF"),
        ("-6 route add 2001:db8:9::/48 via fe80::1 dev eth1 proto ra table 201", "protocol is ra"),
        ("-6 route add 2001:db8:9::/48 dev eth2 table 201", "leaves by eth2"),
        ("-4 rule add fwmark 1 table 201 priority 9 suppress_ifgroup 3", "has suppress_ifgroup"),
        ("-4 rule add to 10.9.0.0/16 table 201 priority 20000 prohibit", "which comes first"),
        ("-4 rule add fwmark 1 table 201 priority 0", "priority: 0"),
        ("-4 rule add fwmark 1 table 201 priority 32766", "priority: 32766"),
    ],
)
def test_a_table_that_cannot_be_said_is_left_alone(minion, host, export, line, why):
    by_hand(host, "-4 nexthop add id 7 via 192.168.1.3 dev eth1", *BY_HAND, line)
    found = export(backend="none")
    assert why in found["left_out"][0]
    assert found["multihoming"] == {"tables": {}, "interfaces": {}, "backend": "none"}
    held = live.kernel(host)
    minion.call("apply", **found["multihoming"])
    assert live.kernel(host) == held


def test_a_managed_table_that_got_more_than_can_be_said(minion, host, export):
    minion.call("apply", **pillar())
    by_hand(host, "-4 route add throw 10.9.0.0/16 table 201")
    left_out = export()["left_out"]
    assert "type throw" in left_out[0]
    assert "would change: `ip -4 route del throw 10.9.0.0/16 scope 0 proto 3 table 201`" in left_out
    assert "would change: rt_tables without gateway1 (201)" in left_out


def test_routes_without_rules_are_found(host, export):
    by_hand(host, *(line for line in BY_HAND if " route " in line))
    assert "no rule leads to it" in export()["left_out"][0]


def test_an_interface_that_is_down(host, export):
    by_hand(host, *BY_HAND)
    host.ip("link", "set", "eth1", "down")
    assert "table 201 (eth1): eth1 is down" in export()["left_out"][0]


def test_rules_into_main_are_listed(host, adopt, export):
    by_hand(host, *BY_HAND)
    line = "-4 rule from 192.168.1.220 table main suppress_prefixlength 0 priority 19999"
    host.ip(*line.replace("rule", "rule add").split())
    found = export(backend="none")
    assert found["left_out"] == [
        f"`{line}` leads to no table that the pillar can name, and stays as it is"
    ]
    assert list(found["multihoming"]["interfaces"]) == ["eth1"]


# --- random hosts -----------------------------------------------------------------------------


def forget(named):
    """Leave what is there to nobody, as if made by hand: tables with names, or with ids only."""
    text = DROP_IN.read_text()
    DROP_IN.unlink()
    if named:
        RT_TABLES.write_text(RT_TABLES.read_text() + text)
        return
    for path in SCRIPTS.glob("r*-*"):
        path.write_text(re.sub(r"table table([0-9]+)", r"table \1", path.read_text()))


@pytest.mark.parametrize("named", [True, False], ids=["names", "ids"])
@pytest.mark.parametrize("backend", ["none", "network-scripts"])
def test_what_random_pillars_made_is_exported_and_adopted(minion, host, adopt, backend, named):
    rng = random.Random(f"{SEED} {backend} {named}")
    before = RT_TABLES.read_text()
    done = 0
    while done < STEPS // 10:
        whole = policy.pillar(rng, crossing=rng.random() < 0.5) | {"backend": backend}
        if not whole["tables"] or minion.call("validate", **whole):
            continue
        done += 1
        minion.call("apply", **whole)
        forget(named)
        held = policy.held(host, policy.IDS)
        pillar = adopt(backend=backend)
        assert policy.held(host, policy.IDS) == held
        assert {*pillar["interfaces"]} == {*whole["interfaces"]}, whole
        minion.call("apply", tables={}, interfaces={}, backend=backend)
        assert policy.held(host, policy.IDS) == ([], [])
        RT_TABLES.write_text(before)


ODDITIES = (
    "route add throw 203.0.113.0/24 table {table}",
    "route add 203.0.113.0/24 dev eth0 table {table}",
    "route add 203.0.113.0/24 via {gateway} dev {device} proto static table {table}",
    "route add 203.0.113.0/24 via {gateway} dev {device} proto 11 table {table}",
    "route add 203.0.113.0/24 via {gateway} dev {device} advmss 500 table {table}",
    "route replace default via {gateway} dev {device} src {address} table {table}",
    "route replace default via {gateway} dev {device} mtu 1400 table {table}",
    "route del {subnet} table {table}",
    "route replace {subnet} dev {device} table {table}",
    "rule add from {address} table {table} priority 300",
    "rule add from {address} table {table} priority 20000 protocol static",
    "rule add from {subnet} table {table} priority 20000",
    "rule add fwmark 9 table {table} priority 25000 suppress_ifgroup 3",
    "rule add fwmark 9 table 199 priority 25000",
    "rule add from {address} table main suppress_prefixlength 0 priority 299",
    "rule add from {address} table main suppress_prefixlength 0 priority 19999",
    "rule add from {address} table {table} suppress_prefixlength 0 priority 19998",
    "rule add from {address} table main priority 19999",
    "rule del from {address} table main",
    "route del 192.168.2.0/24 table {table}",
    "route replace 192.168.2.0/24 via {gateway} dev {device} mtu 1400 table {table}",
    "rule del from {address} table {table}",
)


def make_odd(host, rng, whole):
    """Do what people do, in one of the tables."""
    device = rng.choice([*whole["interfaces"]])
    address = policy.NICS[device][0]
    words = {
        "device": device,
        "table": whole["tables"][whole["interfaces"][device]["table"]],
        "gateway": whole["interfaces"][device]["gateway"][0],
        "address": address.partition("/")[0],
        "subnet": str(ip_interface(address).network),
    }
    host.ip("-4", *rng.choice(ODDITIES).format(**words).split(), check=False)


def delete_rules_into_main(host):
    for family in ("-4", "-6"):
        for rule in filter(None, host.ip_json("-N", family, "-details", "rule", "show")):
            if policy.is_into_main(rule):
                host.ip(family, "rule", "del", "from", rule["src"], "priority", rule["priority"])


def test_what_the_pillar_of_an_odd_host_would_change_is_said(minion, host, export):
    rng = random.Random(f"{SEED} odd")
    exported = 0
    for _ in range(STEPS // 6):
        whole = {"interfaces": {}}
        while not whole["interfaces"] or minion.call("validate", **whole):
            whole = policy.pillar(rng) | {"backend": "none"}
        minion.call("apply", **whole)
        forget(named=False)
        for _ in range(rng.randint(1, 3)):
            make_odd(host, rng, whole)
        before = live.kernel(host)
        found = export(backend="none")
        exported += len(found["multihoming"]["interfaces"])
        done = minion.call("apply", **found["multihoming"])
        assert [f"would change: `{line}`" for line in done["commands"]] == [
            line for line in found["left_out"] if line.startswith("would change")
        ]
        assert done["commands"] or live.kernel(host) == before
        again = export(backend="none")
        assert again["multihoming"] == found["multihoming"]
        assert "would change" not in str(again["left_out"])
        for id_ in (*policy.IDS, 199):
            for family in ("-4", "-6"):
                host.ip(family, "route", "flush", "table", id_, check=False)
                host.ip(family, "rule", "flush", "table", id_)
        delete_rules_into_main(host)
        DROP_IN.unlink(missing_ok=True)
    assert exported > STEPS // 12
