"""Packets as they pass a host's NICs, captured without tcpdump.

::

    with Capture(network.server, ["eth0", "eth1"]) as capture:
        ping(network.pc2, "192.168.1.220")
        capture.settle(2)
    assert capture.arrived_on("192.168.1.220") == {"eth1"}
    assert capture.left_by("192.168.1.220") == {"eth0"}
"""

import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from hosts import entered

_ETH_P_ALL, _ETH_P_IP, _ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_PACKET_OTHERHOST, _PACKET_OUTGOING = 3, 4
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_BUFFER = 4 << 20
_SNAPLEN = 256

# Where a header keeps its protocol and addresses, and what tcpdump calls the family.
_HEADERS = {
    _ETH_P_IP: (4, 9, slice(12, 16), slice(16, 20)),
    _ETH_P_IPV6: (6, 6, slice(8, 24), slice(24, 40)),
}
_NAMES = {4: ("IP", "ICMP"), 6: ("IP6", "ICMP6,")}
_ECHOES = {
    (socket.IPPROTO_ICMP, 8): "echo-request",
    (socket.IPPROTO_ICMP, 0): "echo-reply",
    (socket.IPPROTO_ICMPV6, 128): "echo-request",
    (socket.IPPROTO_ICMPV6, 129): "echo-reply",
}
_PORTED = {socket.IPPROTO_UDP: "udp", socket.IPPROTO_TCP: "tcp"}


@dataclass(frozen=True)
class Packet:
    """One packet on one device.

    ``direction`` is in or out, ``kind`` echo-request, echo-reply, udp, tcp or other, and
    ``numbers`` an echo's id and seq, or the source and destination port.
    """

    device: str
    direction: str
    family: int
    src: str
    dst: str
    kind: str
    time: float
    numbers: tuple = ()

    def __str__(self):
        """Return the packet in tcpdump's words."""
        clock = datetime.fromtimestamp(self.time).strftime("%H:%M:%S.%f")
        ip, icmp = _NAMES[self.family]
        src, dst, what = self.src, self.dst, self.kind
        if self.kind in _PORTED.values():
            src, dst = (f"{end}.{port}" for end, port in zip((src, dst), self.numbers, strict=True))
        elif self.numbers:
            ident, seq = self.numbers
            what = f"{icmp} {self.kind.replace('-', ' ')}, id {ident}, seq {seq}"
        return f"{clock} {ip} {src} > {dst}: {what}"


def _content(protocol, data):
    """Return kind and numbers of what follows the IP header."""
    try:
        if protocol in _PORTED:
            return _PORTED[protocol], struct.unpack_from("!HH", data)
        if kind := _ECHOES.get((protocol, data[0])):
            return kind, struct.unpack_from("!HH", data, 4)
    except (IndexError, struct.error):
        pass  # shorter than it should be
    return "other", ()


def _packet(data, sender, moment):
    """Return what a packet socket received as a ``Packet``, or None if that is none of ours."""
    device, ethertype, packet_type = sender[:3]
    # A bridge floods what it has not learnt yet: such a packet is not for this NIC.
    if ethertype not in _HEADERS or packet_type == _PACKET_OTHERHOST:
        return None
    family, protocol, src, dst = _HEADERS[ethertype]
    length = (data[0] & 0xF) * 4 if ethertype == _ETH_P_IP else dst.stop
    direction = "out" if packet_type == _PACKET_OUTGOING else "in"
    ends = [str(ip_address(data[end])) for end in (src, dst)]
    kind, numbers = _content(data[protocol], data[length:])
    return Packet(device, direction, family, *ends, kind, moment, numbers)


def _open(device):
    """Return a socket that hears the device, both directions, from now on."""
    # No protocol before the device is known, or packets of other devices would come in too.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.setblocking(False)
    sock.bind((device, _ETH_P_ALL))
    return sock


def _receive(sock):
    data, control, _flags, sender = sock.recvmsg(_SNAPLEN, socket.CMSG_SPACE(16))
    moment = time.time()
    for _level, _type, stamp in control:  # the only one asked for: the kernel's time
        seconds, nanoseconds = struct.unpack("@ll", stamp[: struct.calcsize("@ll")])
        moment = seconds + nanoseconds / 1e9
    return _packet(data, sender, moment)


class Capture:
    """Collects the IP packets that pass some devices of a host, while its block runs."""

    def __init__(self, host, devices):
        self._host = host
        self._devices = list(devices)
        self._packets = []
        self._changed = threading.Condition()

    def __enter__(self):
        """Start; when this returns, no packet is missed any more."""
        with entered(self._host):
            self._sockets = [_open(device) for device in self._devices]
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind, *_exception):
        """Stop; packets that did not fit into the buffers are an error, not a silent gap."""
        self._stop.close()
        self._thread.join()
        self._stopped.close()
        for sock in self._sockets:  # what came in before the end of the block still counts
            while self._take(sock):
                pass
        dropped = sum(map(_drops, self._sockets))
        for sock in self._sockets:
            sock.close()
        if dropped and kind is None:
            raise RuntimeError(f"the capture missed {dropped} packets")

    def _collect(self):
        with selectors.DefaultSelector() as selector:
            for sock in (*self._sockets, self._stopped):
                selector.register(sock, selectors.EVENT_READ)
            while True:
                for key, _events in selector.select():
                    if key.fileobj is self._stopped:
                        return
                    self._take(key.fileobj)

    def _take(self, sock):
        """Take one packet from the socket; tell whether there was one."""
        try:
            packet = _receive(sock)
        except BlockingIOError:
            return False
        except OSError:  # the link went down: reported once, and the socket hears on
            return True
        if packet:
            with self._changed:
                self._packets.append(packet)
                self._changed.notify_all()
        return True

    @property
    def packets(self):
        """Return the packets so far, in the order in which the kernel saw them."""
        with self._changed:
            return sorted(self._packets, key=lambda packet: packet.time)

    def _count(self):
        return sum(packet.kind != "other" for packet in self._packets)

    def settle(self, expected=None, quiet=0.2, timeout=3.0):
        """Wait until ``expected`` packets came, or none for ``quiet`` seconds; return them all.

        Neighbour discovery and the like do not count. With ``expected`` given, a count not
        reached within ``timeout`` ends the wait too: what is missing shows in the packets.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while (left := deadline - time.monotonic()) > 0:
                before = self._count()
                if expected is not None and before >= expected:
                    break
                self._changed.wait_for(
                    lambda seen=before: self._count() > seen,
                    left if expected is not None else min(quiet, left),
                )
                if expected is None and self._count() == before:
                    break
        return self.packets

    def arrived_on(self, address, kind="echo-request"):
        """Return the devices on which packets of that kind for the address came in."""
        return self._devices_of("in", kind, lambda packet: packet.dst, address)

    def left_by(self, address, kind="echo-reply"):
        """Return the devices by which packets of that kind from the address went out."""
        return self._devices_of("out", kind, lambda packet: packet.src, address)

    def _devices_of(self, direction, kind, end, address):
        return {
            packet.device
            for packet in self.packets
            if (packet.direction, packet.kind) == (direction, kind)
            and ip_address(end(packet)) == ip_address(address)
        }

    def replies(self, address):
        """Return the echo replies that went out with the address as their source."""
        return [
            packet
            for packet in self.packets
            if (packet.direction, packet.kind) == ("out", "echo-reply")
            and ip_address(packet.src) == ip_address(address)
        ]


def _drops(sock):
    statistics = sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
    _received, dropped = struct.unpack("@II", statistics)
    return dropped
