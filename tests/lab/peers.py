"""The two ends of the lab's traffic, run as processes of their own inside hosts.

``peers.py echo PORT ADDRESS...`` answers UDP and TCP on every address until its input ends.
``peers.py load PORT RATE TARGET...`` asks, until its input ends, then prints the tally as JSON.
Both print ``ready`` once they are. ``traffic.py`` starts them.
"""

import contextlib
import json
import selectors
import socket
import struct
import sys
import time

_SO_RCVBUFFORCE, _IP_FREEBIND, _IPV6_FREEBIND = 33, 15, 78
_BUFFER = 4 << 20
_TICK = 0.001
_MESSAGE_INTERVAL = 0.05
# After a pause the load catches up in bursts that no queue on the way overflows from.
_BURST = 20
# How long answers may take at the end: a datagram's, and what TCP sends again.
_GRACE_UDP, _GRACE_TCP = 1.0, 5.0
_START_TIMEOUT = 5.0
_REQUEST, _MESSAGE = struct.Struct("!I"), struct.Struct("!Q")


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _socket(address, kind):
    """Return a socket with room for everything that comes while this process is not running."""
    sock = socket.socket(_family(address), kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    return sock


def _bound(address, kind, port):
    sock = _socket(address, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # The address may come later, or go and come back.
    if _family(address) == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    sock.bind((address, port))
    sock.setblocking(False)
    return sock


def _drain(sock):
    """Yield all datagrams that wait at the socket, with their senders."""
    while True:
        try:
            yield sock.recvfrom(2048)
        except BlockingIOError:
            return
        except OSError:  # an ICMP error for something sent earlier
            continue


class EchoServer:
    """Answers every UDP datagram and TCP message with itself, from the address that was asked."""

    def __init__(self, port, addresses):
        self.selector = selectors.DefaultSelector()
        # A socket for each address: one for all would answer from whatever the routes say.
        for address in addresses:
            self._watch(_bound(address, socket.SOCK_DGRAM, port), self._echo_datagrams)
            listener = _bound(address, socket.SOCK_STREAM, port)
            listener.listen(128)
            self._watch(listener, self._accept)

    def _watch(self, sock, action):
        self.selector.register(sock, selectors.EVENT_READ, action)

    def _echo_datagrams(self, sock):
        for data, client in _drain(sock):
            with contextlib.suppress(OSError):  # no way back just now: that reply is lost
                sock.sendto(data, client)

    def _accept(self, listener):
        connection, _client = listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._watch(connection, self._echo_stream)

    def _echo_stream(self, connection):
        try:
            data = connection.recv(65536)
            connection.sendall(data)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(connection)
            connection.close()

    def serve(self, stop):
        """Answer until the file ``stop`` has something to read, or ends."""
        self.selector.register(stop, selectors.EVENT_READ)
        while True:
            for key, _events in self.selector.select():
                if key.fileobj is stop:
                    return
                key.data(key.fileobj)


class Flow:
    """The load on one target: numbered UDP requests, and an open TCP connection."""

    def __init__(self, target, port):
        self.target = target
        self.sent = self.received = 0
        self.answered = bytearray()
        self.messages = self.echoed = 0
        self.broken = None
        self.udp = _socket(target, socket.SOCK_DGRAM)
        self.udp.connect((target, port))
        self.tcp = socket.create_connection((target, port), timeout=_START_TIMEOUT)
        self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._first_exchange()
        self.udp.setblocking(False)
        self.tcp.setblocking(False)

    def _first_exchange(self):
        """Make sure that neighbours are known and all works before counting starts."""
        self.udp.settimeout(0.2)
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            try:
                self.udp.send(b"hello")
                self.udp.recv(64)
                return
            except OSError as err:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no UDP answer from {self.target}: {err}") from err

    def ask(self, due):
        """Send the requests that are due by now."""
        for number in range(self.sent, min(due, self.sent + _BURST)):
            with contextlib.suppress(OSError):  # sent for nothing, and counts as lost
                self.udp.send(_REQUEST.pack(number))
            self.sent += 1
            self.answered.append(0)

    def hear(self, sock):
        """Take in what came back."""
        if sock is self.tcp:
            self._hear_stream()
            return
        for data, _server in _drain(sock):
            if len(data) == _REQUEST.size:  # else a late answer to the first exchange
                self._count(*_REQUEST.unpack(data))

    def _count(self, number):
        self.received += not self.answered[number]
        self.answered[number] = 1

    def say(self):
        """Send one message through the connection."""
        if not self.broken:
            try:
                self.tcp.sendall(_MESSAGE.pack(self.messages))
                self.messages += 1
            except BlockingIOError:
                pass  # it hangs: the buffers are full
            except OSError as err:
                self.broken = str(err)

    def _hear_stream(self):
        try:
            data = self.tcp.recv(65536)
        except OSError as err:
            self.broken = self.broken or str(err)
            return
        self.echoed += len(data) / _MESSAGE.size
        if not data:
            self.broken = self.broken or "closed by the server"

    def complete(self, waited):
        """Tell whether, after waiting so long, nothing more can be hoped for."""
        heard = self.received == self.sent or waited > _GRACE_UDP
        said = self.broken or self.echoed == self.messages or waited > _GRACE_TCP
        return heard and said

    def tally(self, rate):
        """Return the outcome; ``missing`` tells when, in seconds, the first lost ones went."""
        if not self.broken and self.echoed < self.messages:
            self.broken = f"{self.messages - int(self.echoed)} messages never came back"
        lost = [number for number, answered in enumerate(self.answered) if not answered]
        return {
            "target": self.target,
            "sent": self.sent,
            "received": self.received,
            "messages": self.messages,
            "broken": self.broken,
            "missing": [number / rate for number in lost[:10]],
        }


class LoadClient:
    """Asks all targets at one rate, in one loop, and hears all answers."""

    def __init__(self, port, rate, targets):
        self.rate = rate
        self.flows = [Flow(target, port) for target in targets]
        self.selector = selectors.DefaultSelector()
        for flow in self.flows:
            self.selector.register(flow.udp, selectors.EVENT_READ, flow)
            self.selector.register(flow.tcp, selectors.EVENT_READ, flow)

    def run(self, stop):
        """Ask until the file ``stop`` has something to read, or ends; then wait for stragglers."""
        self.selector.register(stop, selectors.EVENT_READ)
        started = time.monotonic()
        said = 0
        while self._hear(stop):
            elapsed = time.monotonic() - started
            for flow in self.flows:
                flow.ask(int(elapsed * self.rate))
            if elapsed >= said * _MESSAGE_INTERVAL:
                said += 1
                for flow in self.flows:
                    flow.say()
        self.selector.unregister(stop)
        self._await_stragglers()
        return [flow.tally(self.rate) for flow in self.flows]

    def _hear(self, stop=None):
        going = True
        for key, _events in self.selector.select(_TICK):
            if key.fileobj is stop:
                going = False
                continue
            key.data.hear(key.fileobj)
            if key.fileobj is key.data.tcp and key.data.broken:
                self.selector.unregister(key.fileobj)
        return going

    def _await_stragglers(self):
        ended = time.monotonic()
        while not all(flow.complete(time.monotonic() - ended) for flow in self.flows):
            self._hear()


def main(role, port, *args):
    """Play one of the two roles until the standard input ends."""
    peer = EchoServer(int(port), args) if role == "echo" else None
    load = LoadClient(int(port), float(args[0]), args[1:]) if role == "load" else None
    print("ready", flush=True)
    if peer:
        peer.serve(sys.stdin)
    else:
        print(json.dumps(load.run(sys.stdin)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
