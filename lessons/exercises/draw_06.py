"""The figures of lesson 06, and its slider."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinymaml import adapt
from tinymaml.parameters import Parameters
from tinymaml.plot import LOOKS
from tinymaml.tasks import Sinusoids, TaskBatch

X = np.linspace(-5, 5, 200)[:, None]
SUPPORT = {"marker": "o", "linestyle": "", "color": "black", "markeredgecolor": "white", "markersize": 7, "zorder": 4}


def two_objectives(now: Callable, after: Callable, ax: Axes | None = None) -> Axes:
    """The mean over tasks of now(theta) and of after(theta), both (T,), with their least values marked."""
    ax = plt.subplots(figsize=(6.2, 3), layout="constrained")[1] if ax is None else ax
    thetas = np.linspace(0, 7.5, 301)
    for key, objective, name in (("pretraining", now, "present: before the step"), ("maml", after, "potential: after one step")):
        _, colour, style, marker = LOOKS[key]
        values = np.array([objective(theta).mean() for theta in thetas])
        least = values.argmin()
        ax.plot(thetas, values, color=colour, linestyle=style, linewidth=2, label=name)
        ax.plot(thetas[least], values[least], marker, color=colour, markersize=9)
        ax.annotate(f"{values[least]:.1f} at {thetas[least]:.1f}", (thetas[least], values[least]), xytext=(0, 10),
                    textcoords="offset points", ha="center", fontsize="small")  # fmt: skip
    ax.set_ylim(-5, 42)
    ax.set_xlabel(r"initialisation $\theta$")
    ax.set_ylabel("mean loss of the two tasks")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def fits(model: Any, starts: Mapping[str, Parameters], batch: TaskBatch, steps: tuple[int, ...] = (0, 1, 10)) -> dict[str, list]:
    """For each start the panels of `plot.fits_of_tasks`: every task of the batch before and after some steps."""
    panels = {}
    for key, theta in starts.items():
        adapted = {k: adapt(model, theta, batch.x_support, batch.y_support, inner_lr=0.01, steps=k) for k in steps if k > 0}
        panels[key] = []
        for t in range(len(batch)):
            found = {0: model.predict(theta, X)[:, 0]} | {k: model.predict(a.task(t), X)[:, 0] for k, a in adapted.items()}
            shown = batch.x_support[t, :, 0], batch.y_support[t, :, 0]
            panels[key].append((X[:, 0], batch.hidden[t](X[:, 0]), found, shown))
    return panels


def along_training(iterations: list[int], losses: Mapping[str, np.ndarray], blind: float) -> Figure:
    """Present and potential of the initialisation against outer iterations: losses[method] is (checkpoints, 2).

    `blind` is the loss of the task-blind optimum on the same tasks.
    """
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3), sharey=True, layout="constrained")
    for ax, column, title in zip(axes, (0, 1), ("present: loss before any step", "potential: loss after one step"), strict=True):
        for key, found in losses.items():
            label, colour, style, marker = LOOKS[key]
            ax.plot(iterations, found[:, column], color=colour, linestyle=style, marker=marker, markersize=5, label=label)
        ax.set_title(title, fontsize="medium")
        ax.set_xlabel("iterations of the outer loop")
        ax.grid(alpha=0.3)
    axes[0].axhline(blind, color=LOOKS["task-blind"][1], linestyle=LOOKS["task-blind"][2], label=LOOKS["task-blind"][0])
    axes[0].set_ylabel("mean squared error")
    axes[0].set_ylim(bottom=0)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False, fontsize="small")
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
            ax.set_title(f"{k} step{'s' * (k != 1)}: loss {_loss(model, path[k], task):.2f}", fontsize="small")
        axes[0].set_ylabel(f"{LOOKS[key][0]}\n\ny")
    for ax in grid[-1]:
        ax.set_xlabel("x")
    return figure


def adaptation(model: Any, starts: Mapping[str, Parameters], task: TaskBatch, inner_lr: float, steps: int) -> Figure:
    """The fits of all starts after `steps` steps, and their losses against steps. A figure of its own, not pyplot's."""
    figure = Figure(figsize=(9, 3.2), dpi=80)
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.06, right=0.98, bottom=0.15, top=0.9, wspace=0.2)
    paths = {key: _path(model, theta, task, inner_lr, 10) for key, theta in starts.items()}
    _panel(left, model, {key: path[steps] for key, path in paths.items()}, task)
    left.set_title(f"after {steps} step{'s' * (steps != 1)} at inner_lr {inner_lr:.4g}", fontsize="medium")
    left.set_xlabel("x")
    for key, path in paths.items():
        label, colour, style, marker = LOOKS[key]
        losses = np.array([_loss(model, theta, task) for theta in path])
        losses[~(losses < 1e3)] = np.nan  # diverged: the line ends
        right.plot(losses, color=colour, linestyle=style, label=label)
        right.plot(steps, losses[steps], marker, color=colour, markersize=9)
    right.set_yscale("log")
    right.yaxis.set_major_formatter("{x:g}")
    right.set_ylim(1e-3, 1e3)
    right.legend(*left.get_legend_handles_labels(), frameon=False, fontsize="small", loc="upper right", ncols=2)
    right.set_title("loss on the query set against steps", fontsize="medium")
    right.grid(alpha=0.3)
    return figure


def slider(model: Any, starts: Mapping[str, Parameters]) -> None:
    """Show `adaptation` under sliders for steps (with a play button), inner learning rate and amplitude."""
    import ipywidgets as widgets
    from IPython.display import display

    steps = widgets.IntSlider(1, 0, 10, description="steps")
    play = widgets.Play(value=1, min=0, max=10, interval=500)
    widgets.jslink((play, "value"), (steps, "value"))
    inner_lr = widgets.FloatLogSlider(0.01, min=-3, max=-1.3, step=0.1, description="inner_lr", readout_format=".4f")
    amplitude = widgets.FloatSlider(4.0, min=0.1, max=5, step=0.1, description="amplitude")
    picture = widgets.Image(format="png")

    def redraw(change: object = None) -> None:
        with np.errstate(all="ignore"):
            drawn = adaptation(model, starts, one_task(amplitude.value), inner_lr.value, steps.value)
        file = io.BytesIO()
        drawn.savefig(file, format="png")
        picture.value = file.getvalue()

    for control in (steps, inner_lr, amplitude):
        control.observe(redraw, "value")
    redraw()
    box = widgets.VBox([widgets.HBox([steps, play]), widgets.HBox([inner_lr, amplitude]), picture])
    shown = box._repr_mimebundle_()
    shown["text/plain"] = "Sliders for steps, inner_lr and amplitude appear here when you run this cell."
    display(shown, raw=True)


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
    ax.plot(X, task.hidden[0](X), color="black", linewidth=1, label="truth")
    for key, theta in starts.items():
        label, colour, style, _ = LOOKS[key]
        ax.plot(X, model.predict(theta, X[None])[0], color=colour, linestyle=style, linewidth=2, label=label)
    ax.plot(task.x_support[0], task.y_support[0], **SUPPORT, label="support points")
    ax.set_ylim(-7, 7)
