"""The table of attributes, held to the kernel: what it takes, prints, sends and compares."""

import subprocess
from pathlib import Path

import multihoming_attributes as attributes
import multihoming_iproute2 as iproute2
import multihoming_kernel as kernel
import multihoming_netlink as netlink
import multihoming_rules as rules
import pytest
import yaml
from network import CommandError

DATA = Path(__file__).parents[1] / "unit/data/attributes.yaml"
SAMPLES = yaml.safe_load(DATA.read_text())
# A route by a router that is there in both families.
TO = {4: "10.9.0.0/16", 6: "2001:db8:9::/48"}
VIA = {4: "via 192.168.1.3", 6: "via 2001:db8:1::3"}
# What `ip` takes and the kernel forgets, or says only in more words than one.
NOT_HELD = {"encap", "ttl-propagate"}


def route_line(word):
    sample = SAMPLES["routes"][word]
    family = sample.get("family", 4)
    via = "" if sample.get("direct") or word == "nhid" else VIA[family]
    dev = "" if word in ("dev", "nhid") else "dev eth1"
    return family, f"{TO[family]} {via} {dev} {sample['line']} table 201"


def rule_line(word):
    sample = SAMPLES["rules"][word]
    entry = next(entry for entry in attributes.RULE if entry.word == word)
    source = "" if entry.selects else "from 10.20.0.0/16"
    # There is no table of one's own beside l3mdev.
    table = "" if word == "l3mdev" else "table 201"
    return sample.get("family", 4), f"{source} {sample['line']} {table} priority 30"


def add(host, kind, family, line):
    host.ip(f"-{family}", kind, "add", *line.split())


def printed(host, family, *command):
    shown = host.ip_json("-N", f"-{family}", "-details", *command)
    return [entry for entry in shown if entry]


ONE_FAMILY = [
    (kind, entry.word)
    for kind, table in (("routes", attributes.ROUTE), ("rules", attributes.RULE))
    for entry in table
    if len(entry.families) == 1
]


@pytest.mark.parametrize(("kind", "word"), ONE_FAMILY)
def test_the_other_family_refuses_it_or_forgets_it(host, kind, word):
    family = 10 - SAMPLES[kind][word].get("family", 4)
    line = SAMPLES[kind][word]["line"]
    if kind == "routes":
        base = f"{TO[family]} {VIA[family]} dev eth1 table 201"
    else:
        base = "table 201 priority 30"
    try:
        host.ip(f"-{family}", kind[:-1], "add", *base.split(), *line.split())
    except CommandError:
        return
    read = iproute2.route_from_words if kind == "routes" else iproute2.rule_from_words
    assert (kernel.routes(201) or live(family)) == [read(base.split(), family, {})]


# --- routes ---------------------------------------------------------------------------------------

ROUTES = [entry.word for entry in attributes.ROUTE if entry.word not in NOT_HELD]


def sent(host, family):
    """Return the route of table 201 as it is read over netlink."""
    index = next(link["ifindex"] for link in host.ip_json("link") if link["ifname"] == "eth1")
    with netlink.RouteSocket() as socket:
        (route,) = socket.routes(family, 201, {index: "eth1"})
    return route


@pytest.mark.parametrize("word", ROUTES)
def test_netlink_says_of_a_route_what_ip_prints(host, word):
    family, line = route_line(word)
    if "setup" in SAMPLES["routes"][word]:
        host.ip(*SAMPLES["routes"][word]["setup"].split())
    add(host, "route", family, line)
    (shown,) = printed(host, family, "route", "show", "table", "201")
    route = sent(host, family)
    assert route.pop("table") == "201"
    # What counts down, and what repeats the object that nhid names.
    shown.pop("expires", None)
    shown.pop("nh_info", None)
    for metrics in route.get("metrics", ()):
        # ip prints milliseconds; a plain number of its words is as the kernel counts.
        for name, share in (("rtt", 8), ("rttvar", 4)):
            if name in metrics:
                metrics[name] //= share
    assert route == shown


@pytest.mark.parametrize("word", [word for word in ROUTES if word not in ("nhid", "expires")])
def test_a_route_is_read_as_it_was_written_and_can_be_put_back(host, word):
    family, line = route_line(word)
    wanted = iproute2.route_from_words(line.split(), family, {})
    for words in (line.split(), iproute2.route_words(wanted)):
        add(host, "route", family, " ".join(words))
        assert kernel.routes(201) == [wanted]
        host.ip(f"-{family}", "route", "del", *iproute2.route_delete_words(wanted))
        assert kernel.routes(201) == []


# `ip` has no word for the lock of quickack.
@pytest.mark.parametrize(
    "word",
    [entry.word for entry in attributes.ROUTE if entry.lockable and entry.word != "quickack"],
)
def test_a_lock_is_read(host, word):
    line = route_line(word)[1].replace(f"{word} ", f"{word} lock ")
    add(host, "route", 4, line)
    (route,) = kernel.routes(201)
    assert route == iproute2.route_from_words(line.split(), 4, {})


@pytest.mark.parametrize(
    "word",
    [
        entry.word
        for entry in attributes.ROUTE
        if entry.word in ROUTES and entry.tells != attributes.HOP
    ],
)
def test_the_kernel_holds_two_routes_that_differ_in_what_tells_them_apart(host, word):
    entry = next(entry for entry in attributes.ROUTE if entry.word == word)
    family, line = route_line(word)
    add(host, "route", family, line)
    plain = line.replace(SAMPLES["routes"][word]["line"], "", 1)
    if entry.tells == attributes.KEY:
        add(host, "route", family, plain)
        assert len(kernel.routes(201)) == 2
        assert len({route.key for route in kernel.routes(201)}) == 2
    else:
        with pytest.raises(CommandError, match="File exists"):
            add(host, "route", family, plain)


# --- rules ----------------------------------------------------------------------------------------

# Words that came with iproute2 6.10 and later; an older one is only asked about the others.
NEWER = {"dscp", "flowlabel"}
HELP = subprocess.run(["ip", "rule", "help"], capture_output=True, text=True, check=False).stderr
RULES = [e.word for e in attributes.RULE if e.word not in NEWER or e.word in HELP]


def live(family):
    """Return the rules of the priority that the examples have."""
    return [rule for rule in kernel.read().rules[family] if rule.priority == 30]


@pytest.mark.parametrize("word", RULES)
def test_a_rule_is_read_as_it_was_written_and_can_be_put_back(host, word):
    family, line = rule_line(word)
    wanted = iproute2.rule_from_words(line.split(), family, {})
    for words in (line.split(), iproute2.rule_words(wanted)):
        add(host, "rule", family, " ".join(words))
        assert live(family) == [wanted]
        host.ip(f"-{family}", "rule", "del", *iproute2.rule_words(wanted))
        assert live(family) == []


@pytest.mark.parametrize("word", RULES)
def test_ip_prints_the_keys_that_the_table_knows(host, word):
    family, line = rule_line(word)
    plain = f"{'' if word == 'l3mdev' else 'table 201'} priority 30"
    add(host, "rule", family, line)
    host.ip(f"-{family}", "rule", "add", *plain.split(), "protocol", "99")
    with_it, without = printed(host, family, "rule", "show", "priority", "30")
    entry = next(entry for entry in attributes.RULE if entry.word == word)
    source = set() if entry.selects else {"src", "srclen"}
    changed = {key for key in with_it if with_it[key] != without.get(key, ...)}
    assert changed - source - {"protocol", "table"} <= {*entry.keys, *entry.more}


# Without l3mdev a rule has a table.
@pytest.mark.parametrize("word", [word for word in RULES if word != "l3mdev"])
def test_rules_are_compared_as_the_table_says(host, word):
    family, line = rule_line(word)
    entry = next(entry for entry in attributes.RULE if entry.word == word)
    plain = line.replace(SAMPLES["rules"][word]["line"], "", 1)
    special, general = (
        iproute2.rule_from_words(each.split(), family, {}) for each in (line, plain)
    )
    add(host, "rule", family, line)
    assert (rules.asked(general) in rules.answers(special)) == (
        entry.compared == attributes.LOOSELY
    )
    if entry.compared == attributes.LOOSELY:
        with pytest.raises(CommandError, match="File exists"):
            add(host, "rule", family, plain)
        host.ip(f"-{family}", "rule", "del", *line.split())
        add(host, "rule", family, plain)
        add(host, "rule", family, line)
    else:
        add(host, "rule", family, plain)
    assert {*live(family)} == {special, general}
    # To name it is to mean it; what is not named is any.
    assert (rules.deletes(special, general), rules.deletes(general, special)) == (False, True)
    host.ip(f"-{family}", "rule", "del", *line.split())
    assert live(family) == [general]
    with pytest.raises(CommandError, match="No such file"):
        host.ip(f"-{family}", "rule", "del", *line.split())
    host.ip(f"-{family}", "rule", "del", *plain.split())
    add(host, "rule", family, line)
    host.ip(f"-{family}", "rule", "del", *plain.split())
    assert live(family) == []
