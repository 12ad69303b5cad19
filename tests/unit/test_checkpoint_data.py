"""The way back as data: written down, read by another process, the same."""

from __future__ import annotations

import json

import multihoming_checkpoint as checkpoint
from hypothesis import given
from hypothesis import strategies as st
from multihoming_checkpoint import Checkpoint
from multihoming_edit import Edit
from multihoming_rules import Ours
from played_host import changed
from strategies import routes, rules

TEXTS = st.none() | st.text(max_size=20)
FOREIGN = st.sampled_from([(), (("tos", "0x10"),), (("nhid", "7"), ("realms", "1/2"))])
ROUTES = st.builds(lambda route, other: changed(route, other=other), routes(), FOREIGN)
RULES = st.builds(lambda rule, other: changed(rule, other=other), rules(), FOREIGN)
SOURCES = st.sampled_from([(4, "10.0.0.1"), (6, "2001:db8::1")])
PLACES = st.builds(lambda source, priority: (*source, priority), SOURCES, st.integers(1, 9))
EDITS = st.builds(Edit, st.just("files"), st.text(min_size=1), TEXTS, TEXTS)


def some(strategy, **kwargs):
    return st.lists(strategy, max_size=3, **kwargs).map(tuple)


CHECKPOINTS = st.builds(
    Checkpoint,
    id=st.text("0123456789abcdef", min_size=12, max_size=12),
    boot=st.just("d4b0a2f6-1f6e-4f0e-9c5c-6a5f6b2c8d10"),
    tables=some(st.integers(1, 2**32 - 1)),
    into_main=some(st.tuples(PLACES, st.integers(1, 9)), unique_by=lambda pair: pair[0]),
    routes=some(ROUTES),
    rules=some(RULES),
    in_main=some(ROUTES.map(lambda route: route.key)),
    defaults=some(ROUTES),
    edits=some(EDITS),
    devices=some(st.sampled_from(["eth0", "eth1.100"])),
)


def written_and_read(taken):
    return checkpoint.from_json(json.loads(json.dumps(checkpoint.to_json(taken))))


@given(CHECKPOINTS)
def test_a_checkpoint_survives_being_written_down(taken):
    assert written_and_read(taken) == taken


@given(CHECKPOINTS)
def test_another_process_finds_the_same_to_be_ours(taken):
    assert written_and_read(taken).ours == taken.ours
    assert taken.ours == Ours(frozenset(taken.tables), dict(taken.into_main))


def test_texts_that_are_not_utf8_survive():
    edits = (Edit("files", "/etc/x", "a\udcff\r\n", None),)
    assert written_and_read(checkpoint.of_edits(edits)).edits == edits


def test_edits_alone_touch_nothing_in_the_kernel():
    taken = checkpoint.of_edits((Edit("files", "/etc/x", None, "a\n"),))
    assert (taken.tables, taken.routes, taken.rules, taken.in_main, taken.devices) == ((),) * 5
    assert taken.id != checkpoint.of_edits(()).id
