"""Backend ``none``: the kernel only. Nothing is kept in files, all of it is gone at reboot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAME = "none"


def in_charge() -> bool:
    """Tell whether ``backend: auto`` may choose it: never, somebody has to say so."""
    return False


def read() -> dict[str, str]:
    """Return path -> text of the files it keeps: none."""
    return {}


def interface(_dev: str) -> tuple[tuple[Any, ...], dict[int, str]]:
    """Return (addresses, gateways) that its files give an interface: none."""
    return (), {}


def render(
    _texts: Mapping[str, str],
    _policies: Mapping[str, Any],
    _owned: frozenset[int],
    _tables: Mapping[str, int],
) -> dict[str, str | None]:
    """Return path -> new text of files to change: none."""
    return {}


def owned(
    _texts: Mapping[str, str], _owned: frozenset[int], _tables: Mapping[str, int]
) -> dict[str, frozenset[int]]:
    """Return path -> ids of the owned tables that the file has lines for: none."""
    return {}


def device(_path: str) -> str | None:
    """Return the interface a file is for: it has no files."""
    return None
