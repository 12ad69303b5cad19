"""Edits as data: shown, joined, turned round."""

from itertools import pairwise

import multihoming_edit as edit
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multihoming_edit import Edit


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("a\nb\n", "a\nc\n", ["--- f", "+++ f", "@@ -1,2 +1,2 @@", " a", "-b", "+c"]),
        (None, "a\n", ["--- /dev/null", "+++ f", "@@ -0,0 +1 @@", "+a"]),
        ("a\n", None, ["--- f", "+++ /dev/null", "@@ -1 +0,0 @@", "-a"]),
        ("a\n", "a\n", []),
        ("", "a\fb\u2028c\rd\n", ["--- f", "+++ f", "@@ -0,0 +1 @@", "+a\fb\u2028c\rd"]),
    ],
)
def test_diff_is_unified(before, after, lines):
    said = edit.diff(Edit("files", "f", before, after))
    assert said == "".join(f"{line}\n" for line in lines)


def change(before, after, place="f", writer="files"):
    return Edit(writer, place, before, after)


def test_edits_of_one_place_are_joined_and_those_of_others_kept_apart():
    edits = [
        change("a", "b"),
        change("a", "x", writer="other"),
        change("b", "c"),
        change(None, "g", place="g"),
    ]
    assert edit.merged(edits) == [
        change("a", "c"),
        change("a", "x", writer="other"),
        change(None, "g", place="g"),
    ]


def test_edits_that_cancel_each_other_are_none():
    assert edit.merged([change("a", None), change(None, "a")]) == []


TEXTS = st.sampled_from([None, "", "a\n", "b\n"])


@given(TEXTS, TEXTS)
def test_the_inverse_of_the_inverse_is_the_edit(before, after):
    one = change(before, after)
    assert edit.inverse(one) == change(after, before)
    assert edit.inverse(edit.inverse(one)) == one


@given(st.lists(TEXTS, min_size=2, max_size=6))
def test_joined_edits_do_what_the_single_ones_do_in_turn(texts):
    edits = [change(*pair) for pair in pairwise(texts)]
    joined = edit.merged(edits)
    assert joined == ([change(texts[0], texts[-1])] if texts[0] != texts[-1] else [])
