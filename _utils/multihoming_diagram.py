"""The paths of a host as a picture: text for the terminal, Mermaid and SVG for documents.

A request comes from a router to the NIC that has the address; the reply goes from there to the
router that it leaves by, and crosses over to another NIC first where the path is asymmetric.

Pure; for ``svg`` Graphviz's ``dot`` turns one text into another.
"""

import html
import itertools
import json
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import multihoming_programs as programs
from multihoming_text import shown

# Salt indents what it prints by four more.
WIDTH = 76
# How much is shown before "and N more".
_NAMES, _ADDRESSES, _FINDINGS = 4, 6, 20
# Replies that cross over are drawn as lines to so many NICs; to others they are told in words.
_RAILS = 4
_MARKS = {"error": "✗", "warning": "!", "info": "i"}


class DiagramError(Exception):
    """The picture can't be drawn; the message says what to write or install."""


@dataclass(frozen=True)
class Nic:
    """An interface.

    addresses
        With prefix length.
    gateways
        The routers next to it.
    main
        The families whose default route in the main table leaves by it.
    state
        A word for what is wrong with the link, else empty.
    routed
        Whether clients in other networks reach it, through a gateway or a point-to-point link.
    """

    name: str
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    main: tuple[int, ...] = ()
    state: str = ""
    routed: bool = True


@dataclass(frozen=True)
class Reply:
    """The way of the replies from some addresses of the NIC on which their requests arrive.

    leaves
        The NIC by which they go out; None when there is none.
    via
        The gateways that they go to.
    table
        The table that decides.
    reason
        Why request or reply is dropped, a sentence; None when it is not.
    """

    addresses: tuple[str, ...]
    arrives: str
    leaves: str | None
    via: tuple[str, ...] = ()
    table: str | None = None
    reason: str | None = None

    @property
    def lost(self) -> bool:
        """Tell whether nothing goes out."""
        return self.leaves is None or self.reason is not None

    @property
    def good(self) -> bool:
        """Tell whether it goes out by the NIC that was asked."""
        return not self.lost and self.leaves == self.arrives

    @property
    def families(self) -> frozenset[int]:
        """Return the families of its addresses."""
        return frozenset(6 if ":" in address else 4 for address in self.addresses)


@dataclass(frozen=True)
class Finding:
    """A fault that ``diagnose`` found; without an interface it concerns the whole host."""

    id: str
    severity: str
    interface: str | None
    message: str


@dataclass(frozen=True)
class Picture:
    """A host, its NICs, the ways of its replies to ``clients`` and what is wrong with it.

    Every interface that a reply names is one of the NICs.
    """

    host: str
    nics: tuple[Nic, ...]
    replies: tuple[Reply, ...]
    clients: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def draw(picture: Picture, format: Any = "text") -> str:
    """Return the picture as ``text``, ``mermaid`` or ``svg``; raises DiagramError."""
    check_format(format)
    return {"text": _text, "mermaid": _mermaid, "svg": _svg}[format](_joined(picture))


def check_format(format: Any) -> None:
    """Raise DiagramError unless the format is known."""
    if format not in ("text", "mermaid", "svg"):
        raise DiagramError(f"format: {format!r} is not known; write text, mermaid or svg")


def _joined(picture: Picture) -> Picture:
    """Return the picture with the replies that go the same way as one."""
    ways: dict[tuple[Any, ...], Reply] = {}
    for reply in picture.replies:
        way = (reply.arrives, reply.leaves, reply.table, reply.reason)
        known = ways.get(way, replace(reply, addresses=(), via=()))
        ways[way] = replace(
            known,
            addresses=known.addresses + reply.addresses,
            via=tuple(dict.fromkeys(known.via + reply.via)),
        )
    return replace(picture, replies=tuple(ways.values()))


# --- words ------------------------------------------------------------------------------------


def _plain(words: str) -> str:
    replaced = "\N{REPLACEMENT CHARACTER}"
    return "".join(char if char.isprintable() else replaced for char in shown(words))


def _wrap(words: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(words, width, subsequent_indent=indent, break_on_hyphens=False)


def _name(picture: Picture) -> str:
    return _plain(f"{picture.host}: {_headline(picture)}")


def _headline(picture: Picture) -> str:
    bad = [reply for reply in picture.replies if not reply.good]
    if not picture.replies:
        return "no gateway is known, so there is no path to other networks"
    if not bad:
        return _good_headline(picture)
    asked = _arriving(bad)
    families = frozenset().union(*(reply.families for reply in bad))
    others = [reply for reply in picture.replies if reply.good and reply.arrives in asked]
    partly = f" by IPv{min(families)}" if others and len(families) == 1 else ""
    leaving = list(dict.fromkeys(reply.leaves for reply in bad if reply.leaves and not reply.lost))
    fate = [
        *([f"is answered through {_listed(leaving)}"] if leaving else []),
        *(["gets no reply"] if any(reply.lost for reply in bad) else []),
    ]
    return f"✗ what comes in on {_listed(asked)}{partly} {' or '.join(fate)}"


def _good_headline(picture: Picture) -> str:
    silent = [nic.name for nic in picture.nics if not nic.routed]
    faults = sum(_is_fault(each) for each in picture.findings)
    good = "every reply leaves by the interface that was asked"
    if silent:
        asked = _listed(_arriving(picture.replies))
        good = f"{asked}: {good}; {_listed(silent)}: no gateway known"
    return f"! {good}; faults found: {faults}" if faults else f"✓ {good}"


def _is_fault(finding: Finding) -> bool:
    return finding.severity != "info"


def _arriving(replies: Iterable[Reply]) -> list[str]:
    return list(dict.fromkeys(reply.arrives for reply in replies))


def _listed(words: Sequence[str], most: int = _NAMES) -> str:
    if len(words) <= most:
        return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
    return f"{', '.join(words[: most - 1])} and {len(words) - most + 1} more"


def _subject(reply: Reply, picture: Picture) -> str:
    """Return ``reply``, and which, where the replies from one NIC go several ways."""
    others = [other for other in picture.replies if other.arrives == reply.arrives]
    if len(others) == 1:
        return "reply"
    if len(reply.families) == 1 and sum(bool(o.families & reply.families) for o in others) == 1:
        return f"IPv{min(reply.families)} reply"
    return f"reply of {_listed(reply.addresses, 2)}"


def _by(reply: Reply, picture: Picture) -> list[str]:
    """Return the table that decides, and the gateway where the NIC has several of a family."""
    gateways = [via for nic in picture.nics if nic.name == reply.leaves for via in nic.gateways]
    several = any(
        sum((":" in other) == (":" in via) for other in gateways) > 1 for via in reply.via
    )
    return [
        *([f"table {reply.table}"] if reply.table else []),
        *([f"via {_listed(reply.via)}"] if several else []),
    ]


def _title(nic: Nic, picture: Picture) -> list[str]:
    """Return the NIC's name and what is remarkable about it."""
    families = frozenset().union(*(reply.families for reply in picture.replies))
    words = [nic.name, nic.state]
    if nic.main:
        only = "" if families <= set(nic.main) else f" IPv{nic.main[0]}"
        words.append(f"main default{only}")
    return [word for word in words if word]


def _addresses(nic: Nic) -> list[str]:
    more = len(nic.addresses) - _ADDRESSES
    lines = [*nic.addresses[:_ADDRESSES], *([f"and {more} more"] if more > 0 else [])]
    return lines if nic.routed else [*lines, "no gateway known"]


def _faults(nic: Nic, picture: Picture) -> list[str]:
    """Return the ids of what was found on a NIC, each with its mark."""
    found = [each for each in picture.findings if each.interface == nic.name]
    return list(dict.fromkeys(f"{_mark(each)} {each.id}" for each in found))


def _mark(finding: Finding) -> str:
    return _MARKS.get(finding.severity, "!")


def _crossing(picture: Picture, nic: Nic) -> str:
    """Return whose replies leave by a NIC that was not asked; empty when there are none."""
    names = _arriving(
        reply
        for reply in picture.replies
        if not reply.lost and reply.leaves == nic.name != reply.arrives
    )
    return f"{'reply' if len(names) == 1 else 'replies'} of {_listed(names)}" if names else ""


def _sentences(picture: Picture, width: int) -> list[str]:
    """Return what was found, in lines."""
    lines: list[str] = []
    for each in picture.findings[:_FINDINGS]:
        where = f", {each.interface}" if each.interface else ""
        said = _plain(f"{_mark(each)} {each.id}{where}: {each.message}")
        lines += _wrap(said, width, "  ")
    more = len(picture.findings) - _FINDINGS
    return lines + ([f"and {more} more: see multihoming.diagnose"] if more > 0 else [])


# --- text -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    """A line of the text: part of a NIC's box, and what is to the right of it.

    out, into
        The NIC to which a reply crosses over here, or from others to this one.
    """

    box: str
    right: str = ""
    out: str | None = None
    into: str | None = None


def _text(picture: Picture) -> str:
    """Return the picture in box characters."""
    rails = [r.leaves for r in picture.replies if not r.lost and not r.good and r.leaves]
    rails = list(dict.fromkeys(rails))[:_RAILS]
    margin = 2 * len(rails) + bool(rails)
    boxes = {nic.name: _box_lines(nic, picture) for nic in picture.nics}
    # One more for the frame that the first line stands in.
    inner = max((len(line) + 1 for lines in boxes.values() for line in lines), default=0)
    inner = min(max(inner, 24), WIDTH - margin - 28)
    room = WIDTH - margin - inner - 6
    rows: list[_Row] = []
    for nic in picture.nics:
        rows += _framed(boxes[nic.name], _beside(nic, picture, room), inner)
    drawn = zip(_margins(rows, rails, margin), rows, strict=True)
    lines = [*_wrap(_name(picture), WIDTH), ""]
    lines += [f"{left}{row.box} {row.right}".rstrip() for left, row in drawn]
    if picture.replies and picture.clients:
        lines += ["", *_wrap(_assumption(picture), WIDTH)]
    if picture.findings:
        lines += [
            "",
            *_sentences(picture, WIDTH),
            "",
            "Evidence and remedies: multihoming.diagnose.",
        ]
    return "\n".join(lines)


def _assumption(picture: Picture) -> str:
    return f"Seen from a client in another network, like {_listed(picture.clients)}."


def _box_lines(nic: Nic, picture: Picture) -> list[str]:
    lines = [" · ".join(_title(nic, picture)), *_addresses(nic)]
    lines += [f"gateway {gateway}" for gateway in nic.gateways]
    lines += _faults(nic, picture)
    return [_plain(line) for line in lines]


def _beside(nic: Nic, picture: Picture, room: int) -> list[_Row]:
    """Return the arrows of a NIC."""
    replies = [reply for reply in picture.replies if reply.arrives == nic.name]
    rows = [_Row("", "◄── request")] if replies else []
    for reply in replies:
        out = None if reply.lost or reply.good else reply.leaves
        rows += _wrapped(_arrow(reply, picture), room, _Row("", out=out))
    crossing = _crossing(picture, nic)
    if crossing:
        rows += _wrapped(f"══► {crossing}", room, _Row("", into=nic.name))
    return rows


def _arrow(reply: Reply, picture: Picture) -> str:
    subject = _subject(reply, picture)
    if reply.lost:
        return f"──✗ no {subject}: {reply.reason or 'no way out'}"
    words = f"──► {subject}" if reply.good else f"✗ {subject} leaves by {reply.leaves}"
    return ", ".join([words, *_by(reply, picture)])


def _wrapped(words: str, room: int, first: _Row) -> list[_Row]:
    lines = _wrap(_plain(words), room, "    ")
    return [replace(first, right=lines[0]), *(_Row("", line) for line in lines[1:])]


def _framed(lines: Sequence[str], beside: Sequence[_Row], inner: int) -> list[_Row]:
    """Return a box with the first line in its frame, and what is beside it."""
    title, *rest = [line if len(line) < inner else f"{line[: inner - 2]}…" for line in lines]
    count = max(len(rest), len(beside))
    rest += [""] * (count - len(rest))
    right = [*beside, *[_Row("")] * (count - len(beside))]
    return [
        _Row(f"┌─ {title} ".ljust(inner + 3, "─") + "┐"),
        *(
            replace(row, box=f"│ {line.ljust(inner)} │")
            for line, row in zip(rest, right, strict=True)
        ),
        _Row(f"└{'─' * (inner + 2)}┘"),
    ]


def _margins(rows: Sequence[_Row], rails: Sequence[str], margin: int) -> list[str]:
    """Return the lines on which replies cross over, left of the boxes."""
    cells = [[" "] * margin for _ in rows]
    for column, rail in enumerate(rails):
        joints = [at for at, row in enumerate(rows) if rail in (row.out, row.into)]
        for at in range(joints[0], joints[-1] + 1):
            cells[at][2 * column] = "╬" if cells[at][2 * column] == "═" else "║"
        for at in joints:
            corner = {joints[0]: "╔", joints[-1]: "╚"}.get(at, "╠")
            arrow = "►" if rows[at].into == rail else "═"
            cells[at][2 * column :] = [corner, *"═" * (margin - 2 * column - 2), arrow]
    return ["".join(line) for line in cells]


# --- the graph that Mermaid and SVG draw ------------------------------------------------------

_GOOD, _BAD, _PLAIN = "#1a7f37", "#cf222e", "#57606a"
_COLOURS = {"request": _PLAIN, "good": _GOOD, "bad": _BAD}


@dataclass(frozen=True)
class _Node:
    """A box; its first line is its name."""

    id: str
    kind: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Edge:
    """An arrow, to the ``left`` or to the right: client, routers, NICs, and what sends astray."""

    tail: str
    head: str
    kind: str
    label: str = ""
    left: bool = False


@dataclass(frozen=True)
class _Graph:
    """What there is to draw; ``server`` are the nodes within the host."""

    outside: tuple[_Node, ...]
    server: tuple[_Node, ...]
    edges: tuple[_Edge, ...]


def _graph(picture: Picture) -> _Graph:
    # Numbers, as the name of an interface may be a word of the languages that graphs are told in.
    ids = {nic.name: str(number) for number, nic in enumerate(picture.nics)}
    asked = {reply.arrives for reply in picture.replies}
    used = asked | {reply.leaves for reply in picture.replies if not reply.lost}
    outside = [
        _Node(f"router{ids[nic.name]}", "router", ("router", *_routers(nic)))
        for nic in picture.nics
        if nic.name in used
    ]
    if asked:
        client = ("client", "in another network", *picture.clients[:2])
        outside = [_Node("client", "router", client), *outside]
    server = [_nic_node(nic, ids[nic.name], picture) for nic in picture.nics]
    edges = [edge for nic in picture.nics for edge in _around(nic, ids[nic.name], picture)]
    astray, paths = _astray(picture, ids)
    return _Graph(tuple(outside), (*server, *astray), (*edges, *paths))


def _astray(picture: Picture, ids: Mapping[str, str]) -> tuple[list[_Node], list[_Edge]]:
    """Return what sends replies out by another NIC, or nowhere, and the arrows there and on."""
    nodes: dict[tuple[Any, ...], _Node] = {}
    edges: list[_Edge] = []
    for reply in picture.replies:
        if reply.good:
            continue
        lines = _astray_lines(reply, picture)
        node = nodes.setdefault(lines, _Node(f"astray{len(nodes)}", "astray", lines))
        subject = _subject(reply, picture)
        label = "" if reply.lost and subject == "reply" else subject
        edges.append(_Edge(f"nic{ids[reply.arrives]}", node.id, "bad", label))
        onwards = _Edge(node.id, f"nic{ids.get(reply.leaves or '')}", "bad", left=True)
        if not reply.lost and onwards not in edges:
            edges.append(onwards)
    return list(nodes.values()), edges


def _astray_lines(reply: Reply, picture: Picture) -> tuple[str, ...]:
    if reply.lost:
        return ("✗ no reply", *_wrap(reply.reason or "there is no way out", 34))
    return (f"✗ leaves by {reply.leaves}", *_by(reply, picture))


def _routers(nic: Nic) -> Sequence[str]:
    return nic.gateways or [f"at the other end of {nic.name}"]


def _nic_node(nic: Nic, number: str, picture: Picture) -> _Node:
    replies = [reply for reply in picture.replies if reply.arrives == nic.name]
    lines = [" · ".join(_title(nic, picture)), *_addresses(nic)]
    lines += [
        f"✓ {_subject(reply, picture)}: {', '.join(_by(reply, picture)) or 'leaves here'}"
        for reply in replies
        if reply.good
    ]
    lines += _faults(nic, picture)
    faults = [each for each in picture.findings if each.interface == nic.name and _is_fault(each)]
    bad = bool(faults) or not all(reply.good for reply in replies)
    kind = "bad" if bad else "good" if replies else "nic"
    return _Node(f"nic{number}", kind, tuple(lines))


def _around(nic: Nic, number: str, picture: Picture) -> Iterable[_Edge]:
    """Return the arrows between the client, a NIC's router and the NIC."""
    own, router = f"nic{number}", f"router{number}"
    replies = [reply for reply in picture.replies if reply.arrives == nic.name]
    if replies:
        yield _Edge("client", router, "request")
        yield _Edge(router, own, "request", "request")
    if any(reply.good for reply in replies):
        yield _Edge(own, router, "good", "reply", True)
        yield _Edge(router, "client", "good", "", True)
    crossing = _crossing(picture, nic)
    if crossing:
        yield _Edge(own, router, "bad", crossing, True)
        yield _Edge(router, "client", "bad", "", True)


# --- Mermaid ----------------------------------------------------------------------------------

_MERMAID_CLASSES = (
    f"classDef router fill:#ffffff,stroke:{_PLAIN},color:#1f2328",
    f"classDef nic fill:#ffffff,stroke:{_PLAIN},color:#1f2328",
    f"classDef good fill:#dafbe1,stroke:{_GOOD},stroke-width:2px,color:#1f2328",
    f"classDef bad fill:#ffebe9,stroke:{_BAD},stroke-width:3px,color:#1f2328",
    f"classDef astray fill:#ffffff,stroke:{_BAD},stroke-width:2px,color:{_BAD}",
)


def _mermaid(picture: Picture) -> str:
    """Return the picture as a Mermaid flowchart (mermaid.js.org/syntax/flowchart.html)."""
    graph = _graph(picture)
    # JSON is YAML, and here the only way to write whatever the host's name may hold.
    title = json.dumps(_name(picture), ensure_ascii=False)
    lines = ["---", f"title: {title}", "config: {flowchart: {wrappingWidth: 600}}", "---"]
    lines += ["flowchart LR", *(f"    {_mermaid_node(node)}" for node in graph.outside)]
    lines += [f"    subgraph server[{_mermaid_text([picture.host])}]"]
    lines += [f"        {_mermaid_node(node)}" for node in graph.server]
    lines += ["    end"]
    if picture.findings:
        lines += [f"    faults[{_mermaid_text(_sentences(picture, WIDTH))}]:::nic"]
    lines += [f"    {_mermaid_edge(edge)}" for edge in graph.edges]
    for kind, colour in _COLOURS.items():
        numbers = [str(at) for at, edge in enumerate(graph.edges) if edge.kind == kind]
        if numbers:
            width = 3 if kind == "bad" else 2
            style = f"stroke:{colour},stroke-width:{width}px"
            lines.append(f"    linkStyle {','.join(numbers)} {style}")
    return "\n".join([*lines, *(f"    {line}" for line in _MERMAID_CLASSES)])


def _mermaid_node(node: _Node) -> str:
    return f"{node.id}[{_mermaid_text(node.lines)}]:::{node.kind}"


def _mermaid_edge(edge: _Edge) -> str:
    arrow = "-.->" if edge.kind == "bad" else "-->"
    label = f"|{_mermaid_text([edge.label])}|" if edge.label else ""
    return f"{edge.tail} {arrow}{label} {edge.head}"


def _mermaid_text(lines: Iterable[str]) -> str:
    return '"' + "<br/>".join(map(_mermaid_escaped, lines)) + '"'


def _mermaid_escaped(words: str) -> str:
    """Write all but harmless characters as entities, which Mermaid spells #35; for #."""
    return re.sub(r"[^\w ,.:/()@+=✓✗·…-]", lambda found: f"#{ord(found[0])};", _plain(words))


# --- SVG --------------------------------------------------------------------------------------

_FONT = "DejaVu Sans,Verdana,Helvetica,sans-serif"
_FILLS = {"good": "#dafbe1", "bad": "#ffebe9"}
_BORDERS = {"good": (_GOOD, "2"), "bad": (_BAD, "3"), "astray": (_BAD, "2")}


def _svg(picture: Picture) -> str:
    """Return the picture as SVG, laid out by Graphviz; raises DiagramError without it."""
    try:
        # Here, as most minions do without it, and those that have it need not load it.
        import graphviz  # noqa: PLC0415
    except ImportError as err:
        raise DiagramError(
            "format: svg needs the Python library graphviz: `salt-call pip.install graphviz`; or "
            "write format=mermaid"
        ) from err
    dot = programs.find("dot")
    if not dot:
        raise DiagramError(
            "format: svg needs the program dot: install the package graphviz; or write "
            "format=mermaid"
        )
    return _drawn(dot, str(_digraph(picture, graphviz.Digraph).source))


def _drawn(dot: str, source: str) -> str:
    """Return what Graphviz makes of a graph; the library would look for dot by its name."""
    try:
        done = subprocess.run(
            [dot, "-Tsvg"],
            input=source,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as err:
        said = " ".join(str(getattr(err, "stderr", err)).split())
        raise DiagramError(f"format: dot failed: {said}; write format=mermaid") from err
    return done.stdout


def _digraph(picture: Picture, new: Callable[..., Any]) -> Any:
    graph = _graph(picture)
    drawing = new(_name(picture))
    drawing.attr(rankdir="LR", nodesep="0.5", ranksep="0.8", fontname=_FONT, fontsize="12")
    drawing.attr("node", shape="plain", fontname=_FONT, fontsize="12")
    drawing.attr("edge", fontname=_FONT, fontsize="11", penwidth="2")
    drawing.attr(label=_caption(picture), labelloc="t")
    for node in graph.outside:
        drawing.node(node.id, _table(node))
    with drawing.subgraph(name="cluster_server") as server:
        host = f'<<font point-size="14">{_html(picture.host)}</font>>'
        server.attr(label=host, labeljust="l", style="rounded", color=_PLAIN)
        for node in graph.server:
            server.node(node.id, _table(node))
        _in_order(server, [node.id for node in graph.server if node.kind != "astray"])
    for edge in graph.edges:
        # For dot every edge goes to the right, so that the order of the columns holds.
        ends = (edge.head, edge.tail) if edge.left else (edge.tail, edge.head)
        drawing.edge(*ends, **_style(edge))
    return drawing


def _caption(picture: Picture) -> str:
    colour = _GOOD if _headline(picture).startswith("✓") else _BAD
    headline = f'<font point-size="16" color="{colour}"><b>{_html(_headline(picture))}</b></font>'
    found = [f'{_html(line)}<br align="left"/>' for line in _sentences(picture, 110)]
    return f"<{'<br/><br/>'.join([headline, *filter(None, [''.join(found)])])}<br/>>"


def _in_order(drawing: Any, ids: Sequence[str]) -> None:
    """Keep the nodes in one column, from the top down."""
    with drawing.subgraph() as column:
        column.attr(rank="same")
        for upper, lower in itertools.pairwise(ids):
            column.edge(upper, lower, style="invis")


def _style(edge: _Edge) -> dict[str, str]:
    colour = _COLOURS[edge.kind]
    bad = {"style": "dashed", "penwidth": "3"} if edge.kind == "bad" else {}
    return {
        "dir": "back" if edge.left else "forward",
        "color": colour,
        "fontcolor": colour,
        "label": f"<{_html(edge.label)}>" if edge.label else "",
        **bad,
    }


def _html(words: str) -> str:
    """Escape for dot's HTML, where ``]]`` is an error and ``\\N``, however spelt, a node's name."""
    escaped = html.escape(_plain(words)).replace("]", "&#93;")
    return escaped.replace("\\", "\\\N{WORD JOINER}")


def _table(node: _Node) -> str:
    border, width = _BORDERS.get(node.kind, (_PLAIN, "1"))
    name, *rest = [f"{_html(line)}&#160;" for line in node.lines]
    lines = "<br/>".join([f"<b>{name}</b>", *rest])
    return (
        f'<<table border="{width}" color="{border}" bgcolor="{_FILLS.get(node.kind, "#ffffff")}" '
        'cellborder="0" cellspacing="0" cellpadding="6" style="rounded">'
        f'<tr><td align="left" balign="left">{lines}</td></tr></table>>'
    )
