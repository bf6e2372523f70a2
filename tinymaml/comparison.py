"""The main job: several methods on the same training and the same new tasks; a table, figures, a JSON of every number."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinymaml import __version__, methods, plot, tasks
from tinymaml.evaluation import Curve, constant, told
from tinymaml.files import write_whole
from tinymaml.folder import claimed
from tinymaml.look import Look
from tinymaml.methods.method import Start
from tinymaml.run import initialisation, judge, new_tasks, reopen, run, start, stored
from tinymaml.settings import Settings, differences
from tinymaml.tasks import Family, TaskBatch
from tinymaml.training import TrainingState

STEPS = 10  # gradient steps on a new task


@dataclass(frozen=True)
class Comparison:
    """What `run_comparison` found, by method.

    runs                  the settings; `settings` are those of the first, which share all but their options
    batch                 the new tasks
    starts                what those methods that adapt do so with
    curves, looks         the measure on the new tasks, of the references too, and how each is drawn
    histories, seconds    of the methods that are trained
    """

    runs: Mapping[str, Settings]
    batch: TaskBatch
    starts: dict[str, Start]
    curves: dict[str, Curve]
    looks: dict[str, Look]
    histories: dict[str, np.ndarray]
    seconds: dict[str, float]

    @property
    def settings(self) -> Settings:
        return next(iter(self.runs.values()))

    @property
    def family(self) -> Family:
        return tasks.named(self.settings.family)

    @property
    def paper(self) -> dict[str, Mapping[int, float] | None]:
        """What the paper reports, by method."""
        return {name: self.family.paper.get((self.settings.shots, name)) for name in self.curves}


def run_comparison(runs: Mapping[str, Settings], folder: Path, *, resume: bool = False, progress: bool = True) -> Comparison:
    """Train every method on the same stream of tasks, judge all on the same new tasks, and write all into `folder`.

    runs: settings by method, such as `settings_for_each` makes them. Writes METHOD.npz (checkpoints), results.json and
    the figures: steps.png, training.png, and the family's own pictures. Nobody else runs in `folder` meanwhile.
    """
    if not runs:
        raise ValueError("there is no method to compare, expected one at least: use settings_for_each(family)")
    first = next(iter(runs.values()))
    for name, settings in runs.items():
        if replace(settings, method=first.method, options=first.options) != first:
            raise ValueError(f"{name} and {first.method} differ in more than their options: compare them under the same settings")
    family = tasks.named(first.family)
    batch = new_tasks(first, family.test_tasks, family.test_queries)
    with claimed(folder):
        states, seconds = {}, {}
        for name, settings in runs.items():
            if methods.named(name).gradient:
                began = time.perf_counter()
                run(settings, folder / f"{name}.npz", resume=resume, progress=progress)
                seconds[name] = time.perf_counter() - began
        for name in seconds:
            states[name] = _finished(folder / f"{name}.npz", runs[name])
        found = _judged(runs, batch, states, seconds)
        write(found, folder)
    return found


def _finished(path: Path, settings: Settings) -> TrainingState:
    """The state in `path`, which must be of these settings still: no table is made of two different runs."""
    state, kept = reopen(path, settings.options.get("data"))
    if changed := differences(kept, settings):
        raise ValueError(f"{path} is of another run by now, with another {' and '.join(changed)}: compare in a folder of its own")
    return state


def _judged(
    runs: Mapping[str, Settings], batch: TaskBatch, states: Mapping[str, TrainingState], seconds: dict[str, float]
) -> Comparison:
    """Every method, trained or not, and every reference on the new tasks."""
    family = tasks.named(next(iter(runs.values())).family)
    starts, curves, looks = {}, {}, {}
    for name, settings in runs.items():
        begun = start(settings, states[name].theta if name in states else initialisation(settings), batch)
        curves[name], looks[name] = judge(settings, begun, STEPS), methods.named(name).look
        if methods.named(name).adapts:
            starts[name] = begun
    for reference in family.references:
        looks[reference.name] = reference.look
        curves[reference.name] = constant(reference.value(batch), STEPS, diverges=family.measure.diverges)
    histories = {name: state.losses for name, state in states.items()}
    return Comparison(runs, batch, starts, curves, looks, histories, seconds)


def table(found: Comparison) -> str:
    """The mean and interval of every row after the steps that the family shows, with the paper's numbers under ours.

    Where tasks can diverge there stand beside them how many have, and the median, which they cannot spoil.
    """
    s, measure, shown = found.settings, found.family.measure, found.family.shown
    unit, digits = (100 if measure.percent else 1), measure.digits
    row = lambda label, cells, end="": f"{label:<26}" + "".join(f"{cell:>16}" for cell in cells) + f"{end:>10}"
    lines = [
        f"{found.family.title(s)}: {measure.name}{' in %' * measure.percent} on {len(found.batch)} new tasks "
        f"after gradient steps at inner_lr {s.inner_lr:g}",
        f"(mean +- 95 % interval; trained for {s.iterations:,} iterations, seed {s.seed})",
        "",
        row("", ["before" if k == 0 else f"{k} step" + "s" * (k > 1) for k in shown], "diverged" * measure.diverges),
    ]
    for name, curve in found.curves.items():
        mean, interval, median = (unit * statistic for statistic in (curve.mean, curve.interval, curve.median))
        cells = [f"{told(mean[k], digits)} +- {told(interval[k], digits)}" for k in shown]
        lines.append(row(found.looks[name].label, cells, curve.count.max() if measure.diverges else ""))
        if measure.diverges:
            lines.append(row("  median", [f"{told(median[k], digits)}        " for k in shown]))
        if paper := found.paper[name]:
            lines.append(row("  paper", [f"{paper[k]}        " if k in paper else "" for k in shown]))
    if found.seconds:
        took = ", ".join(f"{found.looks[name].label} {seconds:.0f} s" for name, seconds in found.seconds.items())
        lines += ["", f"training took: {took}"]
    return "\n".join(line.rstrip() for line in lines)


def write(found: Comparison, folder: Path) -> None:
    """results.json with every number and setting, and the figures."""
    family = found.family
    settings = {name: value for name, value in asdict(found.settings).items() if name not in ("method", "options")}
    results = {
        "settings": settings | {"options": {name: stored(settings).options for name, settings in found.runs.items()}},
        "test": {"tasks": len(found.batch), "queries": found.batch.y_query.shape[1], "steps": STEPS},
        "measure": family.measure.name,
        "versions": {"tinymaml": __version__, "numpy": np.__version__, "python": platform.python_version()},
        "paper": found.paper,
        "training_seconds": found.seconds,
        "methods": {name: _plain(curve) for name, curve in found.curves.items()},
    }
    write_whole(folder / "results.json", lambda file: file.write(json.dumps(results, indent=1, allow_nan=False).encode()))
    ylabel = f"{family.measure.name} on new tasks"
    plot.save(plot.curves(found.curves, found.looks, ylabel=ylabel, log=family.measure.log), folder / "steps.png")
    if found.histories:
        plot.save(plot.training(found.histories, found.looks), folder / "training.png")
    for name, picture in family.pictures.items():
        with np.errstate(all="ignore"):  # a fit that runs away may leave the picture
            drawn = picture(found)
        if drawn:
            plot.save(drawn, folder / name)


def _plain(curve: Curve) -> dict[str, list[Any]]:
    """The statistics of a curve as lists for JSON, which knows no NaN and no infinity."""
    known = lambda values: [value if np.isfinite(value) else None for value in values.tolist()]
    statistics = {"mean": curve.mean, "interval95": curve.interval, "median": curve.median, "diverged": curve.count}
    return {name: known(values) for name, values in statistics.items()}
