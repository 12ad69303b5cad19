"""Whole hosts as data: what a run decides, does, finds nothing more of, and takes back.

Cases are in data/hosts; policies.yaml says how to add one.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import multihoming_backend as backend
import multihoming_checkpoint as checkpoint
import multihoming_config as config
import multihoming_edit as edit
import multihoming_export as export
import multihoming_plan as plan
import multihoming_work as work
import played_host
import profiles_backend
import pytest
import yaml
from multihoming_errors import HostError

FOLDER = Path(__file__).parent / "data/hosts"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())
]
GOOD = [case for case in CASES if "errors" not in case.values[0]]
BAD = [case for case in CASES if "errors" in case.values[0]]
NOTHING = {"commands": [], "files": {}, "interfaces": {}, "tables": {}, "notes": []}


@pytest.fixture(autouse=True)
def profiles(monkeypatch):
    """Let there be a second network manager, whose routes and rules have protocols."""
    monkeypatch.setitem(backend.BACKENDS, "profiles", profiles_backend.__name__)


def decide(host, case):
    wanted, errors = config.parse(case["pillar"])
    scope = frozenset(case["scope"]) if "scope" in case else None
    seen = host.see(wanted, scope, errors)
    return work.decide(wanted, seen, scope, errors)


def play(host, done):
    """Do all that a run does."""
    for each in done.before:
        host.write(each)
    for command in done.report["commands"]:
        host.do(command)
    for each in done.after:
        host.write(each)


def unrecorded(text):
    """Return a text of rt_tables without what says which interface a table serves.

    That stands in every one of them; test_work.py is about it.
    """
    text = text and re.sub(r" # interface: [^#]+(?= # multihoming)", "", text)
    return text and re.sub(r"# interface [0-9]+ \S+ \S+\n", "", text)


def outcome(done):
    """Return what the data say of a good case; empty values left out."""
    edits = [each._replace(after=unrecorded(each.after)) for each in done.edits]
    texts = {
        played_host.short(each.place): each.after
        for each in edits
        if each.after != unrecorded(each.before)
    }
    reported = {played_host.short(path) for path in done.report["files"]}
    found = {key: done.report[key] for key in ("commands", "interfaces", "tables", "notes")}
    found["files"] = {name: text for name, text in texts.items() if name in reported}
    found["records"] = {name: text for name, text in texts.items() if name not in reported}
    return {key: value for key, value in found.items() if value}


@pytest.mark.parametrize("case", GOOD)
def test_what_is_done(case):
    found, wanted = outcome(decide(played_host.host(case["host"]), case)), case["does"]
    if "interfaces" not in wanted and "commands" in wanted:
        found.pop("interfaces", None)
    assert found == wanted


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(case):
    with pytest.raises(HostError) as caught:
        decide(played_host.host(case["host"]), case)
    pairs = zip(caught.value.errors, case["errors"], strict=True)
    assert [said for said, begin in pairs if not said.startswith(begin)] == []


@pytest.mark.parametrize("case", GOOD)
def test_afterwards_there_is_nothing_to_do(case):
    host = played_host.host(case["host"])
    done = decide(host, case)
    play(host, done)
    held = work.compare(done.goal, host.see_again(done.goal, done.seen))
    again = decide(host, case)
    for later in (held, again):
        assert not later.pending
        notes = done.report["notes"]
        assert later.report == {**NOTHING, "notes": notes}


@pytest.mark.parametrize("case", GOOD)
def test_from_every_step_there_is_a_way_back(case):
    host = played_host.host(case["host"])
    done = decide(host, case)
    taken = json.loads(json.dumps(checkpoint.to_json(checkpoint.take(done))))
    back = checkpoint.from_json(taken)
    changed = host.copy()
    for command in (None, *done.report["commands"]):
        if command:
            changed.do(command)
        assert restored(changed, back).kernel == host.kernel
    changed = host.copy()
    play(changed, done)
    for each in reversed(back.edits):
        changed.write(edit.inverse(each))
    assert restored(changed, back) == host


def restored(host, back):
    """Return the host once its kernel is as a checkpoint has it."""
    host = host.copy()
    state = host.state(back.tables, bool(back.in_main))
    in_main = [route for route in state.defaults if route.key in back.in_main]
    before = checkpoint._before(back, in_main)
    for step in plan.steps(work.held(back.ours, state, in_main), before):
        host.do(f"ip -{step.family} {step.line}")
    return host


@pytest.mark.parametrize("case", GOOD)
def test_what_others_made_stays(case):
    host = played_host.host(case["host"])
    done = decide(host, case)
    before = host.state((), False)
    play(host, done)
    after = host.state((), False)
    for family in (4, 6):
        foreign = [rule for rule in before.rules[family] if rule not in done.goal.ours]
        assert [rule for rule in after.rules[family] if rule not in done.goal.ours] == foreign


@pytest.mark.parametrize("case", GOOD)
def test_an_export_has_nothing_to_do_or_tells_what_it_leaves_out(case):
    host = played_host.host(case["host"])
    play(host, decide(host, case))
    wanted, _ = config.parse(case["pillar"])
    found = export.export(host.see_all(wanted))
    pillar = {**found.pillar, "backend": wanted.backend}
    for dev, interface in wanted.interfaces.items():
        if interface.backend and dev in pillar["interfaces"]:
            pillar["interfaces"][dev]["backend"] = interface.backend
    told = [*found.left_out, *found.notes]
    done = decide(host, {**case, "pillar": pillar})
    assert told or not done.pending or (not done.steps and all(map(work.is_record, done.edits)))


def neighbours():
    """Yield pairs of cases on hosts with the same interfaces: what is there, what is wanted."""
    for place, one in enumerate(GOOD):
        links = one.values[0]["host"]["links"]
        alike = [each for each in GOOD if each.values[0]["host"]["links"] == links]
        others = [each for each in alike if each is not one]
        for other in (others * 2)[place % (len(others) or 1) :][:2]:
            yield pytest.param(one.values[0], other.values[0], id=f"{one.id} -> {other.id}")


@pytest.mark.parametrize(("case", "later"), list(neighbours()))
def test_from_one_pillar_to_another_and_back(case, later):
    host = played_host.host(case["host"])
    play(host, decide(host, case))
    before = host.copy()
    try:
        done = decide(host, later)
    except HostError:
        return
    back = checkpoint.take(done)
    play(host, done)
    assert not decide(host, later).pending
    for each in reversed(back.edits):
        host.write(edit.inverse(each))
    assert restored(host, back) == before
