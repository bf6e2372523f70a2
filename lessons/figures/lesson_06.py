"""The figures of lesson 06: present and potential, along the training and along one adaptation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import POINTS, Runs, counted, legend_above
from tinymaml import Parameters, adapt
from tinymaml.methods import STYLES
from tinymaml.tasks import Sinusoids, TaskBatch

X = np.linspace(-5, 5, 200)[:, None]
SUPPORT = POINTS | {"color": "black"}  # the methods have the colours


def fits(model: Any, starts: Mapping[str, Parameters], batch: TaskBatch, steps: tuple[int, ...] = (0, 1, 10)) -> dict[str, list]:
    """For each start the panels of `plot.fits_of_tasks`: every task of the batch before and after some steps."""
    panels = {}
    for key, theta in starts.items():
        adapted = {k: adapt(model, theta, batch.x_support, batch.y_support, inner_lr=0.01, steps=k) for k in steps if k > 0}
        panels[key] = []
        for t in range(len(batch)):
            found = {0: model.predict(theta, X)[:, 0]} | {k: model.predict(a.task(t), X)[:, 0] for k, a in adapted.items()}
            shown = batch.x_support[t, :, 0], batch.y_support[t, :, 0]
            panels[key].append((X[:, 0], batch.task_params[t](X[:, 0]), found, shown))
    return panels


def along_training(iterations: list[int], losses: Mapping[str, np.ndarray], blind: float) -> Figure:
    """Present and potential of the initialisation against outer iterations: losses[method] is (runs, checkpoints, 2).

    Lines are means over the runs, bands their 95 % intervals. `blind` is the loss of the task-blind optimum on the same tasks.
    """
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3), sharey=True, layout="constrained")
    for ax, column, title in zip(axes, (0, 1), ("present: loss before any step", "potential: loss after one step"), strict=True):
        for key, found in losses.items():
            label, colour, style, marker = STYLES[key]
            runs = Runs(found[:, :, column])
            ax.plot(iterations, runs.mean, color=colour, linestyle=style, marker=marker, markersize=5, label=label)
            low, high = runs.mean - runs.interval, runs.mean + runs.interval
            ax.fill_between(iterations, low, high, color=colour, alpha=0.2, linewidth=0)
        ax.set_title(title, fontsize="medium")
        ax.set_xlabel("iterations of the outer loop")
        ax.grid(alpha=0.3)
    axes[0].axhline(blind, color=STYLES["task-blind"][1], linestyle=STYLES["task-blind"][2], label=STYLES["task-blind"][0])
    axes[0].set_ylabel("mean squared error")
    axes[0].set_ylim(bottom=0)
    legend_above(axes[0], columns=4)
    return figure


def one_task(amplitude: float, phase: float = 0.8, shots: int = 10) -> TaskBatch:
    """A task of a chosen wave; its support points lie at the same x whatever the amplitude."""
    chosen = Sinusoids(amplitude=(amplitude, amplitude), phase=(phase, phase))
    return chosen.sample(np.random.default_rng(3), tasks=1, shots=shots, queries=200)


def film(model: Any, starts: Mapping[str, Parameters], task: TaskBatch, inner_lr: float = 0.01) -> Figure:
    """One adaptation, frame by frame: one row a start, one column a number of steps, each with its loss."""
    frames = (0, 1, 3, 10)
    figure, grid = plt.subplots(len(starts), len(frames), figsize=(8, 1.6 * len(starts) + 0.3), sharex=True, sharey=True,
                                layout="constrained")  # fmt: skip
    for axes, (key, theta) in zip(grid, starts.items(), strict=True):
        path = _path(model, theta, task, inner_lr, max(frames))
        for ax, k in zip(axes, frames, strict=True):
            _panel(ax, model, {key: path[k]}, task)
            ax.set_title(f"{counted(k)}: loss {_loss(model, path[k], task):.2f}", fontsize="small")
        axes[0].set_ylabel(f"{STYLES[key][0]}\n\ny")
    for ax in grid[-1]:
        ax.set_xlabel("x")
    return figure


@np.errstate(all="ignore")  # with a long step some diverge
def adaptation(model: Any, starts: Mapping[str, Parameters], task: TaskBatch, inner_lr: float, steps: int) -> Figure:
    """The fits of all starts after `steps` steps, and their losses against steps."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    figure.subplots_adjust(left=0.06, right=0.98, bottom=0.15, top=0.9, wspace=0.2)  # fixed: quicker than a layout engine
    paths = {key: _path(model, theta, task, inner_lr, 10) for key, theta in starts.items()}
    _panel(left, model, {key: path[steps] for key, path in paths.items()}, task)
    left.set_title(f"after {counted(steps)} at inner_lr {inner_lr:.4g}", fontsize="medium")
    left.set_xlabel("x")
    for row, (key, path) in enumerate(paths.items()):
        label, colour, style, marker = STYLES[key]
        losses = np.array([_loss(model, theta, task) for theta in path])
        lost = ~(losses < 1e3)
        if lost.any():
            told = f"{label}: above 1000 after {counted(int(lost.argmax()))}"
            right.text(0.02, 0.04 + 0.08 * row, told, color=colour, fontsize="small", transform=right.transAxes)
        losses[lost] = np.nan  # the line ends
        right.plot(losses, color=colour, linestyle=style, label=label)
        right.plot(steps, losses[steps], marker, color=colour, markersize=9)
    right.set_yscale("log")
    right.yaxis.set_major_formatter("{x:g}")
    right.set_ylim(1e-3, 1e3)
    right.legend(*left.get_legend_handles_labels(), frameon=False, fontsize="small", loc="upper right", ncols=2)
    right.set_title("loss on the query set against steps", fontsize="medium")
    right.grid(alpha=0.3)
    return figure


def _path(model: Any, theta: Parameters, task: TaskBatch, inner_lr: float, steps: int) -> list[Parameters]:
    """theta_0..theta_K of the one task, each with a task axis."""
    path = [theta.map(lambda array: array[None])]
    for _ in range(steps):
        path.append(adapt(model, path[-1], task.x_support, task.y_support, inner_lr=inner_lr))
    return path


def _loss(model: Any, theta: Parameters, task: TaskBatch) -> float:
    return float(model.at(theta, task.x_query, task.y_query).loss[0])


def _panel(ax: Axes, model: Any, starts: Mapping[str, Parameters], task: TaskBatch) -> None:
    """The truth, the support points and a fit for each start."""
    ax.plot(X, task.task_params[0](X), color="black", linewidth=1, label="truth")
    for key, theta in starts.items():
        label, colour, style, _ = STYLES[key]
        ax.plot(X, model.predict(theta, X[None])[0], color=colour, linestyle=style, linewidth=2, label=label)
    ax.plot(task.x_support[0], task.y_support[0], **SUPPORT, label="support points")
    ax.set_ylim(-7, 7)
