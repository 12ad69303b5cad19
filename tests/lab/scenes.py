"""What the steps of the demo have in common: pings under capture, state runs, files."""

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from capture import Capture
from network import Network
from saltcall import SaltCall
from story import Story
from traffic import ping

SCRIPTS = Path("/etc/sysconfig/network-scripts")
# What the states may write to; put back after each article, as the next has another server.
CONFIGURATION = [
    Path("/etc", name) for name in ("iproute2", "sysconfig", "sysctl.d", "sysctl.conf")
]
NICS = ("eth0", "eth1")


@dataclass(frozen=True)
class Scene:
    """What every step needs: the storyteller, the network, and Salt on its server."""

    story: Story
    network: Network
    salt: SaltCall


def write_ifcfg(device, address, netmask, gateway=None):
    """Write the interface's file as CentOS has it."""
    lines = [f"DEVICE={device}", "ONBOOT=yes", "BOOTPROTO=none", f"IPADDR={address}"]
    lines += [f"NETMASK={netmask}"] + ([f"GATEWAY={gateway}"] if gateway else [])
    (SCRIPTS / f"ifcfg-{device}").write_text("\n".join(lines) + "\n")


@contextmanager
def own_configuration(directory):
    """Put the configuration in /etc back at the end of the block."""
    kept = Path(directory, "etc")
    kept.mkdir()
    for path in CONFIGURATION:
        copy(path, kept / path.name)
    try:
        yield
    finally:
        for path in CONFIGURATION:
            remove(path)
            copy(kept / path.name, path)


def copy(source, target):
    """Copy a file or a directory, if there is one."""
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    elif source.exists():
        shutil.copy2(source, target)


def remove(path):
    """Remove a file or a directory, if there is one."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def configuration():
    """Return the text of every file the states may write to."""
    files = [file for path in CONFIGURATION for file in (path, *path.rglob("*"))]
    return {str(path): path.read_bytes() for path in files if path.is_file()}


def state_of(server):
    """Return files, rules and routes: all that a run without changes must leave alone."""
    return configuration(), server.ip("rule"), server.ip("route", "show", "table", "all")


def ping_and_watch(scene, client, target, arrives, leaves):
    """Ping once and claim where the request comes in and by which NIC the reply leaves."""
    story, server = scene.story, scene.network.server
    story.command(f"ping -c 1 {target}", client)
    with Capture(server, NICS) as capture:
        replies = ping(getattr(scene.network, client), target)
        capture.settle(2, timeout=0.5)
    for packet in capture.packets:
        if packet.kind.startswith("echo"):
            story.show(f"{packet.device} {packet.direction:3} {packet}")
    story.claim(capture.arrived_on(target) == {arrives}, f"the request comes in on {arrives}")
    if leaves:
        story.claim(capture.left_by(target) == {leaves}, f"the reply leaves by {leaves}")
    else:
        story.claim(not capture.left_by(target), "nothing leaves by any NIC")
    story.claim(bool(replies) == bool(leaves), f"{client} gets {'the' if leaves else 'no'} reply")


def claim_reachable(scene, target, reachable):
    """Ping once from another network and claim whether an answer comes."""
    scene.story.command(f"ping -c 1 {target}", "far")
    word = "answers" if reachable else "does not answer"
    scene.story.claim(bool(ping(scene.network.far, target)) == reachable, f"{target} {word}")


@contextmanager
def link_down(scene, device, *gateways):
    """Take a NIC down for the block, then up again with its main default route, as ifup does."""
    scene.story.command(f"ip link set {device} down", "server")
    scene.network.server.ip("link", "set", device, "down")
    try:
        yield
    finally:
        scene.network.server.ip("link", "set", device, "up")
        scene.network.server.wait_ready()
        scene.network.server.default_route(*gateways)


def run_states(scene, *args):
    """Apply the states, show the results, and return them."""
    scene.story.command(" ".join(["salt-call --local state.apply multihoming", *args]), "server")
    results = scene.salt.apply(*args)
    for result in results:
        scene.story.show(str(result))
    return results


def claim_success(scene, results):
    """Claim that every state succeeded."""
    failed = [result.id for result in results if result.result is not True]
    scene.story.claim(not failed, f"all {len(results)} states succeed")


def policy_changes(results):
    """Return the changes of this package's own states."""
    return [each.changes for each in results if each.function.startswith("multihoming.")]


def rt_tables():
    """Return the file that names the tables: the drop-in where iproute2 reads those."""
    drop_in = Path("/etc/iproute2/rt_tables.d/multihoming.conf")
    return drop_in if drop_in.exists() else Path("/etc/iproute2/rt_tables")


def show_file(scene, path):
    """Show a file and return its words, line by line."""
    scene.story.command(f"cat {path}", "server")
    text = path.read_text() if path.exists() else ""
    scene.story.show(text or "(not there)")
    return [" ".join(line.split()) for line in text.splitlines()]


def show_ip(scene, *args):
    """Show what ``ip`` prints on the server, and return it."""
    scene.story.command(" ".join(["ip", *args]), "server")
    text = scene.network.server.ip(*args)
    scene.story.show(text)
    return text


def second_run(scene):
    """Apply the states once more and claim that this finds nothing to do."""
    with scene.story.step("The same state run again"):
        before = state_of(scene.network.server)
        results = run_states(scene)
        claim_success(scene, results)
        scene.story.claim(not any(each.changes for each in results), "no state changes anything")
        same = state_of(scene.network.server) == before
        scene.story.claim(same, "files, rules and routes are as they were")
