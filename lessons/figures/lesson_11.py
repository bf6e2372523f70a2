"""The figure of lesson 11: the same loop on several models."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from figures import Runs
from tinymaml import plot
from tinymaml.methods import STYLES

LOOKS = {
    "convolution": ("convolution", *STYLES["maml"][1:]),
    "dense": ("dense network", plot.ORANGE, "--", "s"),
    "maml": STYLES["maml"],
    "pretraining": STYLES["pretraining"],
}


def panels(found: Mapping[str, tuple[str, Mapping[str, Runs]]]) -> Figure:
    """found[title] = (words for the axis, runs by name): curves against inner steps, with intervals, a panel each."""
    figure, axes = plt.subplots(1, len(found), figsize=(3.1 * len(found), 3.2), layout="constrained")
    for ax, (title, (words, runs)) in zip(axes, found.items(), strict=True):
        for name, curve in runs.items():
            label, colour, style, marker = LOOKS[name]
            steps = range(len(curve.mean))
            ax.plot(steps, curve.mean, color=colour, linestyle=style, marker=marker, markersize=5, label=label)
            low, high = curve.mean - curve.interval, curve.mean + curve.interval
            ax.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
        ax.set(xlabel="inner steps", ylabel=words)
        ax.set_ylim(bottom=0)
        ax.set_title(title, fontsize="medium")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
        ax.legend(frameon=False, fontsize="small")
    return figure
