"""Learning to learn in the memory of a recurrent network, beside MAML: `python tests/bench/recurrent_learner.py`, or --help.

The network is fed one sine wave's points, row after row [x_t, y_{t-1}], and asked for y_t: all that it knows of the task
is in its memory (Santoro et al. 2016; Duan et al. 2016), and plain gradients teach it what to remember. MAML starts from
one initialisation, which it trains for ten examples, and takes one step of gradient descent on as many as there are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import report

from tinymaml import MLP, adapt, meta_gradient
from tinymaml.experiment.process import matrix_threads
from tinymaml.nn.models import RNN
from tinymaml.settings import rng_for
from tinymaml.tasks import Sinusoids
from tinymaml.training.loop import initial_state, train
from tinymaml.training.optimizers import Adam

POINTS = 20  # of a task, in the order in which the network meets them
SHOWN = (0, 1, 2, 5, 10, 19)  # examples seen so far


def points(rng: np.random.Generator, tasks: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y of that many tasks, (tasks, POINTS, 1) each."""
    batch = Sinusoids().sample(rng, tasks=tasks, shots=1, queries=POINTS - 1)
    return np.concatenate([batch.x_support, batch.x_query], axis=1), np.concatenate([batch.y_support, batch.y_query], axis=1)


def told_late(rng: np.random.Generator, tasks: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences [x_t, y_{t-1}] and what is to be said at each step, y_t: (tasks, 2 POINTS) and (tasks, POINTS)."""
    x, y = points(rng, tasks)
    late = np.concatenate([np.zeros_like(y[:, :1]), y[:, :-1]], axis=1)
    return np.concatenate([x, late], axis=-1).reshape(tasks, -1), y[..., 0]


def memory(hidden: int, iterations: int, tests: int, seed: int = 0, tasks: int = 100) -> np.ndarray:
    """The squared error of a trained recurrent network on new tasks after 0..19 examples, (tests, POINTS)."""
    network = RNN(2, hidden, 1, POINTS)
    optimizer = Adam(0.005, half_life=max(1, iterations // 4))
    theta = network.init(rng_for(seed, "initialisation"))
    trained = train(
        lambda theta, batch, iteration: network.at(theta, *batch), partial(told_late, tasks=tasks),
        initial_state(theta, optimizer, rng_for(seed, "training tasks")),
        optimizer=optimizer, iterations=iterations, label="recurrent network",
    )  # fmt: skip
    x, y = told_late(rng_for(seed, "testing tasks"), tests)
    return (network.predict(trained.theta, x) - y) ** 2


def maml(iterations: int, tests: int, seed: int = 0, tasks: int = 25, inner_lr: float = 0.01) -> np.ndarray:
    """The squared error after one step from the first 0..19 points, on the last point of the same new tasks: (tests, POINTS)."""
    network, optimizer = MLP([1, 40, 40, 1]), Adam()
    trained = train(
        lambda theta, batch, iteration: meta_gradient(network, theta, batch, inner_lr=inner_lr),
        partial(Sinusoids().sample, tasks=tasks, shots=10),
        initial_state(network.init(rng_for(seed, "initialisation")), optimizer, rng_for(seed, "training tasks")),
        optimizer=optimizer, iterations=iterations, label="MAML",
    )  # fmt: skip
    x, y = points(rng_for(seed, "testing tasks"), tests)
    errors = [(network.predict(trained.theta, x[:, -1:]) - y[:, -1:]) ** 2]
    for k in range(1, POINTS):
        adapted = adapt(network, trained.theta, x[:, :k], y[:, :k], inner_lr=inner_lr)
        errors.append((network.predict(adapted, x[:, -1:]) - y[:, -1:]) ** 2)
    return np.concatenate(errors, axis=1)[..., 0]


def row(name: str, errors: np.ndarray, seconds: float) -> list[str]:
    """The cells of a method: its mean errors with 95 % intervals, and how long it trained."""
    mean, interval = errors.mean(0), 1.96 * errors.std(0) / np.sqrt(len(errors))
    return [name, *(f"{mean[k]:.2f} +- {interval[k]:.2f}" for k in SHOWN), f"{seconds:.0f}"]


def main(argv: Sequence[str] | None = None) -> int:
    """Train both, print the table; the exit status."""
    top = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0], epilog=__doc__.partition("\n\n")[2])
    number = {"type": int, "metavar": "N"}
    top.add_argument("--hidden", **number, default=40, help="units of the recurrent network (default: %(default)s)")
    top.add_argument("--iterations", **number, default=5000, help="of the recurrent network, of 100 tasks (default: %(default)s)")
    top.add_argument("--maml", **number, default=15_000, help="iterations of MAML, of 25 tasks (default: %(default)s)")
    top.add_argument("--tests", **number, default=2000, help="new tasks (default: %(default)s)")
    top.add_argument("--seed", **number, default=0, help="default: %(default)s")
    o = top.parse_args(argv)
    matrix_threads()
    rows = []
    for name, method in (
        ("recurrent network", partial(memory, o.hidden, o.iterations)), ("MAML, one step", partial(maml, o.maml)),
    ):  # fmt: skip
        began = time.perf_counter()
        errors = method(tests=o.tests, seed=o.seed)
        rows.append(row(name, errors, time.perf_counter() - began))
    print(report.markdown(["mean squared error after", *(f"{k} example{'s' * (k != 1)}" for k in SHOWN), "seconds"], rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
