"""The contract between this package and a network manager; the rest of the code knows no other.

A backend is a module ``multihoming_backend_NAME.py`` with the functions of ``Backend``, entered in
``BACKENDS``. Plain data goes in and comes out: what a manager keeps is looked at once a run
(``look``), what should be there instead is decided without another look (``render``, ``problems``),
and edits are written (``write``) once the kernel has what they say. See CONTRIBUTING.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from multihoming_edit import Edit
from multihoming_lazy import room
from multihoming_model import Policy, Route, Rule
from multihoming_numbers import BOOT, UNSPEC
from multihoming_rules import Ours
from multihoming_values import Address

AUTO = "auto"


class Claim(NamedTuple):
    """That a backend is in charge of an interface.

    sign
        What tells so, for people: a file, a profile's name.
    sure
        Something names this very interface. A claim that is not gives way to one that is.
    """

    sign: str
    sure: bool = True


class Said(NamedTuple):
    """What an interface's configuration says of it.

    addresses
        In the order in which they are configured.
    gateways
        Family -> next hop of its default route.
    dynamic
        The families whose addresses come from DHCP or router advertisements.
    """

    addresses: tuple[Address, ...] = ()
    gateways: Mapping[int, str] = {}
    dynamic: frozenset[int] = frozenset()


class Kept(NamedTuple):
    """What a backend keeps, read once.

    texts
        Place -> text: every place that edits may change, or that is read again by the backend.
    interfaces
        Interface -> what its configuration says.
    unreadable
        Interface -> why that can't be understood, naming place and line.
    unloaded
        Place -> why the manager will make nothing of its lines, and the remedy.
    """

    texts: Mapping[str, str] = {}
    interfaces: Mapping[str, Said] = {}
    unreadable: Mapping[str, str] = {}
    unloaded: Mapping[str, tuple[str, str]] = {}


class Line(NamedTuple):
    """A route or rule in what a backend keeps.

    raw
        The line as it stands there.
    table
        The table that it names, by name or number; None for main.
    item
        What the manager makes of it, None when that can't be told or is refused.
    lost
        Nothing is made of it where it stands.
    """

    place: str
    device: str | None
    raw: str
    table: str | None = None
    item: Route | Rule | None = None
    lost: bool = False


class Default(NamedTuple):
    """The interface whose gateways main should use from the next start on.

    own
        It is one of the backend's own; other backends only have to keep out of its way.
    """

    interface: str
    gateways: Mapping[int, str]
    own: bool = True


class Stamps(NamedTuple):
    """The protocol numbers (rtm_protocol) that a manager's loader puts on routes and rules.

    Live ones carry the same, or the next start would make a second copy of each.
    """

    route: int = BOOT
    rule: int = UNSPEC

    def put_on(self, item: Any) -> Any:
        """Return a route or rule with the protocol that the loader puts on it."""
        protocol = self.rule if isinstance(item, Rule) else self.route
        return item if item.protocol == protocol else item._replace(protocol=protocol)


class Backend(Protocol):
    """One network manager. Functions that are not said to look outside are pure."""

    NAME: str
    """What people write as ``backend``."""
    STAMPS: Stamps
    PATIENCE: float
    """For how many seconds the manager may need to take over an edit; 0 when it takes none."""
    FOLDERS: Sequence[str]
    """Where ``write`` makes files, each ending in a slash: what killed runs left there goes."""

    def claims(self, devices: Iterable[str]) -> Mapping[str, Claim]:
        """Look which of the interfaces the manager is in charge of, and by what sign."""

    def look(self, devices: Iterable[str], default: bool = False) -> Kept:
        """Look at what the manager keeps.

        devices
            The interfaces of which it matters what their configuration says.
        default
            It matters what becomes of main's default route at the next start, whichever interface
            it is of.

        Raises FileError or BackendError when something can't be read.
        """

    def unloaded(self, places: Iterable[str]) -> Mapping[str, tuple[str, str]]:
        """Look which places the manager would make nothing of: place -> why, and the remedy.

        They need not be there yet.
        """

    def lines(self, kept: Kept, tables: Mapping[str, int]) -> Sequence[Line]:
        """Return the routes and rules in it, in the manager's order.

        tables
            Name -> id, from rt_tables.
        """

    def defaults(self, kept: Kept) -> Sequence[Route]:
        """Return main's default routes that the manager makes, if each interface had its way."""

    def chosen_default(self, kept: Kept) -> Mapping[str, str]:
        """Return setting -> the interface that it names for main's default route.

        Raises ContentError when it can't be understood.
        """

    def problems(self, kept: Kept, default: Default) -> Sequence[str]:
        """Return what would keep ``default`` from its effect, with the remedy."""

    def render(
        self,
        kept: Kept,
        policies: Mapping[str, Policy],
        ours: Ours,
        tables: Mapping[str, int],
        future: Mapping[str, int],
        default: Default | None = None,
    ) -> Sequence[Edit]:
        """Return the edits after which the manager keeps the policies, and nothing else of ours.

        policies
            Interface -> what has to be kept for it; those of other backends are not among them.
        ours
            What is owned: lines that make it are ours, all others stay to the letter.
        tables, future
            Name -> id, from rt_tables as it is and as it will be.

        No edits when all is as it should be. Raises ContentError when a place that has to change
        can't be understood.
        """

    def write(self, edits: Sequence[Edit]) -> None:
        """Make the edits, in their order.

        One whose place says ``after`` already is done; where it says neither that nor ``before``,
        somebody else has been there and nothing is written. Raises FileError or BackendError at
        the first that fails.
        """

    def activate(self, devices: Sequence[str]) -> None:
        """Make the manager take what the kernel has for its own, after edits; harm nobody else.

        devices
            The interfaces whose policy has changed.

        Raises BackendError.
        """

    def findings(self, kept: Kept, survey: Any) -> Iterable[Any]:
        """Return what is wrong with the manager's own configuration, for ``diagnose``.

        survey
            A ``multihoming_survey.Survey``; what is returned are ``multihoming_finding.Finding``.
        """


# What people may write as `backend`, besides `auto` -> the module, imported when it is asked for: a
# host needs one or two of them. Each says of itself, for mypy, that it keeps the contract.
BACKENDS = {
    "network-scripts": "multihoming_backend_network_scripts",
    "none": "multihoming_backend_none",
}
# Keeps nothing: what the kernel has is gone at the next start.
NONE = "none"
PLANNED = ("networkmanager", "networkd", "netplan", "ifupdown", "wicked")


def named(name: str) -> Backend:
    """Return the backend of a name from ``BACKENDS``."""
    module: Backend = room(BACKENDS[name])
    return module


def suggestion() -> str:
    """Return what people may write as ``backend`` when nothing tells, in words."""
    real = ", ".join(f"`backend: {name}`" for name in BACKENDS if name != NONE)
    return f"{real}, or `backend: {NONE}` for the kernel only (gone at reboot)"


def choose(
    devices: Iterable[str], written: Mapping[str, str], claims: Mapping[str, Mapping[str, Claim]]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return (interface -> name of its backend, interface -> why there is none).

    written
        Interface -> what the pillar says, ``auto`` for who is in charge.
    claims
        Name of a backend -> what it claims.
    """
    found: dict[str, str] = {}
    trouble: dict[str, str] = {}
    for dev in devices:
        name = written.get(dev, AUTO)
        claiming = {each: claimed[dev] for each, claimed in claims.items() if dev in claimed}
        sure = {each: claim for each, claim in claiming.items() if claim.sure}
        candidates = sure or claiming
        if name != AUTO:
            found[dev] = name
        elif len(candidates) == 1:
            found[dev] = next(iter(candidates))
        elif candidates:
            shown = " and ".join(f"{each} ({claim.sign})" for each, claim in candidates.items())
            ways = " or ".join(f"`backend: {each}`" for each in candidates)
            trouble[dev] = f"{shown} are in charge of {dev} at once; write {ways} there"
        else:
            trouble[dev] = (
                f"no network manager that is supported is in charge of {dev}; write {suggestion()}"
            )
    return found, trouble
