"""Figures of policies: where they go, and what they earn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinymaml.plot import CLASS_COLOURS, finish, get_axes, log_axis
from tinymaml.settings import PlotStyle


def ways(
    by_method: Mapping[str, Mapping[int, np.ndarray]], goals: np.ndarray, styles: Mapping[str, PlotStyle], reach: float = 0.6
) -> Figure:
    """Ways in a plane (times, tasks, 2) by number of gradient steps, a row a method, a column a number; goals (tasks, 2)."""
    columns = next(list(each) for each in by_method.values())
    figure, grid = plt.subplots(
        len(by_method), len(columns), figsize=(2.6 * len(columns), 2.7 * len(by_method) + 0.3), sharex=True, sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for row, (key, by_steps) in zip(grid, by_method.items(), strict=True):
        for ax, places in zip(row, by_steps.values(), strict=True):
            for task, goal in enumerate(goals):
                colour = CLASS_COLOURS[task % len(CLASS_COLOURS)]
                ax.plot(*places[:, task].T, color=colour, linewidth=1, marker=".", markersize=4)
                ax.plot(*places[-1, task], "o", color=colour, markeredgecolor="black", markersize=6, zorder=3)
                ax.plot(*goal, "*", color=colour, markeredgecolor="black", markersize=12, zorder=2)
            ax.set_aspect("equal")
            ax.grid(alpha=0.3)
        row[0].set_ylabel(styles[key].label)
    for ax, steps in zip(grid[0], columns, strict=True):
        ax.set_title("before" if steps == 0 else f"after {steps} step{'s' * (steps > 1)}", fontsize="medium")
    grid[0, 0].set_xlim(-reach, reach)  # a way that runs off may leave the picture
    grid[0, 0].set_ylim(-reach, reach)
    figure.suptitle("stars: goals, never shown; dots: where the point ends", fontsize="small")
    return figure


HESSIAN_LOOKS = {
    "surrogate": PlotStyle("surrogate", "#D55E00", "--", "s"), "lvc": PlotStyle("LVC", "#E69F00", "-.", "^"),
    "dice": PlotStyle("DiCE", "#0072B2", "-", "o"), "no baseline": PlotStyle("surrogate, no baseline", "#777777", ":", "v"),
}  # fmt: skip
RETURN_LOOKS = (("#0072B2", "-", "o"), ("#777777", "--", "v"), ("#D55E00", "-.", "s"), ("#009E73", (0, (5, 1)), "^"))


def errors(numbers: Sequence[int], by_name: Mapping[str, np.ndarray], *, ax: Axes | None = None) -> Axes:
    """The errors of estimators (numbers, repeats) against the number of episodes: median, and the range of the middle half."""
    ax = get_axes(ax)
    for name, of in by_name.items():
        label, colour, style, marker = HESSIAN_LOOKS[name]
        ax.plot(numbers, np.median(of, axis=1), color=colour, linestyle=style, marker=marker, label=label)
        ax.fill_between(numbers, *np.quantile(of, (0.25, 0.75), axis=1), color=colour, alpha=0.2, linewidth=0)
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
    for (name, of), (colour, style, marker) in zip(by_name.items(), RETURN_LOOKS, strict=False):
        mean, interval, steps = of.mean(1), 1.96 * of.std(1) / np.sqrt(of.shape[1]), np.arange(len(of))
        ax.plot(steps, mean, color=colour, linestyle=style, marker=marker, label=name)
        ax.fill_between(steps, mean - interval, mean + interval, color=colour, alpha=0.2, linewidth=0)
    for (name, of), marker in zip((others or {}).items(), "x+1", strict=False):
        ax.plot(np.arange(len(of)), of, color="black", linestyle=":", linewidth=1, marker=marker, label=name)
    ax.set_xticks(range(len(next(iter(by_name.values())))))
    ax.set_xlabel("steps of adaptation to the new goal")
    ax.set_ylabel("return")
    finish(ax)
    return ax
