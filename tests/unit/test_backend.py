"""The contract for network managers: who has which interface, and what its loader stamps."""

from __future__ import annotations

import multihoming_backend as backend
import pytest
from multihoming_backend import AUTO, Claim, Stamps
from multihoming_model import Route, Rule
from multihoming_numbers import BOOT, STATIC, UNSPEC

SURE, GUESS = Claim("a file"), Claim("a folder", sure=False)


@pytest.mark.parametrize(
    ("written", "claims", "name"),
    [
        ("none", {}, "none"),
        ("one", {"two": SURE}, "one"),
        (AUTO, {"one": SURE}, "one"),
        (AUTO, {"one": GUESS}, "one"),
        (None, {"one": SURE}, "one"),
        (AUTO, {"one": GUESS, "two": SURE}, "two"),
        (AUTO, {"one": SURE, "two": GUESS, "three": GUESS}, "one"),
    ],
)
def test_an_interface_has_the_manager_that_is_written_or_surest_of_it(written, claims, name):
    written = {} if written is None else {"eth1": written}
    claims = {each: {"eth1": claim, "eth9": SURE} for each, claim in claims.items()}
    assert backend.choose(["eth1"], written, claims) == ({"eth1": name}, {})


@pytest.mark.parametrize("sure", [True, False])
def test_two_that_are_as_sure_as_each_other_are_trouble(sure):
    claims = {"one": {"eth1": Claim("a file", sure)}, "two": {"eth1": Claim("a profile", sure)}}
    found, trouble = backend.choose(["eth1"], {}, claims)
    assert found == {}
    assert trouble == {
        "eth1": "one (a file) and two (a profile) are in charge of eth1 at once; write "
        "`backend: one` or `backend: two` there"
    }


def test_an_interface_that_nobody_claims_is_trouble_and_others_are_not():
    found, trouble = backend.choose(["eth1", "eth2"], {"eth1": AUTO}, {"one": {"eth2": SURE}})
    assert found == {"eth2": "one"}
    assert trouble == {
        "eth1": "no network manager that is supported is in charge of eth1; write "
        "`backend: network-scripts`, or `backend: none` for the kernel only (gone at reboot)"
    }


def test_a_claim_is_sure_unless_it_says_otherwise():
    assert Claim("a file").sure


def test_every_manager_has_the_name_that_people_write():
    for name in backend.BACKENDS:
        assert name == backend.named(name).NAME
    assert set(backend.PLANNED).isdisjoint(backend.BACKENDS)


def test_a_manager_that_says_nothing_stamps_what_ip_does():
    plain = [Route(4, 7, "default"), Rule(4, 5, 7)]
    assert [Stamps().put_on(item) for item in plain] == plain
    assert Stamps() == Stamps(route=BOOT, rule=UNSPEC)


def test_routes_and_rules_are_stamped_each_with_its_own():
    stamps = Stamps(route=STATIC, rule=186)
    route, rule = Route(6, 7, "default", metric=9), Rule(6, 5, 7, src="2001:db8::1")
    assert stamps.put_on(route) == Route(6, 7, "default", metric=9, protocol=STATIC)
    assert stamps.put_on(rule) == Rule(6, 5, 7, src="2001:db8::1", protocol=186)
    assert stamps.put_on(stamps.put_on(rule)) == stamps.put_on(rule)
