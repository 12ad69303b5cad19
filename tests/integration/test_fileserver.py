"""What a master serves with the README's recipes, asked of its own file server."""

import json
import subprocess
import sys

import pytest
import readme
import yaml
from machines import Server, nic
from salts import QUIET, Minion, Salt, make_minion

CONFIGURATION = "/etc/salt/master.d/multihoming.conf"
URL = "https://git.example.com/multihoming.git"
FOLDERS = ("_modules", "_states", "_utils", "_wrapper")
RELEASE = "v1.2.3"
SLS = "multihoming/init.sls"
DELTA = {
    "tables": {"right": 402},
    "interfaces": {"eth1": {"table": "right", "gateway": "10.4.1.254"}},
}


@pytest.fixture
def repository(tmp_path, checkout):
    """A repository with the branch `main`; its release lacks the newest commit."""
    path = tmp_path / "srv/multihoming"
    path.mkdir(parents=True)

    def git(*words):
        own = ("-c", "user.name=lab", "-c", "user.email=lab@example.com")
        subprocess.run(["git", *own, *words], cwd=path, check=True, capture_output=True)

    git("init", "--initial-branch=main")
    for name in (*FOLDERS, "states", "roots"):
        subprocess.run(["cp", "-a", str(checkout / name), str(path)], check=True)
    git("add", "--all")
    git("commit", "--message=release")
    git("tag", RELEASE)
    (path / "states/newer.sls").write_text("{}\n")
    git("add", "--all")
    git("commit", "--message=newer")
    return path


def recipe(number, tmp_path, repository, base="main"):
    """Return one of the README's configurations of a master, as data."""
    text = readme.files(CONFIGURATION)[number].replace("/srv/", f"{tmp_path}/srv/")
    text = text.replace(URL, repository.as_uri()).replace("base: main", f"base: {base}")
    return yaml.safe_load(text)


# A process of its own, as Salt keeps what it has of a repository for the life of one.
ASK = """
import json, sys
import salt.config, salt.fileserver
server = salt.fileserver.Fileserver(salt.config.master_config(sys.argv[1]))
server.update()
found = [path for path in sys.argv[2:] if server.find_file(path, "base")["path"]]
print(json.dumps([server.file_list({"saltenv": "base"}), found]))
"""


def ask(tmp_path, configuration, *paths):
    """Return what a master with this configuration lists, and which of these files it gives out."""
    path = tmp_path / "master.conf"
    path.write_text(yaml.safe_dump({"root_dir": str(tmp_path / "master"), **configuration}))
    command = [sys.executable, "-c", ASK, str(path), *paths]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    listed, found = json.loads(done.stdout)
    return set(listed), set(found)


def code(repository):
    return {
        str(path.relative_to(repository))
        for folder in FOLDERS
        for path in (repository / folder).glob("*.py")
    }


def test_a_checkout_serves_what_salt_needs_and_nothing_else(tmp_path, repository):
    (repository / ".venv-3008/lib").mkdir(parents=True)
    (repository / ".venv-3008/lib/big.py").write_text("\n")
    wanted = code(repository) | {SLS}
    others = {".git/config", ".venv-3008/lib/big.py", "states/newer.sls", "../.git/config"}
    configuration = recipe(0, tmp_path, repository)
    assert ask(tmp_path, configuration, *wanted, *others) == (wanted, wanted)


def test_a_repository_serves_a_branch(tmp_path, repository):
    wanted = code(repository) | {SLS, "newer.sls"}
    listed, found = ask(tmp_path, recipe(1, tmp_path, repository), *wanted, ".git/config")
    assert wanted <= listed
    assert found == wanted


@pytest.fixture
def delta(tmp_path):
    server = Server("delta", 4, [nic("eth0", "4.0"), nic("eth1", "4.1")], tmp_path / "delta")
    yield server
    server.close()


@pytest.fixture
def salt_from_git(salt_factories, tmp_path, repository, delta):
    """``salt`` for one minion of a master that serves a repository."""
    overrides = {
        **recipe(1, tmp_path, repository, RELEASE),
        "interface": "0.0.0.0",
        "open_mode": True,
        **QUIET,
    }
    daemon = salt_factories.salt_master_daemon("git", overrides=overrides)
    with daemon.started():
        minion = make_minion(salt_factories, daemon, delta)
        salt = Salt(daemon)
        salt.pillar(delta=DELTA)
        salt.top(delta="delta")
        Minion.start(minion)
        yield salt
        Minion.terminate(minion)


def test_a_minion_is_set_up_from_a_release(salt_from_git, delta):
    assert f"`base: {RELEASE}`" in readme.TEXT
    listed = salt_from_git.run("cp.list_master", minion="delta")
    assert SLS in listed
    assert "newer.sls" not in listed
    assert salt_from_git.apply(minion="delta")["result"] is True
    assert delta.gateways(402) == {"10.4.1.254"}
