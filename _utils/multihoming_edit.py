"""Changes of configuration as data: shown, joined and turned round, whoever writes them.

Pure. A place is the path of a file, or the name of something that is none, like a profile of
NetworkManager; its text is what people would read there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple

from multihoming_text import lines

# The writer of edits that are no backend's: rt_tables and its drop-ins.
FILES = "files"
# At the end of a place that is a folder; its text is empty.
FOLDER = "/"


class Edit(NamedTuple):
    """The text of a place before and after; None where there is no such place.

    writer
        Who reads and writes it: a backend's name, or ``files``.
    """

    writer: str
    place: str
    before: str | None
    after: str | None


def diff(edit: Edit) -> str:
    """Return the unified diff of an edit."""
    before, after = lines(edit.before or ""), lines(edit.after or "")
    old = "/dev/null" if edit.before is None else edit.place
    new = "/dev/null" if edit.after is None else edit.place
    found = difflib.unified_diff(before, after, old, new)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in found)


def diffs(edits: Iterable[Edit]) -> dict[str, str]:
    """Return place -> unified diff of edits; folders have no text to be shown."""
    return {edit.place: diff(edit) for edit in edits if not edit.place.endswith(FOLDER)}


def inverse(edit: Edit) -> Edit:
    """Return the edit that takes another one back."""
    return edit._replace(before=edit.after, after=edit.before)


def merged(edits: Iterable[Edit]) -> list[Edit]:
    """Join edits of one place, and leave out those that cancel each other."""
    joined: dict[tuple[str, str], Edit] = {}
    for edit in edits:
        first = joined.get((edit.writer, edit.place), edit)
        joined[edit.writer, edit.place] = edit._replace(before=first.before)
    return [edit for edit in joined.values() if edit.before != edit.after]
