"""The figures of lesson 12: the trained layer beside the constructed one, and what factors save."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from figures import POINTS
from tinymaml import plot

FACTORED, DENSE = (plot.BLUE, "-", "o"), (plot.VERMILION, "--", "s")


def matrices(found: np.ndarray, built: np.ndarray) -> Figure:
    """The trained matrix of scores and the constructed one, in one scale of colours."""
    figure, axes = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
    limit = max(abs(found).max(), abs(built).max())
    for ax, M, title in zip(axes, (found, built), ("trained", "one step of gradient descent"), strict=True):
        image = ax.imshow(M, cmap="RdBu_r", vmin=-limit, vmax=limit)
        d = len(M) - 1
        ax.set_xticks([0, d - 1, d], ["$a_1$", f"$a_{{{d}}}$", "$y$"])
        ax.set_yticks([0, d - 1, d], ["$x_1$", f"$x_{{{d}}}$", "0"])
        ax.set_title(title, fontsize="medium")
        ax.set_xlabel("entry of the key's token")
    axes[0].set_ylabel("entry of the query's token")
    figure.colorbar(image, ax=axes, label="entry of $M$")
    return figure


def loss_of_rate(alphas: np.ndarray, losses: np.ndarray, layers: np.ndarray) -> Figure:
    """The loss of one step against its rate, and the trained layers, rows (rate, loss)."""
    figure, ax = plt.subplots(figsize=(5.6, 3), layout="constrained")
    ax.plot(alphas, losses, color="black", label="one step, closed form")
    ax.plot(*layers.T, **POINTS, color=plot.ORANGE, label="trained layers, three seeds")
    ax.set(xlabel=r"rate $\alpha$ of the step", ylabel="mean squared error", ylim=(0, None))
    ax.legend(frameon=False)
    ax.grid(alpha=0.3)
    return figure


def cost(widths: list[int], seconds: Mapping[str, list[float]], numbers: Mapping[str, list[float]]) -> Figure:
    """Seconds, and numbers kept for the adapted matrices, against the width of the layers."""
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3), layout="constrained")
    for ax, values, label in ((axes[0], seconds, "milliseconds"), (axes[1], numbers, "millions of numbers")):
        for (name, line), (colour, style, marker) in zip(values.items(), (FACTORED, DENSE), strict=True):
            ax.plot(widths, line, color=colour, linestyle=style, marker=marker, markersize=5, label=name)
        ax.set(xscale="log", yscale="log", xlabel="width $d$", ylabel=label)
        ax.set_xticks(widths, widths)
        ax.minorticks_off()
        ax.yaxis.set_major_formatter("{x:g}")
        ax.grid(alpha=0.3)
    axes[0].set_title("time of one product $x W'$", fontsize="medium")
    axes[1].set_title("memory", fontsize="medium")
    axes[1].legend(frameon=False, fontsize="small")
    return figure
