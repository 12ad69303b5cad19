"""All or nothing: whatever goes wrong, kernel and files are as before, and the error says why."""

import fcntl
import os
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import live
import pytest
from article import NOTHING, pillar, two
from hosts import entered
from minion import Minion

SCRIPTS = Path("/etc/sysconfig/network-scripts")
DROP_INS = Path("/etc/iproute2/rt_tables.d")
REAL = os.path.realpath(shutil.which("ip", path=f"{os.environ['PATH']}:/usr/sbin:/sbin"))
# Looking, and undoing, go to the real `ip`; the first batch of changes is tampered with.
WRAPPER = f"""\
#!/bin/sh
case "$*" in
*-json*|-V) exec {REAL} "$@" ;;
*{{family}}*-batch*) ;;
*) exec {REAL} "$@" ;;
esac
if ! mkdir "$(dirname "$0")/used" 2>/dev/null; then exec {REAL} "$@"; fi
{{before}}
sed '{{edit}}' | {REAL} "$@"
status=$?
{{after}}
exit $status
"""
OLD = """\
#!/bin/sh
case "$*" in
-V) echo 'ip utility, iproute2-ss161212' ;;
*) echo 'Option "{option}" is unknown, try "ip -help".' >&2; exit 255 ;;
esac
"""
SPECIAL = {"from": "10.1.0.0/16", "to": "10.20.0.0/16"}
# From, and to: every kind of step is on the way.
WAYS = {
    "install": (None, two(rules=[{"fwmark": 7, "priority": 9}])),
    "remove": (two(routes=[{"to": "10.9.0.0/16", "via": "10.0.0.3"}]), NOTHING),
    "edit": (
        two(rules=[{"fwmark": 7}, {"fwmark": 8}], routes=[{"to": "10.9.0.0/16"}], priority=98),
        {**two(rules=[{"to": "10.30.0.0/16"}], priority=99), "priority": 150},
    ),
    # `ip rule del` of the general rule takes the special one when that is all there is.
    "a general rule": (pillar(rules=[SPECIAL]), pillar(rules=[SPECIAL, {"to": "10.20.0.0/16"}])),
    "another id": (pillar(), {**pillar(), "tables": {"gateway1": 301}}),
}


@pytest.fixture
def tamper(tmp_path, monkeypatch):
    """Put an `ip` of another kind first in PATH, for the length of a block."""

    @contextmanager
    def run(script):
        folder = tmp_path / "bin"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "ip").write_text(script)
        (folder / "ip").chmod(0o755)
        with monkeypatch.context() as patch:
            patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
            yield folder

    return run


def held(host):
    """Return what the kernel holds; rules of one priority in no order."""
    return sorted(live.kernel(host))


def wrapper(edit="", before="", after="", family="-4"):
    return WRAPPER.format(edit=edit, before=before, after=after, family=family)


@pytest.fixture
def fails(minion, host):
    """Assert that a run fails and leaves everything as before; return what it says."""

    def run(whole):
        before, files = held(host), live.files()
        ret = minion.state("managed", "multihoming", whole)
        assert (ret["result"], ret["changes"]) == (False, {})
        assert same_files(live.files(), files)
        return ret["comment"], before

    return run


def same_files(one, other):
    """Compare files without their times: what was undone has been written again."""
    return {path: file[:5] for path, file in one.items()} == {
        path: file[:5] for path, file in other.items()
    }


@contextmanager
def read_only(path):
    """Make a folder or file read-only for root too."""
    subprocess.run(["mount", "--bind", path, path], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
        yield
    finally:
        subprocess.run(["umount", path], check=True)


# --- the kernel refuses -----------------------------------------------------------------------


FAILURES = {"refused by the kernel": "rule del priority 31999", "not understood": "route ad"}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("family", ["-4", "-6"])
@pytest.mark.parametrize("way", WAYS)
def test_whichever_line_of_a_batch_fails_all_is_undone(
    minion, host, fails, tamper, way, family, failure
):
    start, end = WAYS[way]
    if start:
        assert minion.state("managed", "multihoming", start)["result"] is True
    commands = minion.call("plan", pillar=end)["commands"]
    count = len([line for line in commands if line.startswith(f"ip {family} ")])
    for number in range(1, count + 1):
        edit = f"{number}s/.*/{FAILURES[failure]}/"
        with tamper(wrapper(edit, family=family)) as folder:
            comment, before = fails(end)
            assert (folder / "used").exists()
        assert held(host) == before
        assert "undoing failed" not in comment
    assert minion.state("managed", "multihoming", end)["result"] is True


def test_the_line_that_failed_is_named(minion, host, fails, tamper):
    commands = minion.call("plan", pillar=pillar())["commands"]
    assert commands[1].startswith("ip -4 ")
    with tamper(wrapper("2s/.*/rule del priority 31999/")):
        comment, _ = fails(pillar())
    assert commands[1] in comment
    assert "No such file or directory" in comment


def test_a_route_that_comes_in_between_is_an_error_and_goes_with_the_rest(fails, host, tamper):
    foreign = "-4 route add default via 192.168.1.9 dev eth1 table 201"
    with tamper(wrapper(before=f"{REAL} {foreign}")):
        comment, before = fails(pillar())
    assert "File exists" in comment
    assert held(host) == before


def test_a_change_that_does_not_hold_is_an_error(host, fails, tamper):
    undone = f"{REAL} -4 rule del from 192.168.1.220 table 201"
    with tamper(wrapper(after=undone)):
        comment, before = fails(pillar())
    assert "did not hold" in comment
    assert "from 192.168.1.220" in comment
    assert held(host) == before


def test_an_ip_that_was_killed_half_way_is_undone(host, fails, tamper):
    with tamper(wrapper("3,$d", after="kill -9 $$")):
        comment, before = fails(two())
    assert comment
    assert held(host) == before


def test_rules_that_hide_a_next_hop_do_not_keep_undo_from_its_work(minion, host, fails):
    hops = [{"via": "10.0.0.2"}, {"via": "192.168.2.2", "dev": "eth0"}]
    catch_all = [{"from": "all", "action": "unreachable", "priority": 21106}]
    start = two(routes=[{"to": "198.51.100.0/24", "nexthops": hops}])
    assert minion.state("managed", "multihoming", start)["result"] is True
    with read_only(SCRIPTS):
        comment, before = fails(two(rules=catch_all))
    assert "undoing failed" not in comment
    assert held(host) == before


# --- files that can't be written --------------------------------------------------------------


READ_ONLY = [
    (SCRIPTS, "install"),
    (SCRIPTS, "remove"),
    (SCRIPTS, "edit"),
    (DROP_INS, "install"),
    (DROP_INS, "remove"),
    (DROP_INS, "another id"),
]


@pytest.mark.parametrize(("folder", "way"), READ_ONLY)
def test_a_folder_that_cannot_be_written_is_an_error(minion, host, fails, way, folder):
    start, end = WAYS[way]
    if start:
        assert minion.state("managed", "multihoming", start)["result"] is True
    with read_only(folder):
        comment, before = fails(end)
    assert str(folder) in comment
    assert "Read-only file system" in comment
    assert held(host) == before


@pytest.mark.parametrize(("folder", "way"), READ_ONLY)
def test_a_dry_run_says_so_too_and_what_to_do(minion, host, way, folder):
    start, end = WAYS[way]
    if start:
        assert minion.state("managed", "multihoming", start)["result"] is True
    with read_only(folder):
        ret = minion.state("managed", "multihoming", end, test=True)
        assert minion.call("validate", pillar=end) == ret["comment"].splitlines()
    assert (ret["result"], ret["changes"]) == (False, {})
    assert f"{folder}/" in ret["comment"]
    assert "Read-only file system; remount it writable" in ret["comment"]


def test_a_single_file_that_cannot_be_written_takes_the_others_back(host, fails):
    path = SCRIPTS / "rule6-eth1"
    path.write_text("# mine\n")
    with read_only(path):
        comment, before = fails(pillar())
    assert str(path) in comment
    assert held(host) == before


def test_a_file_that_cannot_be_read_is_an_error_before_anything_is_touched(refused):
    (SCRIPTS / "rule-eth1").mkdir()
    assert str(SCRIPTS / "rule-eth1") in refused(pillar())


# --- no `ip`, or an old one -------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-json", "-N"])
@pytest.mark.parametrize("test", [True, False])
def test_an_old_ip_is_an_error_that_names_the_version_needed(minion, host, tamper, option, test):
    before = live.snapshot(host)[:2]
    with tamper(OLD.format(option=option)):
        ret = minion.state("managed", "multihoming", pillar(), test)
    assert (ret["result"], ret["changes"]) == (False, {})
    assert "iproute2 5.2" in ret["comment"]
    assert "iproute2-ss161212" in ret["comment"]
    assert live.snapshot(host)[:2] == before


@pytest.fixture
def without_ip(tmp_path):
    """Hide `ip`, for the length of a block."""
    blank = tmp_path / "blank"
    blank.write_text("")

    @contextmanager
    def run():
        subprocess.run(["mount", "--bind", blank, REAL], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", REAL], check=True)

    return run


@pytest.mark.parametrize("test", [True, False])
def test_without_ip_the_package_to_install_is_named(minion, host, without_ip, test):
    before = live.snapshot(host)[:2]
    with without_ip():
        ret = minion.state("managed", "multihoming", pillar(), test)
    assert (ret["result"], ret["changes"]) == (False, {})
    assert "iproute2" in ret["comment"]
    assert live.snapshot(host)[:2] == before


# --- several runs at once ---------------------------------------------------------------------


class Run(threading.Thread):
    """A run in a thread of its own, on the host."""

    def __init__(self, host, minion, whole):
        super().__init__()
        self.host, self.minion, self.whole = host, minion, whole
        self.ret = None

    def run(self):
        with entered(self.host):
            self.ret = self.minion.state("managed", "multihoming", self.whole)


def test_a_run_waits_for_the_one_before(host, minion):
    before = held(host)
    with live.LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = Run(host, minion, pillar())
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        assert held(host) == before
    waiting.join(30)
    assert waiting.ret["result"] is True
    assert waiting.ret["changes"]


def test_test_mode_does_not_wait(host, minion):
    with live.LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert minion.state("managed", "multihoming", pillar(), test=True)["result"] is None


def test_of_several_equal_runs_one_makes_the_changes(host, tmp_path):
    runs = [Run(host, Minion(tmp_path / str(number)), pillar()) for number in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert [run.ret["result"] for run in runs] == [True] * 3
    assert sorted(bool(run.ret["changes"]) for run in runs) == [False, False, True]


@pytest.mark.usefixtures("host")
def test_a_stale_lock_file_is_no_obstacle(converge):
    live.LOCK.write_text("left by a run that was killed")
    converge(pillar())
