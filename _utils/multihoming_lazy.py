"""Importing rooms when they are asked for: a run loads what it uses.

Salt takes the folder of shared code off ``sys.path`` once a module has been loaded
(``LazyLoader._load_module()`` in salt/loader/lazy.py), so that a later import has to put it back.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any


def room(name: str) -> Any:
    """Return a module of the shared code.

    .. code-block:: python

        ask = room("multihoming_ask")
    """
    if name in sys.modules:
        return sys.modules[name]
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path.append(folder)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)
