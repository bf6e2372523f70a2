"""Figures of policies: where they go, and what they earn."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tinymaml.look import Look
from tinymaml.plot import CLASS_COLOURS


def ways(
    by_method: Mapping[str, Mapping[int, np.ndarray]], goals: np.ndarray, looks: Mapping[str, Look], reach: float = 0.6
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
        row[0].set_ylabel(looks[key].label)
    for ax, steps in zip(grid[0], columns, strict=True):
        ax.set_title("before" if steps == 0 else f"after {steps} step{'s' * (steps > 1)}", fontsize="medium")
    grid[0, 0].set_xlim(-reach, reach)  # a way that runs off may leave the picture
    grid[0, 0].set_ylim(-reach, reach)
    figure.suptitle("stars: goals, never shown; dots: where the point ends", fontsize="small")
    return figure
