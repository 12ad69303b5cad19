"""Bytes that are no UTF-8 are kept to the letter, and shown with escapes in all that is said."""

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import latin
import live
import multihoming_checkpoint as checkpoint
import multihoming_host as host_
import pytest
from article import ADDRESS, NOTHING, pillar
from hosts import Host
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from latin import FILES, PILLAR, SHOWN, TEXT, VALID, sendable
from salt.exceptions import CommandExecutionError

SCRIPTS = "/etc/sysconfig/network-scripts"
CALLS = {
    "list_tables": [()],
    "list_rules": [()],
    "list_routes": [(), ("201",), (SHOWN,), (VALID,)],
    "list_files": [()],
    "validate": [()],
    "desired": [()],
    "plan": [()],
    "apply": [()],
    "reply_path": [
        (ADDRESS, "198.51.100.7"),
        ("10.77.0.1", "10.77.0.2"),
        ("2001:db8:78::1", "4000::9"),
    ],
    "diagnose": [()],
    "diagram": [(), ("mermaid",), ("svg",)],
    "export": [()],
    "set_table": [("extra", 300)],
    "delete_table": [("extra",)],
    "version": [()],
}
LAST = f"{SCRIPTS}/rule-{VALID}".encode()
EVERY = [(name, *arguments) for name, calls in CALLS.items() for arguments in calls]
IP = os.path.realpath(shutil.which("ip", path=f"{os.environ['PATH']}:/usr/sbin:/sbin"))


@pytest.fixture
def router(host):
    """A router behind the interfaces with such names."""
    made = Host(f"{host.name}-router")
    yield made
    made.close()


@pytest.fixture
def old(host, router):
    """The article's server with such bytes wherever there can be any."""
    latin.furnish(host, router)
    return host


@pytest.fixture
def let_fail(tmp_path, monkeypatch):
    """Let the last line of the first batch fail that changes anything of a family."""

    def run(family):
        folder = tmp_path / TEXT
        folder.mkdir()
        script = (
            f'#!/bin/sh\ncase "$*" in *-json*|-V) exec {IP} "$@" ;; {family}*-batch*) ;;\n'
            f'*) exec {IP} "$@" ;; esac\n'
            f'if ! mkdir {folder}/used 2>/dev/null; then exec {IP} "$@"; fi\n'
            f"sed '$c rule del iif {TEXT} priority 31999' | {IP} \"$@\"\n"
        )
        (folder / "ip").write_bytes(os.fsencode(script))
        (folder / "ip").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return folder / "used"

    return run


def bytes_there():
    """Return path -> bytes of every file that may be written to."""
    return {path: file[0] for path, file in live.files().items() if file[0] is not None}


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=str)
@pytest.mark.usefixtures("host")
def test_the_bytes_of_a_file_are_kept(converge, path):
    latin.write(f"{SCRIPTS}/ifcfg-eth1".encode(), latin.IFCFG)
    latin.write(path, FILES[path])
    sendable(converge(PILLAR))
    assert latin.read(path).startswith(FILES[path].partition(b"\n")[0])
    sendable(converge(NOTHING))
    kept = latin.read(path)
    if path.endswith(b"sysconfig/network"):
        kept = kept.replace(b"GATEWAYDEV=eth1\nIPV6_DEFAULTDEV=eth1\n", b"")
    assert kept == FILES[path]


def test_all_of_them_are_kept_and_shown(converge, old):
    changes = converge(PILLAR)
    assert SHOWN in sendable(changes)
    assert f" # {SHOWN}, and {VALID}\n" in changes["files"][f"{SCRIPTS}/rule-eth1"]
    lines = {line for raw in FILES.values() for line in raw.split(b"\n")}
    assert lines - {line for raw in bytes_there().values() for line in raw.split(b"\n")} == set()
    assert [rule["iif"] for rule in live.rules(old, table=77) if "iif" in rule] == [TEXT]


def test_lines_of_ours_in_files_of_such_a_name_go(converge, old):
    """And the file with the rest of it stays where it is."""
    old.ip("rule", "add", "iif", TEXT, "table", "201", "priority", "6000")
    route = f"{SCRIPTS}/route-".encode() + latin.WORD
    latin.write(route, FILES[route] + b"10.5.0.0/16 dev caf\xe9 table 201 # caf\xe9\n")
    changes = converge(PILLAR)
    assert (
        f"-10.5.0.0/16 dev {SHOWN} table 201 # {SHOWN}"
        in changes["files"][f"{SCRIPTS}/route-{SHOWN}"]
    )
    assert f"iif {SHOWN} table gateway1 priority 6000" in sendable(changes)
    assert latin.read(route) == FILES[route]
    assert [rule for rule in live.rules(old, table=201) if "iif" in rule] == []


@pytest.mark.usefixtures("host")
def test_rt_tables_itself_is_edited_where_there_are_no_drop_ins(converge):
    shutil.rmtree("/etc/iproute2/rt_tables.d")
    path = b"/etc/iproute2/rt_tables"
    latin.write(path, FILES[path])
    sendable(converge(pillar()))
    assert latin.read(path) == FILES[path] + b"201 gateway1 # interface: eth1 # multihoming\n"
    converge(NOTHING)
    assert latin.read(path) == FILES[path]


# --- what is said ---------------------------------------------------------------------------------


def test_whatever_a_function_returns_can_be_sent(minion, old):
    functions = minion.modules()["sys.list_functions"]("multihoming")
    assert functions == sorted(f"multihoming.{name}" for name in CALLS)
    said = {}
    for _ in range(2):  # before, and after apply
        for name, calls in CALLS.items():
            returned = [minion.call(name, *arguments, pillar=PILLAR) for arguments in calls]
            said.setdefault(name, []).append(sendable(returned))
    for name in ("list_tables", "list_rules", "list_files", "plan", "apply", "diagnose", "export"):
        assert any(SHOWN in each for each in said[name]), name
    assert VALID in said["list_tables"][0]
    assert "\ufffd" not in str(said)
    assert old.ip_json("link", "show", TEXT)


@pytest.mark.usefixtures("old")
def test_pictures_and_findings_name_such_interfaces(minion):
    found = minion.call("diagnose")
    sendable(found)
    assert {SHOWN, VALID} <= {finding["interface"] for finding in found}
    silent = {each["interface"] for each in found if each["id"] == "gateway-silent"}
    assert silent & {SHOWN, VALID} == set()
    for format in ("text", "mermaid", "svg"):
        picture = minion.call("diagram", format)
        sendable(picture)
        shown = {"text": SHOWN, "mermaid": "caf#92;xe9", "svg": "caf\\"}[format]
        assert shown in picture
        assert VALID in picture
    for name in (SHOWN, VALID):
        path = minion.call("reply_path", "10.77.0.1", "10.77.0.2", interface=name)
        assert path["arrives"] == name


@pytest.mark.usefixtures("old")
def test_packets_from_such_an_interface_are_no_answer(minion, router):
    """They come in while gateways of others are waited for."""
    asking = "for i in {20..99}; do echo > /dev/udp/10.77.0.$i/9; sleep 0.02; done"
    child = router.popen("bash", "-c", asking)
    found = minion.call("diagnose")
    assert child.poll() is None
    assert "192.168.2.254" in " ".join(each["message"] for each in found)


@pytest.mark.usefixtures("old")
def test_a_remedy_for_such_a_file_can_be_pasted(minion):
    """The one for a line with a comment at its end, bytes and all."""
    path, file = f"{SCRIPTS}/rule-{SHOWN}", f"{SCRIPTS}/rule-".encode() + latin.WORD
    latin.write(file, b"from 10.9.0.2 table 77 # caf\xe9 it's\n")
    found = [each for each in minion.call("diagnose") if path in str(each["message"])]
    (remedy,) = (each["remedy"] for each in found if each["id"] == "broken-line")
    subprocess.run(["bash", "-c", remedy], check=True)
    left = [each for each in minion.call("diagnose") if path in str(each["message"])]
    assert "broken-line" not in {each["id"] for each in left}
    assert latin.read(file) == b"from 10.9.0.2 table 77\n"


STATES = {
    "managed": ("all of it", {}),
    "interface_present": ("eth1", {"table": "gateway1", "table_id": 201}),
    "interface_absent": ("eth1", {}),
    "table_present": ("extra", {"id": 300}),
    "table_absent": ("extra", {}),
}


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.usefixtures("old")
def test_whatever_a_state_returns_can_be_sent(minion, test):
    known = minion.modules()["sys.list_state_functions"]("multihoming")
    assert known == sorted(f"multihoming.{name}" for name in STATES)
    for function, (name, arguments) in STATES.items():
        done = minion.state(function, name, PILLAR, test, **arguments)
        assert done["result"] is not False, done["comment"]
        sendable(done)


ERRORS = {
    b"/etc/iproute2/rt_tables": b"254 main\ncaf\xe9 77\n",
    b"/etc/iproute2/rt_tables.d/th\xe9.conf": b"caf\xe9\n",
    b"/etc/sysconfig/network-scripts/ifcfg-eth1": b"GATEWAY=$(caf\xe9)\n",
    b"/etc/sysconfig/network-scripts/ifcfg-eth0": b"DEVICE=eth1\nGATEWAY='caf\xe9'\n",
}


@pytest.mark.parametrize("path", ERRORS, ids=str)
@pytest.mark.usefixtures("host")
def test_errors_show_them(minion, refused, path):
    latin.write(path, ERRORS[path])
    open_ = {"tables": {"gateway1": 201}, "interfaces": {"eth1": {"table": "gateway1"}}}
    said = refused(open_)
    with pytest.raises(CommandExecutionError) as error:
        minion.call("plan", pillar=open_)
    assert str(error.value) == said
    assert SHOWN in said
    assert "\\\\" not in said
    sendable(said)


def test_the_log_shows_them(minion, old, caplog):
    old.ip("rule", "add", "iif", TEXT, "table", "201", "priority", "6000")
    latin.write(b"/etc/sysconfig/network-scripts/rule-caf\xe9", b"iif caf\xe9 table 201\n")
    with (
        caplog.at_level(logging.DEBUG, "multihoming_kernel"),
        caplog.at_level(logging.INFO, "multihoming_files"),
    ):
        minion.call("apply", pillar=PILLAR)
    said = [record.getMessage() for record in caplog.records]
    sendable(said)
    assert f"removed {SCRIPTS}/rule-{SHOWN}" in said
    assert any(line.startswith(f"ip -4 rule del iif {SHOWN}") for line in said)


# --- back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_a_failure_brings_every_byte_back(minion, old, let_fail, family):
    old.ip("rule", "add", "iif", TEXT, "table", "201", "priority", "6000")
    before, files = sorted(live.kernel(old)), bytes_there()
    used = let_fail(family)
    done = minion.state("managed", "multihoming", PILLAR)
    assert used.exists()  # PATH has such bytes too
    assert (done["result"], done["changes"]) == (False, {})
    assert "everything is as it was before" in done["comment"]
    sendable(done)
    assert (sorted(live.kernel(old)), bytes_there()) == (before, files)


@pytest.mark.usefixtures("old")
def test_a_checkpoint_carries_every_byte():
    before = bytes_there()
    work = host_.look(PILLAR)
    way_back = checkpoint.take(work)
    written = json.dumps(checkpoint.to_json(way_back)).encode("ascii")
    checkpoint.write([*work.before, *work.after])
    assert bytes_there() != before
    assert checkpoint.from_json(json.loads(written)) == way_back
    assert checkpoint.roll_back(checkpoint.from_json(json.loads(written))) == ""
    assert bytes_there() == before


# --- any bytes ------------------------------------------------------------------------------------

LINES = st.binary(max_size=12).map(lambda raw: raw.replace(b"\n", b"").replace(b"\0", b""))
COMMENTS = st.fixed_dictionaries(dict.fromkeys(FILES, LINES))


def is_kept(path, comment, files):
    return b"#" + comment in files[os.fsdecode(path)].split(b"\n")


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(COMMENTS)
def test_any_bytes_of_a_comment_are_kept_and_shown(minion, old, comments):
    for path, comment in comments.items():
        latin.write(path, b"#" + comment + b"\n" + FILES[path])
    before = bytes_there()
    for name, (arguments, *_) in CALLS.items():
        sendable(minion.call(name, *arguments, pillar=PILLAR))
    plan = minion.call("plan", pillar=PILLAR)
    assert (plan["commands"], plan["files"]) == ([], {})
    assert all(is_kept(*each, bytes_there()) for each in comments.items())
    minion.call("apply", pillar=NOTHING)
    after = bytes_there()
    assert {path for path in before if before[path] != after[path]} <= {"/etc/sysconfig/network"}


# --- locales --------------------------------------------------------------------------------------

# What a run and the questions say in another process, in ASCII. Salt itself can't start where
# names of interfaces are no UTF-8, so it enters the host after that.
ASK = """\
import json, os, sys
from types import SimpleNamespace
_, folder, namespace, *sys.path[:0] = sys.argv
from hosts import entered
from latin import PILLAR
from minion import Minion
minion = Minion(folder)
with entered(SimpleNamespace(namespace=os.open(namespace, os.O_RDONLY))):
    print(json.dumps([minion.call(*each, pillar=PILLAR) for each in json.load(sys.stdin)]))
"""
LOCALES = {
    "POSIX": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "C": {"LC_ALL": "C"},
    "none": {},
    "ISO 8859-1": {"LC_ALL": "en_US.ISO-8859-1"},
}


@pytest.fixture(scope="session")
def latin_1(tmp_path_factory):
    """A folder with an ISO 8859-1 locale, empty where none can be made."""
    folder = tmp_path_factory.mktemp("locales")
    command = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", folder / "en_US.ISO-8859-1"]
    if shutil.which("localedef"):
        subprocess.run(command, check=False)
    return folder


@pytest.fixture
def asked(tmp_path, old, latin_1):
    """Return what functions say in a process with an environment of its own."""

    def run(environment):
        places = [Path(__file__).parents[1] / name for name in ("support", "lab")]
        arguments = [tmp_path / "minion", f"/run/netns/{old.name}", *places]
        done = subprocess.run(
            ["nsenter", "--net=/proc/1/ns/net", sys.executable, "-c", ASK, *arguments],
            input=json.dumps(EVERY),
            env={"PATH": os.environ["PATH"], "LOCPATH": str(latin_1), **environment},
            capture_output=True,
            check=False,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("name", LOCALES)
def test_every_locale_says_the_same(minion, old, asked, name):
    latin.write(LAST, FILES[LAST] + b"iif caf\xe9 table 201 priority 8\n")
    before, gateways = bytes_there(), ("192.168.2.254", "2001:db8:2::254")
    here = [minion.call(*each, pillar=PILLAR) for each in EVERY]
    held, files = live.kernel(old), bytes_there()
    minion.call("apply", pillar=NOTHING)
    old.default_route(*gateways)
    for path in {*bytes_there(), *before}:
        os.unlink(path) if path not in before else Path(path).write_bytes(before[path])
    assert asked(LOCALES[name]) == here
    assert (live.kernel(old), bytes_there()) == (held, files)
    assert latin.read(LAST) == FILES[LAST]
