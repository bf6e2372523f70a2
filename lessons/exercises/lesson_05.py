"""Checks of lesson 05: the meta-gradient, eqs. 11-13."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from exercises.answers import Known, judge_derived, refuse
from exercises.meta import (
    Inner,
    by_layers,
    check_update,
    in_parts,
    kind_of,
    of_another_product,
    of_another_u_1,
    part_of_curvature,
    parts_of_step,
    same,
    slips,
)
from tinymaml import MLP, Parameters
from tinymaml.check import MetaDerivation, Problem, WrongAnswer
from tinymaml.check.compare import mismatch
from tinymaml.check.meta_derivation import MISTAKES, outer_loop
from tinymaml.tasks import TaskBatch


class OneTask:
    """`MetaDerivation` of a single task, without its task axis; `given` is what a student's function is called with."""

    def __init__(self, rng: np.random.Generator, steps: int, widths: Sequence[int] = (2, 3, 2), inner_lr: float = 0.3):
        model = MLP(list(widths), activation="tanh")
        normal = lambda *shape: rng.standard_normal(shape)
        theta = model.init(rng).map(lambda array: array + 0.3 * normal(*array.shape))
        data = lambda n: (normal(n, widths[0]), normal(n, widths[-1]))
        support, query = data(4), data(3)
        batch = TaskBatch(*(array[None] for array in (*support, *query)))
        self.given = model, theta, support, query, inner_lr
        self.derivation = MetaDerivation(model, theta, batch, inner_lr=inner_lr, steps=steps)
        self.inner = Inner(model, theta, support, query, inner_lr, steps)

    def reference(self, name: str) -> Parameters:
        return self.derivation.reference(name).task(0)

    def check(self, name: str, mine: Any) -> None:
        different = mismatch(mine, self.reference(name))
        if different:
            refuse(name, different + kind_of(mine))
        self.derivation.check(name, {key: np.asarray(array)[None] for key, array in mine.items()})

    def judge(self, name: str, mine: Any, known: Iterator[Known], k: int) -> None:
        """`judge_derived`, in the words of the exercise."""
        try:
            judge_derived(self, name, mine, known)
        except WrongAnswer as wrong:
            sentence, K = str(wrong).removesuffix(wrong.line).rstrip(), self.inner.steps
            if not wrong.diagnosis and k < K:
                path = [self.reference(f"theta[{i}]") for i in range(K + 1)]
                parts, right = parts_of_step(self.inner, k, self.reference(f"u[{k + 1}]"), path), self.reference(name)
                made = in_parts(mine, parts)
                where = "" if K == 1 else f", with k = {k}"
                told = f"it is {made}, where eq. 12 has u_{{k+1}} - H_S(theta_k)(alpha u_{{k+1}}){where}"
                one = "" if made or K > 1 else of_another_product(mine, self.inner) or of_another_u_1(mine, self.inner)
                told = told if made else one or by_layers(mine, right, parts)
                sentence = f"{name} is wrong: {told}" if told else sentence
            sentence = _in_words(sentence, K)
            raise WrongAnswer(sentence, name=name, error=wrong.error, diagnosis=wrong.diagnosis, line=wrong.line) from None


# the library speaks of any number of steps, or of one: theta_{k+1} is theta' where there is one step
FOR_ONE_STEP = {"theta_{k+1}": "theta'", "theta_k": "theta", "theta_K": "theta'", "u_{k+1}": "u_1", "u_K": "u_1",
                "theta[1]": "theta'"}  # fmt: skip
FOR_STEPS = {"theta'": "theta_K"}


def _in_words(sentence: str, steps: int) -> str:
    for general, here in (FOR_ONE_STEP if steps == 1 else FOR_STEPS).items():
        sentence = sentence.replace(general, here)
    return sentence


def one_step(answer: Callable, rng: np.random.Generator) -> None:
    """5.1: the meta-gradient of one task after one inner step."""
    for widths, inner_lr in (((2, 3, 2), 0.3), ((3, 4, 1), 0.1)):
        task = OneTask(rng, 1, widths, inner_lr)
        mine = answer(*task.given)
        task.judge("u[0]", mine, _one_step_slips(task, mine), 0)


def _one_step_slips(task: OneTask, mine: Any) -> Iterator[Known]:
    at, theta, alpha = task.inner.at, task.inner.theta, task.inner.alpha
    here = at(theta, task.inner.support)
    copy = theta - alpha * here.gradient
    u_1, u_0 = task.reference("u[1]"), task.reference("u[0]")
    yield "this is theta', the adapted copy: the answer is a gradient", copy
    yield "this is a new theta: return the gradient, and take no outer step here", theta - alpha * u_0
    yield "this is a new theta, moved along u_1: return the gradient, and take no step here", theta - alpha * u_1
    yield "this is a new theta', the copy moved: return the gradient, and take no outer step here", copy - alpha * u_0
    yield "the Hessian is applied to the support gradient: eq. 12 applies it to alpha u_1", u_1 - here.hvp(alpha * here.gradient)
    yield ("the Hessian is applied to the query gradient at theta: eq. 12 applies it to alpha u_1, and u_1 is taken at theta'",
           u_1 - here.hvp(alpha * at(theta, task.inner.query).gradient))  # fmt: skip
    yield "it is the absolute value of the right answer: keep the signs", u_0.map(np.abs)
    yield "these are the signs of the right answer, without its lengths", u_0.map(np.sign)
    yield QUERY_HESSIAN, u_1 - at(copy, task.inner.query).hvp(alpha * u_1)
    yield from ((sentence, u[0]) for sentence, u in slips(task.inner))
    curved = u_1 - u_0
    yield "the curvature term is multiplied by u_1, number by number: eq. 12 subtracts it", u_1 - curved * u_1
    yield "the curvature term is squared", u_1 - curved * curved
    yield from part_of_curvature(mine, u_1, u_1 - u_0, alpha)


QUERY_HESSIAN = "the Hessian is that of the query loss: eq. 12 has the support loss"


def back_through_steps(answer: Callable, rng: np.random.Generator) -> None:
    """5.2: u_K, u_{K-1}, ..., u_0 of one task, eq. 12."""
    _back_through(answer, OneTask(rng, 3), 3)
    for K, widths, inner_lr in ((1, (2, 3, 2), 0.3), (4, (2, 3, 1), 0.1)):
        try:
            _back_through(answer, OneTask(rng, K, widths, inner_lr), K)
        except WrongAnswer as wrong:
            if wrong.__cause__ is None:
                raise
            told = f"{wrong}\nThis is with steps = {K}; with 3 it was right. Is a number in the place of `steps`?"
            raise WrongAnswer(told, name=wrong.name, error=wrong.error) from wrong.__cause__


def _back_through(answer: Callable, task: OneTask, K: int) -> None:
    mine = answer(*task.given, K)
    if isinstance(mine, (list, tuple)):
        mine = dict(enumerate(mine))
    if isinstance(mine, Parameters) or not isinstance(mine, Mapping):
        refuse("u", f"the answer is a {type(mine).__name__}, expected a dictionary of all u[k]: return u, with u[{K}], ..., u[0]")
    right = {k: task.reference(f"u[{k}]") for k in range(K + 1)}
    if mine.keys() != right.keys():
        got = f"with steps = {K} it has the keys {sorted(mine, key=str)}, expected {list(right)}"
        refuse("u", f"{got}: {_keys(task, mine, right)}")
    for k, value in mine.items():
        if mismatch(value, right[k]):
            refuse(f"u[{k}]", mismatch(value, right[k]))
    if _one_object(mine[0], mine[K]) and not same(mine[K], right[K]):
        refuse("u", "all u[k] are one object, with the numbers of one: was it changed in place? "
                    "Each step back must make a new one, as `u[k + 1] - ...` does")  # fmt: skip
    if all(same(mine[K - k], right[k]) for k in right):
        refuse("u", f"they come in the order of the way back: u[{K}], the first to be found, must stand at {K}, and u[0] at 0")
    if all(same(value, theta) for value, theta in zip((mine[k] for k in sorted(mine)), _thetas(task, K), strict=True)):
        refuse("u", "these are theta_0, ..., theta_K: u[k] is the gradient with respect to theta_k")
    for sentence, wrong in _ways(task):  # all u[k] at once: one mistake explains them together
        if all(same(mine[k], wrong[k]) for k in right) and not all(same(wrong[k], right[k]) for k in right):
            refuse("u", _in_words(sentence, K))
    for k in range(K, -1, -1):
        task.judge(f"u[{k}]", mine[k], _back_slips(task, mine, k), k)


def _ways(task: OneTask) -> Iterator[tuple[str, dict[int, Parameters]]]:
    """(sentence, {k: u_k}) of every known mistake that is made at all steps."""
    of, K = task.derivation, task.inner.steps
    for key, sentence in MISTAKES.items():
        made = outer_loop(of.model, of.theta, of.batch, of.inner_lr, K, [key])
        yield sentence, {k: made[f"u[{k}]"].task(0) for k in range(K + 1)}
    yield from slips(task.inner)


def _thetas(task: OneTask, K: int) -> list[Parameters]:
    return [task.reference(f"theta[{k}]") for k in range(K + 1)]


def _one_object(one: Mapping, other: Mapping) -> bool:
    return all(np.shares_memory(one[name], other[name]) for name in one)


def _keys(task: OneTask, mine: Mapping, right: Mapping) -> str:
    """What is to be said of an answer that has other keys than 0..K."""
    if all(same(mine.get(k + 1), right[k]) for k in right):
        return "they are off by one, what stands at k + 1 is u_k"
    if all(same(mine.get(k - 1), right[k]) for k in right):
        return "they are off by one, what stands at k - 1 is u_k"
    lost, more = [k for k in reversed(list(right)) if k not in mine], [k for k in mine if k not in right]
    if mine and set(mine) == set(range(len(mine))) and len(mine) > 1:
        other = task.inner.u(steps=len(mine) - 1)
        if all(same(mine[k], other[k]) for k in other):
            return f"this is the answer for {len(mine) - 1} steps; is a number in the place of `steps`?"
    return f"u[{lost[0]}] is missing" if lost else f"{more[0]!r} is no step"


def _back_slips(task: OneTask, mine: Mapping, k: int) -> Iterator[Known]:
    K, inner = task.inner.steps, task.inner
    if k == K:
        yield from ((sentence, u[K]) for sentence, u in slips(inner))
    else:
        later = task.reference(f"u[{k + 1}]")
        end = inner.at(task.reference(f"theta[{K}]"), inner.query)
        yield QUERY_HESSIAN, later - end.hvp(inner.alpha * later)
        yield from part_of_curvature(mine[k], later, later - task.reference(f"u[{k}]"), inner.alpha)


def update(answer: Callable, rng: np.random.Generator) -> None:
    """5.3: one iteration of the outer loop, eq. 13 with plain gradient descent: theta moves."""
    seed = lambda: int(rng.integers(2**31))
    for problem, alpha, beta in (
        (Problem((2, 3, 2), tasks=3, shots=4, queries=5, seed=seed()), 0.3, 0.7),
        (Problem((3, 4, 1), tasks=2, shots=3, queries=4, seed=seed()), 0.1, 0.2),
    ):
        check_update(answer, problem.model, problem.theta, problem.batch, alpha, beta)


CHECKS = {"5.1": one_step, "5.2": back_through_steps, "5.3": update}
