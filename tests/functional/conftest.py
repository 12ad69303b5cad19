"""A minion with the real loader, on a host with a real kernel and files of its own."""

import itertools
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from network import Host, connect, entered

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import live
from minion import Minion

SCRIPTS = Path("/etc/sysconfig/network-scripts")
NICS = {
    "eth0": ("192.168.2.220/24", "2001:db8:2::220/64"),
    "eth1": ("192.168.1.220/24", "2001:db8:1::220/64"),
    "eth2": ("10.0.0.99/8", "2001:db8:a::99/64"),
}
RT_TABLES = """\
#
# reserved values
#
255\tlocal
254\tmain
253\tdefault
0\tunspec
#
# local
#
#1\tinr.ruhep
"""
SETUP = "".join(
    f"address add {address} {'nodad' if ':' in address else 'brd +'} dev {device}\n"
    for device, addresses in NICS.items()
    for address in addresses
)
SETUP += "route add default via 192.168.2.254\nroute add default via 2001:db8:2::254\n"
_numbers = itertools.count(1)


@contextmanager
def new_host():
    """Make the article's server, with a third NIC, and a router behind each of them."""
    number = f"{os.getpid()}-{next(_numbers)}"
    server, router = Host(f"server-{number}"), Host(f"router-{number}")
    try:
        for device in NICS:
            connect(server, device, router, device)
        server.run("ip", "-batch", "-", input=SETUP)
        server.wait_ready()
        yield server
    finally:
        server.close()
        router.close()


@pytest.fixture(scope="session")
def minion(tmp_path_factory):
    """The minion, with its modules synced."""
    return Minion(tmp_path_factory.mktemp("minion"))


@pytest.fixture(scope="session")
def configuration_of_the_lab(tmp_path_factory):
    """A copy of what the tests replace."""
    kept = tmp_path_factory.mktemp("etc")
    for path in live.CONFIGURATION:
        if path.is_dir():
            shutil.copytree(path, kept / path.name, symlinks=True)
    return kept


@pytest.fixture(autouse=True)
def configuration(configuration_of_the_lab):
    """The files of a host fresh from the installer, new for every test; the lab's own after it."""
    for path in live.CONFIGURATION:
        _remove(path)
    Path("/etc/iproute2/rt_tables.d").mkdir(parents=True)
    Path("/etc/iproute2/rt_tables").write_text(RT_TABLES)
    SCRIPTS.mkdir(parents=True)
    live.LOCK.unlink(missing_ok=True)
    yield
    for path in live.CONFIGURATION:
        _remove(path)
        if (configuration_of_the_lab / path.name).is_dir():
            shutil.copytree(configuration_of_the_lab / path.name, path, symlinks=True)


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@pytest.fixture
def host():
    """The article's server; the test runs inside its network namespace."""
    with new_host() as server, entered(server):
        yield server


@pytest.fixture
def twin():
    """A second host like the first, on which a test does by hand what it expects."""
    with new_host() as server:
        yield server


@pytest.fixture
def converge(minion, host):
    """Apply a pillar: foretold, then done, then found done. Return the changes."""

    def run(pillar, function="managed", name="multihoming", **kwargs):
        def state(test):
            return minion.state(function, name, pillar, test, **kwargs)

        before = live.snapshot(host)
        foretold = state(test=True)
        assert foretold["result"] is None, foretold["comment"]
        assert foretold["changes"]
        assert live.snapshot(host) == before
        done = state(test=False)
        assert done["result"] is True, done["comment"]
        assert done["changes"] == foretold["changes"]
        _no_changes(host, state)
        return done["changes"]

    return run


def _no_changes(host, state):
    """The second run finds nothing to do, says so and writes nothing."""
    before = live.snapshot(host)
    again = [state(test=True), state(test=False)]
    assert [(ret["result"], ret["changes"]) for ret in again] == [(True, {})] * 2
    assert live.snapshot(host)[:2] == before[:2]


@pytest.fixture
def converged(minion, host):
    """Assert that a pillar finds nothing to do."""

    def run(pillar, function="managed", name="multihoming", **kwargs):
        _no_changes(host, lambda test: minion.state(function, name, pillar, test, **kwargs))

    return run


@pytest.fixture
def refused(minion, host):
    """Assert that a pillar is refused, test mode or not, and changes nothing; return why."""

    def run(pillar, function="managed", name="multihoming", **kwargs):
        before = live.snapshot(host)[:2]
        said = []
        for test in (True, False):
            ret = minion.state(function, name, pillar, test, **kwargs)
            assert (ret["result"], ret["changes"]) == (False, {})
            assert live.snapshot(host)[:2] == before
            said.append(ret["comment"])
        assert said[0] == said[1]
        return said[0]

    return run
