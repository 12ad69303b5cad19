"""Reading the outside, once a run: kernel, rt_tables and what the network managers keep.

Thin: what is found is handed on as plain data. Nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import multihoming_backend as backend_
import multihoming_config as config
import multihoming_files as files
import multihoming_kernel as kernel
import multihoming_rt_tables as rt_tables
import multihoming_work as work
from multihoming_backend import AUTO, NONE, Claim, Kept
from multihoming_errors import HostError
from multihoming_work import Goal, Seen


def read_tables() -> rt_tables.Tables:
    """Return rt_tables and its drop-ins as they stand; raises TableError or FileError."""
    names = files.names(rt_tables.DROP_INS)
    shipped = {folder: files.names(folder) for folder in rt_tables.SHIPPED}
    paths, drop_in = rt_tables.sources(
        os.path.exists(rt_tables.ETC), os.path.isdir(rt_tables.DROP_INS), names, shipped
    )
    texts = {path: text for path in paths if (text := files.read(path)) is not None}
    folders = (os.path.dirname(rt_tables.ETC), rt_tables.DROP_INS) if drop_in else ()
    return rt_tables.parse(texts, drop_in, [each for each in folders if not os.path.isdir(each)])


def look(wanted: config.Config, scope: frozenset[str] | None, errors: list[str]) -> Seen:
    """Read what a run for ``wanted`` needs.

    scope
        Names of the only tables to touch; None for all that are owned.
    errors
        Gets a message for each interface that no backend can be chosen for.

    Raises what is expected when something can't be read.
    """
    tables = read_tables()
    ids = work.ids_to_read(tables, wanted, scope)
    state = kernel.read(sorted(ids), defaults=work.needs_defaults(wanted))
    keepers, names = _keepers(wanted, state.links, errors)
    chosen = wanted.default_gateway is not None
    kept = keep(names, keepers, work.devices_to_read(wanted, state.links), chosen)
    return Seen(tables, state, keepers, kept)


def again(goal: Goal, seen: Seen) -> Seen:
    """Read once more what the outcome is compared with."""
    state = kernel.read(sorted(goal.ours.tables), defaults=goal.chosen is not None)
    kept = keep(seen.kept, seen.keepers, [], goal.chosen is not None)
    return Seen(read_tables(), state, seen.keepers, kept)


def keep(
    names: Iterable[str],
    keepers: Mapping[str, str],
    devices: Iterable[str],
    default: bool = False,
) -> dict[str, Kept]:
    """Return what backends keep: of each the interfaces among ``devices`` that are its own."""
    devices = list(devices)
    own = {name: [dev for dev in devices if keepers.get(dev) == name] for name in names}
    return {name: backend_.named(name).look(mine, default) for name, mine in own.items()}


def claims(devices: Iterable[str]) -> dict[str, Mapping[str, Claim]]:
    """Return name -> which of the interfaces each backend is in charge of."""
    devices = list(devices)
    return {name: backend_.named(name).claims(devices) for name in backend_.BACKENDS}


def in_charge(devices: Iterable[str]) -> list[str]:
    """Return the names of the backends that are in charge of any of the interfaces."""
    return [name for name, claimed in claims(devices).items() if claimed]


def unkept(wanted: config.Config, links: Iterable[str]) -> list[str]:
    """Return a message for each interface of the pillar that no backend can be chosen for."""
    errors: list[str] = []
    _keepers(wanted, links, errors)
    return errors


def _keepers(
    wanted: config.Config, links: Iterable[str], errors: list[str]
) -> tuple[dict[str, str], list[str]]:
    """Return (interface -> its backend's name, the names of all that concern the run)."""
    declared = {each.dev: each for each in wanted.interfaces.values()}
    devices = [*dict.fromkeys([*links, *declared])]
    written = {dev: each.backend or wanted.backend for dev, each in declared.items()}
    written = {dev: written.get(dev, wanted.backend) for dev in devices}
    claimed = claims(devices) if AUTO in {*written.values(), wanted.backend} else {}
    found, trouble = backend_.choose(devices, written, claimed)
    # With `auto` whoever is in charge of anything may keep what is no longer declared.
    names = [name for name in backend_.BACKENDS if claimed.get(name)]
    if wanted.backend == AUTO and not names and not {*found.values()}:
        errors.append(
            f"backend: no network manager that is supported was found on this host; write "
            f"{backend_.suggestion()}"
        )
    else:
        errors += [
            f"interfaces.{dev}.backend: {why}"
            for dev, why in trouble.items()
            if dev in declared and dev in links
        ]
    named = [*names, *([] if wanted.backend == AUTO else [wanted.backend]), *found.values()]
    return {dev: found.get(dev, NONE) for dev in devices}, list(dict.fromkeys(named))


def backends(
    name: Any, links: Iterable[str], errors: list[str]
) -> tuple[dict[str, str], list[str]]:
    """Return (interface -> its backend's name, the names of all that concern the host).

    name
        ``backend`` as in the pillar.
    errors
        Gets a message when nothing is in charge.

    Raises HostError when there is no backend of that name.
    """
    try:
        wanted = config.Config(backend=config.check_backend(name))
    except ValueError as err:
        raise HostError([f"backend: {err}"]) from None
    return _keepers(wanted, links, errors)
