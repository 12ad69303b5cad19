"""
The functions that read the pillar, for salt-ssh.

The pillar stays on the master there, and only states get it sent along. So these are called on the
host with the pillar's keys as arguments; those that are given count instead of the pillar's.
"""

from salt.client.ssh.wrapper import FunctionWrapper
from salt.exceptions import CommandExecutionError


def _remote(name):
    """Return the function on the host itself, past the one of this module."""
    here = __salt__.value()
    there = FunctionWrapper(
        here.opts,
        mods=here.mods,
        fsclient=here.fsclient,
        minion_opts=here.minion_opts,
        **here.kwargs,
    )
    return there[f"multihoming.{name}"]


def _pillar():
    data = __pillar__.get("multihoming", {})
    if not isinstance(data, dict):
        raise CommandExecutionError(
            f"multihoming: {data!r} is no mapping; write `tables` and `interfaces` below it"
        )
    return data


def _with_pillar(name, keys=None):
    def function(*args, **kwargs):
        given = {key: value for key, value in _pillar().items() if keys is None or key in keys}
        return _remote(name)(*args, **{**given, **kwargs})

    function.__doc__ = f"See the execution module's ``multihoming.{name}``."
    return function


validate = _with_pillar("validate")
desired = _with_pillar("desired")
plan = _with_pillar("plan")
apply = _with_pillar("apply")
diagnose = _with_pillar("diagnose")
diagram = _with_pillar("diagram")
list_files = _with_pillar("list_files", ("backend",))
export = _with_pillar("export", ("backend",))
