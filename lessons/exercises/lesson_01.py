"""Checks of lesson 01, learning to learn, and the functions that the lesson itself goes on with."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import numpy as np

from exercises.answers import Known, combined, judge, one_number, refuse
from tinymaml import MLP
from tinymaml.check import WrongAnswer
from tinymaml.check.compare import close, mismatch
from tinymaml.nn.network import Network
from tinymaml.nn.surface import Surface
from tinymaml.parameters import Parameters
from tinymaml.tasks import Sinusoids, TaskBatch, task_blind

PARTS = ("x_support", "y_support", "x_query", "y_query")


def loss_of_F(F: Callable, batch: TaskBatch) -> float:
    """The loss of a learner F: the mean over tasks of the loss of f = F(support set) on the query set."""
    losses = []
    for x, y, xq, yq in zip(*(getattr(batch, part) for part in PARTS), strict=True):
        f = F(x, y)
        losses.append(((f(xq) - yq) ** 2).mean())
    return float(np.mean(losses))


# -- 1.1: the four shapes of a meta-batch --------------------------------------------------------------------


def shapes_of(T: int, N: int, K: int, Q: int, d: int) -> dict[str, tuple[int, ...]]:
    return {"x_support": (T, N * K, d), "y_support": (T, N * K, N), "x_query": (T, N * Q, d), "y_query": (T, N * Q, N)}


def wrong_shapes(name: str, T: int, N: int, K: int, Q: int, d: int) -> list[tuple[str, tuple[int, ...]]]:
    """(sentence, shape) of every known mistake in one of the four."""
    support, x = name.endswith("support"), name.startswith("x")
    n, other = (K, Q) if support else (Q, K)
    word, its = ("shots", "the support set") if support else ("queries", "the query set")
    last, not_last = (d, N) if x else (N, d)
    one_hot = "a target is one-hot: it has one column for each of the N classes"
    what_is_last = "the last axis holds the features of x" if x else one_hot
    first = [("", T), ("axis 0 is the task, and has one entry for each of the tasks", 1)]
    first += [("axis 0 is the task, and has one entry for each of the tasks", size) for size in (N, n, N * n, d)]
    rows = [
        ("", N * n),
        (f"{word} counts the examples of one class: an N-way task has N times as many", n),
        ("support and query set are exchanged", N * other),
        ("support and query set are exchanged; and one class is counted, where a task has N", other),
        ("support and query set are one here: they are two different sets of examples", N * (n + other)),
        ("support and query set are one here: they are two different sets of examples", n + other),
        ("this is a sum: each of the N classes has so many examples, which is a product", N + n),
        ("one example for each class is counted, where each has several: the rows of a task are all its examples", N),
        ("the tasks are counted among the examples: axis 1 has the examples of one task", T * N * n),
        ("the tasks are counted among the examples, and not the classes: axis 1 has the examples of one task", T * n),
        ("shots and queries are multiplied: each set has its own count for each of the N classes", K * Q),
        ("shots and queries are multiplied: each set has its own count for each of the N classes", N * K * Q),
        ("a power stands where a product belongs", n**N),
        ("a power stands where a product belongs", N**n),
        ("the features are counted among the examples: they have an axis of their own", N * n * d),
        (f"there is one row: axis 1 has all examples of {its}", 1),
    ]
    columns = [("", last), *((what_is_last, size) for size in (not_last, 1, N * n, n, T))]
    wrong = [(sentence, shape) for sentence, shape in combined(
        *([(told, (size,)) for told, size in axis] for axis in (first, rows, columns)), join=operator.add) if 0 not in shape]
    lost = "the last axis is missing: it holds the features of x" if x else f"the last axis is missing: {one_hot}"
    return [
        ("the task axis is missing: all tasks of the batch lie along axis 0", (N * n, last)),
        ("the task axis is missing, and one class is counted, where a task has N", (n, last)),
        ("tasks and ways are exchanged", (N, T * n, last if x else T)),
        ("rows and columns run into each other: they are two axes", (T, N * n * last)),
        ("all tasks run into each other: the task is an axis of its own, axis 0", (T * N * n, last)),
        ("classes and examples share one axis: the rows of a task are all its examples", (T, N, n, last)),
        ("classes and examples share one axis: the rows of a task are all its examples", (T, n, N, last)),
        (lost, (T, N * n)),
        (f"{lost}; and one class is counted, where a task has N", (T, n)),
        *(("the axes are in another order: task, example, then " + ("feature" if x else "class"), axes)
          for axes in itertools.permutations((T, N * n, last)) if axes != (T, N * n, last)),
        *wrong,
    ]  # fmt: skip


def check_shapes(answer: Callable, rng: np.random.Generator) -> None:
    first, second = (list(map(int, rng.permutation([3, 7, 11, 19, 31]))) for _ in range(2))  # no sum of two is a third
    mine, again = _read(answer(*first)), _read(answer(*second))
    if mine == again and first != second:
        refuse("shapes", "your function returns the same for all sizes: compute them from its arguments")
    _check_shapes(mine, first)
    _check_shapes(again, second)


def _read(mine: Any) -> list[tuple[int, ...]]:
    """The four shapes that were returned."""
    if not isinstance(mine, (tuple, list)) or len(mine) != 4:
        got = f"{len(mine)} things" if isinstance(mine, (tuple, list)) else f"a {type(mine).__name__}"
        refuse("shapes", f"your function returned {got}, expected four shapes: {', '.join(PARTS)}")
    for name, shape in zip(PARTS, mine, strict=True):
        if isinstance(shape, np.ndarray) and shape.ndim != 1:
            refuse(name, f"it is an array of shape {shape.shape}: its shape is asked for")
        if not isinstance(shape, (tuple, list)) or not all(isinstance(n, (int, np.integer)) for n in shape):
            refuse(name, f"{shape!r} is no shape, expected a tuple of whole numbers")
    return [tuple(map(int, shape)) for shape in mine]


def _check_shapes(given: list[tuple[int, ...]], sizes: list[int]) -> None:
    asked = ", ".join(f"{word}={n}" for word, n in zip(("tasks", "ways", "shots", "queries", "features"), sizes, strict=True))
    right = shapes_of(*sizes)
    if given != list(right.values()) and sorted(given) == sorted(right.values()):
        refuse("shapes", f"the four are right, in another order: return them as {', '.join(PARTS)}")
    for (name, wanted), shape in zip(right.items(), given, strict=True):
        if shape != wanted:
            told = next((text for text, wrong in wrong_shapes(name, *sizes) if wrong == shape), "")
            told = told or f"Not {shape}; think of one task first: how many rows, how many columns?"
            refuse(f"{name} with {asked}", f"you say {shape}. {told[0].upper()}{told[1:]}")
        print(f"{name:<12}  {wanted!s:<12}  right")


# -- 1.2: the loss of F --------------------------------------------------------------------------------------


def line(x: np.ndarray, y: np.ndarray) -> Callable:
    """An F for the check: it fits a straight line, and refuses what is not one task."""
    if np.ndim(x) != 2 or np.shape(x) != np.shape(y):
        refuse("F", f"it was given x {np.shape(x)} and y {np.shape(y)}, expected the examples of one task: (n, 1) and (n, 1)")
    slope, height = np.linalg.lstsq(np.concatenate([x, np.ones_like(x)], axis=1), y, rcond=None)[0][:, 0]

    def f(new: np.ndarray) -> np.ndarray:
        if np.ndim(new) != 2:
            refuse("f", f"it was given x of shape {np.shape(new)}, expected the examples of one task: (n, 1)")
        return slope * new + height

    return f


def wrong_losses(batch: TaskBatch) -> Iterator[Known]:
    """(sentence, loss) of every known mistake, for F = line: in what is learned from and judged on, and in what is averaged."""
    T, Q = len(batch), batch.x_query.shape[1]
    support = [(batch.x_support[t], batch.y_support[t]) for t in range(T)]
    query = [(batch.x_query[t], batch.y_query[t]) for t in range(T)]
    both = [tuple(np.concatenate(pair) for pair in zip(support[t], query[t], strict=True)) for t in range(T)]
    pooled = tuple(np.concatenate(part) for part in zip(*support, strict=True))
    turned = lambda pairs: [(y, x) for x, y in pairs]
    errors = lambda learn, judge: [line(*learn[t])(judge[t][0]) - judge[t][1] for t in range(T)]  # T of (n, 1)
    own = "every task has its own f"
    of_data = [
        ("", errors(support, query)),
        ("f is judged on the support set, from which it was made: judge it on the query set", errors(support, support)),
        ("f is judged on the support and the query set together: judge it on the query set", errors(support, both)),
        ("F was shown the query set: it may see the support set only", errors(query, query)),
        ("F was shown the query set too: it may see the support set only", errors(both, query)),
        ("F was shown the query set too, and f is judged on both: it learns from the one, and is judged on the other",
         errors(both, both)),
        ("support and query set are exchanged", errors(query, support)),
        (f"one f, made from the first task, is judged on all: {own}", errors(support[:1] * T, query)),
        (f"one f, made from the last task, is judged on all: {own}", errors(support[-1:] * T, query)),
        (f"one f is made from the support points of all tasks: {own}", errors([pooled] * T, query)),
        ("f of one task is judged on the task before it", errors(support[-1:] + support[:-1], query)),
        ("f of one task is judged on the task after it", errors(support[1:] + support[:1], query)),
        ("F is called with y and x exchanged: F(x, y)", errors(turned(support), query)),
        ("x and y of the query set are exchanged", errors(support, turned(query))),
        ("the targets are those of the support set, in the first places", [
            line(*support[t])(query[t][0][:len(support[t][0])]) - support[t][1] for t in range(T)]),
        ("the prediction is compared with x, not with y", [line(*support[t])(query[t][0]) - query[t][0] for t in range(T)]),
        ("the prediction is missing: the targets themselves are squared", [-query[t][1] for t in range(T)]),
        ("the targets are missing: the predictions themselves are squared", [
            line(*support[t])(query[t][0]) for t in range(T)]),
        ("prediction and target are added: the error is their difference", [
            line(*support[t])(query[t][0]) + query[t][1] for t in range(T)]),
        ("the target is compared with the mean prediction: every point has its own", [
            line(*support[t])(query[t][0]).mean() - query[t][1] for t in range(T)]),
        ("f is made from the first support point alone", errors([(x[:1], y[:1]) for x, y in support], query)),
        ("f is made for the next task only: it lags one task behind", errors(support[:1] + support[:-1], query)),
        ("x and y of the support set are of two different tasks",
         errors([(support[t][0], support[t - 1][1]) for t in range(T)], query)),
        ("f is compared with an f that has seen the query set: compare it with y", [
            line(*query[t])(query[t][0]) - line(*support[t])(query[t][0]) for t in range(T)]),
        ("every prediction is paired with every target: one of the two lost its last axis", [
            line(*support[t])(query[t][0]) - query[t][1].T for t in range(T)]),
    ]  # fmt: skip
    mse = lambda e: np.array([(of_task**2).mean() for of_task in e])
    each = lambda power: lambda e: np.mean([power(of_task) for of_task in e])
    of_mean = [
        ("", lambda e: mse(e).mean()),
        ("only the first task is counted: the loss of F is a mean over tasks", lambda e: mse(e)[0]),
        ("only the last task is counted: the loss of F is a mean over tasks", lambda e: mse(e)[-1]),
        ("only the first task is counted, and divided by the number of tasks: is the return inside the loop?",
         lambda e: mse(e)[0] / T),
        ("only the last task is counted, and divided by the number of tasks: add them up", lambda e: mse(e)[-1] / T),
        ("the last task is left out: the loss of F is a mean over all tasks", lambda e: mse(e)[:-1].mean()),
        ("the first task is left out: the loss of F is a mean over all tasks", lambda e: mse(e)[1:].mean()),
        ("it is the sum over tasks: take the mean", lambda e: mse(e).sum()),
        ("it is the sum over the query points: take the mean", lambda e: Q * mse(e).mean()),
        ("it is the sum over tasks, and over the query points of each: take the mean of both", lambda e: Q * mse(e).sum()),
        ("it is divided by the number of tasks twice", lambda e: mse(e).mean() / T),
        ("it is divided by the number of query points twice", lambda e: mse(e).mean() / Q),
        ("it is divided by the number of tasks less one: take the mean", lambda e: mse(e).sum() / (T - 1)),
        ("it is divided by the number of support points, and is a sum over query points",
         lambda e: Q * mse(e).mean() / batch.x_support.shape[1]),
        ("only the first query point of each task is counted", each(lambda e: e[0, 0] ** 2)),
        ("only the last query point of each task is counted", each(lambda e: e[-1, 0] ** 2)),
        ("the errors are not squared", each(np.mean)),
        ("the errors are not squared: these are absolute errors", each(lambda e: np.abs(e).mean())),
        ("the errors of a task are averaged before they are squared", each(lambda e: e.mean() ** 2)),
        ("this is the variance of the errors: their mean counts too", each(np.var)),
        ("this is the standard deviation of the errors: take the mean of their squares", each(np.std)),
        ("a root is taken: the loss is the mean squared error itself", lambda e: mse(e).mean() ** 0.5),
        ("a root is taken in each task: the loss is the mean squared error itself", lambda e: np.sqrt(mse(e)).mean()),
        ("a root of a sum is taken, the length of the errors: the loss is the mean of their squares",
         each(lambda e: np.sqrt((e**2).sum()))),
        ("this is the median over the tasks: take the mean", lambda e: np.median(mse(e))),
        ("this is the median over the query points: take the mean", each(lambda e: np.median(e**2))),
        ("this is the largest error of a task, squared: take the mean", each(lambda e: (e**2).max())),
        ("this is the largest loss of a task: take the mean", lambda e: mse(e).max()),
        ("this is the smallest loss of a task: take the mean", lambda e: mse(e).min()),
        ("it is divided by the number of tasks plus one", lambda e: mse(e).sum() / (T + 1)),
        ("it is divided by the number of query points less one: take the mean", lambda e: Q / (Q - 1) * mse(e).mean()),
        ("this is the spread of the losses over the tasks: take their mean", lambda e: mse(e).std()),
        ("the errors have the power 3, where they have to be squared", each(lambda e: (e**3).mean())),
        ("the logarithm of each task's loss is taken", lambda e: np.log(mse(e)).mean()),
        ("a factor 1/2 has slipped in: the squared error has none here", lambda e: mse(e).mean() / 2),
    ]  # fmt: skip
    judged = [mse(errors).mean() for _, errors in of_data[:2]]
    yield "the loss on the support set is added: only the query set judges", float(sum(judged))
    yield from combined(of_data, of_mean, join=lambda errors, mean: float(mean(errors)))


def check_loss_of_F(answer: Callable, rng: np.random.Generator) -> None:
    batches = [Sinusoids().sample(rng, tasks=T, shots=5, queries=7) for T in (5, 4)]
    mine = [answer(line, batch) for batch in batches]
    right = np.array([loss_of_F(line, batch) for batch in batches])
    for value, batch in zip(mine, batches, strict=True):
        if isinstance(value, list | np.ndarray) and np.size(value) == len(batch) > 1:
            refuse("loss of F", f"there are {len(batch)} numbers, one for each task, expected one number: take their mean")
        one_number("loss of F", value, "the mean over all tasks")
    known = zip(*map(wrong_losses, batches), strict=True)
    judge("loss of F", np.array(mine), right, ((told, np.array([one, other])) for (told, one), (_, other) in known))


# -- 1.3: the curve that a task-blind network converges to ---------------------------------------------------


def wrong_curves(x: np.ndarray, amplitude: tuple[float, float], phase: tuple[float, float]) -> Iterator[Known]:
    """(sentence, curve) of every known mistake: in the mean of A, in the mean of the sines, in both."""
    (least, most), (low, high) = amplitude, phase
    mean, middle, length = (least + most) / 2, (low + high) / 2, high - low
    difference = np.cos(x - high) - np.cos(x - low)
    of_mean = "the mean of the sines is not the sine of the mean"
    of_A = [
        ("", mean),
        ("the mean amplitude is missing", 1.0),
        ("the amplitude is the largest one: its mean is (lowest + highest) / 2", most),
        ("the amplitude is the smallest one: its mean is (lowest + highest) / 2", least),
        ("the amplitude is half its range: its mean is (lowest + highest) / 2", (most - least) / 2),
        ("the amplitude is the whole range: its mean is (lowest + highest) / 2", most - least),
        ("the amplitude is the whole range: its mean is (lowest + highest) / 2", least - most),
        ("the two amplitudes are added: their mean is half of that", least + most),
        ("the mean amplitude is squared", mean**2),
        ("this is the geometric mean of the amplitudes: a uniform A has the mean (lowest + highest) / 2", (least * most) ** 0.5),
        ("this is the root of the mean square of A: take its mean, (lowest + highest) / 2",
         ((least**2 + least * most + most**2) / 3) ** 0.5),
        ("A is integrated and not divided by the length of its range", (most**2 - least**2) / 2),
        ("the amplitude is the paper's: use the argument", 2.55),
        ("the amplitude comes from `phase`: use the argument `amplitude`", middle),
    ]  # fmt: skip
    of_phi = [
        ("", difference / length),
        (f"this is the wave of mean phase: {of_mean}", np.sin(x - middle)),
        ("this is the wave of the lowest phase: take the mean over all phases", np.sin(x - low)),
        ("this is the wave of the highest phase: take the mean over all phases", np.sin(x - high)),
        ("this is the mean of two waves, of the lowest and of the highest phase: take the mean over all phases",
         (np.sin(x - low) + np.sin(x - high)) / 2),
        ("this is the wave of the difference of the phases: take the mean over all phases", np.sin(x - length)),
        ("the integral over phi is not divided by the length of its range, high - low", difference),
        ("the integral over phi is divided by pi: the length of its range is high - low", difference / np.pi),
        ("the integral over phi is divided by 2 pi: the length of its range is high - low", difference / (2 * np.pi)),
        ("the integral over phi is divided by low + high: the length of its range is high - low", difference / (low + high)),
        ("the integral over phi is divided by high: the length of its range is high - low", difference / high),
        ("the integral over phi is divided by half of its range: the whole is high - low", 2 * difference / length),
        ("the integral over phi is divided by twice its range", difference / (2 * length)),
        ("the integral over phi is multiplied by the length of its range, where it has to be divided", difference * length),
        ("the integral over phi is divided by the length of the range of A", difference / (most - least)),
        ("the two limits are added: an integral is the difference of the antiderivative at its limits",
         (np.cos(x - high) + np.cos(x - low)) / length),
        ("only the upper limit is there: an integral is the difference of the antiderivative at its limits",
         np.cos(x - high) / length),
        ("only the lower limit is there: an integral is the difference of the antiderivative at its limits",
         -np.cos(x - low) / length),
        ("sin stands where its antiderivative belongs: d cos(x - phi) / d phi = sin(x - phi)",
         (np.sin(x - high) - np.sin(x - low)) / length),
        ("sin stands where its antiderivative belongs: d cos(x - phi) / d phi = sin(x - phi)",
         (np.sin(x - low) - np.sin(x - high)) / length),
        ("this is E[sin(x + phi)]: the tasks are A sin(x - phi)", (np.cos(x + low) - np.cos(x + high)) / length),
        ("this is E[sin(x + phi)], with the sign turned: the tasks are A sin(x - phi)",
         (np.cos(x + high) - np.cos(x + low)) / length),
        ("the antiderivative is taken in x, so that its sign is wrong: integrate over phi", -difference / length),
        ("x is missing: the integral of sin(x - phi) over phi is a function of x",
         0 * x + (np.cos(high) - np.cos(low)) / length),
        ("the range of the phase is the paper's: use the argument", -2 / np.pi * np.cos(x)),
        ("the antiderivative of the wave of mean phase is taken: integrate over phi, not over x", -np.cos(x - middle)),
        ("x is not inside the cosines: the integral of sin(x - phi) over phi is cos(x - high) - cos(x - low)",
         (np.cos(high) - np.cos(low)) / length * np.sin(x)),
        ("the range of the phase is the whole circle: use the argument", 0 * x),
    ]  # fmt: skip
    paper = "this is the curve of the paper's ranges: use amplitude and phase"
    yield from [
        (paper, task_blind(Sinusoids(), x)),
        (paper, -1.623 * np.cos(x)),  # as the text rounds it
        ("the answer is zero everywhere: that is so only if the phases go round the whole circle", 0 * x),
        (f"this is the wave of mean amplitude and mean phase: {of_mean}", mean * np.sin(x - middle)),
        *(("the amplitude is added, where it has to be multiplied with", mean + wave * difference / length)
          for wave in (1, mean)),
        ("the division is of one term only: put the difference in parentheses",
         mean * (np.cos(x - high) - np.cos(x - low) / length)),
        ("the division is of one term only: put the difference in parentheses",
         mean * np.cos(x - high) - np.cos(x - low) / length),
        ("it is divided by high, and low is subtracted at the end: put high - low in parentheses",
         mean * difference / high - low),
        ("only one amplitude is halved: put the sum in parentheses", (least + most / 2) * difference / length),
        ("it is divided by the length of the range of the phase twice", mean * difference / length**2),
        ("these are degrees: NumPy's sines take radians",
         mean * (np.cos(np.deg2rad(x - high)) - np.cos(np.deg2rad(x - low))) / length),
        ("it is averaged over x: the curve has a value at every x", 0 * x + np.mean(mean * difference / length)),
        ("amplitude and phase are exchanged", of_exchanged(x, amplitude, phase)),
        *combined(of_phi, of_A, [("", 1.0), ("the sign is wrong", -1.0)]),
    ]  # fmt: skip


def of_exchanged(x: np.ndarray, amplitude: tuple[float, float], phase: tuple[float, float]) -> np.ndarray:
    low, high = amplitude
    return sum(phase) / 2 * (np.cos(x - high) - np.cos(x - low)) / (high - low)


def check_curve(answer: Callable, rng: np.random.Generator) -> None:
    x = np.sort(rng.uniform(-5, 5, 9))
    low, length = rng.uniform(0.5, 2) * rng.choice([-1, 1]), rng.uniform(0.5, 3)
    other = tuple(np.sort(rng.uniform(0.5, 6, 2))), (low, low + length)
    for name, amplitude, phase in (("curve", *other), ("the paper's", (0.1, 5.0), (0.0, np.pi))):
        mine = answer(x, amplitude, phase)
        right = task_blind(Sinusoids(amplitude=amplitude, phase=phase), x)
        if (isinstance(mine, np.ndarray) and mine.ndim == 0) or isinstance(mine, float):
            refuse(name, f"the answer is one number, expected {right.shape}, one for every x")
        try:
            judge(name, mine, right, wrong_curves(x, amplitude, phase))
        except WrongAnswer as wrong:
            if not wrong.error < 0.1 or (wrong.diagnosis and "digits are right" not in wrong.diagnosis):
                raise
            told = "it is near, and not exact: a number was rounded, or a mean over a grid or over draws stands for the integral"
            raise WrongAnswer(f"{name} is wrong: {told}", name=name, error=wrong.error, diagnosis=told, line=wrong.line) from None


# -- 1.4: the inner loop -------------------------------------------------------------------------------------


def fine_tuned(model: Network, theta: Parameters, x: np.ndarray, y: np.ndarray, inner_lr: float, steps: int) -> Parameters:
    for _ in range(steps):
        theta = theta - inner_lr * model.at(theta, x, y).gradient
    return theta


def wrong_ends(
    model: Network, theta: Parameters, x: np.ndarray, y: np.ndarray, inner_lr: float, steps: int
) -> Iterator[tuple[str, Parameters]]:
    """(sentence, parameters) of every known mistake: in one step, in the loop, in both."""
    n, start = len(x), theta
    at = lambda theta, rows=slice(None): model.at(theta, x[rows], y[rows]).gradient
    only = lambda g, letter: Parameters({name: array * float(name.startswith(letter)) for name, array in g.items()})
    last = lambda g: Parameters({name: array * float(name in list(g)[-2:]) for name, array in g.items()})
    unit = lambda g: g * (1 / np.sqrt(g.dot(g)))
    plain = lambda theta: inner_lr * at(theta)
    half = slice(0, n // 2)

    def by_name(theta: Parameters) -> Parameters:
        moved = dict(theta)
        for name in moved:
            moved[name] = moved[name] - inner_lr * at(Parameters(moved))[name]
        return theta - Parameters(moved)

    moves = [
        ("", lambda theta, k: plain(theta)),
        ("the learning rate is missing", lambda theta, k: at(theta)),
        ("it is divided by the learning rate: multiply", lambda theta, k: 1 / inner_lr * at(theta)),
        ("the learning rate is squared", lambda theta, k: inner_lr**2 * at(theta)),
        ("1/n is there twice: `gradient` is that of the mean loss already", lambda theta, k: 1 / n * plain(theta)),
        ("the steps are n times too long: the loss is a mean over the examples", lambda theta, k: n * plain(theta)),
        ("the steps are twice as long: the 2 of the squared error is in `gradient` already", lambda theta, k: 2.0 * plain(theta)),
        ("the steps are half as long: `gradient` needs no 1/2", lambda theta, k: 0.5 * plain(theta)),
        ("the rate is divided by the number of steps: every step has inner_lr", lambda theta, k: 1 / steps * plain(theta)),
        ("the rate falls with the steps: every step has inner_lr", lambda theta, k: 1 / (k + 1) * plain(theta)),
        ("the rate falls with the steps: every step has inner_lr", lambda theta, k: inner_lr**k * plain(theta)),
        ("the rate grows with the steps: every step has inner_lr", lambda theta, k: (k + 1) * plain(theta)),
        ("the first step has the rate 0: k counts from 0", lambda theta, k: float(k) * plain(theta)),
        ("every step uses the gradient at the start: take it again at theta_k", lambda theta, k: plain(start)),
        ("the gradient is scaled to length one", lambda theta, k: inner_lr * unit(at(theta))),
        ("only the sign of the gradient is used", lambda theta, k: inner_lr * at(theta).map(np.sign)),
        ("the biases do not move", lambda theta, k: only(plain(theta), "W")),
        ("the weights do not move, only the biases do", lambda theta, k: only(plain(theta), "b")),
        ("only the last layer moves", lambda theta, k: last(plain(theta))),
        ("the last layer does not move", lambda theta, k: plain(theta) - last(plain(theta))),
        ("x and y are exchanged: model.at(theta, x, y)", lambda theta, k: inner_lr * model.at(theta, y, x).gradient),
        ("only the first example is used: the loss is that of the whole support set",
         lambda theta, k: inner_lr * at(theta, slice(0, 1))),
        ("each step uses one example: the loss is that of the whole support set",
         lambda theta, k: inner_lr * at(theta, slice(k % n, k % n + 1))),
        ("each array of theta moves by a gradient of its own, taken after the others have moved: take one gradient for all",
         lambda theta, k: by_name(theta)),
        ("only the first half of the examples is used", lambda theta, k: inner_lr * at(theta, half)),
        ("only the last example is used: the loss is that of the whole support set",
         lambda theta, k: inner_lr * at(theta, slice(-1, None))),
        ("the targets are 0: use y", lambda theta, k: inner_lr * model.at(theta, x, 0 * y).gradient),
        ("the gradient is squared", lambda theta, k: inner_lr * (at(theta) * at(theta))),
        ("the rate is multiplied by the number of steps: every step has inner_lr", lambda theta, k: steps * plain(theta)),
        ("two steps are taken in each round of the loop", lambda theta, k: plain(theta) + plain(theta - plain(theta))),
        ("the last example is left out", lambda theta, k: inner_lr * at(theta, slice(0, -1))),
        ("a part of theta is subtracted too, as weight decay does", lambda theta, k: inner_lr * (at(theta) + theta)),
        ("the gradient is multiplied by theta: a step subtracts inner_lr times the gradient",
         lambda theta, k: theta * plain(theta)),
        ("the gradient is multiplied by the loss: a step subtracts inner_lr times the gradient",
         lambda theta, k: float(model.at(theta, x, y).loss) * plain(theta)),
        ("theta is subtracted, not its gradient", lambda theta, k: inner_lr * theta),
        ("every step starts from theta again: step k + 1 starts from theta_k", lambda theta, k: theta - start + plain(theta)),
    ]  # fmt: skip
    counts = [("", steps), ("only one step is taken: the return is inside the loop, or theta is not kept", 1),
              ("it is one step too few", steps - 1), ("it is one step too many", steps + 1),
              ("all steps are taken twice", 2 * steps)]  # fmt: skip

    signs = [("", 1.0), ("the steps go uphill: subtract the gradient", -1.0)]

    def go(move: Callable, count: int, sign: float = 1.0) -> Parameters:
        theta = start
        for k in range(count):
            theta = theta - sign * move(theta, k)
        return theta

    ways = lambda part: [(told, (value,)) for told, value in part]
    path = [go(moves[0][1], count) for count in range(steps + 1)]
    average = reduce(operator.add, path) * (1 / len(path))
    yield from [
        ("theta has not moved: `theta - ...` makes a new point, keep it", theta),
        ("this is the gradient, not the parameters after the steps", at(theta)),
        ("this is the last gradient, not the parameters after the steps", at(path[-1])),
        ("this is the last gradient, not the parameters after the steps", at(path[-2])),
        ("this is how far theta has moved: return where it is", path[-1] - theta),
        ("this is how far theta has moved: return where it is", theta - path[-1]),
        ("every step starts from theta again: step k + 1 starts from theta_k", theta - plain(path[-2])),
        ("this is the mean of all theta_k: return the last", average),
        ("this is the mean of all theta_k after the first: return the last", reduce(operator.add, path[1:]) * (1 / steps)),
        *((told, go(*way)) for told, way in combined(*map(ways, (moves, counts, signs)), join=operator.add)),
    ]  # fmt: skip


def check_fine_tune(answer: Callable, rng: np.random.Generator) -> None:
    for widths, shots, inner_lr, steps in (([1, 4, 1], 5, 0.05, 3), ([1, 3, 3, 1], 4, 0.1, 1), ([1, 3, 1], 4, 0.1, 4)):
        model = MLP(widths, activation="tanh")
        task = Sinusoids(amplitude=(1.0, 2.0)).sample(rng, tasks=1, shots=shots)
        problem = (model, model.init(rng), task.x_support[0], task.y_support[0], inner_lr, steps)
        mine, right, name = answer(*problem), fine_tuned(*problem), f"theta_{steps}"
        if isinstance(mine, Surface):
            refuse(name, "the answer is what `model.at` returns, the loss seen from theta, expected Parameters: return theta")
        if isinstance(mine, list | tuple) and mine and not mismatch(mine[-1], right) and close(mine[-1], right):
            refuse(name, f"the answer is a {type(mine).__name__} of {len(mine)}, expected the last theta alone")
        if isinstance(mine, list | tuple) and mine and not mismatch(mine[0], right) and close(mine[0], right):
            refuse(name, f"the answer is a {type(mine).__name__} of {len(mine)}, expected theta alone")
        if np.ndim(mine) == 0 and isinstance(mine, float | np.number):
            refuse(name, "the answer is one number, expected Parameters: return theta, not its loss")
        judge(name, mine, right, wrong_ends(*problem))


CHECKS = {"1.1": check_shapes, "1.2": check_loss_of_F, "1.3": check_curve, "1.4": check_fine_tune}
