"""Which gateways answer on their link: asked with ARP (RFC 826) and neighbour discovery (RFC 4861).

Nothing changes on this host: the kernel makes no entry for an answer that it did not ask for.
"""

from __future__ import annotations

import contextlib
import fcntl
import select
import socket
import struct
import time
from collections.abc import Iterable, Mapping

import multihoming_text as text

_WAIT = 0.5
_AGAIN = 0.2
_ETH_P_ARP = 0x0806
_ARPHRD_ETHER = 1
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_BROADCAST = b"\xff" * 6
_SOLICITATION, _ADVERTISEMENT = 135, 136
_ICMP6_FILTER = 1
_SIOCGIFHWADDR = 0x8927

Asked = tuple[str, str]  # an interface and a gateway on its link


def silent(asked: Mapping[Asked, str]) -> frozenset[Asked] | None:
    """Return those that do not answer within half a second, None without the right to ask.

    asked
        (interface, gateway) -> the address of the interface to ask from; not empty.

    Interfaces without link-layer addresses of Ethernet's kind are passed over, and those whose name
    is no UTF-8, for which Python makes no address of packet(7).
    """
    made = {_arp_socket: False, _discovery_socket: True}
    try:
        with contextlib.ExitStack() as stack:
            sockets = {
                ipv6: stack.enter_context(make())
                for make, ipv6 in made.items()
                if any((":" in gateway) is ipv6 for _, gateway in asked)
            }
            any_socket = next(iter(sockets.values()))
            devices = {dev for dev, _ in asked}
            macs = {dev: mac for dev in devices if (mac := _mac(any_socket, dev))}
            waiting = {pair for pair in asked if pair[0] in macs}
            end, again = time.monotonic() + _WAIT, 0.0
            while waiting and (now := time.monotonic()) < end:
                if now >= again:
                    _ask(sockets, waiting, asked, macs)
                    again = now + _AGAIN
                waiting -= _answers(sockets, min(again, end) - now)
            return frozenset(waiting)
    except OSError:  # not root
        return None


def _arp_socket() -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ARP))
    sock.setblocking(False)
    return sock


def _discovery_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    # Discovery counts only when no router can have passed it on.
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    blocked = [0xFFFFFFFF] * 8
    blocked[_ADVERTISEMENT >> 5] &= ~(1 << (_ADVERTISEMENT & 31))
    sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *blocked))
    sock.setblocking(False)
    return sock


def _mac(sock: socket.socket, dev: str) -> bytes | None:
    """Return an interface's link-layer address, None when it has none of Ethernet's kind."""
    try:
        answer = fcntl.ioctl(sock, _SIOCGIFHWADDR, struct.pack("=16s24x", dev.encode()))
    except (OSError, UnicodeEncodeError):  # it went away meanwhile; its name is no UTF-8
        return None
    kind, mac = struct.unpack_from("=H6s", answer, 16)
    return bytes(mac) if kind == _ARPHRD_ETHER else None


def _ask(
    sockets: Mapping[bool, socket.socket],
    waiting: Iterable[Asked],
    asked: Mapping[Asked, str],
    macs: Mapping[str, bytes],
) -> None:
    for dev, gateway in waiting:
        with contextlib.suppress(OSError):  # a link that went down answers nothing
            if ":" in gateway:
                _solicit(sockets[True], dev, gateway, macs[dev])
            else:
                _request(sockets[False], dev, gateway, asked[dev, gateway], macs[dev])


def _request(sock: socket.socket, dev: str, gateway: str, own: str, mac: bytes) -> None:
    ends = (mac, socket.inet_aton(own), bytes(6), socket.inet_aton(gateway))
    message = _ARP.pack(_ARPHRD_ETHER, 0x0800, 6, 4, 1, *ends)
    sock.sendto(message, (dev, _ETH_P_ARP, 0, _ARPHRD_ETHER, _BROADCAST))


def _solicit(sock: socket.socket, dev: str, gateway: str, mac: bytes) -> None:
    target = socket.inet_pton(socket.AF_INET6, gateway)
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + target[13:]
    option = b"\x01\x01" + mac  # the source's link-layer address, to answer to
    message = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + target + option
    where = socket.inet_ntop(socket.AF_INET6, group)
    sock.sendto(message, (where, 0, 0, socket.if_nametoindex(text.for_locale(dev))))


def _answers(sockets: Mapping[bool, socket.socket], timeout: float) -> set[Asked]:
    """Wait for answers; return who answered."""
    ready, _, _ = select.select(list(sockets.values()), [], [], timeout)
    found: set[Asked] = set()
    for ipv6, sock in sockets.items():
        with contextlib.suppress(BlockingIOError):
            while sock in ready:
                found.update(_advertised(sock) if ipv6 else _replied(sock))
    return found


def _replied(sock: socket.socket) -> list[Asked]:
    try:
        data, sender = sock.recvfrom(2048)
    except UnicodeDecodeError:  # from an interface whose name is no UTF-8
        return []
    if len(data) < _ARP.size:
        return []
    return [(sender[0], socket.inet_ntoa(_ARP.unpack_from(data)[6]))]


def _advertised(sock: socket.socket) -> list[Asked]:
    data, control, _, _ = sock.recvmsg(2048, socket.CMSG_SPACE(20))
    if len(data) < 24 or not control:
        return []
    (index,) = struct.unpack_from("=I", control[0][2], 16)  # struct in6_pktinfo
    dev = text.of_locale(socket.if_indextoname(index))
    return [(dev, socket.inet_ntop(socket.AF_INET6, data[8:24]))]
