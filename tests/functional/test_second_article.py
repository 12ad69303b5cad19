"""The second article's experiments, with its files: before the pillar, and after.

Two ifcfg files with a GATEWAY each. The letters are the article's own, from ア (a) to カ (ka).
"""

import live
import network_scripts
import pytest
from capture import Capture
from network import entered, second_article
from traffic import EchoServer, Load, ping

OFF, STRICT, LOOSE = 0, 1, 2
ETH0, ETH1 = "192.168.2.99", "10.0.0.99"
GATEWAYS = {"eth0": "192.168.2.1", "eth1": "10.0.0.1"}
IFCFG = {
    "eth0": f"IPADDR={ETH0}\nNETMASK=255.255.255.0\nGATEWAY=192.168.2.1\n",
    "eth1": f"IPADDR={ETH1}\nNETMASK=255.0.0.0\nGATEWAY=10.0.0.1\n",
}
PILLAR = {
    "tables": {"gateway1": 201, "gateway2": 202},
    "interfaces": {"eth0": {"table": "gateway1"}, "eth1": {"table": "gateway2", "optional": True}},
}


def write_ifcfg(device, onboot="yes"):
    plain = f"DEVICE={device}\nBOOTPROTO=static\nONBOOT={onboot}\nNOZEROCONF=yes\n"
    (network_scripts.FOLDER / f"ifcfg-{device}").write_text(plain + IFCFG[device])


@pytest.fixture
def network():
    with second_article() as article, entered(article.server):
        for device in IFCFG:
            write_ifcfg(device)
        assert network_scripts.restart(article.server) == []
        article.server.wait_ready()
        yield article


@pytest.fixture
def server(network):
    return network.server


@pytest.fixture(params=[OFF, STRICT, LOOSE], ids=["off", "strict", "loose"])
def rp_filter(request, server):
    server.rp_filter(request.param)
    return request.param


@pytest.fixture
def apply(minion, server):
    """Apply the pillar, and find that a second run has nothing to do."""

    def run(**more):
        done = minion.state("managed", "multihoming", {**PILLAR, **more})
        assert done["result"] is True, done["comment"]
        held = live.snapshot(server)
        again = minion.state("managed", "multihoming", {**PILLAR, **more})
        assert (again["result"], again["changes"]) == (True, {})
        assert live.snapshot(server) == held

    return run


def reply(network, target, client=None):
    """Ping from another segment; return the NICs of the request and of the reply."""
    with Capture(network.server, IFCFG) as capture:
        came = ping(client or network.far, target, timeout=0.5)
        capture.settle(2, timeout=0.3)
    arrived, left = capture.arrived_on(target), capture.left_by(target)
    assert bool(came) == bool(left)
    return "".join(arrived), "".join(left)


def is_out_of_reach(network, target):
    return reply(network, target)[1] == ""


def defaults(server):
    """Return the gateways of main's default routes."""
    return [route["gateway"] for route in server.ip_json("-4", "route", "show", "default")]


def each_answers_for_itself(network):
    return [reply(network, own) for own in (ETH0, ETH1)] == [("eth0", "eth0"), ("eth1", "eth1")]


# --- before -----------------------------------------------------------------------------------


def test_a_both_are_answered_by_eth1_unless_the_filter_is_strict(network, rp_filter):
    assert reply(network, ETH0) == ("eth0", "" if rp_filter == STRICT else "eth1")
    assert reply(network, ETH1) == ("eth1", "eth1")


def test_i_and_u_the_gateway_of_the_last_nic_up_is_the_only_one(server):
    for device in IFCFG:
        network_scripts.ifdown(server, device)
    for device, gateway in GATEWAYS.items():
        assert network_scripts.ifup(server, device, "boot") == []
        assert defaults(server) == [gateway]


@pytest.mark.usefixtures("rp_filter")
def test_e_without_eth1_neither_is_reachable(network, server):
    server.ip("link", "set", "eth1", "down")
    assert defaults(server) == []
    assert is_out_of_reach(network, ETH0)
    assert is_out_of_reach(network, ETH1)


@pytest.mark.usefixtures("rp_filter")
def test_o_the_router_reaches_eth0_with_eth1_up_and_down(network, server):
    assert reply(network, ETH0, network.router) == ("eth0", "eth0")
    server.ip("link", "set", "eth1", "down")
    assert reply(network, ETH0, network.router) == ("eth0", "eth0")


@pytest.mark.usefixtures("rp_filter")
def test_ka_when_eth1_stays_down_at_boot_the_gateway_of_eth0_counts(network, server):
    write_ifcfg("eth1", onboot="no")
    assert network_scripts.restart(server) == []
    assert defaults(server) == ["192.168.2.1"]
    assert reply(network, ETH0) == ("eth0", "eth0")
    assert is_out_of_reach(network, ETH1)


# --- after ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("rp_filter")
def test_a_each_nic_answers_for_itself(network, apply):
    apply()
    assert each_answers_for_itself(network)


@pytest.mark.usefixtures("rp_filter")
@pytest.mark.parametrize("order", [None, ("eth0", "eth1"), ("eth1", "eth0")])
def test_a_each_nic_answers_for_itself_after_a_restart(network, server, apply, order):
    apply()
    held = live.tables(server, 201, 202)
    assert network_scripts.restart(server, order) == []
    assert live.tables(server, 201, 202) == held
    assert defaults(server) == [GATEWAYS["eth0" if order and order[0] == "eth1" else "eth1"]]
    assert each_answers_for_itself(network)
    apply()


@pytest.mark.parametrize("way", ["ip link", "ifdown"])
@pytest.mark.parametrize("down", ["eth0", "eth1"])
@pytest.mark.usefixtures("rp_filter")
def test_e_either_nic_down_leaves_the_other_reachable(network, server, apply, down, way):
    apply()
    if way == "ifdown":
        assert network_scripts.ifdown(server, down) == []
    else:
        server.ip("link", "set", down, "down")
    targets = {"eth0": ETH0, "eth1": ETH1}
    assert is_out_of_reach(network, targets.pop(down))
    for device, target in targets.items():
        assert reply(network, target) == (device, device)


@pytest.mark.parametrize("device", ["eth0", "eth1"])
def test_e_a_nic_that_comes_back_brings_its_policy_along(network, server, apply, device):
    apply()
    held = live.tables(server, 201, 202)
    assert network_scripts.ifdown(server, device) == []
    assert live.tables(server, 201, 202) != held
    assert network_scripts.ifup(server, device) == []
    assert live.tables(server, 201, 202) == held
    assert each_answers_for_itself(network)


@pytest.mark.usefixtures("rp_filter")
def test_o_the_router_reaches_both(network, server, apply):
    apply()
    assert reply(network, ETH0, network.router) == ("eth0", "eth0")
    assert reply(network, ETH1, network.router) == ("eth1", "eth1")
    server.ip("link", "set", "eth1", "down")
    assert reply(network, ETH0, network.router) == ("eth0", "eth0")


@pytest.mark.usefixtures("rp_filter")
def test_ka_a_nic_that_stays_down_at_boot_is_skipped_until_it_is_up(network, server, apply):
    write_ifcfg("eth1", onboot="no")
    assert network_scripts.restart(server) == []
    apply()
    assert live.tables(server, 202) == []
    assert reply(network, ETH0) == ("eth0", "eth0")
    assert network_scripts.ifup(server, "eth1") == []
    apply()
    assert each_answers_for_itself(network)


@pytest.mark.usefixtures("rp_filter")
def test_ka_a_nic_that_stays_down_at_boot_keeps_its_files(network, server, apply):
    apply()
    held = live.tables(server, 201, 202)
    write_ifcfg("eth1", onboot="no")
    assert network_scripts.restart(server) == []
    apply()
    assert reply(network, ETH0) == ("eth0", "eth0")
    assert network_scripts.ifup(server, "eth1") == []
    assert live.tables(server, 201, 202) == held
    assert each_answers_for_itself(network)


@pytest.mark.parametrize("order", [None, ("eth1", "eth0")])
@pytest.mark.parametrize("chosen", ["eth0", "eth1"])
def test_u_the_chosen_gateway_is_the_default_whatever_nic_comes_last(
    network, server, apply, chosen, order
):
    server.rp_filter(STRICT)
    apply(default_gateway=chosen)
    for restarted in (False, True):
        if restarted:
            assert network_scripts.restart(server, order) == []
        assert defaults(server) == [GATEWAYS[chosen]]
        assert each_answers_for_itself(network)
    apply(default_gateway=chosen)
    server.ip("link", "set", chosen, "down")
    other, target = {"eth0": ("eth1", ETH1), "eth1": ("eth0", ETH0)}[chosen]
    assert reply(network, target) == (other, other)


@pytest.mark.usefixtures("rp_filter")
def test_tcp_and_udp_are_answered_by_the_nic_that_was_asked(network, server, apply):
    apply()
    with (
        EchoServer(server, [ETH0, ETH1]),
        Capture(server, IFCFG) as capture,
        Load(network.far, [ETH0, ETH1], rate=100) as load,
    ):
        tallies = load.stop()
    for device, target in (("eth0", ETH0), ("eth1", ETH1)):
        assert (tallies[target].lost, tallies[target].broken) == (0, None)
        for kind in ("udp", "tcp"):
            assert capture.arrived_on(target, kind) == {device}
            assert capture.left_by(target, kind) == {device}
