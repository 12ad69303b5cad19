"""Backend ``none``: the kernel only. Nothing is kept, and all of it is gone at the next start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from multihoming_backend import Backend, Claim, Kept, Line, Stamps
from multihoming_edit import Edit
from multihoming_model import Route

NAME = "none"
STAMPS = Stamps()
PATIENCE = 0.0
FOLDERS: Sequence[str] = ()


def claims(_devices: Iterable[str]) -> dict[str, Claim]:
    """Claim nothing: somebody has to ask for it."""
    return {}


def look(_devices: Iterable[str], _default: bool = False) -> Kept:
    """Return that nothing is kept."""
    return Kept()


def unloaded(_places: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return that there is nothing to load."""
    return {}


def lines(_kept: Kept, _tables: Mapping[str, int]) -> list[Line]:
    """Return no lines."""
    return []


def defaults(_kept: Kept) -> list[Route]:
    """Return no default routes."""
    return []


def chosen_default(_kept: Kept) -> dict[str, str]:
    """Return that nothing names an interface."""
    return {}


def problems(_kept: Kept, _default: Any) -> list[str]:
    """Return that nothing is in the way."""
    return []


def render(
    _kept: Kept,
    _policies: Any,
    _ours: Any,
    _tables: Mapping[str, int],
    _future: Mapping[str, int],
    _default: Any = None,
) -> list[Edit]:
    """Return no edits."""
    return []


def write(_edits: Sequence[Edit]) -> None:
    """Do nothing."""


def activate(_devices: Sequence[str]) -> None:
    """Do nothing."""


def findings(_kept: Kept, _survey: Any) -> list[Any]:
    """Return that nothing is wrong."""
    return []


if TYPE_CHECKING:
    import multihoming_backend_none as this_module

    KEPT_CONTRACT: Backend = this_module
