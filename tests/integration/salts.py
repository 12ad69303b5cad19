"""Salt as the tests drive it: minions on servers of the lab, the master's side, and salt-call."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attr
import pytest
from machines import nic
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
    fresh_python = attr.ib(default=None)

    @classmethod
    def write_config(cls, config):
        # They report to the tests' own process, which can't be reached from the server.
        for key in ("engines", "engines_dirs", "log_handlers_dirs"):
            config.pop(key, None)
        return super().write_config(config)

    def cmdline(self, *args):
        command = super().cmdline(*args)
        if self.fresh_python:
            command[:2] = self.fresh_python.script("salt-minion")
        return self.server.argv(*command)

    def forget(self):
        """Take away what the minion has synced and cached; only while it does not run."""
        for key in ("cachedir", "extension_modules"):
            shutil.rmtree(self.config[key], ignore_errors=True)


class FreshPython:
    """A Python that has Salt, but not netaddr until somebody installs it there.

    It looks for what it does not have in the second virtual environment beside this one.
    """

    def __init__(self, directory):
        self._base = Path(sys.prefix, "fresh")
        self.wheels = Path(sys.prefix, "wheels")
        if not (self._base / "bin/python").exists() or not self.wheels.exists():
            pytest.skip(f"there is no {self._base}, which make test sets up")
        self._python = Path(directory, "bin/python")
        base = [self._base / "bin/python", "-m", "venv", "--without-pip", directory]
        subprocess.run(base, check=True)
        where = "import sysconfig; print(sysconfig.get_path('purelib'))"
        shared = self._ask(where, self._base / "bin/python")
        Path(self._ask(where), "shared.pth").write_text(
            f"import site; site.addsitedir({shared!r})\n"
        )

    def _ask(self, code, python=None):
        command = [python or self._python, "-c", code]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def script(self, name):
        """Return the command that runs one of Salt's own scripts with this Python."""
        return [str(self._python), str(self._base / "bin" / name)]

    def environment(self):
        """Return the environment in which pip finds netaddr, and finds it only here."""
        own = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
        pip = {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        return {**own, **pip, "PYTHONDONTWRITEBYTECODE": "1"}

    def netaddr(self):
        """Return where this Python finds netaddr: None, own or elsewhere."""
        found = self._ask(
            "import importlib.util as u; s = u.find_spec('netaddr'); print(s and s.origin)"
        )
        if found == "None":
            return None
        return "own" if found.startswith(str(self._python.parents[1])) else "elsewhere"


class SaltCall:
    """``salt-call --local`` on a server, with a configuration and cache of its own."""

    def __init__(self, server, directory, checkout, fresh_python=None):
        self._server = server
        self._directory = Path(directory)
        self._script = [sys.executable, str(Path(sys.executable).with_name("salt-call"))]
        self._environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        if fresh_python:
            self._script = fresh_python.script("salt-call")
            self._environment = fresh_python.environment()
        configuration = {
            "id": "local",
            "file_client": "local",
            "file_roots": {"base": [str(checkout), str(checkout / "states")]},
            "pillar_roots": {"base": [str(self._directory / "pillar")]},
            "root_dir": str(self._directory / "root"),
            "cachedir": str(self._directory / "cache"),
            **QUIET,
        }
        self._write("conf/minion", configuration)
        self._write("pillar/top.sls", {"base": {"*": ["local"]}})

    def _write(self, name, data):
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data, indent=1) + "\n")

    def pillar(self, data):
        """Write the multihoming pillar."""
        self._write("pillar/local.sls", {"multihoming": data})

    def no_pillar(self):
        """Have a pillar without the key `multihoming`."""
        self._write("pillar/local.sls", {})

    def pillar_text(self, text):
        """Write the pillar as the text of an SLS file."""
        (self._directory / "pillar/local.sls").write_text(text)

    def raw(self, function, *args, **environment):
        """Run a function; return the ``CompletedProcess``, whose status tells failure."""
        options = ("--local", "--retcode-passthrough", "--log-level=warning")
        options += ("--out=json", "--out-indent=-1")
        conf = f"--config-dir={self._directory / 'conf'}"
        command = [*self._script, conf, *options, function, *args]
        return self._server.run(*command, env={**self._environment, **environment})

    def run(self, function, *args):
        """Run a function and return what it returns."""
        done = self.raw(function, *args)
        try:
            return json.loads(done.stdout)["local"]
        except (ValueError, KeyError) as err:
            raise AssertionError(f"{function}: {done.stdout}{done.stderr}") from err

    def states(self, *args):
        """Apply the states; return the results in full."""
        return self.run("state.apply", "multihoming", *args)


class Salt:
    """The master's side: pillar, top file and the command ``salt``."""

    def __init__(self, daemon):
        self._cli = daemon.salt_cli(timeout=TIMEOUT)
        self._pillar = Path(daemon.config["pillar_roots"]["base"][0])

    def restore(self):
        """Write pillar and top file as they are at the start."""
        self.pillar(**PILLAR)
        self.top(**{name: name for name in PILLAR})

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
        """Make the minions fetch their pillar, which only state runs do by themselves."""
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
            return own_result(done)
        return {name: own_result(states) for name, states in done.items()}


def own_result(states):
    """Return the result of multihoming's own state."""
    assert isinstance(states, dict), f"no states were run: {states}"
    assert MULTIHOMING in states, f"multihoming is not among the states: {states}"
    return states[MULTIHOMING]


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
