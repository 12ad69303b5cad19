"""SLS that people write themselves: beside the SLS `multihoming`, and instead of it."""

import json

import pytest
import readme
import yaml
from salts import PILLAR, SaltCall, own_result

NOP = "test.succeed_with_changes"
OTHERS = {
    "include": ["multihoming"],
    "before": {NOP: [{"require_in": [{"multihoming": "multihoming"}]}]},
    "after": {NOP: [{"require": [{"multihoming": "multihoming"}]}]},
    "then": {NOP: [{"onchanges": [{"multihoming": "multihoming"}]}]},
}
ETH1 = {"table": "gateway1", "table_id": 201, "gateway": "10.1.1.254"}
LEAVING = {
    "eth1": {"multihoming.interface_absent": []},
    "gateway1": {"multihoming.table_absent": [{"require": [{"multihoming": "eth1"}]}]},
}


@pytest.fixture
def write(checkout):
    """Write an SLS; all are taken away at the end."""
    written = []

    def write(name, data):
        path = checkout / f"states/{name}.sls"
        path.write_text(json.dumps(data) + "\n")
        written.append(path)

    yield write
    for path in written:
        path.unlink()


@pytest.fixture
def salt_call(servers, tmp_path, checkout, fresh_python):
    servers["alpha"].reset()
    return SaltCall(servers["alpha"], tmp_path / "salt-call", checkout, fresh_python)


def results(states):
    """Return ID -> the result of each state."""
    assert isinstance(states, dict), states
    return {key.split("_|-")[1]: state["result"] for key, state in states.items()}


def of(states, function):
    """Return the result of the only state with this function, in full."""
    (found,) = (state for key, state in states.items() if key.endswith(f"_|-{function}"))
    return found


def test_others_may_refer_to_it_before_a_minion_has_it(salt_call, write, servers):
    before = servers["alpha"].state()
    salt_call.pillar(PILLAR["alpha"])
    write("others", OTHERS)
    predicted = salt_call.run("state.apply", "others", "test=True")
    assert results(predicted) == {
        "before": None,
        "multihoming-modules": None,
        "multihoming-netaddr": None,
        "multihoming-prediction": True,
        "multihoming": True,
        "after": None,
        "then": True,
    }
    assert servers["alpha"].state() == before
    done = salt_call.run("state.apply", "others")
    assert set(results(done).values()) == {True}, done
    assert own_result(done)["changes"]


def test_the_sls_installs_and_ones_own_sls_does_the_rest(salt_call, write, servers):
    (example,) = (
        block for block in readme.blocks("yaml") if "multihoming.interface_present" in block
    )
    example = example.replace("192.168.1.", "10.1.1.").replace("10.0.0.0/8", "198.51.100.0/24")
    salt_call.no_pillar()
    write("own", yaml.safe_load(example))
    done = salt_call.run("state.apply", "own")
    assert set(results(done).values()) == {True}, done
    assert own_result(done)["changes"] == {}
    assert servers["alpha"].gateways(201) == {"10.1.1.254"}

    # Interface and table go in one run.
    write("leaving", LEAVING)
    predicted = salt_call.run("state.apply", "leaving", "test=True")
    assert results(predicted) == {"eth1": None, "gateway1": None}
    done = salt_call.run("state.apply", "leaving")
    assert results(done) == {"eth1": True, "gateway1": True}
    for function in ("interface_absent", "table_absent"):
        # Each diff starts from the file as it is at that time.
        assert {**of(predicted, function)["changes"], "files": 0} == {
            **of(done, function)["changes"],
            "files": 0,
        }


def test_a_table_that_nothing_empties_is_refused_in_test_mode_too(salt_call, write):
    salt_call.no_pillar()
    salt_call.states()
    salt_call.run("state.single", "multihoming.interface_present", "eth1", *_arguments(ETH1))
    write("in_use", {"gateway1": {"multihoming.table_absent": []}})
    predicted = salt_call.run("state.apply", "in_use", "test=True")
    assert results(predicted) == {"gateway1": False}


def _arguments(data):
    return [f"{key}={json.dumps(value)}" for key, value in data.items()]
