"""No packet is lost and no connection reset while the states change what the packets depend on.

Every address is asked 1,000 times a second, and holds an open TCP connection.
"""

from contextlib import contextmanager
from copy import deepcopy

import pytest
from machines import STRICT
from salts import PILLAR
from traffic import EchoServer, Load

# Company for eth1's own rules and routes: what is done in a wrong order takes long enough to hurt.
CROWD = [f"198.18.{high}.{low}" for high in range(2) for low in range(100)]
CROWD += [address.replace("198.18.", "2001:db8:99::").replace(".", ":") for address in CROWD]
ROUTE = {"to": "198.51.100.0/24", "via": "10.1.1.254"}
RULE = {"from": "10.1.1.0/24", "priority": 19000}
SECOND_ROUTER = ("10.1.1.253/24", "2001:db8:1:1::fd/64")


@contextmanager
def nothing_lost(server, *devices):
    """Put load on some NICs for the block, and claim that it does not notice anything."""
    targets = [address for _device, address in server.addresses(*devices)]
    with EchoServer(server.host, targets), Load(server.network.far, targets) as load:
        yield
        tallies = load.stop()
    assert set(tallies) == set(targets)
    for tally in tallies.values():
        assert (tally.lost, tally.broken) == (0, None), str(tally)
        assert tally.sent > 500, str(tally)
        assert tally.messages > 5, str(tally)


def crowded():
    """Return alpha's pillar with many rules and routes more."""
    pillar = deepcopy(PILLAR["alpha"])
    eth1 = pillar["interfaces"]["eth1"]
    gateways = {":" in gateway: gateway for gateway in eth1["gateway"]}
    eth1["rules"] = [{"from": address} for address in CROWD]
    eth1["routes"] = [{"to": address, "via": gateways[":" in address]} for address in CROWD]
    return pillar


@pytest.fixture
def strict(salt, servers):
    """Converged minions on which a reply has only its policy to go by.

    Strict filtering drops what has no policy, and no main default route stands in for one.
    """
    alpha = servers["alpha"]
    salt.pillar(alpha=crowded())
    result = salt.apply(minion="alpha")
    assert result["result"] is True, result["comment"]
    alpha.host.rp_filter(STRICT)
    for family in ("-4", "-6"):
        alpha.host.ip(family, "route", "delete", "default")
    return salt


@pytest.fixture
def second_router(servers):
    """A second address of the router on one segment, to move the gateway to."""
    router = servers["alpha"].network.router
    for address in SECOND_ROUTER:
        router.ip("address", "add", address, "dev", "eth1", *(["nodad"] if ":" in address else []))
    yield
    for address in SECOND_ROUTER:
        router.ip("address", "delete", address, "dev", "eth1")


def edited(edit):
    """Return alpha's pillar after an edit."""
    pillar = crowded()
    edit(pillar)
    return pillar


def another_priority(pillar):
    pillar["priority"] = 15000


def another_gateway(pillar):
    eth1 = pillar["interfaces"]["eth1"]
    eth1["gateway"] = [address.partition("/")[0] for address in SECOND_ROUTER]
    for route in eth1["routes"]:
        route["via"] = eth1["gateway"][":" in route["to"]]


def another_table_id(pillar):
    pillar["tables"]["uplink1"] = 2001


def another_table_name(pillar):
    pillar["tables"]["renamed"] = pillar["tables"].pop("uplink1")
    pillar["interfaces"]["eth1"]["table"] = "renamed"


def another_route_and_rule(pillar):
    pillar["interfaces"]["eth1"]["routes"].append(ROUTE)
    pillar["interfaces"]["eth1"]["rules"].append(RULE)


EDITS = [
    another_priority,
    another_gateway,
    another_table_id,
    another_table_name,
    another_route_and_rule,
]


def test_nothing_is_lost_when_the_policy_comes_and_goes(salt, servers):
    alpha = servers["alpha"]
    with nothing_lost(alpha):
        assert salt.apply()["alpha"]["changes"]
    salt.pillar(alpha={"tables": {}, "interfaces": {}})
    with nothing_lost(alpha):
        assert salt.apply(minion="alpha")["result"] is True
    assert alpha.rules() == []


@pytest.mark.usefixtures("second_router")
@pytest.mark.parametrize("edit", EDITS)
def test_nothing_is_lost_when_the_pillar_is_edited_and_edited_back(strict, servers, edit):
    for pillar in (edited(edit), crowded()):
        strict.pillar(alpha=pillar)
        with nothing_lost(servers["alpha"]):
            result = strict.apply(minion="alpha")
        assert result["result"] is True, result["comment"]
        assert result["changes"]


def test_nothing_is_lost_when_other_interfaces_go_and_come_back(strict, servers):
    pillar = crowded()
    for number in (0, 2):
        del pillar["interfaces"][f"eth{number}"], pillar["tables"][f"uplink{number}"]
    for data in (pillar, crowded()):
        strict.pillar(alpha=data)
        with nothing_lost(servers["alpha"], "eth1"):
            result = strict.apply(minion="alpha")
        assert result["result"] is True, result["comment"]
        assert {"eth0", "eth2"} <= set(result["changes"])


@pytest.fixture
def spare(servers):
    """A link of alpha's that is down, and so no next hop that the kernel would take."""
    host = servers["alpha"].host
    host.ip("link", "add", "spare", "type", "veth", "peer", "name", "spare-peer")
    host.ip("address", "add", "192.0.2.1/24", "dev", "spare")
    yield {"via": "192.0.2.254", "dev": "spare"}
    host.ip("link", "delete", "spare")


def test_nothing_is_lost_when_a_run_fails_and_is_undone(strict, servers, spare):
    alpha = servers["alpha"]
    pillar = crowded()
    pillar["priority"] = 15000
    pillar["tables"]["uplink1"] = 2001
    hops = [spare, {"via": "10.1.2.254"}]
    pillar["interfaces"]["eth2"]["routes"] = [{"to": "198.51.100.0/24", "nexthops": hops}]
    before = alpha.state()
    strict.pillar(alpha=pillar)
    with nothing_lost(alpha):
        result = strict.apply(minion="alpha")
    assert result["result"] is False
    assert "as it was before" in result["comment"], result["comment"]
    assert alpha.state() == before


def test_the_load_notices_when_a_policy_is_gone_for_a_moment(strict, servers):
    alpha = servers["alpha"]
    rule = ("from", "10.1.1.10", "table", "201", "priority", "20000")
    with pytest.raises(AssertionError, match=r"10\.1\.1\.10: .* lost"), nothing_lost(alpha):
        alpha.host.ip("rule", "delete", *rule)
        assert strict.apply(minion="alpha")["changes"]
