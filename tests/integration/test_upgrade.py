"""New code reaches a minion that runs, without a restart."""

import pytest

NEW_CODE = """

_parse_of_before = parse


def parse(data):
    wanted, errors = _parse_of_before(data)
    return wanted, [*errors, "backend: the new code is in use"]
"""


@pytest.fixture
def shared_code(checkout):
    """A module of shared code as the master serves it; put back at the end."""
    path = checkout / "_utils/multihoming_config.py"
    before = path.read_text()
    yield path
    path.write_text(before)


def sync(salt):
    """Sync the modules and tell which of the shared ones were new to alpha."""
    return salt.run("saltutil.sync_all", minion="alpha")["utils"]


def test_a_running_minion_uses_the_new_code_once_it_is_synced(converged, shared_code):
    converged.refresh()
    # All of it is in use already.
    assert converged.run("multihoming.validate", minion="alpha") == []
    before = shared_code.read_text()
    shared_code.write_text(before + NEW_CODE)
    assert sync(converged) == ["utils.multihoming_config"]
    assert converged.run("multihoming.validate", minion="alpha") == [
        "backend: the new code is in use"
    ]
    result = converged.apply(minion="alpha")
    assert (result["result"], result["comment"]) == (False, "backend: the new code is in use")

    shared_code.write_text(before)
    assert sync(converged) == ["utils.multihoming_config"]
    assert converged.run("multihoming.validate", minion="alpha") == []
    assert converged.apply(minion="alpha")["result"] is True


def test_one_run_may_sync_and_then_use_the_new_code(converged, checkout, shared_code):
    upgraded = checkout / "states/upgraded.sls"
    upgraded.write_text(
        "{% set ready = 'multihoming.apply' in salt %}\n"
        "sync:\n  saltutil.sync_all:\n    - reload_modules: true\n"
        "multihoming:\n  multihoming.managed:\n    - require:\n      - saltutil: sync\n"
    )
    shared_code.write_text(shared_code.read_text() + NEW_CODE)
    try:
        result = converged.run("state.apply", "upgraded", minion="alpha")
    finally:
        upgraded.unlink()
    managed = result["multihoming_|-multihoming_|-multihoming_|-managed"]
    assert managed["comment"] == "backend: the new code is in use"
