"""A minion that has neither the modules nor netaddr: one ``state.apply`` is all it takes."""

import pytest
from machines import Server, nic
from salts import PILLAR, Minion, Salt, SaltCall, make_minion, own_result

BOOTSTRAP = {"saltutil.sync_all", "pip.installed"}
GAMMA = {
    "tables": {"left": 401, "right": 402},
    "interfaces": {
        "eth0": {"table": "left", "gateway": ["10.3.0.254", "2001:db8:3::fe"]},
        "eth1": {"table": "right", "gateway": ["10.3.1.254", "2001:db8:3:1::fe"]},
    },
}


@pytest.fixture
def gamma(tmp_path):
    server = Server("gamma", 3, [nic("eth0", "3.0"), nic("eth1", "3.1")], tmp_path / "gamma")
    yield server
    server.close()


@pytest.fixture
def fresh_minion(salt_factories, master, gamma, fresh_python):
    """``salt`` for a minion of its own, which has Salt and nothing else."""
    daemon = make_minion(salt_factories, master, gamma, fresh_python=fresh_python)
    daemon.environ = fresh_python.environment()
    salt = Salt(master)
    salt.pillar(gamma=GAMMA)
    salt.top(gamma="gamma", **{name: name for name in PILLAR})
    Minion.start(daemon)
    yield salt
    Minion.terminate(daemon)
    # Else others who ask for all minions would wait for it.
    assert master.salt_key_cli().run("--yes", "--delete=gamma").returncode == 0


def functions(states):
    """Return the functions of the states that ran."""
    return {f"{key.split('_|-')[0]}.{key.split('_|-')[-1]}" for key in states}


def assert_predicts_nothing(states):
    """Claim that a run in test mode says what it would install, and that it can't tell more."""
    assert functions(states) == BOOTSTRAP | {"test.show_notification", "multihoming.managed"}
    said = {key.partition("_|-")[0]: state for key, state in states.items()}
    assert (said["saltutil"]["result"], said["pip"]["result"]) == (None, None)
    assert "netaddr is set to be installed" in said["pip"]["comment"]
    assert "can't be predicted" in said["test"]["comment"]
    assert (own_result(states)["result"], own_result(states)["changes"]) == (True, {})


def assert_converged_from_nothing(states):
    """Claim that a first run fetched all it needs and then did its work."""
    assert functions(states) == BOOTSTRAP | {"multihoming.managed"}
    assert {state["result"] for state in states.values()} == {True}, states
    assert own_result(states)["changes"]
    (installed,) = (state for key, state in states.items() if key.startswith("pip_"))
    assert any(name.startswith("netaddr") for name in installed["changes"])


def assert_converged_already(states):
    """Claim that a later run does not even look at what the first one fetched."""
    assert functions(states) == {"multihoming.managed"}
    assert own_result(states)["result"] is True
    assert own_result(states)["changes"] == {}


def test_salt_converges_a_fresh_minion(fresh_minion, fresh_python, gamma):
    before = gamma.state()
    assert fresh_minion.run("sys.list_functions", "multihoming", minion="gamma") == []
    assert_predicts_nothing(fresh_minion.states("test=True", minion="gamma"))
    assert fresh_minion.run("sys.list_functions", "multihoming", minion="gamma") == []
    assert fresh_python.netaddr() is None
    assert gamma.state() == before

    assert_converged_from_nothing(fresh_minion.states(minion="gamma"))
    assert fresh_python.netaddr() == "own"
    for device, address in gamma.addresses():
        assert gamma.ask(address) == (1, {device}, {device})

    assert_converged_already(fresh_minion.states(minion="gamma"))
    assert_converged_already(fresh_minion.states("test=True", minion="gamma"))


@pytest.fixture
def salt_call(servers, tmp_path, checkout, fresh_python):
    """``salt-call --local`` with the fresh Python on alpha."""
    servers["alpha"].reset()
    command = SaltCall(servers["alpha"], tmp_path / "salt-call", checkout, fresh_python)
    command.pillar(PILLAR["alpha"])
    return command


def test_salt_call_converges_a_fresh_host(salt_call, servers, fresh_python):
    alpha = servers["alpha"]
    before = alpha.state()
    assert_predicts_nothing(salt_call.states("test=True"))
    assert fresh_python.netaddr() is None
    assert alpha.state() == before

    done = salt_call.raw("state.apply", "multihoming")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert fresh_python.netaddr() == "own"
    for device, address in alpha.addresses():
        assert alpha.ask(address) == (1, {device}, {device})

    assert_converged_already(salt_call.states())


def test_a_host_that_lacks_only_netaddr_is_completed(salt_call):
    salt_call.run("saltutil.sync_all")
    refused = salt_call.raw("multihoming.plan")
    assert refused.returncode != 0
    assert "pip.install netaddr" in refused.stdout + refused.stderr
    assert_converged_from_nothing(salt_call.states())
    assert_converged_already(salt_call.states())
