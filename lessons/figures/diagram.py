"""Boxes and arrows: what the drawings of the lessons are made of. Positions and sizes are in inches."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from tinymaml import plot

INK, PALE = "#222222", "#F2F2F2"
FORWARD, BACK = plot.BLUE, plot.VERMILION  # what goes out, and what comes back


def canvas(width: float, height: float) -> Axes:
    """Empty axes of this size, in which a unit is an inch."""
    figure = plt.figure(figsize=(width, height))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return ax


def text(ax: Axes, x: float, y: float, words: str, **looks: Any) -> None:
    """Words around (x, y)."""
    ax.text(x, y, words, **{"ha": "center", "va": "center", "fontsize": 11, "color": INK, **looks})


def box(
    ax: Axes, x: float, y: float, words: str, width: float = 1.0, height: float = 0.5, colour: str = INK, **looks: Any
) -> None:
    """A box around (x, y) with words in it."""
    fill = looks.pop("fill", PALE)
    ax.add_patch(FancyBboxPatch((x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=0.08",
                                facecolor=fill, edgecolor=colour, linewidth=1.4, zorder=2))  # fmt: skip
    text(ax, x, y, words, zorder=3, **looks)


def arrow(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], words: str = "", colour: str = INK, *, bend: float = 0.0,
    beside: tuple[float, float] = (0, 0.16), dashed: bool = False, **looks: Any,
) -> None:  # fmt: skip
    """An arrow with words next to its middle, moved by `beside`; `bend` curves it to the left of its way."""
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.6, "mutation_scale": 13, "shrinkA": 0, "shrinkB": 0,
             "linestyle": "--" if dashed else "-", "connectionstyle": f"arc3,rad={-bend}"}  # fmt: skip
    ax.annotate("", xytext=start, xy=end, arrowprops=style, zorder=1)
    if words:
        (x0, y0), (x1, y1) = start, end
        middle = (x0 + x1) / 2 - bend * (y1 - y0) / 2, (y0 + y1) / 2 + bend * (x1 - x0) / 2
        text(ax, middle[0] + beside[0], middle[1] + beside[1], words, **{"color": colour, "fontsize": 10, **looks})
