"""Kernel settings: whether they can be kept, looked at before anything changes; and the way back.

Thin: Salt's own ``sysctl.present`` keeps them. A setting is a file below /proc/sys. In its name the
folders are separated by dots, and a dot within a name is written as a slash:
``net.ipv4.conf.eth0/100.arp_ignore`` (sysctl.d(5) has more spellings; Salt knows this one).
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import multihoming_files as files
from multihoming_edit import FILES, FOLDER, Edit
from multihoming_errors import FileError
from multihoming_text import raw
from multihoming_values import show

ROOT = "/proc/sys"
_SWAP = str.maketrans("./", "/.")
# Folders of net.ipv4 and net.ipv6 that have one for each interface.
_BY_INTERFACE = ("conf", "neigh")
# More words than any setting's name has: nobody means one by it.
_MOST_WORDS = 16


class Before(NamedTuple):
    """Kernel settings as they are before a run keeps them.

    values
        Key -> text, of those that can be read.
    edits
        Those that the run may make of the file that keeps them; their texts after are not known.
    """

    values: Mapping[str, str]
    edits: tuple[Edit, ...]


# --- which there are ------------------------------------------------------------------------------


def present(
    settings: Mapping[str, str], optional: Iterable[str]
) -> tuple[dict[str, str], list[str]]:
    """Return the settings without those of optional interfaces that are not there, and notes."""
    gone = {dev for dev in optional if not _exists("net", "ipv4", "conf", dev)}
    skipped = [key for key in settings if _interface(_names(key)) in gone]
    notes = [f"sysctl.{key}: {_interface(_names(key))} does not exist: skipped" for key in skipped]
    return {key: value for key, value in settings.items() if key not in skipped}, notes


def problems(settings: Mapping[str, str]) -> list[str]:
    """Return why settings can't be kept, a message each.

    Whether the kernel takes a value it tells only when it gets it.
    """
    found = [(key, _problem(key, value)) for key, value in settings.items()]
    errors = [f"sysctl.{key}: {why}" for key, why in found if why]
    if settings and not shutil.which("sysctl"):
        errors.append(
            "sysctl: there is no program `sysctl` on this host, with which Salt keeps settings; "
            "remove the key, or install the package procps (procps-ng)"
        )
    return errors


def _problem(key: str, value: str) -> str | None:
    names = _names(key)
    if {"", ".", ".."} & set(names):
        return "is not a kernel setting; write one like net.ipv4.ip_forward"
    if not _exists(*names):
        return _missing(key, names)
    if os.path.isdir(_path(*names)):
        return f"is a folder with many settings; write one of them, like `{key}.NAME`"
    current = _read(key)
    same = current is not None and current.split() == value.split()
    return None if same else _refused(names, value, current)


def _refused(names: Sequence[str], value: str, current: str | None) -> str | None:
    """Return why a value can't be written."""
    path = _path(*names)
    if not os.stat(path).st_mode & 0o222:
        return "can be read only: the kernel does not let it be changed; remove it"
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return (
            f"{ROOT} is mounted read-only, as in containers; remove the key, and have the "
            "setting on the container's host"
        )
    is_number = names[0] == "net" and re.fullmatch(r"-?\d+", current or "")
    if is_number and not re.search(r"\d", value):
        return f"{show(value)} is not a number, and the kernel has {current} there; write a number"
    return None


def _missing(key: str, names: Sequence[str]) -> str:
    """Return what to write for a setting that is not there."""
    dev = _interface(names)
    if dev and not _exists(*names[:4]):
        there = difflib.get_close_matches(dev, files.names(_path(*names[:3])), 5, 0)
        ways = ", ".join(name.translate(_SWAP) for name in there)
        return f"there is no interface {dev} on this host; write another, like {ways}"
    words = re.split("[./]", key)
    meant = _nearest([], words) if len(words) <= _MOST_WORDS else None
    if meant:
        name = "/".join(meant).translate(_SWAP)
        return f"there is no such kernel setting; did you mean `{name}`?"
    return (
        "there is no such kernel setting; write one that `sysctl -a` lists, or have the kernel's "
        "module that brings it loaded before"
    )


def _nearest(names: list[str], words: list[str]) -> list[str] | None:
    """Return the names of a setting that begins with ``names`` and that ``words`` may mean."""
    path = _path(*names)
    if not words:
        return names if os.path.isfile(path) else None
    there = files.names(path) if os.path.isdir(path) else []
    heads = [(number, ".".join(words[:number])) for number in range(len(words), 0, -1)]
    same = [(number, head) for number, head in heads if head in there]
    like = [
        (number, name)
        for number, head in heads
        for name in difflib.get_close_matches(head, there, 1, 0.7)
    ]
    found = (_nearest([*names, name], words[number:]) for number, name in [*same, *like])
    return next(filter(None, found), None)


def _interface(names: Sequence[str]) -> str | None:
    """Return the interface that a setting is of, None for others."""
    of_one = len(names) == 5 and names[0] == "net" and names[2] in _BY_INTERFACE
    return names[3] if of_one and names[3] not in ("all", "default") else None


def _names(key: str) -> list[str]:
    return key.translate(_SWAP).split("/")


def _path(*names: str) -> str:
    return os.path.join(ROOT, *names)


def _exists(*names: str) -> bool:
    return files.exists(_path(*names))


def _read(key: str) -> str | None:
    try:
        return (files.read(_path(*_names(key))) or "").rstrip("\n")
    except FileError:  # some can only be written, some have no value yet
        return None


# --- the way back -----------------------------------------------------------------------------


def take(settings: Iterable[str], path: str) -> Before:
    """Return what is about to change: settings, and the file that keeps them.

    Raises FileError when the file can't be read.
    """
    values = {key: text for key in settings if (text := _read(key)) is not None}
    folder = os.path.dirname(path) + FOLDER
    made = () if files.exists(folder) else (Edit(FILES, folder, None, ""),)
    return Before(values, (*made, Edit(FILES, path, files.read(path), None)))


def put_back(before: Before) -> list[str]:
    """Make file and settings what they were; return what could not be put back.

    The last setting comes first, as one may change others.
    """
    trouble = []
    for edit in reversed(before.edits):
        try:
            now = files.read(edit.place) if not edit.place.endswith(FOLDER) else edit.after
            files.write([edit._replace(before=now, after=edit.before)])
        except FileError as err:
            trouble.append(str(err))
    for key, text in reversed([*before.values.items()]):
        if _read(key) != text:
            trouble += _write(key, text)
    return trouble


def _write(key: str, text: str) -> list[str]:
    try:
        with open(raw(_path(*_names(key))), "wb", buffering=0) as file:
            file.write(raw(f"{text}\n"))
    except OSError as err:
        return [f"sysctl.{key} can't be set to {text} again: {err.strerror}"]
    return []
