"""What an administrator can run into; anything else that is raised is a mistake of ours.

Each message says which key or file it is about, what is wrong, and what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from multihoming_text import shown

# For the modules that can't be loaded without it.
NO_NETADDR = (
    "multihoming needs the Python library netaddr: `salt-call pip.install netaddr`, or the state "
    "`multihoming`, which installs it. Where there is no package index: from a mirror (`salt-call "
    "pip.install netaddr index_url=URL`), from a wheel (`salt-call pip.install "
    "/tmp/netaddr-1.3.0-py3-none-any.whl`) or, where Salt runs on the distribution's Python, as "
    "its package (`salt-call pkg.install python3-netaddr`); the state takes these from the pillar "
    "`multihoming_netaddr`. With salt-ssh: `thin_extra_mods: netaddr` for the master, and "
    "`--regen-thin` once"
)


class ExpectedError(Exception):
    """What all of them have in common: a message that can be printed anywhere."""

    def __init__(self, message: str) -> None:
        """Take the message."""
        super().__init__(shown(message))


class KernelError(ExpectedError):
    """The kernel or ``ip`` refused; the message says what and what to do."""


class FileError(ExpectedError):
    """A file can't be read or written; the message names it and says why."""


class ContentError(ExpectedError, ValueError):
    """What a file says can't be understood; the message names file and line or variable."""


class TableError(ExpectedError, ValueError):
    """Something about rt_tables that the reader has to decide; the message says what to write."""


class BackendError(ExpectedError):
    """A network manager refused or can't be asked; the message names it and says what to do."""


class HostError(ExpectedError):
    """What keeps a run from its end; ``errors`` holds one message each."""

    def __init__(self, errors: Sequence[str]) -> None:
        """Take the messages."""
        super().__init__("\n".join(errors))
        self.errors = [shown(error) for error in errors]


@contextmanager
def as_host_error() -> Iterator[None]:
    """Turn what the rooms raise into a HostError."""
    try:
        yield
    except HostError:
        raise
    except ExpectedError as err:
        raise HostError([str(err)]) from err
