"""The servers under test: each has NICs on several networks, and an /etc and /run of its own."""

import shutil
import subprocess
from contextlib import contextmanager
from ipaddress import ip_interface
from pathlib import Path

from capture import Capture
from network import Host, Network, Nic, connect
from traffic import ping

OFF, STRICT, LOOSE = 0, 1, 2
# What the states may write to.
CONFIGURATION = ("iproute2", "sysconfig", "sysctl.d", "sysctl.conf")
_TIMEOUT = 300
_ENTER = """
mount --bind "$0/etc" /etc && mount --bind "$0/run" /run && mount -t sysfs lab /sys && exec "$@"
"""


def nic(device, net):
    """Return a NIC with the addresses 10.NET.10 and 2001:db8:NET::10, and a gateway for each."""
    net6 = net.replace(".", ":")
    return Nic(
        device,
        (f"10.{net}.10/24", f"2001:db8:{net6}::10/64"),
        (f"10.{net}.254", f"2001:db8:{net6}::fe"),
    )


class Server:
    """A server with several NICs, a router between them, and a far client.

    Its processes see the namespace's network and this server's own /etc and /run. ``address`` is
    where they can be reached over a link that is not under test, ``master`` this side of it.
    """

    def __init__(self, name, number, nics, directory):
        self.name = name
        self.directory = Path(directory)
        self.network = Network(nics, nics[0].device)
        self.host = self.network.server
        self.nics = self.network.nics
        self.etc = self.directory / "etc"
        self.pristine = self.directory / "pristine"
        self._furnish()
        self.master = f"10.255.{number}.1"
        self._connect_master(number)

    def _furnish(self):
        (self.directory / "run").mkdir(parents=True)
        shutil.copytree("/etc", self.etc, symlinks=True)
        for each in self.nics.values():
            self._write_ifcfg(each)
        shutil.copytree(self.etc, self.pristine, symlinks=True)

    def _write_ifcfg(self, each):
        own = ip_interface(each.addresses[0])
        lines = [
            f"DEVICE={each.device}",
            "ONBOOT=yes",
            "BOOTPROTO=none",
            f"IPADDR={own.ip}",
            f"PREFIX={own.network.prefixlen}",
            "IPV6INIT=yes",
            f"IPV6ADDR={each.addresses[1]}",
        ]
        path = self.etc / f"sysconfig/network-scripts/ifcfg-{each.device}"
        path.write_text("\n".join(lines) + "\n")

    def _connect_master(self, number):
        here = Host()
        device = f"to-{self.name}"
        connect(here, device, self.host, "mgmt")
        here.address(device, f"{self.master}/30")
        self.host.address("mgmt", f"10.255.{number}.2/30")
        here.wait_ready()
        here.close()
        self.host.wait_ready()

    def argv(self, *command):
        """Return the command that runs ``command`` on this server, with the same process id."""
        network = f"--net=/run/netns/{self.host.name}"
        mounts = ("unshare", "--mount", "--propagation", "private")
        return ["nsenter", network, *mounts, "sh", "-c", _ENTER, str(self.directory), *command]

    def run(self, *command, env=None):
        """Run a command on this server and return its ``CompletedProcess``."""
        argv = self.argv(*map(str, command))
        return subprocess.run(
            argv, check=False, capture_output=True, text=True, timeout=_TIMEOUT, env=env
        )

    def reset(self):
        """Take away every rule, table and file that is not the server's from the start."""
        for family in ("-4", "-6"):
            lines = [f"rule delete priority {priority}" for priority, *_ in self._rules(family)]
            lines += [f"route flush table {table}" for table in self._tables(family)]
            self.host.run("ip", family, "-batch", "-", input="".join(f"{x}\n" for x in lines))
        self.host.rp_filter(OFF)
        self.host.sysctl("net.ipv4.ip_forward", 0)
        self._default_route()
        for name in CONFIGURATION:
            self.forget(name)

    def _rules(self, family):
        """Return the rules' (priority, source, table id) that are not the kernel's own."""
        return [
            (rule["priority"], rule["src"], int(rule["table"]))
            for rule in self.host.ip_json(family, "-N", "rule")
            if rule["priority"] not in (0, 32766, 32767)
        ]

    def _tables(self, family):
        """Return the ids of the tables that are not the kernel's own and have routes."""
        routes = self.host.ip_json(family, "-N", "route", "show", "table", "all")
        return {str(route["table"]) for route in routes if "table" in route} - {"255", "254", "253"}

    def forget(self, name):
        """Make a file or folder of /etc what it was at the start."""
        _replace(self.pristine / name, self.etc / name)

    def read(self, path):
        """Return the text of one of the server's files, None where there is none."""
        path = self.etc / Path(path).relative_to("/etc")
        return path.read_text() if path.exists() else None

    def files(self, etc=None):
        """Return the text of every file that the states may write to, by its path in /etc."""
        etc = etc or self.etc
        paths = [path for name in CONFIGURATION for path in _walk(etc / name)]
        return {str(path.relative_to(etc)): path.read_bytes() for path in paths}

    def state(self):
        """Return files, rules and routes: all that must stay when nothing is to change."""
        shown = [self.host.ip(family, "rule") for family in ("-4", "-6")]
        shown += [
            self.host.ip(family, "-N", "route", "show", "table", "all") for family in ("-4", "-6")
        ]
        return self.files(), shown

    def rules(self):
        """Return the rules' (priority, source, table id) that are not the kernel's own."""
        return sorted(self._rules("-4") + self._rules("-6"))

    def gateways(self, table):
        """Return the gateways of a table's default routes, by its id."""
        routes = [
            route
            for family in ("-4", "-6")
            for route in self.host.ip_json(family, "route", "show", "table", str(table))
        ]
        return {route["gateway"] for route in routes if route["dst"] == "default"}

    def addresses(self, *devices):
        """Return the addresses of some NICs, without devices of all, as (device, address)."""
        return [
            (device, str(ip_interface(address).ip))
            for device in devices or self.nics
            for address in self.nics[device].addresses
        ]

    def ask(self, address):
        """Ping once from afar; return the replies, the NIC asked and those the reply left by."""
        with Capture(self.host, self.nics) as capture:
            replies = ping(self.network.far, address, timeout=0.3)
            capture.settle(2, timeout=0.3)
        return replies, capture.arrived_on(address), capture.left_by(address)

    @contextmanager
    def down(self, device):
        """Take a NIC down for the block, then up again, with addresses and main default route."""
        self.host.ip("link", "set", device, "down")
        try:
            yield
        finally:
            self.host.ip("link", "set", device, "up")
            # The kernel forgets IPv6 addresses with the link.
            for address in self.nics[device].addresses:
                self.host.ip("address", "replace", address, "dev", device)
            self.host.wait_ready()
            self._default_route()

    def _default_route(self):
        self.host.default_route(*next(iter(self.nics.values())).gateways)

    def close(self):
        """Take the server and its network away."""
        self.network.close()


def _walk(path):
    found = [path, *path.rglob("*")] if path.is_dir() else [path]
    return [each for each in found if each.is_file()]


def _replace(source, target):
    """Make a file or directory a copy of another, or take it away when there is none."""
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    elif source.exists():
        shutil.copy2(source, target)
