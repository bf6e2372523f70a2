"""Figures for classification tasks: decision regions, an episode of images, the first filters of a CNN."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from tinymaml.plot import CLASS_COLOURS, VERMILION, get_grid


def regions(classify: Mapping[str, Callable], points: tuple, labels: tuple) -> Figure:
    """Decision regions, one panel per classifier: `classify[name]` maps points (P, 2) to labels (P,).

    points and labels: pairs (support set, query set); support points are drawn large, query points small.
    """
    figure, panels = get_grid(1, len(classify), (4 * len(classify), 4), sharex=True, sharey=True)
    limit = 1.15 * max(np.abs(p).max() for p in points)
    side = np.linspace(-limit, limit, 200, dtype=points[0].dtype)
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    colours = ListedColormap([CLASS_COLOURS[i % len(CLASS_COLOURS)] for i in range(labels[0].max() + 1)])
    style = {"cmap": colours, "vmin": 0, "vmax": colours.N - 1}
    for ax, (name, predict) in zip(panels[0], classify.items(), strict=True):
        predicted = predict(grid.reshape(-1, 2)).reshape(grid.shape[:2])
        extent = (-limit, limit, -limit, limit)
        ax.imshow(predicted, extent=extent, origin="lower", alpha=0.3, interpolation="nearest", **style)
        ax.scatter(*points[1].T, c=labels[1], s=14, edgecolors="none", label="query", **style)
        ax.scatter(*points[0].T, c=labels[0], s=90, marker="*", edgecolors="black", label="support", **style)
        accuracy = (predict(points[1]) == labels[1]).mean()
        ax.set_title(f"{name}: {accuracy:.0%} of the noise-free query points correct", fontsize="small")
        ax.set_xlabel("first signal dimension")
    panels[0, 0].set_ylabel("second signal dimension")
    panels[0, 0].legend(fontsize="small", loc="lower left")
    return figure


def episode(images: tuple, labels: tuple, predicted: Mapping[str, np.ndarray], queries: int = 5) -> Figure:
    """One episode of square images, one row per class: a support example, then predicted query examples.

    images and labels: pairs (support set, query set) of arrays (n, d * d) and (n,). predicted: from names, such
    as before and after adaptation, to labels (n,) of the query examples; wrong labels are in brackets.
    """
    ways, side = labels[0].max() + 1, round(images[0].shape[1] ** 0.5)
    figure, grid = get_grid(ways, queries + 1, (1.3 * (queries + 1), 1.5 * ways))
    arrow = " \u2192 "
    draw = lambda ax, image: ax.imshow(image.reshape(side, side), cmap="gray_r", vmin=0, vmax=1)
    for label, row in enumerate(grid):
        draw(row[0], images[0][labels[0] == label][0])
        row[0].set_title(f"class {label}", fontsize="small", color=CLASS_COLOURS[0])
        for ax, index in zip(row[1:], np.flatnonzero(labels[1] == label)[:queries], strict=False):
            draw(ax, images[1][index])
            texts = [f"{p[index]}" if p[index] == label else f"({p[index]})" for p in predicted.values()]
            correct = predicted[list(predicted)[-1]][index] == label
            ax.set_title(arrow.join(texts), fontsize="small", color="black" if correct else VERMILION)
    for ax in grid.flat:
        ax.set_xticks([])
        ax.set_yticks([])
    figure.suptitle(f"left: support; others: query, predicted {arrow.join(predicted)}, wrong in brackets", fontsize="small")
    return figure


def filters(kernels: Mapping[str, np.ndarray]) -> Figure:
    """Square kernels (d * d, filters) for one-channel images; one row per name, one column per filter."""
    side = round(len(next(iter(kernels.values()))) ** 0.5)
    columns, limit = next(iter(kernels.values())).shape[1], max(np.abs(matrix).max() for matrix in kernels.values())
    figure, grid = get_grid(len(kernels), columns, (0.55 * columns + 1.2, 0.75 * len(kernels) + 0.2))
    for row, (name, matrix) in zip(grid, kernels.items(), strict=True):
        for ax, kernel in zip(row, matrix.T, strict=True):
            image = ax.imshow(kernel.reshape(side, side), cmap="PuOr", vmin=-limit, vmax=limit)
            ax.set_xticks([])
            ax.set_yticks([])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.colorbar(image, ax=grid, aspect=10)
    return figure
