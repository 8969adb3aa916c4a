"""Draw numbers one above another: a name, and below it a mark with its interval. Names need no room at the side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import altair as alt

from bench.reports.charts import style

STRIP, FRAME = 30, 80
"""Pixels: of a strip, and of the axis and legend."""
NUMBERS = 165
"""Pixels kept free for the number, at the right of the name."""
XOf = Callable[[str], alt.X]


class Strip(NamedTuple):
    """One of the numbers."""

    name: str
    text: str
    """The number with its interval, in words."""
    at: float
    low: float
    high: float
    """Both ends are in the domain of the axis: the caller cuts ends that are not."""
    kind: str


class MarkKind(NamedTuple):
    """How the marks of a kind are drawn."""

    name: str
    color: str
    shape: str


def spec(strips: Sequence[Strip], kinds: Sequence[MarkKind], x_of: XOf, line: float | None = None) -> style.Spec:
    """Return the specification, from above in the order given; `x_of` makes the axis of a field; `line` is upright."""
    rows = [
        {"i": i, "x": one.at, "low": one.low, "high": one.high, "kind": one.kind, "name": one.name, "text": one.text}
        for i, one in enumerate(strips)
    ]
    there = [kind for kind in kinds if any(strip.kind == kind.name for strip in strips)]
    y = alt.Y("i:Q", axis=None, scale=alt.Scale(domain=[-0.75, len(strips) - 0.25], reverse=True, nice=False))
    legend = style.LEGEND if len(there) > 1 or len(kinds) > 1 else None
    color = style.color_by("kind", [k.name for k in there], [k.color for k in there], legend)
    shapes = style.names_to([k.name for k in there], [k.shape for k in there])
    shape = alt.Shape("kind:N", title=None, legend=legend, scale=shapes)
    base = style.data(rows)
    name = base.mark_text(align="left", dy=-12, fontSize=11, limit=alt.ExprRef(f"max(60, width - {NUMBERS})"))
    number = base.mark_text(align="right", dy=-12, fontSize=11)
    layers = [
        base.mark_rule(strokeWidth=2).encode(x=x_of("low"), x2="high:Q", y=y, color=color),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x_of("x"), y=y, color=color, shape=shape),
        name.encode(x=alt.value(0), y=y, text="name:N"),
        number.encode(x=alt.value(alt.ExprRef("width")), y=y, text="text:N"),
    ]
    if line is not None:
        rule = style.data([{"x": line}]).mark_rule(color=style.GREY, strokeDash=[4, 3])
        layers.insert(0, rule.encode(x=x_of("x")))
    return style.finish(alt.layer(*layers), FRAME + STRIP * len(strips))
