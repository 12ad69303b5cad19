"""States say where a policy would not outlast the next start: in files that nothing will load."""

import shutil
from pathlib import Path

import pytest
from article import GATEWAY, NOTHING, pillar, two

SCRIPTS = Path("/etc/sysconfig/network-scripts")


@pytest.fixture
def loader():
    """The network scripts that load route and rule files are there."""
    path = SCRIPTS / "ifup-routes"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def notes(ret):
    return [line for line in ret["comment"].splitlines() if line.startswith("gone at reboot")]


def test_files_that_nothing_will_load_are_told(minion, host, loader):
    loader.unlink()
    said = []
    for test in (True, False, True, False):
        (note,) = notes(minion.state("managed", "multihoming", pillar(), test))
        said.append(note)
    assert len({*said}) == 1
    paths = [SCRIPTS / f"{kind}-eth1" for kind in ("route", "route6", "rule", "rule6")]
    assert set(map(str, paths)) <= {*said[0].replace(",", " ").replace(":", " ").split()}
    assert "ifup-routes" in said[0]
    assert said[0].endswith("; remedy: dnf install network-scripts")
    (finding,) = (
        each
        for each in minion.call("diagnose", pillar=pillar())
        if each["id"] == "files-not-loaded"
    )
    assert finding["remedy"] == "dnf install network-scripts"


def test_a_plan_is_not_the_place_for_it(minion, host):
    minion.state("managed", "multihoming", pillar())
    assert not any(minion.call("plan", pillar=pillar()).values())


def test_files_that_are_loaded_need_no_words(minion, host, loader):
    for test in (True, False, True):
        assert notes(minion.state("managed", "multihoming", pillar(), test)) == []


def test_files_that_go_away_need_no_words(minion, host, loader):
    minion.state("managed", "multihoming", pillar())
    loader.unlink()
    for test in (True, False, True):
        assert notes(minion.state("managed", "multihoming", NOTHING, test)) == []


def test_files_of_others_are_left_to_diagnose(minion, host):
    (SCRIPTS / "rule-eth0").write_text("from 10.0.0.0/8 table 99\n")
    assert notes(minion.state("managed", "multihoming", NOTHING)) == []
    (note,) = notes(minion.state("managed", "multihoming", pillar()))
    assert "eth0" not in note


def test_under_networkmanager_files_may_be_useless(minion, host, loader):
    devices = Path("/run/NetworkManager/devices")
    devices.mkdir(parents=True)
    try:
        whole = {**pillar(), "backend": "network-scripts"}
        for test in (True, False):
            (note,) = notes(minion.state("managed", "multihoming", whole, test))
            assert "NetworkManager is in charge, and has no ifcfg file" in note
        (SCRIPTS / "ifcfg-eth1").write_text("DEVICE=eth1\n")
        (note,) = notes(minion.state("managed", "multihoming", whole))
        assert "without 10-ifcfg-rh-routes.sh" in note
        assert "route-eth1" not in note
    finally:
        shutil.rmtree(devices.parent)


def test_a_single_interface_tells_of_its_own_files(minion, host, loader):
    loader.unlink()
    minion.state("managed", "multihoming", two())
    for number, dev, more in ((1, "eth1", {}), (1, "eth1", {"priority": 9})):
        for test in (True, False):
            ret = minion.state(
                "interface_present",
                dev,
                None,
                test,
                table=f"gateway{number}",
                gateway=GATEWAY,
                **more,
            )
            (note,) = notes(ret)
            assert "route-eth1" in note
            assert "eth2" not in note


def test_without_files_there_is_nothing_to_load(minion, host, loader):
    loader.unlink()
    whole = {**pillar(), "backend": "none"}
    assert notes(minion.state("managed", "multihoming", whole)) == []
