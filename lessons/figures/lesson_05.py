"""The figures of lesson 05: where the gradient is taken, and what it moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import counted
from tinymaml import Parameters, adapt, meta_gradient, plot
from tinymaml.methods import STYLES
from tinymaml.tasks import TaskBatch

EXACT, FIRST_ORDER = STYLES["maml"][1], STYLES["first-order"][1]
CURVATURE, INNER = plot.ORANGE, "#555555"  # a colour that no method of this lesson has; grey


def arrow(ax: Axes, start: np.ndarray, way: np.ndarray, colour: str, style: Any, label: str, width: float = 2.5) -> None:
    """An arrow from `start` along `way`, both (2,), and, given a label, its line for the legend."""
    looks = {"arrowstyle": "-|>", "color": colour, "linestyle": style, "linewidth": width, "shrinkA": 0, "shrinkB": 0,
             "mutation_scale": 14}  # fmt: skip
    drawn = ax.annotate("", xytext=start, xy=start + way, arrowprops=looks, zorder=4, annotation_clip=False)
    drawn.arrow_patch.set_clip_path(ax.patch)  # a long arrow leaves the picture, not the panel
    if label:
        ax.plot([], [], color=colour, linestyle=style, linewidth=width, label=label)


def point(ax: Axes, where: np.ndarray, name: str, marker: str = "o", colour: str = "black", below: bool = False) -> None:
    """A named point of the plane; nothing if it lies outside of the picture."""
    if not ax.viewLim.contains(*where):
        return
    ax.plot(*where, marker, color=colour, markeredgecolor="white", markersize=13 if marker == "*" else 8, zorder=5)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
    ax.annotate(name, where, xytext=(8, -17 if below else 8), textcoords="offset points", zorder=6, bbox=box)


def around(points: list[np.ndarray], window: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """The window, or the smallest of its shape that holds it and all points (2,), with a margin."""
    corners = np.array([window[::2], window[1::2]])  # lower left, upper right
    size = corners[1] - corners[0]
    if np.all((points >= corners[0]) & (points <= corners[1])):
        return window
    together = np.concatenate([corners, points])
    low, high = together.min(0), together.max(0)
    half = 1.12 * size / 2 * max((high - low) / size)
    (left, bottom), (right, top) = (low + high) / 2 - half, (low + high) / 2 + half
    return left, right, bottom, top


def surface(ax: Axes, loss: Callable, window: tuple[float, float, float, float]) -> None:
    """The level lines of loss(theta), with theta["w"] of shape (C, 2, 1), at 12 levels that lie closer near the lowest."""
    left, right, low, high = window
    p, q = np.meshgrid(np.linspace(left, right, 61), np.linspace(low, high, 61))
    values = loss(Parameters(w=np.stack([p.ravel(), q.ravel()], axis=1)[:, :, None])).reshape(p.shape)
    levels = values.min() + np.ptp(values) * np.linspace(0, 1, 14)[1:] ** 2
    ax.contour(p, q, values, levels, colors="#999999", linewidths=0.8)
    ax.set_xlim(left, right)
    ax.set_ylim(low, high)
    ax.set_aspect("equal")  # so that right angles are right angles
    ax.set_xlabel("$w_1$")
    ax.set_ylabel("$w_2$")


def two_gradients(
    model: Any, theta: Parameters, task: TaskBatch, *, inner_lr: float, steps: int = 1, outer_lr: float = 1.0,
    best: np.ndarray | None = None, window: tuple[float, float, float, float] = (-3.4, 4.4, -4.6, 2.6),
) -> Figure:  # fmt: skip
    """One task on a model with two parameters, theta["w"] (2, 1): left the query loss, right the meta-loss, both over the plane.

    Left: the inner steps from theta to theta', and the descent of the query loss at theta'. Right: the same arrow at
    theta, the curvature term added at its tip, and their sum, the exact descent of the meta-loss. `best` marks the task.
    Both panels show the window, and more of the plane if an arrow or theta' would leave it.
    """
    inner = {"inner_lr": inner_lr, "steps": steps}
    meta = meta_gradient(model, theta, task, **inner)
    flat = lambda parameters: parameters["w"].ravel()
    path = [flat(theta)] + [flat(adapt(model, theta, task.x_support, task.y_support, inner_lr=inner_lr, steps=k + 1))
                            for k in range(steps)]  # fmt: skip
    first, exact, curvature = (-outer_lr * flat(part) for part in (meta.first_order, meta.gradient, meta.curvature))

    window = around([*path, path[-1] + first, path[0] + first, path[0] + exact], window)
    many = lambda array, copies: np.broadcast_to(array, (copies, *array.shape[1:]))

    def query_loss(thetas: Parameters) -> np.ndarray:
        copies = len(thetas["w"])
        return model.at(thetas, many(task.x_query, copies), many(task.y_query, copies)).loss

    def meta_loss(thetas: Parameters) -> np.ndarray:
        copies = len(thetas["w"])
        return query_loss(adapt(model, thetas, many(task.x_support, copies), many(task.y_support, copies), **inner))

    end = "\\theta'" if steps == 1 else f"\\theta_{steps}"
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 4.2))
    figure.subplots_adjust(left=0.08, right=0.99, bottom=0.22, top=0.87, wspace=0.2)  # fixed: quicker than a layout engine
    surface(left, query_loss, window)
    left.set_title(f"taken at ${end}$: level lines of $L_Q(\\theta)$", fontsize="medium")
    left.plot(*np.array(path).T, ":o", color=INNER, markersize=4, linewidth=2, label="inner steps, on the support set")
    arrow(left, path[-1], first, FIRST_ORDER, "--", f"first-order: $-\\nabla L_Q({end})$, carried to $\\theta$ on the right")
    surface(right, meta_loss, window)
    right.set_title(f"moves $\\theta$: level lines of the meta-loss $L_Q({end}(\\theta))$", fontsize="medium")
    arrow(right, path[0], first, FIRST_ORDER, "--", "")
    arrow(right, path[0] + first, -curvature, CURVATURE, (0, (1, 1.6)), "the curvature term, added")
    arrow(right, path[0], exact, EXACT, "-", "exact: minus the meta-gradient, their sum")
    for ax in (left, right):
        point(ax, path[0], "$\\theta$")
        if best is not None:
            point(ax, best, "task", marker="*", below=True)
    point(left, path[-1], f"${end}$")
    figure.suptitle(f"$\\alpha$ = {inner_lr:.1f}, {counted(steps, 'inner step')}", fontsize="medium")
    lines = [line for ax in (left, right) for line in ax.lines if not line.get_label().startswith("_")]
    figure.legend(handles=lines, loc="lower center", ncols=2, frameon=False, handlelength=3.5)
    return figure


def learning(curves: dict[str, np.ndarray], steps: np.ndarray, ax: Axes | None = None) -> Axes:
    """The loss after adaptation against iterations of the outer loop: a thin line for each seed, a thick one for their mean.

    curves[name] is (seeds, len(steps)), or (len(steps),) for one seed.
    """
    ax = plot.get_axes(ax, (7.2, 3.4))
    looks = [(STYLES[key][1], STYLES[key][2], STYLES[key][3]) for key in ("maml", "scratch", "pretraining")]
    for (name, values), (colour, style, marker) in zip(curves.items(), looks, strict=False):
        seeds = np.atleast_2d(values)
        ax.plot(steps, seeds.T, color=colour, linestyle=style, linewidth=0.8, alpha=0.6)
        ax.plot(steps, seeds.mean(0), color=colour, linestyle=style, marker=marker, markersize=5, label=name)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("iterations of the outer loop")
    ax.set_ylabel("query loss after one step")
    plot.finish(ax)
    return ax
