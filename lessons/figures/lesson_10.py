"""The figures of lesson 10: eight runs beside healthy ones, and what the best of several seeds reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import legend_above
from tinymaml import plot


def training(runs: Mapping[str, Any], healthy: Mapping[str, Any]) -> Figure:
    """The meta-loss of each run against iterations, and that of the healthy run on the same kind of tasks in grey."""
    figure, axes = plt.subplots(2, 4, figsize=(9.2, 3.8), layout="constrained")
    for ax, (letter, run) in zip(axes.flat, runs.items(), strict=True):
        ax.plot(_healthy(run, healthy).curve, color="#BBBBBB", linewidth=0.8, label="healthy")
        ax.plot(run.curve, color=plot.VERMILION, linewidth=0.8, label="the run")
        ax.set_title(f"{letter} ({'classes' if run.alone else 'waves'})", fontsize="small")
        ax.set_ylim(0, 2.0 if run.alone else 8)
        ax.grid(alpha=0.3)
    figure.supylabel("meta-loss in training", fontsize="small")
    figure.supxlabel("iterations", fontsize="small")
    legend_above(axes[0, 0], columns=2)
    return figure


def adaptation(runs: Mapping[str, Any], healthy: Mapping[str, Any]) -> Figure:
    """The loss of waves or the accuracy of classes against inner steps, on new tasks and on tasks as in training."""
    figure, axes = plt.subplots(2, 4, figsize=(9.2, 3.8), layout="constrained")
    for ax, (letter, run) in zip(axes.flat, runs.items(), strict=True):
        ax.plot(_healthy(run, healthy).new, color="#BBBBBB", marker="o", markersize=3, label="healthy, new tasks")
        ax.plot(run.new, color=plot.VERMILION, marker="o", markersize=4, label="the run, new tasks")
        ax.plot(run.own, color=plot.BLUE, linestyle="--", marker="s", markersize=4, label="the run, tasks as in training")
        ax.set_title(f"{letter} ({'accuracy of classes' if run.alone else 'loss of waves'})", fontsize="small")
        if run.alone:
            ax.set_ylim(0, 1.03)
        else:
            ax.set_yscale("log")
            ax.set_ylim(0.1, 40)
            ax.yaxis.set_major_formatter("{x:g}")
        ax.grid(alpha=0.3)
    figure.supxlabel("inner steps", fontsize="small")
    legend_above(axes[0, 0], columns=3)
    return figure


def best_of(errors: np.ndarray, means: np.ndarray, ax: Axes | None = None) -> Axes:
    """The errors of R runs that differ in their seed alone, and the expected best of m = 1..R of them."""
    ax = plot.get_axes(ax, (6.4, 3.2))
    count = np.arange(1, len(errors) + 1)
    ax.plot(np.ones(len(errors)), errors, "o", color=plot.GREY, markersize=5, alpha=0.7, label="one run each")
    ax.plot(count, means, color=plot.VERMILION, marker="s", markersize=5, label="expected best of m")
    ax.set(xlabel="number m of seeds that were tried", ylabel="error after one step")
    plot.finish(ax)
    return ax


def _healthy(run: Any, healthy: Mapping[str, Any]) -> Any:
    return healthy["healthy classes" if run.alone else "healthy waves"]

