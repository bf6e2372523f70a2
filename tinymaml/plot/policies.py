"""Figures of the trajectories of policies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from tinymaml.plot import CLASS_COLOURS, get_grid, steps_label
from tinymaml.settings import PlotStyle


def trajectories(
    by_method: Mapping[str, Mapping[int, np.ndarray]], goals: np.ndarray, styles: Mapping[str, PlotStyle], limit: float = 0.6
) -> Figure:
    """Trajectories (times, tasks, 2), one row per method, one column per number of steps; goals (tasks, 2)."""
    columns = next(list(each) for each in by_method.values())
    size = 2.6 * len(columns), 2.7 * len(by_method) + 0.3
    figure, grid = get_grid(len(by_method), len(columns), size, sharex=True, sharey=True)
    for row, (key, by_steps) in zip(grid, by_method.items(), strict=True):
        for ax, positions in zip(row, by_steps.values(), strict=True):
            for task, goal in enumerate(goals):
                colour = CLASS_COLOURS[task % len(CLASS_COLOURS)]
                ax.plot(*positions[:, task].T, color=colour, linewidth=1, marker=".", markersize=4)
                ax.plot(*positions[-1, task], "o", color=colour, markeredgecolor="black", markersize=6, zorder=3)
                ax.plot(*goal, "*", color=colour, markeredgecolor="black", markersize=12, zorder=2)
            ax.set_aspect("equal")
            ax.grid(alpha=0.3)
        row[0].set_ylabel(styles[key].label)
    for ax, steps in zip(grid[0], columns, strict=True):
        ax.set_title(steps_label(steps), fontsize="medium")
    grid[0, 0].set_xlim(-limit, limit)  # a diverging trajectory may leave the figure
    grid[0, 0].set_ylim(-limit, limit)
    figure.suptitle("stars: unobserved goals; dots: final positions", fontsize="small")
    return figure
