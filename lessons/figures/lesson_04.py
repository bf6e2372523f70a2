"""The figures of lesson 04: a Hessian and its parts."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinymaml import Parameters, plot


def matrix(values: np.ndarray, theta: Parameters, largest: float, ax: Axes | None = None) -> Axes:
    """A (P, P) matrix as colours, blue below and red above zero, white at zero.

    Thin lines part the arrays of theta, thick lines its layers.

    The colours follow the cube root of the values, so that small entries show beside large ones; `largest` is full colour.
    """
    ax = plot.get_axes(ax, (4, 4))
    reach = np.cbrt(largest)
    ax.imshow(np.cbrt(values), cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
    sizes = [array.size for array in theta.values()]
    edges = np.cumsum([0, *sizes])
    for edge, before, after in zip(edges[1:-1], [*theta][:-1], [*theta][1:], strict=True):
        width = 0.4 if before[1:] == after[1:] else 1.6  # W1 | b1 are of one layer, b1 | W2 are not
        ax.axhline(edge - 0.5, color="black", linewidth=width)
        ax.axvline(edge - 0.5, color="black", linewidth=width)
    middles = edges[:-1] + (np.array(sizes) - 1) / 2
    ax.set_xticks(middles, theta, fontsize="small")
    ax.set_yticks(middles, theta, fontsize="small")
    ax.tick_params(length=0)
    return ax


def hessians(rows: Mapping[str, Mapping[str, np.ndarray]], theta: Parameters) -> Figure:
    """One row an activation, one column a part of its Hessian: rows[activation][part] is (P, P). One scale for each row."""
    columns = max(len(parts) for parts in rows.values())
    figure, grid = plt.subplots(
        len(rows), columns, figsize=(3.3 * columns, 2.9 * len(rows) + 0.3), squeeze=False, layout="constrained"
    )
    for axes, (activation, parts) in zip(grid, rows.items(), strict=True):
        largest = max(np.abs(values).max() for values in parts.values())
        for ax, (part, values) in zip(axes, parts.items(), strict=True):
            matrix(values, theta, largest, ax=ax)
            ax.set_title(part if activation == next(iter(rows)) else "", fontsize="medium")
        axes[0].set_ylabel(f"{activation}\n", fontsize="large")
        bar = figure.colorbar(axes[-1].images[0], ax=axes, shrink=0.8, pad=0.01)
        ticks = np.array([-1, -0.1, 0, 0.1, 1]) * largest
        bar.set_ticks(np.cbrt(ticks), labels=[f"{tick:.2g}" for tick in ticks])
    return figure
