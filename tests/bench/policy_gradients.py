"""Policy gradients from samples beside the exact ones: `python tests/bench/policy_gradients.py PART`, or --help.

    hessians     the error of each Hessian of the literature over the number of episodes (table and figure)
    adaptation   from the exact MAML's start, what a few sampled episodes make of each new goal, beside the exact gradient
    neural       the paper's navigation (Finn et al. 2017, section 5.3.1) with a policy of two hidden layers, by plain Adam:
                 goals in [-0.5, 0.5]^2, 100 moves of at most 0.1, and what is paid is the distance; the paper has TRPO outside
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import report

from tinymaml import MLP, Parameters, adapt, meta_gradient
from tinymaml.check.derivatives import basis
from tinymaml.experiment.process import matrix_threads
from tinymaml.rl.exact import LinearPolicy
from tinymaml.rl.sampled import HESSIAN_ESTIMATORS, SampledPolicy, leave_one_out_baseline, with_noise
from tinymaml.settings import PlotStyle, rng_for
from tinymaml.tasks import Navigation
from tinymaml.training.evaluation import curve
from tinymaml.training.loop import initial_state, train
from tinymaml.training.optimizers import Adam

RANDOM_RATE = 0.005  # what serves the random start best, of 0.0005 to 0.02
STEPS = 3  # of gradient descent on a new goal
PAPER = {"MAML, TRPO outside": (-40.4, -11.7, -3.3, -3.2), "random start": (-82.7, -58.0, -53.8, -46.8), "oracle": (-2.3,) * 4}


# -- Hessians ------------------------------------------------------------------------------------------------------------


def hessian(here: object, theta: Parameters) -> np.ndarray:
    """The whole Hessian of one task, column by column: (P, P)."""
    units = basis(theta)
    return np.stack([here.hvp(units.task(i)).task(0).flat for i in range(theta.size)], axis=-1)


def value_of(theta: Parameters, horizon: int, noise: float) -> Callable:
    """The exact baseline: the expected cost to go of a place, by the closed form."""

    def baseline(C: np.ndarray, seen: np.ndarray, y: np.ndarray) -> np.ndarray:
        rows = lambda places: np.broadcast_to(places, seen[..., 0, :].shape).reshape(-1, 1, 2)  # each a task of its own
        togo = [LinearPolicy(2, horizon - t, noise).at(theta, rows(seen[..., t, :]), rows(y)).cost for t in range(horizon)]
        return np.stack(togo, axis=-1).reshape(C.shape)

    return baseline


def errors(numbers: Sequence[int], repeats: int, seed: int = 0, horizon: int = 5, noise: float = 0.3) -> dict:
    """The relative error of every Hessian, by its name and that of the baseline: (numbers, repeats)."""
    theta = Parameters(W1=np.array([[-0.5, 0.1], [-0.1, -0.5]]), b1=np.array([[0.1, -0.1]]))
    start, goal = np.array([0.1, -0.1]), np.array([0.3, 0.4])
    exact = hessian(LinearPolicy(2, horizon, noise).at(theta, start[None, None], goal[None, None]), theta)
    baselines = {"none": None, "the others' mean": leave_one_out_baseline, "exact": value_of(theta, horizon, noise)}
    found = {(name, by): np.empty((len(numbers), repeats)) for name in HESSIAN_ESTIMATORS for by in baselines}
    rng = np.random.default_rng(seed)
    for i, n in enumerate(numbers):
        for r in range(repeats):
            dice = rng.standard_normal((n, 2 * horizon))
            x, y = np.concatenate([np.tile(start, (n, 1)), dice], axis=-1)[None], np.tile(goal, (1, n, 1))
            for by, baseline in baselines.items():
                here = SampledPolicy(MLP([2, 2]), horizon, noise, baseline=baseline).at(theta, x, y)
                for name in HESSIAN_ESTIMATORS:
                    here.policy = replace(here.policy, hessian=name)  # of the same episodes
                    found[name, by][i, r] = np.linalg.norm(hessian(here, theta) - exact) / np.linalg.norm(exact)
    return found


def hessians(o: argparse.Namespace) -> None:
    """The table of median errors, and the figure."""
    import bench_figures

    from tinymaml import plot

    numbers = [20 * 10**k for k in range(o.decades)]
    found = errors(numbers, o.repeats, o.seed)
    rows = [[name, by, *(f"{np.median(each):.2f}" for each in of)] for (name, by), of in found.items()]
    print(report.markdown(["Hessian", "baseline", *(f"{n:,} episodes" for n in numbers)], rows))
    by_name = {name: found[name, "exact"] for name in HESSIAN_ESTIMATORS} | {"no baseline": found["surrogate", "none"]}
    plot.save(bench_figures.errors(numbers, by_name), o.out / "hessians.png")
    print(f"\nthe figure is {o.out / 'hessians.png'}")


# -- adaptation from samples, and training on them ---------------------------------------------------------------------


def returns(model: SampledPolicy, theta: Parameters, batch: object, rng: np.random.Generator, rate: float, episodes: int,
            judge: Callable | None = None) -> np.ndarray:  # fmt: skip
    """The return on every new goal after 0..STEPS steps, each from `episodes` new episodes of its own: (STEPS + 1, T).

    From the second on a step is half as long, as in the paper.

    judge(theta): the cost of each task; that of other sampled episodes if there is none.
    """
    found = []
    for k in range(STEPS + 1):
        x, y = (np.repeat(array[:, :1], episodes, axis=1) for array in (batch.x_query, batch.y_query))
        drawn = with_noise(replace(batch, x_support=x, y_support=y, x_query=x, y_query=y), rng, model.horizon)
        whole = replace(model, discount=1.0)
        found.append(-(judge(theta) if judge else whole.at(theta, drawn.x_query, drawn.y_query).cost))
        if k < STEPS:
            theta = adapt(model, theta, drawn.x_support, drawn.y_support, inner_lr=rate / (1 + (k > 0)))
    return np.array(found)


def cells(name: str, of: np.ndarray) -> list[str]:
    """A row of the table: means with 95 % intervals over the goals."""
    found = curve(-of)
    lost = f" ({found.diverged_count[-1]} lost)" if found.diverged_count[-1] else ""
    return [name + lost, *(f"{-mean:.2f} +- {each:.2f}" for mean, each in zip(found.mean, found.interval, strict=True))]


HEAD = ["return", "before", *(f"{k} step{'s' * (k > 1)}" for k in range(1, STEPS + 1))]


def adaptation(o: argparse.Namespace) -> None:
    """Train the exact MAML; adapt from its start by the exact gradient, and by that of sampled episodes."""
    exact, rate, optimizer = LinearPolicy(horizon=20), o.inner_lr or 0.1, Adam(0.01)
    trained = train(
        lambda theta, batch, iteration: meta_gradient(exact, theta, batch, inner_lr=rate), partial(Navigation().sample, tasks=20),
        initial_state(exact.init(rng_for(o.seed, "initialisation")), optimizer, rng_for(o.seed, "training tasks")),
        optimizer=optimizer, iterations=o.iterations or 2000, label="MAML, exact",
    ).theta  # fmt: skip
    batch = Navigation().sample(rng_for(o.seed, "testing tasks"), tasks=o.tests)
    judge = lambda theta: exact.at(theta, batch.x_query, batch.y_query).cost
    there, found = trained, []
    for k in range(STEPS + 1):
        found.append(-judge(there))
        there = adapt(exact, there, batch.x_support, batch.y_support, inner_lr=rate / (1 + (k > 0))) if k < STEPS else there
    rows = [cells("exact gradient", np.array(found))]
    for n in (20, 200, 2000)[: o.decades]:
        model = SampledPolicy(MLP([2, 2]), 20, exact.noise)
        rows.append(cells(f"{n} episodes", returns(model, trained, batch, np.random.default_rng(o.seed), rate, n, judge)))
    print(report.markdown(HEAD, rows))


def neural(o: argparse.Namespace) -> None:
    """Meta-train the neural policy on sampled episodes, and adapt it to new goals."""
    import bench_figures

    from tinymaml import plot
    from tinymaml.plot import policies as policy_plots

    network = MLP([2, o.width, o.width, 2], "tanh")
    model = SampledPolicy(network, o.horizon, 0.05, 0.9, o.hessian, max_step=0.1, cost="distance")
    source, rate = Navigation(start_range=0.0, horizon=o.horizon), o.inner_lr or 0.2
    iterations = o.iterations or 300
    optimizer = Adam(0.003, half_life=max(1, iterations // 3))
    drawn = network.init(rng_for(o.seed, "initialisation"), np.float32)
    begun = drawn * {name: 0.1 if name.endswith("3") else 1.0 for name in drawn}  # the head small: nearly at rest
    began = time.perf_counter()

    def sample(rng: np.random.Generator) -> object:
        return with_noise(source.sample(rng, tasks=20, shots=20, queries=20, dtype=np.float32), rng, o.horizon)

    trained = train(
        lambda theta, batch, iteration: meta_gradient(model, theta, batch, inner_lr=rate, first_order=o.first_order), sample,
        initial_state(begun, optimizer, rng_for(o.seed, "training tasks")),
        optimizer=optimizer, iterations=iterations, label="neural policy",
    )  # fmt: skip
    seconds = time.perf_counter() - began
    batch = source.sample(rng_for(o.seed, "testing tasks"), tasks=o.tests, dtype=np.float32)
    x, y = np.zeros((o.tests, 1, model.inputs), np.float32), batch.y_query[:, :1]  # from the origin, without noise
    whole, ways = replace(model, discount=1.0), []

    def still(theta: Parameters) -> np.ndarray:
        here = whole.at(theta, x, y)
        ways.append(here.positions[:6, 0].swapaxes(0, 1))
        return here.cost

    rows, of = [], {}
    for name, theta, alpha, judge in (
        ("MAML, Adam outside", trained.theta, rate, None),
        ("its moves without noise", trained.theta, rate, still),
        ("random start", begun, RANDOM_RATE, None),
    ):
        of[name] = returns(model, theta, batch, np.random.default_rng(o.seed), alpha, 20, judge)
        rows.append(cells(name, of[name]))
    rows += [[f"paper: {name}", *(f"{each:.1f}" for each in row)] for name, row in PAPER.items()]
    print(report.markdown(HEAD, rows))
    print(f"\n{iterations} iterations of 20 goals took {seconds:.0f} s")
    drawn = {"MAML": dict(enumerate(ways))}
    plot.save(policy_plots.trajectories(drawn, y[:6, 0], {"MAML": PlotStyle("neural policy", "")}), o.out / "trajectories.png")
    plot.save(bench_figures.returns(of, {f"paper: {name}": row for name, row in PAPER.items()}), o.out / "returns.png")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one part; the exit status."""
    parts = {"hessians": hessians, "adaptation": adaptation, "neural": neural}
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("part", choices=parts, metavar="PART", help="hessians, adaptation or neural")
    number = {"type": int, "metavar": "N"}
    top.add_argument("--decades", **number, default=4, help="hessians: from 20 episodes to 20 * 10^(N-1) (default: %(default)s)")
    top.add_argument("--repeats", **number, default=11, help="hessians: samples of each number (default: %(default)s)")
    top.add_argument("--iterations", **number, help="of training (default: 2000 and 300)")
    top.add_argument("--tests", **number, default=200, help="new goals (default: %(default)s)")
    top.add_argument("--width", **number, default=32, help="neural: units of both hidden layers (default: %(default)s)")
    top.add_argument("--horizon", **number, default=100, help="neural: moves of an episode (default: %(default)s)")
    top.add_argument("--hessian", choices=HESSIAN_ESTIMATORS, default="lvc",
                     help="neural: the one to train with (default: %(default)s)")
    top.add_argument("--first-order", action="store_true", help="neural: none")
    top.add_argument("--inner-lr", type=float, metavar="ALPHA", help="of the first step (default: 0.1 and 0.2)")
    top.add_argument("--seed", **number, default=0, help="default: %(default)s")
    top.add_argument("--out", type=Path, default=Path("."), metavar="FOLDER", help="where figures go (default: here)")
    o = top.parse_args(argv)
    matrix_threads()
    parts[o.part](o)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
