"""``salt-call --local state.apply multihoming`` on one host."""

import ast
import json
import os

import latin
import pytest
from salts import MULTIHOMING, PILLAR, SaltCall, own_result

GOOD = {
    "tables": {"uplink1": 201},
    "interfaces": {"eth1": {"table": "uplink1", "gateway": "10.1.1.254"}},
}
# What people write when they mean something else.
BAD = {
    "null": None,
    "empty": {},
    "text": "eth1",
    "list": [{"eth1": {"table": "uplink1"}}],
    "interfaces are a list": {**GOOD, "interfaces": ["eth1"]},
    "an interface is null": {**GOOD, "interfaces": {"eth1": None}},
    "everything": {
        "tables": "uplink1",
        "interfaces": {
            "eth1": ["uplink1"],
            "eth2": {"table": "uplink1", "gateway": {"via": "10.1.1.254"}, "rules": [7]},
            "eth3": {"table": ["uplink1"], "routes": "default", "addresses": 10},
        },
        "sysctl": ["net.ipv4.ip_forward"],
        "priority": "high",
        "backend": ["none"],
    },
}
KEYS = ("multihoming", "tables", "interfaces", "sysctl", "priority", "backend")


@pytest.fixture(scope="module")
def with_modules(servers, checkout, tmp_path_factory):
    command = SaltCall(servers["alpha"], tmp_path_factory.mktemp("salt-call"), checkout)
    command.pillar(PILLAR["alpha"])
    command.run("saltutil.sync_all")
    return command


@pytest.fixture
def synced(with_modules, servers):
    """``salt-call`` on alpha, with its pillar and the modules, and nothing applied."""
    servers["alpha"].reset()
    with_modules.pillar(PILLAR["alpha"])
    return with_modules


def test_one_command_converges_the_host(salt_call, servers):
    done = salt_call.raw("state.apply", "multihoming")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for device, address in servers["alpha"].addresses():
        assert servers["alpha"].ask(address) == (1, {device}, {device})

    before = servers["alpha"].state()
    states = salt_call.states()
    assert set(states) == {MULTIHOMING}
    assert (own_result(states)["result"], own_result(states)["changes"]) == (True, {})
    assert servers["alpha"].state() == before


def test_with_more_to_read_it_tells_what_it_does(synced):
    synced.pillar(GOOD)
    silent = synced.raw("state.apply", "multihoming", "test=True", "-l", "info")
    assert "rule add" not in silent.stderr
    told = synced.raw("state.apply", "multihoming", "-l", "info")
    assert "ip -4 rule add from" in told.stderr
    assert "wrote /etc/iproute2/rt_tables.d/multihoming.conf" in told.stderr
    again = synced.raw("state.apply", "multihoming", "-l", "debug")
    assert "running: ip " in again.stderr
    assert "rule add" not in again.stderr


def test_kernel_settings_are_kept(synced, servers):
    alpha = servers["alpha"]
    synced.pillar({**GOOD, "sysctl": {"net.ipv4.ip_forward": 1}})
    predicted = own_result(synced.states("test=True"))
    assert predicted["result"] is None
    assert alpha.host.sysctl("net.ipv4.ip_forward") == "0"
    done = own_result(synced.states())
    assert (done["result"], done["changes"]) == (True, predicted["changes"]), done["comment"]
    assert alpha.host.sysctl("net.ipv4.ip_forward") == "1"
    assert any(b"net.ipv4.ip_forward = 1" in text for text in alpha.files().values())
    again = own_result(synced.states())
    assert (again["result"], again["changes"]) == (True, {})


def test_the_pillar_may_come_with_the_command(synced, servers):
    synced.pillar({"tables": {}, "interfaces": {}})
    states = synced.states(f"pillar={json.dumps({'multihoming': GOOD})}")
    assert own_result(states)["result"] is True
    assert servers["alpha"].rules() == [
        (20000, "10.1.1.10", 201),
        (20000, "2001:db8:1:1::10", 201),
    ]


def test_functions_take_the_pillars_keys_as_arguments(synced, servers):
    before = servers["alpha"].state()
    arguments = [f"{key}={json.dumps(value)}" for key, value in GOOD.items()]
    plan = synced.run("multihoming.plan", *arguments)
    assert set(plan["interfaces"]) == {"eth1"}
    assert servers["alpha"].state() == before
    plan = synced.run("multihoming.plan")
    assert set(plan["interfaces"]) == set(PILLAR["alpha"]["interfaces"])


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_bad_pillar_is_an_error_in_words(synced, servers, data):
    before = servers["alpha"].state()
    synced.pillar(data)
    done = synced.raw("state.apply", "multihoming")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    result = own_result(json.loads(done.stdout)["local"])
    assert (result["result"], result["changes"]) == (False, {})
    for line in result["comment"].splitlines():
        assert line.startswith(KEYS), line
    assert servers["alpha"].state() == before


# Salt 3008 has lists and dictionaries of its own, which don't show what is in them.
AS_WRITTEN = {
    "tables: is a list; write names with their ids, like `gateway1: 201`, or {} for none",
    "interfaces.eth1.table: ['uplink1'] is not a name; write the name of a table declared in "
    "`tables`",
    "interfaces.eth1.onlink: [{'a': [...]}] is not a boolean; write true or false",
    "interfaces.eth1.uplink: unknown key; did you mean `onlink`?",
    "backend: {'b': 'none'} is not known; write one of auto, network-scripts, none",
}
WRONG = {
    "tables": [{"uplink1": 201}],
    "interfaces": {
        "eth1": {"table": ["uplink1"], "onlink": [{"a": [{"b": 1}]}], "uplink": {"a": 1}}
    },
    "backend": {"b": "none"},
}
IN_PYTHON = f"""#!py
from collections import OrderedDict

def ordered(value):
    if isinstance(value, dict):
        return OrderedDict((key, ordered(each)) for key, each in value.items())
    return tuple(map(ordered, value)) if isinstance(value, list) else value

def run():
    return OrderedDict(multihoming=ordered({WRONG!r}))
"""


@pytest.mark.parametrize(
    "text", [json.dumps({"multihoming": WRONG}), IN_PYTHON], ids=["yaml", "py"]
)
def test_messages_say_what_was_written(synced, text):
    synced.pillar_text(text)
    for said in (synced.run("multihoming.validate"), own_result(synced.states())["comment"]):
        assert {*(said.splitlines() if isinstance(said, str) else said)} == AS_WRITTEN
    argument = f"pillar={json.dumps({'multihoming': WRONG})}"
    said = own_result(synced.states("test=True", argument))["comment"]
    assert {*said.splitlines()} == AS_WRITTEN


def test_functions_name_what_is_wrong_without_a_traceback(synced):
    synced.pillar(None)
    done = synced.raw("multihoming.validate")
    messages = json.loads(done.stdout)["local"]
    assert (done.returncode, len(messages)) == (2, 1)
    for function in ("plan", "apply", "desired"):
        done = synced.raw(f"multihoming.{function}")
        assert done.returncode != 0
        assert "Traceback" not in done.stdout + done.stderr
        assert messages[0] in done.stdout + done.stderr


def test_a_good_pillar_is_valid_in_words_and_by_the_exit_status(synced):
    done = synced.raw("multihoming.validate", "words=true")
    assert (done.returncode, json.loads(done.stdout)["local"][:7]) == (0, "valid: ")
    assert synced.run("multihoming.validate") == []
    synced.pillar({"tables": {}})
    done = synced.raw("multihoming.validate", "words=true")
    assert (done.returncode, "interfaces: is missing" in done.stdout) == (2, True)


def test_the_exit_status_follows_the_worst_finding(synced, servers):
    host = servers["alpha"].host

    def status():
        done = synced.raw("multihoming.diagnose")
        assert "Traceback" not in done.stdout + done.stderr
        return done.returncode, {found["id"] for found in json.loads(done.stdout)["local"]}

    synced.pillar({**PILLAR["alpha"], "backend": "none"})
    synced.raw("multihoming.apply")
    # Replies to the network over which the tests reach the server.
    host.ip("rule", "add", "to", "10.255.0.0/16", "table", "main", "priority", "100")
    # That one has no router: an info.
    assert status() == (0, {"gateway-unknown"})
    host.ip("rule", "add", "from", "10.1.1.10", "table", "201", "priority", "20001")
    assert status() == (1, {"duplicate-rule", "gateway-unknown"})
    host.ip("rule", "delete", "priority", "0")
    try:
        code, found = status()
    finally:
        host.ip("rule", "add", "from", "all", "table", "local", "priority", "0")
    assert (code, "kernel-rules" in found) == (2, True)


# --- bytes that are no UTF-8, in a locale that knows ASCII only ---------------------------------

POSIX = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def old(synced, servers):
    """``salt-call`` on alpha, whose files have such bytes; and a way to read these."""
    etc = os.fsencode(servers["alpha"].etc)
    files = {path: raw for path, raw in latin.FILES.items() if b"/ifcfg-" not in path}
    own = b"/etc/sysconfig/network-scripts/ifcfg-eth1"
    files[own] = latin.COMMENT + latin.read(own, etc)
    for path, raw in files.items():
        latin.write(path, raw, etc)
    return synced, lambda: {path: latin.read(path, etc) for path in files}


def printed(done):
    """Return what salt-call printed; bytes as Python writes them where there is more than ASCII.

    That is Salt's own, print_cli() in salt/utils/stringutils.py.
    """
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    assert (done.stdout + done.stderr).isascii()
    is_bytes = done.stdout.startswith(("b'", 'b"'))
    return ast.literal_eval(done.stdout).decode() if is_bytes else done.stdout


@pytest.mark.parametrize("out", ["json", "yaml", "nested", "highstate"])
def test_the_report_is_printed_without_a_locale(old, out):
    salt_call, files = old
    before = files()
    done = salt_call.raw("state.apply", "multihoming", "test=True", f"--out={out}", **POSIX)
    said = printed(done)
    assert done.returncode == 0
    # JSON and YAML double the backslash.
    assert latin.SHOWN in said.replace("\\\\", "\\")
    assert latin.VALID in said
    assert files() == before


def test_a_run_without_a_locale_does_what_any_other_does(old):
    salt_call, files = old
    before = files()
    foretold = own_result(salt_call.states("test=True"))
    for changes in (foretold["changes"], {}):
        done = salt_call.raw("state.apply", "multihoming", "-l", "info", **POSIX)
        result = own_result(json.loads(printed(done))["local"])
        assert (done.returncode, result["result"], result["changes"]) == (0, True, changes)
    lines = {line for raw in files().values() for line in raw.split(b"\n")}
    assert {line for raw in before.values() for line in raw.split(b"\n")} <= lines


def test_an_error_is_printed_without_a_locale(old, servers):
    salt_call, files = old
    latin.write(b"/etc/iproute2/rt_tables", b"caf\xe9 77\n", os.fsencode(servers["alpha"].etc))
    before = files()
    done = salt_call.raw("state.apply", "multihoming", **POSIX)
    assert done.returncode != 0
    result = own_result(json.loads(printed(done))["local"])
    assert (result["result"], result["changes"]) == (False, {})
    assert f"line 1: '{latin.SHOWN} 77' can't be read" in result["comment"]
    done = salt_call.raw("multihoming.plan", **POSIX)
    assert done.returncode != 0
    assert latin.SHOWN in printed(done) + done.stderr
    assert files() == before
