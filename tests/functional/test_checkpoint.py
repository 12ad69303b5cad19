"""The way back is data: written as JSON, it brings the host back from another process."""

import json
import subprocess
import sys
from pathlib import Path

import live
import multihoming_checkpoint as checkpoint
import multihoming_config as config
import multihoming_host as host_
import multihoming_kernel as kernel
import pytest
from article import NOTHING, by_hand, pillar, two

ROOMS = Path(__file__).parents[2] / "_utils"
SCRIPTS = Path("/etc/sysconfig/network-scripts")
BACK = """\
import json, sys
import multihoming_checkpoint as checkpoint
sys.stdout.write(checkpoint.roll_back(checkpoint.from_json(json.load(open(sys.argv[1])))))
"""
# From, and to.
WAYS = {
    "install": (None, two(rules=[{"fwmark": 7, "priority": 9}])),
    "edit": (two(rules=[{"fwmark": 7}], priority=98), {**two(), "priority": 150}),
    "remove": (two(routes=[{"to": "10.9.0.0/16", "via": "10.0.0.3"}]), NOTHING),
    "another id": (pillar(), {**pillar(), "tables": {"gateway1": 301}}),
    "keep main": (pillar(), pillar(keep_main_routes=True)),
    "no longer keep main": (pillar(keep_main_routes=True), pillar()),
    "default gateway": (None, {**pillar(), "default_gateway": "eth1"}),
}
STEPS = ["nothing", "before", "some", "steps", "all"]


@pytest.fixture
def back(tmp_path):
    """Roll back in a process of its own; return what it could not do."""

    def run(way_back):
        path = tmp_path / "checkpoint.json"
        path.write_text(json.dumps(checkpoint.to_json(way_back)))
        command = [sys.executable, "-c", BACK, path]
        environment = {"PYTHONPATH": str(ROOMS), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    return run


def held(host):
    files = live.files()
    return sorted(live.kernel(host)), {path: files[path][:5] for path in files}


def do(work, until):
    """Do a part of a run, as one that was killed then."""
    if until == "nothing":
        return
    checkpoint.write(work.before)
    if until == "some":
        kernel.commit(work.steps[: len(work.steps) // 2])
    if until in ("steps", "all"):
        kernel.commit(work.steps)
    if until == "all":
        checkpoint.write(work.after)


@pytest.mark.parametrize("until", STEPS)
@pytest.mark.parametrize("way", WAYS)
def test_another_process_brings_back_a_run_that_was_killed(minion, host, back, way, until):
    start, end = WAYS[way]
    if "default_gateway" in end:
        (SCRIPTS / "ifcfg-eth1").write_text(
            "IPADDR=192.168.1.220\nPREFIX=24\nGATEWAY=192.168.1.254\n"
            "IPV6ADDR=2001:db8:1::220/64\nIPV6_DEFAULTGW=2001:db8:1::254\n"
        )
    if start:
        assert minion.state("managed", "multihoming", start)["result"] is True
    before = held(host)
    work = host_.look(end)
    assert work.pending
    way_back = checkpoint.take(work)
    do(work, until)
    assert (held(host) != before) is (until != "nothing" and bool(work.before or until != "before"))
    assert back(way_back) == ""
    assert held(host) == before
    # And the host is as good as it was: the run can be made again.
    assert minion.state("managed", "multihoming", end)["result"] is True


def test_rolling_back_twice_is_rolling_back_once(host, back):
    before = held(host)
    work = host_.look(two())
    do(work, "all")
    way_back = checkpoint.take(work)
    assert [back(way_back), back(way_back)] == ["", ""]
    assert held(host) == before


def test_what_others_did_meanwhile_stays(host, back):
    work = host_.look(two())
    do(work, "all")
    by_hand(host, "-4 rule add from 203.0.113.9 table 77 priority 7")
    theirs = SCRIPTS / "rule-eth1"
    theirs.write_text(f"{theirs.read_text()}from 203.0.113.9 table 77 priority 7\n")
    said = back(checkpoint.take(work))
    assert f"{theirs} was changed by somebody else meanwhile" in said
    assert "priority 7" in theirs.read_text()
    assert not (SCRIPTS / "rule-eth2").exists()
    assert [rule["priority"] for rule in live.rules(host, 4, 77)] == [7]
    assert live.tables(host, 201, 202) == []


@pytest.mark.usefixtures("host")
def test_a_checkpoint_is_the_same_after_json():
    work = host_.look({**two(keep_main_routes=True), "backend": "none"})
    way_back = checkpoint.take(work)
    assert checkpoint.from_json(json.loads(json.dumps(checkpoint.to_json(way_back)))) == way_back
    assert len(way_back.boot) == 36


def test_bytes_that_are_no_text_come_back(host, back):
    path = SCRIPTS / "rule-eth1"
    path.write_bytes(b"# caf\xe9\r\n")
    work = host_.look(pillar())
    do(work, "all")
    assert back(checkpoint.take(work)) == ""
    assert path.read_bytes() == b"# caf\xe9\r\n"


@pytest.mark.usefixtures("host")
def test_everything_is_read_at_the_start_of_a_run(monkeypatch):
    """What a run knows of files comes of one look: deciding opens none."""
    wanted, errors = config.parse({**two(), "default_gateway": "eth0"})
    (SCRIPTS / "ifcfg-eth0").write_text(
        "IPADDR=192.168.2.220\nPREFIX=24\nGATEWAY=192.168.2.254\n"
        "IPV6ADDR=2001:db8:2::220/64\nIPV6_DEFAULTGW=2001:db8:2::254\n"
    )
    seen = host_.look_.look(wanted, None, errors)

    def refuse(*_, **__):
        raise AssertionError("the outside is asked after the look")

    with monkeypatch.context() as patch:
        for name in ("builtins.open", "os.listdir", "os.path.isdir", "subprocess.run"):
            patch.setattr(name, refuse)
        work = host_.work.decide(wanted, seen, None, [])
    assert work.pending
