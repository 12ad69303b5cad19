"""The lab's hosts: network namespaces, and the veth pairs and bridges that join them.

Run from inside ``enter.sh``, so that nothing made here outlives the run.
"""

import ctypes
import itertools
import json
import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_OWN_NAMESPACE = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)


class CommandError(subprocess.CalledProcessError):
    """A command run on a host failed; says what it wrote."""

    def __str__(self):
        """Return the command, its exit status and its output."""
        return f"{super().__str__()}\n{self.stdout or ''}{self.stderr or ''}".rstrip()


def wait_for(condition, what, timeout=10.0):
    """Poll ``condition`` until it holds; a ``TimeoutError`` says that ``what`` did not happen."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(0.01)


def _setns(descriptor):
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns: " + os.strerror(ctypes.get_errno()))


@contextmanager
def entered(host):
    """Put the calling thread into the host's network namespace; sockets opened there stay in it."""
    back = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(host.namespace)
        try:
            yield
        finally:
            _setns(back)
    finally:
        os.close(back)


class Host:
    """One host: a network namespace of its own, or the current one when no name is given.

    Commands run in the host's network namespace only. They share the lab's files and processes,
    and the lab's /sys, which shows the interfaces of the namespace ``enter.sh`` made.
    """

    def __init__(self, name=None, ipv6=True):
        self.name = name
        self._children = []
        if name:
            _execute("ip", "netns", "add", name)
        path = f"/run/netns/{name}" if name else _OWN_NAMESPACE
        self.namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._start_plain(ipv6)

    def _start_plain(self, ipv6):
        """Start from the kernel's defaults, whatever this machine's settings hand down."""
        for scope in ("all", "default"):
            self.sysctl(f"net.ipv4.conf.{scope}.rp_filter", 0)
            self.sysctl(f"net.ipv6.conf.{scope}.disable_ipv6", int(not ipv6))
            # Without duplicate address detection link-local addresses are usable at once.
            self.sysctl(f"net.ipv6.conf.{scope}.accept_dad", 0)
        self.sysctl("net.ipv4.ip_forward", 0)
        self.ip("link", "set", "lo", "up")

    def _argv(self, argv):
        enter = ["nsenter", f"--net=/run/netns/{self.name}"] if self.name else []
        return [*enter, *map(str, argv)]

    def run(self, *argv, check=True, timeout=30, **kwargs):
        """Run a command and return its ``CompletedProcess``; ``check`` raises if it fails."""
        return _execute(*self._argv(argv), check=check, timeout=timeout, **kwargs)

    def popen(self, *argv, **kwargs):
        """Start a command and return its ``Popen``; ``close`` ends it if it still runs."""
        child = subprocess.Popen(self._argv(argv), **kwargs)
        self._children.append(child)
        return child

    def ip(self, *args, check=True):
        """Run ``ip`` on the host and return what it printed."""
        return self.run("ip", *args, check=check).stdout

    def ip_json(self, *args):
        """Return what ``ip -json`` prints, parsed."""
        return json.loads(self.ip("-json", *args) or "[]")

    def sysctl(self, key, value=None):
        """Return a kernel setting, or set it when a value is given."""
        # The kernel shows /proc/sys/net as seen from the namespace of the thread that looks.
        path = Path("/proc/sys", *key.split("/" if "/" in key else "."))
        with entered(self):
            if value is None:
                return path.read_text().strip()
            path.write_text(f"{value}\n")
            return None

    def rp_filter(self, value):
        """Set reverse-path filtering on every interface: 0 off, 1 strict, 2 loose."""
        for link in ["all", "default", *(link["ifname"] for link in self.ip_json("link"))]:
            self.sysctl(f"net/ipv4/conf/{link}/rp_filter", value)

    def address(self, device, *addresses):
        """Give a device addresses, ready for use at once, and bring it up."""
        for address in addresses:
            extra = ("nodad",) if ":" in address else ("brd", "+")
            self.ip("address", "add", address, *extra, "dev", device)
        self.ip("link", "set", device, "up")

    def default_route(self, *gateways):
        """Make each gateway the main default of its family, in place of another."""
        for gateway in gateways:
            family = "-6" if ":" in gateway else "-4"
            self.ip(family, "route", "replace", "default", "via", gateway)

    def wait_ready(self, timeout=10.0):
        """Wait until every link that is up has its carrier and its link-local address."""
        ipv6 = self.sysctl("net.ipv6.conf.default.disable_ipv6") == "0"
        wait_for(
            lambda: all(_usable(link, ipv6) for link in self.ip_json("address")),
            f"links of {self.name or 'the current namespace'} ready",
            timeout,
        )

    def close(self):
        """End what still runs there and take the namespace away; the current one stays."""
        for child in self._children:
            if child.poll() is None:
                child.kill()
                child.wait()
        if self.name:
            _execute("ip", "netns", "delete", self.name, check=False)
        os.close(self.namespace)


def _execute(*argv, check=True, timeout=30, **kwargs):
    encoding = {"encoding": "utf-8", "errors": "surrogateescape"}
    done = subprocess.run(
        argv, check=False, timeout=timeout, capture_output=True, **encoding, **kwargs
    )
    if check and done.returncode:
        raise CommandError(done.returncode, argv, done.stdout, done.stderr)
    return done


def _usable(link, ipv6):
    if "UP" not in link["flags"] or "LOOPBACK" in link["flags"]:
        return True
    known = link["addr_info"]
    if any(address.get("tentative") for address in known):
        return False
    # A bridge port has no addresses of its own.
    local = "master" in link or any(address["scope"] == "link" for address in known)
    return link["operstate"] == "UP" and (local or not ipv6)


def connect(host, device, peer, peer_device):
    """Join two hosts with a veth pair, up on both sides."""
    at, peer_at = (end.name or str(os.getpid()) for end in (host, peer))
    veth = ("name", device, "netns", at, "type", "veth")
    _execute("ip", "link", "add", *veth, "peer", "name", peer_device, "netns", peer_at)
    host.ip("link", "set", device, "up")
    peer.ip("link", "set", peer_device, "up")


def bridge(switch, name, *members):
    """Join several hosts, given as (host, device), on one segment: a bridge in ``switch``."""
    # Forward from the first packet on, multicast too, so that neighbour discovery just works.
    plain = ("stp_state", "0", "forward_delay", "0", "mcast_snooping", "0")
    switch.ip("link", "add", name, "up", "type", "bridge", *plain)
    for host, device in members:
        plug(switch, name, host, device)


def plug(switch, name, host, device):
    """Put one more host on the segment made by ``bridge``."""
    port = f"port{next(_numbers)}"
    connect(host, device, switch, port)
    switch.ip("link", "set", port, "master", name)
