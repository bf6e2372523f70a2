"""The exercises of lesson 01, learning to learn: shapes, the loss of a learner, the mean of all tasks, the inner loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exercises.exercise import Exercise
from exercises.guard import refuse
from tinymaml import MLP
from tinymaml.check import WrongAnswer
from tinymaml.check.compare import mismatch, relative_error
from tinymaml.tasks import Sinusoids

PARTS = ("x_support", "y_support", "x_query", "y_query")


class Shapes(Exercise):
    """An exercise that asks for four tuples of whole numbers, which are right or wrong, and never nearly right."""

    def __call__(self, answer: Callable, rng: np.random.Generator) -> None:
        cases = list(self.cases(rng))
        mine, right = [[_four(f(*case)) for case in cases] for f in (answer, self.solve)]
        if mine[0] == mine[1]:
            refuse("shapes", "your function returns the same for all sizes: compute them from its arguments")
        if mine != right and all(sorted(m) == sorted(r) for m, r in zip(mine, right, strict=True)):
            swapped = all(m == r[2:] + r[:2] for m, r in zip(mine, right, strict=True))
            order = f"the four are right, in another order: return them as {', '.join(PARTS)}"
            refuse("shapes", MIXED if swapped else order)
        for i, case in enumerate(cases):
            given = ", ".join(f"{name} = {size}" for name, size in zip(self.arguments, case, strict=True))
            for k, name in enumerate(PARTS):
                if mine[i][k] != right[i][k]:
                    theirs = [four[k] for four in mine]
                    told = next((sentence for sentence, mistaken in self.mistakes if _at(k, mistaken, cases) == theirs), "")
                    refuse(name, f"you say {mine[i][k]} with {given}: {told or _so_far(mine[i][k], right[i][k])}")
                print(f"{name:<12}  {right[i][k]!s:<12}  right")


def _four(given: Any) -> list[tuple[int, ...]]:
    """The four shapes that were returned."""
    if not isinstance(given, (tuple, list)) or len(given) != 4:
        got = f"{len(given)} things" if isinstance(given, (tuple, list)) else f"a {type(given).__name__}"
        refuse("shapes", f"your function returned {got}, expected four shapes: {', '.join(PARTS)}")
    for name, shape in zip(PARTS, given, strict=True):
        if isinstance(shape, np.ndarray) and shape.ndim != 1:
            refuse(name, f"it is an array of shape {shape.shape}: its shape is asked for")
        if not isinstance(shape, (tuple, list, np.ndarray)) or not all(isinstance(n, (int, np.integer)) for n in shape):
            refuse(name, f"{shape!r} is no shape, expected a tuple of whole numbers")
    return [tuple(map(int, shape)) for shape in given]


def _at(k: int, mistaken: Callable, cases: list[tuple]) -> list[tuple[int, ...]]:
    """The shape at place k in each case; none if two edits together do not work."""
    try:
        return [_four(mistaken(*case))[k] for case in cases]
    except (ValueError, WrongAnswer):
        return []


def _so_far(mine: tuple, right: tuple) -> str:
    """What is right in a shape that no known mistake gives."""
    if sorted(mine) == sorted(right):
        return "the axes are in another order: task, example, then the feature of x or the class of y"
    if len(mine) != len(right):
        return f"it has {len(mine)} axes, expected {len(right)}: task, example, then the feature of x or the class of y"
    bad = [f"axis {k}" for k in range(3) if mine[k] != right[k]]
    return f"{' and '.join(bad)} {'is' if len(bad) == 1 else 'are'} wrong. Take one task first: how many rows, how many columns?"


ALL = "(tasks, support, features), (tasks, support, ways), (tasks, query, features), (tasks, query, ways)"
each = lambda shape: (ALL, f"[{shape} for T, n, last in ({ALL})]")
ONE_HOT = "a target is one-hot: it has one column for each of the N classes"
FEATURES = "the last axis of x holds its features"
MIXED = "shots and queries are mixed up: the support set has shots for each class, the query set has queries"
ONE_SET = "support and query examples are counted together: they are two different sets"
MULTIPLIED = "shots and queries are multiplied: each set has its own count for each of the N classes"
SHAPES = Shapes(
    f"""def shapes(tasks, ways, shots, queries, features):
    support, query = ways * shots, ways * queries
    return {ALL}
""",
    lambda rng: [tuple(map(int, np.roll(sizes, k))) for sizes in [rng.permutation([3, 7, 11, 19, 31])] for k in (0, 2)],
    PARTS,
    (
        ("ways * shots, ways * queries", "shots, queries",
         "shots and queries count the examples of one class: an N-way task has N times as many"),
        ("ways * shots, ways * queries", "ways * queries, ways * shots", MIXED),
        ("ways * shots, ways * queries", "queries, shots", f"{MIXED}, each for N classes"),
        ("ways * shots, ways * queries", "(ways * (shots + queries),) * 2", ONE_SET),
        ("ways * shots, ways * queries", "(shots + queries,) * 2", f"{ONE_SET}, each with N classes"),
        ("ways * shots, ways * queries", "ways + shots, ways + queries",
         "this is a sum: each of the N classes has so many examples, which is a product"),
        ("ways * shots, ways * queries", "shots * queries, shots * queries", MULTIPLIED),
        ("ways * shots, ways * queries", "ways * shots * queries, ways * shots * queries", MULTIPLIED),
        ("ways * shots, ways * queries", "ways, ways", "one example for each class is counted, where each has several"),
        ("    return", "    support, query = tasks * support, tasks * query\n    return",
         "the tasks are counted among the examples: axis 1 has the examples of one task"),
        ("    support, query", "    tasks, ways = ways, tasks\n    support, query", "tasks and ways are swapped"),
        ("    return", "    tasks = 1\n    return", "axis 0 is the task, and has one entry for each of the tasks"),
        (", ways)", ", features)", ONE_HOT),
        (", ways)", ", 1)", ONE_HOT),
        (", ways)", ")", f"the last axis is missing: {ONE_HOT}"),
        ("    return", "    features = ways\n    return", FEATURES),
        ("    return", "    features = 1\n    return", FEATURES),
        (*each("(T, n)"), "the last axis is missing: the feature of x, or the class of y"),
        (*each("(n, last)"), "the task axis is missing, axis 0"),
        (*each("(T * n, last)"), "all tasks run into each other: the task is an axis of its own, axis 0"),
        (*each("(T, ways, n // ways, last)"), "classes and examples share one axis: the rows of a task are all its examples"),
        (*each("(T, n // ways, ways, last)"), "classes and examples share one axis: the rows of a task are all its examples"),
    ),
)  # fmt: skip


def line(x: np.ndarray, y: np.ndarray) -> Callable:
    """An F for the check: it fits a straight line, not quite, so that no errors cancel, and refuses what is not one task."""
    if np.ndim(x) != 2 or np.shape(x) != np.shape(y):
        refuse("F", f"it was given x {np.shape(x)} and y {np.shape(y)}, expected the examples of one task: (n, 1) and (n, 1)")
    slope, height = np.linalg.lstsq(np.concatenate([x, np.ones_like(x)], axis=1), y, rcond=None)[0][:, 0]

    def f(new: np.ndarray) -> np.ndarray:
        if np.ndim(new) != 2:
            refuse("f", f"it was given x of shape {np.shape(new)}, expected the examples of one task: (n, 1)")
        return slope * new + 0.9 * height

    return f


both = lambda letter: f"np.concatenate([batch.{letter}_support[t], batch.{letter}_query[t]])"
MSE = "np.mean((f(batch.x_query[t]) - batch.y_query[t]) ** 2)"
OWN = "every task has its own f"
LOSS_OF_F = Exercise(
    """def loss_of_F(F, batch):
    losses = []
    for t in range(len(batch)):
        f = F(batch.x_support[t], batch.y_support[t])
        losses.append(np.mean((f(batch.x_query[t]) - batch.y_query[t]) ** 2))
    return np.mean(losses)
""",
    lambda rng: [(line, Sinusoids().sample(rng, tasks=T, shots=n, queries=m)) for T, n, m in ((4, 6, 9), (5, 3, 7))],
    ("loss of F",),
    (
        ("f(batch.x_query[t]) - batch.y_query[t]", "f(batch.x_support[t]) - batch.y_support[t]",
         "f is judged on the support set: judge it on the query set"),
        ("f(batch.x_query[t]) - batch.y_query[t]", f"f({both('x')}) - {both('y')}",
         "f is judged on the support and the query set together: judge it on the query set"),
        ("F(batch.x_support[t], batch.y_support[t])", "F(batch.x_query[t], batch.y_query[t])",
         "F was shown the query set: it may see the support set only"),
        ("F(batch.x_support[t], batch.y_support[t])", f"F({both('x')}, {both('y')})",
         "F was shown the query set too: it may see the support set only"),
        ("F(batch.x_support[t], batch.y_support[t])", "F(batch.x_support[0], batch.y_support[0])",
         f"one f, made from the first task, is judged on all: {OWN}"),
        ("F(batch.x_support[t], batch.y_support[t])", "F(batch.x_support[-1], batch.y_support[-1])",
         f"one f, made from the last task, is judged on all: {OWN}"),
        ("F(batch.x_support[t], batch.y_support[t])", "F(np.concatenate(batch.x_support), np.concatenate(batch.y_support))",
         f"one f is made from the support points of all tasks: {OWN}"),
        ("F(batch.x_support[t], batch.y_support[t])", "F(batch.y_support[t], batch.x_support[t])",
         "F is called with y and x swapped: F(x, y)"),
        ("f(batch.x_query[t]) - batch.y_query[t]", "f(batch.x_query[0]) - batch.y_query[0]",
         "every f is judged on the query set of the first task: each task has its own"),
        (MSE, "np.linalg.norm(f(batch.x_query[t]) - batch.y_query[t])",
         "this is the length of the errors, the root of the sum of their squares: take the mean of the squares"),
        ("return np.mean(losses)", "return losses[0]", "only the first task is counted: the loss of F is a mean over tasks"),
        ("return np.mean(losses)", "return losses[-1]", "only the last task is counted: the loss of F is a mean over tasks"),
        ("return np.mean(losses)", "return np.array(losses)", "these are the losses of the tasks: return their mean"),
        ("return np.mean(losses)", "return np.mean(losses) / 2", "it is half of the loss: the mean squared error has no factor 1/2"),
        ("return np.mean(losses)", "return np.sum(losses)", "it is the sum over tasks: take the mean"),
        ("return np.mean(losses)", "return np.median(losses)", "this is the median over the tasks: take the mean"),
        ("return np.mean(losses)", "return np.mean(losses) / len(batch)", "it is divided by the number of tasks twice"),
        ("append(np.mean(", "append(np.sum(", "it is the sum over the query points: take the mean"),
        (MSE, f"{MSE} * len(batch.x_query[t]) / len(batch.x_support[t])", "it is divided by the number of support points: take the mean over the query points"),
        ("return np.mean(losses)", "return np.mean(losses) ** 0.5", "a root is taken: the loss is the mean squared error itself"),
        (MSE, f"np.sqrt({MSE})", "a root is taken in each task: the loss is the mean squared error itself"),
        (MSE, "np.mean(f(batch.x_query[t]) - batch.y_query[t]) ** 2",
         "the errors of a task are averaged before they are squared"),
        (MSE, "np.var(f(batch.x_query[t]) - batch.y_query[t])",
         "this is the variance of the errors: their mean counts too"),
        (MSE, "np.mean(abs(f(batch.x_query[t]) - batch.y_query[t]))",
         "these are absolute errors: square them"),
        (" ** 2", "", "the errors are not squared"),
        (MSE, "np.mean(f(batch.x_query[t]) ** 2 - batch.y_query[t] ** 2)", "the squares are subtracted: square the difference"),
        ("- batch.y_query[t])", "+ batch.y_query[t])", "the target is added: subtract it"),
        ("return np.mean(losses)", "return losses[0] / len(batch)",
         "only the first task is counted, divided by their number: is the return inside of the loop?"),
        ("- batch.y_query[t])", "- batch.y_query[t].T)",
         "every prediction is paired with every target: one of the two lost its last axis"),
        ("range(len(batch))", "range(len(batch) - 1)", "the last task is left out: the loss of F is a mean over all tasks"),
        ("range(len(batch))", "range(1, len(batch))", "the first task is left out: the loss of F is a mean over all tasks"),
        ("** 2))", "** 2) + np.mean((f(batch.x_support[t]) - batch.y_support[t]) ** 2))",
         "the loss on the support set is added: only the query set judges"),
        (MSE, MSE.replace("mean", "max"), "this is the largest squared error of a task: take the mean"),
    ),
)  # fmt: skip

LIMITS = "an integral is the difference of the antiderivative at its limits"
LENGTH = "the length of its range is high - low"
MEAN_A = "its mean is (lowest + highest) / 2"
MEAN_CURVE = Exercise(
    """def mean_curve(x, amplitude, phase):
    low, high = phase
    mean_wave = (np.cos(x - high) - np.cos(x - low)) / (high - low)
    return (amplitude[0] + amplitude[1]) / 2 * mean_wave
""",
    lambda rng: [
        (rng.uniform(-5, 5, 9), tuple(np.sort(rng.uniform(0.5, 6, 2))), (low, low + rng.uniform(0.5, 3)))
        for low in (rng.uniform(0.5, 2), rng.uniform(-2, -0.5))
    ] + [(rng.uniform(-5, 5, 6), (0.1, 5.0), (0.0, np.pi)), (rng.uniform(-5, 5, 7), (0.5, 2.0), (-1.0, 6.0))],
    ("curve",),
    (
        ("(np.cos(x - high) - np.cos(x - low)) / (high - low)", "np.sin(x - (low + high) / 2)",
         "this is the wave of mean phase: the mean of the sines is not the sine of the mean"),
        ("(np.cos(x - high) - np.cos(x - low)) / (high - low)", "np.sin(x - low)",
         "this is the wave of the lowest phase: take the mean over all phases"),
        ("(np.cos(x - high) - np.cos(x - low)) / (high - low)", "-2 / np.pi * np.cos(x)",
         "the range of the phase is the paper's: use the argument"),
        ("(np.cos(x - high) - np.cos(x - low)) / (high - low)", "(np.sin(x - low) + np.sin(x - high)) / 2",
         "this is the mean of two waves, of the lowest and of the highest phase: take the mean over all phases"),
        ("(np.cos(x - high) - np.cos(x - low)) / (high - low)", "-2 / (high - low) * np.cos(x)",
         "-2 cos x is the integral over phi from 0 to pi only: take it from low to high"),
        ("(amplitude[0] + amplitude[1]) / 2 * mean_wave", "-2 / np.pi * 2.55 * np.cos(x)",
         "this is the curve of the paper's ranges: use amplitude and phase"),
        ("(amplitude[0] + amplitude[1]) / 2 * mean_wave", "-1.623 * np.cos(x)",
         "this is the curve of the paper's ranges: use amplitude and phase"),
        ("amplitude[1]) / 2", "amplitude[1])",
         "a factor 1/2 is missing: either the amplitudes are added and not halved, or it is divided by half the length of the range"),
        ("(amplitude[0] + amplitude[1]) / 2 *", "amplitude[0] + amplitude[1] / 2 *",
         "only the second amplitude is halved and multiplied by the wave: put the sum in parentheses"),
        ("(amplitude[0] + amplitude[1]) / 2", "amplitude[1] / 2", f"the amplitude is half of the largest one: {MEAN_A}"),
        ("(amplitude[0] + amplitude[1]) / 2", "amplitude[1]", f"the amplitude is the largest one: {MEAN_A}"),
        ("(amplitude[0] + amplitude[1]) / 2", "(amplitude[1] - amplitude[0]) / 2", f"the amplitude is half its range: {MEAN_A}"),
        ("(amplitude[0] + amplitude[1]) / 2", "(amplitude[1]**2 - amplitude[0]**2) / 2",
         "A is integrated and not divided by the length of its range"),
        ("(amplitude[0] + amplitude[1]) / 2", "(amplitude[0] + amplitude[1] / 2)",
         "only one amplitude is halved: put the sum in parentheses"),
        ("(amplitude[0] + amplitude[1]) / 2 *", "", "the mean amplitude is missing"),
        (" / (high - low)", "", "the integral over phi is not divided by the length of its range, high - low"),
        ("(high - low)", "np.pi", f"the integral over phi is divided by pi: {LENGTH}"),
        ("(high - low)", "(2 * np.pi)", f"the integral over phi is divided by 2 pi: {LENGTH}"),
        ("np.cos(x - high) - np.cos(x - low)", "np.cos(high) - np.cos(low) + 0 * x", "x is lost: the antiderivative is cos(x - phi)"),
        ("(high - low)", "high - low", "it is divided by high, and low is subtracted at the end: put high - low in parentheses"),
        ("(amplitude[0] + amplitude[1]) / 2 * mean_wave", "(amplitude[0] + amplitude[1]) / 2 * mean_wave * (high - low) / high - low",
         "it is divided by high, and low is subtracted at the end: put high - low in parentheses"),
        ("(high - low)", "(high + low)", f"the integral over phi is divided by high + low: {LENGTH}"),
        ("(np.cos(x - high) - np.cos(x - low)) / (high - low)", "2 / np.pi * np.sin(x - (low + high) / 2)",
         "this is the wave of mean phase times 2 / pi, which is the factor of the paper's range: take the mean over all phases"),
        ("high) - np.cos", "high) + np.cos", f"the two limits are added: {LIMITS}"),
        (" - np.cos(x - low)", "", f"only the upper limit is there: {LIMITS}"),
        ("np.cos", "np.sin", "there are sines where the antiderivative of sin(x - phi) has cosines"),
        ("np.cos(x - high) - np.cos(x - low)", "np.cos(x + low) - np.cos(x + high)",
         "this is E[sin(x + phi)]: the tasks are A sin(x - phi)"),
        ("return (", "return -(", "the sign is wrong: d cos(x - phi) / d phi is sin(x - phi), with no minus; or the limits of the integral are swapped"),
        ("- np.cos(x - low)) / (high - low)", "- np.cos(x - low) / (high - low))",
         "the division is of one term only: put the difference in parentheses"),
        ("= phase", "= 0, phase[1]", "the lowest phase is 0 here, whatever phase[0] is"),
        ("= phase", "= np.mod(phase, 2 * np.pi)", "the limits are taken modulo 2 pi, and between them lies another range then"),
        ("    low, high", "    amplitude, phase = phase, amplitude\n    low, high", "amplitude and phase are swapped"),
    ),
)  # fmt: skip


class FineTune(Exercise):
    """An exercise whose function must take no step with steps = 0; it may stop with an error there, as `adapt` does."""

    def __call__(self, answer: Callable, rng: np.random.Generator) -> None:
        super().__call__(answer, rng)
        case = one_task(rng, [1, 4, 1], 5, 0.05, 0)
        try:
            (moved,) = self.parts(answer, case).values()
        except WrongAnswer as wrong:
            if wrong.__cause__:
                return
            raise
        if mismatch(moved, case[1]) or relative_error(moved, case[1]) > self.tolerance:
            refuse("theta", "it is right, but with steps = 0 it moves: is there a step before the loop?")


def one_task(rng: np.random.Generator, widths: list[int], shots: int, inner_lr: float, steps: int) -> tuple:
    """A tanh network, its theta, the support set of a task, and the rate and the number of steps."""
    model, task = MLP(widths, activation="tanh"), Sinusoids(amplitude=(1.0, 2.0)).sample(rng, tasks=1, shots=shots)
    return model, model.init(rng), task.x_support[0], task.y_support[0], inner_lr, steps


SIZES = ([1, 4, 1], 5, 0.05, 3), ([1, 3, 3, 1], 4, 0.1, 1), ([1, 3, 1], 4, 0.1, 4), ([1, 3, 1], 4, 1.5, 3)
LOOP = """    for _ in range(steps):
        theta = theta - inner_lr * model.at(theta, x, y).gradient
    return theta
"""
start = lambda old, new: (LOOP, f"    start = theta\n{LOOP}".replace(old, new))
GRADIENT = "not the parameters after the steps"
ALL_EXAMPLES = "the loss is that of the whole support set"
FINE_TUNE = FineTune(
    f"def fine_tune(model, theta, x, y, inner_lr, steps):\n{LOOP}",
    lambda rng: [one_task(rng, *case) for case in SIZES],
    ("theta",),
    (
        ("        theta = ", "        copy = ", "theta has not moved: is each step kept, `theta = theta - ...`?"),
        ("range(steps)", "range(1)",
         "only one step is taken: the return is inside the loop, or each step starts from theta again, or `steps` is not used"),
        ("range(steps)", "range(10)", "there are ten steps, whatever `steps` is"),
        ("range(steps)", "range(2 * steps)", "twice as many steps are taken: one in each round of the loop"),
        ("range(steps)", "range(steps - 1)", "it is one step too few"),
        ("range(steps)", "range(steps + 1)", "it is one step too many"),
        ("theta - inner_lr", "theta + inner_lr", "the steps go uphill: subtract the gradient"),
        ("theta - inner_lr * ", "theta + ", "the gradient is added, without a rate: subtract inner_lr times the gradient"),
        ("inner_lr * ", "", "the learning rate is missing"),
        ("theta - inner_lr", "-1 * inner_lr", "theta itself is missing: a step is theta minus inner_lr times the gradient"),
        ("inner_lr *", "inner_lr * (_ + 1) *", "the rate grows with the steps: every step has inner_lr"),
        ("inner_lr *", "0.01 *", "the rate is 0.01, whatever inner_lr is"),
        ("inner_lr *", "inner_lr / len(x) *", "1/n is there twice: `gradient` is that of the mean loss already"),
        ("inner_lr *", "inner_lr * len(x) *", "the steps are n times too long: the loss is a mean over the examples"),
        ("inner_lr *", "2 * inner_lr *", "the steps are twice as long: the 2 of the squared error is in `gradient` already"),
        ("inner_lr *", "inner_lr / 2 *", "the steps are half as long: `gradient` needs no 1/2"),
        ("inner_lr *", "inner_lr / steps *", "the rate is divided by the number of steps: every step has inner_lr"),
        ("inner_lr *", "inner_lr / (_ + 1) *", "the rate falls with the steps: every step has inner_lr"),
        ("inner_lr *", "inner_lr * _ *", "the first step has the rate 0, as k counts from 0: every step has inner_lr"),
        (*start("at(theta", "at(start"), "every step uses the gradient at the start: take it again at theta_k"),
        (*start("theta = theta - ", "theta = start - "), "every step starts from theta again: step k + 1 starts from theta_k"),
        (*start("return theta", "return min(start, theta, key=lambda one: model.at(one, x, y).loss)"),
         "the theta with the lowest loss is returned: return the last one, whatever its loss"),
        (*start("return theta", "return theta - start"), "this is how far theta has moved: return where it is"),
        (*start("return theta", "return start - theta"), "this is how far theta has moved: return where it is"),
        (*start("return theta", "return model.at(start, x, y).gradient"), f"this is the gradient at theta, {GRADIENT}"),
        ("return theta", "return model.at(theta, x, y).gradient", f"this is the last gradient, {GRADIENT}"),
        ("(theta, x, y)", "(theta, y, x)", "x and y are swapped: model.at(theta, x, y)"),
        ("(theta, x, y)", "(theta, x[:1], y[:1])", f"only the first example is used: {ALL_EXAMPLES}"),
        ("model.at(theta, x, y).gradient", "(lambda g: g / g.dot(g) ** 0.5)(model.at(theta, x, y).gradient)",
         "the gradient is scaled to length one"),
        ("(theta, x, y)", "(theta, x[_ % len(x)][None], y[_ % len(x)][None])", f"each step uses one example: {ALL_EXAMPLES}"),
    ),
)  # fmt: skip

loss_of_F = LOSS_OF_F.solve  # the lesson goes on with it
CHECKS = {"1.1": SHAPES, "1.2": LOSS_OF_F, "1.3": MEAN_CURVE, "1.4": FINE_TUNE}
