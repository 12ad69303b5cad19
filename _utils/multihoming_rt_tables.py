"""Names of routing tables: the text of rt_tables and its drop-ins, read and edited.

Pure: texts in, texts out. The format is iproute2's (``fread_id_name()`` in lib/rt_names.c): one
``id name`` a line, the id decimal or 0x-hexadecimal, ``#`` starts a comment. Where drop-ins are
read, ours is ``rt_tables.d/multihoming.conf``; elsewhere our lines in ``rt_tables`` carry a marker.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from multihoming_errors import TableError
from multihoming_model import Table
from multihoming_numbers import RESERVED_TABLES, U32
from multihoming_values import show

ETC = "/etc/iproute2/rt_tables"
DROP_INS = "/etc/iproute2/rt_tables.d"
OURS = f"{DROP_INS}/multihoming.conf"
# iproute2 6.7 and newer keep the defaults here; a file in /etc overrides the whole of it.
DEFAULTS = ("/usr/share/iproute2/rt_tables", "/usr/lib/iproute2/rt_tables")
SHIPPED = tuple(f"{path}.d" for path in DEFAULTS)

MARKER = "# multihoming"
_HEADER = "# Routing tables of the multihoming state. Salt owns this file.\n"
# What the next run has to know stands in comments: see ``Record``.
ADOPTED, KEEPING, SERVING, RENUMBERED = "adopted", "keep_main_routes", "interface", "renumbered"
_RECORD = re.compile(
    rf"#\s*({ADOPTED}|{KEEPING}|{SERVING}|{RENUMBERED})\s+([0-9]+)\s+(\S+)(?:\s+(\S+))?\s*$"
)
_MADE = re.compile(r"#\s*made\s+(/\S+)\s*$")
_MARKED = re.compile(rf"(?:#\s*{SERVING}:\s+([^#]+?)\s+)?{MARKER}\s*$")
# iproute2 stops reading at such a line, so names below it would not be found.
_BLANK_WITH_CR = re.compile(r"^[ \t]*[\r\v\f][ \t\r\v\f]*$", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# Words that iproute2 reads as something else where it expects a table.
_WORDS = ("all", "cache", "unspec", "default", "main", "local")


class Line(NamedTuple):
    """An ``id name`` line and where it stands."""

    path: str
    number: int
    table: Table
    marked: bool


class Record(NamedTuple):
    """What a comment of ours says of a table, for the next run.

    kind
        ``adopted``: the table's name stands in another file. ``keep_main_routes``: its addresses
        have rules into main as well, ``value`` is the priority of these. ``interface``: it serves
        the interface ``value``. ``renumbered``: its name has another id now, and what stands in
        the old one is still to be taken away.
    """

    kind: str
    table: Table
    value: str = ""


class Tables(NamedTuple):
    """All of rt_tables, as read.

    texts
        Path -> text of the files that exist.
    drop_in
        True where our names go into the drop-in, False where they go into rt_tables itself.
    lines
        Every ``id name`` line, in the order iproute2 reads them.
    records
        What our file says of tables.
    missing
        The folders that have to be made for the drop-in, the outermost first.
    """

    texts: Mapping[str, str]
    drop_in: bool
    lines: tuple[Line, ...] = ()
    records: tuple[Record, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def ids(self) -> dict[str, int]:
        """Name -> id, the kernel's own tables included."""
        ids = {name: number for number, name in RESERVED_TABLES.items()}
        ids.update({line.table.name: line.table.id for line in self.lines})
        return ids

    @property
    def owned(self) -> dict[str, int]:
        """Name -> id of the tables that this package registered or adopted."""
        ours = {
            line.table.name: line.table.id
            for line in self.lines
            if line.path == OURS or line.marked
        }
        standing = {line.table for line in self.lines}
        adopted = (record.table for record in self.records if record.kind == ADOPTED)
        ours.update({table.name: table.id for table in adopted if table in standing})
        return ours

    @property
    def renumbered(self) -> tuple[Table, ...]:
        """Tables that were ours under another id, which nobody else has named since."""
        named = {line.table.id for line in self.lines}
        old = (record.table for record in self.records if record.kind == RENUMBERED)
        return tuple(table for table in old if table.id not in named)

    @property
    def owned_ids(self) -> frozenset[int]:
        """The ids of all tables that are ours."""
        return frozenset([*self.owned.values(), *(table.id for table in self.renumbered)])

    @property
    def keeping_main(self) -> frozenset[tuple[int, int]]:
        """The owned tables (by id) and priorities of the rules into main that are ours."""
        ids = self.owned_ids
        return frozenset(
            (record.table.id, int(record.value))
            for record in self.records
            if record.kind == KEEPING and record.table.id in ids and record.value.isdigit()
        )

    @property
    def serving(self) -> frozenset[tuple[int, str]]:
        """The owned tables (by id) and the interfaces that they serve, as recorded."""
        ids = self.owned_ids
        return frozenset(
            (record.table.id, record.value)
            for record in self.records
            if record.kind == SERVING and record.table.id in ids and record.value
        )

    @property
    def foreign(self) -> tuple[Line, ...]:
        """The lines of tables that are not ours."""
        owned = self.owned
        return tuple(line for line in self.lines if line.table.name not in owned)


def check_name(name: object) -> str | None:
    """Return what is wrong with a table name and what to write, None when it is good."""
    if isinstance(name, bool):
        return f"{name} is not a table name (so YAML reads yes, no, on and off); write it in quotes"
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > 64:
        return (
            f"{show(name)} is not a table name; start with a letter and use letters, digits, "
            "_ . and - (64 at most)"
        )
    if name in _WORDS:
        return f"{name!r} is a word of iproute2's own; choose another name"
    return None


def check_id(number: object) -> str | None:
    """Return what is wrong with a table id and what to write, None when it is good."""
    good = "write a number from 1 to 4294967295 other than 253, 254 and 255"
    if isinstance(number, bool) or not isinstance(number, int):
        return f"{show(number)} is not a number; {good}"
    if number in RESERVED_TABLES:
        return f"{number} is the kernel's own table {RESERVED_TABLES[number]!r}; {good}"
    if not 0 < number <= U32:
        return f"{show(number)} is out of range; {good}"
    return None


def parse(texts: Mapping[str, str], drop_in: bool, missing: Iterable[str] = ()) -> Tables:
    """Read the texts of rt_tables and its drop-ins.

    texts
        Path -> text, in the order iproute2 reads the files.
    missing
        The folders that the drop-in lacks.

    Raises TableError naming file and line where iproute2 would stop reading.
    """
    lines: list[Line] = []
    records: list[Record] = []
    for path, text in texts.items():
        for number, raw in enumerate(text.split("\n"), 1):
            line = _parse_line(path, number, raw)
            if line:
                lines.append(line)
            if path == _home(drop_in):
                records += _records(raw, line)
    return Tables(texts, drop_in, tuple(lines), tuple(records), tuple(missing))


def _records(raw: str, line: Line | None = None) -> list[Record]:
    """Return what a line of our file records; one with the marker names its interfaces itself."""
    if line and line.marked and (match := _MARKED.search(raw)):
        return [Record(SERVING, line.table, dev) for dev in (match[1] or "").split()]
    match = _RECORD.match(raw.strip())
    return [Record(match[1], Table(match[3], int(match[2])), match[4] or "")] if match else []


def _home(drop_in: bool) -> str:
    """Return the file that our names go into."""
    return OURS if drop_in else ETC


def _parse_line(path: str, number: int, raw: str) -> Line | None:
    text = raw.lstrip(" \t")
    if not text.strip() or text.startswith("#"):
        return None
    found = _scan(text)
    if not found:
        raise TableError(
            f"{path} line {number}: {show(raw.strip())} can't be read, and iproute2 ignores all "
            "that follows it; write `id name` or put a # in front"
        )
    id_, name = found
    return Line(path, number, Table(name, id_), raw.rstrip().endswith(MARKER)) if id_ >= 0 else None


def _scan(text: str) -> tuple[int, str] | None:
    """Return (id, name) as sscanf() reads ``0x%x %s`` and, failing that, ``%d %s``."""
    for pattern, base in ((r"0x([0-9a-fA-F]+)", 16), (r"([+-]?[0-9]+)", 10)):
        match = re.match(pattern, text)
        words = re.split(r"[ \t\v\f\r]+", text[match.end() :].lstrip()) if match else []
        if match and words and words[0]:
            return int(match[1], base), words[0]
    return None


def conflicts(tables: Tables, wanted: Mapping[str, int]) -> list[str]:
    """Return what speaks against registering ``wanted`` (name -> id) beside the foreign lines."""
    errors = []
    for line in tables.foreign:
        name, number = line.table.name, line.table.id
        where = f"{line.path} line {line.number}"
        if wanted.get(name, number) != number:
            errors.append(
                f"tables.{name}: {where} already gives this name the id {number}; "
                f"write `{name}: {number}`, or choose another name"
            )
        for other in (other for other, id_ in wanted.items() if id_ == number and other != name):
            errors.append(
                f"tables.{other}: {where} already calls table {number} {name!r}; "
                f"write `{name}: {number}`, or choose another id"
            )
    return errors


def register(tables: Tables, wanted: Mapping[str, int]) -> dict[str, str]:
    """Return path -> new text of the files in which ``wanted`` (name -> id) must be added.

    A name that stands elsewhere with the same id stays there and is recorded as ours; one of ours
    with another id gets the new one. Files that need no change are not in the result.
    """
    owned = tables.owned
    moving = {name for name, number in wanted.items() if owned.get(name, number) != number}
    old = [Table(name, owned[name]) for name in moving]
    texts = _without_lines(tables.texts, set(old))
    for path in _homes(tables, wanted):
        texts[path] = _BLANK_WITH_CR.sub("", texts.get(path, ""))
    for name, number in wanted.items():
        if owned.get(name) != number:
            texts = _add(texts, tables, Table(name, number))
    staying = {**owned, **wanted}.values()
    left = [Record(RENUMBERED, table) for table in old if table.id not in staying]
    return _changed(tables, _with_records(texts, tables, left))


def _homes(tables: Tables, wanted: Mapping[str, int]) -> set[str]:
    """Return the files in which ``wanted`` stand or will stand, our own drop-in aside."""
    homes = {line.path for line in tables.lines if wanted.get(line.table.name) == line.table.id}
    if wanted and not tables.drop_in:
        homes.add(ETC)
    return {path for path in homes if path.startswith("/etc/") and path != OURS}


def release(tables: Tables, names: Iterable[str]) -> dict[str, str]:
    """Return path -> new text of the files from which ``names`` go away, with their records.

    Lines below /usr are the distribution's: they stay, only our record of them goes.
    """
    owned = tables.owned
    gone = {Table(name, owned[name]) for name in names if name in owned}
    texts = _without_lines(tables.texts, gone)
    return _changed(tables, _without_records(texts, tables, lambda each: each.table in gone))


def record(tables: Tables, records: Iterable[Record]) -> dict[str, str]:
    """Return path -> new text: with what records say besides what is recorded already."""
    known = set(tables.records)
    missing = [each for each in records if each not in known]
    return _changed(tables, _with_records(dict(tables.texts), tables, missing))


def forget(tables: Tables, ids: Collection[int], staying: Collection[Record]) -> dict[str, str]:
    """Return path -> new text: without the records of tables other than those that stay.

    ids
        The tables whose records go.
    """
    kept = set(staying)

    def is_gone(each: Record) -> bool:
        return each.table.id in ids and each.kind != ADOPTED and each not in kept

    return _changed(tables, _without_records(dict(tables.texts), tables, is_gone))


def combine(tables: Tables, edited: Mapping[str, str]) -> Tables:
    """Return the tables as they read once ``edited`` (path -> text) is written."""
    return parse({**tables.texts, **edited}, tables.drop_in, tables.missing) if edited else tables


def _changed(tables: Tables, texts: Mapping[str, str]) -> dict[str, str]:
    return {path: text for path, text in texts.items() if tables.texts.get(path) != text}


def _entry(table: Table) -> str:
    return f"{table.id} {table.name}"


# --- lines ------------------------------------------------------------------------------------


def _add(texts: dict[str, str], tables: Tables, table: Table) -> dict[str, str]:
    standing = [line.path for line in tables.lines if line.table == table]
    if ETC in standing and not tables.drop_in:
        return {**texts, ETC: _edited(texts[ETC], table, _with_marker)}
    if standing:
        return _with_records(texts, tables, [Record(ADOPTED, table)])
    if tables.drop_in:
        return _appended(texts, tables, _entry(table))
    return _appended(texts, tables, f"{_entry(table)} {MARKER}")


def _drop_in(texts: Mapping[str, str], tables: Tables) -> str:
    """Return the text of our drop-in; a new one says which folders were made for it."""
    made = "".join(f"# made {folder}\n" for folder in tables.missing)
    return texts.get(OURS) or _HEADER + made


def _appended(texts: Mapping[str, str], tables: Tables, line: str) -> dict[str, str]:
    """Return the texts with one more line in our file.

    In somebody else's, a last line that has no end leaves none behind it.
    """
    home = _home(tables.drop_in)
    text = texts.get(ETC, "") if home == ETC else _drop_in(texts, tables)
    if text and not text.endswith("\n"):
        return {**texts, home: f"{text}\n{line}" + ("" if home == ETC else "\n")}
    return {**texts, home: f"{text}{line}\n"}


def _edited(text: str, table: Table, edit: Callable[[str], str]) -> str:
    """Return a text with every line of a table edited."""
    return "\n".join(edit(raw) if _table(raw) == table else raw for raw in text.split("\n"))


def _with_marker(raw: str) -> str:
    """Return a line with our marker behind what it says already."""
    said = raw.rstrip()
    rest = raw[len(said) :].lstrip(" \t")
    return f"{said} {MARKER}{rest}"


def _table(raw: str) -> Table | None:
    line = _parse_line("", 0, raw)
    return line.table if line else None


def _without_lines(texts: Mapping[str, str], gone: Collection[Table]) -> dict[str, str]:
    """Return the texts without the lines of tables, and without what says that they are adopted."""
    if not gone:
        return dict(texts)
    adopted = [Record(ADOPTED, table) for table in gone]
    return {
        path: "\n".join(
            raw
            for raw in text.split("\n")
            if _table(raw) not in gone
            and not (path in (OURS, ETC) and any(each in adopted for each in _records(raw)))
        )
        if path.startswith("/etc/")
        else text
        for path, text in texts.items()
    }


# --- records ------------------------------------------------------------------------------------


def _with_records(
    texts: dict[str, str], tables: Tables, records: Iterable[Record]
) -> dict[str, str]:
    """Return the texts with more records; the interface of a line with our marker stands in it."""
    for each in records:
        if each.kind == SERVING and not tables.drop_in:
            edit = functools.partial(_with_interface, dev=each.value)
            texts = {**texts, ETC: _edited(texts[ETC], each.table, edit)}
        else:
            entry = f"# {each.kind} {_entry(each.table)} {each.value}"
            texts = _appended(texts, tables, entry.rstrip())
    return texts


def _with_interface(raw: str, dev: str) -> str:
    """Return a line that has our marker with one more interface in front of that."""
    match = _MARKED.search(raw)
    if not match:
        return raw
    devices = " ".join([*(match[1] or "").split(), dev])
    return f"{raw[: match.start()]}# {SERVING}: {devices} {raw[raw.rindex(MARKER) :]}"


def _without_records(
    texts: dict[str, str], tables: Tables, gone: Callable[[Record], bool]
) -> dict[str, str]:
    home = _home(tables.drop_in)
    if home in texts and any(map(gone, tables.records)):
        lines = (_without_record(raw, gone) for raw in texts[home].split("\n"))
        texts[home] = "\n".join(raw for raw in lines if raw is not None)
    return texts


def _without_record(raw: str, gone: Callable[[Record], bool]) -> str | None:
    line = _parse_line("", 0, raw)
    said = _records(raw, line)
    staying = [each for each in said if not gone(each)]
    if len(staying) == len(said):
        return raw
    if line is None:
        return None
    bare = _MARKED.sub(raw[raw.rindex(MARKER) :], raw)
    for each in staying:
        bare = _with_interface(bare, each.value)
    return bare


def only_records(before: str | None, after: str | None) -> bool:
    """Tell whether an edit touches comments only: records of what is ours, for the next run."""
    return _read_by_ip(before or "") == _read_by_ip(after or "")


def _read_by_ip(text: str) -> tuple[list[Table], bool]:
    entries = [table for raw in text.split("\n") if (table := _table(raw))]
    return entries, bool(_BLANK_WITH_CR.search(text))


def is_empty(path: str, text: str) -> bool:
    """Tell whether our drop-in says nothing any more, and so can be deleted."""
    said = [raw for raw in text.split("\n") if raw.strip() and not _MADE.match(raw.strip())]
    return path == OURS and said in ([], [_HEADER.strip()])


def made(text: str | None) -> list[str]:
    """Return the folders that were made for our drop-in, as it says, the outermost first."""
    return [match[1] for raw in (text or "").split("\n") if (match := _MADE.match(raw.strip()))]


def sources(
    etc_exists: bool,
    drop_ins_exist: bool,
    names: Iterable[str],
    shipped: Mapping[str, Iterable[str]] | None = None,
) -> tuple[list[str], bool]:
    """Return the files to read, in iproute2's order, and whether our names go in a drop-in.

    names
        The file names in rt_tables.d.
    shipped
        Folder -> the file names in it, of those in ``SHIPPED``: a file of the same name in /etc
        goes in place of one there (rtnl_tabhash_readdir() in lib/rt_names.c).
    """
    own = _read_names(names)
    files = [ETC] if etc_exists else list(DEFAULTS)
    for folder, there in (shipped or {}).items():
        hidden = set(names)
        files += [os.path.join(folder, name) for name in _read_names(there) if name not in hidden]
    files += [os.path.join(DROP_INS, name) for name in own]
    return files, drop_ins_exist or not etc_exists


def _read_names(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.endswith(".conf") and not name.startswith("."))
