"""Traffic for the lab's networks: pings, an echo server, and a load that counts every loss."""

import ipaddress
import json
import secrets
import select
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from hosts import entered

PORT = 7007
_PEERS = str(Path(__file__).with_name("peers.py"))
_START_TIMEOUT, _STOP_TIMEOUT = 15, 30
# protocol, type of the request, type of the reply
_ICMP = {
    4: (socket.IPPROTO_ICMP, 8, 0),
    6: (socket.IPPROTO_ICMPV6, 128, 129),
}


def ping(host, target, source=None, count=1, timeout=1.0):
    """Send ``count`` echo requests, each waited for up to ``timeout``; return the replies."""
    family = ipaddress.ip_address(target).version
    with entered(host):
        sock = _icmp_socket(family)
    with sock:
        if source:
            sock.bind((source, 0))
        ident = secrets.randbelow(0xFFFF) + 1
        return sum(_echo(sock, target, (ident, seq), timeout) for seq in range(1, count + 1))


def _icmp_socket(family):
    kind = {4: socket.AF_INET, 6: socket.AF_INET6}[family]
    return socket.socket(kind, socket.SOCK_RAW, _ICMP[family][0])


def _echo(sock, target, numbers, timeout):
    """Send one echo request and tell whether its reply came."""
    version = ipaddress.ip_address(target).version
    try:
        sock.sendto(_request(version, numbers), (target, 0))
    except OSError:  # no route: as good as no reply
        return False
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        if select.select([sock], [], [], left)[0] and _is_reply(sock, version, target, numbers):
            return True
    return False


def _request(version, numbers):
    header = struct.pack("!BBHHH", _ICMP[version][1], 0, 0, *numbers)
    data = header + bytes(56)
    # The kernel fills in the checksum of ICMPv6 only.
    return data[:2] + struct.pack("!H", _checksum(data)) + data[4:]


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _is_reply(sock, version, target, numbers):
    data, sender = sock.recvfrom(2048)
    header = (data[0] & 0xF) * 4 if sock.family == socket.AF_INET else 0
    kind, _code, _sum, *found = struct.unpack_from("!BBHHH", data, header)
    return (
        kind == _ICMP[version][2]
        and tuple(found) == numbers
        and ipaddress.ip_address(sender[0]) == ipaddress.ip_address(target)
    )


class _Peer:
    """A process in a host that plays one of the roles of ``peers.py``."""

    def __init__(self, host, *args):
        self._host = host
        self._args = args
        self._process = None

    def start(self):
        """Start the process and wait until it says that it is ready."""
        self._process = self._host.popen(
            sys.executable, _PEERS, *self._args, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        ready, _, _ = select.select([self._process.stdout], [], [], _START_TIMEOUT)
        if not ready or self._process.stdout.readline() != b"ready\n":
            self.kill()
            raise RuntimeError(f"peers.py {' '.join(map(str, self._args))} did not get ready")
        return self

    def finish(self):
        """End the process's input and return what it printed."""
        output, _ = self._process.communicate(timeout=_STOP_TIMEOUT)
        return output.decode()

    def kill(self):
        """End the process if it still runs."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def __enter__(self):
        """Start; the process ends with the block."""
        return self.start()

    def __exit__(self, *_exception):
        """End the process."""
        self.kill()


class EchoServer(_Peer):
    """Answers UDP and TCP on each of the addresses, from the address that was asked."""

    def __init__(self, host, addresses, port=PORT):
        super().__init__(host, "echo", port, *addresses)


@dataclass(frozen=True)
class Tally:
    """What became of the load on one target.

    ``broken`` says what happened to the TCP connection, None if it survived; ``missing`` holds
    when, in seconds from the start, the first lost requests were sent.
    """

    target: str
    sent: int
    received: int
    messages: int
    broken: str | None
    missing: tuple

    @property
    def lost(self):
        """Return how many requests were not answered."""
        return self.sent - self.received

    def __str__(self):
        """Return the tally in a line."""
        when = f" (first at {self.missing[0]:.3f} s)" if self.missing else ""
        return (
            f"{self.target}: {self.sent} requests, {self.lost} lost{when}, "
            f"TCP {self.broken or 'alive'} after {self.messages} messages"
        )


class Load(_Peer):
    """Numbered UDP requests at ``rate`` a second to each target, and a TCP connection through each.

    Needs an ``EchoServer`` on the targets. Counting starts once every target has answered::

        with EchoServer(server, addresses), Load(client, addresses) as load:
            ...
            tallies = load.stop()
        assert not any(tally.lost or tally.broken for tally in tallies.values())
    """

    def __init__(self, host, targets, rate=1000, port=PORT):
        super().__init__(host, "load", port, rate, *targets)

    def stop(self):
        """Stop asking, wait for what is under way, and return a ``Tally`` for each target."""
        tallies = [Tally(**tally) for tally in json.loads(self.finish())]
        return {tally.target: tally for tally in tallies}
