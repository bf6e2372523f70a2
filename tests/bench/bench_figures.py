"""Figures of the benches: errors of Hessian estimators, returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from tinymaml.plot import finish, get_axes, log_axis
from tinymaml.settings import PlotStyle

HESSIAN_LOOKS = {
    "surrogate": PlotStyle("surrogate", "#D55E00", "--", "s"), "lvc": PlotStyle("LVC", "#E69F00", "-.", "^"),
    "dice": PlotStyle("DiCE", "#0072B2", "-", "o"), "no baseline": PlotStyle("surrogate, no baseline", "#777777", ":", "v"),
}  # fmt: skip
RETURN_LOOKS = (("#0072B2", "-", "o"), ("#777777", "--", "v"), ("#D55E00", "-.", "s"), ("#009E73", (0, (5, 1)), "^"))


def errors(numbers: Sequence[int], by_name: Mapping[str, np.ndarray], *, ax: Axes | None = None) -> Axes:
    """The errors of estimators (numbers, repeats) against the number of episodes: median, and the range of the middle half."""
    ax = get_axes(ax)
    for name, values in by_name.items():
        label, colour, style, marker = HESSIAN_LOOKS[name]
        ax.plot(numbers, np.median(values, axis=1), color=colour, linestyle=style, marker=marker, label=label)
        ax.fill_between(numbers, *np.quantile(values, (0.25, 0.75), axis=1), color=colour, alpha=0.2, linewidth=0)
    ax.set_xscale("log")
    ax.set_xlabel("episodes")
    ax.set_ylabel("relative error of the Hessian")
    log_axis(ax)
    finish(ax)
    return ax


def returns(
    by_name: Mapping[str, np.ndarray], others: Mapping[str, Sequence[float]] | None = None, *, ax: Axes | None = None
) -> Axes:
    """Returns (steps + 1, tasks) against gradient steps: means with 95 % intervals; and single numbers of others, dotted."""
    ax = get_axes(ax)
    for (name, values), (colour, style, marker) in zip(by_name.items(), RETURN_LOOKS, strict=False):
        mean, interval, steps = values.mean(1), 1.96 * values.std(1) / np.sqrt(values.shape[1]), np.arange(len(values))
        ax.plot(steps, mean, color=colour, linestyle=style, marker=marker, label=name)
        ax.fill_between(steps, mean - interval, mean + interval, color=colour, alpha=0.2, linewidth=0)
    for (name, values), marker in zip((others or {}).items(), "x+1", strict=False):
        ax.plot(np.arange(len(values)), values, color="black", linestyle=":", linewidth=1, marker=marker, label=name)
    ax.set_xticks(range(len(next(iter(by_name.values())))))
    ax.set_xlabel("steps of adaptation to the new goal")
    ax.set_ylabel("return")
    finish(ax)
    return ax
