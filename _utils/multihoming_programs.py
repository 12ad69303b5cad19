"""Which file a program's name means: one of the system's, never one of where we happen to be.

A minion runs as root, and in a folder that others may write to as well may be. To a shell an empty
part of PATH is the current directory (IEEE Std 1003.1, "Environment Variables"), and so it is to
``subprocess``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable


def find(name: str, more: Iterable[str] = ()) -> str | None:
    """Return the path of a program in the absolute folders of PATH, else in ``more``."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep), *more]
    return shutil.which(name, path=os.pathsep.join(filter(os.path.isabs, folders)))
