"""Figures for all families: colour-blind-safe and readable in greyscale.

Functions that draw one panel take `ax=None` and return the axes; those that draw several return the figure. No function
calls `plt.show`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from tinymaml.settings import PlotStyle
from tinymaml.training.evaluation import Curve

BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"  # from the palette of Okabe and Ito
ORANGE, PURPLE, GREY = "#E69F00", "#CC79A7", "#777777"

CLASS_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, "#56B4E9", VERMILION, "#F0E442", GREY)
STEP_STYLES = {  # by number of steps: teal, darker with more steps; no method or baseline uses it
    0: ("#999999", ":"), 1: ("#44AA99", "--"), 5: ("#2F7F78", "-."), 10: ("#17534F", "-"),
}

ROUNDING = 1e-12  # a mean error below this is only rounding, also in float32


def get_axes(ax: Axes | None = None, size: tuple[float, float] = (7.2, 4)) -> Axes:
    """`ax`, or new axes in a figure of this size in inches if it is None."""
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def get_grid(rows: int, columns: int, size: tuple[float, float], **more: bool) -> tuple[Figure, np.ndarray]:
    """A figure of this size in inches, and its axes (rows, columns); `more` is sharex or sharey."""
    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **more)


def steps_label(steps: int) -> str:
    """The label of a result after `steps` steps."""
    return "before" if steps == 0 else f"after {steps} step{'s' * (steps > 1)}"


def log_axis(ax: Axes) -> None:
    """Make the y axis logarithmic, with plain numbers as labels."""
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_formatter("")


def finish(ax: Axes, legend: bool = True) -> None:
    """Add a light grid, and a legend to the right of the panel."""
    ax.grid(alpha=0.3)
    if legend:
        ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))


def fit(
    x: np.ndarray, truth: np.ndarray, fits: Mapping[int, np.ndarray], support: tuple | None = None, ax: Axes | None = None
) -> Axes:
    """One task: truth, predictions by number of steps, and support points (x, y). All arrays are 1-D."""
    ax = get_axes(ax)
    ax.plot(x, truth, color="black", linewidth=1, label="truth")
    for steps, prediction in fits.items():
        colour, style = STEP_STYLES.get(steps, STEP_STYLES[10])
        ax.plot(x, prediction, color=colour, linestyle=style, linewidth=2, label=steps_label(steps))
    if support is not None:
        ax.plot(*support, "o", color=VERMILION, markeredgecolor="white", markersize=7, label="support points", zorder=3)
    return ax


def fits_of_tasks(panels: Mapping[str, list[tuple]], styles: Mapping[str, PlotStyle], xlabel: str = "x") -> Figure:
    """One row per method, one column per task; a panel is a tuple (x, truth, fits) or (x, truth, fits, support) for `fit`."""
    columns = max(len(row) for row in panels.values())
    size = 3.2 * columns, 2.4 * len(panels) + 0.5
    figure, grid = get_grid(len(panels), columns, size, sharex=True, sharey=True)
    for panel_row, (key, row) in zip(grid, panels.items(), strict=True):
        for ax, panel in zip(panel_row, row, strict=True):
            fit(*panel, ax=ax)
        panel_row[0].set_ylabel(f"{styles[key].label}\n\ny")
    for ax in grid[-1]:
        ax.set_xlabel(xlabel)
    limit = 1.3 * max(np.abs(truth).max() for row in panels.values() for _, truth, *_ in row)
    grid[0, 0].set_ylim(-limit, limit)  # a diverging fit may leave the figure
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False)
    return figure


def curves(
    by_method: Mapping[str, Curve],
    styles: Mapping[str, PlotStyle],
    *,
    ax: Axes | None = None,
    ylabel: str = "mean squared error",
    log: bool = True,
) -> Axes:
    """The mean over tasks against adaptation steps, with 95 % confidence intervals; one line per method.

    styles maps the keys of `by_method` to plot styles, as `methods.STYLES` does.
    """
    ax = get_axes(ax)
    for key, curve in by_method.items():
        label, colour, style, marker = styles[key]
        steps = np.arange(len(curve.mean))
        if log and (curve.mean < ROUNDING).all():  # a log axis cannot show zero
            ax.plot([], [], color=colour, linestyle=style, marker=marker, label=f"{label}: no error")
            continue
        ax.plot(steps, curve.mean, color=colour, linestyle=style, marker=marker, markersize=5, label=label)
        if marker:
            ax.fill_between(steps, curve.mean - curve.interval, curve.mean + curve.interval, color=colour, alpha=0.2, linewidth=0)
    ax.set_xlabel("steps of gradient descent on the support set")
    ax.set_ylabel(ylabel)
    if log:
        log_axis(ax)
    finish(ax)
    return ax


def bands(
    by_method: Mapping[str, np.ndarray], styles: Mapping[str, PlotStyle], *, ax: Axes | None = None,
    ylabel: str = "mean squared error", log: bool = True,
) -> Axes:  # fmt: skip
    """One number a seed and step, (seeds, S + 1), against adaptation steps: the median, and a band from least to largest."""
    ax = get_axes(ax)
    for key, values in by_method.items():
        label, colour, style, marker = styles[key]
        steps, shown = np.arange(values.shape[1]), np.maximum(values, ROUNDING) if log else values
        ax.plot(steps, np.median(shown, axis=0), color=colour, linestyle=style, marker=marker, markersize=5, label=label)
        ax.fill_between(steps, shown.min(0), shown.max(0), color=colour, alpha=0.2, linewidth=0)
    ax.set_xlabel("steps of gradient descent on the support set")
    ax.set_ylabel(ylabel)
    if log:
        log_axis(ax)
    finish(ax)
    return ax


def training(by_method: Mapping[str, np.ndarray], styles: Mapping[str, PlotStyle], *, ax: Axes | None = None) -> Axes:
    """The training loss against iterations, averaged over windows of about a hundredth of the run."""
    ax = get_axes(ax)
    for key, losses in by_method.items():
        label, colour, style, _ = styles[key]
        window = max(1, len(losses) // 100)
        smoothed = losses[:len(losses) // window * window].reshape(-1, window).mean(1)
        ax.plot(window * (np.arange(len(smoothed)) + 0.5), smoothed, color=colour, linestyle=style, label=label)
    log_axis(ax)
    ax.set_xlabel("iterations")
    ax.set_ylabel("training loss")
    finish(ax)
    return ax


def save(drawn: Figure | Axes, path: str | Path) -> None:
    """Save a figure atomically, through a temporary file, and close it."""
    figure, path = drawn if isinstance(drawn, Figure) else drawn.figure, Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        figure.savefig(partial, dpi=150, format=path.suffix[1:] or "png")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
        plt.close(figure)
