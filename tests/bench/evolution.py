"""MAML where there is no gradient: `python tests/bench/evolution.py PART`, or --help.

    cosine       on sinusoids: the angle between eq. 26 and the exact meta-gradient, over the number of pairs (table)
    navigation   goals in [-0.5, 0.5]^2 for a linear policy, 100 moves of at most 0.1, the distance is paid: evolution outside,
                 and inside nothing, evolution or hill climbing (table and figure)
    corners      the same, but the goal is one of four corners (+-2, +-2), and wherever it is more than 2 away 4 is paid: at the
                 start there is no gradient at all
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import report

from tinymaml import MLP, Parameters, adapt, meta_gradient
from tinymaml.experiment.process import matrix_threads
from tinymaml.methods.es import BlackBoxModel, es_meta_gradient
from tinymaml.rl.sampled import SampledPolicy, with_noise
from tinymaml.settings import rng_for
from tinymaml.tasks import Sinusoids, TaskBatch
from tinymaml.training.loop import initial_state, train
from tinymaml.training.optimizers import Adam

CORNERS = np.array([[2.0, 2.0], [2.0, -2.0], [-2.0, 2.0], [-2.0, -2.0]])


def cosines(numbers: Sequence[int], repeats: int, seed: int = 0, width: int = 40) -> np.ndarray:
    """Between the estimate and the exact meta-gradient, at a random theta and batch: (numbers, repeats)."""
    found = np.empty((len(numbers), repeats))
    for r in range(repeats):
        rng, model = np.random.default_rng([seed, r]), MLP([1, width, width, 1])
        theta, batch = model.init(rng), Sinusoids().sample(rng)
        exact = meta_gradient(model, theta, batch, inner_lr=0.01).gradient.flat
        for i, pairs in enumerate(numbers):
            mine = es_meta_gradient(model, theta, batch, rng, inner_lr=0.01, pairs=pairs, sigma=1e-3).gradient.flat
            found[i, r] = exact @ mine / (np.linalg.norm(exact) * np.linalg.norm(mine))
    return found


def cosine(o: argparse.Namespace) -> None:
    """The table, and what theory says of random directions: sqrt(n / (n + P))."""
    numbers, P = [10 * 10**k for k in range(o.decades)], MLP([1, 40, 40, 1]).init(np.random.default_rng(0)).size
    rows = [
        [f"{n:,}", f"{of.mean():.3f}", f"{of.min():.3f}", f"{of.max():.3f}", f"{(n / (n + P)) ** 0.5:.3f}"]
        for n, of in zip(numbers, cosines(numbers, o.repeats, o.seed), strict=True)
    ]
    print(report.markdown(["pairs", "mean cosine", "least", "most", f"sqrt(n / (n + {P}))"], rows))


def tasks_of(part: str, horizon: int, tasks: int, rng: np.random.Generator) -> TaskBatch:
    """New goals with an episode's dice for the support, and another one for the query set."""
    goals = rng.uniform(-0.5, 0.5, (tasks, 2)) if part == "navigation" else CORNERS[np.arange(tasks) % 4]
    start, goals = np.zeros((tasks, 1, 2)), goals[:, None]
    return with_noise(TaskBatch(start, goals, start, goals), rng, horizon)


def blind_training(o: argparse.Namespace) -> None:
    """Each way of adapting, trained and judged by its returns before and after one adaptation."""
    import bench_figures

    from tinymaml import plot


    price = "distance" if o.part == "navigation" else "saturated"
    policy = SampledPolicy(MLP([2, 2]), o.horizon, 0.02, baseline=None, max_step=0.1, cost=price)
    zeros = Parameters({name: np.zeros(shape) for name, shape in policy.shapes.items()})
    ways = {
        "none": (BlackBoxModel(policy, 1, 1e-9, climb=True), 1.0),
        "evolution": (BlackBoxModel(policy, max(1, o.tries // 2), 0.1), o.inner_lr),  # a pair is two points
        "hill climbing": (BlackBoxModel(policy, o.tries, 0.1, climb=True), 1.0),
    }
    rows, of = [], {}
    for name, (model, rate) in ways.items():
        optimizer, began = Adam(0.02), time.perf_counter()

        def gradient(theta: Parameters, batch: TaskBatch, iteration: int, model: BlackBoxModel = model, rate: float = rate):
            rng = rng_for(o.seed, "perturbations", iteration)
            inner, given = replace(model, seed=int(rng.integers(2**63))), {"pairs": o.pairs, "sigma": 0.1, "normalised": True}
            return es_meta_gradient(inner, theta, batch, rng, inner_lr=rate, **given)

        trained = train(
            gradient, lambda rng: tasks_of(o.part, o.horizon, 4, rng),
            initial_state(zeros, optimizer, rng_for(o.seed, "training tasks")),
            optimizer=optimizer, iterations=o.iterations, label=name,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        new = tasks_of(o.part, o.horizon, o.tests, rng_for(o.seed, "testing tasks"))
        after = adapt(model, trained.theta, new.x_support, new.y_support, inner_lr=rate)
        of[name] = np.array([-policy.at(theta, new.x_query, new.y_query).cost for theta in (trained.theta, after)])
        means = [f"{each.mean():.1f} +- {1.96 * each.std() / o.tests**0.5:.1f}" for each in of[name]]
        rows.append([name, *means, f"{seconds:.0f}"])
    print(report.markdown(["adaptation", "return before", "return after", "seconds"], rows))
    plot.save(bench_figures.returns(of), o.out / f"{o.part}.png")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one part; the exit status."""
    parts = {"cosine": cosine, "navigation": blind_training, "corners": blind_training}
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("part", choices=parts, metavar="PART", help="cosine, navigation or corners")
    number = {"type": int, "metavar": "N"}
    top.add_argument("--decades", **number, default=3, help="cosine: from 10 pairs to 10^N (default: %(default)s)")
    top.add_argument("--repeats", **number, default=5, help="cosine: thetas and batches (default: %(default)s)")
    top.add_argument("--iterations", **number, default=200, help="of training (default: %(default)s)")
    top.add_argument("--pairs", **number, default=50, help="outside (default: %(default)s)")
    top.add_argument("--tries", **number, default=20, help="inside: points that are tried (default: %(default)s)")
    top.add_argument("--horizon", **number, default=100, help="moves of an episode (default: %(default)s)")
    top.add_argument("--tests", **number, default=100, help="new goals (default: %(default)s)")
    top.add_argument("--inner-lr", type=float, metavar="ALPHA", default=0.1, help="of evolution (default: %(default)s)")
    top.add_argument("--seed", **number, default=0, help="default: %(default)s")
    top.add_argument("--out", type=Path, default=Path("."), metavar="FOLDER", help="where figures go (default: here)")
    o = top.parse_args(argv)
    matrix_threads()
    parts[o.part](o)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
