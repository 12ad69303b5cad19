"""Links without a gateway, addresses that nobody writes down, tables without a default route."""

from pathlib import Path

import live
import pytest
from article import NOTHING, by_hand

SCRIPTS = Path("/etc/sysconfig/network-scripts")
TUN = (
    "tuntap add ppp0 mode tun",
    "address add 198.18.7.33 peer 100.64.0.1/32 dev ppp0",
    "address add 2001:db8:7::33/64 dev ppp0 nodad",
    "link set ppp0 up",
)
LEASE = "address add 192.168.1.77/24 dev eth1 valid_lft 3600 preferred_lft 3600"
AUTO = "-6 address add 2001:db8:1::77/64 dev eth1 valid_lft 3600 preferred_lft 3600 nodad"
FAR = {"-4": "203.0.113.9", "-6": "2001:db8:ffff::9"}


def pillar(dev="eth1", **entry):
    return {"tables": {"gateway1": 201}, "interfaces": {dev: {"table": "gateway1", **entry}}}


def leaves(host, source):
    """Return (table, interface, gateway) of a reply to another network, as the kernel has it."""
    family = "-6" if ":" in source else "-4"
    asked = ("-N", family, "-details", "route", "get", FAR[family], "from", source)
    (answer,) = host.ip_json(*asked)
    return answer["table"], answer["dev"], answer.get("gateway")


def sources(host):
    return sorted(
        rule.get("src", "all") for family in (4, 6) for rule in live.rules(host, family, 201)
    )


@pytest.fixture
def export(minion, host, converged):
    """Assert that what is exported changes nothing; return it."""

    def run(backend=None):
        found = minion.call("export", backend) if backend else minion.call("export")
        assert found["left_out"] == []
        converged(found["multihoming"])
        return found["multihoming"]["interfaces"]

    return run


@pytest.mark.parametrize("said", [{}, {"gateway": "direct"}])
def test_a_point_to_point_link_is_answered_through_itself(converge, host, export, said):
    by_hand(host, *TUN)
    converge({**pillar("ppp0", **said), "backend": "none"})
    for source in ("198.18.7.33", "2001:db8:7::33"):
        assert leaves(host, source) == ("201", "ppp0", None)
    assert export("none")["ppp0"]["table"] == "gateway1"
    converge({**NOTHING, "backend": "none"})
    assert live.tables(host, 201) == []


def test_its_peer_is_a_gateway_like_any_other(converge, host, export):
    by_hand(host, *TUN)
    converge({**pillar("ppp0", gateway="100.64.0.1"), "backend": "none"})
    assert leaves(host, "198.18.7.33") == ("201", "ppp0", "100.64.0.1")
    assert export("none")["ppp0"]["gateway"] == "100.64.0.1"


def test_main_may_lead_out_by_it(converge, host):
    by_hand(host, *TUN)
    whole = {**pillar("ppp0"), "default_gateway": "ppp0", "backend": "none"}
    assert "default_gateway" in converge(whole)
    for family in (4, 6):
        main = [r for r in live.routes(host, 254, family) if r["dst"] == "default"]
        assert [(route["dev"], route.get("gateway")) for route in main] == [("ppp0", None)]


def test_files_of_a_link_without_a_gateway(converge, host):
    converge(pillar(gateway="direct"))
    assert "default dev eth1 table gateway1" in (SCRIPTS / "route-eth1").read_text()
    assert leaves(host, "192.168.1.220") == ("201", "eth1", None)


def test_leases_and_advertised_addresses_count_where_the_file_says_so(converge, host, refused):
    by_hand(host, "address flush dev eth1", LEASE, AUTO)
    gateways = {"gateway": ["192.168.1.254", "2001:db8:1::254"]}
    assert "addresses: all" in refused({**pillar(**gateways), "backend": "none"})
    (SCRIPTS / "ifcfg-eth1").write_text("DEVICE=eth1\nBOOTPROTO=dhcp\nIPV6_AUTOCONF=yes\n")
    converge(pillar(**gateways))
    assert sources(host) == ["192.168.1.77", "2001:db8:1::77"]
    assert leaves(host, "192.168.1.77") == ("201", "eth1", "192.168.1.254")


def test_all_addresses_and_none(converge, host, export):
    by_hand(host, LEASE, "address add 192.168.1.78/32 dev eth1")
    both = {"gateway": ["192.168.1.254", "2001:db8:1::254"]}
    converge({**pillar(addresses="all", **both), "backend": "none"})
    assert len(sources(host)) == 4
    converge({**pillar(addresses=[], rules=[{"fwmark": 7}], **both), "backend": "none"})
    assert sources(host) == ["all", "all"]
    assert export("none")["eth1"]["addresses"] == []


def test_the_pool_of_a_vpn(converge, host):
    entry = {"addresses": ["192.168.1.220/24", "10.8.0.0/24"], "gateway": "192.168.1.254"}
    converge({**pillar(**entry), "backend": "none"})
    assert [(rule["src"], rule.get("srclen")) for rule in live.rules(host, 4, 201)] == [
        ("192.168.1.220", None),
        ("10.8.0.0", 24),
    ]


def test_a_storage_network_has_no_default_route(converge, host, export):
    entry = {"gateway": "none", "routes": [{"to": "10.20.0.0/16", "via": "192.168.1.9"}]}
    converge({**pillar(**entry), "backend": "none"})
    assert leaves(host, "192.168.1.220")[0] != "201"
    assert export("none")["eth1"]["gateway"] == "none"


@pytest.mark.parametrize("way", ["onlink", "a route to it"])
def test_a_gateway_of_main_outside_of_the_subnets_is_taken_over(converge, host, way):
    by_hand(host, "route del default")
    if way == "onlink":
        by_hand(host, "route add default via 203.0.113.1 dev eth1 onlink")
    else:
        by_hand(host, "route add 203.0.113.1 dev eth1", "route add default via 203.0.113.1")
    converge({**pillar(addresses=["192.168.1.220/24"]), "backend": "none"})
    (default,) = [r for r in live.routes(host, 201) if r["dst"] == "default"]
    assert default["gateway"] == "203.0.113.1"
    assert ("onlink" in default.get("flags", [])) == (way == "onlink")


def test_a_transparent_proxy(converge, host, export):
    rules = [{"fwmark": 1}]
    entry = {"addresses": [], "gateway": "none", "rules": rules}
    entry["routes"] = [{"to": "default", "type": "local"}]
    converge({**pillar(**entry), "backend": "none"})
    for family, to in FAR.items():
        marked = ("-N", family, "-details", "route", "get", to, "mark", "1")
        (answer,) = host.ip_json(*marked)
        assert (answer["type"], answer["dev"], answer["table"]) == ("2", "lo", "201")
    found = export("none")["eth1"]
    assert {key: found[key] for key in ("routes", "rules")} == {
        "routes": entry["routes"],
        "rules": [{"fwmark": "0x1"}],
    }


# --- more than one policy for an interface --------------------------------------------------------

LAN2 = {"table": "lan2", "addresses": ["198.51.100.63/24"], "gateway": "198.51.100.1"}


@pytest.mark.parametrize("backend", ["network-scripts", "none"])
def test_two_routers_behind_one_card(converge, converged, host, export, backend):
    by_hand(host, "address add 198.51.100.63/24 dev eth1")
    whole = pillar(gateway="192.168.1.254", addresses=["192.168.1.220/24"])
    whole["tables"]["lan2"] = 202
    whole["interfaces"]["eth1/lan2"] = {"device": "eth1", **LAN2}
    changes = converge({**whole, "backend": backend})
    assert {"eth1", "eth1/lan2"} <= set(changes)
    assert leaves(host, "192.168.1.220") == ("201", "eth1", "192.168.1.254")
    assert leaves(host, "198.51.100.63") == ("202", "eth1", "198.51.100.1")
    assert export(backend)["eth1/lan2"] == {"device": "eth1", **LAN2}
    converge(None, "interface_absent", "eth1/lan2", backend=backend)
    assert live.tables(host, 202) == []
    assert leaves(host, "192.168.1.220") == ("201", "eth1", "192.168.1.254")
    state = {"device": "eth1", "table_id": 202, "backend": backend, **LAN2}
    converge(None, "interface_present", "eth1/lan2", **state)
    converged({**whole, "backend": backend})


def test_two_policies_behind_a_card_by_which_main_leads_out_directly(converge, host):
    by_hand(host, "address add 198.51.100.63/24 dev eth1", "route replace default dev eth1")
    whole = pillar(addresses=["192.168.1.220/24"])
    whole["tables"]["lan2"] = 202
    whole["interfaces"]["eth1/lan2"] = {"device": "eth1", **LAN2}
    converge({**whole, "backend": "none"})
    assert leaves(host, "192.168.1.220") == ("201", "eth1", None)
    assert leaves(host, "198.51.100.63") == ("202", "eth1", "198.51.100.1")
