"""
Policy routing for hosts with several interfaces: replies leave through the one that was asked.

Each interface gets a routing table with its own default route, and a rule ``from`` its address
that leads there (ip-rule(8), ip-route(8)). Tables, rules and routes are described in pillar under
``multihoming``; see README.md and pillar.example.

:maturity: new
:depends: netaddr, iproute2 5.2 or newer
:platform: Linux

All functions that take ``tables``, ``interfaces`` and the other keys of the pillar read those that
are not given from there.

.. code-block:: yaml

    multihoming:
      tables:
        gateway1: 201
      interfaces:
        eth1:
          table: gateway1
          gateway: 192.168.1.254
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
    import multihoming_iproute2 as iproute2
    import multihoming_kernel as kernel
    import multihoming_look as look
    import multihoming_values as values
    from multihoming_errors import ExpectedError, HostError
    from multihoming_lazy import room
    from multihoming_numbers import FAMILIES, RESERVED_TABLES, U32
    from multihoming_text import all_shown, shown
    from multihoming_version import VERSION

    MISSING = None
except ImportError as err:
    MISSING = f"multihoming needs {err.name}: run `salt-call saltutil.sync_all`"
    if err.name == "netaddr":
        from multihoming_errors import NO_NETADDR as MISSING

__virtualname__ = "multihoming"


def __virtual__():
    """Load on Linux once the shared code is synced and netaddr is installed."""
    if MISSING:
        return False, MISSING
    if __grains__["kernel"] != "Linux":
        return False, "multihoming configures Linux hosts only"
    return __virtualname__


def _data(**given):
    """Return the pillar's ``multihoming`` with the given keys in place of its own.

    (None, False) without either.
    """
    return config.joined(__pillar__.get("multihoming"), "multihoming" in __pillar__, given)


def _call(function, *args, **kwargs):
    """Call a shared function; what is wrong becomes a CommandExecutionError."""
    try:
        return function(*args, **kwargs)
    except ExpectedError as err:
        raise CommandExecutionError(str(err)) from err


def _told(function, *args, **kwargs):
    """Call a shared function, and return what it says so that it can be sent and printed."""
    return all_shown(_call(function, *args, **kwargs))


def _nothing(notes):
    return {"commands": [], "files": {}, "interfaces": {}, "tables": {}, "notes": notes}


def version():
    """
    Return the version of this package, as it is synced to this minion.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.version
    """
    return VERSION


def list_tables():
    """
    Return the names of routing tables and their ids, from rt_tables and its drop-ins.

    The kernel's own (``local``, ``main``, ``default``, ``unspec``) are included.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.list_tables
    """
    return all_shown(_call(look.read_tables).ids)


def set_table(name, id):
    """
    Give a routing table a name, and return what changed in rt_tables as unified diffs by path.

    The name goes into ``/etc/iproute2/rt_tables.d/multihoming.conf`` where iproute2 reads
    drop-ins, else into ``/etc/iproute2/rt_tables`` with a marker. A name that stands elsewhere
    with the same id stays there and is recorded as owned. Raises an error when name or id is
    taken.

    name
        The table's name.

    id
        Its id, 1 to 4294967295 without 253, 254 and 255.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.set_table gateway1 201
    """
    given = config.plain([name, id])
    return all_shown(host.all_diffs(_call(host.commit_table, host.register_table, *given)))


def delete_table(name):
    """
    Take a table's name out of rt_tables, and return what changed as unified diffs by path.

    Raises an error while rules lead to the table or routes are in it.

    name
        The table's name. One that is not there is no error.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.delete_table gateway1
    """
    given = config.plain(name)
    return all_shown(host.all_diffs(_call(host.commit_table, host.release_table, given)))


def list_rules(family=None):
    """
    Return the kernel's rules in the order in which they run, in the pillar's words.

    Each has ``family``, ``priority``, ``from``, ``table`` (its name where it has one), ``action``
    and ``protocol``, and those selectors that it uses.

    family
        4 or 6; both by default.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.list_rules family=4
    """
    names = _table_names()
    rules = _call(kernel.read).rules
    return [
        all_shown(iproute2.rule_dict(rule, names))
        for number in _families(config.plain(family))
        for rule in rules[number]
    ]


def list_routes(table=None, family=None):
    """
    Return the kernel's routes, in the pillar's words.

    Each has ``family``, ``table`` (its name where it has one), ``to``, ``type`` and ``protocol``,
    and what else it says. Without a table, those of all tables but ``local``.

    table
        A table's name or id.

    family
        4 or 6; both by default.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.list_routes gateway1
    """
    names = _table_names()
    families = _families(config.plain(family))
    id_ = None if table is None else _table_id(config.plain(table), names)
    return [
        all_shown(iproute2.route_dict(route, names))
        for route in _call(kernel.routes, id_)
        if route.family in families and (id_ or names.get(route.table) != "local")
    ]


def _table_names():
    return {id_: name for name, id_ in list_tables().items()}


def _table_id(table, names):
    ids = {name: id_ for id_, name in names.items()}
    if isinstance(table, str) and shown(table) in ids:
        return ids[shown(table)]
    try:
        return values.parse_number(table, 1, U32)
    except ValueError:
        raise CommandExecutionError(
            f"table: {table!r} is not in rt_tables; write a name from multihoming.list_tables, or "
            "an id"
        ) from None


def _families(family):
    known = {"4": (4,), "inet": (4,), "ipv4": (4,), "6": (6,), "inet6": (6,), "ipv6": (6,)}
    if family is None:
        return FAMILIES
    if str(family).lower() not in known:
        raise CommandExecutionError(f"family: {family!r} is not an address family; write 4 or 6")
    return known[str(family).lower()]


def list_files(backend=None):
    """
    Return the files that the backend keeps for this package, as ``{path: text}``.

    backend
        As in the pillar.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.list_files
    """
    return _told(host.owned_files, _backend(backend))


def _backend(given):
    """Return the name of the backend that is asked for, the pillar's by default."""
    data, _ = _data(backend=given)
    return data.get("backend", "auto") if isinstance(data, dict) else "auto"


def validate(
    tables=None,
    interfaces=None,
    priority=None,
    keep_main_routes=None,
    default_gateway=None,
    sysctl=None,
    backend=None,
    take_over=None,
    words=False,
):
    """
    Return what is wrong with this minion's pillar, as a list of messages; empty when it is good.

    Each message names the key and says what to write instead. The host is looked at too: an
    interface that is missing or down, a gateway outside of its subnets, a kernel setting that it
    does not have.

    The exit status of ``salt-call --retcode-passthrough`` is 2 when anything is wrong, else 0;
    ``salt.function`` in an orchestration fails by it.

    words
        Return one text for people instead: the messages, a line each, or that it is valid.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.validate
        salt '*' multihoming.validate words=true
    """
    arguments = _given(locals())
    words = arguments.pop("words")
    data, there = _data(**arguments)
    errors = _errors(data) if there else []
    __context__["retcode"] = 2 if errors else 0
    if not words:
        return errors
    return "\n".join(errors) or (_VALID if there else host.ABSENT)


_VALID = "valid: the pillar `multihoming` can be applied on this minion"


def _errors(data):
    try:
        host.look(data)
    except HostError as err:
        return err.errors
    return []


def desired(
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
    Return what the pillar comes to on this host, after defaults and discovery.

    ``tables`` is name -> id, ``interfaces`` is interface -> ``table``, ``routes`` and ``rules``,
    these two as in ``list_routes`` and ``list_rules``. With ``default_gateway``, that is its
    ``interface`` and ``gateway``, one of each family.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.desired
    """
    data, there = _data(**_given(locals()))
    if not there:
        return {"tables": {}, "interfaces": {}}
    work = _call(host.look, data)
    names = {**RESERVED_TABLES, **{id_: name for name, id_ in work.goal.tables.items()}}
    outcome = {
        "tables": dict(work.goal.tables),
        "interfaces": {
            name: {
                "table": policy.table.name,
                "routes": [iproute2.route_dict(route, names) for route in policy.routes],
                "rules": [iproute2.rule_dict(rule, names) for rule in policy.rules],
            }
            for name, policy in work.goal.outcome.policies.items()
        },
    }
    chosen = work.goal.chosen
    if chosen:
        gateways = list(chosen.gateways.values())
        outcome["default_gateway"] = {"interface": chosen.interface, "gateway": gateways}
    return all_shown(outcome)


def plan(
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
    Return what ``apply`` would do, without doing it. All values are empty when there is nothing.

    The pillar is the one in the minion's memory. After an edit on the master that is the old one
    until ``saltutil.refresh_pillar`` has run.

    commands
        The exact ``ip`` lines, in order.

    files
        Path -> unified diff.

    interfaces
        Interface -> routes and rules added and removed.

    tables
        Name -> old and new id of the tables that this package owns.

    notes
        What else is worth knowing: optional interfaces that were skipped.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.plan
        salt-call multihoming.plan tables='{gateway1: 201}' \\
            interfaces='{eth1: {table: gateway1, gateway: 192.168.1.254}}'
    """
    data, there = _data(**_given(locals()))
    return all_shown(_call(host.look, data).report) if there else _nothing([host.ABSENT])


def apply(
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
    Make the host what the pillar says, verify it, and return what was done, as ``plan`` does.

    All or nothing: when a step fails, or the result does not hold, everything is put back and
    an error raised. No network service is restarted. ``sysctl`` is checked here as in ``plan``, and
    kept by the state only.

    The pillar is the one in the minion's memory. After an edit on the master that is the old one
    until ``saltutil.refresh_pillar`` has run, and what the old one says, like a gateway that the
    edit replaced, comes back. ``state.apply`` fetches the new one by itself.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.apply
    """
    data, there = _data(**_given(locals()))
    return all_shown(_call(host.apply, data).report) if there else _nothing([host.ABSENT])


def reply_path(address, client, interface=None):
    """
    Return which way the reply to a client goes, and whether and why it is lost.

    The kernel is asked (``ip route get``, ip-route(8)), for a packet without mark and port: what
    rules make of these is not told. Changes nothing, and sends nothing.

    address
        The address of this host that is asked.

    client
        The address of the host that asks.

    interface
        Where the request arrives. By default the interface on whose segment the client is, if it
        has the address or has no gateway (this host is the clients' router there), else the one
        that has the address; that of an address on lo is the one in whose subnet it lies.

    Returned are

    arrives
        The interface on which the request comes in, ``lo`` from this host itself, None when that
        can't be told.

    leaves, via
        The interface by which the reply leaves, and the gateway; None when there is none.

    rule, table, route
        What decided: as in ``list_rules`` and ``list_routes``; the table by its name where it has
        one.

    symmetric
        Whether the reply leaves where the request arrives; None when one of them is not known.

    dropped, reason
        Whether request or reply is lost on this host, and why, in a sentence.

    rp_filter
        The reverse-path filter where the request arrives: the settings of ``all`` and of the
        interface, and the ``mode`` in force, ``off``, ``strict`` or ``loose``, which is that of
        the larger (ip-sysctl in the kernel's documentation). None for IPv6, which has none.

    and ``address``, ``client`` and ``family``.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.reply_path 192.168.1.220 192.168.2.17
        salt '*' multihoming.reply_path 192.168.1.220 172.17.0.2 interface=docker0
    """
    given = config.plain([address, client, interface])
    return _told(room("multihoming_ask").path_of_reply, *given)


def diagnose(
    tables=None,
    interfaces=None,
    priority=None,
    keep_main_routes=None,
    default_gateway=None,
    sysctl=None,
    backend=None,
    take_over=None,
    severity=None,
):
    """
    Return what is wrong with this host's routing, as a list of findings, the worst first.

    Empty on a healthy host. No pillar is needed; with one, remedies name what is declared there,
    and ``backend: none`` says that files don't matter. Nothing is changed; as root, the gateways
    are asked with ARP and neighbour discovery whether they are there.

    Each finding has

    id
        What it is, like ``asymmetric-reply``; README.md has a table of them.

    severity
        ``error``, ``warning`` or ``info``.

    interface
        The one that it is about, or None.

    message
        One sentence.

    evidence
        Lines as ``ip`` or the file shows them.

    remedy
        A line for the pillar, or a command.

    The exit status of ``salt-call --retcode-passthrough`` follows the worst: 2 for an error, 1
    for a warning, else 0.

    severity
        Return only what is this bad or worse, and let the exit status follow that: ``error``, or
        ``warning`` for errors and warnings.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.diagnose
        salt '*' multihoming.diagnose severity=error
        salt-call --retcode-passthrough multihoming.diagnose
    """
    arguments = _given(locals())
    severity = arguments.pop("severity")
    data, there = _data(**arguments)
    found = _call(room("multihoming_ask").findings, data, there, config.plain(severity))
    severities = {finding.severity for finding in found}
    __context__["retcode"] = 2 if "error" in severities else 1 if "warning" in severities else 0
    return [all_shown(finding.as_dict()) for finding in found]


def diagram(
    format="text",
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
    Return the paths of this host as a picture: which way the reply to each request goes.

    Each interface is shown with its addresses, the routers next to it, the table that decides, and
    what ``diagnose`` finds wrong with it. A reply that leaves by another interface than the one
    that was asked crosses over to it; one that is lost ends in a cross with the reason. Replies
    are drawn from the addresses of interfaces that have a gateway, to a client in another network.
    Nothing is changed; gateways are asked whether they are there, as by ``diagnose``.

    format
        ``text``, 80 columns of box characters; ``mermaid``, a flowchart
        (https://mermaid.js.org/syntax/flowchart.html); or ``svg``, laid out by Graphviz, which
        needs its program ``dot`` (package graphviz) and the Python library graphviz.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.diagram
        salt-call --out=json multihoming.diagram svg | jq -r .local > paths.svg
    """
    arguments = _given(locals())
    arguments.pop("format")
    return _told(
        room("multihoming_picture").draw,
        format,
        *_data(**arguments),
        __opts__["id"],
    )


def export(backend=None):
    """
    Return the pillar for what this host does already, whoever made it: to adopt a server.

    Read from kernel, rt_tables and the backend's files. What can't be expressed is listed, with
    the reason, and is left alone by the pillar: a table is exported whole or not at all. Rules
    into main are part of it where they are just what ``keep_main_routes`` makes, and
    ``default_gateway`` where ``/etc/sysconfig/network`` names an interface and main agrees.

    multihoming
        What to write under ``multihoming:`` in the pillar.

    left_out
        Tables and rules that are not in it, and everything that the pillar would change
        (``would change: ...``); empty when it describes the host to the letter.

    notes
        What else is worth knowing: lines that files would gain (rt_tables records which tables
        are managed), routes and rules that would be made anew and why.

    backend
        As in the pillar. Where ``auto`` finds none, ``backend: none`` becomes part of the result.

    CLI Example:

    .. code-block:: bash

        salt '*' multihoming.export
        salt-call --out=yaml multihoming.export
    """
    return _told(room("multihoming_ask").export, _backend(backend))


def _given(arguments):
    """Return a function's arguments without what the loader adds."""
    return {key: value for key, value in arguments.items() if not key.startswith("__")}
