"""What reply_path says is what the wire shows."""

import json
import random
import sys
from contextlib import contextmanager

import live
import pytest
from article import by_hand, pillar
from capture import Capture
from network import Host, connect, entered, first_article, second_article
from salt.exceptions import CommandExecutionError
from traffic import ping

OFF, STRICT, LOOSE = 0, 1, 2
ETH0, ETH1 = "192.168.2.220", "192.168.1.220"
ETH1_6 = "2001:db8:1::220"
FAR, FAR6 = "203.0.113.10", "2001:db8:cb::10"
PC1, PC2 = "192.168.1.100", "192.168.2.17"


@pytest.fixture
def article():
    """The first article's network; the test runs on its server."""
    with first_article() as network, entered(network.server):
        yield network


@pytest.fixture
def ask(minion):
    """Ask for a path; the answer is plain JSON, and asking changes nothing."""

    def run(address, client, **kwargs):
        told = minion.call("reply_path", address, client, **kwargs)
        assert json.loads(json.dumps(told)) == told
        return told

    return run


def on_the_wire(server, client, address, devices):
    """Return where requests arrive and replies leave, captured."""
    with Capture(server, devices) as capture:
        ping(client, address, timeout=0.4)
        capture.settle()
    return capture.arrived_on(address), capture.left_by(address)


@pytest.fixture
def proved(article, ask):
    """Ask for a path, and assert that packets take it."""

    def run(client, address, source, devices=("eth0", "eth1"), **kwargs):
        told = ask(address, source, **kwargs)
        arrived, left = on_the_wire(article.server, client, address, devices)
        assert arrived == {told["arrives"]}, told
        assert left == (set() if told["dropped"] else {told["leaves"]}), told
        assert (told["reason"] is not None) == told["dropped"]
        return told

    return run


def of(told, *keys):
    return tuple(told[key] for key in keys)


# --- the article ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [OFF, STRICT, LOOSE])
@pytest.mark.parametrize("policy", ["before", "after"])
@pytest.mark.parametrize(
    ("client", "source", "address"),
    [
        ("pc1", PC1, ETH1),
        ("pc2", PC2, ETH1),
        ("far", FAR, ETH1),
        ("far", FAR, ETH0),
        ("pc1", "2001:db8:1::100", ETH1_6),
        ("pc2", "2001:db8:2::17", ETH1_6),
        ("far", FAR6, ETH1_6),
    ],
)
def test_the_path_is_that_of_the_packets(
    article, minion, proved, mode, policy, client, source, address
):
    article.server.rp_filter(mode)
    if policy == "after":
        minion.call("apply", pillar=pillar())
    told = proved(getattr(article, client), address, source)
    symmetric = policy == "after" or client == "pc1" or address == ETH0
    assert told["symmetric"] is symmetric
    assert told["dropped"] is (mode == STRICT and not symmetric and ":" not in address)


def test_the_article_before(article, ask):
    told = ask(ETH1, PC2)
    assert of(told, "arrives", "leaves", "via", "table") == ("eth1", "eth0", None, "main")
    assert of(told, "family", "symmetric", "dropped", "reason") == (4, False, False, None)
    assert told["rule"]["priority"] == 32766
    assert told["route"]["to"] == "192.168.2.0/24"
    assert told["rp_filter"] == {"all": 0, "eth1": 0, "mode": "off"}


def test_the_article_after(article, minion, ask):
    minion.call("apply", pillar=pillar())
    for address, client, gateway in (
        (ETH1, PC2, "192.168.1.254"),
        (ETH1_6, FAR6, "2001:db8:1::254"),
    ):
        told = ask(address, client)
        assert of(told, "arrives", "leaves", "via", "table") == (
            "eth1",
            "eth1",
            gateway,
            "gateway1",
        )
        assert of(told["rule"], "from", "priority", "table") == (address, 20000, "gateway1")
        assert told["route"]["to"] == "default"


def test_asking_changes_nothing(article, ask):
    before = live.snapshot(article.server)
    ask(ETH1, FAR)
    assert live.snapshot(article.server) == before


# --- the reverse-path filter ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("everywhere", "own", "mode"),
    [(1, 0, "strict"), (0, 1, "strict"), (1, 2, "loose"), (2, 1, "loose"), (0, 0, "off")],
)
def test_the_larger_of_all_and_interface_counts(article, proved, everywhere, own, mode):
    article.server.sysctl("net.ipv4.conf.all.rp_filter", everywhere)
    article.server.sysctl("net.ipv4.conf.eth1.rp_filter", own)
    told = proved(article.far, ETH1, FAR)
    assert told["rp_filter"] == {"all": everywhere, "eth1": own, "mode": mode}
    assert told["dropped"] is (mode == "strict")
    if mode == "strict":
        assert f"net.ipv4.conf.all.rp_filter={everywhere}, eth1={own}: the larger" in told["reason"]
        assert told["reason"].endswith(f"the way back to {FAR} is eth0")


@pytest.mark.parametrize("mode", [STRICT, LOOSE])
def test_without_any_way_back_loose_filtering_drops_too(article, proved, mode):
    article.server.rp_filter(mode)
    article.server.ip("route", "delete", "default")
    told = proved(article.far, ETH1, FAR)
    assert told["dropped"]
    assert f"finds no way back to {FAR}" in told["reason"]


def test_a_martian_source_is_not_the_filters(article, ask):
    article.server.rp_filter(STRICT)
    told = ask(ETH1, "192.168.2.255")
    assert told["dropped"]
    assert "the kernel takes no packet from 192.168.2.255" in told["reason"]
    assert "filtering" not in told["reason"]


@pytest.mark.parametrize("kind", ["blackhole", "unreachable"])
def test_a_rule_before_local_that_drops_requests_is_not_the_filters(article, proved, kind):
    assert ping(article.pc1, ETH1)  # ARP is answered by the same rules, and has to be over
    by_hand(
        article.server,
        f"route add {kind} {ETH1} table 77",
        "rule add iif eth1 table 77 priority 5",
        "rule add from all table local priority 10",
        "rule delete priority 0",
    )
    article.server.rp_filter(STRICT)
    told = proved(article.pc1, ETH1, PC1)
    assert told["dropped"]
    assert "filtering" not in told["reason"]


@pytest.mark.parametrize("mode", [OFF, STRICT, LOOSE])
def test_an_interface_without_an_address_of_its_own(article, proved, mode):
    article.server.ip("address", "delete", f"{ETH1}/24", "dev", "eth1")
    article.server.ip("address", "add", f"{ETH1}/32", "dev", "lo")
    article.server.ip("route", "add", "192.168.1.0/24", "dev", "eth1")
    article.server.rp_filter(mode)
    assert not proved(article.pc1, ETH1, PC1, interface="eth1")["dropped"]
    # Without an address there even the loose filter asks for the way back through it.
    assert proved(article.far, ETH1, FAR, interface="eth1")["dropped"] is (mode != OFF)


def test_a_gateway_of_the_other_family(article, proved):
    article.server.ip("route", "delete", "default")
    via = ("via", "inet6", "2001:db8:2::254")
    article.server.ip("-4", "route", "add", "default", *via, "dev", "eth0")
    assert proved(article.far, ETH0, FAR)["via"] == "2001:db8:2::254"


def test_several_next_hops(article, proved):
    hops = ("nexthop", "via", "192.168.2.254", "nexthop", "via", "192.168.1.254")
    article.server.ip("route", "replace", "default", *hops)
    assert proved(article.far, ETH1, FAR)["route"]["nexthops"]


def test_ipv6_has_no_filter(article, ask):
    article.server.rp_filter(STRICT)
    assert of(ask(ETH1_6, FAR6), "rp_filter", "dropped", "symmetric") == (None, False, False)


# --- replies that are lost --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["unreachable", "prohibit", "blackhole"])
@pytest.mark.parametrize(("address", "client"), [(ETH1, FAR), (ETH1_6, FAR6)])
def test_a_route_that_refuses_is_named(article, proved, kind, address, client):
    prefix = "2001:db8:cb::/64" if ":" in client else "203.0.113.0/24"
    article.server.ip("route", "add", kind, prefix, "table", "77")
    by_hand(
        article.server, f"-{6 if ':' in client else 4} rule add from {address} table 77 priority 5"
    )
    told = proved(article.far, address, client)
    assert of(told, "leaves", "symmetric", "table") == (None, None, 77)
    assert told["rule"]["priority"] == 5
    assert f"{kind} route for {prefix} in table 77" in told["reason"]


@pytest.mark.parametrize("kind", ["unreachable", "prohibit", "blackhole"])
@pytest.mark.parametrize(("address", "client"), [(ETH1, FAR), (ETH1_6, FAR6)])
def test_a_rule_that_refuses_is_named(article, proved, kind, address, client):
    by_hand(
        article.server, f"-{6 if ':' in client else 4} rule add from {address} {kind} priority 5"
    )
    told = proved(article.far, address, client)
    assert of(told["rule"], "priority", "action") == (5, kind)
    assert f"the rule `from {address} {kind} priority 5`" in told["reason"]


@pytest.mark.parametrize(("address", "client"), [(ETH1, FAR), (ETH1_6, FAR6)])
def test_no_route_back(article, proved, address, client):
    article.server.ip("-6" if ":" in client else "-4", "route", "delete", "default")
    told = proved(article.far, address, client)
    assert of(told, "leaves", "via", "rule", "table") == (None, None, None, None)
    assert f"no route back to {client}" in told["reason"]


def test_a_throw_route_leads_on_to_the_next_rule(article, proved):
    by_hand(
        article.server,
        "route add throw 203.0.113.0/24 table 77",
        "route add unreachable default table 77",
    )
    by_hand(article.server, f"rule add from {ETH1} table 77 priority 5")
    assert proved(article.far, ETH1, FAR)["table"] == "main"
    article.server.ip("route", "delete", "default")
    assert "no route back" in proved(article.far, ETH1, FAR)["reason"]


def test_an_interface_that_is_down(article, ask):
    article.server.ip("link", "set", "eth1", "down")
    told = ask(ETH1, FAR)
    assert told["dropped"]
    assert "eth1 is down" in told["reason"]
    assert on_the_wire(article.server, article.far, ETH1, ["eth0", "eth1"]) == (set(), set())


def test_an_interface_without_carrier(article, ask):
    (own,) = article.server.ip_json("link", "show", "eth0")
    ports = article.switch.ip_json("link", "show")
    port = next(link["ifname"] for link in ports if link["ifindex"] == own["link_index"])
    article.switch.ip("link", "set", port, "down")
    told = ask(ETH1, FAR)
    assert told["dropped"]
    assert "the reply can't leave: eth0 has no carrier" in told["reason"]
    assert on_the_wire(article.server, article.far, ETH1, ["eth0", "eth1"])[1] == set()


# --- other addresses and clients --------------------------------------------------------------


def test_a_client_on_the_host_itself(article, ask):
    told = ask(ETH1, ETH0)
    assert of(told, "arrives", "leaves", "symmetric", "dropped") == ("lo", "lo", True, False)
    assert told["table"] == told["route"]["table"] == "local"
    article.server.rp_filter(STRICT)
    assert not ask(ETH1, ETH0)["dropped"]
    assert on_the_wire(article.server, article.server, ETH1, ["eth0", "eth1"]) == (set(), set())


@pytest.mark.parametrize("policy", ["before", "after"])
def test_a_secondary_address(article, minion, proved, policy):
    article.server.ip("address", "add", "192.168.1.221/24", "dev", "eth1")
    if policy == "after":
        minion.call("apply", pillar=pillar())
    assert proved(article.far, "192.168.1.221", FAR)["symmetric"] is (policy == "after")


@pytest.mark.parametrize("mode", [OFF, STRICT])
def test_a_virtual_address_on_lo(article, proved, mode):
    article.server.rp_filter(mode)
    article.server.ip("address", "add", "192.168.1.230/32", "dev", "lo")
    told = proved(article.far, "192.168.1.230", FAR)
    assert of(told, "arrives", "leaves", "dropped") == ("eth1", "eth0", mode == STRICT)
    assert proved(article.pc1, "192.168.1.230", PC1)["symmetric"]


def test_an_anycast_address_needs_to_be_told_the_interface(article, proved, ask):
    article.server.ip("address", "add", "10.99.0.1/32", "dev", "lo")
    article.router.ip("route", "add", "10.99.0.1", "via", ETH1)
    told = ask("10.99.0.1", FAR)
    assert of(told, "arrives", "leaves", "symmetric") == (None, "eth0", None)
    assert of(told, "dropped", "rp_filter") == (False, None)
    assert proved(article.far, "10.99.0.1", FAR, interface="eth1")["symmetric"] is False


@contextmanager
def container(server):
    """A host behind a bridge of the server's, as containers are."""
    host = Host(f"container-{id(server)}")
    try:
        server.ip("link", "add", "docker0", "up", "type", "bridge", "forward_delay", "0")
        server.address("docker0", "172.17.0.1/16", "2001:db8:d::1/64")
        connect(server, "port0", host, "eth0")
        server.ip("link", "set", "port0", "master", "docker0")
        host.address("eth0", "172.17.0.2/16", "2001:db8:d::2/64")
        host.default_route("172.17.0.1", "2001:db8:d::1")
        server.wait_ready()
        yield host
    finally:
        host.close()


@pytest.mark.parametrize("mode", [OFF, STRICT])
@pytest.mark.parametrize("policy", ["before", "after"])
def test_a_container_behind_a_bridge(article, minion, proved, mode, policy):
    with container(article.server) as inside:
        article.server.rp_filter(mode)
        if policy == "after":
            minion.call("apply", pillar=pillar())
        told = proved(inside, ETH1, "172.17.0.2", devices=("eth0", "eth1", "docker0"))
    assert of(told, "arrives", "symmetric") == ("docker0", policy == "before")
    assert told["dropped"] is (policy == "after" and mode == STRICT)


def test_a_container_that_asks_in_ipv6(article, proved):
    with container(article.server) as inside:
        told = proved(inside, ETH1_6, "2001:db8:d::2", devices=("eth0", "eth1", "docker0"))
    assert of(told, "arrives", "symmetric") == ("docker0", True)


def test_a_client_in_the_siblings_subnet_comes_through_the_router_however_the_gateway_is_known(
    article, ask
):
    assert ask(ETH0, PC1)["arrives"] == "eth1", "eth1 has no gateway: this host is its router"
    article.server.ip("route", "add", "default", "via", "192.168.1.254", "table", "201")
    by_hand(article.server, f"rule add from {ETH1} table 201 priority 20000")
    assert ask(ETH0, PC1)["arrives"] == "eth0"


def test_the_second_article(ask):
    with second_article() as network, entered(network.server):
        network.server.rp_filter(STRICT)
        told = ask("192.168.2.99", FAR)
        assert of(told, "arrives", "leaves", "via", "dropped") == ("eth0", "eth1", "10.0.0.1", True)
        arrived, left = on_the_wire(network.server, network.far, "192.168.2.99", ["eth0", "eth1"])
        assert (arrived, left) == ({"eth0"}, set())


# --- many rules -------------------------------------------------------------------------------


def selectors(rng):
    """Return the selectors of a random rule; most of them meet the flow."""
    own = rng.choice(["", f"from {ETH1}", "from 192.168.0.0/16", f"from {ETH0}"])
    to = rng.choice(["", "to 203.0.113.0/24", f"to {FAR}", "to 10.0.0.0/8"])
    more = rng.choice(["", "", "iif lo", "iif eth1", "oif eth1", "fwmark 1", "fwmark 0/0xff"])
    last = rng.choice(["", "", "", "ipproto tcp", "tos 0x10", "uidrange 0-5", "uidrange 1-5"])
    chosen = " ".join(filter(None, [own, to, more, last]))
    inverted = "not " if chosen and rng.random() < 0.3 else ""
    return f"{inverted}{chosen or 'from all'}"


def random_rules(rng):
    """Return lines of rules: into tables that know the way or not, some that jump."""
    lines = []
    for priority in range(100, 2000, 100):
        table = f"table {rng.choice((71, 72, 73, 254))}"
        actions = [table, table, f"{table} suppress_prefixlength {rng.choice((0, 24))}", "nop"]
        target = priority + rng.choice((150, 350))
        actions.append(f"goto {target}")
        lines.append(f"rule add {selectors(rng)} {rng.choice(actions)} priority {priority}")
        lines.append(f"rule add from all nop priority {priority + 50}")
    return lines


@pytest.mark.parametrize("seed", range(12))
def test_the_rule_is_the_one_that_the_kernel_took(article, ask, seed):
    rng, server = random.Random(seed), article.server
    by_hand(
        server,
        "route add default via 192.168.1.254 table 71",
        "route add 203.0.113.0/24 via 192.168.2.254 table 72",
        "route add unreachable 203.0.113.10 table 73"
        if seed % 2
        else "route add throw 203.0.113.10 table 73",
        *random_rules(rng),
    )
    told = ask(ETH1, FAR)
    decider = told["rule"]
    # Without it the packet goes on to the next priority, where a rule for all now waits.
    by_hand(server, f"rule add from all blackhole priority {decider['priority'] + 1}")
    assert of(ask(ETH1, FAR), "leaves", "table", "rule") == of(told, "leaves", "table", "rule")
    by_hand(server, f"rule del priority {decider['priority']}")
    assert ask(ETH1, FAR)["rule"]["action"] == "blackhole"


# --- how it is asked --------------------------------------------------------------------------

_started = []
sys.addaudithook(lambda event, _: _started.append(1) if event == "subprocess.Popen" else None)


def test_it_starts_few_processes(article, ask):
    article.server.ip("route", "add", "unreachable", "203.0.113.0/24")
    for client in (FAR, PC2, PC1):
        _started.clear()
        ask(ETH0, client)
        assert len(_started) <= 5


@pytest.mark.usefixtures("article")
@pytest.mark.parametrize(
    ("address", "client", "kwargs", "said"),
    [
        ("192.168.1.9", FAR, {}, r"address: 192\.168\.1\.9 is not on this host .*192\.168\.1\.220"),
        ("192.168.1.220/24", FAR, {}, "address: .* is not an IP address"),
        ("eth1", FAR, {}, "address: .* write one like 192"),
        (None, FAR, {}, "address: .* is not an IP address"),
        (ETH1, FAR6, {}, "client: .* is IPv6, but .* is IPv4; write an IPv4 address"),
        (ETH1, "", {}, "client: .* is not an IP address"),
        (ETH1_6, "fe80::1", {}, "client: fe80::1 is link-local .* write the client's global"),
        (ETH1, "224.0.0.1", {}, "client: no request comes from 224"),
        (ETH1, "0.0.0.0", {}, "client: no request comes from"),
        (ETH1, FAR, {"interface": "eth9"}, r"interface: 'eth9' is not on this host \(there: eth0"),
        (ETH1, FAR, {"interface": 1}, "interface: 1 is not on this host"),
    ],
)
def test_what_can_not_be_asked_is_said(ask, address, client, kwargs, said):
    with pytest.raises(CommandExecutionError, match=said):
        ask(address, client, **kwargs)
