"""Importing rooms when they are asked for: a run loads what it uses.

Salt takes the folder of shared code off ``sys.path`` once a module has been loaded
(``LazyLoader._load_module()`` in salt/loader/lazy.py), so that a later import has to put it back.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def shared_code() -> Iterator[None]:
    """Let rooms be imported within.

    .. code-block:: python

        with shared_code():
            import multihoming_ask as ask
    """
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
