"""The figures of lesson 12: what a query attends to, attention that has learned a step, and the cost of both forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tinymaml import plot


def attends(x: np.ndarray, at: Sequence[float], weights: Mapping[str, np.ndarray]) -> Figure:
    """How much each query x (m,) attends to some support points: weights[name] is (m, points), a panel each."""
    figure, axes = plt.subplots(1, len(weights), figsize=(4 * len(weights), 3), layout="constrained", sharey=True)
    for ax, (name, scores) in zip(np.atleast_1d(axes), weights.items(), strict=True):
        looks = ((plot.BLUE, "-"), (plot.ORANGE, "--"), (plot.GREEN, ":"))
        for (colour, style), place, column in zip(looks, at, scores.T, strict=True):
            ax.plot(x, column, color=colour, linestyle=style, label=f"support point at {place:g}")
            ax.axvline(place, color=colour, linewidth=0.8, alpha=0.6)
        ax.set_title(name, fontsize="medium")
        ax.set_xlabel("query x")
        ax.grid(alpha=0.3)
    np.atleast_1d(axes)[0].set_ylabel("product of key and query")
    np.atleast_1d(axes)[0].legend(frameon=False, fontsize="small")
    return figure


def learned(losses: np.ndarray, best: float, M: np.ndarray, every: int) -> Figure:
    """Left the loss of the attention layer while it trains, and that of one step at the best rate; right its matrix."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.3), layout="constrained", width_ratios=(3, 2))
    left.plot(every * np.arange(1, len(losses) + 1), losses, color=plot.BLUE, label="one layer of linear attention")
    left.axhline(best, color="black", linestyle="--", linewidth=1, label="one step of gradient descent, best rate")
    left.set(xlabel="iterations", ylabel="loss on new tasks")
    left.legend(frameon=False, fontsize="small")
    left.grid(alpha=0.3)
    limit = np.abs(M).max()
    image = right.imshow(M, cmap="RdBu", vmin=-limit, vmax=limit)
    right.set_title("the learned matrix $M$", fontsize="medium")
    right.set_xticks([0, len(M) - 1], ["$x_1$", "y"])
    right.set_yticks([0, len(M) - 1], ["$x_1$", "y"])
    figure.colorbar(image, ax=right, shrink=0.8)
    return figure


def costs(widths: Sequence[int], seconds: Mapping[str, np.ndarray], numbers: Mapping[str, np.ndarray]) -> Figure:
    """Time and memory of both forms against the width, on logarithmic axes."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.1), layout="constrained")
    looks = {"every W' formed": (plot.VERMILION, "--", "s"), "factors": (plot.BLUE, "-", "o")}
    for ax, found, words in ((axes[0], seconds, "milliseconds"), (axes[1], numbers, "numbers kept")):
        for name, values in found.items():
            colour, style, marker = looks[name]
            ax.loglog(widths, values, color=colour, linestyle=style, marker=marker, label=name)
        ax.set_xticks(widths, [str(width) for width in widths])
        ax.minorticks_off()
        ax.set(xlabel="width of the layer", ylabel=words)
        ax.grid(alpha=0.3)
    axes[0].legend(frameon=False, fontsize="small")
    return figure
