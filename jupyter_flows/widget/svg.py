"""A graph as a still picture: SVG text with a plain layered layout. For saved notebooks and ``--svg``.

Only presentation attributes and fixed colours, no script, no style sheet, no font to load: sanitisers
that notebooks pass through leave it whole. The live picture is the front end's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

import msgspec

STATE_COLOURS: dict[str, tuple[str, str]] = {
    "Pending": ("#eceff1", "#90a4ae"),
    "Scheduled": ("#fff8e1", "#ffb300"),
    "Submitted": ("#fff8e1", "#ffb300"),
    "Queued": ("#fff8e1", "#ffb300"),
    "Resume": ("#fff8e1", "#ffb300"),
    "Retrying": ("#fff3e0", "#fb8c00"),
    "Paused": ("#ede7f6", "#7e57c2"),
    "Running": ("#e3f2fd", "#1e88e5"),
    "Cancelling": ("#efebe9", "#8d6e63"),
    "Cancelled": ("#efebe9", "#8d6e63"),
    "Success": ("#e8f5e9", "#43a047"),
    "Cached": ("#e0f2f1", "#00897b"),
    "Mapped": ("#e8f5e9", "#43a047"),
    "Looped": ("#e8f5e9", "#43a047"),
    "Skipped": ("#f1f8e9", "#9ccc65"),
    "Failed": ("#ffebee", "#e53935"),
    "TriggerFailed": ("#fbe9e7", "#f4511e"),
    "TimedOut": ("#ffebee", "#e53935"),
    "ValidationFailed": ("#ffebee", "#e53935"),
    "Stale": ("#fffde7", "#c0a000"),
}
"""State -> (fill, stroke)."""
_PLAIN = ("#ffffff", "#78909c")
_FONT = 'font-family="Helvetica, Arial, sans-serif" font-size="13" role="img"'
_HEIGHT, _GAP_X, _GAP_Y, _MARGIN, _MAX_CHARS = 34, 22, 44, 16, 32


class Node(msgspec.Struct, frozen=True):
    """A box: its key, its text, the state that colours it, and what a pointer over it says."""

    key: str
    label: str
    state: str | None = None
    hint: str = ""
    is_barrier: bool = False
    """Waits for all above, and all below wait for it."""


class Link(msgspec.Struct, frozen=True):
    """An arrow between two boxes."""

    source: str
    target: str
    hint: str = ""
    is_dashed: bool = False
    is_denied: bool = False
    """No arrow at all, by its author's word: shown crossed out."""


def draw_svg(nodes: Sequence[Node], links: Sequence[Link], *, title: str = "Flow") -> str:
    """Draw a directed acyclic graph; links that would close a circle are drawn, but do not shape it.

    Examples
    --------
    >>> text = draw_svg([Node("a", "load"), Node("b", "a < b", "Success")], [Link("a", "b")])
    >>> "a &lt; b" in text and text.startswith("<svg")
    True
    """
    layers = _layers(nodes, links)
    widths = {node.key: 7.4 * min(len(_short(node.label)), _MAX_CHARS) + 26 for node in nodes}
    rows = [sum(widths[node.key] for node in layer) + _GAP_X * (len(layer) - 1) for layer in layers]
    total = max([*rows, 60.0]) + 2 * _MARGIN
    height = len(layers) * (_HEIGHT + _GAP_Y) - _GAP_Y + 2 * _MARGIN if layers else 60
    places: dict[str, tuple[float, float]] = {}
    for number, (layer, row) in enumerate(zip(layers, rows, strict=True)):
        x = (total - row) / 2
        for node in layer:
            places[node.key] = (x, _MARGIN + number * (_HEIGHT + _GAP_Y))
            x += widths[node.key] + _GAP_X
    size = f'width="{total:.0f}" height="{height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {total:.0f} {height:.0f}" {_FONT}>',
        f"<title>{_text(title)}</title>",
        f'<rect x="0" y="0" {size} fill="#ffffff"/>',
    ]
    parts += [
        _arrow(link, places, widths) for link in links if link.source in places and link.target in places
    ]
    parts += [_box(node, *places[node.key], width=widths[node.key]) for layer in layers for node in layer]
    return "\n".join([*parts, "</svg>"])


def _layers(nodes: Sequence[Node], links: Sequence[Link]) -> list[list[Node]]:
    """Give each node the layer below its lowest upstream node; order layers by where arrows come from."""
    position = {node.key: number for number, node in enumerate(nodes)}
    upstream: dict[str, list[str]] = {node.key: [] for node in nodes}
    for link in links:
        # Only arrows that follow the order of the nodes shape the picture, so no circle can.
        if (
            link.source in position
            and link.target in position
            and position[link.source] < position[link.target]
        ):
            upstream[link.target].append(link.source)
    depth: dict[str, int] = {}
    for node in nodes:
        depth[node.key] = max((depth[source] + 1 for source in upstream[node.key]), default=0)
    layers: list[list[Node]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes:
        layers[depth[node.key]].append(node)
    column = {node.key: float(number) for layer in layers for number, node in enumerate(layer)}
    for layer in layers[1:]:
        centre = {
            node.key: sum(column[source] for source in upstream[node.key]) / max(len(upstream[node.key]), 1)
            for node in layer
        }
        layer.sort(key=lambda node: (centre[node.key], position[node.key]))
        column.update({node.key: float(number) for number, node in enumerate(layer)})
    return layers


def _arrow(link: Link, places: Mapping[str, tuple[float, float]], widths: Mapping[str, float]) -> str:
    x1, y1 = places[link.source]
    x2, y2 = places[link.target]
    x1, x2, y1 = x1 + widths[link.source] / 2, x2 + widths[link.target] / 2, y1 + _HEIGHT
    if y2 < y1:
        y1, y2 = y1 - _HEIGHT, y2 + _HEIGHT
    tip = 7 if y2 >= y1 else -7
    bend = (y2 - y1) / 2
    dash = (
        ' stroke-dasharray="1.5 4"' if link.is_denied else ' stroke-dasharray="5 4"' if link.is_dashed else ""
    )
    end = y2 - tip
    curve = f"M{x1:.1f} {y1:.1f} C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {end:.1f}"
    head = f"M{x2 - 4:.1f} {end:.1f} L{x2 + 4:.1f} {end:.1f} L{x2:.1f} {y2:.1f} Z"
    if link.is_denied:
        x, y = (x1 + x2) / 2, (y1 + end) / 2
        cross = f"M{x - 4:.1f} {y - 4:.1f} l8 8 M{x + 4:.1f} {y - 4:.1f} l-8 8"
        return (
            f"<g><title>{_text(link.hint)}</title>"
            f'<path d="{curve}" fill="none" stroke="#b0bec5" stroke-width="1.3"{dash}/>'
            f'<path d="{cross}" fill="none" stroke="#78909c" stroke-width="1.6"/></g>'
        )
    return (
        f"<g><title>{_text(link.hint)}</title>"
        f'<path d="{curve}" fill="none" stroke="#90a4ae" stroke-width="1.3"{dash}/>'
        f'<path d="{head}" fill="#90a4ae"/></g>'
    )


def _box(node: Node, x: float, y: float, *, width: float) -> str:
    fill, stroke = STATE_COLOURS.get(node.state or "", _PLAIN)
    hint = node.hint or (f"{node.label}: {node.state}" if node.state else node.label)
    # Bars on both sides: nothing gets past it.
    bars = "".join(
        f'<rect x="{at:.1f}" y="{y - 4:.1f}" width="3" height="{_HEIGHT + 8}" fill="#546e7a"/>'
        for at in ((x - 7, x + width + 4) if node.is_barrier else ())
    )
    return (
        f"<g><title>{_text(hint)}</title>{bars}"
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_HEIGHT}" rx="7" fill={quoteattr(fill)} '
        f'stroke={quoteattr(stroke)} stroke-width="1.5"/>'
        f'<text x="{x + width / 2:.1f}" y="{y + 21.5:.1f}" text-anchor="middle" fill="#263238">'
        f"{_text(_short(node.label))}</text></g>"
    )


def _short(label: str) -> str:
    return label if len(label) <= _MAX_CHARS else label[: _MAX_CHARS - 1] + "…"


def _text(text: str) -> str:
    """Escape *text* and drop the control characters that XML has no way to write."""
    return escape(
        "".join(letter for letter in text if letter >= " " or letter in "\n\t"), {'"': "&quot;", "'": "&#39;"}
    )
