"""The figures of lesson 02: a step downhill, a table of intermediates in pictures, and where a mistake shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from tinymaml.check import relative_error

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#777777"


def one_step(w: float, slope: float, new_w: float, loss_of: Callable, ax: Axes | None = None) -> Axes:
    """A loss of one weight, its tangent at w, and the step from w to new_w."""
    ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")[1] if ax is None else ax
    low, high = sorted((w, new_w))
    grid = np.linspace(low - (high - low), high + 0.7 * (high - low), 200)
    ax.plot(grid, loss_of(grid), color="black", linewidth=1, label="loss")
    ax.plot(grid, loss_of(w) + slope * (grid - w), color=BLUE, linestyle="--", label=f"tangent at w = {w:g}: slope {slope:g}")
    ax.annotate(
        "", (new_w, loss_of(new_w)), (w, loss_of(w)), arrowprops={"arrowstyle": "->", "color": VERMILION, "linewidth": 2}
    )
    ax.plot([w, new_w], [loss_of(w), loss_of(new_w)], "o", color=VERMILION, label=f"one step: from {w:g} to {new_w:g}")
    ax.set_ylim(-0.15 * loss_of(w), 1.35 * loss_of(grid).max())
    ax.set_xlabel("w")
    ax.set_ylabel("loss")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    return ax


def side_by_side(mine: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]) -> Figure:
    """Mine above the reference, one column a quantity: arrays (rows, columns) as maps in one colour scale a column."""
    widths = [max(1.0, array.shape[1] / 2) for array in mine.values()]
    figure, grid = plt.subplots(
        2, len(mine), figsize=(1.15 * len(mine) + 0.6, 3.6), squeeze=False, layout="constrained", width_ratios=widths
    )
    for column, name in zip(grid.T, mine, strict=True):
        reach = max(np.abs(reference[name]).max(), np.abs(mine[name]).max(), 1e-12)
        for ax, array in zip(column, (mine[name], reference[name]), strict=True):
            ax.imshow(array, cmap="RdBu_r", vmin=-reach, vmax=reach)
            ax.set_xticks([])
            ax.set_yticks([])
        column[0].set_title(f"{name}\n{' × '.join(map(str, mine[name].shape))}", fontsize="small")
        column[1].set_xlabel(f"error\n{relative_error(mine[name], reference[name]):.0e}", fontsize="small")
    grid[0, 0].set_ylabel("mine")
    grid[1, 0].set_ylabel("reference")
    return figure


def errors(
    table: Mapping[str, Mapping[str, float]], right: float = 1e-10, unseen: str = "right", ax: Axes | None = None
) -> Axes:
    """Relative errors as a map: rows and columns by name; an error of at most `right` is a white cell with the word `unseen`."""
    rows, columns = list(table), list(next(iter(table.values())))
    values = np.array([[table[row][column] for column in columns] for row in rows])
    if ax is None:
        size = (0.75 * len(columns) + 2.6, 0.42 * len(rows) + 1.3)
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    ax.imshow(np.where(values > right, values, np.nan), cmap="Oranges", norm=LogNorm(1e-3, 30), aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        wrong = value > right
        text = unseen if not wrong else f"{value:.2f}" if value < 10 else f"{value:.0f}"
        ax.text(j, i, text, ha="center", va="center", fontsize="small", color="black" if wrong else GREY)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="#cccccc", linewidth=0.8)
    ax.tick_params(which="minor", length=0)
    return ax


def walk(alphas: np.ndarray, downhill: np.ndarray, elsewhere: np.ndarray, slope: float, ax: Axes | None = None) -> Axes:
    """The loss along the negative gradient, (A,), the tangent there, and the loss along other directions, (D, A)."""
    ax = plt.subplots(figsize=(7.2, 3.8), layout="constrained")[1] if ax is None else ax
    for i, losses in enumerate(elsewhere):
        label = "random directions of the same length" if i == 0 else None
        ax.plot(alphas, losses, color=GREY, linestyle=":", linewidth=1.2, label=label)
    ax.plot(alphas, downhill[0] - slope * alphas, color=BLUE, linestyle="--", label="what the gradient promises")
    ax.plot(alphas, downhill, color=VERMILION, linewidth=2, label="along the negative gradient")
    ax.set_ylim(0, 1.6 * downhill[0])
    ax.set_xlabel("step size alpha")
    ax.set_ylabel("loss on the support set")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return ax
