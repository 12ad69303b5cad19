"""The kernel's side: what it holds, read; and changes, committed all or not at all.

The only room that starts ``ip``. A read costs two processes however many interfaces there are, and
more only while somebody else changes what it reads; a commit one for each address family that
changes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import multihoming_iproute2 as iproute2
import multihoming_model as model
import multihoming_netlink as netlink
import multihoming_programs as programs
from multihoming_errors import KernelError
from multihoming_model import Answer, Link, LinkAddress, Rule, State, Step
from multihoming_numbers import FAMILIES, MAIN, REFUSING, TYPES
from multihoming_text import ENCODING, ERRORS, raw, shown

log = logging.getLogger(__name__)

NEEDED = "iproute2 5.2"  # the first whose `ip` has both -json for rules and -Numeric
_TIMEOUT = 120
_IF_INET6 = "/proc/self/net/if_inet6"
# Said on stderr, with exit status 0 (rtnl_dump_filter_l() in iproute2's lib/libnetlink.c).
_INTERRUPTED = "Dump was interrupted"
# What changes while it is read is read again, but not for ever.
_READINGS = 12

_Rules = tuple[Rule, ...]


def read(tables: Iterable[int] = (), defaults: bool = False) -> State:
    """Read interfaces, all rules and the routes of ``tables`` (ids).

    defaults
        Read main's default routes as well.

    Raises KernelError when ``ip`` is missing, too old or fails.
    """
    with _watch(4) as watch4, _watch(6) as watch6:
        addresses, shown = _show(["-details"], ["addr show", "rule show"])
        links = {entry["ifname"]: _link(entry) for entry in addresses if "ifname" in entry}
        first4, first6 = _rules_from_json(shown, 4), _rules(6)
        # Asked last: since Linux 6.15 the news may come a moment after the change, as fib_newrule()
        # gives back its lock first.
        rules = {4: _whole(4, first4, watch4), 6: _whole(6, first6, watch6)}
    names = {link.index: link.name for link in links.values()}
    with _route_socket() as kernel:
        found = {table: _routes(kernel, table, names) for table in tables}
        main = _routes(kernel, MAIN, names, True) if defaults else ()
    return State(links, rules, found, tuple(sorted(main, key=lambda route: route.metric)))


def routes(table: int | None = None) -> list[model.Route]:
    """Return the routes of one table (an id) or of all, both families; raises KernelError."""
    (addresses,) = _show([], ["addr show"])
    names = {entry["ifindex"]: entry["ifname"] for entry in addresses if "ifname" in entry}
    with _route_socket() as kernel:
        return list(_routes(kernel, table, names))


def tables(protocols: Iterable[int]) -> set[int]:
    """Return the ids of the tables with routes of the protocols; raises KernelError."""
    wanted = [(family, protocol) for family in families() for protocol in protocols]
    with _route_socket() as kernel:
        return {id_ for each in wanted for id_ in kernel.tables(*each)}


def policy_routes(
    tables: Iterable[int], links: Mapping[str, Link]
) -> dict[int, tuple[model.Route, ...]]:
    """Return table id -> its routes, both families; raises KernelError."""
    names = {link.index: link.name for link in links.values()}
    with _route_socket() as kernel:
        return {table: _routes(kernel, table, names) for table in tables}


def main_routes(
    links: Mapping[str, Link], protocols: Iterable[int], most: int
) -> tuple[tuple[model.Route, ...], bool]:
    """Return main's routes of some origins (RTPROT_...), and whether these are all.

    most
        Read no more than so many of an origin and family; a full BGP feed has a million.

    Raises KernelError.
    """
    names = {link.index: link.name for link in links.values()}
    found: list[model.Route] = []
    whole = True
    for family, protocol in itertools.product(families(), protocols):
        with _route_socket() as kernel:
            entries = kernel.routes(family, MAIN, names, protocol=protocol, most=most)
        whole = whole and len(entries) < most
        found += [iproute2.route_from_json(entry, family) for entry in entries]
    return tuple(found), whole


@contextlib.contextmanager
def _route_socket() -> Iterator[netlink.RouteSocket]:
    """Open a socket for dumps of routes; what fails on it becomes a KernelError."""
    try:
        with netlink.RouteSocket() as kernel:
            yield kernel
    except OSError as err:
        raise KernelError(f"reading the routes failed: {err.strerror}") from err


def _routes(
    kernel: netlink.RouteSocket,
    table: int | None,
    names: Mapping[int, str],
    default: bool = False,
) -> tuple[model.Route, ...]:
    return tuple(
        iproute2.route_from_json(entry, family)
        for family in families()
        for entry in kernel.routes(family, table, names, default=default)
    )


# A dump of many rules takes several messages, and to go on with the next one the kernel counts the
# rules that it has sent (dump_rules() in net/core/fib_rules.c). If some come or go in between,
# others are sent twice or passed over, and unlike with links, addresses and routes it is not said.


def _whole(family: int, rules: _Rules, watch: netlink.RuleWatch | None) -> _Rules:
    """Return the rules of a family, read while none of them changed.

    rules
        What was read since the watch began; read again if there is news.

    Where they never rest, each rule that any reading has is there, once: a reading may pass over
    rules, but invents none. One is passed over when another in front of it is there for a message
    and gone for the next, in a quarter of the readings at most, and in a dozen of them hardly ever.
    """
    readings = [rules]
    while not _is_whole(readings, watch):
        if len(readings) == _READINGS:
            log.info("the rules of IPv%d keep changing while being read", family)
            return _together(readings)
        readings.append(_rules(family))
    return readings[-1]


def _is_whole(readings: Sequence[_Rules], watch: netlink.RuleWatch | None) -> bool:
    """Tell whether no rule changed during the last reading; unwatched, whether two are the same."""
    return not watch.changed() if watch else readings[-1] in readings[-2:-1]


def _together(readings: Sequence[_Rules]) -> _Rules:
    """Return each rule of the readings once: those of the last one, the others where they stood.

    The kernel's order is that of the priorities, but where rules came in front, the next message
    may begin with a lower priority than the one before ended with.
    """
    order = list(dict.fromkeys(readings[-1]))
    known = set(order)
    for reading in readings[-2::-1]:
        for before, rule in zip((None, *reading), reading, strict=False):
            if rule not in known:
                known.add(rule)
                order.insert(order.index(before) + 1 if before else 0, rule)
    return tuple(sorted(order, key=lambda rule: rule.priority or 0))


@contextlib.contextmanager
def _watch(family: int) -> Iterator[netlink.RuleWatch | None]:
    """Watch the rules of a family; None where that is denied."""
    try:
        watch = netlink.RuleWatch(family)
    except OSError as err:
        log.info("the kernel does not tell of rules that change: %s", err.strerror)
        yield None
        return
    with watch:
        yield watch


def _rules(family: int) -> _Rules:
    """Read the rules of a family once."""
    if family not in families():
        return ()
    (shown,) = _show([f"-{family}", "-details"], ["rule show"])
    return _rules_from_json(shown, family)


def _rules_from_json(shown: Iterable[Mapping[str, Any]], family: int) -> _Rules:
    return tuple(iproute2.rule_from_json(entry, family) for entry in shown)


def families() -> tuple[int, ...]:
    """Return the families that the kernel speaks."""
    return FAMILIES if _has_ipv6() else (4,)


def _has_ipv6() -> bool:
    """Tell whether the kernel speaks IPv6: asked for what it does not know, it answers in IPv4."""
    return os.path.exists(_IF_INET6)


def _link(entry: Mapping[str, Any]) -> Link:
    addresses = tuple(
        LinkAddress(
            family=4 if info["family"] == "inet" else 6,
            address=info["local"],
            length=info["prefixlen"],
            permanent=not info.get("dynamic") and not info.get("temporary"),
            usable=not info.get("tentative") and not info.get("dadfailed"),
            peer=info.get("address"),
            temporary=bool(info.get("temporary")),
        )
        for info in entry.get("addr_info", ())
        if info.get("local") and info.get("scope") in ("global", "0")
    )
    flags = frozenset(entry.get("flags", ()))
    about = entry.get("linkinfo", {})
    kind = about.get("info_kind", "")
    table = int(about["info_data"]["table"]) if kind == "vrf" else None
    return Link(entry["ifname"], entry["ifindex"], "UP" in flags, addresses, flags, kind, table)


def route_get(questions: Sequence[Step]) -> list[Answer]:
    """Ask for the routes of packets, all in one process; see ip-route(8), ``route get``.

    Raises KernelError when ``ip`` is missing, too old or fails; that the kernel refuses a packet
    is an answer.
    """
    if not questions:
        return []
    text = "".join(f"{question.line}\n" for question in questions)
    # The family is told by the addresses.
    result = _run(["-details", "-json", "-N", "-force", "-batch", "-"], text)
    refused = _refusals(result.stderr)
    asked = [number for number in range(len(questions)) if number not in refused]
    try:
        # What `ip` says of a tunnel stands under the keys of the route, behind these.
        found = list(filter(None, _documents(result.stdout, _first)))
        given = dict(zip(asked, found, strict=True))
    except ValueError:
        raise KernelError(_too_old(result.stderr.strip())) from None
    return [
        Answer(None, refused[number])
        if number in refused
        else Answer(iproute2.route_from_json(given[number][0], question.family))
        for number, question in enumerate(questions)
    ]


def _refusals(text: str) -> dict[int, str]:
    """Return number of a line of the batch, from 0 -> what was said of it on stderr."""
    refused: dict[int, str] = {}
    said: list[str] = []
    for line in text.splitlines():
        failed = re.fullmatch(r"Command failed -:(\d+)", line)
        if failed:
            refused[int(failed[1]) - 1] = " ".join(said).removeprefix("RTNETLINK answers: ")
            said = []
        else:
            said.append(line)
    return refused


def refusing_routes(tables: Iterable[int], family: int) -> tuple[model.Route, ...]:
    """Return the routes of ``tables`` that send nothing: blackhole, unreachable, prohibit, throw.

    Raises KernelError.
    """
    with _route_socket() as kernel:
        return tuple(
            iproute2.route_from_json(entry, family)
            for table in tables
            for kind in (TYPES[name] for name in REFUSING)
            for entry in kernel.routes(family, table, {}, route_type=kind)
        )


def setting(family: int, dev: str, name: str) -> int | None:
    """Return ``net.ipvN.conf.DEV.NAME``, None when there is no such."""
    path = f"/proc/sys/net/ipv{family}/conf/{dev}/{name}"
    try:
        with open(raw(path), encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


# --- writing ----------------------------------------------------------------------------------


def commit(steps: Iterable[Step], force: bool = False) -> None:
    """Run the steps in order, those of IPv4 before those of IPv6.

    force
        Go on after a line that fails, and say nothing of it.

    Raises KernelError at the first that fails; what was done before stays done.
    """
    for family in FAMILIES:
        lines = [step.line for step in steps if step.family == family]
        if lines:
            _batch(family, lines, force)


def _batch(family: int, lines: Sequence[str], force: bool) -> None:
    options = [f"-{family}", *(["-force"] if force else []), "-batch", "-"]
    if log.isEnabledFor(logging.INFO):
        for line in lines:
            log.info("ip -%d %s", family, shown(line))
    result = _run(options, "".join(f"{line}\n" for line in lines))
    if result.returncode and not force:
        # There is no line number when `ip` was killed, or does not know a word.
        failed = re.search(r"Command failed -:(\d+)", result.stderr)
        line = f"ip -{family} {lines[int(failed[1]) - 1]}" if failed else f"ip -{family} -batch"
        said = [text for text in result.stderr.splitlines() if "Command failed -" not in text]
        reason = " ".join(said) or f"exit status {result.returncode}"
        raise KernelError(f"`{line}` failed: {reason}")


def _show(options: list[str], commands: list[str]) -> list[list[dict[str, Any]]]:
    for _ in range(_READINGS):
        result = _run([*options, "-json", "-N", "-batch", "-"], "\n".join(commands) + "\n")
        if _INTERRUPTED not in result.stderr:
            break
    else:
        raise KernelError("links and addresses keep changing while being read")
    try:
        if result.returncode:
            raise ValueError
        return [list(filter(None, document)) for document in _documents(result.stdout)]
    except ValueError:
        raise KernelError(_too_old(result.stderr.strip())) from None


def _first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object with the first value of each key."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return found


def _documents(
    text: str, as_dict: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> list[Any]:
    """Split what several commands of one batch print, one JSON array each.

    as_dict
        What becomes of the pairs of an object; the last of each key counts if nothing is said.
    """
    # Names and aliases may hold control characters, which `ip` prints as they are.
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=as_dict)
    documents = []
    start = re.compile(r"\S")
    end = 0
    while found := start.search(text, end):
        document, end = decoder.raw_decode(text, found.start())
        documents.append(document)
    return documents


def _too_old(error: str) -> str:
    version = _run(["-V"], "").stdout.strip() or "one that does not tell its version"
    if "unknown" in error or "option" in error.lower() or not error:
        return (
            f"{_ip()} is {version}, and too old: {NEEDED} or newer is needed, whose `ip` prints "
            "JSON (options -json and -N); install a newer iproute2 package"
        )
    return f"reading with {_ip()} ({version}) failed: {error}"


def _ip() -> str:
    found = programs.find("ip", ("/usr/sbin", "/sbin"))
    if not found:
        raise KernelError(
            "the command `ip` is not installed; install the package iproute2 (Debian, SUSE) or "
            f"iproute (Red Hat), {NEEDED} or newer"
        )
    return found


def _run(arguments: list[str], text: str) -> subprocess.CompletedProcess[str]:
    log.debug("running: ip %s", " ".join(arguments))
    try:
        return subprocess.run(
            [_ip(), *arguments],
            input=text,
            capture_output=True,
            encoding=ENCODING,
            errors=ERRORS,
            timeout=_TIMEOUT,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        raise KernelError(f"running `ip` failed: {err}") from err
