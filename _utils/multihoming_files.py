"""Files: read whole, written atomically; and the lock.

Thin: knows nothing of what is in them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator

from multihoming_edit import FOLDER, Edit
from multihoming_errors import FileError
from multihoming_text import ENCODING, ERRORS, raw, shown
from multihoming_text import read as text_of

log = logging.getLogger(__name__)

LOCK = "/run/multihoming.lock"
_TEMPORARY = ".multihoming-"
_LOCK_SECONDS = 120


def read(path: str) -> str | None:
    """Return a file's text, None when there is none; raises FileError when it can't be read."""
    try:
        with open(raw(path), encoding=ENCODING, errors=ERRORS, newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as err:
        raise FileError(f"{path} can't be read: {err.strerror}") from err


def names(folder: str) -> list[str]:
    """Return the names in a folder, sorted; none when it does not exist."""
    try:
        return sorted(map(text_of, os.listdir(raw(folder))))
    except FileNotFoundError:
        return []
    except OSError as err:
        raise FileError(f"{folder} can't be read: {err.strerror}") from err


def exists(path: str) -> bool:
    """Tell whether there is a file or folder."""
    return os.path.exists(raw(path))


def refused(places: Iterable[str]) -> list[str]:
    """Return which of the files can't be written because their file system is read-only."""
    return [
        f"{place} can't be written: Read-only file system; remount it writable, or, where an image "
        "makes it so, put it there with the image"
        for place in places
        if _is_read_only(raw(place))
    ]


def _is_read_only(path: bytes) -> bool:
    path = os.path.realpath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def write(edits: Iterable[Edit]) -> None:
    """Make the edits in their order; those that are made already are passed over.

    Raises FileError at the first that fails, or whose file was changed by somebody else after it
    was read.
    """
    for edit in edits:
        present = _look(edit.place)
        if _says(edit.place, present, edit.after):
            continue
        if not _says(edit.place, present, edit.before):
            raise FileError(
                f"{edit.place} was changed by somebody else meanwhile, and is left as it is"
            )
        try:
            _put(raw(edit.place), edit.after)
        except OSError as err:
            raise FileError(f"{edit.place} can't be written: {err.strerror or err}") from err
        log.info("%s %s", "removed" if edit.after is None else "wrote", shown(edit.place))


def _look(place: str) -> str | None:
    """Return the text of a file, that of a folder, which is empty, or None where there is none."""
    if place.endswith(FOLDER):
        return "" if os.path.isdir(raw(place)) else None
    return read(place)


def _says(path: str, present: str | None, text: str | None) -> bool:
    """Tell whether a file has a text; of one that is no more, a symlink to it may have stayed."""
    return present == text or (text is None and present == "" and os.path.islink(raw(path)))


def _put(path: bytes, text: str | None) -> None:
    if path.endswith(raw(FOLDER)):
        _make_folder(path) if text is not None else _remove_folder(path)
        return
    target = os.path.realpath(path)
    if text is None and os.path.islink(path):
        _write(target, "")  # the link is somebody's choice, and stays
    elif text is None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target)
    else:
        _write(target, text)


def sweep(places: Iterable[str]) -> None:
    """Remove what runs that were killed have left beside files, or in folders that end in a slash.

    To be called under the lock.
    """
    for folder in {_folder(place) for place in places}:
        for name in names(folder):
            if name.startswith(_TEMPORARY):
                left = os.path.join(folder, name)
                log.info("removed %s, left by a run that was killed", shown(left))
                with contextlib.suppress(OSError):
                    os.unlink(raw(left))


def _folder(place: str) -> str:
    path = text_of(os.path.realpath(raw(place)))
    return path if place.endswith(FOLDER) else os.path.dirname(path)


def _make_folder(path: bytes) -> None:
    """Make a folder that everybody can look into, whatever the umask."""
    os.mkdir(path)
    os.chmod(path, 0o755)


def _remove_folder(path: bytes) -> None:
    """Remove a folder; one in which somebody has put something stays."""
    try:
        os.rmdir(path)
    except OSError as err:
        if err.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def _write(path: bytes, text: str) -> None:
    """Replace a file in one rename, keeping mode, owner and extended attributes (SELinux label)."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, raw(f"{_TEMPORARY}{secrets.token_hex(8)}"))
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding=ENCODING, errors=ERRORS, newline="") as f:
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


def _take_over(path: bytes, temporary: bytes, descriptor: int) -> None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        os.fchmod(descriptor, 0o644)
        return
    os.fchown(descriptor, status.st_uid, status.st_gid)
    shutil.copystat(path, temporary)
    os.utime(temporary)


def _sync_folder(folder: bytes) -> None:
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
        with contextlib.suppress(OSError):
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
