"""What of a trained network moves on new tasks, and what has to: `python tests/bench/what_moves.py CHECKPOINT`.

CHECKPOINT is what `python -m tinymaml train` wrote. Rates by name let some parameters adapt and hold the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import report

from tinymaml import adapt, tasks
from tinymaml.experiment.process import matrix_threads
from tinymaml.experiment.run import adaptation_setup, load_run, new_tasks
from tinymaml.methods.anil import head
from tinymaml.methods.boil import body
from tinymaml.training.evaluation import evaluate

SHOWN = (0, 1, 5, 10)


def main(argv: Sequence[str] | None = None) -> int:
    """Print both tables; the exit status."""
    top = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0], epilog=__doc__.partition("\n\n")[2])
    top.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    top.add_argument("--tests", type=int, default=1000, help="new tasks (default: %(default)s)")
    top.add_argument("--data", metavar="FOLDER", help="where the files are that it was trained on, if on files")
    o = top.parse_args(argv)
    matrix_threads()
    try:
        state, settings = load_run(o.checkpoint, o.data)
    except (OSError, ValueError) as error:
        top.error(str(error))
    family = tasks.named(settings.family)
    begun = adaptation_setup(settings, state.theta, new_tasks(settings, o.tests, family.test_queries))
    model, theta, batch, alpha = begun.model, begun.theta, begun.batch, settings.inner_lr

    moving = {"all": [*theta], "the head": head(model), "the body": body(model), "all but the first layer": [*theta][2:]}
    rows = []
    for what, names in moving.items():
        curve = evaluate(model, theta, batch, inner_lr=dict.fromkeys(names, alpha), steps=max(SHOWN), metric=family.metric)
        rows.append([what, *(f"{curve.mean[k]:.3f}" for k in SHOWN), f"{curve.diverged_count.max()}"])
    print(report.markdown([f"what adapts, {family.metric.name} after steps", *map(str, SHOWN), "diverged"], rows), end="\n\n")

    one = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=alpha).dense() - theta
    length = lambda array: np.linalg.norm(array.reshape(-1, array.shape[-2] * array.shape[-1]), axis=1)
    part = {name: (length(one[name]) / length(theta[name])).mean() for name in theta}
    print(report.markdown(["parameter", "length of its first step over its own"], [[n, f"{p:.3f}"] for n, p in part.items()]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
