"""The figures of lesson 02: a step downhill, a table of intermediates in pictures, and which way is steepest."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinymaml import plot
from tinymaml.check import relative_error
from tinymaml.plot import BLUE, GREY, VERMILION


def one_step(w: float, slope: float, new_w: float, loss_of: Callable, ax: Axes | None = None) -> Axes:
    """A loss of one weight, its tangent at w, and the step from w to new_w."""
    ax = plot.get_axes(ax, (7.6, 3.4))
    low, high = sorted((w, new_w))
    grid = np.linspace(low - (high - low), high + 0.7 * (high - low), 200)
    ax.plot(grid, loss_of(grid), color="black", linewidth=1, label="loss")
    ax.plot(grid, loss_of(w) + slope * (grid - w), color=BLUE, linestyle="--", label=f"tangent at w = {w:g}: slope {slope:g}")
    ax.annotate(
        "", (new_w, loss_of(new_w)), (w, loss_of(w)), arrowprops={"arrowstyle": "->", "color": VERMILION, "linewidth": 2}
    )
    ax.plot([w, new_w], [loss_of(w), loss_of(new_w)], "o", color=VERMILION, label=f"one step: from {w:g} to {new_w:g}")
    ax.set_ylim(-0.15 * loss_of(w), 1.1 * loss_of(grid).max())
    ax.set_xlabel("w")
    ax.set_ylabel("loss")
    plot.finish(ax)
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


def walk(alphas: np.ndarray, downhill: np.ndarray, elsewhere: np.ndarray, slope: float, ax: Axes | None = None) -> Axes:
    """The loss along the negative gradient, (A,), the tangent there, and the loss along other directions, (N, A)."""
    ax = plot.get_axes(ax, (7.2, 3.8))
    for i, losses in enumerate(elsewhere):
        label = "random directions of the same length" if i == 0 else None
        ax.plot(alphas, losses, color=GREY, linestyle=":", linewidth=1.2, label=label)
    ax.plot(alphas, downhill[0] - slope * alphas, color=BLUE, linestyle="--", label="what the gradient promises")
    ax.plot(alphas, downhill, color=VERMILION, linewidth=2, label="along the negative gradient")
    ax.set_ylim(0, 1.6 * downhill[0])
    ax.set_xlabel("learning rate alpha")
    ax.set_ylabel("loss on the support set")
    plot.finish(ax)
    return ax
