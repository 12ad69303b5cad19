"""The README's recipes, played as they are printed."""

import json
import os
import re

import pytest
import readme
from salts import PILLAR, QUIET

MINION = "/etc/salt/minion.d/multihoming.conf"


class Shell:
    """A shell on a server whose ``salt-call`` is that of a fresh Python; /srv is a folder here."""

    def __init__(self, server, directory, checkout, fresh_python):
        self._server = server
        self._srv = directory / "srv"
        (self._srv / "salt").mkdir(parents=True)
        (self._srv / "multihoming").symlink_to(checkout)
        program = directory / "bin/salt-call"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {" ".join(fresh_python.script("salt-call"))} "$@"\n')
        program.chmod(0o755)
        own = fresh_python.environment()
        self._environment = {**own, "PATH": f"{program.parent}:{os.environ['PATH']}"}
        # What a test machine needs beside the recipe.
        salt = {"id": "web1", "root_dir": str(directory / "root"), "cachedir": "var/cache", **QUIET}
        pillar = {"pillar_roots": {"base": ["/srv/pillar"]}}
        self.write("/etc/salt/minion", json.dumps({**pillar, **salt}))

    def write(self, path, text):
        """Write a file of the server, or one below /srv."""
        _, top, rest = path.split("/", 2)
        target = {"etc": self._server.etc, "srv": self._srv}[top] / rest
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(re.sub(r"(?<![\w.-])/srv/", f"{self._srv}/", text))

    def copy(self, path):
        """Write a file as the README has it."""
        (text,) = readme.files(path)
        self.write(path, text)

    def run(self, line):
        """Run a line, which must succeed, and return what it prints."""
        done = self._server.run("sh", "-c", line, env=self._environment)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def shell(servers, tmp_path, checkout, fresh_python):
    server = servers["alpha"]
    server.reset()
    yield Shell(server, tmp_path, checkout, fresh_python)
    server.forget("salt")


def test_a_fresh_host_without_a_master(shell, servers, fresh_python):
    alpha = servers["alpha"]
    before = alpha.state()
    shell.copy(MINION)
    # Without a pillar it can be asked.
    lines = readme.commands("Installing")
    assert lines == ["salt-call saltutil.sync_all", "salt-call pip.install netaddr"]
    for line in lines:
        shell.run(line)
    assert fresh_python.netaddr() == "own"
    assert "gateway-unknown" in shell.run("salt-call multihoming.diagnose")
    assert alpha.state() == before
    # And then it is set up.
    shell.copy("/srv/pillar/top.sls")
    shell.write("/srv/pillar/multihoming.sls", json.dumps({"multihoming": PILLAR["alpha"]}))
    assert "rule add" in shell.run("salt-call multihoming.plan")
    assert alpha.state() == before
    (line,) = (line for line in readme.commands("multihoming for Salt") if "salt-call" in line)
    shell.run(line)
    assert alpha.gateways(201) == {"10.1.1.254", "2001:db8:1:1::fe"}
