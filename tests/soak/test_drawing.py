"""The picture: well-formed, and every value in its place."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from soak.drawing import LEFT, PANEL, RIGHT, TOP, WIDTH, Line, Panel, draw, scale

SVG = "{http://www.w3.org/2000/svg}"


def points(element: ElementTree.Element) -> list[tuple[float, float]]:
    numbers = [float(number) for number in re.findall(r"-?[0-9.]+", element.attrib["d"])]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_values_lie_where_the_axes_say() -> None:
    line = Line("entries", [(0, 0), (300, 50), (600, 100)])
    root = ElementTree.fromstring(draw("T", "S", [Panel("entries", [line])]))
    (path,) = root.iter(f"{SVG}path")
    right, bottom = WIDTH - RIGHT, TOP + PANEL
    assert points(path) == [(LEFT, bottom), ((LEFT + right) / 2, bottom - PANEL / 2), (right, TOP)]
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"0", "100", "10", "entries", "minutes"} <= set(texts)
    ticks = {text.text: float(text.attrib["y"]) for text in root.iter(f"{SVG}text")}
    assert (ticks["100"], ticks["20"]) == (TOP, bottom - PANEL / 5)


def test_panels_share_the_minutes_and_have_each_its_own_scale() -> None:
    one, other = Line("a", [(0, 1), (60, 1)]), Line("b", [(0, 1000), (120, 1000)])
    root = ElementTree.fromstring(draw("T", "S", [Panel("x", [one]), Panel("y", [other])]))
    first, second = (points(path) for path in root.iter(f"{SVG}path"))
    assert first[-1][0] == (LEFT + WIDTH - RIGHT) / 2
    assert second[-1][0] == WIDTH - RIGHT
    assert first[-1][1] == TOP
    assert second[-1][1] > TOP + PANEL


def test_text_is_escaped_and_both_schemes_have_colours() -> None:
    svg = draw("a < b & c", '"d"', [Panel("<u>", [Line("&", [(0, 1)])])])
    root = ElementTree.fromstring(svg)
    assert "a < b & c" in [text.text for text in root.iter(f"{SVG}text")]
    assert "prefers-color-scheme:dark" in svg


def test_nothing_measured_is_drawn_as_nothing() -> None:
    ElementTree.fromstring(draw("T", "S", [Panel("MiB", [Line("a", [(0, 0)])])]))


@pytest.mark.parametrize(
    ("value", "step", "highest"),
    [
        (0, 1, 1),
        (1, 0.2, 1),
        (99, 20, 100),
        (101, 50, 150),
        (13_020, 5000, 15_000),
        (0.3, 0.1, 0.3),
    ],
)
def test_ticks_are_round_numbers(value: float, step: float, highest: float) -> None:
    assert scale(value) == pytest.approx((step, highest))
