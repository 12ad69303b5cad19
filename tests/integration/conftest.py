"""A real master and two real minions, each in a network namespace with several NICs."""

import logging
import shutil
import sys
from pathlib import Path

import pytest
from machines import Server
from salts import (
    NICS,
    PILLAR,
    QUIET,
    ROOT,
    FreshPython,
    Minion,
    Salt,
    SaltCall,
    all_at_once,
    make_minion,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))


def pytest_unconfigure():
    # At its end Salt's logging writes to streams that pytest has closed, and says so at length.
    logging.raiseExceptions = False


@pytest.fixture(scope="session")
def salt_factories_config(tmp_path_factory):
    # Nothing that the daemons would still write at their end is looked at.
    return {"root_dir": tmp_path_factory.mktemp("salt"), "slow_stop": False, "start_timeout": 120}


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A copy of what the master serves, as somebody who installs the project has it."""
    path = tmp_path_factory.mktemp("checkout")
    for name in ("_modules", "_states", "_utils", "_wrapper", "states"):
        shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "roots", path / "roots", symlinks=True)
    return path


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    made = {}
    try:
        for number, (name, nics) in enumerate(NICS.items(), 1):
            made[name] = Server(name, number, nics, tmp_path_factory.mktemp("server") / name)
        yield made
    finally:
        for server in made.values():
            server.close()


@pytest.fixture(scope="session")
def master(salt_factories, checkout):
    overrides = {
        "interface": "0.0.0.0",
        "open_mode": True,
        "file_roots": {"base": [str(checkout), str(checkout / "states")]},
        **QUIET,
    }
    with salt_factories.salt_master_daemon("master", overrides=overrides).started() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def daemons(salt_factories, master, servers):
    made = [make_minion(salt_factories, master, server) for server in servers.values()]
    Salt(master).restore()
    try:
        all_at_once(Minion.start, made)
        yield made
    finally:
        all_at_once(Minion.terminate, made)


@pytest.fixture
def fresh_python(tmp_path):
    python = FreshPython(tmp_path / "python")
    assert python.netaddr() is None
    return python


@pytest.fixture
def salt_call(servers, tmp_path, checkout):
    """``salt-call --local`` on alpha, with its pillar; modules are not synced yet."""
    servers["alpha"].reset()
    command = SaltCall(servers["alpha"], tmp_path / "salt-call", checkout)
    command.pillar(PILLAR["alpha"])
    return command


@pytest.fixture
def salt(master, servers, daemons):
    """``salt``, with pillar, servers and top file as they are at the start."""
    assert len(daemons) == len(servers)
    for server in servers.values():
        server.reset()
    command = Salt(master)
    command.restore()
    return command


@pytest.fixture
def fresh(salt, daemons):
    """The same, and no minion has synced anything."""
    all_at_once(Minion.terminate, daemons)
    for daemon in daemons:
        daemon.forget()
    all_at_once(Minion.start, daemons)
    return salt


@pytest.fixture
def converged(salt):
    """The same, once the states are applied."""
    for name, result in salt.apply().items():
        assert result["result"] is True, f"{name}: {result['comment']}"
    return salt
