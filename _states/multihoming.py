"""
Policy routing for hosts with several interfaces, declared.

A request that comes in on eth1 from another network is answered through eth1, not through
whichever interface has the default route.

.. code-block:: yaml

    multihoming:
      multihoming.managed:
        - tables:
            gateway1: 201
            gateway2: 202
        - interfaces:
            eth1:
              table: gateway1
              gateway: 192.168.1.254
            eth2:
              table: gateway2
              addresses: [10.0.0.99/8, '2001:db8::99/64']
              gateway: [10.0.0.1, '2001:db8::1']
              routes:
                - to: 172.16.0.0/12
                  via: 10.0.0.2
              rules:
                - fwmark: 0x1/0xff
        - sysctl:
            net.ipv4.conf.all.arp_ignore: 1

``changes`` is keyed by what changed: ``tables``, each interface, ``default_gateway``, ``files`` and
``sysctl``. It is the same under ``test=True`` as in the run that follows.

:depends: netaddr, iproute2 5.2 or newer, the execution module ``multihoming``
"""

import sys

from salt.exceptions import CommandExecutionError

# After a sync within a run, Salt executes this file anew but leaves imported modules as they are.
if "multihoming_host" in sys.modules and sys.modules["multihoming_host"].is_outdated():
    for _name in [name for name in sys.modules if name.startswith("multihoming_")]:
        del sys.modules[_name]

try:
    import multihoming_config as config
    import multihoming_host as host
    import multihoming_look as look
    from multihoming_errors import ExpectedError, HostError
    from multihoming_text import all_shown

    MISSING = None
except ImportError as err:
    MISSING = f"multihoming needs {err.name}: run `salt-call saltutil.sync_all`"
    if err.name == "netaddr":
        from multihoming_errors import NO_NETADDR as MISSING

__virtualname__ = "multihoming"


def __virtual__():
    """Load where the execution module does."""
    if MISSING:
        return False, MISSING
    return __virtualname__


def managed(
    name,
    tables=None,
    interfaces=None,
    priority=None,
    keep_main_routes=None,
    default_gateway=None,
    sysctl=None,
    backend=None,
    take_over=None,
):
    """
    Keep the policy routing of the whole host: tables, rules, routes and the files behind them.

    Owned tables that are no longer declared go away, with their rules, routes and files. What
    others made stays. Keys that are not given are read from the pillar ``multihoming``; without
    both, the host is left alone.

    name
        Any name; nothing depends on it.

    tables
        Table name -> id.

    interfaces
        Interface -> ``table``, ``addresses``, ``gateway``, ``onlink``, ``priority``, ``routes``,
        ``rules``, ``keep_main_routes``, ``subnet_routes``, ``optional``; see README.md.

    priority
        Priority of the from-rules, 20000 by default.

    keep_main_routes
        Let replies use main's routes other than the default. False by default.

    default_gateway
        The interface whose gateway main's default route uses. By default main is left as it is.

    sysctl
        Kernel settings, kept with ``sysctl.present`` once all else holds. When one is refused,
        all is put back.

    backend
        ``auto`` (default), ``network-scripts`` or ``none``.

    take_over
        What stands in a table that was not managed before, and is not declared, may go. By default
        that is an error which lists it.

    .. code-block:: yaml

        multihoming:
          multihoming.managed:
            - tables: {gateway1: 201}
            - interfaces:
                eth1: {table: gateway1, gateway: 192.168.1.254}
    """
    given = {
        "tables": tables,
        "interfaces": interfaces,
        "priority": priority,
        "keep_main_routes": keep_main_routes,
        "default_gateway": default_gateway,
        "sysctl": sysctl,
        "backend": backend,
        "take_over": take_over,
    }
    ret = {"name": name, "result": True, "changes": {}, "comment": ""}
    there = "multihoming" in __pillar__
    data, there = config.joined(__pillar__.get("multihoming"), there, given)
    if not there:
        return {**ret, "comment": host.ABSENT}
    try:
        done, kept = _foretold(data) if __opts__["test"] else _done(data)
    except ExpectedError as err:
        return {**ret, "result": False, "comment": str(err)}
    _report(ret, all_shown(done.report), all_shown(list(done.warnings)))
    return _settings(ret, done.settings, kept)


def interface_present(
    name,
    table,
    table_id=None,
    addresses=None,
    gateway=None,
    onlink=None,
    priority=None,
    keep_main_routes=None,
    subnet_routes=None,
    routes=None,
    rules=None,
    optional=None,
    device=None,
    backend="auto",
    take_over=False,
):
    """
    Keep the policy of one interface, and touch nothing else.

    name
        The interface, or, with ``device``, a name for one more policy of it.

    device
        The interface, where it has more than one policy; ``addresses`` are required then.

    table
        The name of its table. What stands in another one that served the interface before goes
        away; the name of that stays in rt_tables.

    table_id
        The table's id. May be left out when the name is in rt_tables, for example through
        ``multihoming.table_present``; with it, ``test=True`` can predict a fresh host too.

    addresses, gateway, onlink, priority, keep_main_routes, subnet_routes, routes, rules, optional
        As in the pillar's ``interfaces``; see README.md.

    backend
        ``auto`` (default), ``network-scripts`` or ``none``.

    take_over
        What stands in the table, was not managed before and is not declared, may go.

    .. code-block:: yaml

        eth1:
          multihoming.interface_present:
            - table: gateway1
            - table_id: 201
            - gateway: 192.168.1.254
    """
    entry = {
        "table": table,
        "addresses": addresses,
        "gateway": gateway,
        "onlink": onlink,
        "priority": priority,
        "keep_main_routes": keep_main_routes,
        "subnet_routes": subnet_routes,
        "routes": routes,
        "rules": rules,
        "optional": optional,
        "device": device,
    }
    entry = config.plain({key: value for key, value in entry.items() if value is not None})
    table, table_id, backend, take_over = config.plain([table, table_id, backend, take_over])
    ret = {"name": name, "result": True, "changes": {}, "comment": ""}
    try:
        host.check_is_name(table)
        known = look.read_tables().ids
        if table_id is None and table not in known:
            return _unknown_table(ret, table)
        data = {
            "tables": {table: known.get(table) if table_id is None else table_id},
            "interfaces": {name: entry},
            "backend": backend,
            "take_over": take_over,
        }
        return _report(ret, *_run(data, [table, *host.tables_of(name, backend)]))
    except ExpectedError as err:
        return {**ret, "result": False, "comment": str(err)}


def interface_absent(name, table=None, backend="auto"):
    """
    Take away the policy of one interface: its rules, its routes and their files.

    The table's name stays in rt_tables; see ``table_absent``.

    name
        The interface. It need not exist any more.

    table
        The name of its table; by default the owned one that is recorded in rt_tables as its.

    backend
        ``auto`` (default), ``network-scripts`` or ``none``.

    .. code-block:: yaml

        eth1:
          multihoming.interface_absent: []
    """
    table, backend = config.plain([table, backend])
    ret = {"name": name, "result": True, "changes": {}, "comment": ""}
    try:
        tables = [host.check_table_of(name, table)] if table else host.tables_of(name, backend)
        data = {"tables": {}, "interfaces": {}, "backend": backend}
        return _report(ret, *_run(data, tables))
    except ExpectedError as err:
        return {**ret, "result": False, "comment": str(err)}


def table_present(name, id):
    """
    Keep a routing table's name in rt_tables.

    name
        The table's name.

    id
        Its id, 1 to 4294967295 without 253, 254 and 255.

    .. code-block:: yaml

        gateway1:
          multihoming.table_present:
            - id: 201
    """
    id_ = config.plain(id)
    return _table(name, id_, host.register_table, name, id_)


def table_absent(name):
    """
    Keep a routing table's name out of rt_tables.

    Fails while rules lead to the table or routes are in it. Under ``test=True`` they may be there
    still when a state before this one would change something: it may be what takes them away.

    name
        The table's name.

    .. code-block:: yaml

        gateway1:
          multihoming.table_absent: []
    """
    return _table(name, None, host.release_table, name, __opts__["test"] and _would_change())


def _table(name, id_, find, *arguments):
    """Report the edits that ``find`` returns, made unless in test mode."""
    ret = {"name": name, "result": True, "changes": {}, "comment": ""}
    try:
        old = look.read_tables().ids.get(name)
        edits = find(*arguments) if __opts__["test"] else host.commit_table(find, *arguments)
    except ExpectedError as err:
        return {**ret, "result": False, "comment": str(err)}
    return _report(
        ret,
        {
            "tables": {name: {"old": old, "new": id_}} if old != id_ else {},
            "files": all_shown(host.diffs(edits)),
        },
    )


def _would_change():
    """Tell whether a state of ours that comes before this one in the run would change something."""
    # Salt puts it there while it runs states.
    before = globals().get("__running__") or {}
    return any(
        tag.startswith("multihoming_|-") and done.get("changes") for tag, done in before.items()
    )


def _unknown_table(ret, table):
    message = (
        f"table: {table!r} is not in rt_tables; write its id as `table_id`, or register it with "
        "multihoming.table_present before"
    )
    if __opts__["test"]:
        return {**ret, "result": None, "comment": f"can't predict: {message}"}
    return {**ret, "result": False, "comment": message}


def _run(data, scope):
    done = (host.look if __opts__["test"] else host.apply)(data, scope)
    return all_shown(done.report), all_shown(list(done.warnings))


def _report(ret, report, warnings=()):
    """Fill in changes, result and comment from a plan."""
    for key in ("tables", "files"):
        if report.get(key):
            ret["changes"][key] = report[key]
    ret["changes"].update(report.get("interfaces", {}))
    notes = list(report.get("notes", ()))
    if ret["changes"]:
        ret["result"] = None if __opts__["test"] else True
        verb = "would change" if __opts__["test"] else "changed and verified"
        notes.insert(0, f"{', '.join(ret['changes'])} {verb}")
    elif not notes:
        notes = ["kernel and files are as declared"]
    ret["comment"] = "\n".join([*notes, *warnings])
    return ret


def _foretold(data):
    """Return what would be done, and what Salt's own state says of each kernel setting."""
    done = host.look(data)
    return done, [_keep(key, value) for key, value in done.settings.items()]


def _done(data):
    """Do it, and return the same."""
    kept = []

    def keep(settings):
        kept.extend(_keep(key, value) for key, value in settings.items())

    keeper = host.Keeper(__salt__["sysctl.default_config"](), keep)
    return host.apply(data, keeper=keeper), kept


def _keep(key, value):
    """Return what Salt's own state says of a kernel setting; raises HostError when it fails."""
    try:
        outcome = __states__["sysctl.present"](name=key, value=value)
    except (CommandExecutionError, OSError, ValueError) as err:
        raise HostError([f"sysctl.{key}: {err}"]) from err
    if outcome["result"] is False:
        raise HostError([f"sysctl.{key}: {outcome['comment']}"])
    return outcome


def _settings(ret, settings, outcomes):
    """Add to ``ret`` what has become of kernel settings."""
    for (key, value), outcome in zip(settings.items(), outcomes, strict=True):
        if outcome["changes"] or outcome["result"] is None:
            ret["changes"].setdefault("sysctl", {})[key] = value
            ret["result"] = None if __opts__["test"] else ret["result"]
            ret["comment"] += f"\n{outcome['comment']}"
    return ret
