"""Reading the kernel, as far as it needs no namespace."""

import json
import subprocess

import multihoming_kernel as kernel
import multihoming_model as model
import pytest
from multihoming_errors import KernelError

INTERRUPTED = "Dump was interrupted and may be inconsistent.\n"  # rtnl_dump_filter_l()


def test_a_host_without_ipv6_is_read_in_ipv4_only(monkeypatch, tmp_path):
    asked = []

    def show(options, commands):
        asked.append(options)
        return [[] for _ in commands]

    monkeypatch.setattr(kernel, "_IF_INET6", str(tmp_path / "if_inet6"))
    monkeypatch.setattr(kernel, "_show", show)
    state = kernel.read()
    assert not any("-6" in options for options in asked)
    assert state.rules == {4: (), 6: ()}


def test_documents_of_one_batch_are_told_apart():
    assert kernel._documents('[{"a":1}]\n[]\n[ {"b":2} ]') == [[{"a": 1}], [], [{"b": 2}]]


def test_aliases_may_hold_control_characters():
    assert kernel._documents('[{"ifalias":"a\x1b\x01"}]') == [[{"ifalias": "a\x1b\x01"}]]


def test_names_and_aliases_may_hold_any_byte(monkeypatch, tmp_path):
    """As `ip` prints them, who escapes hardly more than quotes and backslashes."""
    (tmp_path / "ip").write_bytes(b'#!/bin/sh\ncat\necho \'[{"ifalias":"caf\xe9"}]\'\n')
    (tmp_path / "ip").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    said = kernel._run(["addr"], '"caf\udce9"\n').stdout
    assert kernel._documents(said) == ["caf\udce9", [{"ifalias": "caf\udce9"}]]


def test_what_ip_says_of_a_tunnel_does_not_hide_where_its_route_leads():
    text = '[{"dst":"10.0.0.0/8","encap":"ip","src":"0.0.0.0","dst":"192.0.2.1","dev":"eth1"}]'
    ((route,),) = kernel._documents(text, kernel._first)
    found = {"dst": "10.0.0.0/8", "encap": "ip", "src": "0.0.0.0", "dev": "eth1"}
    assert list(route.items()) == list(found.items())


def test_a_host_without_ip_is_told_which_package_to_install(monkeypatch):
    monkeypatch.setattr(kernel.programs, "find", lambda *_: None)
    with pytest.raises(KernelError, match=r"iproute2 5\.2 or newer"):
        kernel.commit([model.Step(4, "rule show")])


# --- while others write ---------------------------------------------------------------------------


class PlayedIp:
    """An `ip` that prints what it is given, time after time, and the kernel's news beside it.

    A reading of the rules is a text: each letter is the source of a rule, of priority 10 if it is a
    capital and else 20; ~ at its end means that rules changed the while. The last one stays.
    """

    def __init__(self, readings, said):
        self.readings = {family: list(texts) for family, texts in readings.items()}
        self.said = list(said)
        self.started = []
        self.news = {4: False, 6: False}

    def run(self, arguments, text):
        family = 6 if "-6" in arguments else 4
        self.started.append((family, *text.splitlines()))
        shown = [self._shown(family, line) for line in text.splitlines()]
        said = self.said.pop(0) if self.said else ""
        return subprocess.CompletedProcess(arguments, 0, "\n".join(map(json.dumps, shown)), said)

    def _shown(self, family, line):
        if line == "addr show":
            return [{"ifname": "eth0", "ifindex": len(self.started)}]
        texts = self.readings[family]
        text = texts.pop(0) if len(texts) > 1 else texts[0]
        self.news[family] |= text.endswith("~")
        return [
            {"priority": 10 if letter.isupper() else 20, "src": letter, "table": "200"}
            for letter in text.strip("~")
        ]


class PlayedWatch:
    """The news of a family since the watch was made."""

    def __init__(self, news, family):
        self.news, self.family = news, family
        self.changed()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def changed(self):
        news, self.news[self.family] = self.news[self.family], False
        return news


@pytest.fixture
def play(monkeypatch, tmp_path):
    """Play readings of IPv4, and of IPv6 on a host that has it; ``deaf`` to the kernel's news."""

    def start(ipv4=("",), ipv6=(), said=(), deaf=False):
        ip = PlayedIp({4: ipv4, 6: ipv6}, said)

        def watch(family):
            if deaf:
                raise PermissionError
            return PlayedWatch(ip.news, family)

        exists = tmp_path / "if_inet6"
        if ipv6:
            exists.touch()
        monkeypatch.setattr(kernel, "_IF_INET6", str(exists))
        monkeypatch.setattr(kernel, "_run", ip.run)
        monkeypatch.setattr(kernel.netlink, "RuleWatch", watch)
        return ip

    return start


def read():
    """Return the letters of each family."""
    state = kernel.read()
    return {family: "".join(rule.src for rule in state.rules[family]) for family in (4, 6)}


FIRST = (4, "addr show", "rule show")


def test_what_is_read_while_nothing_changes_is_taken_as_it_is_doubles_too(play):
    ip = play(["Aabb"], ["ccB"])
    assert read() == {4: "Aabb", 6: "ccB"}
    assert ip.started == [FIRST, (6, "rule show")]


def test_what_changed_before_does_not_count(play):
    ip = play(["ab"], ["c"])
    ip.news.update({4: True, 6: True})
    assert read() == {4: "ab", 6: "c"}
    assert len(ip.started) == 2


def test_the_first_reading_while_nothing_changes_counts(play):
    ip = play(["abcc~", "ad~", "aad", "x"], ["e"])
    assert read() == {4: "aad", 6: "e"}
    assert ip.started == [FIRST, (6, "rule show"), *[(4, "rule show")] * 2]


def test_only_the_family_that_changes_is_read_again(play):
    ip = play(["ab"], ["cd~", "c"])
    assert read() == {4: "ab", 6: "c"}
    assert ip.started == [FIRST, *[(6, "rule show")] * 2]


@pytest.mark.parametrize(
    ("readings", "together"),
    [
        (["abc~", "abc~"], "abc"),
        (["abbc~", "abcc~"], "abc"),
        (["abcd~", "acd~"], "abcd"),
        (["bcd~", "abc~"], "abcd"),
        (["abcde~", "ae~"], "abcde"),
        (["ae~", "abce~", "ade~", "ae~"], "abcde"),
        (["ABab~", "Aab~"], "ABab"),
        # More rules came in front than the first message had.
        (["abc~", "aABc~"], "ABabc"),
        (["~", "~"], ""),
    ],
)
def test_of_rules_that_never_rest_each_is_taken_once(play, monkeypatch, readings, together):
    monkeypatch.setattr(kernel, "_READINGS", len(readings))
    ip = play(readings)
    assert read()[4] == together
    assert len(ip.started) == len(readings)


def test_rules_that_never_rest_are_not_read_for_ever(play):
    ip = play(["ab~"], ["c~"])
    assert read() == {4: "ab", 6: "c"}
    assert len(ip.started) < 50


def test_a_host_that_does_not_tell_of_changes_is_read_until_it_says_the_same_twice(play):
    ip = play(["abc", "ab", "abd", "abd", "x"], deaf=True)
    assert read() == {4: "abd", 6: ""}
    assert ip.started == [FIRST, *[(4, "rule show")] * 3]


def test_addresses_that_change_while_they_are_read_are_read_again(play):
    ip = play(["a", "b", "c"], said=[INTERRUPTED] * 2)
    state = kernel.read()
    assert state.links["eth0"].index == len(ip.started) == 3
    assert [rule.src for rule in state.rules[4]] == ["c"]


def test_addresses_that_never_rest_are_an_error(play):
    play(said=[INTERRUPTED] * 100)
    with pytest.raises(KernelError, match="keep changing"):
        kernel.read()
