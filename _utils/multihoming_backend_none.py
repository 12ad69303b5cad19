"""Backend ``none``: the kernel only. Nothing is kept in files, all of it is gone at reboot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

NAME = "none"


def in_charge() -> bool:
    """Tell whether ``backend: auto`` may choose it: never, somebody has to say so."""
    return False


def read() -> dict[str, str]:
    """Return path -> text of the files it keeps: none."""
    return {}


def interfaces(_devices: Iterable[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what its files say of interfaces, and what can't be understood: nothing."""
    return {}, {}


def defaults(_dev: str, _gateways: Mapping[int, str]) -> tuple[list[Any], list[str]]:
    """Return the default routes that its files make, and what is in the way: nothing."""
    return [], []


def keep_default(_dev: str, _gateways: Mapping[int, str]) -> list[Any]:
    """Return the edits of files that choose the default gateway: none."""
    return []


def chosen_default() -> dict[str, str]:
    """Return variable -> the interface that its files name for the default route: none."""
    return {}


def rules(_texts: Mapping[str, str], _tables: Mapping[str, int]) -> list[Any]:
    """Return the rules that the files make the scripts load: none."""
    return []


def render(
    _texts: Mapping[str, str],
    _policies: Mapping[str, Any],
    _ours: Any,
    _tables: Mapping[str, int],
    _future: Mapping[str, int],
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
