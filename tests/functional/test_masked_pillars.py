"""Messages say what was written, whatever Salt makes of a pillar before it is read."""

from collections import OrderedDict

import pytest
from article import GATEWAY, pillar
from minion import hide

# What was written -> where, and how the message says it.
WRONG = {
    "interfaces.eth1.table: ['gateway1'] is not a name": {"table": ["gateway1"]},
    "interfaces.eth1.onlink: {'a': ['b', {...}]} is not a boolean": {
        "onlink": {"a": ["b", {"c": 1}]}
    },
    "interfaces.eth1.gateway: {'via': '192.168.1.254'} is not": {"gateway": {"via": GATEWAY}},
    "interfaces.eth1.routes: is a dictionary": {"routes": {"to": "default"}},
    "interfaces.eth1.rules[0]: is a list": {"rules": [["fwmark", 1]]},
    "interfaces.eth1.routes[0].nexthops[0].via: ['x'] is not": {
        "routes": [{"to": "default", "nexthops": [{"via": ["x"]}]}]
    },
}


def ordered(value):
    if isinstance(value, dict):
        return OrderedDict((key, ordered(each)) for key, each in value.items())
    return [ordered(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(params=[hide, ordered, lambda value: hide(ordered(value))])
def handed_on(request):
    """Return a value as Salt hands it on: as it is in 3008, and before."""
    return request.param


@pytest.mark.parametrize(("says", "eth1"), WRONG.items(), ids=WRONG)
def test_the_pillar_is_said_as_it_was_written(refused, minion, handed_on, says, eth1):
    whole = handed_on(pillar(**eth1))
    assert refused(whole).startswith(says)
    (message,) = minion.call("validate", pillar=whole)
    assert message.startswith(says)


def test_the_top_level_is_said_as_it_was_written(refused, handed_on):
    whole = handed_on({"tables": [{"gateway1": 201}], "interfaces": {}, "backend": ["none"]})
    assert refused(whole).splitlines() == [
        "tables: is a list; write names with their ids, like `gateway1: 201`, or {} for none",
        "backend: ['none'] is not known; write one of auto, network-scripts, none",
    ]
    assert refused(handed_on([{"gateway1": 201}])).startswith("multihoming: is a list, not")


@pytest.mark.parametrize(("says", "eth1"), WRONG.items(), ids=WRONG)
def test_arguments_of_states_are_said_as_they_were_written(refused, handed_on, says, eth1):
    said = refused(None, "managed", "multihoming", **handed_on(pillar(**eth1)))
    assert said.startswith(says)
    if "table" not in eth1:
        given = handed_on({"table": "gateway1", "table_id": 201, **eth1})
        assert refused(None, "interface_present", "eth1", **given).startswith(says)


def test_names_and_ids_of_single_states_are_said_as_they_were_written(refused, handed_on):
    table = handed_on(["gateway1"])
    for more in ({}, {"table_id": 201}):
        said = refused(None, "interface_present", "eth1", table=table, **more)
        assert said.startswith("table: ['gateway1'] is not a table name")
    said = refused(None, "interface_absent", "eth1", table=table)
    assert said.startswith("table: ['gateway1'] is not a table name")
    said = refused(None, "interface_absent", "eth1", backend=table)
    assert said.startswith("backend: ['gateway1'] is not known")
    said = refused(None, "table_present", "gateway1", id=handed_on([201]))
    assert said.startswith("[201] is not a number")


def test_functions_say_what_they_were_given(minion, host, handed_on):
    with pytest.raises(Exception, match=r"^\[201\] is not a number"):
        minion.call("set_table", "gateway1", handed_on([201]))
    with pytest.raises(Exception, match=r"^table: \['gateway1'\] is not in rt_tables"):
        minion.call("list_routes", handed_on(["gateway1"]))
    for function in ("list_files", "export"):
        with pytest.raises(Exception, match=r"^backend: \['none'\] is not known"):
            minion.call(function, backend=handed_on(["none"]))
