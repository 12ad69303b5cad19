"""One host, several network managers: each keeps the policies of its own interfaces.

The second manager is a draft of thirty lines that keeps its policies in a JSON file; nothing but
the registry knows of it.
"""

import json
from pathlib import Path

import json_backend
import live
import multihoming_backend as contract
import pytest
from article import NOTHING, by_hand, pillar, two
from multihoming_backend import Claim
from multihoming_errors import BackendError

SCRIPTS = Path("/etc/sysconfig/network-scripts")
PLACE = Path(json_backend.PLACE)
FOREIGN = "4 route 198.51.100.0/24 dev eth1 table 77"
STATIC = "4"


@pytest.fixture(autouse=True)
def drafted(configuration, monkeypatch):
    """Register the draft, and let it be in charge of eth1."""
    monkeypatch.setitem(contract.BACKENDS, "json", json_backend.__name__)
    json_backend.activated.clear()
    PLACE.write_text(json.dumps({"eth1": [FOREIGN]}))


def kept():
    """Return what the draft keeps of eth1, but for the line of somebody else."""
    lines = json.loads(PLACE.read_text())["eth1"]
    assert FOREIGN in lines
    return [line for line in lines if line != FOREIGN]


def scripted():
    return sorted(path.name for path in SCRIPTS.iterdir())


def protocols(host, table):
    held = [*live.routes(host, table), *live.routes(host, table, 6)]
    held += [*live.rules(host, 4, table), *live.rules(host, 6, table)]
    return {entry.get("protocol", "as scripts do") for entry in held}


def test_each_interface_goes_to_the_manager_that_claims_it(host, converge):
    changes = converge(two())
    assert scripted() == ["route-eth2", "route6-eth2", "rule-eth2", "rule6-eth2"]
    assert len(kept()) == 6
    assert str(PLACE) in changes["files"]
    assert protocols(host, 201) == {STATIC}
    assert protocols(host, 202) == {"as scripts do"}
    assert {tuple(devices) for devices in json_backend.activated} == {("eth1", "eth2")}


def test_what_both_load_at_the_next_start_is_what_the_kernel_has(host, twin, converge):
    converge(two())
    for line in kept():
        family, kind, words = line.split(" ", 2)
        by_hand(twin, f"-{family} {kind} add {words}")
    for name in scripted():
        kind, family = name.partition("-")[0], "-6" if "6-" in name else "-4"
        for line in (SCRIPTS / name).read_text().splitlines():
            by_hand(twin, f"{family} {kind.rstrip('6')} add {line}")
    assert live.tables(twin, 201, 202) == live.tables(host, 201, 202)


def test_an_edit_and_drift_are_mended_where_they_belong(host, converge):
    converge(two())
    converge(two(rules=[{"fwmark": 7}]))
    converge({**two(rules=[{"fwmark": 7}]), "priority": 150})
    host.ip("-4", "rule", "del", "table", "201")
    converge({**two(rules=[{"fwmark": 7}]), "priority": 150})
    PLACE.write_text(json.dumps({"eth1": [FOREIGN]}))
    converge({**two(rules=[{"fwmark": 7}]), "priority": 150})
    assert len(kept()) == 6


def test_taking_away_leaves_both_as_they_were(host, converge):
    before = live.kernel(host), live.texts()
    converge(two())
    converge(NOTHING)
    after = live.texts()
    assert json.loads(after.pop(str(PLACE))) == json.loads(before[1].pop(str(PLACE)))
    assert (live.kernel(host), after) == before


def test_one_of_two_interfaces_goes(host, converge):
    converge(two())
    converge(pillar())
    assert (scripted(), len(kept())) == ([], 6)
    assert live.tables(host, 202) == []


def test_a_failure_in_one_takes_both_back(host, minion, monkeypatch):
    before = sorted(live.kernel(host)), live.texts()

    def refuse(_):
        raise BackendError("json: no")

    with monkeypatch.context() as patch:
        patch.setattr(json_backend, "activate", refuse)
        ret = minion.state("managed", "multihoming", two())
    assert (ret["result"], ret["changes"]) == (False, {})
    assert ret["comment"].startswith("json: no; ")
    assert (sorted(live.kernel(host)), live.texts()) == before


def test_a_failure_on_an_edit_takes_both_back(host, minion, monkeypatch):
    assert minion.state("managed", "multihoming", two())["result"] is True
    before = sorted(live.kernel(host)), live.texts()

    def refuse(edits):
        if edits[0].after != before[1][str(PLACE)]:
            raise BackendError("json: full")

    with monkeypatch.context() as patch:
        patch.setattr(json_backend, "write", refuse)
        ret = minion.state("managed", "multihoming", {**two(), "priority": 150})
    assert ret["result"] is False
    assert ret["comment"] == "json: full; everything is as it was before"
    assert (sorted(live.kernel(host)), live.texts()) == before


def test_what_the_interface_says_goes_before_what_the_host_says(host, converge):
    whole = two()
    whole["interfaces"]["eth1"]["backend"] = "network-scripts"
    whole["interfaces"]["eth2"]["backend"] = "json"
    converge({**whole, "backend": "none"})
    assert kept() == []
    assert len(json.loads(PLACE.read_text())["eth2"]) == 6
    assert scripted() == ["route-eth1", "route6-eth1", "rule-eth1", "rule6-eth1"]


def test_the_default_gateway_of_one_manager_is_known_to_the_other(host, converge):
    (SCRIPTS / "ifcfg-eth0").write_text(
        "IPADDR=192.168.2.220\nPREFIX=24\nGATEWAY=192.168.2.254\n"
        "IPV6ADDR=2001:db8:2::220/64\nIPV6_DEFAULTGW=2001:db8:2::254\n"
    )
    network = Path("/etc/sysconfig/network")
    network.write_text("NETWORKING=yes\n")
    converge({**two(), "default_gateway": "eth1"})
    assert network.read_text() == "NETWORKING=yes\nGATEWAYDEV=eth1\nIPV6_DEFAULTDEV=eth1\n"
    assert [route["dev"] for route in live.routes(host, 254) if route["dst"] == "default"] == [
        "eth1"
    ]


def test_what_the_host_says_goes_before_claims(converge):
    converge({**two(), "backend": "network-scripts"})
    assert len(scripted()) == 8
    assert kept() == []


def test_two_that_are_surely_in_charge_are_named_with_their_signs_and_the_key(refused, converge):
    (SCRIPTS / "ifcfg-eth1").write_text("IPADDR=192.168.1.220\nPREFIX=24\n")
    said = refused(two())
    assert said == (
        f"interfaces.eth1.backend: network-scripts ({SCRIPTS}/ifcfg-eth1) and json ({PLACE}) are "
        "in charge of eth1 at once; write `backend: network-scripts` or `backend: json` there"
    )
    whole = two()
    whole["interfaces"]["eth1"]["backend"] = "json"
    converge(whole)
    assert len(kept()) == 6


def test_an_interface_that_nobody_is_in_charge_of_is_an_error_that_says_what_to_write(
    refused, monkeypatch
):
    monkeypatch.setattr(
        json_backend, "claims", lambda devices: {dev: Claim("x") for dev in devices if dev == "lo"}
    )
    SCRIPTS.rmdir()
    said = refused(pillar())
    assert said.startswith("interfaces.eth1.backend: no network manager")
    assert "`backend: network-scripts`" in said
    assert "`backend: none`" in said


def test_a_slow_manager_is_waited_for(host, minion, monkeypatch):
    looks = []
    real = json_backend.look
    stale = real([])

    def slow(*asked):
        looks.append(asked)
        return stale if 1 < len(looks) <= 3 else real(*asked)

    monkeypatch.setattr(json_backend, "look", slow)
    ret = minion.state("managed", "multihoming", pillar())
    assert (ret["result"], len(looks)) == (True, 4)
    assert len(kept()) == 6


def test_a_manager_that_never_takes_an_edit_over_is_an_error_and_all_goes_back(
    host, minion, monkeypatch
):
    before = sorted(live.kernel(host)), live.texts()
    stale = json_backend.look([])
    monkeypatch.setattr(json_backend, "look", lambda *_: stale)
    ret = minion.state("managed", "multihoming", pillar())
    assert ret["result"] is False
    assert f"did not hold; still differing: {PLACE}" in ret["comment"]
    assert (sorted(live.kernel(host)), live.texts()) == before


@pytest.mark.usefixtures("host")
def test_functions_that_look_know_both(minion, converge):
    converge(two())
    places = minion.call("list_files", pillar=two())
    assert places.keys() == {str(PLACE), *(str(SCRIPTS / name) for name in scripted())}
    exported = minion.call("export")
    assert exported["multihoming"]["interfaces"].keys() == {"eth1", "eth2"}
    assert (len(exported["left_out"]), exported["notes"]) == (1, [])
    assert exported["left_out"][0].startswith("table 77 (eth1): ")


@pytest.mark.usefixtures("host")
def test_a_typing_error_in_the_name_is_an_error_that_lists_the_registry(minion):
    whole = pillar(backend="jason")
    assert minion.call("validate", pillar=whole) == [
        "interfaces.eth1.backend: 'jason' is not known; write one of auto, network-scripts, none, "
        "json"
    ]
