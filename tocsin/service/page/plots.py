"""Curves as small pictures, each with words that say the same."""

from __future__ import annotations

from typing import Final

from tocsin.service.page.markup import Markup, el
from tocsin.service.page.samples import SPAN, Curve

_WIDTH: Final = 300
_HEIGHT: Final = 56
_ROOM: Final = 3  # above and below a curve


def plot(curve: Curve) -> Markup:
    """Draw a curve: its name, its latest value, the picture, and its highest value."""
    latest, highest = _figure(curve.latest), _figure(curve.highest)
    return el(
        "figure",
        el("figcaption", curve.name),
        el("p", latest, class_="latest", aria_hidden="true"),
        _picture(curve, f"{curve.name}: {latest} now, {highest} at most in the last {SPAN / 60:.0f} minutes"),
        el("p", f"at most {highest} in {SPAN / 60:.0f} minutes", class_="most", aria_hidden="true"),
        class_="plot",
    )


def _picture(curve: Curve, words: str) -> Markup:
    bottom = _HEIGHT - _ROOM
    scale = (bottom - _ROOM) / (curve.highest or 1.0)
    points = [f"{_WIDTH * (1 - ago / SPAN):.1f} {bottom - value * scale:.1f}" for ago, value in curve.points]
    first = _WIDTH * (1 - curve.points[0][0] / SPAN) if curve.points else _WIDTH
    line = "M" + " L".join(points) if points else None
    return el(
        "svg",
        el("line", x1=0, y1=bottom, x2=_WIDTH, y2=bottom, class_="ground"),
        el("path", d=f"{line} L{_WIDTH} {bottom} L{first:.1f} {bottom} Z", class_="area") if line else None,
        el("path", d=line, class_="curve") if line else None,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=words,
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
