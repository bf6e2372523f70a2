"""The figures of lesson 07: characters, accuracy against steps, decision regions, and where the first layer looks."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from figures import Runs
from tinymaml import plot
from tinymaml.methods import STYLES
from tinymaml.tasks import TaskBatch

# what does not adapt: label, colour, line style
FLAT = {
    "told": ("nearest neighbour,\ntold the plane", *STYLES["oracle"][1:3]),
    "mean": ("nearest mean, in\nMAML's hidden layer", plot.PURPLE, (0, (5, 1, 1, 1))),
    "neighbour": ("nearest neighbour\nand nearest mean", *STYLES["nearest"][1:3]),
    "chance": STYLES["chance"][:3],
}
CLASS_COLOURS = [plot.BLUE, plot.ORANGE, plot.GREEN, plot.PURPLE, plot.GREY]
CLASS_MARKERS = ["o", "s", "^", "D", "v"]


def characters(batch: TaskBatch, size: int, names: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ") -> Figure:
    """Every task of a batch of images: one column a label, the support set above the line, the query set below."""
    ways, tasks = batch.y_support.shape[-1], len(batch)
    figure, axes = plt.subplots(1, tasks, figsize=(4.6 * tasks, 4), layout="constrained", squeeze=False)
    for t, ax in enumerate(axes[0]):
        parts = [x[t].reshape(ways, -1, size, size) for x in (batch.x_support, batch.x_query)]
        shots, queries = (part.shape[1] for part in parts)
        tiles = np.concatenate(parts, axis=1)  # (N, K + Q, size, size)
        ax.imshow(tiles.transpose(1, 2, 0, 3).reshape((shots + queries) * size, ways * size), cmap="Greys")
        for edge in range(1, ways):
            ax.axvline(edge * size - 0.5, color="#BBBBBB", linewidth=0.8)
        for edge in range(1, shots + queries):
            ax.axhline(edge * size - 0.5, color="#BBBBBB", linewidth=0.8)
        ax.axhline(shots * size - 0.5, color=plot.VERMILION, linewidth=2)
        ax.set_xticks((np.arange(ways) + 0.5) * size, [f"{i}\n({names[batch.task_params[t, i]]})" for i in range(ways)])
        ax.set_yticks([shots * size / 2, (shots + queries / 2) * size], ["support", "query"], rotation=90, va="center")
        ax.tick_params(length=0)
        ax.set_xlabel("label in this task (character)")
        ax.set_title(f"task {t + 1}")
    return figure


def accuracy(curves: Mapping[str, Runs], flat: Mapping[str, float | Runs], ax: Axes | None = None) -> Axes:
    """Accuracy against adaptation steps with 95 % intervals; `flat` holds what does not adapt, by the names of FLAT."""
    ax = plot.get_axes(ax, (8, 4))
    for name in sorted(flat, key=list(FLAT).index):
        label, colour, style = FLAT[name]
        value = flat[name]
        if isinstance(value, Runs):
            ax.axhspan(value.mean - value.interval, value.mean + value.interval, color=colour, alpha=0.2, linewidth=0)
            value = value.mean
        ax.axhline(value, color=colour, linestyle=style, linewidth=1.5, label=label)
    plot.curves(curves, STYLES, ax=ax, ylabel="accuracy on the query set", log=False)
    ax.set_ylim(0, 1)
    ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def grid(reach: float = 1.8, points: int = 120) -> np.ndarray:
    """Points of a square around the origin of the signal plane, row by row: (points * points, 2)."""
    line = np.linspace(-reach, reach, points)
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def regions(panels: Mapping[str, np.ndarray], support: np.ndarray, query: np.ndarray, reach: float = 1.8) -> Figure:
    """Which label each point of the signal plane gets, one panel a predictor, two in a row.

    panels     by title, the labels of the points of `grid(reach)`, flat
    support    (N, 2), one example of each label, in order; drawn larger, with the label beside it
    query      (N, Q, 2), drawn small, with the colour and marker of the right label
    """
    rows = len(panels) // 2
    figure, axes = plt.subplots(
        rows, 2, figsize=(7.7, 3.7 * rows + 0.3), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    pale = ListedColormap([_paler(colour) for colour in CLASS_COLOURS])
    for ax, (title, labels) in zip(np.ravel(axes), panels.items(), strict=True):
        side = int(len(labels) ** 0.5)
        picture, line = labels.reshape(side, side), np.linspace(-reach, reach, side)
        ax.imshow(picture, extent=(-reach, reach) * 2, origin="lower", cmap=pale, vmin=-0.5, vmax=4.5, interpolation="nearest")
        for i in range(len(support)):
            if (picture == i).any() and not (picture == i).all():
                ax.contour(line, line, picture == i, levels=[0.5], colors="white", linewidths=1)
            look = {"marker": CLASS_MARKERS[i], "color": CLASS_COLOURS[i], "markeredgecolor": "black", "linestyle": "none"}
            ax.plot(*query[i].T, markersize=5, markeredgewidth=0.4, zorder=3, **look)
            ax.plot(*support[i], markersize=9, markeredgewidth=1.5, zorder=4, **look)
            number = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": CLASS_COLOURS[i]}
            place = {"textcoords": "offset points", "ha": "center", "va": "center", "zorder": 5}
            ax.annotate(str(i), support[i], (9, 9), fontsize=9, bbox=number, **place)
        ax.set_title(title, fontsize=11)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    for ax in axes[-1]:
        ax.set_xlabel("first signal direction")
    for ax in axes[:, 0]:
        ax.set_ylabel("second signal direction")
    return figure


def directions(by_method: Mapping[str, np.ndarray], signal: int = 2, ax: Axes | None = None) -> Axes:
    """The length of the first layer's weights along each direction of the input (10,), one set of bars a method."""
    ax = plot.get_axes(ax, (8, 3))
    width = 0.8 / len(by_method)
    for i, ((key, lengths), hatch) in enumerate(zip(by_method.items(), ["", "//", ".."], strict=False)):
        label, colour, _, _ = STYLES[key]
        places = np.arange(len(lengths)) + (i - (len(by_method) - 1) / 2) * width
        ax.bar(places, lengths, width, color=colour, hatch=hatch, edgecolor="white", label=label)
    ax.axvline(signal - 0.5, color="black", linewidth=0.8)
    count = len(next(iter(by_method.values())))
    names = [f"signal {i + 1}" if i < signal else f"noise {i + 1 - signal}" for i in range(count)]
    ax.set_xticks(range(count), names, fontsize=8)
    ax.set_ylabel("length of the weights in $W_1$")
    ax.grid(alpha=0.3, axis="y")
    ax.set_axisbelow(True)
    ax.legend(frameon=False, fontsize="small")
    return ax


def _paler(colour: str) -> tuple[float, ...]:
    """A third of the colour on white."""
    return tuple(1 - 0.35 * (1 - int(colour[i:i + 2], 16) / 255) for i in (1, 3, 5))
