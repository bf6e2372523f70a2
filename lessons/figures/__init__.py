"""What the lessons draw: one module a lesson, lesson_01.py, lesson_02.py, ...; here is what several of them share.

    from figures import lesson_01 as draw

As in `tinymaml.plot`, whose looks and colours they keep: functions that draw one panel take `ax=None` and return the
axes; those that draw several return the figure; none calls show.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from IPython.core.pylabtools import print_figure
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from PIL import Image

from tinymaml import plot
from tinymaml.experiment.process import matrix_threads

POINTS = {"marker": "o", "linestyle": "", "markeredgecolor": "white", "markersize": 7, "zorder": 4}  # of a support set

STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}  # by the number of runs: 97.5 % of Student's t lie below it

DPI = 120  # of what a notebook keeps, for print


def start() -> None:
    """Prepare a lesson: one thread for matrix products, sharp figures, short numbers."""
    matrix_threads()
    sharp()
    plt.rcParams["figure.dpi"] = 80
    np.set_printoptions(precision=4, suppress=True)


def sharp() -> None:
    """From here on a notebook keeps its figures at 120 dpi, and shows them in the size that they have without.

    They are kept in 128 colours, so that the file is no larger than with all colours at 80 dpi.
    """
    shell = get_ipython()
    if shell:
        plt.switch_backend(plt.get_backend())  # it makes its own arrangements when it is loaded, so before ours
        shell.display_formatter.formatters["image/png"].for_type(Figure, png)


def png(figure: Figure) -> tuple[str, dict[str, int]]:
    """The figure as a PNG at 120 dpi, in base64 since not every kernel encodes bytes, and the width and height to show it in."""
    image = Image.open(io.BytesIO(print_figure(figure, "png", dpi=DPI))).convert("RGB")
    file = io.BytesIO()
    few = image.quantize(128, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)  # a rare colour keeps its own
    few.save(file, "png", optimize=True, dpi=(DPI, DPI))
    width, height = (round(pixels * figure.dpi / DPI) for pixels in image.size)
    return base64.b64encode(file.getvalue()).decode("ascii"), {"width": width, "height": height}


@dataclass(frozen=True)
class Runs:
    """One number for each run and number of steps, `values` (runs, S + 1); `plot.curves` draws it as it draws a `Curve`.

    The runs differ in everything that was drawn at random for the training.
    """

    values: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(S + 1,) over the runs."""
        return np.mean(self.values, axis=0)

    @property
    def interval(self) -> np.ndarray:
        """(S + 1,) half the width of the 95 % confidence interval of the mean, by Student's t."""
        runs = len(self.values)
        return STUDENT[runs] * np.std(self.values, axis=0, ddof=1) / np.sqrt(runs)


def legend_above(ax: Axes, columns: int) -> None:
    """The lines of one panel explain all panels of its figure."""
    lines = ax.get_legend_handles_labels()
    ax.figure.legend(*lines, loc="outside upper center", ncols=columns, frameon=False, fontsize="small")


def counted(number: int, thing: str = "step") -> str:
    """'1 step', '2 steps'."""
    return f"{number} {thing}{'s' * (number != 1)}"


def errors(
    table: Mapping[str, Mapping[str, float]], right: float = 1e-10, unseen: str = "right", ax: Axes | None = None
) -> Axes:
    """Relative errors as a map: rows and columns by name; an error of at most `right` is a white cell with the word `unseen`."""
    rows, columns = list(table), list(next(iter(table.values())))
    values = np.array([[table[row][column] for column in columns] for row in rows])
    ax = plot.get_axes(ax, (0.75 * len(columns) + 2.6, 0.42 * len(rows) + 1.3))
    ax.imshow(np.where(values > right, values, np.nan), cmap="Oranges", norm=LogNorm(1e-3, 30), aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        wrong = value > right
        text = unseen if not wrong else f"{value:.2f}" if value < 10 else f"{value:.0f}"
        ax.text(j, i, text, ha="center", va="center", fontsize="small", color="black" if wrong else plot.GREY)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="#cccccc", linewidth=0.8)
    ax.tick_params(which="minor", length=0)
    return ax
