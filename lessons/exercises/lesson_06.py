"""Checks of lesson 06, MAML against pre-training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from exercises.answers import judge, one_number, refuse, several
from tinymaml import MLP, adapt, meta_gradient
from tinymaml.check.meta_derivation import SLIPS, outer_loop
from tinymaml.network import Network
from tinymaml.parameters import Parameters
from tinymaml.tasks import Sinusoids, TaskBatch

# -- 6.1: the best start for a family of parabolas -----------------------------------------------------------


def best_start(a: np.ndarray, c: np.ndarray, inner_lr: float, steps: int) -> float:
    """The theta with the least mean of a (theta_K - c)^2: the mean of c with weights a (1 - 2 alpha a)^(2K)."""
    weights = a * (1 - 2 * inner_lr * a) ** (2 * steps)
    return float((weights * c).sum() / weights.sum())


def wrong_starts(a: np.ndarray, c: np.ndarray, inner_lr: float, steps: int) -> list[tuple[str, float]]:
    """(sentence, theta) of every known mistake."""
    r, K = 1 - 2 * inner_lr * a, steps
    at = lambda weights: float((weights * c).sum() / weights.sum())
    return [
        ("this is where pre-training ends: the weights do not know of the steps", at(a)),
        ("this is where first-order MAML ends: (1 - 2 alpha a)^K comes twice, with theta_K - c and with its derivative",
         at(a * r**K)),
        ("the factor a of each task's own loss is missing among the weights", at(r ** (2 * K))),
        ("it is the plain mean of c: the tasks have different weights", float(c.mean())),
        ("a factor 2 is missing: the derivative of a (theta - c)^2 is 2 a (theta - c)", at(a * (1 - inner_lr * a) ** (2 * K))),
        ("the steps go uphill: theta_1 is theta minus alpha times the derivative", at(a * (2 - r) ** (2 * K))),
        ("it is the answer for one step: every step shrinks theta - c once more", at(a * r**2)),
        ("a stands among the weights twice", at(a**2 * r ** (2 * K))),
        ("the sum is not divided by the sum of the weights", float((a * r ** (2 * K) * c).sum())),
    ]  # fmt: skip


def check_best_start(answer: Callable, rng: np.random.Generator) -> None:
    for steps in (0, 1, 3):
        problems = [(rng.uniform(0.5, 4, 3), rng.uniform(-5, 5, 3), rng.uniform(0.05, 0.1), steps) for _ in range(4)]
        mine = [answer(*problem) for problem in problems]
        for value in mine:
            one_number("the best start", value, "one for all tasks")
        right = np.array([best_start(*problem) for problem in problems])
        sentences = [sentence for sentence, _ in wrong_starts(*problems[0])]
        values = np.transpose([[value for _, value in wrong_starts(*problem)] for problem in problems])
        judge(f"start, K = {steps}", np.array(mine), right, list(zip(sentences, values, strict=True)))


# -- 6.2: one step of the outer loop -------------------------------------------------------------------------


def outer_step(model: Network, theta: Parameters, batch: TaskBatch, inner_lr: float, outer_lr: float) -> Parameters:
    return theta - outer_lr * meta_gradient(model, theta, batch, inner_lr=inner_lr).gradient


def wrong_steps(
    model: Network, theta: Parameters, batch: TaskBatch, inner_lr: float, outer_lr: float
) -> list[tuple[str, Parameters]]:
    """(sentence, parameters) of every known mistake; those of eqs. 11-13 are the library's."""
    gradient = meta_gradient(model, theta, batch, inner_lr=inner_lr).gradient
    adapted = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=inner_lr).mean()
    along = lambda key: outer_loop(model, theta, batch, inner_lr, 1, [key])["gradient"]
    of_equations = [(sentence, theta - outer_lr * along(key)) for key, sentence in SLIPS.items()]
    return [
        ("theta has not moved: `theta - ...` makes a new point, return it", theta),
        ("what moved is the mean of the adapted copies: the gradient is taken at theta', but what moves is theta",
         adapted - outer_lr * gradient),
        ("this is the mean of the adapted copies: the query sets have not been used", adapted),
        ("this is the meta-gradient: the outer step subtracts outer_lr times it from theta", gradient),
        ("the outer step goes uphill: subtract the meta-gradient", theta + outer_lr * gradient),
        ("outer_lr is missing", theta - gradient),
        ("outer_lr stands where inner_lr belongs, and the other way round", outer_step(model, theta, batch, outer_lr, inner_lr)),
        ("inner_lr stands where outer_lr belongs", theta - inner_lr * gradient),
        ("two steps are taken inside each task: one was asked for",
         theta - outer_lr * meta_gradient(model, theta, batch, inner_lr=inner_lr, steps=2).gradient),
        *of_equations,
    ]  # fmt: skip


def check_outer_step(answer: Callable, rng: np.random.Generator) -> None:
    model = MLP([1, 5, 4, 1], activation="tanh")
    theta = model.init(rng)
    batch = Sinusoids(amplitude=(1.0, 2.0)).sample(rng, tasks=3, shots=4, queries=6)
    problem = (model, theta, batch, 0.1, 0.03)
    mine = answer(*problem)
    if isinstance(mine, Mapping) and "W1" in mine and np.shape(mine["W1"]) == (3, 1, 5):
        refuse("theta", "the answer has a task axis, W1 is (3, 1, 5), expected (1, 5): the adapted copies moved, one for each "
                        "task, and what should move is the one theta that they came from")  # fmt: skip
    right = outer_step(*problem)
    judge("theta", mine, right, [pair for pair in wrong_steps(*problem) if pair[1].keys() == right.keys()])


# -- 6.3: present and potential ------------------------------------------------------------------------------


def present_and_potential(
    model: Network, theta: Parameters, batch: TaskBatch, inner_lr: float, steps: int
) -> tuple[float, float]:
    """The mean query loss over tasks before adaptation, and after it."""
    adapted = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=inner_lr, steps=steps)
    query = lambda theta: float(model.at(theta, batch.x_query, batch.y_query).loss.mean())
    return query(theta), query(adapted)


def wrong_pairs(
    model: Network, theta: Parameters, batch: TaskBatch, inner_lr: float, steps: int
) -> list[tuple[str, tuple[float, float]]]:
    """(sentence, both numbers) of every known mistake."""
    support, query = (batch.x_support, batch.y_support), (batch.x_query, batch.y_query)
    after = lambda shown, steps=steps, rate=inner_lr: adapt(model, theta, *shown, inner_lr=rate, steps=steps)
    loss = lambda theta, on: float(model.at(theta, *on).loss.mean())
    now, potential = present_and_potential(model, theta, batch, inner_lr, steps)
    uphill = theta
    for _ in range(steps):
        uphill = uphill + inner_lr * model.at(uphill, *support).gradient
    T = len(batch)
    return [
        ("the two are exchanged: the present comes first", (potential, now)),
        ("both are measured on the support set: the query set judges", (loss(theta, support), loss(after(support), support))),
        ("the present is measured on the support set: the query set judges", (loss(theta, support), potential)),
        ("the potential is measured on the support set, from which the copies have learned: the query set judges",
         (now, loss(after(support), support))),
        ("the copies are adapted on the query set: they may learn from the support set only", (now, loss(after(query), query))),
        ("the two sets are exchanged in the second number", (now, loss(after(query), support))),
        ("both numbers are the loss before adaptation: the potential is that of the adapted copies", (now, now)),
        ("both numbers are the loss after adaptation: the present is that of theta", (potential, potential)),
        ("one step is taken: `steps` were asked for", (now, loss(after(support, 1), query))),
        ("the steps go uphill: subtract the gradient", (now, loss(uphill, query))),
        ("the second number is that of one network, the mean of the adapted copies: every task has its own",
         (now, loss(after(support).mean(), query))),
        ("the second number is the gain: give the loss itself", (now, now - potential)),
        ("both are sums over the tasks: take the mean", (T * now, T * potential)),
    ]  # fmt: skip


def check_present_and_potential(answer: Callable, rng: np.random.Generator) -> None:
    model = MLP([1, 6, 1], activation="tanh")
    problems = []
    for T in (3, 4):
        batch = Sinusoids(amplitude=(1.0, 2.0)).sample(rng, tasks=T, shots=4, queries=6)
        problems.append((model, model.init(rng), batch, 0.05, 3))
    mine = []
    for problem in problems:
        mine.append(several(answer(*problem), "present", "potential"))
        for name, value in zip(("present", "potential"), mine[-1], strict=True):
            one_number(name, value, "the mean over the tasks")
    right = np.array([present_and_potential(*problem) for problem in problems])
    sentences = [sentence for sentence, _ in wrong_pairs(*problems[0])]
    values = np.array([[pair for _, pair in wrong_pairs(*problem)] for problem in problems])  # (problems, mistakes, 2)
    both = [(sentence, values[:, i]) for i, sentence in enumerate(sentences)]
    judge("the pair", np.array(mine), right, both)


# -- 6.4: a difference with its interval ---------------------------------------------------------------------


def paired(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """The mean of first - second over the same T tasks, and half of its 95 % interval."""
    difference = first - second
    return float(difference.mean()), float(1.96 * difference.std(ddof=1) / np.sqrt(len(difference)))


def wrong_intervals(first: np.ndarray, second: np.ndarray) -> list[tuple[str, tuple[float, float]]]:
    """(sentence, both numbers) of every known mistake."""
    d, T = first - second, len(first)
    mean, half = paired(first, second)
    return [
        ("this is the interval of two unrelated sets of tasks: the tasks are the same, so take the spread of the differences",
         (mean, 1.96 * np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / T))),
        ("it is the spread of the tasks, not of their mean: divide by sqrt(T)", (mean, half * np.sqrt(T))),
        ("it is divided by T: a standard error has sqrt(T)", (mean, half / np.sqrt(T))),
        ("this is one standard error: 95 % lie within 1.96 of them", (mean, half / 1.96)),
        ("this is the whole interval: give half of it", (mean, 2 * half)),
        ("a variance stands where the standard deviation belongs", (mean, 1.96 * d.var(ddof=1) / np.sqrt(T))),
        ("the standard deviation of a sample divides by T - 1: use ddof=1", (mean, half * np.sqrt((T - 1) / T))),
        ("the difference is turned round: first minus second", (-mean, half)),
        ("these are the ends of the interval: give its middle and half its length", (mean - half, mean + half)),
        ("it is the sum of the differences: take the mean", (T * mean, half)),
        ("the first number is a median: take the mean", (float(np.median(d)), half)),
    ]  # fmt: skip


def check_paired(answer: Callable, rng: np.random.Generator) -> None:
    easy = rng.exponential(1.0, 12)  # some tasks are hard for both
    first, second = easy + rng.exponential(0.3, 12), easy + rng.exponential(0.1, 12)
    mine = several(answer(first, second), "difference", "half")
    for name, value in zip(("difference", "half"), mine, strict=True):
        one_number(name, value, f"the {len(first)} tasks are averaged")
    wrong = [(sentence, np.array(pair)) for sentence, pair in wrong_intervals(first, second)]
    judge("interval", np.array(mine), np.array(paired(first, second)), wrong)


CHECKS = {"6.1": check_best_start, "6.2": check_outer_step, "6.3": check_present_and_potential, "6.4": check_paired}
