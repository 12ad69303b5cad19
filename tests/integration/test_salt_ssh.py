"""salt-ssh on a host that has an SSH server and Python, and nothing of Salt."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import readme
import salt.version
from machines import Server, nic
from salts import QUIET, own_result

pytestmark = [
    pytest.mark.skipif(
        salt.version.__saltstack_version__.major < 3008, reason="it leaves shared code behind"
    ),
    pytest.mark.skipif(not shutil.which("dropbear"), reason="dropbear is not installed"),
    pytest.mark.skipif(
        Path("/proc/self/setgroups").read_text() == "deny\n",
        reason="an SSH server changes its groups, which needs root",
    ),
]

PILLAR = {
    "tables": {"left": 501, "right": 502},
    "interfaces": {
        "eth0": {"table": "left", "gateway": ["10.5.0.254", "2001:db8:5::fe"]},
        "eth1": {"table": "right", "gateway": ["10.5.1.254", "2001:db8:5:1::fe"]},
    },
}
MASTER = "/etc/salt/master.d/multihoming.conf"
SSH = "/etc/salt/master.d/multihoming-ssh.conf"
ADDRESS = "10.255.5.2"


class SshServer:
    """Dropbear on a server, where root's home is a folder of the test."""

    def __init__(self, server, directory):
        directory.mkdir()
        self.home = directory / "root"
        self.key = directory / "key"
        keygen = ["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", self.key]
        subprocess.run(keygen, check=True)
        (self.home / ".ssh").mkdir(parents=True)
        shutil.copy(f"{self.key}.pub", self.home / ".ssh/authorized_keys")
        self._owned_by_root(server)
        host_key = directory / "host_key"
        subprocess.run(
            ["dropbearkey", "-t", "ed25519", "-f", host_key], check=True, capture_output=True
        )
        command = ["dropbear", "-F", "-E", "-s", "-p", f"{ADDRESS}:22", "-r", str(host_key)]
        self._log = (directory / "log").open("w")
        self._process = subprocess.Popen(server.argv(*command), stderr=self._log)

    def _owned_by_root(self, server):
        passwd = server.etc / "passwd"
        lines = [line.split(":") for line in passwd.read_text().splitlines()]
        for line in lines:
            if line[0] == "root":
                line[5] = str(self.home)
                line[6] = "/bin/sh"
        passwd.write_text("".join(":".join(line) + "\n" for line in lines))

    def close(self):
        self._process.terminate()
        self._process.wait()
        self._log.close()


class SaltSsh:
    """``salt-ssh`` with a configuration of its own, and one host in its roster."""

    def __init__(self, directory, checkout, key):
        self._directory = directory
        self._conf = directory / "conf"
        (self._conf / "master.d").mkdir(parents=True)
        for name in ("pillar", "srv"):
            (directory / name).mkdir()
        (directory / "srv/multihoming").symlink_to(checkout)
        master = {
            "root_dir": str(directory / "root"),
            "cachedir": str(directory / "cache"),
            "pillar_roots": {"base": [str(directory / "pillar")]},
            "ssh_minion_opts": QUIET,
        }
        roster = {
            "host": ADDRESS,
            "user": "root",
            "priv": str(key),
            "thin_dir": str(directory / "thin"),
            "ssh_options": ["UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no"],
            # Dropbear takes commands of 9,000 characters at most, and that has them sent as a file.
            "tty": True,
        }
        self._write("conf/master", master)
        self._write("conf/roster", {"web1": roster})
        for number, path in enumerate((MASTER, SSH)):
            text = readme.files(path)[0].replace("/srv/", f"{directory}/srv/")
            (self._conf / f"master.d/{number}.conf").write_text(text)
        self._write("pillar/top.sls", {"base": {"*": ["multihoming"]}})
        self.pillar(PILLAR)

    def _write(self, name, data):
        (self._directory / name).write_text(json.dumps(data) + "\n")

    def pillar(self, data):
        """Write the multihoming pillar."""
        self._write("pillar/multihoming.sls", {"multihoming": data})

    def run(self, function, *args):
        """Run a function and return what it returns."""
        program = Path(sys.executable).with_name("salt-ssh")
        options = (f"--config-dir={self._conf}", "--out=json", "--static")
        command = [sys.executable, program, *options, "web1", function, *args]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
        try:
            return json.loads(done.stdout)["web1"]
        except (ValueError, KeyError) as err:
            raise AssertionError(f"{function}: {done.stdout}{done.stderr}") from err


@pytest.fixture(scope="module")
def epsilon(tmp_path_factory):
    directory = tmp_path_factory.mktemp("epsilon")
    nics = [nic("eth0", "5.0"), nic("eth1", "5.1")]
    server = Server("epsilon", 5, nics, directory / "epsilon")
    yield server
    server.close()


@pytest.fixture(scope="module")
def salt_ssh(epsilon, checkout, tmp_path_factory):
    directory = tmp_path_factory.mktemp("ssh")
    daemon = SshServer(epsilon, directory / "server")
    yield SaltSsh(directory / "salt", checkout, daemon.key)
    daemon.close()


def test_a_host_without_salt_is_asked_and_set_up(salt_ssh, epsilon):
    before = epsilon.state()
    assert salt_ssh.run("multihoming.validate") == []
    plan = salt_ssh.run("multihoming.plan")
    assert set(plan["interfaces"]) == {"eth0", "eth1"}
    predicted = own_result(salt_ssh.run("state.apply", "multihoming", "test=True"))
    assert (predicted["result"], epsilon.state()) == (None, before)
    done = own_result(salt_ssh.run("state.apply", "multihoming"))
    assert (done["result"], done["changes"]) == (True, predicted["changes"])
    assert epsilon.gateways(502) == {"10.5.1.254", "2001:db8:5:1::fe"}
    again = own_result(salt_ssh.run("state.apply", "multihoming"))
    assert (again["result"], again["changes"]) == (True, {})


def test_functions_see_the_pillar_and_what_is_given_instead(salt_ssh):
    salt_ssh.pillar({**PILLAR, "priority": 99999})
    (message,) = salt_ssh.run("multihoming.validate")
    assert message.startswith("priority: ")
    assert salt_ssh.run("multihoming.validate", "priority=20000") == []
    salt_ssh.pillar(None)
    assert "multihoming: None" in str(salt_ssh.run("multihoming.plan"))
