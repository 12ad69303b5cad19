"""Files: read whole, written atomically, put back when something fails; and the lock.

Thin: knows nothing of what is in them.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LOCK = "/run/multihoming.lock"
_LOCK_SECONDS = 120


class FileError(Exception):
    """A file can't be read or written; the message names it and says why."""


@dataclass(frozen=True)
class Edit:
    """A file's text before and after; None where there is no such file."""

    path: str
    before: str | None
    after: str | None


def read(path: str) -> str | None:
    """Return a file's text, None when there is none; raises FileError when it can't be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as err:
        raise FileError(f"{path} can't be read: {err.strerror}") from err


def names(folder: str) -> list[str]:
    """Return the names in a folder, sorted; none when it does not exist."""
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as err:
        raise FileError(f"{folder} can't be read: {err.strerror}") from err


def diff(edit: Edit) -> str:
    """Return the unified diff of an edit."""
    before = (edit.before or "").splitlines(keepends=True)
    after = (edit.after or "").splitlines(keepends=True)
    old = "/dev/null" if edit.before is None else edit.path
    new = "/dev/null" if edit.after is None else edit.path
    lines = list(difflib.unified_diff(before, after, old, new))
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def commit(edits: Iterable[Edit]) -> None:
    """Write the edits in order; when one fails, restore those before it and raise FileError."""
    done: list[Edit] = []
    for edit in edits:
        try:
            _put(edit.path, edit.after)
        except OSError as err:
            left = restore(done)
            raise FileError(
                f"{edit.path} can't be written: {err.strerror or err}"
                + (f"; restoring failed too: {left}" if left else "")
            ) from err
        done.append(edit)


def restore(edits: Iterable[Edit]) -> str:
    """Put back the texts from before, last first; return what went wrong, empty when nothing."""
    trouble = []
    for edit in list(edits)[::-1]:
        try:
            _put(edit.path, edit.before)
        except OSError as err:
            trouble.append(f"{edit.path}: {err.strerror or err}")
    return "; ".join(trouble)


def _put(path: str, text: str | None) -> None:
    target = os.path.realpath(path)
    if text is None and os.path.islink(path):
        _write(target, "")  # the link is somebody's choice, and stays
    elif text is None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target)
    else:
        _write(target, text)


def _write(path: str, text: str) -> None:
    """Replace a file in one rename, keeping mode, owner and extended attributes (SELinux label)."""
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".multihoming-", dir=folder)
    try:
        with os.fdopen(
            descriptor, "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as f:
            f.write(text)
            f.flush()
            _take_over(path, temporary, f.fileno())
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _take_over(path: str, temporary: str, descriptor: int) -> None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        os.fchmod(descriptor, 0o644)
        return
    os.fchown(descriptor, status.st_uid, status.st_gid)
    shutil.copystat(path, temporary)
    os.utime(temporary)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def lock(path: str = LOCK) -> Iterator[None]:
    """Hold the lock that serialises runs; raises FileError when another holds it too long."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise FileError(f"{path} can't be opened: {err.strerror}; run as root") from err
    try:
        _acquire(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: str) -> None:
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as err:
            if err.errno not in (errno.EAGAIN, errno.EACCES):
                raise FileError(f"{path} can't be locked: {err.strerror}") from err
        if time.monotonic() > deadline:
            raise FileError(
                f"another run has held {path} for {_LOCK_SECONDS} seconds; look for it with "
                f"`fuser {path}`"
            )
        time.sleep(0.05)
