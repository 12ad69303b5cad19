"""The demo: both articles, played in the lab with the real salt-call.

``sh tests/lab/enter.sh python tests/lab/demo.py``. Every claim it makes is checked; the exit
status is 1 if one does not hold.
"""

import os
import sys
import tempfile

from network import first_article, second_article
from saltcall import SaltCall
from scenes import (
    SCRIPTS,
    Scene,
    claim_reachable,
    claim_success,
    link_down,
    own_configuration,
    ping_and_watch,
    policy_changes,
    rt_tables,
    run_states,
    second_run,
    show_file,
    show_ip,
    state_of,
    write_ifcfg,
)
from story import Stopped, Story

OFF, STRICT = 0, 1
FAILED, NO_LAB, INTERRUPTED = 1, 125, 130

FIRST_PICTURE = """
  pc2 192.168.2.17 ------+
                         | 192.168.2.0/24
                  .254 --+-- eth0 192.168.2.220, default gateway 192.168.2.254
  far --------- router                      server
  203.0.113.10    .254 --+-- eth1 192.168.1.220
                         | 192.168.1.0/24
  pc1 192.168.1.100 -----+
"""
FIRST_PILLAR = """\
multihoming:
  tables:
    gateway1: 201
  interfaces:
    eth1:
      table: gateway1
      gateway: 192.168.1.254
  sysctl:
    net.ipv4.ip_forward: 1
"""
SECOND_PICTURE = """
                     192.168.2.0/24
                .1 ------------------ eth0 192.168.2.99, GATEWAY=192.168.2.1
  far ------- router                           server
  203.0.113.10  .1 ------------------ eth1 10.0.0.99, GATEWAY=10.0.0.1 (up last: it wins)
                       10.0.0.0/8
"""
SECOND_PILLAR = """\
multihoming:
  tables:
    gw0: 200
    gw1: 201
  interfaces:
    eth0:
      table: gw0
    eth1:
      table: gw1
  default_gateway: eth0
"""


def first_before(scene):
    """Show what the first article complains about."""
    story, server = scene.story, scene.network.server
    with story.step("Without policy routing, rp_filter=0: PC2 pings the server's eth1"):
        server.rp_filter(OFF)
        ping_and_watch(scene, "pc2", "192.168.1.220", "eth1", "eth0")
    with story.step("Without policy routing, rp_filter=1 (strict): PC2 pings the server's eth1"):
        server.rp_filter(STRICT)
        ping_and_watch(scene, "pc2", "192.168.1.220", "eth1", None)
    with story.step("Without policy routing, eth0 down: a client of another network pings eth1"):
        server.rp_filter(OFF)
        with link_down(scene, "eth0", "192.168.2.254"):
            claim_reachable(scene, "192.168.1.220", False)


def first_states(scene):
    """Apply the pillar: announced first, then done."""
    story, server = scene.story, scene.network.server
    with story.step("The pillar says what there should be; Salt fetches its new modules"):
        story.show(FIRST_PILLAR)
        story.command("salt-call --local saltutil.sync_all", "server")
        synced = scene.salt.call("saltutil.sync_all")
        story.claim("modules.multihoming" in synced["modules"], "the minion has the module")
    with story.step("Test mode: what would change"):
        before = state_of(server)
        announced = run_states(scene, "test=True")
        story.claim(all(each.result is not False for each in announced), "no state fails")
        story.claim(any(policy_changes(announced)), "changes are announced")
        story.claim(state_of(server) == before, "nothing has been touched")
    with story.step("The state run"):
        results = run_states(scene)
        claim_success(scene, results)
        same = policy_changes(results) == policy_changes(announced)
        story.claim(same, "the changes are those that test mode announced")
    with story.step("What it wrote, and what the kernel has"):
        claim_first_policy(scene)


def claim_first_policy(scene):
    """Claim that files and kernel are what the article makes by hand."""
    story = scene.story
    tables = show_file(scene, rt_tables())
    routes = show_file(scene, SCRIPTS / "route-eth1")
    rules = show_file(scene, SCRIPTS / "rule-eth1")
    story.claim(any(line.startswith("201 gateway1") for line in tables), "table 201 is gateway1")
    link = "192.168.1.0/24 dev eth1 src 192.168.1.220 table gateway1"
    story.claim(link in routes, "route-eth1 has the article's route of the segment")
    default = [line for line in routes if line.startswith("default via 192.168.1.254")]
    story.claim(bool(default), "route-eth1 has the article's default route")
    rule = [line for line in rules if line.startswith("from 192.168.1.220")]
    story.claim(bool(rule), "rule-eth1 has the article's rule")
    live = show_ip(scene, "rule")
    story.claim("from 192.168.1.220 lookup gateway1" in live, "the kernel has the rule")
    live = show_ip(scene, "route", "show", "table", "gateway1")
    story.claim("default via 192.168.1.254 dev eth1" in live, "the kernel has the routes")


def first_after(scene):
    """Show that the article's complaints are gone."""
    story, server = scene.story, scene.network.server
    for name, value in (("rp_filter=0", OFF), ("rp_filter=1 (strict)", STRICT)):
        with story.step(f"With policy routing, {name}: PC2 pings the server's eth1"):
            server.rp_filter(value)
            ping_and_watch(scene, "pc2", "192.168.1.220", "eth1", "eth1")
    with story.step("The others are served as before: eth0, and eth1 from its own segment"):
        ping_and_watch(scene, "pc2", "192.168.2.220", "eth0", "eth0")
        ping_and_watch(scene, "pc1", "192.168.1.220", "eth1", "eth1")
    second_run(scene)
    with (
        story.step("With policy routing, eth0 down: a client of another network pings eth1"),
        link_down(scene, "eth0", "192.168.2.254"),
    ):
        ping_and_watch(scene, "far", "192.168.1.220", "eth1", "eth1")


def play_first(story, directory):
    """Play the first article: the reply leaves by the wrong NIC."""
    story.title("First article: asked on eth1, answered through eth0")
    with first_article(ipv6=False) as network:
        write_ifcfg("eth0", "192.168.2.220", "255.255.255.0", "192.168.2.254")
        write_ifcfg("eth1", "192.168.1.220", "255.255.255.0")
        scene = Scene(story, network, SaltCall(network.server, directory, FIRST_PILLAR))
        story.picture(FIRST_PICTURE)
        first_before(scene)
        first_states(scene)
        first_after(scene)


def second_before(scene):
    """Show what the second article complains about."""
    story, server = scene.story, scene.network.server
    with story.step("Two gateways, rp_filter=0 (CentOS 5): both are answered through eth1"):
        server.rp_filter(OFF)
        ping_and_watch(scene, "far", "192.168.2.99", "eth0", "eth1")
        ping_and_watch(scene, "far", "10.0.0.99", "eth1", "eth1")
    with (
        story.step("Two gateways, eth1 down: eth0 is out of reach as well"),
        link_down(scene, "eth1", "10.0.0.1"),
    ):
        claim_reachable(scene, "192.168.2.99", False)
    with story.step("Two gateways, rp_filter=1 (CentOS 6): the mystery, eth0 is silent"):
        server.rp_filter(STRICT)
        ping_and_watch(scene, "far", "192.168.2.99", "eth0", None)
        ping_and_watch(scene, "far", "10.0.0.99", "eth1", "eth1")


def second_question(scene, directory):
    """Answer the article's question, with a salt-call of its own: the minion stays fresh."""
    story = scene.story
    asking = SaltCall(scene.network.server, directory, "{}")
    with story.step("Why is the reply lost? The article's author never found out"):
        asking.call("saltutil.sync_all")
        story.command(
            "salt-call --local multihoming.reply_path 192.168.2.99 203.0.113.10", "server"
        )
        path = asking.call("multihoming.reply_path", "192.168.2.99", "203.0.113.10")
        for key in ("arrives", "leaves", "via", "table", "symmetric", "dropped", "reason"):
            story.show(f"{key}: {path[key]}")
        story.claim((path["arrives"], path["leaves"]) == ("eth0", "eth1"), "eth0 in, eth1 out")
        story.claim(path["dropped"] and "strict" in path["reason"], "the strict filter drops it")
        story.command("salt-call --local multihoming.diagnose", "server")
        remedies = {}
        for finding in asking.call("multihoming.diagnose"):
            story.show(f"{finding['severity']}: {finding['id']}: {finding['message']}")
            remedies[finding["id"]] = finding["remedy"]
        story.claim("rp-filter-drop" in remedies, "the filter is named")
        wanted = remedies.get("several-gateways") == "default_gateway: eth0"
        story.claim(wanted, "the two gateways are named, with what to write instead")


def second_default(scene):
    """Claim that eth0 is the default of main, now and after a restart."""
    story = scene.story
    live = show_ip(scene, "route", "show", "default")
    story.claim(live.split()[:5] == "default via 192.168.2.1 dev eth0".split(), "eth0 is main's")
    lines = show_file(scene, SCRIPTS.with_name("network"))
    story.claim("GATEWAYDEV=eth0" in lines, "the network scripts will choose it too")


def second_after(scene):
    """Show that each NIC answers for itself."""
    story = scene.story
    with story.step("With policy routing, rp_filter=1 still: each NIC answers for itself"):
        ping_and_watch(scene, "far", "192.168.2.99", "eth0", "eth0")
        ping_and_watch(scene, "far", "10.0.0.99", "eth1", "eth1")
    second_run(scene)
    with (
        story.step("With policy routing, eth1 down: eth0 goes on answering"),
        link_down(scene, "eth1"),
    ):
        ping_and_watch(scene, "far", "192.168.2.99", "eth0", "eth0")


def play_second(story, directory):
    """Play the second article: two gateways, and the last NIC up won."""
    story.title("Second article: two NICs, two gateways, and only one of them counts")
    with second_article() as network:
        write_ifcfg("eth0", "192.168.2.99", "255.255.255.0", "192.168.2.1")
        write_ifcfg("eth1", "10.0.0.99", "255.0.0.0", "10.0.0.1")
        scene = Scene(story, network, SaltCall(network.server, directory, SECOND_PILLAR))
        story.picture(SECOND_PICTURE)
        second_before(scene)
        second_question(scene, f"{directory}/asking")
        with story.step("One state run on a fresh minion, which has none of the modules yet"):
            story.show(SECOND_PILLAR)
            claim_success(scene, run_states(scene))
            rules = show_ip(scene, "rule")
            for own, table in (("192.168.2.99", "gw0"), ("10.0.0.99", "gw1")):
                claim = f"from {own} lookup {table}"
                story.claim(claim in rules, f"the kernel has the rule {claim}")
            second_default(scene)
        second_after(scene)


def play(story, article):
    """Play one article in a directory of its own; what it left in /etc is put back."""
    # /run is the lab's own, so not even a kill leaves this behind.
    with tempfile.TemporaryDirectory(prefix="demo-", dir="/run") as directory:
        try:
            with own_configuration(directory):
                article(story, directory)
        except Stopped as err:
            story.show(f"The rest of this article is left out, for this failed: {err}")


def main():
    """Play both articles and return the exit status."""
    if os.environ.get("MULTIHOMING_LAB") != "1":
        print("demo.py: needs the lab: run make demo", file=sys.stderr)
        return NO_LAB
    story = Story()
    try:
        play(story, play_first)
        play(story, play_second)
    except KeyboardInterrupt:
        print("\ninterrupted; nothing is left behind", file=sys.stderr)
        return INTERRUPTED
    story.summary()
    return FAILED if story.failures else 0


if __name__ == "__main__":
    sys.exit(main())
