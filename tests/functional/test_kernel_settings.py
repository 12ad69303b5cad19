"""Kernel settings of the pillar: checked before anything changes, and part of all or nothing."""

import itertools
import sys
from pathlib import Path

import live
import pytest
from article import NOTHING, pillar
from network import Host, connect
from salt.exceptions import CommandExecutionError

CONF = Path("/etc/sysctl.conf")
TTL = "net.ipv4.ip_default_ttl"
FORWARD = "net.ipv4.ip_forward"
_numbers = itertools.count(1)


def with_settings(*, whole=None, **settings):
    """Return a pillar with kernel settings; a key's dots are written as two underscores."""
    settings = {key.replace("__", "."): value for key, value in settings.items()}
    return {**(whole or pillar()), "sysctl": settings}


@pytest.fixture
def vlan(host):
    """An interface with a dot in its name."""
    router = Host(f"vlan-{next(_numbers)}")
    connect(host, "eth0.100", router, "eth0")
    yield "eth0.100"
    router.close()


# --- before anything is touched ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("net.ipv4.ip_foward", 1, "no such kernel setting; did you mean `net.ipv4.ip_forward`?"),
        ("net.ipv4.conf.eth9.rp_filter", 1, "there is no interface eth9 on this host"),
        ("net.ipv4.conf.eth1", 1, "is a folder"),
        ("kernel.osrelease", 6, "can be read only"),
        (FORWARD, "yes", "'yes' is not a number"),
    ],
)
def test_what_can_be_known_before_is_an_error_of_the_pillar(refused, minion, key, value, says):
    bad = {**pillar(gateway="172.16.0.1"), "sysctl": {TTL: 65, key: value}}
    said = refused(bad).splitlines()
    assert [line.partition(":")[0] for line in said] == [
        f"sysctl.{key}",
        "interfaces.eth1.gateway",
    ]
    assert says in said[0]
    assert minion.call("validate", pillar=bad) == said
    for function in ("plan", "apply"):
        with pytest.raises(CommandExecutionError) as raised:
            minion.call(function, pillar=bad)
        assert str(raised.value).splitlines() == said


def test_the_name_of_an_interface_may_have_dots(converge, host, vlan, refused):
    said = refused(with_settings(**{f"net.ipv4.conf.{vlan}.arp_ignore": 1}))
    key = "net.ipv4.conf.eth0/100.arp_ignore"
    assert said.endswith(f"did you mean `{key}`?")
    changes = converge(with_settings(**{key: 1}))
    assert changes["sysctl"] == {key: "1"}
    assert host.sysctl(f"net/ipv4/conf/{vlan}/arp_ignore") == "1"
    assert f"{key} = 1" in CONF.read_text()


def test_settings_of_an_optional_interface_that_is_not_there_are_skipped(converge, minion, host):
    whole = with_settings(**{TTL: 65, "net.ipv4.conf.eth9.rp_filter": 1})
    whole["tables"]["gateway9"] = 209
    whole["interfaces"]["eth9"] = {"table": "gateway9", "optional": True}
    assert converge(whole)["sysctl"] == {TTL: "65"}
    comment = minion.state("managed", "multihoming", whole)["comment"]
    assert "sysctl.net.ipv4.conf.eth9.rp_filter: eth9 does not exist: skipped" in comment


def test_several_settings_are_kept_and_drift_is_repaired(converge, host):
    whole = with_settings(**{TTL: 65, FORWARD: 1})
    assert converge(whole)["sysctl"] == {TTL: "65", FORWARD: "1"}
    host.sysctl(TTL, 70)
    assert converge(whole) == {"sysctl": {TTL: "65"}}
    assert host.sysctl(TTL) == "65"


def test_settings_are_of_the_arguments_before_the_pillar(minion, host):
    whole = with_settings(**{TTL: 65})
    ret = minion.state("managed", "multihoming", whole, sysctl={TTL: 66})
    assert (ret["changes"]["sysctl"], host.sysctl(TTL)) == ({TTL: "66"}, "66")
    ret = minion.state("managed", "multihoming", with_settings(**{TTL: 67}), sysctl={})
    assert (ret["result"], ret["changes"], host.sysctl(TTL)) == (True, {}, "66")


# --- all or nothing ---------------------------------------------------------------------------


def contents():
    """Return path -> what is in each file, and its mode and owner."""
    return {path: file[:-1] for path, file in live.files().items()}


@pytest.fixture
def fails(minion, host):
    """Assert that a run fails and leaves nothing behind; return why."""

    def run(whole):
        values = {key: host.sysctl(key) for key in (TTL, FORWARD)}
        before = live.kernel(host), contents()
        ret = minion.state("managed", "multihoming", whole)
        assert (ret["result"], ret["changes"]) == (False, {})
        assert (live.kernel(host), contents()) == before
        assert {key: host.sysctl(key) for key in values} == values
        return ret["comment"]

    return run


@pytest.mark.parametrize("whole", [pillar(), NOTHING], ids=["with routes", "alone"])
def test_a_value_that_the_kernel_refuses_leaves_nothing_behind(fails, whole):
    said = fails(with_settings(whole=whole, **{FORWARD: 1, TTL: 0}))
    assert said.startswith(f"sysctl.{TTL}: Failed to set {TTL} to 0: ")
    assert "Invalid argument" in said
    assert said.endswith("; everything is as it was before")


def test_the_file_stays_what_it_was(fails, host):
    CONF.write_text(f"# mine\n{TTL} = 64\n")
    fails(with_settings(**{FORWARD: 1, TTL: 0}))
    assert CONF.read_text() == f"# mine\n{TTL} = 64\n"


def test_a_host_that_was_converged_stays_so(converge, converged, fails):
    good = with_settings(**{TTL: 65})
    converge(good)
    fails(with_settings(**{TTL: 0, FORWARD: 1}))
    converged(good)


def test_a_file_that_salt_cannot_read_is_an_error_in_words(fails):
    CONF.write_bytes(b"# caf\xe9\n")
    said = fails(with_settings(**{TTL: 65}))
    assert said.startswith(f"sysctl.{TTL}: ")
    assert "Traceback" not in said


def test_settings_that_cannot_be_put_back_are_told(minion, host, monkeypatch):
    sysctl = sys.modules["multihoming_sysctl"]
    monkeypatch.setattr(sysctl, "_write", lambda key, text: [f"sysctl.{key} stays"])
    ret = minion.state("managed", "multihoming", with_settings(**{FORWARD: 1, TTL: 0}))
    assert ret["comment"].endswith(f"; putting back failed too: sysctl.{FORWARD} stays")
    assert live.rules(host, table=201) == []


def test_settings_come_after_routes_and_rules(minion, host, monkeypatch):
    """A strict reverse-path filter before them would drop what comes in."""
    run = sys.modules["multihoming_host"]
    seen, verify = [], run._verify

    def spied(done):
        verify(done)
        seen.append((len(live.rules(host, table=201)), host.sysctl(TTL)))

    monkeypatch.setattr(run, "_verify", spied)
    assert minion.state("managed", "multihoming", with_settings(**{TTL: 65}))["result"] is True
    assert seen == [(1, "64")]
    assert host.sysctl(TTL) == "65"
