"""Comparison of several methods on the same tasks: a table, figures, and a JSON file of all numbers."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinymaml import __version__, methods, tasks
from tinymaml.experiment.checkpoint import atomic_write
from tinymaml.experiment.folders import locked
from tinymaml.experiment.run import adaptation_setup, evaluate_method, fits, gradient, initialisation, new_tasks, run, stored
from tinymaml.experiment.terminal import fail
from tinymaml.methods.method import Start
from tinymaml.settings import PlotStyle, Settings
from tinymaml.tasks import Family, TaskBatch
from tinymaml.training.evaluation import Curve, constant, format_interval, format_number
from tinymaml.training.loop import TrainingState

STEPS = 10  # gradient steps on a new task
DRAWN = 6  # the maximum number of new tasks in a figure


@dataclass(frozen=True)
class Comparison:
    """The results of `run_comparison`, by method.

    runs                  the settings, which differ only in options
    batch                 the new tasks
    starts                the `Start` of each method that adapts, on the first few new tasks
    curves, styles        the metric on the new tasks and the plot style, also of the baselines
    histories, seconds    the training losses and the training time
    failed                {method: reason} of the methods that failed and have no results
    unwritten             one sentence per file that could not be written, with the reason
    """

    runs: Mapping[str, Settings]
    batch: TaskBatch
    starts: dict[str, Start]
    curves: dict[str, Curve]
    styles: dict[str, PlotStyle]
    histories: dict[str, np.ndarray]
    seconds: dict[str, float]
    failed: dict[str, str]
    unwritten: Sequence[str] = ()

    @property
    def settings(self) -> Settings:
        """The settings of the first method."""
        return next(iter(self.runs.values()))

    @property
    def family(self) -> Family:
        return tasks.named(self.settings.family)

    @property
    def paper(self) -> dict[str, Mapping[int, float] | None]:
        """The paper's results by method, None where there is none."""
        return {name: self.family.reported(self.runs[name]) if name in self.runs else None for name in self.curves}


def run_comparison(
    runs: Mapping[str, Settings], folder: Path, *, resume: bool = False, progress: bool = True,
    show: Callable[[Comparison], None] = lambda found: None,
) -> Comparison:  # fmt: skip
    """Train all methods on the same sequence of tasks, evaluate them on the same new tasks, write files into `folder`.

    runs: settings by method, from `settings_for_each`. Writes METHOD.npz (checkpoints), results.json and the figures:
    steps.png, training.png, and the family's own. A method that diverges is left out, with the reason in `failed`.
    `show` is called before results and figures are written. A file that cannot be written is reported on standard
    error; the others are still written.
    """
    if not runs:
        raise ValueError("there is no method to compare, expected at least one: use settings_for_each(family)")
    first = next(iter(runs.values()))
    for name, settings in runs.items():
        if name != settings.method:
            raise ValueError(f"{name} has the settings of {settings.method}: settings_for_each names each by its method")
        if replace(settings, method=first.method, options=first.options) != first:
            raise ValueError(f"{name} and {first.method} differ in more than their options: compare them under the same settings")
    trained = {name: settings for name, settings in runs.items() if methods.named(name).gradient}
    for settings in trained.values():
        fits(settings)  # ValueError now, before hours of training
        gradient(settings)
    family, states, failed = tasks.named(first.family), {}, {}
    batch = new_tasks(first, family.test_tasks, family.test_queries)
    with locked(folder):
        for name, settings in trained.items():
            with _alone(name, failed):
                states[name] = run(settings, folder / f"{name}.npz", resume=resume, progress=progress)
        found = _evaluated(family, runs, batch, states, failed)
        show(found)
        found = replace(found, unwritten=write(found, folder))
        for sentence in found.unwritten:
            fail(sentence, 1)
    return found


@contextmanager
def _alone(name: str, failed: dict[str, str]) -> Iterator[None]:
    """Record the error of a method in `failed` and continue with the others."""
    try:
        yield
    except (ArithmeticError, MemoryError) as error:
        failed[name] = str(error).removeprefix("training ") or "there is not enough memory for it"


def _evaluated(
    family: Family, runs: Mapping[str, Settings], batch: TaskBatch, states: dict[str, TrainingState], failed: dict[str, str]
) -> Comparison:
    """All methods that have not failed, trained or not, and all baselines, evaluated on the new tasks."""
    starts, curves, styles = {}, {}, {name: methods.named(name).style for name in runs}
    for name in [name for name in runs if name not in failed]:
        with _alone(name, failed):
            theta = states[name].theta if name in states else initialisation(runs[name])
            curves[name] = evaluate_method(runs[name], theta, batch, STEPS)
            if methods.named(name).adapts:
                starts[name] = adaptation_setup(runs[name], theta, batch[:DRAWN])
    for baseline in family.baselines:
        styles[baseline.name] = baseline.style
        curves[baseline.name] = constant(baseline.value(batch), STEPS, diverges=family.metric.diverges)
    histories = {name: state.losses for name, state in states.items()}
    seconds = {name: state.seconds for name, state in states.items()}
    return Comparison(runs, batch, starts, curves, styles, histories, seconds, failed)


def table(found: Comparison) -> str:
    """The mean and interval of every method after the family's `report_steps`, and the paper's results.

    For a metric that can diverge also the number of diverged tasks, and the median, which is robust against them.
    """
    s, metric, shown = found.settings, found.family.metric, found.family.report_steps
    unit, digits = (100 if metric.percent else 1), metric.digits
    row = lambda label, cells, end="": f"{label:<26}" + "".join(f"{cell:>16}" for cell in cells) + f"{end:>10}"
    lines = [
        f"{found.family.title(s)}: {metric.name}{' in %' * metric.percent} on {len(found.batch)} new tasks "
        f"after gradient steps at inner_lr {s.inner_lr:g}",
        f"(mean +- 95 % interval; trained for {s.iterations:,} iterations, seed {s.seed})",
        "",
        row("", ["before" if k == 0 else f"{k} step" + "s" * (k > 1) for k in shown], "diverged" * metric.diverges),
    ]
    for name, style in found.styles.items():
        if name in found.failed:
            lines.append(f"{style.label:<26} {found.failed[name]}")
            continue
        curve = found.curves[name]
        cells = [format_interval(unit * curve.mean[k], unit * curve.interval[k], digits) for k in shown]
        lines.append(row(style.label, cells, curve.diverged_count.max() if metric.diverges else ""))
        if metric.diverges:
            lines.append(row("  median", [f"{format_number(unit * curve.median[k], digits)}        " for k in shown]))
        if paper := found.paper[name]:
            lines.append(row("  paper", [f"{paper[k]}        " if k in paper else "" for k in shown]))
    lines += training_times(found.styles, found.seconds)
    return "\n".join(line.rstrip() for line in lines)


def training_times(styles: Mapping[str, PlotStyle], seconds: Mapping[str, float]) -> list[str]:
    """The end of a table: how long each method trained; nothing if none did."""
    took = [f"{styles[name].label} {number:.0f} s" for name, number in seconds.items()]
    return ["", f"training took: {'; '.join(took)}"] if took else []


def write(found: Comparison, folder: Path) -> list[str]:
    """Write results.json with all numbers and settings, then the figures; returns one sentence per file that fails."""
    text = json.dumps(numbers(found), indent=1, allow_nan=False).encode()
    files = {"results.json": lambda path: atomic_write(path, lambda file: file.write(text))}
    figures = {"steps.png": _steps, "training.png": _training, **found.family.figures}
    files |= {name: partial(_draw, figure, found) for name, figure in figures.items()}
    unwritten = []
    for name, put in files.items():
        try:
            put(folder / name)
        except Exception as error:  # matplotlib, its backend and the disk can raise anything
            unwritten.append(f"{folder / name} could not be written ({type(error).__name__}: {error})")
    return unwritten


def _draw(figure: Callable[[Comparison], Any], found: Comparison, path: Path) -> None:
    from tinymaml import plot  # here, so that an error on importing matplotlib does not lose results

    with np.errstate(all="ignore"):  # diverged fits overflow
        if drawn := figure(found):
            plot.save(drawn, path)


def _steps(found: Comparison) -> Any:
    from tinymaml import plot

    ylabel, log = f"{found.family.metric.name} on new tasks", found.family.metric.log
    return plot.curves(found.curves, found.styles, ylabel=ylabel, log=log)


def _training(found: Comparison) -> Any:
    from tinymaml import plot

    return plot.training(found.histories, found.styles) if found.histories else None


def numbers(found: Comparison) -> dict[str, Any]:
    """All numbers and settings, for JSON, which has neither NaN nor infinity: they become None."""
    finite = lambda values: [value if np.isfinite(value) else None for value in values.tolist()]
    settings = {name: value for name, value in asdict(found.settings).items() if name not in ("method", "options")}
    return {
        "settings": settings | {"options": {name: stored(settings).options for name, settings in found.runs.items()}},
        "test": {"tasks": len(found.batch), "queries": found.batch.y_query.shape[1], "steps": STEPS},
        "metric": found.family.metric.name,
        "versions": {"tinymaml": __version__, "numpy": np.__version__, "python": platform.python_version()},
        "paper": found.paper, "training_seconds": found.seconds, "failed": found.failed,
        "methods": {
            name: {
                "mean": finite(curve.mean), "interval95": finite(curve.interval), "median": finite(curve.median),
                "diverged": curve.diverged_count.tolist(),
            }
            for name, curve in found.curves.items()
        },
    }
