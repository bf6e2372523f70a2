"""The figures of lesson 01."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import POINTS, counted, legend_above
from tinymaml import plot
from tinymaml.methods import STYLES
from tinymaml.tasks import TaskBatch

SUPPORT = POINTS | {"color": plot.VERMILION}
QUERY = {"marker": "x", "linestyle": "", "color": plot.BLUE, "markersize": 6, "zorder": 5}


def _row(panels: int, height: float = 2.9) -> tuple[Figure, np.ndarray]:
    figure, axes = plt.subplots(1, panels, figsize=(3.3 * panels, height), sharey=True, layout="constrained")
    for ax in axes:
        ax.set_xlabel("x")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("y")
    return figure, axes


def tasks(batch: TaskBatch) -> Figure:
    """Every task of the batch in its panel: the wave it comes from, its support and its query points."""
    x = np.linspace(-5, 5, 200)
    figure, axes = _row(len(batch))
    for t, ax in enumerate(axes):
        wave = batch.task_params[t]
        ax.plot(x, wave(x), color="#999999", linewidth=1, label="the wave behind the task")
        ax.plot(batch.x_query[t, :, 0], batch.y_query[t, :, 0], **QUERY, label="query set")
        ax.plot(batch.x_support[t, :, 0], batch.y_support[t, :, 0], **SUPPORT, label="support set")
        ax.set_title(f"task {t + 1}: A = {wave.amplitude:.1f}, $\\varphi$ = {wave.phase:.1f}", fontsize="medium")
    legend_above(axes[0], columns=3)
    return figure


def over_tasks(some: TaskBatch, x: np.ndarray, prediction: np.ndarray, mean: np.ndarray, ax: Axes | None = None) -> Axes:
    """A task-blind prediction and the closed-form mean, over the waves of some tasks in grey. x (n, 1)."""
    ax = plot.get_axes(ax, (6.4, 3.4))
    for t in range(len(some)):
        ax.plot(x, some.task_params[t](x), color="#bbbbbb", linewidth=0.8, label="tasks" if t == 0 else None)
    _, colour, _, _ = STYLES["pretraining"]
    ax.plot(x, prediction, color=colour, linewidth=3, label="pre-trained network")
    _, _, style, _ = STYLES["task-blind"]
    ax.plot(x, mean, color="black", linestyle=style, linewidth=1.5, label=r"$-1.623\ \cos\, x$")
    ax.set_xlabel("x")
    ax.set_ylabel("y")
    plot.finish(ax)
    return ax


def fine_tuning(batch: TaskBatch, x: np.ndarray, fits: Mapping[int, np.ndarray]) -> Figure:
    """One panel a task: the truth, the support points, and the fits by number of steps, (n, 1) for all or (T, n, 1)."""
    figure, axes = _row(len(batch), 3.3)
    for t, ax in enumerate(axes):
        ax.plot(x, batch.task_params[t](x), color="black", linewidth=1, label="truth")
        for steps, fit in fits.items():
            colour, style = plot.STEP_STYLES[steps]
            name = "before" if steps == 0 else f"after {counted(steps)}"
            ax.plot(x, fit[t] if fit.ndim == 3 else fit, color=colour, linestyle=style, linewidth=2, label=name)
        ax.plot(batch.x_support[t, :, 0], batch.y_support[t, :, 0], **SUPPORT, label="support set")
    axes[0].set_ylim(-6, 6)
    legend_above(axes[0], columns=6)
    return figure


def support_against_query(support: np.ndarray, query: np.ndarray, ax: Axes | None = None) -> Axes:
    """The mean loss on the support and on the query sets after 0, 1, 2, ... steps."""
    ax = plot.get_axes(ax, (7.2, 3.6))
    ax.plot(query, color=QUERY["color"], label="on the query sets")
    ax.plot(support, color=SUPPORT["color"], linestyle="--", label="on the support sets")
    ax.set_xlabel("steps of gradient descent on the support set")
    ax.set_ylabel("mean squared error")
    ax.set_ylim(bottom=0)
    plot.finish(ax)
    return ax
