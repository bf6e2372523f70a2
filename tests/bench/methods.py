"""Every method on one family: error against iterations and against seconds: `python tests/bench/methods.py`, or --help.

Each is trained on the same stream of tasks and judged, at a few moments of its training, on the same new tasks. Seconds are of
processor time and of training alone. Of several seeds stands the median: of the error, of the diverged tasks, of the seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bench_figures
import numpy as np
import report

sys.path.append(str(Path(__file__).parents[1]))
import closed_forms

from tinymaml import methods, plot
from tinymaml.experiment.options import options_of, settings_for_each
from tinymaml.experiment.process import matrix_threads
from tinymaml.experiment.run import evaluate_method, gradient, initialisation, new_tasks, sampler
from tinymaml.methods import STYLES
from tinymaml.settings import Settings, rng_for
from tinymaml.training.evaluation import Curve
from tinymaml.training.loop import Diverged, initial_state, train
from tinymaml.training.optimizers import Adam

MOMENTS = 12  # of a training at which it is judged
SHOWN = (1, 5, 10)  # steps on new tasks
USUAL = "maml,first-order,reptile,anil,boil,meta-sgd,lslr,multi-step,imaml,pretraining"


def course(settings: Settings, tests: int, seconds: float) -> dict[str, Any]:
    """One training: iterations, seconds and statistics of the new tasks at each moment, and why it stopped if it diverged."""
    optimizer, moves, sample = Adam(settings.outer_lr, settings.half_life), gradient(settings), sampler(settings)
    state = initial_state(initialisation(settings), optimizer, rng_for(settings.seed, "training tasks"))
    batch, spent, moments, why = new_tasks(settings, tests, 50), 0.0, [], ""
    for moment in range(1, MOMENTS + 1):
        began = time.process_time()
        try:
            until = settings.iterations * moment // MOMENTS
            state = train(moves, sample, state, optimizer=optimizer, iterations=until)
        except Diverged as error:
            why = str(error)
            break
        spent += time.process_time() - began
        curve = evaluate_method(settings, state.theta, batch, max(SHOWN))
        moments.append({"iterations": state.iteration, "seconds": spent} | statistics(curve))
        if spent > seconds:
            break
    return {"moments": moments, "diverged": why}


def statistics(curve: Curve) -> dict[str, list[float]]:
    """Of the new tasks after each number of steps: the mean without those that diverged, the median task, how many diverged."""
    return {name: [float(getattr(curve, name)[k]) for k in SHOWN] for name in ("mean", "median", "diverged_count")}


def medians(courses: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The median over seeds at every moment that all of them have reached."""
    reached = min(len(each["moments"]) for each in courses)
    together = [[each["moments"][moment] for each in courses] for moment in range(reached)]
    return [{name: np.median([each[name] for each in those], axis=0).tolist() for name in those[0]} for those in together]


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The end of every training."""
    head = ["", "iterations", "seconds"]
    head += [f"{k} step{'s' * (k > 1)}" for k in SHOWN] + [f"median task, {SHOWN[0]} / {SHOWN[1]} / {SHOWN[2]}"]
    head += [f"diverged, {SHOWN[1]} / {SHOWN[2]}", "training diverged"]
    rows = []
    for name, courses in found.items():
        stopped = sum(bool(each["diverged"]) for each in courses)
        if not (moments := medians(courses)):
            rows.append([STYLES[name].label, *["-"] * (len(head) - 2), f"{stopped} of {len(courses)}"])
            continue
        end = moments[-1]
        rows.append([
            STYLES[name].label, f"{end['iterations']:.0f}", f"{end['seconds']:.0f}", *(f"{mean:.3f}" for mean in end["mean"]),
            " / ".join(f"{median:.3f}" for median in end["median"]),
            " / ".join(f"{count:.0f}" for count in end["diverged_count"][1:]),
            f"{stopped} of {len(courses)}",
        ])  # fmt: skip
    return report.markdown(head, rows)


def figure(found: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Error after one and after five steps, against iterations and against seconds."""
    drawn = bench_figures.panels(2, 2)
    for row, k in zip(drawn, (0, 1), strict=True):
        for ax, x, last in ((row[0], "iterations", False), (row[1], "seconds", True)):
            lines = {name: ([m[x] for m in moments], [m["mean"][k] for m in moments])
                     for name, courses in found.items() if (moments := medians(courses))}  # fmt: skip
            words = {"xlabel": f"{x} of training", "ylabel": f"error after {SHOWN[k]} step{'s' * (SHOWN[k] > 1)}"}
            bench_figures.lines(lines, STYLES, **words, ax=ax, log=True, legend=last and k == 0)
        row[1].set_xscale("log")
        row[1].xaxis.set_major_formatter("{x:g}")
    plot.save(drawn[0][0].figure, path)


def fixed_points(path: Path) -> None:
    """Where each method comes to rest between the two parabolas, by its formula."""
    alphas = np.linspace(0.002, 0.22, 200)
    lines = {}
    for name in closed_forms.WEIGHTS:
        given = {"steps": 5 if name == "reptile" else 1}
        ends = [closed_forms.fixed_point(name, alpha, **given) for alpha in alphas]
        stable = [closed_forms.weights(name, alpha, **given).sum() > 0 for alpha in alphas]
        lines[name] = (alphas, np.where(stable, ends, np.nan))
    ax = bench_figures.lines(lines, STYLES, xlabel="rate of the inner loop, alpha", ylabel="where theta comes to rest")
    for c in closed_forms.CENTRES:  # of the flat task below, of the steep one above
        ax.axhline(c, color="black", linewidth=0.8)
    ax.set_ylim(-1.6, 1.1)
    plot.save(ax.figure, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Train all, print the table and draw; the exit status."""
    top = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0], epilog=__doc__.partition("\n\n")[2])
    top.add_argument("--family", default="sinusoids", help="default: %(default)s")
    top.add_argument("--methods", default=USUAL, metavar="A,B,...", help="default: %(default)s")
    top.add_argument("--shots", type=int, default=10, help="default: %(default)s")
    top.add_argument("--steps", type=int, help="of the inner loop in training, where there is one (default: the method's)")
    top.add_argument("--iterations", type=int, default=10_000, help="default: %(default)s")
    top.add_argument("--seconds", type=float, default=np.inf, help="of one training, after which it is stopped (default: none)")
    top.add_argument("--seeds", type=int, default=3, help="how many (default: %(default)s)")
    top.add_argument("--tests", type=int, default=300, help="new tasks (default: %(default)s)")
    top.add_argument("--out", type=Path, default=Path("runs/methods"), metavar="FOLDER", help="default: %(default)s")
    o = top.parse_args(argv)
    matrix_threads()
    o.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list] = {}
    for name in o.methods.split(","):
        for seed in range(o.seeds):
            asked = {"shots": o.shots, "iterations": o.iterations, "seed": seed}
            asked |= {"steps": o.steps} if o.steps and "steps" in options_of(methods.named(name)) else {}
            settings = settings_for_each(o.family, [methods.named(name).name], **asked)[name]
            found.setdefault(name, []).append(course(settings, o.tests, o.seconds))
            (o.out / "results.json").write_text(json.dumps(found))
    print(table(found))
    figure(found, o.out / "methods.png")
    fixed_points(o.out / "fixed_points.png")
    print(f"\nfigures and every number are in {o.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
