"""The still picture of a graph."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from jupyter_flows.widget.svg import STATE_COLOURS, Link, Node, draw_svg

SVG = "{http://www.w3.org/2000/svg}"


def test_it_is_well_formed_whatever_the_names_hold():
    nodes = [Node("a", "<script>alert('x')</script> & \"q\" \x00\x1b"), Node("b", "ü" * 80, "Failed")]
    root = ET.fromstring(draw_svg(nodes, [Link("a", "b", hint="<&>")], title="]]>"))
    assert [text.text for text in root.iter(f"{SVG}text")][0].startswith("<script>")
    assert not list(root.iter(f"{SVG}script"))


def test_states_colour_their_boxes_by_attributes_alone():
    text = draw_svg([Node("a", "a", "Success")], [])
    assert f'fill="{STATE_COLOURS["Success"][0]}"' in text
    assert not re.search(r"style=|class=|<style|href|url\(", text)


def test_boxes_never_overlap_and_arrows_go_down():
    nodes = [Node(str(i), f"task number {i}") for i in range(40)]
    links = [Link(str(i), str(j)) for i in range(40) for j in (i * 2 + 1, i * 2 + 2) if j < 40]
    root = ET.fromstring(draw_svg(nodes, links))
    boxes = [tuple(float(box.get(key)) for key in ("x", "y", "width")) for box in root.iter(f"{SVG}rect")][1:]
    assert len(boxes) == 40
    for x, y, width in boxes:
        assert not [other for other in boxes if other[1] == y and x < other[0] < x + width]


def test_a_circle_and_unknown_ends_do_no_harm():
    ET.fromstring(
        draw_svg([Node("a", "a"), Node("b", "b")], [Link("a", "b"), Link("b", "a"), Link("a", "gone")])
    )
    ET.fromstring(draw_svg([], []))
