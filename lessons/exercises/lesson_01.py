"""Checks of lesson 01, learning to learn, and the functions that the lesson itself goes on with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from exercises.answers import judge, one_number, refuse
from tinymaml import MLP
from tinymaml.network import Network
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
    last, word = d if x else N, "shots" if support else "queries"
    one_hot = "a target is one-hot: it has one column for each of the N classes"
    return [
        (f"{word} counts the examples of one class: an N-way task has N times as many", (T, n, last)),
        ("the task axis is missing: all tasks of the batch lie along axis 0", (N * n, last)),
        ("all tasks run into each other: the task is an axis of its own, axis 0", (T * N * n, last)),
        ("classes and examples share one axis: the rows of a task are all its examples", (T, N, n, last)),
        ("support and query set are one here: they are two different sets of examples", (T, N * (n + other), last)),
        ("support and query set are exchanged", (T, N * other, last)),
        ("this is a sum: each of the N classes has so many examples, which is a product", (T, N + n, last)),
        ("the last axis is missing: it holds the features of x" if x else one_hot, (T, N * n)),
        ("the last axis holds the features of x" if x else one_hot, (T, N * n, N if x else d)),
        ("the last axis holds the features of x" if x else one_hot, (T, N * n, 1)),
    ]


def check_shapes(answer: Callable, rng: np.random.Generator) -> None:
    sizes = [int(size) for size in rng.permutation([2, 3, 5, 7, 11])]
    mine = answer(*sizes)
    if not isinstance(mine, (tuple, list)) or len(mine) != 4:
        got = f"{len(mine)} things" if isinstance(mine, (tuple, list)) else f"a {type(mine).__name__}"
        refuse("shapes", f"your function returned {got}, expected four shapes: {', '.join(PARTS)}")
    for (name, right), shape in zip(shapes_of(*sizes).items(), mine, strict=True):
        if not isinstance(shape, (tuple, list)) or not all(isinstance(n, (int, np.integer)) for n in shape):
            refuse(name, f"{shape!r} is no shape, expected a tuple of whole numbers")
        if tuple(shape) != right:
            told = dict.fromkeys(text for text, wrong in wrong_shapes(name, *sizes) if wrong == tuple(shape) and wrong != right)
            told = list(told)[:1] or [f"not {tuple(shape)}; think of one task first: how many rows, how many columns?"]
            words = ("tasks", "ways", "shots", "queries", "features")
            asked = ", ".join(f"{word}={n}" for word, n in zip(words, sizes, strict=True))
            refuse(f"{name} with {asked}", f"you say {tuple(shape)}. {told[0][0].upper()}{told[0][1:]}")
        print(f"{name:<12}  {right!s:<12}  right")


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


def wrong_losses(batch: TaskBatch) -> list[tuple[str, float]]:
    """(sentence, loss) of every known mistake, for F = line."""
    T, Q = len(batch), batch.x_query.shape[1]
    support = [(batch.x_support[t], batch.y_support[t]) for t in range(T)]
    query = [(batch.x_query[t], batch.y_query[t]) for t in range(T)]
    both = [tuple(np.concatenate(pair) for pair in zip(support[t], query[t], strict=True)) for t in range(T)]
    pooled = tuple(np.concatenate(part) for part in zip(*support, strict=True))
    wrong = lambda learn, judge: [line(*learn[t])(judge[t][0]) - judge[t][1] for t in range(T)]  # errors, T of (n, 1)
    mean = lambda errors: float(np.mean([(error**2).mean() for error in errors]))
    right = wrong(support, query)
    return [
        ("f is judged on the support set, from which it was made: judge it on the query set", mean(wrong(support, support))),
        ("F was shown the query set: it may see the support set only", mean(wrong(query, query))),
        ("F was shown the query set too: it may see the support set only", mean(wrong(both, query))),
        ("support and query set are exchanged", mean(wrong(query, support))),
        ("one f, made from the first task, is judged on all: every task has its own f", mean(wrong(support[:1] * T, query))),
        ("one f, made from the last task, is judged on all: every task has its own f", mean(wrong(support[-1:] * T, query))),
        ("one f is made from the support points of all tasks: every task has its own f", mean(wrong([pooled] * T, query))),
        ("only the first task is counted: the loss of F is a mean over tasks", mean(right[:1])),
        ("only the last task is counted: the loss of F is a mean over tasks", mean(right[-1:])),
        ("it is the sum over tasks, and over the query points of each: take the mean of both", T * Q * mean(right)),
        ("it is the sum over tasks: take the mean", T * mean(right)),
        ("it is the sum over the query points: take the mean", Q * mean(right)),
        ("the errors are not squared", float(np.mean(right))),
        ("the errors are not squared: these are absolute errors", float(np.mean(np.abs(right)))),
        ("a root is taken: the loss is the mean squared error itself", mean(right) ** 0.5),
        ("a factor 1/2 has slipped in: the squared error has none here", mean(right) / 2),
    ]


def check_loss_of_F(answer: Callable, rng: np.random.Generator) -> None:
    batches = [Sinusoids().sample(rng, tasks=T, shots=5, queries=7) for T in (4, 3)]
    mine = [answer(line, batch) for batch in batches]
    sentences = [sentence for sentence, _ in wrong_losses(batches[0])]
    values = [[value for _, value in wrong_losses(batch)] for batch in batches]
    right = np.array([loss_of_F(line, batch) for batch in batches])
    for value in mine:
        one_number("loss of F", value, "the mean over all tasks")
    judge("loss of F", np.array(mine), right, list(zip(sentences, np.transpose(values), strict=True)))


# -- 1.3: the curve that a task-blind network converges to ---------------------------------------------------


def wrong_curves(x: np.ndarray, amplitude: tuple[float, float], phase: tuple[float, float]) -> list[tuple[str, np.ndarray]]:
    """(sentence, curve) of every known mistake."""
    (least, most), (low, high) = amplitude, phase
    mean, wave = np.mean(amplitude), task_blind(Sinusoids(amplitude=(1.0, 1.0), phase=phase), x)
    return [
        ("this is the wave of mean amplitude and mean phase: the mean of the sines is not the sine of the mean",
         mean * np.sin(x - np.mean(phase))),
        ("this is the curve of the paper's ranges: use amplitude and phase", task_blind(Sinusoids(), x)),
        ("this is the curve of the paper's ranges: use amplitude and phase", -1.623 * np.cos(x)),  # as the text rounds it
        ("the integral over phi is not divided by the length of its range, high - low", (high - low) * mean * wave),
        ("the amplitude is the largest one: its mean is (lowest + highest) / 2", most * wave),
        ("the amplitude is half its range: its mean is (lowest + highest) / 2", (most - least) / 2 * wave),
        ("the amplitude is the whole range: its mean is (lowest + highest) / 2", (most - least) * wave),
        ("the mean amplitude is missing", wave),
        ("the two limits are added: an integral is the difference of the antiderivative at its limits",
         mean * (np.cos(x - high) + np.cos(x - low)) / (high - low)),
        ("sin stands where its antiderivative belongs: d cos(x - phi) / d phi = sin(x - phi)",
         mean * (np.sin(x - high) - np.sin(x - low)) / (high - low)),
        ("this is E[sin(x + phi)]: the tasks are A sin(x - phi)",
         mean * (np.cos(x + low) - np.cos(x + high)) / (high - low)),
        ("the answer is zero everywhere: that is so only if the phases go round the whole circle", 0 * x),
    ]  # fmt: skip


def check_curve(answer: Callable, rng: np.random.Generator) -> None:
    x = np.sort(rng.uniform(-5, 5, 9))
    low, length = rng.uniform(-2, 2), rng.uniform(0.5, 3)
    other = tuple(np.sort(rng.uniform(0.5, 6, 2))), (low, low + length)
    for name, amplitude, phase in (("curve", *other), ("the paper's", (0.1, 5.0), (0.0, np.pi))):
        mine = answer(x, amplitude, phase)
        right = task_blind(Sinusoids(amplitude=amplitude, phase=phase), x)
        judge(name, mine, right, wrong_curves(x, amplitude, phase))


# -- 1.4: the inner loop -------------------------------------------------------------------------------------


def fine_tuned(
    model: Network, theta: Parameters, x: np.ndarray, y: np.ndarray, inner_lr: float, steps: int, divide: float = 1.0
) -> Parameters:
    for _ in range(steps):
        theta = theta - (inner_lr / divide) * model.at(theta, x, y).gradient
    return theta


def wrong_ends(
    model: Network, theta: Parameters, x: np.ndarray, y: np.ndarray, inner_lr: float, steps: int
) -> list[tuple[str, Parameters]]:
    """(sentence, parameters) of every known mistake."""
    go = lambda rate=inner_lr, steps=steps, divide=1.0: fine_tuned(model, theta, x, y, rate, steps, divide)
    n, gradient = len(x), model.at(theta, x, y).gradient
    return [
        ("theta has not moved: `theta - ...` makes a new point, keep it", theta),
        ("the steps go uphill: subtract the gradient", go(-inner_lr)),
        ("every step uses the gradient at the start: take it again at theta_k", theta - steps * inner_lr * gradient),
        ("only one step is taken: the return is inside the loop, or theta is not kept", go(steps=1)),
        ("it is one step too few", go(steps=steps - 1)),
        ("it is one step too many", go(steps=steps + 1)),
        ("the learning rate is missing", go(1.0)),
        ("1/n is there twice: `gradient` is that of the mean loss already", go(divide=n)),
        ("the steps are n times too long: the loss is a mean over the examples", go(divide=1 / n)),
        ("this is the gradient, not the parameters after the steps", gradient),
    ]


def check_fine_tune(answer: Callable, rng: np.random.Generator) -> None:
    model = MLP([1, 4, 1], activation="tanh")
    theta = model.init(rng)
    task = Sinusoids(amplitude=(1.0, 2.0)).sample(rng, tasks=1, shots=5)
    for steps in (1, 3):
        problem = (model, theta, task.x_support[0], task.y_support[0], 0.05, steps)
        name = f"theta_{steps}"
        judge(name, answer(*problem), fine_tuned(*problem), wrong_ends(*problem))


CHECKS = {"1.1": check_shapes, "1.2": check_loss_of_F, "1.3": check_curve, "1.4": check_fine_tune}
