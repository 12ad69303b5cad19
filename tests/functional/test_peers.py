"""Addresses with a peer, and without a subnet: the kernel says what is next to them."""

import json
from pathlib import Path

import live
import pytest
from article import NOTHING, by_hand
from capture import Capture
from network import entered, first_article
from traffic import ping

SCRIPTS = Path("/etc/sysconfig/network-scripts")
# An address as `ip address add` takes it -> gateways that the kernel takes next to it.
SHAPES = {
    "192.168.9.220 peer 172.20.9.1/24": ["172.20.9.254", "172.20.9.1"],
    "198.18.7.33 peer 100.64.0.1/32": ["100.64.0.1"],
    "198.18.7.33 peer 198.18.7.32/31": ["198.18.7.32"],
    "2001:db8:9::220 peer 2001:db8:b::1/64": ["2001:db8:9::254", "2001:db8:b::1"],
    "2001:db8:9::220 peer 2001:db8:b::1/128": ["2001:db8:b::1"],
}
WAYS = [(shape, gateway) for shape, gateways in SHAPES.items() for gateway in gateways]
# And such as it does not take.
OUTSIDE = [
    ("192.168.9.220 peer 172.20.9.1/24", "192.168.9.254", "172.20.9.0/24"),
    ("198.18.7.33 peer 100.64.0.1/32", "100.64.0.2", "100.64.0.1"),
    ("2001:db8:9::220 peer 2001:db8:b::1/64", "2001:db8:b::254", "2001:db8:9::/64, 2001:db8:b::1"),
]


def give(server, *shapes, dev="eth1"):
    """Give an interface addresses, and no others."""
    server.ip("addr", "flush", "dev", dev, "scope", "global")
    for shape in shapes:
        extra = ["nodad"] if ":" in shape else []
        server.ip("addr", "add", *shape.split(), "dev", dev, *extra)


def own(shape):
    return shape.partition(" ")[0].partition("/")[0]


def family(shape):
    return 6 if ":" in shape else 4


def pillar(*gateways, **eth1):
    entry = {"table": "gateway1", "gateway": [*gateways], **eth1}
    return {"tables": {"gateway1": 201}, "interfaces": {"eth1": entry}, "backend": "none"}


def connected(server, shape):
    """Return where the kernel leads directly for an address, itself and link-local aside."""
    shown = server.ip_json(f"-{family(shape)}", "route", "show", "proto", "kernel", "dev", "eth1")
    there = {route["dst"] for route in shown}
    return {to for to in there if to != own(shape) and not to.startswith("fe80")}


def direct(server, shape):
    """Return where the table leads directly, and the sources that it does that with."""
    routes = [each for each in live.routes(server, 201, family(shape)) if "gateway" not in each]
    return {each["dst"] for each in routes}, {each["prefsrc"] for each in routes}


# --- policies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "gateway"), WAYS)
def test_the_table_has_the_routes_that_main_has(host, converge, shape, gateway):
    give(host, shape)
    converge(pillar(gateway))
    assert direct(host, shape) == (connected(host, shape), {own(shape)})
    (default,) = (each for each in live.routes(host, 201, family(shape)) if "gateway" in each)
    assert (default["gateway"], "onlink" in default.get("flags", ())) == (gateway, False)


@pytest.mark.parametrize(("shape", "gateway", "subnets"), OUTSIDE)
def test_a_gateway_is_outside_where_the_kernel_says_so(host, refused, shape, gateway, subnets):
    give(host, shape)
    assert f"outside of eth1's subnets ({subnets})" in refused(pillar(gateway))
    words = ("route", "add", "default", "via", gateway, "dev", "eth1", "table", "99")
    assert host.run("ip", f"-{family(shape)}", *words, check=False).returncode


@pytest.mark.parametrize(("shape", "gateway"), WAYS)
def test_the_pillar_may_write_it_as_ip_does(host, converge, converged, shape, gateway):
    give(host, shape)
    converge(pillar(gateway, addresses=[shape]))
    converged(pillar(gateway))


def test_the_pillars_subnet_counts(host, converge):
    shape = "192.168.9.220 peer 172.20.9.1/24"
    give(host, shape)
    converge(pillar("192.168.9.254", addresses=["192.168.9.220/24"]))
    assert direct(host, shape) == ({"192.168.9.0/24"}, {"192.168.9.220"})


def test_one_address_with_two_peers_has_one_rule(host, converge):
    shapes = ["198.18.7.33 peer 100.64.0.1/32", "198.18.7.33 peer 100.64.0.2/32"]
    give(host, *shapes)
    converge(pillar("100.64.0.2"))
    assert direct(host, shapes[0])[0] == {"100.64.0.1", "100.64.0.2"}
    assert len(live.rules(host, table=201)) == 1


def test_a_siblings_subnet_is_its_peers(host, converge):
    give(host, "192.168.9.220 peer 172.20.9.1/24")
    by_hand(host, "route add default via 172.20.9.1 dev eth1 metric 9")
    entry = {"table": "gateway2", "gateway": "10.0.0.1", "keep_main_routes": True}
    converge({"tables": {"gateway2": 202}, "interfaces": {"eth2": entry}, "backend": "none"})
    reached = {each["dst"]: each.get("gateway") for each in live.routes(host, 202)}
    assert reached["172.20.9.0/24"] == "10.0.0.1"
    assert "192.168.9.0/24" not in reached


# --- export ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("also", [(), ("192.168.1.220/24", "2001:db8:1::220/64")])
@pytest.mark.parametrize(("shape", "gateway"), WAYS)
def test_what_is_exported_changes_nothing(minion, host, shape, gateway, also):
    give(host, *also, shape)
    version, source = f"-{family(shape)}", own(shape)
    for to in connected(host, shape) - {"192.168.1.0/24", "2001:db8:1::/64", "2001:db8:1::220"}:
        by_hand(host, f"{version} route add {to} dev eth1 src {source} table 201")
    by_hand(host, f"{version} route add default via {gateway} dev eth1 table 201")
    by_hand(host, f"{version} rule add from {source} table 201 priority 20000")
    found = minion.call("export")
    assert found["left_out"] == []
    assert list(found["multihoming"]["interfaces"]) == ["eth1"]
    before = live.kernel(host)
    assert not minion.call("plan", **found["multihoming"])["commands"]
    minion.call("apply", **found["multihoming"])
    assert live.kernel(host) == before


@pytest.mark.parametrize(("shape", "gateway"), WAYS)
def test_a_table_without_a_route_to_the_peer_stays_as_it_is(minion, host, shape, gateway):
    give(host, shape)
    version, source = f"-{family(shape)}", own(shape)
    by_hand(host, f"{version} route add default via {gateway} dev eth1 table 201")
    by_hand(host, f"{version} rule add from {source} table 201 priority 20000")
    found = minion.call("export")
    assert found["left_out"] == []
    entry = found["multihoming"]["interfaces"]["eth1"]
    assert (entry["gateway"], entry["subnet_routes"]) == (gateway, False)
    assert "onlink" not in entry
    assert not minion.call("plan", **found["multihoming"])["commands"]


# --- questions ------------------------------------------------------------------------------------


@pytest.fixture
def network():
    """The first article's network, with eth1 at the one end of a link and its router at the other.

    Both are on a segment with more hosts: pc1 is in the router's network.
    """
    with first_article() as network, entered(network.server):
        give(network.server, "192.168.9.220 peer 172.20.9.1/24")
        for host, dev, address in (
            (network.router, "eth1", "172.20.9.1/24"),
            (network.pc1, "eth0", "172.20.9.7/24"),
        ):
            host.address(dev, address)
            host.ip("route", "add", "192.168.9.220", "dev", dev)
        yield network


def on_the_wire(network, client, source):
    with Capture(network.server, ("eth0", "eth1")) as capture:
        ping(client, "192.168.9.220", source, timeout=0.4)
        capture.settle()
    return capture.arrived_on("192.168.9.220"), capture.left_by("192.168.9.220")


@pytest.mark.parametrize("policy", ["before", "after"])
@pytest.mark.parametrize(
    ("client", "source"), [("pc1", "172.20.9.7"), ("pc2", "192.168.2.17"), ("far", "203.0.113.10")]
)
def test_the_path_is_that_of_the_packets(network, minion, client, source, policy):
    if policy == "after":
        minion.call("apply", pillar=pillar("172.20.9.1"))
    told = minion.call("reply_path", "192.168.9.220", source)
    arrived, left = on_the_wire(network, getattr(network, client), source)
    assert (arrived, left) == ({told["arrives"]}, {told["leaves"]})
    assert told["symmetric"] is (policy == "after" or client == "pc1")
    near = client == "pc1"
    assert told["via"] == ("172.20.9.1" if policy == "after" and not near else told["via"])
    assert not (near and told["via"])


def test_a_host_with_its_policy_is_healthy(network, minion):
    whole = pillar("172.20.9.1")
    minion.call("apply", pillar=whole)
    assert minion.call("diagnose", pillar=whole) == []
    # And so it is where somebody did the same by hand, and a full table is asked for.
    assert minion.call("diagnose", pillar={**NOTHING, "backend": "none"}) == []


def test_the_peers_network_is_asked_about(network, minion):
    """Somebody in eth1's network asks for eth0's address: its reply goes past eth0's gateway."""
    whole = pillar("172.20.9.1")
    whole["tables"]["gateway0"] = 200
    whole["interfaces"]["eth0"] = {"table": "gateway0", "gateway": "192.168.2.254"}
    minion.call("apply", pillar=whole)
    assert minion.call("diagnose", pillar=whole) == []
    by_hand(network.server, "rule add to 172.20.9.0/24 lookup main priority 100")
    found = [each for each in minion.call("diagnose") if each["id"] == "asymmetric-reply"]
    assert [each["interface"] for each in found] == ["eth0"]
    assert any("route get 172.20.9." in line for line in found[0]["evidence"])


def test_two_nics_that_meet_in_a_peers_network(network, minion):
    give(network.server, "172.20.9.5/24", dev="eth0")
    by_hand(network.server, "route replace default via 172.20.9.1 dev eth0")
    (found,) = (each for each in minion.call("diagnose") if each["id"] == "same-subnet")
    assert "are both in 172.20.9.0/24" in found["message"]
    assert "192.168.9.220 peer 172.20.9.1/24 dev eth1" in found["evidence"]


def test_the_picture_shows_it_as_ip_does(network, minion):
    minion.call("apply", pillar=pillar("172.20.9.1"))
    drawn = minion.call("diagram", pillar=pillar("172.20.9.1"))
    assert "192.168.9.220 peer 172.20.9.1/24" in drawn
    assert "every reply leaves by the interface that was asked" in drawn
    assert json.loads(json.dumps(drawn)) == drawn


# --- addresses without a subnet -------------------------------------------------------------------

# Addresses that the kernel makes no route for -> a gateway.
ALONE = {
    "172.20.9.5/0": "172.20.9.1",
    "10.66.0.5/4": "10.66.0.1",
    "172.20.9.5/32": "172.20.9.1",
    "2001:db8:9::5/128": "2001:db8:9::1",
}
# For this one it makes a default route; nobody means that everything is next to it.
WHOLE = {"2001:db8:9::5/0": "2001:db8:9::1"}


@pytest.mark.parametrize(("shape", "gateway"), ALONE.items())
def test_the_kernel_has_no_route_for_it(host, refused, shape, gateway):
    give(host, shape)
    assert connected(host, shape) == set()
    assert f"outside of eth1's subnets ({own(shape)})" in refused(pillar(gateway))


@pytest.mark.parametrize(("shape", "gateway"), [*ALONE.items(), *WHOLE.items()])
def test_every_question_has_an_answer(minion, host, converge, shape, gateway):
    give(host, shape)
    whole = pillar(gateway, onlink=True)
    assert minion.call("validate", pillar=whole) == []
    by_hand(host, f"-{family(shape)} route add default via {gateway} dev eth1 onlink table 201")
    by_hand(host, f"-{family(shape)} rule add from {own(shape)} table 201 priority 20000")
    exported = minion.call("export")
    assert exported["left_out"] == []
    assert not minion.call("plan", **exported["multihoming"])["commands"]
    converge(whole)
    assert not minion.call("plan", pillar=whole)["commands"]
    far = "2001:db8:ffff::1" if ":" in shape else "198.51.100.1"
    assert minion.call("reply_path", own(shape), far)["leaves"] == "eth1"
    assert "pillar-invalid" not in {each["id"] for each in minion.call("diagnose", pillar=whole)}
    assert shape in minion.call("diagram", pillar=whole)


@pytest.mark.parametrize(
    "address", ["192.168.1.220/0", "192.168.1.220/0.0.0.0", "2001:db8:1::220/0"]
)
def test_the_pillar_may_not_write_it(host, minion, refused, address):
    said = refused(pillar("192.168.1.254", addresses=[address]))
    assert "interfaces.eth1.addresses: " in said
    assert "has the length 0" in said
    assert f"like {own(address)}/" in said
    whole = pillar("192.168.1.254", addresses=[address])
    (message,) = minion.call("validate", pillar=whole)
    assert message in said
    assert "pillar-invalid" in {each["id"] for each in minion.call("diagnose", pillar=whole)}


@pytest.mark.parametrize("line", ["PREFIX=0", "NETMASK=0.0.0.0"])
def test_a_file_may_not_say_it(minion, host, refused, line):
    SCRIPTS.joinpath("ifcfg-eth1").write_text(f"DEVICE=eth1\nIPADDR=192.168.1.220\n{line}\n")
    whole = {**pillar("192.168.1.254"), "backend": "network-scripts"}
    said = refused(whole)
    assert f"interfaces.eth1: {SCRIPTS}/ifcfg-eth1: IPADDR: '192.168.1.220/" in said
    assert "like 192.168.1.220/24" in said
    by_hand(host, "route add default via 192.168.1.254 dev eth1 table 201")
    by_hand(host, "rule add from 192.168.1.220 table 201 priority 20000")
    assert "eth1" in minion.call("export")["multihoming"]["interfaces"]
    assert minion.call("reply_path", "192.168.1.220", "198.51.100.1")["leaves"] == "eth1"
    assert minion.call("diagnose", pillar=whole)
    assert "192.168.1.220/24" in minion.call("diagram", pillar=whole)
