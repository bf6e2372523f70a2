"""The main job: MAML against pre-training and other baselines on the paper's sinusoids; a table, figures, a JSON."""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from tinymaml import __version__, checkpoint, plot
from tinymaml.baselines import task_blind, told
from tinymaml.evaluation import Curve, evaluate, flat
from tinymaml.experiment import Settings, initialisation, model, run, sampler, stream
from tinymaml.parameters import Parameters
from tinymaml.tasks import Sinusoids, TaskBatch

TRAINED = ("maml", "first-order", "pretraining", "oracle")
TEST_TASKS, TEST_QUERIES, TEST_STEPS = 1000, 100, 10
SHOWN = (0, 1, 5, 10)  # steps in the table

# the paper's table 2: 5-shot sinusoids, mean squared error after 1, 5 and 10 steps
PAPER = {"maml": {1: 0.67, 5: 0.38, 10: 0.35}, "pretraining": {1: 2.41, 5: 2.23, 10: 2.19}}


@dataclass(frozen=True)
class Comparison:
    """What `compare` found: a curve, a history and the training seconds of each method."""

    settings: Settings
    curves: dict[str, Curve]
    histories: dict[str, np.ndarray]
    seconds: dict[str, float]
    thetas: dict[str, Parameters]


def compare(settings: Settings, folder: Path, *, resume: bool = False, progress: bool = True) -> Comparison:
    """Train every method on the same stream of tasks, judge all on the same new tasks, and write all into `folder`.

    Writes METHOD.npz (checkpoints), results.json, fits.png, steps.png and training.png.
    """
    histories, seconds, thetas, curves = {}, {}, {}, {}
    batch = new_tasks(settings)
    for method in TRAINED:
        one = replace(settings, method=method)
        began = time.perf_counter()
        state = run(one, folder / f"{method}.npz", resume=resume, progress=progress)
        seconds[method] = time.perf_counter() - began
        histories[method], thetas[method] = state.losses, state.theta
    thetas["scratch"] = initialisation(settings)
    for method in ("maml", "first-order", "pretraining", "scratch"):
        curves[method] = evaluate(model(settings), thetas[method], batch, inner_lr=settings.inner_lr, steps=TEST_STEPS)
    # the oracle and the closed form know all they will ever know before the first step
    oracle_sees, oracle = told(batch), model(replace(settings, method="oracle"))
    curves["oracle"] = flat(oracle.at(thetas["oracle"], oracle_sees.x_query, oracle_sees.y_query).loss, TEST_STEPS)
    errors = task_blind(Sinusoids(), batch.x_query) - batch.y_query
    curves["task-blind"] = flat((errors**2).mean((1, 2)), TEST_STEPS)
    found = Comparison(settings, curves, histories, seconds, thetas)
    write(found, folder)
    return found


def new_tasks(settings: Settings, tasks: int = TEST_TASKS) -> TaskBatch:
    """New tasks, the same for every method: as many shots as in training, and 100 query points."""
    sample = sampler(replace(settings, method="maml"))
    return sample(stream(settings.seed, "testing tasks"), tasks=tasks, queries=TEST_QUERIES)


def table(found: Comparison) -> str:
    """The mean squared error of every method after 0, 1, 5 and 10 steps, with the paper's numbers under ours."""
    s = found.settings
    lines = [
        f"{s.shots}-shot sinusoids: mean squared error on {TEST_TASKS} new tasks after gradient steps at inner_lr {s.inner_lr:g}",
        f"(mean +- 95 % interval; trained for {s.iterations:,} iterations, seed {s.seed})",
        "",
        f"{'':<26}" + "".join(f"{'before' if k == 0 else f'{k} step' + 's' * (k > 1):>16}" for k in SHOWN) + f"{'diverged':>10}",
    ]
    for method, curve in found.curves.items():
        cells = "".join(f"{f'{curve.mean[k]:.2f} +- {curve.interval[k]:.2f}':>16}" for k in SHOWN)
        lines.append(f"{plot.LOOKS[method][0]:<26}{cells}{curve.count.max():>10}")
        lines.append(f"{'  median':<26}" + "".join(f"{f'{curve.median[k]:.2f}        ':>16}" for k in SHOWN))
        if s.shots == 5 and method in PAPER:
            paper = "".join(f"{f'{PAPER[method][k]:.2f}        ' if k in PAPER[method] else '':>16}" for k in SHOWN)
            lines.append(f"{'  paper, 70 000 iterations':<26}{paper}")
    trained = ", ".join(f"{plot.LOOKS[method][0]} {seconds:.0f} s" for method, seconds in found.seconds.items())
    return "\n".join([*lines, "", f"training took: {trained}"])


def write(found: Comparison, folder: Path) -> None:
    """results.json with every number and setting, and the three figures."""
    s = found.settings
    results = {
        "settings": asdict(s),
        "test": {"tasks": TEST_TASKS, "queries": TEST_QUERIES, "shots": s.shots, "inner_lr": s.inner_lr},
        "versions": {"tinymaml": __version__, "numpy": np.__version__, "python": platform.python_version()},
        "paper": PAPER,
        "training_seconds": found.seconds,
        "methods": {
            method: {
                "mean": curve.mean.tolist(), "interval95": curve.interval.tolist(),
                "median": [m if np.isfinite(m) else None for m in curve.median.tolist()], "diverged": curve.count.tolist(),
            }
            for method, curve in found.curves.items()
        },
    }
    text = json.dumps(results, indent=1).replace("NaN", "null")
    checkpoint.write_whole(folder / "results.json", lambda file: file.write(text.encode()))
    plot.save(fits_figure(found), folder / "fits.png")
    plot.save(plot.curves(found.curves), folder / "steps.png")
    plot.save(plot.training(found.histories), folder / "training.png")


def fits_figure(found: Comparison, tasks: int = 3):
    """Single unseen sinusoids after 0, 1 and 10 steps, for MAML and for pre-training."""
    from tinymaml.maml import adapt

    s = found.settings
    batch, net = new_tasks(s)[:tasks], model(s)
    x = np.linspace(-5, 5, 200, dtype=s.dtype)
    panels = {}
    for method in ("maml", "pretraining"):
        adapted = {
            k: adapt(net, found.thetas[method], batch.x_support, batch.y_support, inner_lr=s.inner_lr, steps=k) for k in (1, 10)
        }
        panels[method] = []
        for t in range(tasks):
            fits = {0: net.predict(found.thetas[method], x[:, None])[:, 0]}
            fits |= {k: net.predict(theta.task(t), x[:, None])[:, 0] for k, theta in adapted.items()}
            support = (batch.x_support[t, :, 0], batch.y_support[t, :, 0])
            panels[method].append((x, batch.hidden[t](x), fits, support))
    return plot.fits_of_tasks(panels)
