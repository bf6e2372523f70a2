"""The exercises of lesson 09: a rate for each entry, how far arrays move, and how alike two layers are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from exercises.exercise import Exercise, Parts
from exercises.lesson_05 import task
from tinymaml import Parameters


def with_rates(rng: np.random.Generator, widths: Sequence[int], steps: int, frozen: Sequence[str] = ()) -> tuple:
    """A task of lesson 05, with a rate for each entry of theta; those of the arrays in `frozen` are zero."""
    model, theta, support, query = task(rng, widths)
    rates = {name: rng.uniform(-0.1, 0.4, array.shape) * (name not in frozen) for name, array in theta.items()}
    return model, theta, support, query, Parameters(rates), steps


BY_RATES = Exercise(
    """def by_rates(model, theta, support, query, alpha, steps):
    tape = []
    for _ in range(steps):
        tape.append(model.at(theta, *support))
        theta = theta - alpha * tape[-1].gradient
    u = model.at(theta, *query).gradient
    for here in reversed(tape):
        u = u - here.hvp(alpha * u)
    return u
""",
    lambda rng: [with_rates(rng, (2, 3, 2), 1), with_rates(rng, (2, 3, 1), 3), with_rates(rng, (2, 3, 2), 2, ("W1", "b1"))],
    ("u[0]",),
    (
        ("here.hvp(alpha * u)", "alpha * here.hvp(u)", "the rates stand outside of the product, alpha o (H u): with a rate for each entry this is not H (alpha o u)"),
        ("u - here.hvp(alpha * u)", "u - alpha * here.hvp(alpha * u)", "the rates come twice in the curvature term"),
        ("here.hvp(alpha * u)", "here.hvp(u)", "the rates are missing in the curvature term"),
        ("u = u - here.hvp(alpha * u)", "pass", "this is first-order MAML: the curvature term is missing (eq. 12)"),
        ("u - ", "u + ", "the curvature term has the wrong sign: eq. 12 subtracts it"),
        ("u - here.hvp(alpha * u)", "here.hvp(alpha * u)", "this is the curvature term alone: eq. 12 subtracts it from u_{k+1}"),
        ("here.hvp(alpha * u)", "here.hvp(float(np.mean(alpha.flat)) * u)", "one rate, the mean of all, is used in the curvature term: each entry has its own"),
        ("return u", "return u.map(np.copy) * alpha.map(lambda rate: (rate != 0) * 1.0)",
         "entries whose rate is zero get no gradient: they do not adapt, and the outer loop moves them all the same"),
        ("return u", "return alpha * u", "the rates multiply the result: the meta-gradient moves theta with the outer rate"),
        ("alpha * tape", "float(np.mean(alpha.flat)) * tape", "one rate, the mean of all, is used in the inner steps: each entry has its own"),
        ("model.at(theta, *query)", "model.at(tape[0].theta, *query)", "u_K is taken at theta, not at theta_K"),
        ("for here in reversed(tape)", "for here in [tape[0]] * steps", "every Hessian is taken at theta_0: each step has its own"),
        ("here.hvp(alpha * u)", "model.at(here.theta, *query).hvp(alpha * u)", "the Hessian is that of the query loss: eq. 12 has that of the support loss"),
        ("here.hvp(alpha * u)", "model.at(here.theta - alpha * here.gradient, *support).hvp(alpha * u)", "the Hessian is taken at theta_{k+1}, after the step: eq. 12 has the one at theta_k"),
        ("theta = theta - alpha * ", "theta = theta - ", "the rates are missing in the inner steps (eq. 11)"),
        ("theta = theta - ", "theta = theta + ", "the inner steps go uphill: eq. 11 subtracts"),
        ("tape[-1].gradient", "tape[0].gradient", "every inner step uses the gradient at theta_0: each takes its own (eq. 11)"),
        ("reversed(tape)", "tape", "the Hessians come in the wrong order: the way back begins at the last step"),
        ("reversed(tape)", "tape[:1]", "only the first inner step is differentiated: eq. 12 goes back through each"),
        ("reversed(tape)", "tape[-1:]", "only the last inner step is differentiated: eq. 12 goes back through each"),
        ("*query).gradient", "*support).gradient", "u_K is the gradient on the support set: it is that of the query loss"),
        ("    tape = []", "    support, query = query, support\n    tape = []", "the support and the query set are swapped"),
    ),
    alone=(
        ("    tape = []", "    alpha, tape = float(np.mean(alpha.flat)), []", "one rate, the mean of all, is used everywhere: each entry has its own"),
    ),
)  # fmt: skip


def copies(rng: np.random.Generator, tasks: int, widths: Sequence[int]) -> tuple:
    """A theta, and adapted copies of it, one for each task."""
    _, theta, *_ = task(rng, widths)
    moved = {name: array + rng.uniform(0.05, 0.3) * rng.standard_normal((tasks, *array.shape)) for name, array in theta.items()}
    return theta, Parameters(moved)


class Row(Exercise):
    """An exercise whose answer is a row of numbers: a list of them is as good as an array."""

    def parts(self, answer: Callable, case: tuple, wanted: Parts | None = None) -> Parts:
        row = lambda thing: isinstance(thing, list | tuple) and thing and all(np.ndim(number) == 0 for number in thing)
        return super().parts(lambda *given: np.array(value) if row(value := answer(*given)) else value, case, wanted)


MOVEMENT = Row(
    """def movement(theta, theta_K):
    moved = theta_K - theta  # (T, ...)
    lengths = {name: np.sqrt((moved[name] ** 2).sum((-2, -1))) for name in theta}  # (T,)
    return np.array([lengths[name].mean() / np.linalg.norm(theta[name]) for name in theta])
""",
    lambda rng: [copies(rng, 3, (2, 3, 2)), copies(rng, 5, (1, 4, 1))],
    ("movement",),
    (
        ("lengths[name].mean()", "lengths[name].sum()", "the lengths are added up over the tasks: take their mean"),
        ("lengths[name].mean()", "lengths[name][0]", "only the first task is looked at: take the mean over all"),
        ("lengths[name].mean()", "np.linalg.norm(lengths[name])", "all tasks are in one length: take the length of each, then their mean"),
        ("lengths[name].mean()", "np.linalg.norm(moved[name].mean(0))",
         "this is the length of the mean move: moves of several tasks cancel there, so take the mean of the lengths"),
        ("lengths[name].mean()", "np.sqrt((lengths[name]**2).mean())", "this is the root of the mean square of the lengths: take their mean"),
        (" / np.linalg.norm(theta[name])", "", "it is not divided by the length of the array in theta"),
        ("np.linalg.norm(theta[name])", "np.linalg.norm(theta.flat)", "it is divided by the length of all of theta: by that of the same array"),
        ("np.linalg.norm(theta[name])", "np.linalg.norm(theta_K[name].mean(0))", "it is divided by the length of the mean copy: by that of theta"),
        ("np.linalg.norm(theta[name])", "np.linalg.norm(theta[name])**2", "it is divided by the squared length"),
        ("np.linalg.norm(theta[name])", "np.abs(theta[name]).sum()", "it is divided by the sum of the absolute entries: the length is the root of the sum of squares"),
        ("np.sqrt((moved[name] ** 2).sum((-2, -1)))", "np.sqrt((moved[name] ** 2).sum(-1)).mean(-1)", "the lengths of the rows are averaged: an array has one length, the root of the sum of all squares"),
        ("lengths[name].mean()", "np.abs(np.sqrt((theta_K[name] ** 2).sum((-2, -1))) - np.linalg.norm(theta[name])).mean()", "this is the difference of two lengths: take the length of the difference"),
        ("lengths[name].mean()", "(np.sqrt((theta_K[name] ** 2).sum((-2, -1))) - np.linalg.norm(theta[name])).mean()", "this is the difference of two lengths, with its sign: take the length of the difference"),
        ("lengths[name].mean() / np.linalg.norm(theta[name])", "np.mean(np.abs(moved[name]) / np.abs(theta[name]))", "each entry is divided by its own: an array has one length, the root of the sum of all squares"),
        ("lengths[name].mean() / np.linalg.norm(theta[name])", "(lengths[name] / np.sqrt((theta_K[name] ** 2).sum((-2, -1)))).mean()", "it is divided by the lengths of the copies: by that of theta"),
        ("np.linalg.norm(theta[name])", "theta[name].size", "it is divided by the number of entries: by the length of the array in theta"),
        ("np.sqrt((moved[name] ** 2).sum((-2, -1)))", "(moved[name] ** 2).sum((-2, -1))", "the square root is missing: a length is the root of the sum of squares"),
        ("np.sqrt((moved[name] ** 2).sum((-2, -1)))", "np.abs(moved[name]).sum((-2, -1))", "the absolute entries are added up: a length is the root of the sum of squares"),
        (".sum((-2, -1))", ".mean((-2, -1))", "this is the root of a mean of squares: a length has their sum"),
        ("theta_K - theta  ", "theta_K  ", "these are the lengths of the copies: theta is to be subtracted first"),
    ),
)  # fmt: skip


def features(rng: np.random.Generator, n: int, widths: tuple[int, int], mean: float) -> tuple:
    """Two layers of the same examples, that have something in common."""
    common = rng.standard_normal((n, 2))
    layer = lambda width: common @ rng.standard_normal((2, width)) + 0.5 * rng.standard_normal((n, width)) + mean * rng.standard_normal(width)
    return tuple(layer(width) for width in widths)


SIMILARITY = Exercise(
    """def similarity(a, b):
    a, b = a - a.mean(0), b - b.mean(0)
    A, B = a @ a.T, b @ b.T  # (n, n): how alike two examples are
    return (A * B).sum() / np.sqrt((A * A).sum() * (B * B).sum())
""",
    lambda rng: [features(rng, *how) for how in ((7, (3, 3), 2.0), (5, (4, 4), 0.5), (6, (3, 5), 1.0))],
    ("similarity",),
    (
        ("a - a.mean(0), b - b.mean(0)", "(a - a.mean(0)) / a.std(0), (b - b.mean(0)) / b.std(0)", "the units are divided by their standard deviation: only their means are subtracted"),
        ("(A * B).sum()", "(A @ B).sum()", "A @ B is the product of matrices: multiply entry by entry, A * B"),
        ("a - a.mean(0), b - b.mean(0)", "a, b", "the means are not subtracted: a number that all examples share would make them alike"),
        (".mean(0)", ".mean(1, keepdims=True)", "the mean over the units is subtracted: it is that over the examples, .mean(0)"),
        (".mean(0)", ".mean()", "one mean of all numbers is subtracted: each unit has its own, .mean(0)"),
        ("np.sqrt((A * A).sum() * (B * B).sum())", "((A * A).sum() * (B * B).sum())", "the square root is missing: of the product of the two sums of squares"),
        (" / np.sqrt((A * A).sum() * (B * B).sum())", "", "this is the product alone: a cosine divides by both lengths"),
        ("np.sqrt((A * A).sum() * (B * B).sum())", "A.size", "this is a mean of products: a cosine divides by both lengths"),
        ("np.sqrt((A * A).sum() * (B * B).sum())", "(A * A).sum()", "it is divided by the square of A alone: by the lengths of both"),
        ("(A * B).sum() / np.sqrt((A * A).sum() * (B * B).sum())", "((A * B).sum() / np.sqrt((A * A).sum() * (B * B).sum()))**2", "this is the square of the cosine"),
        ("(A * B).sum() / np.sqrt((A * A).sum() * (B * B).sum())", "np.sqrt((A * B).sum() / np.sqrt((A * A).sum() * (B * B).sum()))", "this is the root of the cosine"),
        ("(A * B).sum() / np.sqrt((A * A).sum() * (B * B).sum())", "1 - (A * B).sum() / np.sqrt((A * A).sum() * (B * B).sum())", "this is a distance: it is 1 for layers that are alike"),
        ("a @ a.T, b @ b.T", "a, a @ np.linalg.lstsq(a, b, rcond=None)[0]", "b is replaced by its best fit from a: compare the tables of examples, a a^T and b b^T"),
        ("(A * B).sum() / np.sqrt((A * A).sum() * (B * B).sum())", "(A @ B).sum() / np.sqrt((A @ A).sum() * (B @ B).sum())", "@ is the product of matrices: multiply entry by entry, A * B, A * A and B * B"),
        ("(A * B).sum()", "np.trace(A) * np.trace(B)", "only the diagonals are used: all pairs of examples count"),
    ),
    alone=(
        ("a @ a.T, b @ b.T  # (n, n): how alike two examples are", "a, b[:, :a.shape[1]] if b.shape[1] >= a.shape[1] else b",
         "this compares unit with unit: it changes when the units come in another order, so compare the tables a a^T and b b^T"),
        ("A, B = a @ a.T, b @ b.T", "norms = lambda v: v / np.linalg.norm(v, axis=1, keepdims=True)\n    a, b = norms(a), norms(b)\n    A, B = a @ a.T, b @ b.T",
         "the rows are scaled to length one: take their products as they are"),
    ),
)  # fmt: skip

CHECKS = {"9.1": BY_RATES, "9.2": MOVEMENT, "9.3": SIMILARITY}
movement, similarity = MOVEMENT.solve, SIMILARITY.solve  # the lesson goes on with them
