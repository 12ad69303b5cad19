"""A real master and two real minions, each in a network namespace with several NICs."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attr
import pytest
from machines import Server, nic
from saltfactories.daemons.minion import SaltMinion

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120
MULTIHOMING = "multihoming_|-multihoming_|-multihoming_|-managed"
# Both look far afield, and the lab has neither graphics nor name servers.
QUIET = {"enable_gpu_grains": False, "enable_fqdns_grains": False}

# Each NIC has a table of its own, as in the smallest pillar: the rest is the host's own.
PILLAR = {
    "alpha": {
        "tables": {"uplink0": 200, "uplink1": 201, "uplink2": 202},
        "interfaces": {
            f"eth{number}": {
                "table": f"uplink{number}",
                "gateway": [f"10.1.{number}.254", f"2001:db8:1:{number}::fe"],
            }
            for number in range(3)
        },
    },
    "beta": {
        "tables": {"front": 301, "back": 302},
        "interfaces": {
            "ens3": {"table": "front", "gateway": ["10.2.3.254", "2001:db8:2:3::fe"]},
            "ens4": {"table": "back", "gateway": ["10.2.4.254", "2001:db8:2:4::fe"]},
        },
    },
}
NICS = {
    "alpha": [nic(f"eth{number}", f"1.{number}") for number in range(3)],
    "beta": [nic("ens3", "2.3"), nic("ens4", "2.4")],
}


@attr.s(kw_only=True, slots=True)
class Minion(SaltMinion):
    """A minion that runs on a server of the lab, perhaps with a Python of its own."""

    server = attr.ib()
    interpreter = attr.ib(default=None)

    @classmethod
    def write_config(cls, config):
        # They report to the tests' own process, which can't be reached from the server.
        for key in ("engines", "engines_dirs", "log_handlers_dirs"):
            config.pop(key, None)
        return super().write_config(config)

    def cmdline(self, *args):
        command = super().cmdline(*args)
        if self.interpreter:
            script = Path(self.interpreter).with_name("salt-minion")
            command[:2] = [str(self.interpreter), str(script)]
        return self.server.argv(*command)

    def forget(self):
        """Take away what the minion has synced and cached; only while it does not run."""
        shutil.rmtree(self.config["cachedir"], ignore_errors=True)


class Salt:
    """The master's side: pillar, top file and the command ``salt``."""

    def __init__(self, daemon):
        self._cli = daemon.salt_cli(timeout=TIMEOUT)
        self._pillar = Path(daemon.config["pillar_roots"]["base"][0])

    def pillar(self, **minions):
        """Write the multihoming pillar of some minions; None is no pillar at all."""
        for minion, data in minions.items():
            self.pillar_file(minion, {} if data is None else {"multihoming": data})

    def pillar_file(self, name, data):
        """Write one file of the pillar."""
        (self._pillar / f"{name}.sls").write_text(json.dumps(data, indent=1) + "\n")

    def top(self, **minions):
        """Say which file of the pillar is whose."""
        top = {"base": {minion: [name] for minion, name in minions.items()}}
        (self._pillar / "top.sls").write_text(json.dumps(top, indent=1) + "\n")

    def refresh(self):
        """Make the minions fetch their pillar."""
        assert all(self.run("saltutil.refresh_pillar", wait=True).values())

    def raw(self, function, *args, minion="*", **kwargs):
        """Run ``salt`` and return all that it gave back."""
        return self._cli.run(function, *args, minion_tgt=minion, **kwargs)

    def run(self, function, *args, minion="*", **kwargs):
        """Run a function and return what the minion says, or minion -> that for several."""
        done = self.raw(function, *args, "--static", minion=minion, **kwargs)
        assert done.data is not None, f"{done.stdout}{done.stderr}"
        return done.data

    def states(self, *args, minion="*"):
        """Apply the states; return the results in full, by minion for several."""
        return self.run("state.apply", "multihoming", *args, minion=minion)

    def apply(self, *args, minion="*"):
        """Apply the states; return the result of multihoming's own, by minion for several."""
        done = self.states(*args, minion=minion)
        if minion != "*":
            return _own(done)
        return {name: _own(states) for name, states in done.items()}


def _own(states):
    assert isinstance(states, dict), f"no states were run: {states}"
    assert MULTIHOMING in states, f"multihoming is not among the states: {states}"
    return states[MULTIHOMING]


@pytest.fixture(scope="session")
def salt_factories_config(tmp_path_factory):
    return {"root_dir": tmp_path_factory.mktemp("salt")}


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A copy of what the master serves, as somebody who installs the project has it."""
    path = tmp_path_factory.mktemp("checkout")
    for name in ("_modules", "_states", "_utils", "states"):
        shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
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


def make_minion(salt_factories, master, server, **kwargs):
    """Return a minion of the master's on a server, not started yet."""
    return salt_factories.salt_minion_daemon(
        server.name,
        master=master,
        overrides={"master": server.master, **QUIET},
        factory_class=Minion,
        server=server,
        **kwargs,
    )


def all_at_once(function, items):
    """Call a function for each item, in threads, and wait for all."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(function, items))


@pytest.fixture(scope="session")
def daemons(salt_factories, master, servers):
    made = [make_minion(salt_factories, master, server) for server in servers.values()]
    try:
        all_at_once(Minion.start, made)
        yield made
    finally:
        all_at_once(Minion.terminate, made)


@pytest.fixture
def salt(master, servers, daemons):
    """``salt``, with pillar, servers and top file as they are at the start."""
    assert len(daemons) == len(servers)
    for server in servers.values():
        server.reset()
    command = Salt(master)
    command.pillar(**PILLAR)
    command.top(**{name: name for name in PILLAR})
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
