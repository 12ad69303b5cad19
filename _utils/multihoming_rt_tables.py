"""Names of routing tables: the text of rt_tables and its drop-ins, read and edited.

Pure: texts in, texts out. The format is iproute2's (``fread_id_name()`` in lib/rt_names.c): one
``id name`` a line, the id decimal or 0x-hexadecimal, ``#`` starts a comment. Where drop-ins are
read, ours is ``rt_tables.d/multihoming.conf``; elsewhere our lines in ``rt_tables`` carry a marker.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
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
_ADOPTED = re.compile(r"#\s*adopted\s+([0-9]+)\s+(\S+)\s*$")
_KEEPING = re.compile(r"#\s*keep_main_routes\s+([0-9]+)\s+(\S+)\s+([0-9]+)\s*$")
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


class Tables(NamedTuple):
    """All of rt_tables, as read.

    texts
        Path -> text of the files that exist.
    drop_in
        True where our names go into the drop-in, False where they go into rt_tables itself.
    lines
        Every ``id name`` line, in the order iproute2 reads them.
    adopted
        What our drop-in says of tables that stand in another file.
    kept
        What our file says of tables whose addresses have rules into main as well, and the
        priority of these.
    """

    texts: Mapping[str, str]
    drop_in: bool
    lines: tuple[Line, ...] = ()
    adopted: tuple[Table, ...] = ()
    kept: tuple[tuple[Table, int], ...] = ()

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
        ours.update({table.name: table.id for table in self.adopted if table in standing})
        return ours

    @property
    def keeping_main(self) -> frozenset[tuple[str, int]]:
        """The owned tables (by name) and priorities of the rules into main that are ours."""
        owned = self.owned
        return frozenset(
            (table.name, priority)
            for table, priority in self.kept
            if owned.get(table.name) == table.id
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


def parse(texts: Mapping[str, str], drop_in: bool) -> Tables:
    """Read the texts of rt_tables and its drop-ins.

    texts
        Path -> text, in the order iproute2 reads the files.

    Raises TableError naming file and line where iproute2 would stop reading.
    """
    lines: list[Line] = []
    adopted: list[Table] = []
    kept: list[tuple[Table, int]] = []
    for path, text in texts.items():
        for number, raw in enumerate(text.split("\n"), 1):
            if path == _home(drop_in) and (match := _ADOPTED.match(raw.strip())):
                adopted.append(Table(match[2], int(match[1])))
            if path == _home(drop_in) and (match := _KEEPING.match(raw.strip())):
                kept.append((Table(match[2], int(match[1])), int(match[3])))
            line = _parse_line(path, number, raw)
            if line:
                lines.append(line)
    return Tables(texts, drop_in, tuple(lines), tuple(adopted), tuple(kept))


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
    texts = _remove(
        tables.texts, {name for name in wanted if owned.get(name, 0) != wanted[name]} & set(owned)
    )
    for path in _homes(tables, wanted):
        texts[path] = _BLANK_WITH_CR.sub("", texts.get(path, ""))
    for name, number in wanted.items():
        if owned.get(name) != number:
            texts = _add(texts, tables, Table(name, number))
    return _changed(tables, texts)


def _homes(tables: Tables, wanted: Mapping[str, int]) -> set[str]:
    """Return the files in which ``wanted`` stand or will stand, our own drop-in aside."""
    homes = {line.path for line in tables.lines if wanted.get(line.table.name) == line.table.id}
    if wanted and not tables.drop_in:
        homes.add(ETC)
    return {path for path in homes if path.startswith("/etc/") and path != OURS}


def release(tables: Tables, names: Iterable[str]) -> dict[str, str]:
    """Return path -> new text of the files from which ``names`` go away.

    Lines below /usr are the distribution's: they stay, only our record of them goes.
    """
    return _changed(tables, _remove(tables.texts, set(names)))


def keep_main(tables: Tables, keeping: Iterable[tuple[str, int]]) -> dict[str, str]:
    """Return path -> new text: a record that addresses of tables have rules into main.

    keeping
        (table's name, priority of the rules).
    """
    home = _home(tables.drop_in)
    text = tables.texts.get(home) or (_HEADER if tables.drop_in else "")
    missing = [record for record in keeping if record not in tables.keeping_main]
    ids = tables.ids
    for name, priority in missing:
        entry = _entry(Table(name, ids[name]))
        text = _append(text, f"# keep_main_routes {entry} {priority}")
    return _changed(tables, {home: text}) if missing else {}


def forget_main(tables: Tables, gone: Collection[tuple[str, int]]) -> dict[str, str]:
    """Return path -> new text: without such records."""
    home = _home(tables.drop_in)
    kept = [
        line
        for line in tables.texts.get(home, "").split("\n")
        if not ((match := _KEEPING.match(line.strip())) and (match[2], int(match[3])) in gone)
    ]
    return _changed(tables, {home: "\n".join(kept)}) if gone else {}


def combine(tables: Tables, edited: Mapping[str, str]) -> Tables:
    """Return the tables as they read once ``edited`` (path -> text) is written."""
    return parse({**tables.texts, **edited}, tables.drop_in)


def _changed(tables: Tables, texts: Mapping[str, str]) -> dict[str, str]:
    return {path: text for path, text in texts.items() if tables.texts.get(path) != text}


def _entry(table: Table) -> str:
    return f"{table.id} {table.name}"


def _add(texts: dict[str, str], tables: Tables, table: Table) -> dict[str, str]:
    standing = [line.path for line in tables.lines if line.table == table]
    if tables.drop_in:
        record = f"# adopted {_entry(table)}" if standing else _entry(table)
        return {**texts, OURS: _append(texts.get(OURS) or _HEADER, record)}
    record = f"{_entry(table)} {MARKER}"
    if standing:
        return {**texts, standing[0]: _replace(texts[standing[0]], table, record)}
    return {**texts, ETC: _append(texts.get(ETC, ""), record)}


def _append(text: str, line: str) -> str:
    return f"{text}{line}\n" if not text or text.endswith("\n") else f"{text}\n{line}\n"


def _replace(text: str, table: Table, new: str) -> str:
    lines = text.split("\n")
    return "\n".join(new if _table(line) == table else line for line in lines)


def _table(raw: str) -> Table | None:
    line = _parse_line("", 0, raw)
    return line.table if line else None


def _remove(texts: Mapping[str, str], names: set[str]) -> dict[str, str]:
    if not names:
        return dict(texts)
    return {
        path: "\n".join(line for line in text.split("\n") if _name(path, line) not in names)
        if path.startswith("/etc/")
        else text
        for path, text in texts.items()
    }


def _name(path: str, raw: str) -> str | None:
    for pattern in (_ADOPTED, _KEEPING) if path in (OURS, ETC) else ():
        match = pattern.match(raw.strip())
        if match:
            return match[2]
    table = _table(raw)
    return table.name if table else None


def only_records(before: str | None, after: str | None) -> bool:
    """Tell whether an edit touches comments only: records of what is ours, for the next run."""
    return _read_by_ip(before or "") == _read_by_ip(after or "")


def _read_by_ip(text: str) -> tuple[list[Table], bool]:
    entries = [table for raw in text.split("\n") if (table := _table(raw))]
    return entries, bool(_BLANK_WITH_CR.search(text))


def is_empty(path: str, text: str) -> bool:
    """Tell whether our drop-in says nothing any more, and so can be deleted."""
    return path == OURS and text.strip() in ("", _HEADER.strip())


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
