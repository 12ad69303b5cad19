"""keep_main_routes: replies may use main's routes, but for its default, and siblings' are ours."""

from pathlib import Path

import live
import network_scripts
import pytest
from article import ADDRESS, ADDRESS6, NOTHING, by_hand, pillar, two
from capture import Capture
from network import connect, entered, first_article
from traffic import ping

ROUTE = {"to": "198.51.100.0/24", "via": "192.168.1.7"}
DROP_IN = "/etc/iproute2/rt_tables.d/multihoming.conf"


def from_rules(host, address, family=4):
    return [
        (rule["priority"], rule["table"], rule.get("suppress_prefixlen"))
        for rule in live.rules(host, family)
        if rule.get("src") == address
    ]


def through(host, to, address):
    """Return the interface and next hop of a reply."""
    (route,) = host.ip_json("route", "get", to, "from", address)
    return route["dev"], route.get("gateway")


@pytest.mark.parametrize(("family", "address"), [(4, ADDRESS), (6, ADDRESS6)])
def test_three_rules_for_each_address(converge, host, family, address):
    converge(pillar(keep_main_routes=True))
    assert from_rules(host, address, family) == [
        (19998, "201", 0),
        (19999, "254", 0),
        (20000, "201", None),
    ]


def test_the_siblings_subnets_are_reached_through_the_own_gateway(converge, host):
    converge(pillar(keep_main_routes=True))
    assert through(host, "192.168.2.17", ADDRESS) == ("eth1", "192.168.1.254")
    assert through(host, "2001:db8:2::17", ADDRESS6) == ("eth1", "2001:db8:1::254")


def test_an_interface_without_gateway_is_no_sibling(converge, host):
    converge(pillar(keep_main_routes=True))
    assert through(host, "10.1.2.3", ADDRESS) == ("eth2", None)
    assert through(host, "2001:db8:a::17", ADDRESS6) == ("eth2", None)


def test_a_sibling_whose_only_default_route_would_go_is_named(converge, refused):
    whole = {**pillar(keep_main_routes=True), "backend": "none"}
    converge(whole)
    said = refused({**whole, "default_gateway": "eth1"})
    assert "clients of eth0 have a gateway; declare eth0 in `interfaces`" in said
    whole["interfaces"]["eth0"] = {"table": "gateway0"}
    whole["tables"]["gateway0"] = 200
    converge({**whole, "default_gateway": "eth1"})


def test_a_declared_interface_is_a_sibling(converge, host):
    whole = two()
    converge({**whole, "keep_main_routes": True})
    assert through(host, "10.1.2.3", ADDRESS) == ("eth1", "192.168.1.254")
    assert through(host, "192.168.1.9", "10.0.0.99") == ("eth2", "10.0.0.1")
    assert through(host, "192.168.2.9", "10.0.0.99") == ("eth2", "10.0.0.1")


def test_an_ifcfg_file_makes_a_sibling(converge, host):
    (network_scripts.FOLDER / "ifcfg-eth2").write_text("DEVICE=eth2\nGATEWAY=10.0.0.1\n")
    converge(pillar(keep_main_routes=True))
    assert through(host, "10.1.2.3", ADDRESS) == ("eth1", "192.168.1.254")


def test_mains_more_specific_routes_count_and_its_default_does_not(converge, host):
    by_hand(host, "route add 172.20.0.0/16 via 192.168.2.9")
    converge(pillar(keep_main_routes=True))
    assert through(host, "172.20.1.1", ADDRESS) == ("eth0", "192.168.2.9")
    assert through(host, "203.0.113.9", ADDRESS) == ("eth1", "192.168.1.254")


def test_the_tables_own_routes_go_before_mains(converge, host):
    by_hand(host, "route add 172.20.0.0/16 via 192.168.2.9")
    route = {"to": "172.20.0.0/16", "via": "192.168.1.7"}
    converge(pillar(keep_main_routes=True, routes=[route]))
    assert through(host, "172.20.1.1", ADDRESS) == ("eth1", "192.168.1.7")


def test_a_route_to_a_sibling_in_the_pillar_is_kept(converge, host):
    route = {"to": "192.168.2.0/24", "via": "192.168.1.7"}
    converge(pillar(keep_main_routes=True, routes=[route]))
    assert through(host, "192.168.2.17", ADDRESS) == ("eth1", "192.168.1.7")


def test_a_sibling_in_the_own_subnet_gets_no_route(converge, host):
    host.address("eth0", "192.168.1.221/24")
    converge(pillar(keep_main_routes=True))
    assert through(host, "192.168.1.100", ADDRESS) == ("eth1", None)


def test_a_sibling_in_the_network_around_the_own_is_reached_through_the_gateway(converge, host):
    host.address("eth1", "10.1.0.220/16")
    more = {"gateway": "10.1.0.1", "addresses": ["10.1.0.220/16"]}
    whole = two(gateway="10.0.0.1")
    whole["interfaces"]["eth1"] |= more
    converge({**whole, "keep_main_routes": True})
    assert through(host, "10.200.0.1", "10.1.0.220") == ("eth1", "10.1.0.1")
    assert through(host, "10.1.0.9", "10.1.0.220") == ("eth1", None)


def test_at_top_level_it_holds_for_all_that_do_not_say_otherwise(converge, host):
    converge({**two(keep_main_routes=False), "keep_main_routes": True})
    assert len(from_rules(host, ADDRESS)) == 3
    assert len(from_rules(host, "10.0.0.99")) == 1


@pytest.mark.parametrize("after", [pillar(), NOTHING], ids=["without", "nothing"])
@pytest.mark.parametrize("backend", ["network-scripts", "none"])
def test_taking_it_away_leaves_no_rule_and_no_route(converge, host, twin, backend, after):
    converge({**after, "backend": backend} if after["tables"] else {**pillar(), "backend": backend})
    converge({**pillar(keep_main_routes=True), "backend": backend})
    converge({**after, "backend": backend})
    assert len(from_rules(host, ADDRESS)) == len(after["tables"])
    assert not live.rules(host, 4, 254)[:-1]


def test_a_damaged_set_is_mended_and_still_goes_away(converge, host):
    whole = pillar(keep_main_routes=True)
    for backend in ("network-scripts", "none"):
        for priority in (19998, 20000):
            converge({**whole, "backend": backend})
            by_hand(host, f"rule del from {ADDRESS} table 201 priority {priority}")
            converge({**whole, "backend": backend})
            assert len(from_rules(host, ADDRESS)) == 3
            by_hand(host, f"rule del from {ADDRESS} table 201 priority {priority}")
            converge({**NOTHING, "backend": backend})
            assert not from_rules(host, ADDRESS)


def test_the_middle_rule_missing_is_drift(converge, host):
    converge(pillar(keep_main_routes=True))
    by_hand(host, f"rule del from {ADDRESS} table main priority 19999")
    changes = converge(pillar(keep_main_routes=True))
    added = f"from {ADDRESS} table main suppress_prefixlength 0 priority 19999"
    assert changes == {"eth1": {"rules": {"added": [added]}}}


def test_another_priority_moves_all_three(converge, host):
    converge(pillar(keep_main_routes=True))
    converge(pillar(keep_main_routes=True, priority=500))
    assert [rule[0] for rule in from_rules(host, ADDRESS)] == [498, 499, 500]


def test_foreign_rules_into_main_survive(converge, host):
    foreign = (
        "rule add from 10.9.9.9 table main suppress_prefixlength 0 priority 19999",
        f"rule add from {ADDRESS} table main suppress_prefixlength 0 priority 500",
        f"rule add from {ADDRESS} table main priority 600",
    )
    by_hand(host, *foreign)
    before = live.rules(host, 4, 254)
    converge(pillar(keep_main_routes=True))
    converge(pillar())
    assert live.rules(host, 4, 254) == before
    converge(NOTHING)
    assert live.rules(host, 4, 254) == before


def test_a_foreign_rule_in_the_very_place_is_refused(refused, host):
    rule = f"from {ADDRESS} fwmark 7 table main suppress_prefixlength 0 priority 19999"
    by_hand(host, f"rule add {rule}")
    assert "give it another priority" in refused(pillar(keep_main_routes=True))


def test_a_foreign_rule_that_the_kernel_can_tell_apart_is_no_trouble(converge, host):
    converge(pillar(keep_main_routes=True))
    by_hand(host, f"rule add from {ADDRESS} fwmark 7 table main priority 19999")
    foreign = [rule for rule in live.rules(host, 4, 254) if "fwmark" in rule]
    converge(pillar(keep_main_routes=True, priority=20000, routes=[ROUTE]))
    converge(NOTHING)
    assert live.rules(host, 4, 254)[:-1] == foreign != []


def test_a_foreign_rule_before_one_of_the_pillars_own_survives(converge, host):
    by_hand(host, f"rule add from {ADDRESS} table main suppress_prefixlength 0 priority 599")
    own = {"from": ADDRESS, "priority": 600}
    for whole in (pillar(keep_main_routes=True, rules=[own]), pillar(rules=[own]), NOTHING):
        converge(whole)
        assert (599, "254", 0) in from_rules(host, ADDRESS)
    assert len(from_rules(host, ADDRESS)) == 1


# --- packets ----------------------------------------------------------------------------------


@pytest.fixture
def container():
    """The article's network, and a container behind a bridge of the server."""
    with first_article() as network:
        server = network.server
        inside = network.client("inside", "eth0", gateways=())
        inside.ip("link", "delete", "eth0")
        server.ip("link", "add", "docker0", "up", "type", "bridge")
        connect(inside, "eth0", server, "veth0")
        server.ip("link", "set", "veth0", "master", "docker0")
        server.address("docker0", "172.17.0.1/16", "2001:db8:d::1/64")
        inside.address("eth0", "172.17.0.2/16", "2001:db8:d::2/64")
        inside.default_route("172.17.0.1", "2001:db8:d::1")
        network.wait_ready()
        yield network


def answered_by(network, client, address):
    """Return whether a ping is answered, and the interfaces by which the answers leave."""
    devices = ("eth0", "eth1", "docker0")
    with Capture(network.server, devices) as capture:
        replies = ping(getattr(network, client), address)
        capture.settle()
    return bool(replies), capture.left_by(address)


@pytest.mark.parametrize("rp_filter", [1, 2])
@pytest.mark.parametrize("address", [ADDRESS, ADDRESS6])
def test_containers_and_siblings_are_answered_where_they_asked(
    minion, container, address, rp_filter
):
    whole = {**pillar(), "backend": "none"}
    with entered(container.server):
        minion.call("apply", **whole)
        container.server.rp_filter(rp_filter)
        assert not answered_by(container, "inside", address)[0]
        minion.call("apply", **whole, keep_main_routes=True)
    assert answered_by(container, "inside", address) == (True, {"docker0"})
    for client in ("pc2", "far", "pc1"):
        assert answered_by(container, client, address) == (True, {"eth1"})


def test_the_files_load_what_the_kernel_holds(converge, host, twin):
    converge({**two(), "keep_main_routes": True})
    assert network_scripts.ifup_routes(twin, "eth0", "eth1", "eth2") == []
    assert live.kernel(twin) == live.kernel(host)
    assert network_scripts.ifdown_routes(twin, "eth0", "eth1", "eth2") == []
    assert len(live.rules(twin, 4)) == 3


def hand_made(host):
    by_hand(
        host,
        "-4 route add 192.168.1.0/24 dev eth1 src 192.168.1.220 table 201",
        "-4 route add 192.168.2.0/24 via 192.168.1.254 dev eth1 table 201",
        "-4 route add default via 192.168.1.254 dev eth1 table 201",
        f"-4 rule add from {ADDRESS} table 201 suppress_prefixlength 0 priority 19998",
        f"-4 rule add from {ADDRESS} table main suppress_prefixlength 0 priority 19999",
        f"-4 rule add from {ADDRESS} table 201 priority 20000",
    )


ADOPTED = {
    "addresses": ["192.168.1.220/24"],
    "gateway": "192.168.1.254",
    "routes": [{"to": "192.168.2.0/24", "via": "192.168.1.254"}],
}


def test_a_hand_made_set_is_adopted_and_recorded(converge, converged, minion, host):
    hand_made(host)
    Path("/etc/iproute2/rt_tables").write_text("201 gateway1\n")
    whole = {**pillar(keep_main_routes=True, **ADOPTED), "backend": "none"}
    before = live.kernel(host)
    for test in (True, False):
        ret = minion.state("managed", "multihoming", whole, test)
        assert (ret["result"], ret["changes"]) == (True, {})
    assert ret["comment"] == f"comments in {DROP_IN} record what is managed"
    assert live.kernel(host) == before
    assert "# keep_main_routes 201 gateway1 19999\n" in Path(DROP_IN).read_text()
    converged(whole)
    converge({**pillar(), "backend": "none"})
    assert "keep_main_routes" not in Path(DROP_IN).read_text()
    assert len(from_rules(host, ADDRESS)) == 1


def test_a_hand_made_rule_into_main_is_not_ours_without_the_key(converge, host):
    hand_made(host)
    rule = {"from": ADDRESS, "suppress_prefixlength": 0, "priority": 19998}
    converge({**pillar(rules=[rule], **ADOPTED), "backend": "none"})
    assert len(from_rules(host, ADDRESS)) == 3
    converge({**NOTHING, "backend": "none"})
    assert from_rules(host, ADDRESS) == [(19999, "254", 0)]


def test_a_foreign_rule_beside_another_rule_of_ours_survives(converge, host):
    by_hand(host, f"rule add from {ADDRESS} table main suppress_prefixlength 0 priority 299")
    before = live.rules(host, 4, 254)
    rule = {"from": ADDRESS, "priority": 300}
    for keep in (True, False):
        converge({**pillar(keep_main_routes=keep, rules=[rule]), "backend": "none"})
        assert before[0] in live.rules(host, 4, 254)
    converge({**NOTHING, "backend": "none"})
    assert live.rules(host, 4, 254) == before


@pytest.mark.parametrize("drop_ins", [True, False], ids=["drop-in", "rt_tables"])
def test_nothing_of_the_record_is_left(converge, host, drop_ins):
    if not drop_ins:
        Path(DROP_IN).parent.rmdir()
    before = live.texts()
    converge({**pillar(keep_main_routes=True, priority=500), "backend": "none"})
    converge({**pillar(priority=500), "backend": "none"})
    assert "keep_main_routes" not in "".join(live.texts().values())
    converge({**NOTHING, "backend": "none"})
    assert live.texts() == before


def test_interface_present_and_absent(converge, host):
    given = {"table": "gateway1", "table_id": 201, "gateway": "192.168.1.254"}
    given |= {"addresses": ["192.168.1.220/24"], "keep_main_routes": True}
    converge(None, "interface_present", "eth1", **given)
    assert len(from_rules(host, ADDRESS)) == 3
    converge(None, "interface_absent", "eth1")
    assert not from_rules(host, ADDRESS)


def test_a_file_of_an_undeclared_interface_that_can_not_be_read_is_named(refused):
    path = network_scripts.FOLDER / "ifcfg-eth2"
    path.write_text("DEVICE=eth2\nGATEWAY=$(cat /etc/gateway)\n")
    said = refused(pillar(keep_main_routes=True))
    assert said.startswith(f"keep_main_routes: {path} line 2: ")


def test_a_priority_without_room_is_refused(refused):
    said = refused(pillar(keep_main_routes=True, priority=2))
    assert said == (
        "interfaces.eth1.priority: keep_main_routes needs two rules before the from-rule; write a "
        "number from 3 to 32765"
    )


def test_the_loopbacks_file_is_nobodys_business(converge):
    text = "DEVICE=lo\nIPADDR=127.0.0.1\nNETMASK=255.0.0.0\nNETWORK=127.0.0.0\nONBOOT=yes\n"
    (network_scripts.FOLDER / "ifcfg-lo").write_text(text)
    converge(pillar(keep_main_routes=True))
