"""How a fresh host gets netaddr, with a package index and without."""

import json
import re

import pytest
import readme
from salts import PILLAR, SaltCall, own_result

# Pip asks the index that it is told of, and there is none unless a test has one.
NO_INDEX = {"PIP_FIND_LINKS": "", "PIP_NO_INDEX": "", "PIP_RETRIES": "0"}


@pytest.fixture
def salt_call(servers, tmp_path, checkout, fresh_python):
    """``salt-call --local`` with the fresh Python on alpha, which has no package index."""
    servers["alpha"].reset()
    command = SaltCall(servers["alpha"], tmp_path / "salt-call", checkout, fresh_python)
    command.pillar(PILLAR["alpha"])
    return command


@pytest.fixture
def wheel(checkout, fresh_python):
    """Have netaddr's wheel on the file server; return its name."""
    (source,) = fresh_python.wheels.glob("netaddr-*.whl")
    target = checkout / "states" / source.name
    target.write_bytes(source.read_bytes())
    yield source.name
    target.unlink()


@pytest.fixture
def mirror(tmp_path, fresh_python):
    """Return the address of a package index."""
    (wheel,) = fresh_python.wheels.glob("netaddr-*.whl")
    page = tmp_path / "simple/netaddr/index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="{wheel.as_uri()}">{wheel.name}</a>\n')
    return page.parents[1].as_uri()


def way(word):
    """Return what the README has for `multihoming_netaddr`, of its ways that with this word."""
    (block,) = readme.blocks("yaml", readme.section("netaddr"))
    (found,) = (line for line in block.splitlines() if word in line)
    return found.removeprefix("multihoming_netaddr: ").partition("  #")[0]


def apply(salt_call, netaddr, *args, function="state.apply"):
    pillar = f"pillar={{multihoming_netaddr: {netaddr}}}"
    done = salt_call.raw(function, "multihoming", *args, pillar, **NO_INDEX)
    assert "Traceback" not in done.stdout + done.stderr
    return json.loads(done.stdout)["local"]


def assert_installed(states, fresh_python):
    assert {state["result"] for state in states.values()} == {True}, states
    assert own_result(states)["changes"]
    assert fresh_python.netaddr() == "own"


def test_without_an_index_the_state_says_what_else_there_is(salt_call, servers, fresh_python):
    before = servers["alpha"].state()
    states = apply(salt_call, "{}")
    failed = own_result(states)
    assert failed["result"] is False
    for word in ("pip.install", ".whl", "index_url", "python3-netaddr", "multihoming_netaddr"):
        assert word in failed["comment"]
    assert fresh_python.netaddr() is None
    assert servers["alpha"].state() == before
    # The functions say the same.
    done = salt_call.raw("multihoming.plan")
    assert "multihoming_netaddr" in done.stdout + done.stderr


def test_a_wheel_comes_from_the_file_server(salt_call, wheel, fresh_python):
    netaddr = re.sub(r"netaddr-\S+\.whl", wheel, way("salt://"))
    states = apply(salt_call, netaddr)
    assert_installed(states, fresh_python)


def test_a_mirror_is_asked(salt_call, fresh_python, mirror):
    netaddr = re.sub(r"https://[^}\s]+", mirror, way("index_url"))
    assert_installed(apply(salt_call, netaddr), fresh_python)


def test_the_distributions_package_is_asked_for(salt_call):
    chunks = apply(salt_call, way("package"), function="state.show_low_sls")
    (chunk,) = (each for each in chunks if each["__id__"] == "multihoming-netaddr")
    assert (chunk["state"], chunk["fun"], chunk["name"]) == ("pkg", "installed", "python3-netaddr")
    assert chunk["reload_modules"] is True
