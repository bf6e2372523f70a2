"""The figures of lesson 09: which part of a network adapts, how far its layers move, and learned rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Runs, legend_above
from tinymaml import plot
from tinymaml.methods import STYLES

# what adapts at test: label, colour, line style, marker
PARTS = {
    "all": ("all layers", *STYLES["maml"][1:]),
    "body": ("the body alone", *STYLES["boil"][1:]),
    "head": ("the head alone", *STYLES["anil"][1:]),
    "first": ("the first layer alone", plot.GREEN, (0, (5, 1)), "^"),
    "not first": ("all but the first layer", plot.GREY, ":", "v"),
}


def parts(errors: Mapping[str, Runs], accuracies: Mapping[str, Runs]) -> Figure:
    """Networks trained by MAML, of which a part adapts at test: the error on sine waves, the accuracy on classes."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    for ax, found, words in ((left, errors, "mean squared error"), (right, accuracies, "accuracy")):
        for key, runs in found.items():
            label, colour, style, marker = PARTS[key]
            steps = np.arange(len(runs.mean))
            ax.plot(steps, runs.mean, color=colour, linestyle=style, marker=marker, markersize=5, label=label)
            low, high = runs.mean - runs.interval, runs.mean + runs.interval
            ax.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
        ax.set(xlabel="inner steps at test", ylabel=words)
        ax.set_ylim(bottom=0)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
    left.set_title("sine waves", fontsize="medium")
    right.set_title("5-way 1-shot classes", fontsize="medium")
    legend_above(left, columns=5)
    return figure


def layers(names: Sequence[str], moves: Mapping[str, np.ndarray], alike: Mapping[str, np.ndarray]) -> Figure:
    """How far each array moves in one step, and how alike each layer is before and after it; bars of two kinds of tasks."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.0), layout="constrained", width_ratios=(3, 2))
    for i, (kind, colour, hatch) in enumerate((("sine waves", plot.BLUE, ""), ("classes", plot.ORANGE, "//"))):
        for ax, values in ((left, moves[kind]), (right, alike[kind])):
            looks = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": kind}
            ax.bar(np.arange(len(values)) + 0.4 * (i - 0.5), values, 0.4, **looks)
    left.set_xticks(range(len(names)), [f"${name[0]}_{name[1:]}$" for name in names])
    right.set_xticks(range(3), ["$a_1$", "$a_2$", "$z_3$"])
    left.set_title("length of the move, relative to the array", fontsize="medium")
    right.set_title("similarity before and after", fontsize="medium")
    for ax in (left, right):
        ax.grid(alpha=0.3, axis="y")
        ax.set_axisbelow(True)
    left.legend(frameon=False, fontsize="small")
    return figure


def learned(medians: Mapping[str, Runs], diverged: Mapping[str, Runs]) -> Figure:
    """A fixed rate and learned ones: the median error, and the share of tasks that have diverged, against steps."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.0), layout="constrained")
    for ax, found, words in zip(axes, (medians, diverged), ("median squared error", "share of diverged tasks"), strict=True):
        _lines(ax, found)
        ax.set(xlabel="inner steps at test", ylabel=words)
    axes[0].set_yscale("log")
    axes[0].set_ylim(5e-2, 5)
    axes[1].set_ylim(-0.02, 1)
    legend_above(axes[0], columns=2)
    return figure


def _lines(ax: Axes, found: Mapping[str, Runs]) -> None:
    for key, runs in found.items():
        label, colour, style, marker = STYLES[key]
        ax.plot(runs.values.T, color=colour, linestyle=style, linewidth=0.8, alpha=0.6)
        ax.plot(np.median(runs.values, axis=0), color=colour, linestyle=style, marker=marker, markersize=5, label=label)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.3)
