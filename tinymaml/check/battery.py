"""A battery of checks for any model that `maml.py` can train, similar to scikit-learn's check_estimator.

    check_model(model, rng)                     # a network of layers: random data are generated
    check_model(model, rng, batch=batch)        # any model with `init` and `at`, on your own tasks

Every check runs on cases of growing size and stops at the smallest one that fails. Every failure is reported; checks that
rely on a failed one are not made, and none is made where names or shapes are wrong.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.check.case import Case, Off, is_rounding
from tinymaml.check.compare import Line, close
from tinymaml.check.derivatives import adaptive_difference, complex_step, on_a_kink
from tinymaml.check.model_checks import CHECKS, OF_META_LOSS, RELY_ON, STRUCTURE
from tinymaml.check.problem import random_batch
from tinymaml.maml import adapt
from tinymaml.nn.network import Network
from tinymaml.parameters import Parameters
from tinymaml.rl.sampled import SampledPolicy
from tinymaml.tasks import TaskBatch

KINK = (
    "theta is on a kink of the loss (a pre-activation of relu is zero, as with x = 0 and zero biases), where it has no "
    "derivative. All was checked at a point nearby."
)
ESTIMATE = (
    "gradient and hvp are estimates, not derivatives of the loss of a sample. They were checked as derivatives of the "
    "surrogate loss of these episodes (eq. 25). The meta-gradient was checked against eq. 12 alone."
)
SIZES = ((1, 1), (1, 2), (2, 3), (3, 4))  # maximum numbers of tasks, and of examples per support and per query set


class ModelRejected(AssertionError):
    """Some checks failed; `failures` is {name of the check: message}."""

    def __init__(self, report: str, failures: dict[str, str]):
        super().__init__(report)
        self.failures = failures

    def __reduce__(self) -> tuple:
        return ModelRejected, (*self.args, self.failures)  # for pickle, which a process pool uses


def check_model(
    model: Any,
    rng: np.random.Generator,
    *,
    theta: Parameters | None = None,
    batch: TaskBatch | None = None,
    inner_lr: float = 0.05,
) -> Line:
    """Run every check on `model`; prints and returns the report, or raises `ModelRejected` with every failure.

    model     has `at(theta, x, y)` with loss, gradient and hvp, and `init(rng)` unless theta is given
    batch     the tasks to check it on; a `Network` does not need them
    inner_lr  the inner learning rate of the meta-gradients

    Derivatives are taken by complex step (to 1e-9) if the model accepts complex numbers, else by differences (to 1e-6).
    If theta is on a kink of the loss, a point nearby is checked; if the inner loop diverges, a smaller inner_lr is used; for
    a `SampledPolicy` the surrogate loss is differentiated. A note in the report says so. TypeError without theta or data.
    """
    if batch is None and not isinstance(model, Network):
        raise TypeError(f"there is no data for a {type(model).__name__}: pass batch=TaskBatch(...) of your own tasks")
    if theta is None and not hasattr(model, "init"):
        raise TypeError(f"a {type(model).__name__} has no init(rng): pass theta=Parameters(...)")
    results, note = run_checks(model, rng, theta=theta, batch=batch, inner_lr=inner_lr)
    failures = {name: result.failure for name, result in results.items() if result.failure}
    verdict = lambda name: "wrong" if name in failures else "right" if name in results else "not checked"
    lines = [f"{name:<24}{verdict(name)}" for name in (CHECKS if failures else results)]
    title = getattr(model, "title", type(model).__name__)
    report = "\n".join([f"check_model: {title}", *lines, *([f"note: {note}"] if note else [])])
    if failures:
        details = ""
        for message in dict.fromkeys(failures.values()):  # each message once
            name, *others = [name for name in failures if failures[name] == message]
            others = f", and {len(others)} other{'s' * (len(others) > 1)}" if others else ""
            details += f"\n\n{name}{others}: {message}"
        raise ModelRejected(f"{len(failures)} of {len(CHECKS)} checks failed\n{report}{details}", failures)
    print(report)
    return Line(report)


@dataclass(frozen=True)
class CheckResult:
    """The largest error of one check over all cases, and the message of its failure ("" for none)."""

    error: float
    failure: str = ""


def run_checks(
    model: Any,
    rng: np.random.Generator,
    *,
    theta: Parameters | None = None,
    batch: TaskBatch | None = None,
    inner_lr: float = 0.05,
    tolerance: float = 1e-9,
) -> tuple[dict[str, CheckResult], str]:
    """{name: result} of the checks that were made, and a note on differences, a point near a kink or a smaller rate."""
    validate.generator(rng)
    validate.rate("inner_lr", inner_lr)
    if theta is not None:
        validate.parameters("theta", theta)
    cases = list(_cases(model, rng, theta, batch, inner_lr, tolerance))
    results = {STRUCTURE: _run(CHECKS[STRUCTURE], cases)}
    if results[STRUCTURE].failure:
        return results, ""
    notes = []
    if any(_on_a_kink(case) for case in cases):
        nearby = lambda array: array + 0.01 * rng.standard_normal(array.shape)
        cases, notes = [replace(case, theta=case.theta.map(nearby)) for case in cases], [KINK]
    cases = [_with_stable_rate(case) for case in cases]
    slowest = min(case.inner_lr for case in cases)
    if slowest != inner_lr:
        notes.append(f"the inner loop diverges at inner_lr {inner_lr}: it was checked at {slowest:.1g}.")
    sampled = isinstance(model, SampledPolicy)
    if sampled:
        cases, note = [replace(case, tolerance=max(tolerance, 1e-7)) for case in cases], ESTIMATE
    else:
        cases, note = _choose_derivative(cases)
    for name, check in CHECKS.items():
        relies_on_wrong = any(other in results and results[other].failure for other in RELY_ON.get(name, ()))
        if name not in results and not relies_on_wrong and not (sampled and name in OF_META_LOSS):
            results[name] = _run(check, cases)
    return results, " ".join([*notes, note]).strip()


def _run(check: Callable[[Case], float], cases: list[Case]) -> CheckResult:
    """One check on cases of growing size, up to the first that fails."""
    errors = []
    for case in cases:
        try:
            errors.append(check(case))
        except Exception as wrong:  # any exception of the model is a failure of this check
            if isinstance(wrong, Off) and is_rounding(wrong, check, case):
                errors.append(min(wrong.tolerance, case.tolerance))
                continue
            message = str(wrong) if isinstance(wrong, AssertionError) else f"the model stops with {type(wrong).__name__}: {wrong}"
            if isinstance(wrong, AttributeError) and wrong.name in ("loss", "gradient", "hvp"):
                message = f"{type(wrong.obj).__name__}, the result of at(theta, x, y), has no {wrong.name}: give it one"
            return CheckResult(np.inf, f"{message}\nsmallest example: {case}")
    return CheckResult(float(max(errors)))


def _cases(
    model: Any, rng: np.random.Generator, theta: Parameters | None, batch: TaskBatch | None, inner_lr: float, tolerance: float
) -> Iterator[Case]:
    """Cases of growing size; each has a new random theta unless the caller passes one."""
    batch = random_batch(model, rng, tasks=3, shots=4, queries=4) if batch is None else batch
    normal = lambda array: rng.standard_normal(array.shape)
    for tasks, n in SIZES:
        n = max(n, getattr(model, "min_examples", 1))
        here = theta
        if theta is None:
            here = model.init(rng)
            validate.parameters("init(rng)", here)
            here = here.map(lambda array: array + 0.1 * normal(array))
        small = batch.map(lambda array, tasks=tasks, n=n: array[:tasks, :n])
        yield Case(model, here, here.map(normal), here.map(normal), small, inner_lr, tolerance)


def _on_a_kink(case: Case) -> bool:
    """Whether the support loss, the query loss or a gradient of one of them has a kink at theta along v."""
    query = lambda theta: case.model.at(theta, case.batch.x_query, case.batch.y_query)
    both = [lambda theta, at=at, what=what: getattr(at(theta), what) for at in (case.at, query) for what in ("loss", "gradient")]
    try:
        return any(on_a_kink(f, case.theta, case.v) for f in both)
    except Exception:  # the checks will report any exception
        return False


def _with_stable_rate(case: Case) -> Case:
    """The case with an inner learning rate at which three steps do not diverge."""
    for _ in range(10):
        try:
            with np.errstate(all="ignore"):
                fast = 3 * case.inner_lr  # rates per entry can be this large
                theta = adapt(case.model, case.theta, case.x, case.y, inner_lr=fast, steps=3)
                loss = np.max(np.abs(case.at(theta).loss))
                if loss < 1e6 * max(1.0, np.max(np.abs(case.here.loss))):
                    break
        except Exception:  # the checks will report any exception
            break
        case = replace(case, inner_lr=case.inner_lr / 4)
    return case


def _choose_derivative(cases: list[Case]) -> tuple[list[Case], str]:
    """Complex step, unless a difference contradicts it: an abs or a cast to float invalidates it."""
    differences = [replace(case, derivative=adaptive_difference, tolerance=1e-6) for case in cases]
    case = cases[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for f in (lambda theta: case.at(theta).loss, lambda theta: case.at(theta).gradient):
                if not close(complex_step(f, case.theta, case.v), adaptive_difference(f, case.theta, case.v), 1e-5):
                    why = "complex theta gives another derivative: is there an abs, max or .real on the way?"
                    return differences, f"{why} All was checked by differences, to 1e-6"
    except Exception as refusal:
        return differences, f"the model does not take complex theta ({refusal}). All was checked by differences, to 1e-6"
    return cases, ""
