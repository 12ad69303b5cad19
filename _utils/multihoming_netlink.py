"""The routes of one table, and the news that rules change, from the kernel over rtnetlink(7).

``ip`` can ask the kernel for a single table only when it is started once for each: in batch mode
it leaves NETLINK_GET_STRICT_CHK off and every ``route show table N`` dumps the whole host. With a
thousand tables, or a full BGP feed in main, neither will do, so routes are asked for here, and
handed on in the words of ``ip -json -N -details route show``. All else is read with ``ip``, which
does not tell whether rules changed while it read them: that is asked for here as well.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import multihoming_text as text
from multihoming_attributes import ADDRESS, FEATURES, PREFERENCE, REALMS, ROUTE, TEXT, Kind

_SOL_NETLINK = 270
_NETLINK_GET_STRICT_CHK = 12
_NLM_F_REQUEST = 0x1
_NLM_F_DUMP = 0x300
_NLM_F_DUMP_INTR = 0x10
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_RTM_NEWROUTE = 24
_RTM_GETROUTE = 26
_RTM_F_CLONED = 0x200

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_RTMSG = struct.Struct("=BBBBBBBBI")  # struct rtmsg
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr
_NEXTHOP = struct.Struct("=HBBi")  # struct rtnexthop
_U32 = struct.Struct("=I")
_S32 = struct.Struct("=i")

# What a route is made of; the numbers of its other attributes stand in their table.
_RTA_DST, _RTA_SRC, _RTA_OIF, _RTA_GATEWAY = 1, 2, 4, 5
_RTA_METRICS, _RTA_MULTIPATH, _RTA_TABLE, _RTA_VIA, _RTA_ENCAP_TYPE = 8, 9, 15, 18, 21
_NESTED = 0x8000

_ONLINK = 4  # RTNH_F_ONLINK
_LOCK = 1  # RTAX_LOCK has a bit for each metric
_NAMED_FEATURES = {1: "ecn", 16: "tcp_usec_ts"}  # RTAX_FEATURE_...
# linux/lwtunnel.h; what else there is to a tunnel is not read.
_ENCAPS = dict(enumerate("mpls ip ila ip6 seg6 bpf seg6local rpl ioam6 xfrm".split(), 1))
_PREFERENCES = {0: "medium", 1: "high", 3: "low"}
_ADDRESS_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
# RTNLGRP_IPV4_RULE is 8 and RTNLGRP_IPV6_RULE 19; a socket is bound to groups as bits.
_RULE_GROUPS = {4: 1 << (8 - 1), 6: 1 << (19 - 1)}
# Rules and routes change while a dump runs; more tries than this mean a host that never rests.
_TRIES = 5


class RouteSocket:
    """A netlink socket for dumps of routes; use it with ``with``."""

    def __init__(self) -> None:
        """Open the socket and switch on the kernel's own filtering (Linux 4.20)."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._sequence = 0
        # An older kernel sends every table; _wanted() sorts out the one that was asked for.
        with contextlib.suppress(OSError):
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)

    def __enter__(self) -> RouteSocket:
        """Return the open socket."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self._socket.close()

    def routes(
        self,
        family: int,
        table: int | None,
        names: Mapping[int, str],
        route_type: int = 0,
        protocol: int = 0,
        default: bool = False,
        most: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return the routes of a table as ``ip -json -N -details route show`` would print them.

        family
            4 or 6.
        table
            The table's id; one that does not exist has no routes. None for all tables, each
            route then says its own in ``table``.
        names
            Interface index -> name.
        route_type, protocol
            Only those of this type (RTN_...), of this origin (RTPROT_...).
        default
            Only the default routes.
        most
            Stop after so many; the kernel then still has more to say, and the socket is spent.

        Raises OSError when the kernel refuses.
        """
        for _ in range(_TRIES):
            try:
                dump = self._dump(family, table, route_type, protocol, default)
                return [
                    _route(message, names)
                    for message in itertools.islice(dump, most)
                    if route_type in (0, message[0][7]) and protocol in (0, message[0][5])
                ]
            except InterruptedError:
                continue
        raise OSError(errno.EAGAIN, f"the routes of table {table} keep changing while being read")

    def tables(self, family: int, protocol: int) -> set[int]:
        """Return the ids of the tables that hold routes of a protocol (rtm_protocol).

        Raises OSError when the kernel refuses.
        """
        for _ in range(_TRIES):
            try:
                return {
                    _table(*message) for message in self._dump(family, None, 0, protocol, False)
                }
            except InterruptedError:
                continue
        raise OSError(errno.EAGAIN, "the routes keep changing while being read")

    def _dump(
        self, family: int, table: int | None, route_type: int, protocol: int, default: bool
    ) -> Iterator[tuple[tuple[int, ...], dict[int, bytes]]]:
        self._send(family, table, route_type, protocol)
        interrupted = False
        while True:
            data = self._socket.recv(1 << 20)
            offset = 0
            while offset < len(data):
                length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
                body = data[offset + _HEADER.size : offset + length]
                offset += (length + 3) & ~3
                if sequence != self._sequence:
                    continue
                interrupted = interrupted or bool(flags & _NLM_F_DUMP_INTR)
                if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                    _raise(body)
                    if interrupted:
                        raise InterruptedError
                    return
                header = _RTMSG.unpack_from(body)
                if default and header[1]:
                    continue
                attributes = _attributes(body[_RTMSG.size :])
                if kind == _RTM_NEWROUTE and _wanted(header, attributes, table):
                    yield header, attributes

    def _send(self, family: int, table: int | None, route_type: int, protocol: int) -> None:
        self._sequence += 1
        body = _RTMSG.pack(_ADDRESS_FAMILIES[family], 0, 0, 0, 0, protocol, 0, route_type, 0)
        if table is not None:
            body += _ATTRIBUTE.pack(8, _RTA_TABLE) + _U32.pack(table)
        header = _HEADER.pack(
            _HEADER.size + len(body),
            _RTM_GETROUTE,
            _NLM_F_REQUEST | _NLM_F_DUMP,
            self._sequence,
            0,
        )
        self._socket.send(header + body)


class RuleWatch:
    """Tells whether the rules of a family change; use it with ``with``. Takes no privilege."""

    def __init__(self, family: int) -> None:
        """Have the kernel tell of each rule that comes or goes from now on; raises OSError."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        try:
            self._socket.bind((0, _RULE_GROUPS[family]))
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> RuleWatch:
        """Return the watch."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self._socket.close()

    def changed(self) -> bool:
        """Tell whether rules changed since the last time this was asked, or since the start."""
        changed = False
        while True:
            try:
                # That there is news is all that counts, so what is cut off is no loss.
                self._socket.recv(1, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return changed
            except OSError as err:
                if err.errno != errno.ENOBUFS:  # more news than the socket holds: news as well
                    raise
            changed = True


def _raise(body: bytes) -> None:
    """Raise the error that ends a dump; that the table does not exist is none."""
    code = -_S32.unpack_from(body)[0] if len(body) >= _S32.size else 0
    if code not in (0, errno.ENOENT):
        raise OSError(code, os.strerror(code))


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            break
        found[kind & ~_NESTED] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found


def _wanted(header: tuple[int, ...], attributes: Mapping[int, bytes], table: int | None) -> bool:
    return table in (None, _table(header, attributes)) and not header[8] & _RTM_F_CLONED


def _table(header: tuple[int, ...], attributes: Mapping[int, bytes]) -> int:
    return _u32(attributes, _RTA_TABLE) if _RTA_TABLE in attributes else header[4]


def _u32(attributes: Mapping[int, bytes], kind: int) -> int:
    return int(_U32.unpack_from(attributes[kind])[0]) if kind in attributes else 0


# --- what the bytes of an attribute say ---------------------------------------------------------


def _address(data: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)


def _number(data: bytes) -> int:
    return int(_U32.unpack_from(data)[0])


def _string(data: bytes) -> str:
    return text.read(data.rstrip(b"\0"))


def _flow(data: bytes) -> dict[str, str]:
    flow = _number(data)
    source = {"from": str(flow >> 16)} if flow >> 16 else {}
    return {**source, "to": str(flow & 0xFFFF)}


def _preference(data: bytes) -> str:
    return _PREFERENCES.get(data[0], str(data[0]))


_READERS: dict[Kind, Callable[[bytes], Any]] = {
    ADDRESS: _address,
    TEXT: _string,
    REALMS: _flow,
    PREFERENCE: _preference,
}
_VALUES = tuple(
    (entry.rta, entry.keys[0], _READERS.get(entry.kind, _number)) for entry in ROUTE if entry.rta
)
_METRICS = {
    entry.metric: (entry.keys[0], _READERS.get(entry.kind, _number))
    for entry in ROUTE
    if entry.metric and entry.kind is not FEATURES
}
_FEATURES = next(entry.metric for entry in ROUTE if entry.kind is FEATURES)
_LOCKABLE = tuple((entry.metric, entry.keys[0]) for entry in ROUTE if entry.lockable)

# --- one route ----------------------------------------------------------------------------------


def _route(
    message: tuple[tuple[int, ...], dict[int, bytes]], names: Mapping[int, str]
) -> dict[str, Any]:
    header, attributes = message
    family, dst_len, src_len, tos, _, protocol, scope, kind, flags = header
    route: dict[str, Any] = {
        "type": str(kind),
        "table": str(_table(header, attributes)),
        "dst": _prefix(attributes.get(_RTA_DST), dst_len, family),
        "protocol": str(protocol),
        "scope": str(scope),
        "flags": ["onlink"] if flags & _ONLINK else [],
    }
    if src_len:
        route["from"] = _prefix(attributes.get(_RTA_SRC), src_len, family)
    if tos:
        route["tos"] = f"{tos:#04x}"
    route.update(_hop(attributes, names, _u32(attributes, _RTA_OIF)))
    for number, key, read in _VALUES:
        if number in attributes:
            route[key] = read(attributes[number])
    if _RTA_METRICS in attributes:
        route["metrics"] = [_metrics(attributes[_RTA_METRICS])]
    if _RTA_MULTIPATH in attributes:
        route["nexthops"] = list(_nexthops(attributes[_RTA_MULTIPATH], names))
    return route


def _prefix(data: bytes | None, length: int, family: int) -> str:
    if data is None:
        return "default"
    full = 32 if family == socket.AF_INET else 128
    return _address(data) if length == full else f"{_address(data)}/{length}"


def _hop(attributes: Mapping[int, bytes], names: Mapping[int, str], index: int) -> dict[str, Any]:
    hop: dict[str, Any] = {}
    if _RTA_GATEWAY in attributes:
        hop["gateway"] = _address(attributes[_RTA_GATEWAY])
    if _RTA_VIA in attributes:
        hop["via"] = {"family": "inet6", "host": _address(attributes[_RTA_VIA][2:])}
    if _RTA_ENCAP_TYPE in attributes:
        kind = attributes[_RTA_ENCAP_TYPE][0]
        hop["encap"] = _ENCAPS.get(kind, str(kind))
    if index:
        hop["dev"] = names.get(index, f"if{index}")
    return hop


def _metrics(data: bytes) -> dict[str, Any]:
    """Return metric -> value, or ``lock VALUE``, which ``ip`` takes but leaves out of its JSON.

    A metric that is 0 is not sent, and ``ip`` locks rto_min unasked.
    """
    sent = _attributes(data)
    locked = _u32(sent, _LOCK)
    found: dict[str, Any] = {}
    for number, value in sent.items():
        if number in _METRICS:
            key, read = _METRICS[number]
            found[key] = read(value)
    for number, key in _LOCKABLE if locked else ():
        if locked & 1 << number:
            found[key] = f"lock {found.get(key, 0)}"
    if _FEATURES in sent:
        found.update(_features(_number(sent[_FEATURES])))
    return found


def _features(bits: int) -> dict[str, Any]:
    """Return the features that have a name, and all of them as a number if one has none."""
    found: dict[str, Any] = {name: None for bit, name in _NAMED_FEATURES.items() if bits & bit}
    return {**found, "features": hex(bits)} if bits & ~sum(_NAMED_FEATURES) else found


def _nexthops(data: bytes, names: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    offset = 0
    while offset + _NEXTHOP.size <= len(data):
        length, flags, hops, index = _NEXTHOP.unpack_from(data, offset)
        attributes = _attributes(data[offset + _NEXTHOP.size : offset + length])
        leg = _hop(attributes, names, index)
        yield {**leg, "weight": hops + 1, "flags": ["onlink"] if flags & _ONLINK else []}
        offset += (length + 3) & ~3
