"""Every operation on files, with every error, interruption and kill: nothing is lost.

An error or interruption leaves kernel and files as they were before. A kill leaves a host that the
next run brings where it should be, without anything of the run that was killed staying behind.
"""

import errno
import json
import os
import signal
from collections import Counter
from pathlib import Path

import live
import multihoming_files as files
import multihoming_host as host_
import pytest
from article import NOTHING, by_hand, pillar, two

DROP_IN = "/etc/iproute2/rt_tables.d/multihoming.conf"
SCRIPTS = Path("/etc/sysconfig/network-scripts")
# All that the room for files does to the outside.
OPERATIONS = (
    "chmod close fchmod fchown fsync mkdir open replace rmdir unlink utime makedirs"
).split()
KEEPING = pillar(keep_main_routes=True)
WAYS = {
    "install": (NOTHING, two(rules=[{"fwmark": 7, "priority": 9}])),
    "remove": (two(), NOTHING),
    "another id, and main no longer kept": (
        KEEPING,
        {**pillar(), "tables": {"gateway1": 301}},
    ),
    "another name": (
        pillar(),
        {
            "tables": {"other": 201},
            "interfaces": {"eth1": {**pillar()["interfaces"]["eth1"], "table": "other"}},
        },
    ),
    "another interface": (
        {**pillar(), "backend": "none"},
        {
            "tables": {"gateway1": 201},
            "interfaces": {"eth2": {"table": "gateway1", "gateway": "10.0.0.1"}},
            "backend": "none",
        },
    ),
}
FOREIGN = (
    "-4 route add 10.99.0.0/16 via 192.168.1.9 table 99",
    "-4 rule add from 10.99.0.1 table 99 priority 20000",
    "-4 rule add from 192.168.1.0/24 to 10.99.0.0/16 table main priority 19999",
)


class Outside:
    """A module of which one operation fails, or never returns."""

    def __init__(self, module, happens):
        self._module, self._happens = module, happens

    def __getattr__(self, name):
        real = getattr(self._module, name)
        if name not in OPERATIONS:
            return real

        def operation(*args, **kwargs):
            self._happens(f"before {name}")
            done = real(*args, **kwargs)
            self._happens(f"after {name}")
            return done

        return operation


def fails():
    raise OSError(errno.EIO, "Input/output error")


def interrupts():
    raise KeyboardInterrupt


def is_full():
    raise MemoryError


def kills():
    os.kill(os.getpid(), signal.SIGKILL)


def apply(wanted, number=None, fault=None):
    """Apply a pillar in a process of its own, with a fault at one of the operations.

    Return what became of it: ``done``, the error, or that it was killed; and how many there are.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        with os.fdopen(writer, "w") as answer:
            answer.write(json.dumps(_applied(wanted, number, fault)))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else ("killed", 0)


def _applied(wanted, number, fault):
    seen = []

    def happens(what):
        seen.append(what)
        if len(seen) - 1 == number:
            fault()

    files.os = Outside(os, happens)
    try:
        host_.apply(wanted)
    except BaseException as err:
        return f"{type(err).__name__}: {err}", len(seen)
    return "done", len(seen)


def held(host):
    found = {path: file[:5] for path, file in live.files().items()}
    if DROP_IN in found:  # in which order our own lines stand does not matter
        text, *rest = found[DROP_IN]
        found[DROP_IN] = (sorted(text.splitlines()), *rest)
    return Counter(live.kernel(host)), found


def differences(one, other):
    """Return what two states of a host differ in."""
    (rules, texts), (more, others) = one, other
    paths = {path for path in texts.keys() | others.keys() if texts.get(path) != others.get(path)}
    return {
        "gone": rules - more,
        "new": more - rules,
        **{path: (texts.get(path), others.get(path)) for path in paths},
    }


SAME = {"gone": Counter(), "new": Counter()}


def left_behind():
    return [str(path) for top in live.CONFIGURATION for path in top.rglob(".multihoming-*")]


def start(host, begin):
    """Bring the host to where a way begins, beside things of somebody else's."""
    by_hand(host, *FOREIGN)
    (SCRIPTS / "rule-eth1").write_text("# mine\n\nfrom 10.99.0.1 table 99 priority 20000")
    (SCRIPTS / "route-eth1").write_text("10.99.0.0/16 via 192.168.1.9 table 99\n\n")
    assert apply(begin)[0] == "done"


ERRORS = [(way, fault) for way in WAYS for fault in (fails, interrupts)]
ERRORS += [("install", is_full)]


@pytest.mark.parametrize(("way", "fault"), ERRORS)
def test_an_error_at_any_operation_leaves_all_as_it_was(host, way, fault):
    begin, end = WAYS[way]
    start(host, begin)
    before = held(host)
    outcome, count = apply(end)
    assert outcome == "done"
    assert apply(begin)[0] == "done"
    assert differences(before, held(host)) == SAME
    # The last operation gives the lock back: all is done by then.
    for number in range(count - 2):
        outcome, _ = apply(end, number, fault)
        if outcome == "done":  # what could not be done did not matter
            assert apply(end)[0] == "done"
            assert apply(begin)[0] == "done"
        assert differences(before, held(host)) == SAME, (number, outcome)
        assert left_behind() == []


@pytest.mark.parametrize("way", WAYS)
def test_a_kill_at_any_operation_is_mended_by_the_next_run(host, way):
    begin, end = WAYS[way]
    start(host, begin)
    before = held(host)
    outcome, count = apply(end)
    assert outcome == "done"
    after = held(host)
    assert apply(begin)[0] == "done"
    for number in range(count):
        assert apply(end, number, kills)[0] == "killed"
        assert apply(end)[0] == "done", number
        assert differences(after, held(host)) == SAME, number
        assert left_behind() == []
        assert apply(begin)[0] == "done"
        assert differences(before, held(host)) == SAME, number


@pytest.mark.parametrize("way", WAYS)
def test_after_a_kill_the_way_back_is_open_too(host, way):
    begin, end = WAYS[way]
    start(host, begin)
    before = held(host)
    outcome, count = apply(end)
    assert outcome == "done"
    assert apply(begin)[0] == "done"
    for number in range(count):
        assert apply(end, number, kills)[0] == "killed"
        assert apply(begin)[0] == "done"
        assert differences(before, held(host)) == SAME, number
        assert left_behind() == []
