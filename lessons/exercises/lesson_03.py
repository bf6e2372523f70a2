"""The checks of lesson 03: derivatives from values, the relative error, and a bug hidden by broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from exercises.answers import judge, refuse, several
from tinymaml.check import Derivation, Problem, WrongAnswer, central_difference, complex_step
from tinymaml.check.compare import close


def _functions(rng: np.random.Generator) -> list[tuple[str, Callable, Any, Any]]:
    """(name, f, point, v): a function of an array, and the loss of a network as a function of theta."""
    powers = rng.uniform(2, 4, 3)
    problem = Problem(widths=(2, 3, 1), tasks=1, seed=int(rng.integers(2**31)))
    x, y = problem.batch.x_support[0], problem.batch.y_support[0]
    return [
        ("an array", lambda w: (w**powers).sum(), rng.uniform(2, 3, 3), rng.uniform(0.5, 1.5, 3)),
        ("a network", lambda theta: problem.model.at(theta, x, y).loss, problem.theta, problem.v),
    ]


def _central(answer: Callable, rng: np.random.Generator) -> None:
    h = 0.05
    for name, f, point, v in _functions(rng):
        here, ahead, behind = f(point), f(point + h * v), f(point + -h * v)
        length = float(np.sqrt((v * v).sum() if isinstance(v, np.ndarray) else v.dot(v)))
        unit = v / length
        known = [
            ("this is the forward difference: its error is of the order h; go to both sides of theta", (ahead - here) / h),
            ("this is the backward difference: its error is of the order h; go to both sides of theta", (here - behind) / h),
            ("it is divided by h: the two points are 2h apart", (ahead - behind) / h),
            ("it is not divided by 2h", ahead - behind),
            ("it is multiplied by h/2, not divided by 2h: write / (2 * h), with parentheses", (ahead - behind) / 2 * h),
            ("v is scaled to length one: along 2v a function changes twice as fast", central_difference(f, point, unit, h=h)),
            ("the points are theta +- v: the step is h v", (f(point + v) - f(point + -1 * v)) / (2 * h)),
            ("the points are theta +- h v / 2, which are h apart", (f(point + h / 2 * v) - f(point + -h / 2 * v)) / (2 * h)),
        ]
        judge(f"of {name}", answer(f, point, v, h), central_difference(f, point, v, h=h), known)


def _complex(answer: Callable, rng: np.random.Generator) -> None:
    for name, f, point, v in _functions(rng):
        mine, h = answer(f, point, v), 1e-30
        there = f(point + 1j * h * v)
        reference = complex_step(f, point, v)
        _imaginary(f"of {name}", mine, reference)
        known = [("the real part is divided by h: the derivative is in the imaginary part", there.real / h)]
        try:
            judge(f"of {name}", mine, reference, known)
        except WrongAnswer as wrong:
            if wrong.error > 1e-3 or wrong.diagnosis.startswith("the sign"):
                raise
            some = "only some digits are right: either truncation, because h is too large, or a difference, which cancels"
            sentence = f"of {name} is wrong: {some}"
            raise WrongAnswer(sentence, name=wrong.name, error=wrong.error, diagnosis=some, line=wrong.line) from None


def _imaginary(name: str, mine: Any, reference: float) -> None:
    """`WrongAnswer` for a complex answer, and for the two mistakes that leave next to nothing."""
    sentence = ""
    if np.ndim(mine) == 0 and not isinstance(mine, str):
        if np.iscomplexobj(mine):
            sentence = "the answer is complex: the derivative is its imaginary part, .imag"
        elif mine == 0:
            sentence = "the answer is 0: was the step real? It is 1j * h * v, and f must not drop the imaginary part"
        elif abs(mine) < 1e-20 * abs(reference):
            sentence = f"the answer is {mine:.1e}: the imaginary part has to be divided by h"
    if sentence:
        raise WrongAnswer(f"{name} is wrong: {sentence}", name=name, error=1.0, diagnosis=sentence)


def _relative_error(answer: Callable, rng: np.random.Generator) -> None:
    reference = np.sort(rng.uniform(1, 9, 6)).reshape(3, 2)
    mine = reference * np.sort(rng.uniform(1.5, 3, 6))[::-1].reshape(3, 2)  # far from the small entries most of all
    size, norm = (lambda a: float(np.sqrt((a * a).sum()))), np.linalg.norm
    gap, a, b = size(mine - reference), size(mine), size(reference)
    entries = np.abs(mine - reference) / np.maximum(mine, reference)
    known = [
        ("this is the absolute error: divide by the larger of the two norms", gap),
        ("it is divided by |reference|, so that it is not symmetric: divide by the larger norm", gap / b),
        ("it is divided by |mine|, so that it is not symmetric: divide by the larger norm", gap / a),
        ("it is divided by the sum of the norms: take the larger", gap / (a + b)),
        ("it is divided by the mean of the norms: take the larger", 2 * gap / (a + b)),
        ("this is the largest error of an entry: take the norms of all numbers together", entries.max()),
        ("this is the mean error of the entries: take the norms of all numbers together", entries.mean()),
        ("this is the error of every entry: take the norms of all numbers together", entries),
        ("the square roots are missing: these are squared norms", gap**2 / max(a, b) ** 2),
        ("this is the difference of the norms: take the norm of the difference", abs(a - b) / max(a, b)),
        ("these are sums of entries, not Euclidean norms", np.abs(mine - reference).sum() / max(mine.sum(), reference.sum())),
        ("these are largest entries: take Euclidean norms", np.abs(mine - reference).max() / mine.max()),
        ("this is the spectral norm of a matrix: take the Euclidean norm of all numbers, or ravel first",
         norm(mine - reference, 2) / max(norm(mine, 2), norm(reference, 2))),
    ]  # fmt: skip
    added = ("the floor is added: it is the least that is divided by, so take the maximum", gap / (a + 1e-3))
    judge("mine > ref", answer(mine, reference), gap / a, [*known, added])
    swapped = [("it is divided by |reference|, so that it is not symmetric: divide by the larger norm", gap / a),
               ("it is divided by |mine|, so that it is not symmetric: divide by the larger norm", gap / b)]  # fmt: skip
    judge("mine < ref", answer(reference, mine), gap / a, swapped)
    _floor(answer)
    _refuses(answer)


def _floor(answer: Callable) -> None:
    """0 against 0, and 1e-17 against 0: rounding, not errors."""
    zero, tiny = np.zeros(2), np.array([1e-17, 0.0])
    for name, mine, wanted in (("0 and 0", zero, 0.0), ("1e-17 and 0", tiny, 1e-14)):
        with np.errstate(all="ignore"):
            value = answer(mine, zero)
        if np.ndim(value) == 0 and (np.isnan(value) or abs(value - 1) < 1e-6):
            bare = "the floor is missing: around zero, rounding looks like a large error; divide by the floor at least"
            raise WrongAnswer(f"{name} is wrong: the answer is {value:.2g}; {bare}", name=name, error=1.0, diagnosis=bare)
        if np.ndim(value) == 0 and 0 < abs(value) < 2e-17:
            bare = "this is the absolute error: below the floor, divide by the floor"
            raise WrongAnswer(f"{name} is wrong: the answer is {value:.2g}; {bare}", name=name, error=1.0, diagnosis=bare)
        judge(name, value, wanted, tolerance=1e-6, floor=1e-20)
    mine, reference = np.array([3e-3, 4e-3]), np.array([0.0, 4e-3])
    judge("near floor", answer(mine, reference), 3e-3 / 5e-3)
    fixed = [("the floor is fixed: use the argument", 3e-3 / 5e-3)]
    judge("floor = 1", answer(mine, reference, floor=1.0), 3e-3, fixed)


def _refuses(answer: Callable) -> None:
    """Arrays of two shapes must not be broadcast."""
    for mine, reference in ((np.ones(3), np.ones((3, 1))), (np.ones((1, 1)), np.ones((1, 3)))):
        try:
            value = answer(mine, reference)
        except WrongAnswer as refusal:
            if isinstance(refusal.__cause__, ValueError):
                continue
            raise
        shapes = f"{mine.shape} against {reference.shape}"
        told = f"{shapes} was broadcast to {np.broadcast_shapes(mine.shape, reference.shape)}, and the answer is {value}"
        refuse("shapes", f"{told}: raise ValueError if mine.shape is not reference.shape")
    print(f"{'shapes':<12}  {'(3,), (3, 1)':<12}  {'refused with a ValueError':<24}  right")


def _mended(answer: Callable, rng: np.random.Generator) -> None:
    for widths in ((1, 6, 1), (2, 4, 3)):
        problem = Problem(widths=widths, shots=5, seed=int(rng.integers(2**31)))
        x, y = problem.batch.x_support[0], problem.batch.y_support[0]
        derivation = Derivation(problem.model, problem.theta, x, y)
        here = problem.model.at(problem.theta, x, y)
        loss, gradient = several(answer(problem.theta, x, y), "loss", "gradient")
        if not isinstance(gradient, Mapping) or gradient.keys() != problem.theta.keys():
            holds = ", ".join(map(str, gradient)) if isinstance(gradient, Mapping) else f"a {type(gradient).__name__}"
            refuse("the gradient", f"it holds {holds or 'nothing'}, expected a dict with {', '.join(problem.theta)}")
        print(f"on a network {' - '.join(map(str, widths))}:")
        _pairs_of_examples(loss, here)
        derivation.check("loss", loss)
        for l in (2, 1):
            _bias(f"db[{l}]", gradient[f"b{l}"], here.D[l])
            derivation.check(f"db[{l}]", gradient[f"b{l}"])
            derivation.check(f"dW[{l}]", gradient[f"W{l}"])


def _pairs_of_examples(loss: Any, here: Any) -> None:
    """`WrongAnswer` for a loss over all pairs of a prediction and a target."""
    z, y = here.prediction[:, 0], here.y
    pairs = (z - y[:, :1]) ** 2  # (n, n)
    if y.shape[1] == 1 and any(np.ndim(loss) == 0 and close(loss, value) for value in (pairs.mean(), pairs.sum() / len(y))):
        n = len(y)
        what = f"the loss is taken over all ({n}, {n}) pairs of a prediction and a target: one of the two lost its last axis"
        raise WrongAnswer(f"loss is wrong: {what}, and broadcasting paired everything", name="loss", error=1.0, diagnosis=what)


def _bias(name: str, mine: Any, D: np.ndarray) -> None:
    """`WrongAnswer` for a bias gradient that broadcasting would let through."""
    n, d = D.shape
    got, sentence = np.shape(mine), ""
    if got != (1, d) and d > 1 and np.size(mine) == 1 and close(np.ravel(mine), np.ravel(D.sum())):
        sentence = (
            f"it is the sum over examples and units. Beside b of shape (1, {d}) broadcasting spreads this one number "
            f"over all {d} units: each moves by the same amount. Sum over the examples only"
        )
    elif got == (1, d) and d > 1 and close(mine, np.broadcast_to(D.sum(), (1, d))):
        sentence = "every unit has the sum over all units: sum over the examples only, then nothing needs to be spread"
    elif np.size(mine) == n and close(np.ravel(mine), D.sum(1)) and (n > 1 or d > 1):
        sentence = (
            f"it is summed over the units, one number an example. b - lr * db would become ({n}, {d}), "
            "a bias for every example, without a word. Sum over axis 0"
        )
    elif got == (1, d) and n > 1 and close(mine, D.mean(0, keepdims=True)):
        sentence = "it is the sum over the examples, not the mean: 1/n is in D already (eq. 3)"
    elif np.size(mine) == 1 and d > 1 and close(np.ravel(mine), np.ravel(D.mean())):
        sentence = "it is the mean over examples and units: sum over the examples only"
    if sentence:
        shapes = f"the answer has shape {got}, expected {(1, d)}: " if got != (1, d) else ""
        raise WrongAnswer(f"{name} is wrong: {shapes}{sentence}", name=name, error=np.inf, diagnosis=sentence)


CHECKS = {"3.1": _central, "3.2": _complex, "3.3": _relative_error, "3.4": _mended}

