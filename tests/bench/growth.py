"""How the time and memory of one meta-gradient grow with tasks, shots, steps, width and filters: `python tests/bench/growth.py`.

One size grows, all others stay; a slope is that of the logarithms between the largest size and the one half as large or less.
Memory is the peak of what NumPy allocates during the call.
"""

from __future__ import annotations

import argparse
import tracemalloc
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import report

from tinymaml import CNN, MLP, meta_gradient
from tinymaml.experiment.bench import medians, time_call
from tinymaml.experiment.process import matrix_threads
from tinymaml.tasks import Episodes, Glyphs, Sinusoids

GROWTH = {
    "tasks": [25, 50, 100, 250, 500, 1000],
    "shots": [5, 10, 25, 50, 100, 200],
    "steps": [1, 2, 5, 10, 20],
    "width": [20, 40, 80, 160, 320, 640],
    "filters": [4, 8, 16, 32, 64],
}  # fmt: skip


def call(what: str, size: int) -> Callable[[], object]:
    """A meta-gradient of 1-40-40-1 in float64, 25 tasks of 10 points and one step, or of a CNN in float32; one size changed."""
    rng, sizes = np.random.default_rng(0), {"tasks": 25, "shots": 10, "steps": 1, "width": 40} | {what: size}
    if what == "filters":
        model, dtype = CNN(28, size, blocks=4, ways=5), np.float32
        batch = Episodes(Glyphs(28), ways=5).sample(rng, tasks=16, shots=1, queries=3, dtype=dtype)
    else:
        model, dtype = MLP([1, sizes["width"], sizes["width"], 1]), np.float64
        batch = Sinusoids().sample(rng, tasks=sizes["tasks"], shots=sizes["shots"], queries=10)
    theta = model.init(rng, dtype)
    return lambda: meta_gradient(model, theta, batch, inner_lr=0.01, steps=sizes["steps"]).gradient


def peak(run: Callable[[], object]) -> float:
    """The MB that are allocated at the same time during a call, at most."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    run()
    after = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (after - before) / 2**20


def slope(sizes: Sequence[int], values: Sequence[float]) -> float:
    """d log value / d log size at the end of the curve."""
    first = max(i for i, size in enumerate(sizes) if size <= sizes[-1] / 2)
    return float(np.log(values[-1] / values[first]) / np.log(sizes[-1] / sizes[first]))


def draw(found: dict[str, tuple[list, list, list]], path: Path) -> None:
    """A panel for each size, time and memory on logarithmic axes, with the slopes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(found), figsize=(2.9 * len(found), 3.1), layout="constrained")
    for ax, (what, (sizes, seconds, megabytes)) in zip(axes, found.items(), strict=True):
        curves = (("ms", [1000 * s for s in seconds], "#0072B2", "-", "o"), ("MB", megabytes, "#D55E00", "--", "s"))
        for unit, values, colour, style, marker in curves:
            label = f"{unit}, slope {slope(sizes, values):.2f}"
            ax.plot(sizes, values, color=colour, linestyle=style, marker=marker, label=label)
        ax.set(xscale="log", yscale="log", title=what)
        ax.set_xticks(sizes, map(str, sizes), fontsize="small")
        ax.xaxis.set_minor_formatter("")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.grid(alpha=0.3)
        ax.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table, draw; the exit status."""
    top = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0], epilog=__doc__.partition("\n\n")[2])
    top.add_argument("--seconds", type=float, metavar="S", default=10.0, help="for each of the five, about (default: 10)")
    top.add_argument("--figure", type=Path, metavar="FILE", help="draw time and memory there")
    options = top.parse_args(argv)
    matrix_threads()
    found, rows = {}, []
    for what, sizes in GROWTH.items():
        calls = {size: call(what, size) for size in sizes}
        megabytes = [peak(run) for run in calls.values()]
        timers = {size: partial(time_call, run) for size, run in calls.items()}
        seconds = list(medians(timers, rounds=15, seconds=options.seconds).values())
        found[what] = sizes, seconds, megabytes
        for unit, values, factor in (("ms", seconds, 1000), ("MB", megabytes, 1)):
            cells = ", ".join(f"{factor * value:.3g}" for value in values)
            rows.append([what, ", ".join(map(str, sizes)), unit, cells, f"{slope(sizes, values):.2f}"])
    print(report.markdown(["what grows", "from .. to", "unit", "measured", "slope at the end"], rows))
    if options.figure:
        draw(found, options.figure)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
