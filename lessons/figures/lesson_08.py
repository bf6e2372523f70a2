"""The figures of lesson 08: where methods rest, which way they go in a plane, and what they reach in which time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import Runs, legend_above
from figures.lesson_05 import arrow, point, surface
from tinymaml import Parameters, adapt, plot
from tinymaml.methods import STYLES
from tinymaml.tasks import TaskBatch

ONE_STEP = ("Reptile, one step", "#7A7A7A", (0, (2, 1)), "x")  # what STYLES does not have
LOOKS = {**STYLES, "reptile-1": ONE_STEP, "reptile-5": ("Reptile, five steps", *STYLES["reptile"][1:])}


def rests(now: Callable, after: Callable, found: Mapping[str, float]) -> Figure:
    """The mean loss before and after a step over the initialisation; a mark where each method comes to rest."""
    figure, axes = plt.subplots(1, 2, figsize=(7.8, 3.2), layout="constrained")
    thetas = np.linspace(0.5, 6, 201)
    for ax, losses, title in ((axes[0], now, "mean loss before the step"), (axes[1], after, "mean loss after one step")):
        mean = lambda theta, losses=losses: float(np.mean(losses(theta)))
        ax.plot(thetas, [mean(theta) for theta in thetas], color="#555555", linewidth=1.5)
        for key, theta in found.items():
            label, colour, _, marker = LOOKS[key]
            looks = {"color": colour, "markersize": 9, "markeredgewidth": 2, "linestyle": "none"}
            ax.plot(theta, mean(theta), marker, label=f"{label}: {theta:.2f}", **looks)
        ax.set(title=title, xlabel=r"initialisation $\theta$")
        ax.title.set_fontsize("medium")
        ax.set_ylim(bottom=0)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("loss")
    legend_above(axes[0], columns=3)
    return figure


def directions(
    model: Any, theta: Parameters, task: TaskBatch, ways: Mapping[str, np.ndarray], inner_lr: float, best: np.ndarray,
    window: tuple[float, float, float, float] = (-1.6, 4.4, -3.6, 2.0),
) -> Axes:  # fmt: skip
    """The level lines of the meta-loss of one task with two parameters; an arrow of one length for each way (2,)."""
    ax = plot.get_axes(None, (6.8, 4.4))
    many = lambda array, copies: np.broadcast_to(array, (copies, *array.shape[1:]))

    def meta_loss(thetas: Parameters) -> np.ndarray:
        copies = len(thetas["w"])
        adapted = adapt(model, thetas, many(task.x_support, copies), many(task.y_support, copies), inner_lr=inner_lr)
        return model.at(adapted, many(task.x_query, copies), many(task.y_query, copies)).loss

    surface(ax, meta_loss, window)
    start = theta["w"].ravel()
    for key, way in ways.items():
        label, colour, style, _ = LOOKS[key]
        arrow(ax, start, 1.6 * way / np.linalg.norm(way), colour, style, label)
    point(ax, start, r"$\theta$")
    point(ax, best, "task", marker="*", below=True)
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.02, 0.5), handlelength=3.5)
    return ax


def races(curves: Mapping[str, np.ndarray], iterations: np.ndarray, seconds: Mapping[str, float]) -> Figure:
    """Means over the runs with intervals, against iterations and against seconds: curves[key] (runs, checkpoints)."""
    figure, axes = plt.subplots(1, 2, figsize=(7.8, 3.2), sharey=True, layout="constrained")
    for key, values in curves.items():
        label, colour, style, marker = LOOKS[key]
        runs = Runs(values)
        for ax, scale in zip(axes, (1.0, seconds[key]), strict=True):
            x = iterations[: values.shape[1]] * scale
            ax.plot(x, runs.mean, color=colour, linestyle=style, marker=marker, markersize=5, label=label)
            ax.fill_between(x, runs.mean - runs.interval, runs.mean + runs.interval, color=colour, alpha=0.2, linewidth=0)
    axes[0].set(xlabel="iterations of the outer loop", ylabel="loss after one step")
    axes[1].set(xlabel="seconds of the outer loop")
    for ax in axes:
        ax.set_ylim(bottom=0)
        ax.grid(alpha=0.3)
    legend_above(axes[0], columns=4)
    return figure


def along_training(iterations: np.ndarray, angles: np.ndarray, shares: Mapping[str, np.ndarray]) -> Figure:
    """Left the angle of first-order and exact gradient, right the parts of the curvature term: (runs, checkpoints) each."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.8, 3.0), layout="constrained")
    colours = {"Gauss-Newton part": plot.ORANGE, "the rest": plot.PURPLE}
    for ax, lines in ((left, {"angle": angles}), (right, shares)):
        for name, values in lines.items():
            runs, colour, style = Runs(values), colours.get(name, plot.BLUE), "--" if name == "the rest" else "-"
            low, high = runs.mean - runs.interval, runs.mean + runs.interval
            ax.plot(iterations, runs.mean, color=colour, marker="o", markersize=4, linestyle=style, label=name)
            ax.fill_between(iterations, low, high, color=colour, alpha=0.2, linewidth=0)
        ax.set_ylim(bottom=0)
        ax.set_xlabel("iterations of MAML's outer loop")
        ax.grid(alpha=0.3)
    left.set_title("angle of first-order and exact, degrees", fontsize="medium")
    right.set_title("length, relative to the curvature term", fontsize="medium")
    right.legend(frameon=False, fontsize="small")
    return figure
