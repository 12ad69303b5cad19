"""default_gateway: one deliberate default route in main, now and after a restart."""

import re
import socket
import struct
from pathlib import Path

import live
import network_scripts
import pytest
from article import NOTHING, by_hand, pillar
from network import entered, first_article, wait_for
from traffic import EchoServer, Load

NETWORK = Path("/etc/sysconfig/network")
SCRIPTS = Path("/etc/sysconfig/network-scripts")
ETH0 = {"DEVICE": "eth0", "ONBOOT": "yes", "IPADDR": "192.168.2.220", "PREFIX": 24}
ETH0 |= {"GATEWAY": "192.168.2.254", "IPV6ADDR": "2001:db8:2::220/64"}
ETH0 |= {"IPV6INIT": "yes", "IPV6_DEFAULTGW": "2001:db8:2::254"}
ETH1 = {"DEVICE": "eth1", "ONBOOT": "yes", "IPADDR": "192.168.1.220", "PREFIX": 24}
ETH1 |= {"GATEWAY": "192.168.1.254", "IPV6ADDR": "2001:db8:1::220/64"}
ETH1 |= {"IPV6INIT": "yes", "IPV6_DEFAULTGW": "2001:db8:1::254"}
MOVED = {"removed": ["default via 192.168.2.254 dev eth0 table main"]}
MOVED["added"] = ["default via 192.168.1.254 dev eth1 table main"]
NICS = ("eth0", "eth1")
KERNEL_ONLY = {**NOTHING, "backend": "none"}


def ifcfg(**variables):
    lines = [f"{name}={value}" for name, value in variables.items() if value is not None]
    (SCRIPTS / f"ifcfg-{variables['DEVICE']}").write_text("\n".join(lines) + "\n")


@pytest.fixture
def files():
    ifcfg(**ETH0)
    ifcfg(**ETH1)


def defaults(host, family=4):
    shown = [route for route in live.routes(host, 254, family) if route["dst"] == "default"]
    return [(route["dev"], route["gateway"], route.get("metric")) for route in shown]


def main(host):
    """Return main's routes through the two NICs, in no order."""
    routes = [route for family in (4, 6) for route in live.routes(host, 254, family)]
    return sorted(str(route) for route in routes if route["dev"] in NICS)


@pytest.mark.usefixtures("files")
def test_kernel_and_file_in_both_families(converge, host):
    by_hand(host, "-6 route replace default via 2001:db8:2::254 metric 1")
    by_hand(host, "-6 route del default via 2001:db8:2::254 metric 1024")
    changes = converge({**NOTHING, "default_gateway": "eth1"})
    assert set(changes) == {"default_gateway", "files"}
    assert set(changes["files"]) == {str(NETWORK)}
    assert defaults(host) == [("eth1", "192.168.1.254", None)]
    assert defaults(host, 6) == [("eth1", "2001:db8:1::254", 1)]
    assert NETWORK.read_text() == "GATEWAYDEV=eth1\nIPV6_DEFAULTDEV=eth1\n"


@pytest.mark.usefixtures("files")
def test_what_is_already_so_changes_nothing(converged, host):
    NETWORK.write_text("GATEWAYDEV=eth0\nIPV6_DEFAULTDEV=eth0\n")
    converged({**NOTHING, "default_gateway": "eth0"})


def test_beside_a_policy(converge, host):
    whole = {**pillar(), "default_gateway": "eth1", "backend": "none"}
    changes = converge(whole)
    assert changes["default_gateway"]["routes"]["added"][0] == MOVED["added"][0]
    assert set(changes) == {"tables", "files", "eth1", "default_gateway"}


def test_the_gateway_comes_from_the_pillar(converge, host):
    converge({**pillar(gateway="192.168.1.9"), "default_gateway": "eth1", "backend": "none"})
    assert defaults(host) == [("eth1", "192.168.1.9", None)]
    assert defaults(host, 6) == [("eth0", "2001:db8:2::254", 1024)]


def test_desired_tells_the_choice(minion, host):
    said = minion.call("desired", **pillar(), default_gateway="eth1", backend="none")
    gateway = ["192.168.1.254", "2001:db8:1::254"]
    assert said["default_gateway"] == {"interface": "eth1", "gateway": gateway}
    assert "default_gateway" not in minion.call("desired", **pillar(), backend="none")


def test_a_gateway_that_the_switch_takes_from_main_is_not_missed_later(converge, host):
    by_hand(host, "route replace default via 192.168.1.9")
    by_hand(host, "route add default via 192.168.1.254 metric 300")
    whole = {**pillar(), "default_gateway": "eth0", "backend": "none"}
    del whole["interfaces"]["eth1"]["gateway"]
    by_hand(host, "route add default via 192.168.2.254 metric 400")
    converge(whole)
    assert [hop for _, hop, _ in defaults(host)] == [
        "192.168.2.254",
        "192.168.1.254",
        "192.168.2.254",
    ]


def test_without_the_key_main_is_left_as_it_is(converge, converged, host):
    converge({**pillar(), "default_gateway": "eth1", "backend": "none"})
    converged({**pillar(), "backend": "none"})
    assert defaults(host) == [("eth1", "192.168.1.254", None)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "default via 192.168.2.254 dev eth0 metric 77 mtu 1400 proto static",
            "default via 192.168.1.254 dev eth1 proto static metric 77 mtu 1400",
        ),
        (
            "default via 192.168.2.254 dev eth0 src 192.168.2.220 advmss 1000",
            "default via 192.168.1.254 dev eth1 advmss 1000",
        ),
        (
            "default nexthop via 192.168.2.254 dev eth0 nexthop via 10.0.0.1 dev eth2",
            "default via 192.168.1.254 dev eth1",
        ),
        ("default dev eth0 scope link", "default via 192.168.1.254 dev eth1"),
        (
            "default via 192.168.2.254 proto dhcp metric 100",
            "default via 192.168.1.254 dev eth1 metric 100",
        ),
    ],
)
def test_metric_and_attributes_are_kept(converge, host, before, after):
    by_hand(host, "route del default", f"route add {before}")
    converge({**pillar(gateway="192.168.1.254"), "default_gateway": "eth1", "backend": "none"})
    assert host.ip("route", "show", "default").split() == after.split()


def test_without_any_default_one_is_made(converge, host):
    by_hand(host, "route del default", "-6 route del default")
    converge({**pillar(), "default_gateway": "eth1", "backend": "none"})
    assert defaults(host) == [("eth1", "192.168.1.254", None)]
    assert defaults(host, 6) == [("eth1", "2001:db8:1::254", 1024)]


def test_other_defaults_that_do_not_win_stay(converge, host):
    by_hand(host, "route add default via 10.0.0.1 metric 500")
    converge({**pillar(), "default_gateway": "eth1", "backend": "none"})
    assert defaults(host) == [("eth1", "192.168.1.254", None), ("eth2", "10.0.0.1", 500)]


def test_a_worse_default_of_its_own_stays_too(converge, host):
    by_hand(host, "route add default via 192.168.1.254 metric 500")
    converge({**pillar(), "default_gateway": "eth1", "backend": "none"})
    expected = [("eth1", "192.168.1.254", None), ("eth1", "192.168.1.254", 500)]
    assert defaults(host) == expected


def test_a_default_that_ties_in_ipv6_goes(converge, host):
    by_hand(host, "-6 route append default via 2001:db8:1::254 dev eth1")
    converge({**pillar(), "default_gateway": "eth1", "backend": "none"})
    assert defaults(host, 6) == [("eth1", "2001:db8:1::254", 1024)]


def test_one_from_router_advertisements_is_outdone_and_stays(converge, host):
    by_hand(host, "-6 route del default")
    by_hand(host, "-6 route add default via fe80::1 dev eth0 proto ra metric 1024 pref medium")
    converge({**pillar(), "default_gateway": "eth1", "backend": "none"})
    assert defaults(host, 6) == [("eth1", "2001:db8:1::254", 1023), ("eth0", "fe80::1", 1024)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("default nhid 7", "default via 192.168.1.254 dev eth1"),
        ("default nhid 9 metric 5", "default via 192.168.1.254 dev eth1 metric 5"),
        ("default via inet6 fe80::1 dev eth0", "default via 192.168.1.254 dev eth1"),
        (
            "default via 192.168.2.254 dev eth0 features ecn realms 5",
            "default via 192.168.1.254 dev eth1 realm 5",
        ),
    ],
)
def test_what_is_part_of_the_next_hop_goes_with_it(converge, host, before, after):
    shared_next_hops(host)
    by_hand(host, "route del default", f"-4 route add {before}")
    converge({**pillar(gateway="192.168.1.254"), "default_gateway": "eth1", "backend": "none"})
    assert host.ip("route", "show", "default").split() == after.split()


def shared_next_hops(host):
    """Make next hops that routes name by an id, and a group of them."""
    by_hand(
        host,
        "nexthop add id 7 via 192.168.2.254 dev eth0",
        "nexthop add id 8 via 10.0.0.1 dev eth2",
        "nexthop add id 9 group 7/8",
    )


def test_a_default_for_some_sources_only_is_not_the_one(converge, host):
    foreign = "default from 2001:db8:2::/64 via fe80::1 dev eth0 metric 5"
    by_hand(host, f"-6 route add {foreign}")
    before = host.ip("-6", "route", "show", "default", "metric", "5")
    converge({**pillar(), "default_gateway": "eth1", "backend": "none"})
    assert host.ip("-6", "route", "show", "default", "metric", "5") == before != ""
    assert ("eth1", "2001:db8:1::254", 1024) in defaults(host, 6)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("-4 route add blackhole default", "`blackhole default table main`"),
        ("-4 route add throw default", "`throw default table main`"),
        ("-6 route add unreachable default metric 5", "`unreachable ::/0 metric 5 table main`"),
    ],
)
def test_a_route_that_refuses_before_any_gateway_is_named(refused, host, before, said):
    by_hand(host, "route del default", before)
    whole = {**pillar(), "default_gateway": "eth1", "backend": "none"}
    assert f"default_gateway: main's {said} goes before any gateway of eth1" in refused(whole)


def test_a_route_that_refuses_behind_the_gateways_stays(converge, host):
    by_hand(host, "route add blackhole default metric 900")
    converge({**pillar(), "default_gateway": "eth1", "backend": "none"})
    assert "blackhole default metric 900" in host.ip("route", "show", "default").replace("  ", " ")


def advertise(router, device):
    """Send a router advertisement (RFC 4861, 4.2) and wait until the server has taken it."""
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    with (
        entered(router),
        socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sock,
    ):
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sock.sendto(message, ("ff02::1", 0, 0, socket.if_nametoindex(device)))


def without_expiry(host):
    """Return IPv6's default routes; of one metric, the kernel chooses the order."""
    shown = host.ip("-6", "route", "show", "default")
    return sorted(re.sub(r"expires \S+", "", shown).splitlines())


@pytest.fixture
def advertised():
    """The article's network: eth0's router advertises itself, beside a default of the same metric.

    The test runs on the server.
    """
    with first_article() as network, entered(network.server):
        advertise(network.router, "eth0")
        wait_for(lambda: "proto ra" in str(without_expiry(network.server)), "a default route")
        yield network.server


def test_an_advertised_default_of_the_same_metric_is_outdone(minion, advertised):
    whole = {**pillar(), "default_gateway": "eth1", "backend": "none"}
    minion.call("apply", pillar=whole)
    assert not any(minion.call("plan", pillar=whole).values())
    assert [route[::2] for route in defaults(advertised, 6)] == [("eth1", 1023), ("eth0", 1024)]


@pytest.mark.usefixtures("files")
def test_a_failure_leaves_an_advertised_default_alone(minion, advertised):
    NETWORK.symlink_to("/proc/nowhere/network")  # can't be written
    before = without_expiry(advertised)
    ret = minion.state("managed", "multihoming", {**NOTHING, "default_gateway": "eth1"})
    assert "everything is as it was before" in ret["comment"]
    assert without_expiry(advertised) == before


@pytest.mark.usefixtures("files")
def test_a_failure_puts_a_shared_next_hop_back(minion, host):
    NETWORK.symlink_to("/proc/nowhere/network")  # can't be written
    shared_next_hops(host)
    by_hand(host, "route replace default nhid 9")
    before = live.kernel(host)
    ret = minion.state("managed", "multihoming", {**NOTHING, "default_gateway": "eth1"})
    assert "everything is as it was before" in ret["comment"]
    assert live.kernel(host) == before


@pytest.mark.usefixtures("files")
def test_what_the_scripts_made_for_others_goes_as_after_a_restart(converge, host):
    ifcfg(**{**ETH0, "METRIC": 100})
    ifcfg(**{**ETH1, "METRIC": 200})
    by_hand(host, "route del default")
    by_hand(host, "route add default via 192.168.2.254 metric 100")
    by_hand(host, "route add default via 192.168.1.254 metric 200")
    by_hand(host, "route add default via 10.0.0.1 metric 300")
    converge({**NOTHING, "default_gateway": "eth1"})
    assert defaults(host) == [("eth1", "192.168.1.254", 200), ("eth2", "10.0.0.1", 300)]


def test_an_error_in_a_policy_keeps_the_default_as_it_is(refused):
    refused({**pillar(gateway="10.9.9.9"), "default_gateway": "eth1", "backend": "none"})


@pytest.mark.usefixtures("files")
def test_a_failure_puts_the_default_back(minion, host):
    NETWORK.symlink_to("/proc/nowhere/network")  # can't be written
    before = live.kernel(host), live.texts()
    ret = minion.state("managed", "multihoming", {**NOTHING, "default_gateway": "eth1"})
    assert ret["result"] is False
    assert "everything is as it was before" in ret["comment"]
    assert (live.kernel(host), live.texts()) == before


def test_no_packet_is_lost(minion):
    ifcfg(**ETH0)
    ifcfg(**ETH1)
    targets = ["192.168.2.220", "192.168.1.220", "2001:db8:2::220", "2001:db8:1::220"]
    with first_article() as network, entered(network.server):
        network.server.rp_filter(2)
        with EchoServer(network.server, targets), Load(network.far, targets) as load:
            for name in ("eth1", "eth0") * 5:
                changes = minion.call("apply", **NOTHING, default_gateway=name)
                assert set(changes["interfaces"]) == {"default_gateway"}
            tallies = load.stop()
    for tally in tallies.values():
        assert (tally.lost, tally.broken) == (0, None), str(tally)
        assert tally.sent > 100, str(tally)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("order", [("eth0", "eth1"), ("eth1", "eth0")])
@pytest.mark.parametrize("chosen", ["eth0", "eth1"])
@pytest.mark.parametrize("metrics", [{}, {"eth0": 100, "eth1": 200}], ids=["plain", "metrics"])
def test_a_restart_in_any_order_gives_the_same_main(
    converge, converged, host, chosen, order, metrics
):
    for variables in (ETH0, ETH1):
        ifcfg(**variables, METRIC=metrics.get(variables["DEVICE"]), NOZEROCONF="yes")
    for device in NICS:
        network_scripts.ifdown(host, device)
    for device in reversed(order):
        assert network_scripts.ifup(host, device) == []
    whole = {**NOTHING, "default_gateway": chosen}
    converge(whole)
    held = main(host)
    assert network_scripts.restart(host, order) == []
    assert main(host) == held
    converged(whole)


# --- /etc/sysconfig/network ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("NETWORKING=yes\nHOSTNAME=web1\n", "NETWORKING=yes\nHOSTNAME=web1\nGATEWAYDEV=eth1\n"),
        ("GATEWAYDEV=eth0\nHOSTNAME=web1\n", "GATEWAYDEV=eth1\nHOSTNAME=web1\n"),
        ("GATEWAYDEV='eth0' # the first\n", "GATEWAYDEV=eth1 # the first\n"),
        ("export GATEWAYDEV=\n", "export GATEWAYDEV=eth1\n"),
        ("GATEWAYDEV=eth2\nGATEWAYDEV=eth0\n", "GATEWAYDEV=eth2\nGATEWAYDEV=eth1\n"),
        ("#GATEWAYDEV=eth0\n", "#GATEWAYDEV=eth0\nGATEWAYDEV=eth1\n"),
        ("NETWORKING=yes", "NETWORKING=yes\nGATEWAYDEV=eth1\n"),
        (
            "if true; then\nGATEWAYDEV=eth0\nfi\n",
            "if true; then\nGATEWAYDEV=eth0\nfi\nGATEWAYDEV=eth1\n",
        ),
        ("A=1 GATEWAYDEV=eth0\n", "A=1 GATEWAYDEV=eth0\nGATEWAYDEV=eth1\n"),
    ],
)
def test_the_file_is_not_disturbed_otherwise(converge, host, before, after):
    ifcfg(**{**ETH1, "IPV6_DEFAULTGW": None})
    NETWORK.write_text(before)
    NETWORK.chmod(0o640)
    converge({**NOTHING, "default_gateway": "eth1"})
    assert NETWORK.read_text() == after
    assert NETWORK.stat().st_mode & 0o777 == 0o640


# --- contradictions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("eth1", "said"),
    [
        ({"DEFROUTE": "no"}, "ifcfg-eth1: DEFROUTE=no forbids the default route; remove that line"),
        ({"GATEWAY": "10.9.9.9"}, "GATEWAY=10.9.9.9 is outside of 192.168.1.0/24"),
        ({"ONBOOT": "no"}, "ifcfg-eth1: ONBOOT=no"),
        ({"NETWORK": "192.168.7.0"}, "NETWORK=192.168.7.0 is not the network of 192.168.1.220/24"),
        ({"GATEWAYDEV": "eth0"}, "ifcfg-eth1: GATEWAYDEV=eth0 counts for eth1; remove that line"),
        ({"IPV6_DEFAULTDEV": "eth0"}, "ifcfg-eth1: IPV6_DEFAULTDEV=eth0 counts for eth1"),
        ({"GATEWAY": "$(cat /etc/gw)"}, "line 5: 'GATEWAY=$(cat /etc/gw)' needs a shell"),
    ],
)
def test_contradictions_of_the_interfaces_own_file_are_named(refused, eth1, said):
    ifcfg(**{**ETH1, **eth1})
    assert said in refused({**NOTHING, "default_gateway": "eth1"})


def test_an_interface_without_a_file_is_refused(refused):
    said = refused({**pillar(), "default_gateway": "eth1"})
    assert said.startswith(f"default_gateway: there is no {SCRIPTS}/ifcfg-eth1")


def test_a_file_without_the_gateway_is_refused(refused):
    ifcfg(**{**ETH1, "GATEWAY": None, "IPV6_DEFAULTGW": None})
    said = refused({**pillar(gateway="192.168.1.254"), "default_gateway": "eth1"})
    assert "write GATEWAY=192.168.1.254" in said


def test_another_gateway_in_the_pillar_is_refused(refused):
    ifcfg(**ETH1)
    said = refused({**pillar(gateway="192.168.1.9"), "default_gateway": "eth1"})
    assert "GATEWAY=192.168.1.254, but the pillar says 192.168.1.9" in said


def test_a_gateway_in_the_global_file_is_named(refused):
    ifcfg(**ETH1)
    NETWORK.write_text("GATEWAY=192.168.2.254\n")
    said = refused({**NOTHING, "default_gateway": "eth1"})
    assert f"{NETWORK}: GATEWAY=192.168.2.254" in said


def test_a_scope_in_another_interfaces_file_is_named(refused):
    ifcfg(**ETH1)
    ifcfg(**{**ETH0, "IPV6_DEFAULTGW": "2001:db8:2::254%eth0"})
    said = refused({**NOTHING, "default_gateway": "eth1"})
    assert "ifcfg-eth0: IPV6_DEFAULTGW=2001:db8:2::254%eth0" in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("eth9", "default_gateway: eth9 is not on this host; write an interface"),
        ("", "default_gateway: '' is not an interface name"),
        (["eth0"], "default_gateway: ['eth0'] is not an interface name"),
        (None, "default_gateway: None is not an interface name"),
        ("eth2", "default_gateway: nothing tells the gateway of eth2; write `gateway: ADDRESS`"),
    ],
)
def test_an_interface_that_can_not_be_the_default(refused, name, said):
    assert said in refused({**KERNEL_ONLY, "default_gateway": name})


def test_an_interface_that_is_down_is_refused(refused, host):
    by_hand(host, "link set eth1 down")
    assert "eth1 is down" in refused({**KERNEL_ONLY, "default_gateway": "eth1"})
