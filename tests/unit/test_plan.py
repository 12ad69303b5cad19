"""Steps from current to desired, run in a played kernel: they arrive, and can be taken back."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import permutations
from pathlib import Path

import multihoming_iproute2 as iproute2
import multihoming_model as model
import multihoming_plan as plan
import multihoming_rules as rules
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_double import RefusedError, Routes, Rules
from multihoming_model import Route, Rule
from played_host import route_of, rule_of

CASES = yaml.safe_load((Path(__file__).parent / "data/plans.yaml").read_text())


# --- what is expected, word for word ------------------------------------------------------------


def items(lines):
    """Return (routes, rules) of ``-4 route ...`` and ``-4 rule ...`` lines."""
    found = {"route": [], "rule": []}
    for line in lines:
        family, kind, *words = line.split()
        read = iproute2.route_from_words if kind == "route" else iproute2.rule_from_words
        found[kind].append(read(words, int(family[1:]), {}))
    return found["route"], found["rule"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_steps(case):
    steps = plan.steps(items(case["current"]), items(case["desired"]))
    assert [f"-{step.family} {step.line}" for step in steps] == case["steps"]


# --- rules ----------------------------------------------------------------------------------------

LOOSE = {
    "family": st.just(4),
    "src": st.sampled_from([None, "10.0.0.1", "10.0.0.0/8"]),
    "to": st.sampled_from([None, None, "10.1.0.0/16"]),
    "tos": st.sampled_from([0, 0, 0, 16]),
}
# Many rules that differ only in what the kernel compares loosely: these get in each other's way.
ALIKE = st.builds(
    partial(Rule),
    **LOOSE,
    priority=st.just(5),
    table=st.just(7),
    protocol=st.sampled_from([0, 0, 0, 4]),
    invert=st.sampled_from([False, False, False, True]),
)
VARIED = st.builds(
    partial(Rule),
    **LOOSE,
    priority=st.sampled_from([5, 6]),
    table=st.sampled_from([7, 7, 8]),
    iif=st.sampled_from([None, None, None, "eth0"]),
    fwmark=st.sampled_from([None, None, None, "0x1", "0/0x1", "0x1/0x1"]),
    ipproto=st.sampled_from([None, None, None, 6]),
    dport=st.sampled_from([None, None, None, "80"]),
    invert=st.sampled_from([False, False, False, True]),
    suppress_prefixlength=st.sampled_from([None, None, None, 0]),
    action=st.sampled_from(["lookup"] * 4 + ["blackhole", "goto 100", "goto 101", "nop"]),
    protocol=st.sampled_from([0, 0, 0, 4]),
)
# What has no field: compared exactly, and loosely.
OTHER = st.builds(
    partial(Rule),
    **LOOSE,
    priority=st.just(5),
    table=st.just(7),
    other=st.sampled_from(
        [(), (("realms", "3"),), (("tun_id", "7"),), (("realms", "3"), ("tun_id", "7"))]
    ),
)
RULES = ALIKE | VARIED
MORE_RULES = RULES | OTHER


def line(verb, rule):
    return " ".join(["rule", verb, *iproute2.rule_words(rule)])


def taken(wanted):
    """Return those of the rules that a kernel takes, one after the other."""
    kernel, live = Rules(), []
    for rule in wanted:
        try:
            kernel.run(line("add", rule))
        except RefusedError:
            continue
        live.append(rule)
    return sorted(live, key=lambda rule: rule.priority)


CURRENT = (st.lists(RULES, max_size=7) | st.lists(MORE_RULES, max_size=7)).map(taken)
# Whatever the pillar's checks let through can be loaded in one order at least.
DESIRED = st.lists(RULES.map(lambda rule: rule._replace(protocol=0)), max_size=7).map(
    lambda wanted: taken(rules.loading_order(wanted))
)
NEARLY = st.tuples(CURRENT, DESIRED).flatmap(
    lambda pair: st.tuples(
        st.just(pair[0]),
        st.permutations([*pair[1], *(rule._replace(protocol=0) for rule in pair[0])]).map(
            lambda wanted: taken(rules.loading_order(wanted))
        ),
    )
)
PAIRS = st.tuples(CURRENT, DESIRED) | NEARLY


def kernel_with(current):
    return Rules(line("add", rule) for rule in current)


def states(kernel, steps):
    """Yield the kernel before the first step and after each."""
    kernel = kernel.copy()
    yield kernel.copy()
    for step in steps:
        kernel.run(step.line)
        yield kernel.copy()


def go_back(kernel, routes=(), rules=()):
    """Plan the way back from what the kernel holds, and go it."""
    if isinstance(kernel, Routes):
        now = ([route_of(live) for live in kernel.live], ())
    else:
        now = ((), [rule_of(live) for live in kernel.live])
    for step in plan.steps(now, (routes, rules)):
        kernel.run(step.line)


def without_protocol(kernel):
    return {frozenset(rule - {("protocol", dict(rule).get("protocol"))}) for rule in kernel}


@settings(max_examples=250)
@given(PAIRS)
def test_steps_lead_to_exactly_the_desired_rules(pair):
    current, desired = pair
    steps = plan.steps(((), current), ((), desired))
    *_, last = states(kernel_with(current), steps)
    assert Counter(last) == Counter(kernel_with(rules.loading_order(desired)))


@settings(max_examples=200)
@given(PAIRS)
def test_there_is_a_way_back_from_any_number_of_rule_steps(pair):
    current, desired = pair
    steps = plan.steps(((), current), ((), desired))
    for kernel in states(kernel_with(current), steps):
        go_back(kernel, rules=current)
        assert Counter(kernel) == Counter(kernel_with(current))


@settings(max_examples=250)
@given(PAIRS)
def test_rules_that_stay_are_never_missing(pair):
    current, desired = pair
    kept = [rule for rule in current if rule in desired]
    always = without_protocol(kernel_with(kept))
    for kernel in states(kernel_with(current), plan.steps(((), current), ((), desired))):
        assert always <= without_protocol(kernel)


def is_copy(step):
    words = step.line.split()
    return "protocol" in words and int(words[words.index("protocol") + 1]) in range(201, 251)


@settings(max_examples=250)
@given(PAIRS)
def test_copies_that_stand_in_stay_until_all_others_are_gone(pair):
    current, desired = pair
    steps = plan.steps(((), current), ((), desired))
    for table, priority in {(rule.table, rule.priority) for rule in current}:
        group = f"table {table} ", f"priority {priority}"
        gone = [
            s for s in steps if s.line.startswith("rule del") and all(g in s.line for g in group)
        ]
        assert [is_copy(step) for step in gone] == sorted(map(is_copy, gone))


@given(DESIRED, st.randoms())
def test_converged_rules_need_no_steps(desired, random):
    shuffled = list(desired)
    random.shuffle(shuffled)
    assert plan.steps(((), desired), ((), shuffled)) == []


@given(DESIRED)
def test_rules_are_added_and_removed_once_each(desired):
    assert len(plan.steps(((), ()), ((), desired))) == len(desired)
    assert len(plan.steps(((), desired), ((), ()))) >= len(desired)


def test_two_rules_that_differ_in_protocol_only_end_as_one():
    rule = Rule(4, 5, 7, src="10.0.0.1")
    live = [rule._replace(protocol=4), rule]
    steps = plan.steps(((), live), ((), [rule]))
    *_, last = states(kernel_with(live), steps)
    assert list(last) == list(kernel_with([rule]))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_general_and_special_rules_change_places(order):
    general = Rule(4, 5, 7, fwmark="0x1")
    special = general._replace(src="10.0.0.1")
    more = general._replace(src="10.0.0.1", tos=16)
    live = [(general, special, more)[index] for index in order]
    live = taken(live)
    *_, last = states(kernel_with(live), plan.steps(((), live), ((), [more, special, general])))
    assert set(last) == set(kernel_with([general, special, more]))


IN_THE_WAY = [
    pytest.param(
        ["from 10.0.0.1 to 10.1.0.0/16"],
        ["from 10.0.0.1", "from 10.0.0.1 to 10.1.0.0/16", "from 10.0.0.1 to 10.1.0.0/16 tos 0x10"],
        id="general and more special ones come",
    ),
    pytest.param(
        ["from all", "to 10.1.0.0/16 tos 0x10"],
        ["to 10.1.0.0/16 tos 0x10"],
        id="general one goes, special one stays",
    ),
    pytest.param(["to 10.1.0.0/16"], ["from all", "to 10.1.0.0/16"], id="general one comes"),
    pytest.param(["from all"], ["to 10.1.0.0/16"], id="general one becomes special"),
    pytest.param(["to 10.1.0.0/16"], ["from all"], id="special one becomes general"),
    pytest.param(["not from 10.0.0.1"], ["from 10.0.0.1"], id="not goes"),
    pytest.param(["goto 100"], ["goto 101"], id="another target"),
    pytest.param(["from all protocol static"], ["from all"], id="another protocol"),
    pytest.param(["from all realms 3"], ["from all"], id="realms go"),
    pytest.param(["from all"], ["from all realms 3"], id="realms come"),
]


@pytest.mark.parametrize(("before", "after"), IN_THE_WAY)
def test_rules_that_are_in_the_way_of_each_other(before, after):
    current, desired = (
        items(f"-4 rule {each} table 7 priority 5" for each in found)[1]
        for found in (before, after)
    )
    kernel = kernel_with(current)
    steps = plan.steps(((), current), ((), desired))
    for state in states(kernel, steps):
        last = state.copy()
        go_back(state, rules=current)
        assert Counter(state) == Counter(kernel)
    assert Counter(last) == Counter(kernel_with(rules.loading_order(desired)))


# --- routes ---------------------------------------------------------------------------------------

ROUTES = st.builds(
    partial(Route),
    family=st.just(4),
    table=st.sampled_from([7, 7, 8]),
    to=st.sampled_from(["default", "10.0.0.0/8"]),
    via=st.sampled_from([None, "192.168.1.1", "192.168.1.2"]),
    dev=st.sampled_from(["eth1", "eth2"]),
    metric=st.sampled_from([0, 0, 5]),
    scope=st.just(0),
    protocol=st.sampled_from([3, 3, 4]),
)


def settled(route):
    scope = model.default_scope("unicast", 4, bool(route.via))
    return route._replace(scope=scope)


def routes_in(kernel_routes):
    kernel = Routes()
    for route in kernel_routes:
        kernel.run(" ".join(["route", "append", *iproute2.route_words(route)]))
    return kernel


def in_kernel_order(found):
    return sorted(dict.fromkeys(found), key=lambda route: route.metric)


LIVE_ROUTES = st.lists(ROUTES.map(settled), max_size=6).map(in_kernel_order)
WANTED_ROUTES = st.lists(
    ROUTES.map(settled).map(lambda route: route._replace(protocol=3)),
    max_size=5,
    unique_by=lambda route: route.key,
)


@settings(max_examples=200)
@given(LIVE_ROUTES, WANTED_ROUTES)
def test_steps_lead_to_exactly_the_desired_routes(current, desired):
    *_, last = states(routes_in(current), plan.steps((current, ()), (desired, ())))
    assert Counter(last) == Counter(routes_in(desired))


@settings(max_examples=200)
@given(LIVE_ROUTES, WANTED_ROUTES)
def test_there_is_a_way_back_from_any_number_of_route_steps(current, desired):
    steps = plan.steps((current, ()), (desired, ()))
    for kernel in states(routes_in(current), steps):
        go_back(kernel, routes=current)
        assert by_key(kernel) == by_key(routes_in(current))


def by_key(kernel):
    """Return key -> the routes that share it, in the order in which they count."""
    found = {}
    for route in map(route_of, kernel.live):
        found.setdefault(route.key, []).append(route)
    return found


SHARED = [
    settled(Route(4, 7, "default", via=f"192.168.1.{number}", dev="eth1")) for number in range(5)
]


@given(st.permutations(SHARED), st.lists(st.sampled_from(SHARED), unique=True, max_size=5))
def test_routes_of_one_key_come_back_in_their_order(before, now):
    kernel = routes_in(now)
    go_back(kernel, routes=before)
    assert list(map(route_of, kernel.live)) == list(before)


@given(
    st.permutations(SHARED),
    st.lists(st.sampled_from(SHARED), unique=True, min_size=1, max_size=4),
)
def test_one_of_several_routes_of_a_key_is_always_there(before, now):
    for kernel in states(routes_in(now), plan.steps((now, ()), (before, ()))):
        assert kernel.live


EQUAL = [Rule(4, 5, 7 + number % 3, src=f"192.168.1.{number}") for number in range(6)]
FOREIGN = [Rule(4, 5, 99, src="10.0.0.1"), Rule(4, 4, 99), Rule(4, 6, 99)]


@given(st.permutations(EQUAL), st.permutations([*EQUAL, *FOREIGN]))
def test_rules_of_one_priority_come_back_in_their_order(before, there):
    kernel = kernel_with(there)
    now = [rule_of(live) for live in kernel.live if rule_of(live) in EQUAL]
    steps = plan.in_order(now, before)
    for state in states(kernel, steps):
        held = {rule_of(live)._replace(protocol=0) for live in state.live}
        assert held == {*EQUAL, *FOREIGN}
    assert [rule_of(live) for live in state.live if rule_of(live) in EQUAL] == before
    assert Counter(state) == Counter(kernel)
    assert plan.in_order(before, before) == []


def test_rules_that_the_kernel_takes_for_each_other_stay_where_they_are():
    general, special = Rule(4, 5, 7), Rule(4, 5, 7, src="192.168.1.1")
    assert plan.in_order([special, general], [general, special]) == []


@given(LIVE_ROUTES, WANTED_ROUTES)
def test_a_destination_that_stays_is_never_without_a_route(current, desired):
    lasting = {route.key[:4] for route in current} & {route.key[:4] for route in desired}
    for kernel in states(routes_in(current), plan.steps((current, ()), (desired, ()))):
        there = {
            (4, int(route["table"]), route["to"], int(route.get("metric", 0)))
            for route in kernel.live
        }
        assert lasting <= there


@given(WANTED_ROUTES, st.randoms())
def test_converged_routes_need_no_steps(desired, random):
    shuffled = list(desired)
    random.shuffle(shuffled)
    assert plan.steps((desired, ()), (shuffled, ())) == []


@given(LIVE_ROUTES, CURRENT, WANTED_ROUTES, DESIRED)
def test_routes_come_before_rules_and_go_after_them(live, current, wanted, desired):
    done = [step.line.split()[:2] for step in plan.steps((live, current), (wanted, desired))]
    changed = [index for index, (kind, _) in enumerate(done) if kind == "rule"]
    gone = [index for index, words in enumerate(done) if words == ["route", "del"]]
    come = [index for index, (kind, verb) in enumerate(done) if kind == "route" and verb != "del"]
    assert max(come, default=-1) < min([*changed, *gone], default=len(done))
    assert max(changed, default=-1) < min(gone, default=len(done))


@given(CURRENT, DESIRED)
def test_rules_open_before_others_close(current, desired):
    fresh = [rule for rule in desired if rule.priority != 5]
    old = [rule for rule in current if rule.priority == 5]
    verbs = [step.line.split()[1] for step in plan.steps(((), old), ((), fresh))]
    assert verbs == sorted(verbs)


def test_families_are_kept_apart():
    old = [Rule(4, 5, 7), Rule(6, 5, 7)]
    steps = plan.steps(((), old), ((), [Rule(6, 5, 7)]))
    assert [(step.family, step.line) for step in steps] == [
        (4, "rule del from all table 7 priority 5")
    ]


# --- reports --------------------------------------------------------------------------------------


def test_differences_are_what_comes_and_what_goes_in_their_order():
    one, two, three, four = (Rule(4, number, 7) for number in range(1, 5))
    found = plan.differences([one, two, three], [four, three])
    assert (found.added, found.removed) == ((four,), (one, two))


@given(CURRENT, DESIRED)
def test_differences_are_empty_exactly_when_there_are_no_steps(current, desired):
    found = plan.differences(current, desired)
    steps = plan.steps(((), current), ((), desired))
    assert bool(found.added or found.removed) == bool(steps)
