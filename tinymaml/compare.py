"""The main job: every method on the same training and the same new tasks; a table, figures, a JSON of every number."""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from tinymaml import __version__, plot
from tinymaml.baselines import nearest_neighbour, task_blind, told
from tinymaml.evaluation import Curve, accuracy, evaluate, flat, loss
from tinymaml.experiment import run
from tinymaml.files import write_whole
from tinymaml.maml import adapt
from tinymaml.parameters import Parameters
from tinymaml.problems import initialisation, model, new_tasks, start_of_adaptation
from tinymaml.settings import METHODS_OF, Settings
from tinymaml.tasks import Planes, Sinusoids, TaskBatch

STEPS = 10  # gradient steps on a new task
SHOWN = (0, 1, 5, 10)  # those in the table

# Finn, Abbeel and Levine 2017: mean squared error after 1, 5, 10 steps (table 2), accuracy in % (table 1, no convolutions)
PAPER = {
    ("sinusoids", 5, "maml"): {1: 0.67, 5: 0.38, 10: 0.35},
    ("sinusoids", 5, "pretraining"): {1: 2.41, 5: 2.23, 10: 2.19},
    ("omniglot", 1, "maml"): {1: 89.7},
    ("omniglot", 5, "maml"): {1: 97.5},
}


@dataclass(frozen=True)
class Comparison:
    """What `compare` found: of each method the curve on new tasks, the history, the training seconds, the parameters."""

    settings: Settings
    batch: TaskBatch
    curves: dict[str, Curve]
    histories: dict[str, np.ndarray]
    seconds: dict[str, float]
    thetas: dict[str, Parameters]


def compare(settings: Settings, folder: Path, *, resume: bool = False, progress: bool = True) -> Comparison:
    """Train every method on the same stream of tasks, judge all on the same new tasks, and write all into `folder`.

    Writes METHOD.npz (checkpoints), results.json and the figures: steps.png, training.png, and fits.png for sinusoids
    or episode.png for classes.
    """
    histories, seconds, thetas = {}, {}, {}
    for method in METHODS_OF[settings.problem]:
        began = time.perf_counter()
        state = run(replace(settings, method=method), folder / f"{method}.npz", resume=resume, progress=progress)
        seconds[method] = time.perf_counter() - began
        histories[method], thetas[method] = state.losses, state.theta
    batch = new_tasks(settings, *((600, 15) if settings.classifies else (1000, 100)))
    found = Comparison(settings, batch, {}, histories, seconds, thetas)
    measure = accuracy if settings.classifies else loss
    for method in ("maml", "first-order", "pretraining", "transfer", "scratch"):
        if method in thetas or method == "scratch":
            start = starting_point(found, method)
            found.curves[method] = evaluate(*start, inner_lr=settings.inner_lr, steps=STEPS, measure=measure)
    found.curves.update(references(found))
    write(found, folder)
    return found


def starting_point(found: Comparison, method: str):
    """The network, the parameters and the tasks that a method adapts; from scratch, what MAML's training started from."""
    if method == "scratch":
        return model(found.settings), initialisation(found.settings), found.batch
    return start_of_adaptation(replace(found.settings, method=method), found.thetas[method], found.batch)


def references(found: Comparison) -> dict[str, Curve]:
    """What does not adapt: before the first step these know all they will ever know."""
    s, batch = found.settings, found.batch
    if s.classifies:
        right = nearest_neighbour(batch).argmax(-1) == batch.y_query.argmax(-1)
        return {"nearest": flat_accuracy(right.mean(-1)), "chance": flat_accuracy(np.full(len(batch), 1 / s.ways))}
    oracle, seen = model(replace(s, method="oracle")), told(batch)
    errors = task_blind(Sinusoids(), batch.x_query) - batch.y_query
    return {
        "oracle": flat(oracle.at(found.thetas["oracle"], seen.x_query, seen.y_query).loss, STEPS),
        "task-blind": flat((errors**2).mean((1, 2)), STEPS),
    }


def flat_accuracy(values: np.ndarray) -> Curve:
    """The curve of accuracies (T,) that no step changes."""
    return Curve(np.repeat(values[None], STEPS + 1, axis=0), np.zeros((STEPS + 1, len(values)), bool))


def table(found: Comparison) -> str:
    """Every method's mean, interval and median after 0, 1, 5 and 10 steps, with the paper's numbers under ours."""
    s, unit = found.settings, 100 if found.settings.classifies else 1
    digits = 1 if s.classifies else 2
    what = f"{s.shots}-shot sinusoids: mean squared error"
    if s.classifies:
        what = f"{s.ways}-way {s.shots}-shot {s.problem}: accuracy in %"
    row = lambda label, cells, end="": f"{label:<26}" + "".join(f"{cell:>16}" for cell in cells) + f"{end:>10}"
    lines = [
        f"{what} on {len(found.batch)} new tasks after gradient steps at inner_lr {s.inner_lr:g}",
        f"(mean +- 95 % interval; trained for {s.iterations:,} iterations, seed {s.seed})",
        "",
        row("", ["before" if k == 0 else f"{k} step" + "s" * (k > 1) for k in SHOWN], "" if s.classifies else "diverged"),
    ]
    for method, curve in found.curves.items():
        mean, interval, median = (unit * statistic for statistic in (curve.mean, curve.interval, curve.median))
        cells = [f"{mean[k]:.{digits}f} +- {interval[k]:.{digits}f}" for k in SHOWN]
        lines.append(row(plot.LOOKS[method][0], cells, "" if s.classifies else curve.count.max()))
        if not s.classifies:
            lines.append(row("  median", [f"{median[k]:.{digits}f}        " for k in SHOWN]))
        if paper := PAPER.get((s.problem, s.shots, method)):
            lines.append(row("  paper", [f"{paper[k]}        " if k in paper else "" for k in SHOWN]))
    trained = ", ".join(f"{plot.LOOKS[method][0]} {seconds:.0f} s" for method, seconds in found.seconds.items())
    return "\n".join(line.rstrip() for line in [*lines, "", f"training took: {trained}"])


def write(found: Comparison, folder: Path) -> None:
    """results.json with every number and setting, and the figures."""
    s = found.settings
    results = {
        "settings": asdict(s),
        "test": {"tasks": len(found.batch), "queries": found.batch.y_query.shape[1], "steps": STEPS},
        "measure": "accuracy" if s.classifies else "mean squared error",
        "versions": {"tinymaml": __version__, "numpy": np.__version__, "python": platform.python_version()},
        "paper": {method: PAPER.get((s.problem, s.shots, method)) for method in found.curves},
        "training_seconds": found.seconds,
        "methods": {
            method: {
                "mean": _plain(curve.mean), "interval95": _plain(curve.interval), "median": _plain(curve.median),
                "diverged": curve.count.tolist(),
            }
            for method, curve in found.curves.items()
        },
    }  # fmt: skip
    write_whole(folder / "results.json", lambda file: file.write(json.dumps(results, indent=1, allow_nan=False).encode()))
    ylabel = "accuracy on new classes" if s.classifies else "mean squared error"
    plot.save(plot.curves(found.curves, ylabel=ylabel, log=not s.classifies), folder / "steps.png")
    plot.save(plot.training(found.histories), folder / "training.png")
    if s.classifies:
        plot.save(episode_figure(found), folder / "episode.png")
    else:
        plot.save(fits_figure(found), folder / "fits.png")


def _plain(values: np.ndarray) -> list[float | None]:
    """A list for JSON, which knows no NaN and no infinity."""
    return [value if np.isfinite(value) else None for value in values.tolist()]


def fits_figure(found: Comparison, tasks: int = 3):
    """Single unseen sinusoids after 0, 1 and 10 steps, for MAML and for pre-training."""
    batch, s = found.batch[:tasks], found.settings
    x = np.linspace(-5, 5, 200, dtype=s.dtype)
    panels = {}
    for method in ("maml", "pretraining"):
        net, theta, _ = starting_point(found, method)
        fits = {0: np.repeat(net.predict(theta, x[:, None])[None], tasks, axis=0)}
        for k in (1, 10):
            adapted = adapt(net, theta, batch.x_support, batch.y_support, inner_lr=s.inner_lr, steps=k)
            fits[k] = net.predict(adapted, np.broadcast_to(x[:, None], (tasks, len(x), 1)))
        support = lambda t: (batch.x_support[t, :, 0], batch.y_support[t, :, 0])
        panels[method] = [
            (x, batch.hidden[t](x), {k: fit[t, :, 0] for k, fit in fits.items()}, support(t)) for t in range(tasks)
        ]
    return plot.fits_of_tasks(panels)


def episode_figure(found: Comparison):
    """One new episode before and after MAML's first step: decision regions of planes, predictions for images."""
    s, batch = found.settings, found.batch[:1]
    net, theta, _ = starting_point(found, "maml")
    adapted = adapt(net, theta, batch.x_support, batch.y_support, inner_lr=s.inner_lr).task(0)
    at = {"before": theta, "after 1 step": adapted}
    x_support, x_query = batch.x_support[0], batch.x_query[0]
    labels = batch.y_support[0].argmax(-1), batch.y_query[0].argmax(-1)
    if s.problem == "planes":
        planes = Planes()
        points = planes.plane(x_support), planes.plane(x_query)
        classify = {name: lambda p, at=at: net.predict(at, planes.inputs(p)).argmax(-1) for name, at in at.items()}
        return plot.regions(classify, points, labels)
    predicted = {name: net.predict(at, x_query).argmax(-1) for name, at in at.items()}
    return plot.episode((x_support, x_query), labels, predicted)
