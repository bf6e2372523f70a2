"""The figures of lesson 03: error against h, two trainings, and one bias gradient."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from tinymaml import plot
from tinymaml.plot import BLUE, GREEN, GREY, ORANGE, VERMILION

STEP_STYLES = {  # colour, which is that of `drawings.four_ways`, line style, marker
    "forward": (GREY, "-.", "^"),
    "central": (ORANGE, "-", "o"),
    "complex step": (GREEN, (0, (5, 1)), "D"),
    "central, float32": (ORANGE, ":", "s"),
    "complex step, float32": (GREEN, ":", "v"),
}


def error_against_h(h: np.ndarray, errors: Mapping[str, np.ndarray], ax: Axes | None = None) -> Axes:
    """The relative error of each method against its step h, both on log axes; an error of zero is drawn at 1e-17."""
    ax = plot.get_axes(ax, (7.6, 4.4))
    for name, values in errors.items():
        colour, style, marker = STEP_STYLES[name]
        ax.plot(h, np.clip(values, 1e-17, 1e3), color=colour, linestyle=style, marker=marker, markersize=4,
                markerfacecolor="white" if "float32" in name else colour, label=name)  # fmt: skip
    guide = h[(h < 2e-2) & (h > 5e-8)]
    for power, factor, name, side in ((1, 60, "slope 1", "bottom"), (2, 0.03, "slope 2", "top")):
        ax.plot(guide, factor * guide**power, color="black", linewidth=0.7, alpha=0.6)
        at, align = {"bottom": (2e-3, "left"), "top": (1e-5, "right")}[side]
        ax.text(at, factor * at**power, name, fontsize="small", ha=align, va=side)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.invert_xaxis()
    ax.set_ylim(3e-18, 1e3)
    ax.set_xlabel("step h (smaller to the right)")
    ax.set_ylabel("relative error")
    plot.finish(ax)
    return ax


def trainings(right: np.ndarray, planted: np.ndarray, ax: Axes | None = None) -> Axes:
    """The losses of several trainings (runs, steps) with the right and with the planted gradient, in pairs."""
    ax = plot.get_axes(ax, (7.2, 3.8))
    for runs, colour, style, label in ((right, BLUE, "-", "right gradient"), (planted, VERMILION, "--", "planted bug")):
        for i, losses in enumerate(runs):
            ax.plot(losses, color=colour, linestyle=style, linewidth=1.3, label=label if i == 0 else None)
    plot.log_axis(ax)
    ax.set_xlabel("steps of gradient descent")
    ax.set_ylabel("training loss")
    plot.finish(ax)
    return ax


def bias_gradients(right: np.ndarray, planted: np.ndarray, ax: Axes | None = None) -> Axes:
    """One bias gradient, (1, d), unit by unit, beside what the planted one does to each unit."""
    ax = plot.get_axes(ax, (7.2, 3.2))
    order = np.argsort(right[0])
    ax.bar(np.arange(right.size), right[0, order], color=BLUE, label="right: one number a unit")
    spread = np.broadcast_to(planted, right.shape)[0]
    ax.step(
        np.arange(-1, right.size + 1), np.r_[spread[0], spread, spread[-1]], where="mid", color=VERMILION, linestyle="--",
        linewidth=2, label="planted: their sum, for every unit",
    )  # fmt: skip
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set_xlabel("hidden unit, in order of its gradient")
    ax.set_ylabel("gradient of b1")
    plot.finish(ax)
    return ax
